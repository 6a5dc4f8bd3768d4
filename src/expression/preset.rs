//! The preset expressions of VRM 1.0, made of ARKit's blendshapes.

use std::{fmt, str::FromStr};

use bevy::prelude::*;

use super::{ArkitBlendshape, Viseme};

/// Number of presets.
pub(super) const PRESETS: usize = 18;

/// A preset expression of VRM 1.0 (VRMC_vrm, `expressions.preset`). Left and right are the person's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Reflect)]
#[reflect(Default, Clone, Debug, PartialEq, Hash)]
#[repr(u8)]
pub enum ExpressionPreset {
    /// `happy`: joy, a smile that the eyes take part in.
    Happy,
    /// `angry`: anger.
    Angry,
    /// `sad`: sorrow.
    Sad,
    /// `relaxed`: comfort, lids at ease.
    Relaxed,
    /// `surprised`: surprise.
    Surprised,
    /// `aa`: the mouth of あ.
    Aa,
    /// `ih`: the mouth of い.
    Ih,
    /// `ou`: the mouth of う.
    Ou,
    /// `ee`: the mouth of え.
    Ee,
    /// `oh`: the mouth of お.
    Oh,
    /// `blink`: both eyes closed.
    Blink,
    /// `blinkLeft`: the left eye closed.
    BlinkLeft,
    /// `blinkRight`: the right eye closed.
    BlinkRight,
    /// `lookUp`: the eyes as far up as they go.
    LookUp,
    /// `lookDown`: the eyes as far down as they go.
    LookDown,
    /// `lookLeft`: the eyes as far to the person's left as they go.
    LookLeft,
    /// `lookRight`: the eyes as far to the person's right as they go.
    LookRight,
    /// `neutral`: the face at rest.
    #[default]
    Neutral,
}

impl ExpressionPreset {
    /// All of them, in the order of VRM's specification.
    pub const ALL: [Self; PRESETS] = [
        Self::Happy,
        Self::Angry,
        Self::Sad,
        Self::Relaxed,
        Self::Surprised,
        Self::Aa,
        Self::Ih,
        Self::Ou,
        Self::Ee,
        Self::Oh,
        Self::Blink,
        Self::BlinkLeft,
        Self::BlinkRight,
        Self::LookUp,
        Self::LookDown,
        Self::LookLeft,
        Self::LookRight,
        Self::Neutral,
    ];

    /// The name as VRM writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Happy => "happy",
            Self::Angry => "angry",
            Self::Sad => "sad",
            Self::Relaxed => "relaxed",
            Self::Surprised => "surprised",
            Self::Aa => "aa",
            Self::Ih => "ih",
            Self::Ou => "ou",
            Self::Ee => "ee",
            Self::Oh => "oh",
            Self::Blink => "blink",
            Self::BlinkLeft => "blinkLeft",
            Self::BlinkRight => "blinkRight",
            Self::LookUp => "lookUp",
            Self::LookDown => "lookDown",
            Self::LookLeft => "lookLeft",
            Self::LookRight => "lookRight",
            Self::Neutral => "neutral",
        }
    }

    /// The blendshapes of the preset at full weight.
    ///
    /// The emotions follow the action units that Ekman and Friesen found for them (Facial Action Coding System, 1978): AU
    /// 6 + 12 for joy, 4 + 5 + 7 + 23 for anger, 1 + 4 + 15 for sorrow, 1 + 2 + 5 + 26 for surprise.
    pub const fn blendshapes(self) -> &'static [(ArkitBlendshape, f32)] {
        use ArkitBlendshape::{
            BrowDownLeft, BrowDownRight, BrowInnerUp, BrowOuterUpLeft, BrowOuterUpRight, CheekSquintLeft,
            CheekSquintRight, EyeBlinkLeft, EyeBlinkRight, EyeLookDownLeft, EyeLookDownRight, EyeLookInLeft,
            EyeLookInRight, EyeLookOutLeft, EyeLookOutRight, EyeLookUpLeft, EyeLookUpRight, EyeSquintLeft,
            EyeSquintRight, EyeWideLeft, EyeWideRight, JawOpen, MouthFrownLeft, MouthFrownRight, MouthFunnel,
            MouthPressLeft, MouthPressRight, MouthShrugLower, MouthSmileLeft, MouthSmileRight, MouthUpperUpLeft,
            MouthUpperUpRight, NoseSneerLeft, NoseSneerRight,
        };
        match self {
            Self::Happy => &[
                (MouthSmileLeft, 0.95),
                (MouthSmileRight, 0.95),
                (MouthUpperUpLeft, 0.2),
                (MouthUpperUpRight, 0.2),
                (CheekSquintLeft, 0.5),
                (CheekSquintRight, 0.5),
                (EyeSquintLeft, 0.35),
                (EyeSquintRight, 0.35),
                (BrowInnerUp, 0.1),
            ],
            Self::Angry => &[
                (BrowDownLeft, 1.0),
                (BrowDownRight, 1.0),
                (EyeSquintLeft, 0.35),
                (EyeSquintRight, 0.35),
                (NoseSneerLeft, 0.45),
                (NoseSneerRight, 0.45),
                (MouthFrownLeft, 0.35),
                (MouthFrownRight, 0.35),
                (MouthPressLeft, 0.6),
                (MouthPressRight, 0.6),
            ],
            Self::Sad => &[
                (BrowInnerUp, 0.9),
                (BrowDownLeft, 0.2),
                (BrowDownRight, 0.2),
                (MouthFrownLeft, 0.75),
                (MouthFrownRight, 0.75),
                (MouthShrugLower, 0.3),
                (EyeBlinkLeft, 0.15),
                (EyeBlinkRight, 0.15),
                (EyeLookDownLeft, 0.2),
                (EyeLookDownRight, 0.2),
            ],
            Self::Relaxed => &[
                (MouthSmileLeft, 0.35),
                (MouthSmileRight, 0.35),
                (EyeBlinkLeft, 0.3),
                (EyeBlinkRight, 0.3),
                (BrowInnerUp, 0.15),
            ],
            Self::Surprised => &[
                (BrowInnerUp, 0.9),
                (BrowOuterUpLeft, 0.9),
                (BrowOuterUpRight, 0.9),
                (EyeWideLeft, 0.8),
                (EyeWideRight, 0.8),
                (JawOpen, 0.4),
                (MouthFunnel, 0.2),
            ],
            Self::Aa => Viseme::Aa.blendshapes(),
            Self::Ih => Viseme::Ih.blendshapes(),
            Self::Ou => Viseme::Ou.blendshapes(),
            Self::Ee => Viseme::Ee.blendshapes(),
            Self::Oh => Viseme::Oh.blendshapes(),
            Self::Blink => &[(EyeBlinkLeft, 1.0), (EyeBlinkRight, 1.0)],
            Self::BlinkLeft => &[(EyeBlinkLeft, 1.0)],
            Self::BlinkRight => &[(EyeBlinkRight, 1.0)],
            Self::LookUp => &[(EyeLookUpLeft, 1.0), (EyeLookUpRight, 1.0)],
            Self::LookDown => &[(EyeLookDownLeft, 1.0), (EyeLookDownRight, 1.0)],
            Self::LookLeft => &[(EyeLookOutLeft, 1.0), (EyeLookInRight, 1.0)],
            Self::LookRight => &[(EyeLookInLeft, 1.0), (EyeLookOutRight, 1.0)],
            Self::Neutral => &[],
        }
    }
}

