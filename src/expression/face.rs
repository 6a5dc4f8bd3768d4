//! The layers of a face, and what they make together.

use bevy::{mesh::morph::MorphWeights, prelude::*};

use super::{
    ArkitBlendshape, BlendshapeWeights, FaceRig, Viseme, blendshape::unit, blink::Blinking, gaze::Gaze, rig::EyeSide,
    transition::Transition, viseme::VISEMES,
};

/// What the layers of a face are at. It comes with the first of their components and stays with the entity.
#[derive(Component, Clone, Debug, Default)]
pub(super) struct Face {
    /// The lowest layer: the expression that is asked for.
    pub expression: Transition,
    /// Sequences, each weight times the part of the face that it has.
    pub played: BlendshapeWeights,
    /// How far sequences have each blendshape, 0 to 1.
    pub covered: BlendshapeWeights,
    /// Weights of the visemes that are spoken.
    pub sounds: [f32; VISEMES],
    /// The blink that comes by itself.
    pub blinking: Option<Blinking>,
    /// Where the eyes point.
    pub gaze: Gaze,
    /// Whether a layer has changed since the weights were written.
    pub changed: bool,
}

/// How much of a mouth's blendshape is left while the face speaks. Smiles and frowns are heard, and stay in part; all that
/// forms the lips yields to the sounds.
const MOUTH_LEFT: [(ArkitBlendshape, f32); 27] = {
    use ArkitBlendshape::*;
    const CORNER: f32 = 0.5;
    [
        (JawForward, 0.5),
        (JawLeft, 0.5),
        (JawRight, 0.5),
        (JawOpen, 0.0),
        (MouthClose, 0.0),
        (MouthFunnel, 0.0),
        (MouthPucker, 0.0),
        (MouthLeft, 0.5),
        (MouthRight, 0.5),
        (MouthSmileLeft, CORNER),
        (MouthSmileRight, CORNER),
        (MouthFrownLeft, CORNER),
        (MouthFrownRight, CORNER),
        (MouthDimpleLeft, CORNER),
        (MouthDimpleRight, CORNER),
        (MouthStretchLeft, CORNER),
        (MouthStretchRight, CORNER),
        (MouthRollLower, 0.0),
        (MouthRollUpper, 0.0),
        (MouthShrugLower, 0.0),
        (MouthShrugUpper, 0.0),
        (MouthPressLeft, 0.0),
        (MouthPressRight, 0.0),
        (MouthLowerDownLeft, 0.0),
        (MouthLowerDownRight, 0.0),
        (MouthUpperUpLeft, 0.0),
        (MouthUpperUpRight, 0.0),
    ]
};

/// How much further than the look blendshapes take it a lid follows its eye: of a blink at the lowest gaze, and of wide
/// eyes at the highest. In people the upper lid goes with the eye degree for degree (Becker and Fuchs, "Lid-eye
/// coordination during vertical gaze changes in man and monkey", Journal of Neurophysiology 60, 1988).
const LID_FOLLOWS: [f32; 2] = [0.22, 0.4];

/// From this closure on the eyeball returns to rest behind its lids: closed lids fit one place of the eye.
const HIDDEN: f32 = 0.6;

impl Face {
    /// Expression and sequences: what is below speech, gaze and blinks.
    pub fn acted(&self, shape: ArkitBlendshape) -> f32 {
        self.expression.now()[shape] * (1.0 - self.covered[shape]) + self.played[shape]
    }

    /// Where expression and sequences turn an eye: outwards and upwards, as weights of the look blendshapes.
    pub fn acted_gaze(&self, side: EyeSide) -> Vec2 {
        let [down, inwards, out, up] = side.looks().map(|shape| self.acted(shape));
        Vec2::new(out - inwards, up - down)
    }

