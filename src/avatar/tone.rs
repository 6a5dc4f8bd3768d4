//! Lighter, darker, warmer and cooler skin.

use bevy::color::Color;

use crate::pipeline::AvatarData;

/// The tone of an avatar's skin as it was generated, from which a tint can lead to others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SkinTone {
    /// Mean diffuse albedo of the face's skin, linear RGB, 0 to 1.
    pub albedo: [f32; 3],
}

impl SkinTone {
    /// Measures the tone of an avatar.
    pub fn of(data: &AvatarData) -> Self {
        todo!()
    }

    /// The [`AvatarLook::skin_tint`](super::AvatarLook::skin_tint) for two sliders of −1 to 1, of which 0 leaves the skin
    /// as it is. `lightness`: darker to lighter; `warmth`: cooler to warmer.
    pub fn tint(&self, lightness: f32, warmth: f32) -> Color {
        todo!()
    }
}
