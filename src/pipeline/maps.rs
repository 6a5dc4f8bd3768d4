//! The generated surface: what the decoder gives, brought into the encodings that games use.

use std::fmt;

use bevy::{
    color::{ColorToComponents, LinearRgba, Srgba},
    math::Vec3,
};
use image::{GrayImage, Luma, Rgb, RgbImage};

use crate::{
    bundle::{ColourSpace, HeadMasks, MapDescription, Maps},
    diffusion::DecodedMaps,
};

/// The maps of a head in the UV space of its template: row-major, `size` × `size` texels, origin top-left. Texels off
/// the template's chart ([`HeadMasks::chart`](crate::bundle::HeadMasks::chart)) mean nothing.
#[derive(Clone, PartialEq)]
pub struct AvatarMaps {
    /// Side in texels.
    pub size: usize,
    /// Diffuse albedo: RGB, sRGB 8 bit.
    pub diffuse: Vec<[u8; 3]>,
    /// Specular albedo: F0 at normal incidence, linear, within [`specular_range`](Self::specular_range).
    pub specular: Vec<f32>,
    /// Least and largest F0 that the bundle generates.
    pub specular_range: [f32; 2],
    /// Tangent-space normals of unit length: MikkTSpace, OpenGL Y+.
    pub normals: Vec<[f32; 3]>,
}

/// Shows no texels.
impl fmt::Debug for AvatarMaps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { size, specular_range, .. } = self;
        let mut debug = f.debug_struct("AvatarMaps");
        debug.field("size", size).field("specular_range", specular_range).finish_non_exhaustive()
    }
}

impl AvatarMaps {
    /// Encodes what the decoder gives.
    pub(super) fn encode(maps: &Maps, decoded: &DecodedMaps) -> Self {
        let DecodedMaps { diffuse, specular, normals, .. } = decoded;
        let [low, high] = maps.specular.range;
        Self {
            size: maps.diffuse.size,
            diffuse: texels(&maps.diffuse, diffuse)
                .map(|rgb| rgb.map(|v| srgb8(v, maps.diffuse.colour_space)))
                .collect(),
            specular: specular.iter().map(|f0| f0.clamp(low, high)).collect(),
            specular_range: maps.specular.range,
            normals: texels(&maps.normals, normals).map(unit).collect(),
        }
    }

    /// Mean diffuse albedo of the face's skin, linear RGB, 0 to 1; 0 where no texel shows any.
    pub(crate) fn skin_albedo(&self, masks: &HeadMasks) -> Vec3 {
        let (mut sum, mut count) = (Vec3::ZERO, 0.0);
        for (index, &[red, green, blue]) in self.diffuse.iter().enumerate() {
            let [x, y] = [index % self.size, index / self.size].map(|place| place * masks.size / self.size);
            let place = y * masks.size + x;
            if masks.skin[place] && masks.face[place] {
                sum += LinearRgba::from(Srgba::rgb_u8(red, green, blue)).to_vec3();
                count += 1.0;
            }
        }
        sum / f32::max(count, 1.0)
    }

    /// Diffuse albedo (sRGB), specular albedo (black to white is [`specular_range`](Self::specular_range)) and normals
    /// (0 to 255 is −1 to 1) as 8-bit images, to show or to save.
    ///
    /// # Panics
    /// When a map does not have `size` × `size` texels.
    pub fn to_images(&self) -> (RgbImage, GrayImage, RgbImage) {
        let side = self.size as u32;
        let texel = |x: u32, y: u32| y as usize * self.size + x as usize;
        let [low, high] = self.specular_range;
        let grey = |f0: f32| unorm8((f0 - low) / (high - low));
        (
            RgbImage::from_fn(side, side, |x, y| Rgb(self.diffuse[texel(x, y)])),
            GrayImage::from_fn(side, side, |x, y| Luma([grey(self.specular[texel(x, y)])])),
            RgbImage::from_fn(side, side, |x, y| Rgb(self.normals[texel(x, y)].map(|value| unorm8(0.5 * value + 0.5)))),
        )
    }
}

/// The texels of a map of three channels, within its range.
fn texels(map: &MapDescription, values: &[f32]) -> impl Iterator<Item = [f32; 3]> {
    let [low, high] = map.range;
    let count = map.size * map.size;
    (0..count).map(move |texel| [0, 1, 2].map(|channel| values[channel * count + texel].clamp(low, high)))
}

/// A value in 8 bits with the sRGB transfer curve of IEC 61966-2-1.
fn srgb8(value: f32, space: ColourSpace) -> u8 {
    unorm8(match space {
        ColourSpace::Srgb => value,
        ColourSpace::Linear if value <= 0.003_130_8 => 12.92 * value,
        ColourSpace::Linear => 1.055 * value.powf(1.0 / 2.4) - 0.055,
    })
}

/// 0 to 1 in 8 bits, rounded; values beyond are clipped.
fn unorm8(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0).round() as u8
}

