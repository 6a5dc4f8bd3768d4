//! What the parts of a head are made of, without textures.

use bevy::prelude::{AlphaMode, Color, StandardMaterial};

use super::{AvatarLook, skin::skin_material};
use crate::bundle::materials::{EYE, LASH, SKIN, TEETH};

/// F0 of a dielectric whose reflectance is 1, as `bevy_pbr` maps one to the other: `F0 = 0.16 reflectance²` (Lagarde
/// and de Rousiers, Moving Frostbite to PBR, SIGGRAPH 2014).
pub(super) const F0_OF_FULL_REFLECTANCE: f32 = 0.16;

/// F0 of a dielectric, by the reflectance of its material.
pub(crate) fn f0(reflectance: f32) -> f32 {
    F0_OF_FULL_REFLECTANCE * reflectance * reflectance
}

/// The material of this name in the template head; teeth and mouth are those in full light. A name that is not known
/// is one of the mouth.
pub(crate) fn part_material(name: &str, look: &AvatarLook) -> StandardMaterial {
    match name {
        SKIN => skin_material(look),
        EYE => StandardMaterial {
            // The tear film over the cornea: water's F0 of 0.02.
            reflectance: 0.36,
            perceptual_roughness: 0.1,
            ..Default::default()
        },
        LASH => StandardMaterial {
            alpha_mode: AlphaMode::Blend,
            perceptual_roughness: 0.6,
            double_sided: true,
            cull_mode: None,
            ..Default::default()
        },
        // Saliva makes both smooth.
        TEETH => StandardMaterial {
            base_color: Color::linear_rgb(0.56, 0.50, 0.40),
            perceptual_roughness: 0.3,
            ..Default::default()
        },
        _ => StandardMaterial {
            base_color: Color::linear_rgb(0.16, 0.045, 0.04),
            perceptual_roughness: 0.4,
            ..Default::default()
        },
    }
}