impl fmt::Display for ExpressionPreset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// VRM has no preset of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "VRM has no preset expression `{0}`; expected one of happy, angry, sad, relaxed, surprised, aa, ih, ou, ee, oh, \
         blink, blinkLeft, blinkRight, lookUp, lookDown, lookLeft, lookRight, neutral"
)]
pub struct UnknownPreset(pub String);

impl FromStr for ExpressionPreset {
    type Err = UnknownPreset;

    fn from_str(name: &str) -> Result<Self, UnknownPreset> {
        Self::ALL.into_iter().find(|preset| preset.as_str() == name).ok_or_else(|| UnknownPreset(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn presets_are_found_by_their_names_in_vrm() {
        for (index, preset) in ExpressionPreset::ALL.into_iter().enumerate() {
            assert_eq!(preset.to_string().parse(), Ok(preset));
            assert_eq!(preset as usize, index, "presets count as their order says");
        }
        let error = "joy".parse::<ExpressionPreset>().unwrap_err();
        assert!(error.to_string().contains("`joy`") && error.to_string().contains("happy"), "{error}");
    }

    #[test]
    fn a_preset_names_each_blendshape_once_and_within_its_range() {
        for preset in ExpressionPreset::ALL {
            let shapes = preset.blendshapes();
            let distinct: HashSet<_> = shapes.iter().map(|(shape, _)| shape).collect();
            assert_eq!(distinct.len(), shapes.len(), "{preset}");
            assert!(shapes.iter().all(|(_, weight)| (0.0..=1.0).contains(weight)), "{preset}");
        }
    }

    #[test]
    fn presets_for_both_sides_are_symmetric_and_those_of_one_side_mirror_each_other() {
        use ExpressionPreset::{BlinkLeft, BlinkRight, LookLeft, LookRight};
        let mirrored = |preset: ExpressionPreset| -> HashSet<(String, u32)> {
            let mirror = |name: &str| match (name.strip_suffix("Left"), name.strip_suffix("Right")) {
                (Some(stem), _) => format!("{stem}Right"),
                (_, Some(stem)) => format!("{stem}Left"),
                _ => name.to_owned(),
            };
            preset.blendshapes().iter().map(|(shape, weight)| (mirror(shape.as_str()), weight.to_bits())).collect()
        };
        let plain = |preset: ExpressionPreset| -> HashSet<(String, u32)> {
            preset.blendshapes().iter().map(|(shape, weight)| (shape.to_string(), weight.to_bits())).collect()
        };
        for preset in ExpressionPreset::ALL {
            let other = match preset {
                BlinkLeft => BlinkRight,
                BlinkRight => BlinkLeft,
                LookLeft => LookRight,
                LookRight => LookLeft,
                same => same,
            };
            assert_eq!(mirrored(preset), plain(other), "{preset}");
        }
    }
}