/// A normal of unit length; straight up where it has no direction.
fn unit(normal: [f32; 3]) -> [f32; 3] {
    Vec3::from_array(normal).normalize_or(Vec3::Z).to_array()
}

#[cfg(test)]
mod tests {
    use super::{super::request::tests::generator, *};

    /// Maps of 2² texels, their channels one after the other.
    fn encode(diffuse: &[f32; 12], specular: &[f32; 4], normals: &[f32; 12]) -> AvatarMaps {
        let (diffuse, specular, normals) = (diffuse.to_vec(), specular.to_vec(), normals.to_vec());
        AvatarMaps::encode(&generator().maps, &DecodedMaps { size: 2, diffuse, specular, normals })
    }

    #[test]
    fn the_skins_albedo_is_the_linear_mean_over_the_faces_skin() {
        // 2² texels, of which the left ones are the face; masks are twice as large and take the lower one for a brow.
        let mut maps = encode(&[0.0; 12], &[0.04; 4], &[0.0; 12]);
        maps.diffuse = vec![[255, 188, 0], [9; 3], [60; 3], [9; 3]];
        let mask = |inside: fn(usize, usize) -> bool| (0..16).map(|i| inside(i % 4, i / 4)).collect::<Vec<_>>();
        let face = mask(|x, _| x < 2);
        let mut masks = HeadMasks { size: 4, chart: vec![true; 16], skin: mask(|_, y| y < 2), face };
        // 188 of 255 is half of the light.
        let [red, green, blue] = maps.skin_albedo(&masks).to_array();
        assert!(red == 1.0 && (green - 0.503).abs() < 1e-3 && blue == 0.0, "{red} {green} {blue}");
        // Of two texels, it is the mean of their light: 60 of 255 is 4.5 %.
        masks.skin.fill(true);
        let Vec3 { x: red, y: green, z: blue } = maps.skin_albedo(&masks);
        assert!((red - 0.5226).abs() < 1e-3 && (green - 0.274).abs() < 1e-3 && (blue - 0.0226).abs() < 1e-3);
        masks.face.fill(false);
        assert_eq!(maps.skin_albedo(&masks), Vec3::ZERO, "a template without a face");
    }

    #[test]
    fn diffuse_is_rounded_and_clipped_to_8_bits() {
        let [red, green, blue] = [[0.0, 1.0, 0.5, -0.25], [1.5, 0.2, 0.498, 0.502], [0.001, 0.002, 0.9979, 0.999]];
        let diffuse = [red, green, blue].concat();
        let maps = encode(diffuse[..].try_into().unwrap(), &[0.0; 4], &[0.0; 12]);
        assert_eq!(maps.diffuse, [[0, 255, 0], [255, 51, 1], [128, 127, 254], [0, 128, 255]]);
    }

    #[test]
    fn linear_diffuse_gets_the_srgb_curve() {
        // sRGB codes of linear values, from the standard's own formulas.
        for (linear, code) in [(0.0, 0), (0.002, 7), (0.215_861, 128), (0.5, 188), (1.0, 255), (2.0, 255)] {
            assert_eq!(srgb8(linear, ColourSpace::Linear), code, "{linear}");
        }
    }

    #[test]
    fn specular_is_clipped_to_the_range() {
        let maps = encode(&[0.0; 12], &[-0.01, 0.03, 0.0625, 0.2], &[0.0; 12]);
        assert_eq!(maps.specular, [0.0, 0.03, 0.0625, 0.0625]);
        assert_eq!(maps.specular_range, [0.0, 0.0625]);
    }

    #[test]
    fn normals_are_clipped_and_get_unit_length() {
        let normals = [0.3, 0.0, 0.0, 4.0, 0.0, 0.0, -0.6, 0.0, 0.4, 0.0, 0.8, 0.0];
        let maps = encode(&[0.0; 12], &[0.0; 4], &normals);
        let expected = [[0.6, 0.0, 0.8], [0.0, 0.0, 1.0], [0.0, -0.6, 0.8], [1.0, 0.0, 0.0]];
        for (found, expected) in maps.normals.iter().zip(expected) {
            assert!(Vec3::from_array(*found).distance(Vec3::from_array(expected)) < 1e-6, "{found:?}");
        }
    }

    #[test]
    fn images_show_each_map_over_its_range() {
        let maps = encode(&[0.2; 12], &[0.0, 0.0125, 0.0625, 0.1], &[0.0; 12]);
        let (diffuse, specular, normals) = maps.to_images();
        assert_eq!(diffuse.get_pixel(1, 1).0, [51; 3]);
        assert_eq!(specular.into_raw(), [0, 51, 255, 255]);
        assert_eq!(normals.get_pixel(0, 0).0, [128, 128, 255]);
        assert!(!format!("{maps:?}").contains("51"), "texels are not shown");
    }
}