    /// The weights of all layers together.
    fn compose(&self, rig: &FaceRig) -> BlendshapeWeights {
        let mut weights = BlendshapeWeights::ZERO;
        for shape in ArkitBlendshape::ALL {
            weights[shape] = self.acted(shape);
        }
        self.speak(&mut weights);
        for side in EyeSide::BOTH {
            self.look(side, rig, &mut weights);
        }
        weights.as_array().map(unit).into()
    }

    /// Gives the mouth to speech.
    fn speak(&self, weights: &mut BlendshapeWeights) {
        let speech: f32 = self.sounds.iter().sum();
        if speech > 0.0 {
            for (shape, left) in MOUTH_LEFT {
                weights[shape] *= 1.0 - speech.min(1.0) * (1.0 - left);
            }
            for (viseme, &weight) in Viseme::ALL.into_iter().zip(&self.sounds).filter(|(_, weight)| **weight > 0.0) {
                weights.add(viseme.blendshapes(), weight);
            }
        }
        // It seals the lips before an open jaw: more of it than of the jaw would push them into each other.
        let jaw = weights[ArkitBlendshape::JawOpen];
        weights[ArkitBlendshape::MouthClose] = weights[ArkitBlendshape::MouthClose].min(jaw);
    }

    /// Turns an eye, and closes its lids as far as all that closes them does together.
    fn look(&self, side: EyeSide, rig: &FaceRig, weights: &mut BlendshapeWeights) {
        let [blink, squint, wide] = side.lids();
        let captured = self.covered[blink];
        let gaze = self.gaze.turn(side, self.acted_gaze(side));
        // In captures the lids follow already.
        let follows = Vec2::new(-gaze.y, gaze.y).max(Vec2::ZERO) * Vec2::from(LID_FOLLOWS) * (1.0 - captured);
        let blinking = self.blinking.as_ref().map_or(0.0, Blinking::closure) * (1.0 - captured);
        // Each closes a part of what the others leave open.
        let closure = 1.0 - (1.0 - unit(weights[blink])) * (1.0 - follows.x) * (1.0 - blinking);
        let open = 1.0 - closure;
        let seen = 1.0 - smooth_step((closure - HIDDEN) / (1.0 - HIDDEN));
        let gaze = gaze * seen;
        let [down, inwards, out, up] = side.looks();
        for (shape, turn) in [(out, gaze.x), (inwards, -gaze.x), (up, gaze.y), (down, -gaze.y)] {
            weights[shape] = turn.max(0.0);
        }
        // The look blendshapes move lids as well; what they do is no longer to be done.
        let moved = rig.lid_travel(side, gaze.y);
        weights[blink] = closure * (1.0 - moved);
        weights[wide] = (weights[wide] + follows.y) * open;
        weights[squint] *= open;
    }
}

/// Writes the weights of faces whose layers have changed, and of those that somebody else has written to.
pub(super) fn apply(mut faces: Query<(&mut Face, Ref<FaceRig>, &mut MorphWeights)>) {
    for (mut face, rig, mut weights) in &mut faces {
        if !(face.changed || rig.is_changed() || weights.is_changed()) {
            continue;
        }
        let face = face.bypass_change_detection();
        face.changed = false;
        let composed = face.compose(&rig);
        if rig.differs(&composed, weights.weights()) {
            rig.write(&composed, weights.weights_mut());
        }
    }
}

/// 0 below 0, 1 above 1, smooth between.
pub(super) fn smooth_step(share: f32) -> f32 {
    let share = unit(share);
    share * share * (3.0 - 2.0 * share)
}

#[cfg(test)]
mod tests {
    use ArkitBlendshape::*;

    use super::*;
    use crate::expression::{Expression, ExpressionPreset};

    fn showing(expression: &Expression) -> Face {
        let mut face = Face::default();
        face.expression.retarget(expression.weights(), 0.0);
        face.expression.advance(0.0);
        face
    }

