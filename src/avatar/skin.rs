//! The generated maps as textures and a material of Bevy.

use bevy::{
    color::{ColorToComponents, LinearRgba, Srgba},
    image::Image,
    pbr::StandardMaterial,
    render::render_resource::TextureFormat,
};

use super::{
    AvatarLook,
    material::F0_OF_FULL_REFLECTANCE,
    texture::{Texels, srgb8, unorm8},
};
use crate::{bundle::HeadMasks, pipeline::AvatarMaps};

/// What `bevy_pbr` multiplies the specular texture's alpha with before it scales the material's reflectance.
const SPECULAR_TEXTURE_SCALE: f32 = 0.5;

/// The maps of the skin as texels to be encoded. Those outside of the texture's chart take colours from its border.
#[derive(Debug)]
pub(crate) struct SkinTexels {
    /// Diffuse albedo, linear.
    pub diffuse: Texels,
    /// Normals in tangent space, OpenGL Y+; of any length where they were averaged.
    pub normal: Texels,
    /// F0, in all channels.
    pub specular: Texels,
}

impl SkinTexels {
    /// Fills the maps up.
    pub fn new(maps: &AvatarMaps, masks: &HeadMasks) -> Self {
        let side = maps.size;
        let chart = masks.inner_chart(side);
        let texels = |value: &dyn Fn(usize) -> [f32; 4]| {
            let mut texels = Texels { side, values: (0..side * side).map(value).collect() };
            texels.fill_unknown(&chart);
            texels
        };
        Self {
            diffuse: texels(&|index| {
                let [red, green, blue] = maps.diffuse[index];
                LinearRgba::from(Srgba::rgb_u8(red, green, blue)).to_f32_array()
            }),
            normal: texels(&|index| {
                let [x, y, z] = maps.normals[index];
                [x, y, z, 1.0]
            }),
            specular: texels(&|index| [maps.specular[index]; 4]),
        }
    }
}

/// The textures of the skin.
#[derive(Debug)]
pub(super) struct SkinTextures {
    /// sRGB.
    pub diffuse: Image,
    /// Linear, tangent space, OpenGL Y+.
    pub normal: Image,
    /// Linear; the alpha channel is what [`specular_alpha`] gives.
    pub specular: Image,
    /// The reflectance that belongs to the specular texture.
    pub reflectance: f32,
}

impl SkinTextures {
    /// Packs the maps.
    pub fn new(maps: &AvatarMaps, masks: &HeadMasks) -> Self {
        let SkinTexels { diffuse, normal, specular } = SkinTexels::new(maps, masks);
        let most = maps.specular_range[1];
        Self {
            diffuse: diffuse.into_image(TextureFormat::Rgba8UnormSrgb, srgb8),
            normal: normal.into_image(TextureFormat::Rgba8Unorm, normal8),
            specular: specular.into_image(TextureFormat::Rgba8Unorm, |[f0, ..]| unorm8([specular_alpha(f0, most); 4])),
            reflectance: reflectance(most),
        }
    }
}

/// A normal of any length to 8 bits, 0 to 255 for −1 to 1.
pub(crate) fn normal8([x, y, z, _]: [f32; 4]) -> [u8; 4] {
    let length = (x * x + y * y + z * z).sqrt().max(f32::MIN_POSITIVE);
    unorm8([x / length * 0.5 + 0.5, y / length * 0.5 + 0.5, z / length * 0.5 + 0.5, 1.0])
}

/// The reflectance with which a specular texture of full alpha means an F0 of `most`.
fn reflectance(most: f32) -> f32 {
    (most / F0_OF_FULL_REFLECTANCE).sqrt() / SPECULAR_TEXTURE_SCALE
}

/// Alpha of the specular texture for a linear F0 at normal incidence; `most` is the F0 of full alpha.
fn specular_alpha(f0: f32, most: f32) -> f32 {
    (f0.max(0.0) / most).sqrt()
}

/// The skin's material without its textures.
pub(super) fn skin_material(look: &AvatarLook) -> StandardMaterial {
    StandardMaterial {
        base_color: look.skin_tint,
        perceptual_roughness: look.skin_roughness,
        metallic: 0.0,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// F0 as the fragment shader of `bevy_pbr` computes it from the material and the texture.
    fn shader_f0(reflectance: f32, alpha: f32) -> f32 {
        let reflectance = reflectance * alpha * 0.5;
        0.16 * reflectance * reflectance
    }

    #[test]
    fn the_shader_sees_the_f0_of_the_map() {
        for most in [0.04, 0.06, 0.16] {
            for f0 in [0.0, 0.008, 0.02, 0.028, 0.04, most] {
                if f0 > most {
                    continue;
                }
                let exact = shader_f0(reflectance(most), specular_alpha(f0, most));
                assert!((exact - f0).abs() < 1e-6, "{f0} became {exact}");
                let alpha = unorm8([specular_alpha(f0, most); 4])[3];
                let stored = shader_f0(reflectance(most), f32::from(alpha) / 255.0);
                assert!((stored - f0).abs() < most / 250.0, "{f0} became {stored} in 8 bits");
            }
        }
    }

    #[test]
    fn textures_hold_the_maps_in_bevys_packing() {
        let side = 4;
        let maps = AvatarMaps {
            size: side,
            diffuse: vec![[200, 150, 120]; side * side],
            specular: vec![0.015; side * side],
            specular_range: [0.0, 0.06],
            normals: vec![[0.6, 0.0, 0.8]; side * side],
        };
        let masks =
            HeadMasks { size: 2, chart: vec![true, false, true, true], skin: vec![true; 4], face: vec![true; 4] };
        let textures = SkinTextures::new(&maps, &masks);
        let texel = |image: &Image| image.data.as_ref().unwrap()[..4].to_vec();
        assert_eq!(texel(&textures.diffuse), [200, 150, 120, 255]);
        assert_eq!(texel(&textures.normal), [204, 128, 230, 255]);
        assert_eq!(texel(&textures.specular)[3], 128, "a quarter of the largest F0");
    }
}
