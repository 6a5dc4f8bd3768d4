//! The 52 blendshapes of ARKit, and a weight for each.

use std::{
    fmt,
    ops::{Index, IndexMut},
    str::FromStr,
};

use bevy::prelude::*;

/// Number of blendshapes.
pub const BLENDSHAPES: usize = 52;

macro_rules! arkit_blendshapes {
    ($($variant:ident = $name:literal,)*) => {
        /// A blendshape of ARKit's face (Apple's `ARFaceAnchor.BlendShapeLocation`), in Apple's order. Left and right are
        /// the person's own.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Reflect)]
        #[reflect(Clone, Debug, PartialEq, Hash)]
        #[repr(u8)]
        pub enum ArkitBlendshape {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl ArkitBlendshape {
            /// All of them, in Apple's order.
            pub const ALL: [Self; BLENDSHAPES] = [$(Self::$variant,)*];

            /// The name as ARKit writes it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

arkit_blendshapes! {
    EyeBlinkLeft = "eyeBlinkLeft",
    EyeLookDownLeft = "eyeLookDownLeft",
    EyeLookInLeft = "eyeLookInLeft",
    EyeLookOutLeft = "eyeLookOutLeft",
    EyeLookUpLeft = "eyeLookUpLeft",
    EyeSquintLeft = "eyeSquintLeft",
    EyeWideLeft = "eyeWideLeft",
    EyeBlinkRight = "eyeBlinkRight",
    EyeLookDownRight = "eyeLookDownRight",
    EyeLookInRight = "eyeLookInRight",
    EyeLookOutRight = "eyeLookOutRight",
    EyeLookUpRight = "eyeLookUpRight",
    EyeSquintRight = "eyeSquintRight",
    EyeWideRight = "eyeWideRight",
    JawForward = "jawForward",
    JawLeft = "jawLeft",
    JawRight = "jawRight",
    JawOpen = "jawOpen",
    MouthClose = "mouthClose",
    MouthFunnel = "mouthFunnel",
    MouthPucker = "mouthPucker",
    MouthLeft = "mouthLeft",
    MouthRight = "mouthRight",
    MouthSmileLeft = "mouthSmileLeft",
    MouthSmileRight = "mouthSmileRight",
    MouthFrownLeft = "mouthFrownLeft",
    MouthFrownRight = "mouthFrownRight",
    MouthDimpleLeft = "mouthDimpleLeft",
    MouthDimpleRight = "mouthDimpleRight",
    MouthStretchLeft = "mouthStretchLeft",
    MouthStretchRight = "mouthStretchRight",
    MouthRollLower = "mouthRollLower",
    MouthRollUpper = "mouthRollUpper",
    MouthShrugLower = "mouthShrugLower",
    MouthShrugUpper = "mouthShrugUpper",
    MouthPressLeft = "mouthPressLeft",
    MouthPressRight = "mouthPressRight",
    MouthLowerDownLeft = "mouthLowerDownLeft",
    MouthLowerDownRight = "mouthLowerDownRight",
    MouthUpperUpLeft = "mouthUpperUpLeft",
    MouthUpperUpRight = "mouthUpperUpRight",
    BrowDownLeft = "browDownLeft",
    BrowDownRight = "browDownRight",
    BrowInnerUp = "browInnerUp",
    BrowOuterUpLeft = "browOuterUpLeft",
    BrowOuterUpRight = "browOuterUpRight",
    CheekPuff = "cheekPuff",
    CheekSquintLeft = "cheekSquintLeft",
    CheekSquintRight = "cheekSquintRight",
    NoseSneerLeft = "noseSneerLeft",
    NoseSneerRight = "noseSneerRight",
    TongueOut = "tongueOut",
}

impl fmt::Display for ArkitBlendshape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No blendshape of ARKit has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ARKit has no blendshape `{0}`; expected a name such as `jawOpen`")]
pub struct UnknownBlendshape(pub String);

/// Reads a name in any case: some capture apps write `JawOpen`.
impl FromStr for ArkitBlendshape {
    type Err = UnknownBlendshape;

    fn from_str(name: &str) -> Result<Self, UnknownBlendshape> {
        let found = Self::ALL.into_iter().find(|shape| shape.as_str().eq_ignore_ascii_case(name));
        found.ok_or_else(|| UnknownBlendshape(name.to_owned()))
    }
}

/// A weight for each blendshape, usually 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Reflect)]
#[reflect(Default, Clone, Debug, PartialEq)]
pub struct BlendshapeWeights([f32; BLENDSHAPES]);

impl BlendshapeWeights {
    /// The neutral face.
    pub const ZERO: Self = Self([0.0; BLENDSHAPES]);

    /// Each blendshape with its weight, in Apple's order.
    pub fn iter(&self) -> impl Iterator<Item = (ArkitBlendshape, f32)> {
        ArkitBlendshape::ALL.into_iter().zip(self.0)
    }

    /// The weights in Apple's order.
    pub fn as_array(&self) -> &[f32; BLENDSHAPES] {
        &self.0
    }

    pub(super) fn as_mut_array(&mut self) -> &mut [f32; BLENDSHAPES] {
        &mut self.0
    }

    /// Adds blendshapes, each times `weight`.
    pub(super) fn add(&mut self, shapes: &[(ArkitBlendshape, f32)], weight: f32) {
        for &(shape, share) in shapes {
            self[shape] += weight * share;
        }
    }
}

impl Default for BlendshapeWeights {
    fn default() -> Self {
        Self::ZERO
    }
}

impl From<[f32; BLENDSHAPES]> for BlendshapeWeights {
    fn from(weights: [f32; BLENDSHAPES]) -> Self {
        Self(weights)
    }
}

impl Index<ArkitBlendshape> for BlendshapeWeights {
    type Output = f32;

    fn index(&self, shape: ArkitBlendshape) -> &f32 {
        &self.0[shape as usize]
    }
}

impl IndexMut<ArkitBlendshape> for BlendshapeWeights {
    fn index_mut(&mut self, shape: ArkitBlendshape) -> &mut f32 {
        &mut self.0[shape as usize]
    }
}

/// A weight within 0 to 1; what is no number is 0.
pub(super) fn unit(weight: f32) -> f32 {
    if weight > 0.0 { weight.min(1.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::Bundle;

    #[test]
    fn the_default_bundles_head_has_these_names_in_this_order() {
        let bundle = Bundle::open(concat!(env!("CARGO_MANIFEST_DIR"), "/models/base")).unwrap();
        let names = &bundle.manifest().template.as_ref().unwrap().blendshapes;
        assert!(names.iter().eq(ArkitBlendshape::ALL.iter().map(|shape| shape.as_str())), "{names:?}");
    }

    #[test]
    fn names_are_read_in_any_case_and_others_are_refused() {
        for shape in ArkitBlendshape::ALL {
            assert_eq!(shape.to_string().parse(), Ok(shape));
            assert_eq!(shape.as_str().to_ascii_uppercase().parse(), Ok(shape));
        }
        let error = "eyeBlink".parse::<ArkitBlendshape>().unwrap_err();
        assert!(error.to_string().contains("`eyeBlink`"), "{error}");
    }

    #[test]
    fn a_unit_weight_is_never_outside_nor_without_a_number() {
        for (weight, expected) in
            [(f32::NAN, 0.0), (f32::INFINITY, 1.0), (f32::NEG_INFINITY, 0.0), (-0.1, 0.0), (0.25, 0.25), (1.5, 1.0)]
        {
            assert_eq!(unit(weight), expected);
        }
    }
}