    #[test]
    fn a_preset_alone_is_what_it_says() {
        for preset in ExpressionPreset::ALL {
            let expression = Expression::of(preset);
            let composed = showing(&expression).compose(&FaceRig::default());
            for (shape, weight) in expression.weights().iter() {
                // Lids follow the eyes, and squinting eyes are closed in part.
                let lid = shape.as_str().starts_with("eyeBlink") || shape.as_str().starts_with("eyeWide");
                let squint = shape.as_str().starts_with("eyeSquint");
                if preset.blendshapes().iter().all(|(used, _)| !used.as_str().starts_with("eye")) || !(lid || squint) {
                    assert!((composed[shape] - weight).abs() < 1e-6, "{preset}: {shape} is {}", composed[shape]);
                }
            }
        }
    }

    #[test]
    fn closed_lids_are_the_same_whatever_else_moves_them() {
        let closed = showing(&Expression::of(ExpressionPreset::Blink)).compose(&FaceRig::default());
        let mut strained = Expression::of(ExpressionPreset::Blink);
        for shape in [EyeSquintLeft, EyeWideLeft, EyeLookUpLeft, EyeSquintRight, EyeWideRight, EyeLookDownRight] {
            strained.set_blendshape(shape, 1.0);
        }
        assert_eq!(showing(&strained).compose(&FaceRig::default()), closed);
        assert_eq!((closed[EyeBlinkLeft], closed[EyeBlinkRight]), (1.0, 1.0));
    }

    #[test]
    fn the_mouth_of_an_expression_yields_to_speech_and_its_smile_stays_in_part() {
        let mut face = showing(&Expression::of(ExpressionPreset::Surprised));
        face.sounds[Viseme::Pp as usize] = 1.0;
        let composed = face.compose(&FaceRig::default());
        assert_eq!(composed[JawOpen], 0.0, "lips meet");
        assert_eq!(composed[BrowInnerUp], 0.9, "brows have no part in speech");
        let mut face = showing(&Expression::of(ExpressionPreset::Happy));
        face.sounds[Viseme::Aa as usize] = 0.5;
        let composed = face.compose(&FaceRig::default());
        assert!((composed[MouthSmileLeft] - 0.95 * 0.75).abs() < 1e-6, "{}", composed[MouthSmileLeft]);
        assert!((composed[JawOpen] - 0.25).abs() < 1e-6);
    }

    #[test]
    fn a_sequence_has_its_blendshapes_and_leaves_the_others() {
        let mut face = showing(&Expression::of(ExpressionPreset::Happy));
        face.covered[MouthSmileLeft] = 0.75;
        face.played[MouthSmileLeft] = 0.75 * 0.2;
        let composed = face.compose(&FaceRig::default());
        assert!((composed[MouthSmileLeft] - (0.25 * 0.95 + 0.75 * 0.2)).abs() < 1e-6);
        assert!((composed[MouthSmileRight] - 0.95).abs() < 1e-6);
    }

    #[test]
    fn lips_are_not_closed_further_than_the_jaw_is_open() {
        let mut expression = Expression::default();
        expression.set_blendshape(MouthClose, 0.9);
        expression.set_blendshape(JawOpen, 0.3);
        assert_eq!(showing(&expression).compose(&FaceRig::default())[MouthClose], 0.3);
    }

    #[test]
    fn every_combination_stays_within_0_to_1() {
        let mut random = super::super::random::Random::new(3);
        for _ in 0..2000 {
            let mut expression = Expression::default();
            for shape in ArkitBlendshape::ALL {
                expression.set_blendshape(shape, random.between([-0.5, 1.5]));
            }
            let mut face = showing(&expression);
            for shape in ArkitBlendshape::ALL {
                face.covered[shape] = random.uniform();
                face.played[shape] = face.covered[shape] * random.uniform();
            }
            face.sounds = std::array::from_fn(|_| random.uniform() / VISEMES as f32);
            let composed = face.compose(&FaceRig::default());
            assert!(composed.as_array().iter().all(|weight| (0.0..=1.0).contains(weight)), "{composed:?}");
        }
    }
}
