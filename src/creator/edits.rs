//! What a player can change and undo.

use bevy::prelude::*;

use crate::{
    avatar::{AvatarLook, SkinTone},
    pipeline::ShapeEdits,
};

/// The state of an avatar that can be undone: plain values, compared by them.
#[derive(Clone, Debug, PartialEq)]
pub struct CreatorEdits {
    /// Who it is: a number that the creator gave to each person and variation it generated.
    pub person: usize,
    /// What is changed of the shape.
    pub shape: ShapeEdits,
    /// How much lighter the skin is than it was generated, −1 (darker) to 1.
    pub lightness: f32,
    /// How much warmer its colour is, −1 (cooler) to 1.
    pub warmth: f32,
    /// What the skin was tinted with before: that of a loaded avatar. White otherwise.
    pub tint: Color,
    /// Perceptual roughness of the skin, 0 to 1.
    pub roughness: f32,
    /// Colour of the iris; `None` for the person's own.
    pub iris: Option<Color>,
}

impl Default for CreatorEdits {
    fn default() -> Self {
        let AvatarLook { iris, skin_roughness, .. } = AvatarLook::default();
        let shape = ShapeEdits::default();
        Self { person: 0, shape, lightness: 0.0, warmth: 0.0, tint: Color::WHITE, roughness: skin_roughness, iris }
    }
}

impl CreatorEdits {
    /// The look of an avatar whose skin was generated with a tone.
    pub fn look(&self, tone: &SkinTone) -> AvatarLook {
        let unchanged = self.lightness == 0.0 && self.warmth == 0.0;
        let skin_tint = if unchanged { self.tint } else { product(self.tint, tone.tint(self.lightness, self.warmth)) };
        AvatarLook { iris: self.iris, skin_roughness: self.roughness, skin_tint }
    }

    /// The same person without changes.
    pub fn without_changes(&self) -> Self {
        let shape = ShapeEdits::from_base(self.shape.base().to_vec());
        Self { person: self.person, shape, ..Self::default() }
    }
}

/// The product of two colours in linear light.
fn product(a: Color, b: Color) -> Color {
    let (a, b) = (a.to_linear(), b.to_linear());
    Color::linear_rgb(a.red * b.red, a.green * b.green, a.blue * b.blue)
}
