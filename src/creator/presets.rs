//! What is offered ready-made: eye colours, light, words for the ends of shape sliders.

use bevy::prelude::*;

use crate::expression::{ArkitBlendshape, ExpressionPreset};

/// Colours of human irises as linear reflectance, by name.
pub const EYE_COLOURS: [(&str, [f32; 3]); 8] = [
    ("Dark brown", [0.030, 0.014, 0.007]),
    ("Brown", [0.10, 0.045, 0.018]),
    ("Amber", [0.26, 0.13, 0.030]),
    ("Hazel", [0.17, 0.13, 0.040]),
    ("Green", [0.11, 0.17, 0.075]),
    ("Grey", [0.22, 0.25, 0.27]),
    ("Blue", [0.10, 0.20, 0.36]),
    ("Dark blue", [0.035, 0.075, 0.18]),
];

/// Expressions that are offered to look at, with the words for them.
pub const EXPRESSIONS: [(ExpressionPreset, &str, &str); 6] = [
    (ExpressionPreset::Neutral, "Neutral", ""),
    (ExpressionPreset::Happy, "Happy", ""),
    (ExpressionPreset::Surprised, "Surprised", ""),
    (ExpressionPreset::Relaxed, "Relaxed", ""),
    (ExpressionPreset::Sad, "Sad", ""),
    (ExpressionPreset::Angry, "Angry", ""),
];

/// How the studio is lit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Reflect)]
#[reflect(Default, Clone, Debug, PartialEq, Hash)]
pub enum LightPreset {
    /// A large soft light and a fine rim.
    #[default]
    Studio,
    /// High sun under an open sky.
    Daylight,
    /// Low warm sun from the side.
    Evening,
    /// One hard lamp in a dark room.
    Drama,
    /// Coloured light from both sides.
    Neon,
}

impl LightPreset {
    /// All, with the words for them.
    pub const ALL: [(Self, &'static str, &'static str); 5] = [
        (Self::Studio, "Studio", "A large soft light"),
        (Self::Daylight, "Daylight", "High sun under an open sky"),
        (Self::Evening, "Evening", "Low warm sun from the side"),
        (Self::Drama, "Drama", "One hard lamp in a dark room"),
        (Self::Neon, "Neon", "Coloured light from both sides"),
    ];
}

/// A part of the face whose blendshapes are shown together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BlendshapeGroup {
    /// Lids and gaze.
    #[default]
    Eyes,
    /// Brows.
    Brows,
    /// Cheeks and nose.
    Cheeks,
    /// The jaw and the tongue.
    Jaw,
    /// Mouth and lips.
    Mouth,
}

impl BlendshapeGroup {
    /// All, with the words for them.
    pub const ALL: [(Self, &'static str, &'static str); 5] = [
        (Self::Eyes, "Eyes", ""),
        (Self::Brows, "Brows", ""),
        (Self::Cheeks, "Cheeks and nose", ""),
        (Self::Jaw, "Jaw", ""),
        (Self::Mouth, "Mouth", ""),
    ];
}

/// Where a blendshape belongs: ARKit's names begin with it.
pub fn blendshape_group(shape: ArkitBlendshape) -> BlendshapeGroup {
    use BlendshapeGroup::{Brows, Cheeks, Eyes, Jaw, Mouth};
    let parts = [("eye", Eyes), ("brow", Brows), ("cheek", Cheeks), ("nose", Cheeks), ("mouth", Mouth)];
    parts.into_iter().find(|(part, _)| shape.as_str().starts_with(part)).map_or(Jaw, |(_, group)| group)
}

/// A part of the face whose traits are shown together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TraitGroup {
    /// Its outline.
    #[default]
    Face,
    /// Eyes and brows.
    Eyes,
    /// The nose.
    Nose,
    /// Mouth and lips.
    Mouth,
    /// Jaw and chin.
    Jaw,
    /// What has no name.
    Other,
}

impl TraitGroup {
    /// All, with the words for them.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Face, "Face"),
        (Self::Eyes, "Eyes"),
        (Self::Nose, "Nose"),
        (Self::Mouth, "Mouth"),
        (Self::Jaw, "Jaw"),
        (Self::Other, "More"),
    ];
}

/// Where a trait belongs, and the words for having little and much of it.
///
/// Traits of other bundles than the default one are [`TraitGroup::Other`], from "less" to "more".
pub fn trait_words(name: &str) -> (TraitGroup, &'static str, &'static str) {
    use TraitGroup::{Eyes, Face, Jaw, Mouth, Nose, Other};
    match name {
        "face_width" => (Face, "narrow", "wide"),
        "forehead_height" => (Face, "low", "high"),
        "forehead_width" => (Face, "narrow", "wide"),
        "cheek_fullness" => (Face, "hollow", "full"),
        "brow_height" => (Eyes, "low", "high"),
        "eye_distance" => (Eyes, "close", "apart"),
        "eye_width" => (Eyes, "small", "large"),
        "eye_opening" => (Eyes, "narrow", "open"),
        "eye_slant" => (Eyes, "drooping", "rising"),
        "nose_length" => (Nose, "short", "long"),
        "nose_width" => (Nose, "narrow", "wide"),
        "nose_projection" => (Nose, "flat", "prominent"),
        "nose_bridge" => (Nose, "low", "high"),
        "nose_tip" => (Nose, "pointing down", "pointing up"),
        "philtrum_length" => (Mouth, "short", "long"),
        "mouth_width" => (Mouth, "narrow", "wide"),
        "lip_fullness" => (Mouth, "thin", "full"),
        "lip_projection" => (Mouth, "flat", "pouting"),
        "chin_height" => (Jaw, "short", "long"),
        "chin_width" => (Jaw, "pointed", "broad"),
        "chin_projection" => (Jaw, "receding", "prominent"),
        "jaw_width" => (Jaw, "narrow", "wide"),
        _ => (Other, "less", "more"),
    }
}
