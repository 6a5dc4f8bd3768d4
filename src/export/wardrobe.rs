//! The materials of a head and their textures.

use bevy::{
    color::{ColorToComponents, LinearRgba},
    math::Vec3,
    prelude::{AlphaMode, Color, StandardMaterial},
};
use gltf_json::{
    Index, Texture,
    extensions::material::Material as Extensions,
    material::{self, Material, NormalTexture, PbrBaseColorFactor, PbrMetallicRoughness, StrengthFactor},
    texture::Info,
    validation::Checked::Valid,
};

use super::{
    ExportError,
    dielectric::{Dielectric, IOR, SPECULAR, specular_alpha},
    document::Document,
    texture::{rgb_png, rgba_png, tint},
};
use crate::{
    avatar::{
        AvatarLook,
        eye::eye_texels,
        lash::lash_texels,
        material::{f0, part_material},
        mouth::lit,
        skin::{SkinTexels, normal8},
        texture::{srgb8, unorm8},
    },
    bundle::materials::{EYE, LASH, MOUTH, SKIN, TEETH},
    pipeline::AvatarData,
};

/// Materials by the name in the template head. Each is made once, when the first part wears it.
pub(super) struct Wardrobe<'a> {
    data: &'a AvatarData,
    look: &'a AvatarLook,
    made: Vec<(String, bool, Index<Material>)>,
}

/// The textures of a material.
#[derive(Default)]
struct Textures {
    base_colour: Option<Index<Texture>>,
    normal: Option<Index<Texture>>,
    specular: Option<Index<Texture>>,
}

impl<'a> Wardrobe<'a> {
    pub fn new(data: &'a AvatarData, look: &'a AvatarLook) -> Self {
        Self { data, look, made: Vec::new() }
    }

    /// The material of this name; `two_sided` where the part's triangles are seen from behind.
    pub fn material(
        &mut self,
        document: &mut Document,
        name: &str,
        two_sided: bool,
    ) -> Result<Index<Material>, ExportError> {
        let mut material = part_material(name, self.look);
        material.double_sided |= two_sided;
        let sides = material.double_sided;
        if let Some((.., made)) = self.made.iter().find(|(known, both, _)| known == name && *both == sides) {
            return Ok(*made);
        }
        let (textures, dielectric) = match name {
            SKIN => self.skin(document, &mut material)?,
            EYE => {
                let mut texels = eye_texels(&self.data.head.eyes, self.look.iris_of(self.data).to_linear());
                tint(&mut texels, take_factor(&mut material));
                let base_colour = Some(document.texture("eye base colour", rgb_png(&texels, srgb8)?));
                (Textures { base_colour, ..Default::default() }, Dielectric::uniform(f0(material.reflectance), 1.0))
            }
            LASH => {
                let mut texels = lash_texels();
                tint(&mut texels, take_factor(&mut material));
                let base_colour = Some(document.texture("lash base colour", rgba_png(&texels, srgb8)?));
                (Textures { base_colour, ..Default::default() }, Dielectric::uniform(f0(material.reflectance), 1.0))
            }
            // A file's materials do not follow its expressions. In the light of an open mouth all that is seen is right;
            // closed lips hide most of what is not.
            TEETH | MOUTH => {
                let colour = material.base_color.to_linear().to_vec3();
                let (colour, reflectance) = lit(colour, material.reflectance, Vec3::ONE);
                material.base_color = LinearRgba::from_vec3(colour).into();
                let strength = f0(reflectance) / f0(material.reflectance);
                (Textures::default(), Dielectric::uniform(f0(reflectance), strength))
            }
            _ => (Textures::default(), Dielectric::uniform(f0(material.reflectance), 1.0)),
        };
        let made = document.root.push(describe(name, &material, textures, dielectric));
        for extension in [SPECULAR, IOR] {
            let used = &document.root.materials[made.value()].extensions;
            let used = used.as_ref().is_some_and(|extensions| extensions.others.contains_key(extension));
            let listed = &mut document.root.extensions_used;
            if used && !listed.iter().any(|known| known == extension) {
                listed.push(extension.to_owned());
            }
        }
        self.made.push((name.to_owned(), sides, made));
        Ok(made)
    }

    fn skin(
        &self,
        document: &mut Document,
        material: &mut StandardMaterial,
    ) -> Result<(Textures, Dielectric), ExportError> {
        let SkinTexels { mut diffuse, normal, specular } = SkinTexels::new(&self.data.maps, &self.data.head.masks);
        tint(&mut diffuse, take_factor(material));
        let values = || specular.values.iter().map(|[f0, ..]| *f0);
        let most = values().fold(0.0, f32::max);
        let typical = values().sum::<f32>() / specular.values.len() as f32;
        let textures = Textures {
            base_colour: Some(document.texture("skin base colour", rgb_png(&diffuse, srgb8)?)),
            normal: Some(document.texture("skin normal", rgb_png(&normal, normal8)?)),
            specular: Some(document.texture(
                "skin specular",
                rgba_png(&specular, |[f0, ..]| unorm8([1.0, 1.0, 1.0, specular_alpha(f0, most)]))?,
            )),
        };
        Ok((textures, Dielectric::textured(most, typical)))
    }
}

/// The factor of a material's texture, to be baked into it; the material keeps white.
fn take_factor(material: &mut StandardMaterial) -> LinearRgba {
    std::mem::replace(&mut material.base_color, Color::WHITE).to_linear()
}

fn describe(name: &str, material: &StandardMaterial, textures: Textures, dielectric: Dielectric) -> Material {
    let info = |index: Index<Texture>| Info { index, tex_coord: 0, extensions: None, extras: Default::default() };
    let others = dielectric.extensions(textures.specular.map(|texture| texture.value()));
    Material {
        name: Some(name.to_owned()),
        pbr_metallic_roughness: PbrMetallicRoughness {
            base_color_factor: PbrBaseColorFactor(material.base_color.to_linear().to_f32_array()),
            base_color_texture: textures.base_colour.map(info),
            metallic_factor: StrengthFactor(material.metallic),
            roughness_factor: StrengthFactor(material.perceptual_roughness.clamp(0.0, 1.0)),
            ..Default::default()
        },
        normal_texture: textures.normal.map(|index| NormalTexture {
            index,
            scale: 1.0,
            tex_coord: 0,
            extensions: None,
            extras: Default::default(),
        }),
        alpha_mode: Valid(match material.alpha_mode {
            AlphaMode::Opaque => material::AlphaMode::Opaque,
            _ => material::AlphaMode::Blend,
        }),
        double_sided: material.double_sided,
        // Other crates may switch on features that add fields.
        #[allow(clippy::needless_update)]
        extensions: (!others.is_empty()).then(|| Extensions { others, ..Default::default() }),
        ..Default::default()
    }
}
