//! The expression that a face is asked to show.

use std::time::Duration;

use bevy::prelude::*;

use super::{ArkitBlendshape, BlendshapeWeights, ExpressionPreset, blendshape::unit, face::Face, preset::PRESETS};

/// How long an expression takes to appear where nothing else is asked for.
const TRANSITION: Duration = Duration::from_millis(350);

/// What a face shows: preset expressions and single blendshapes, mixed by their weights. Whenever it changes, the face goes
/// there smoothly.
///
/// ```
/// use bevy_fitdiff::prelude::*;
///
/// let mut expression = Expression::of(ExpressionPreset::Happy);
/// expression.set_blendshape(ArkitBlendshape::BrowInnerUp, 0.4);
/// // Later: another one takes its place.
/// expression.show(ExpressionPreset::Surprised, 0.8);
/// assert_eq!(expression.preset(ExpressionPreset::Happy), 0.0);
/// ```
///
/// It is the lowest of the [layers](super#how-layers-combine) of a face. Removing the component is to show nothing.
#[derive(Component, Clone, Debug, PartialEq, Reflect)]
#[reflect(Component, Default, Clone, Debug, PartialEq)]
#[require(Face)]
pub struct Expression {
    presets: [f32; PRESETS],
    blendshapes: BlendshapeWeights,
    /// How long the face takes from what it shows to what is asked for. The way is a smoothstep, whatever the frames are,
    /// and ends exactly. Default: 0.35 s.
    pub transition: Duration,
}

impl Default for Expression {
    fn default() -> Self {
        Self { presets: [0.0; PRESETS], blendshapes: BlendshapeWeights::ZERO, transition: TRANSITION }
    }
}

impl Expression {
    /// A preset at full weight.
    pub fn of(preset: ExpressionPreset) -> Self {
        let mut expression = Self::default();
        expression.set_preset(preset, 1.0);
        expression
    }

    /// The same with another duration of its transitions.
    pub fn with_transition(mut self, transition: Duration) -> Self {
        self.transition = transition;
        self
    }

    /// Shows a preset with a weight of 0 to 1, and nothing else.
    pub fn show(&mut self, preset: ExpressionPreset, weight: f32) {
        self.clear();
        self.set_preset(preset, weight);
    }

    /// Shows nothing: the neutral face.
    pub fn clear(&mut self) {
        self.presets = [0.0; PRESETS];
        self.blendshapes = BlendshapeWeights::ZERO;
    }

    /// Sets the weight of one preset, 0 to 1, beside the others.
    pub fn set_preset(&mut self, preset: ExpressionPreset, weight: f32) {
        self.presets[preset as usize] = unit(weight);
    }

    /// The weight of a preset.
    pub fn preset(&self, preset: ExpressionPreset) -> f32 {
        self.presets[preset as usize]
    }

    /// Sets the weight of one blendshape, 0 to 1, on top of what the presets make of it.
    pub fn set_blendshape(&mut self, shape: ArkitBlendshape, weight: f32) {
        self.blendshapes[shape] = unit(weight);
    }

    /// The weight of a blendshape on top of the presets.
    pub fn blendshape(&self, shape: ArkitBlendshape) -> f32 {
        self.blendshapes[shape]
    }

    /// What the face shows once the transition is over: presets and blendshapes added up, 0 to 1.
    pub fn weights(&self) -> BlendshapeWeights {
        let mut weights = self.blendshapes;
        for (preset, weight) in ExpressionPreset::ALL.into_iter().zip(self.presets) {
            if weight != 0.0 {
                weights.add(preset.blendshapes(), weight);
            }
        }
        weights.as_array().map(unit).into()
    }
}

/// Exactly these weights, without presets.
impl From<BlendshapeWeights> for Expression {
    fn from(weights: BlendshapeWeights) -> Self {
        Self { blendshapes: weights.as_array().map(unit).into(), ..Self::default() }
    }
}

/// Leads the faces' lowest layer to what is asked for.
pub(super) fn advance(time: Res<Time>, mut faces: Query<(&mut Face, Option<Ref<Expression>>)>) {
    let seconds = time.delta_secs();
    for (mut face, expression) in &mut faces {
        let face = face.bypass_change_detection();
        match expression {
            Some(expression) if expression.is_changed() => {
                face.expression.retarget(expression.weights(), expression.transition.as_secs_f32());
            }
            Some(_) => {}
            None => face.expression.retarget(BlendshapeWeights::ZERO, TRANSITION.as_secs_f32()),
        }
        face.changed |= face.expression.advance(seconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_and_blendshapes_add_up_within_0_to_1() {
        let mut expression = Expression::of(ExpressionPreset::Happy);
        expression.set_preset(ExpressionPreset::Relaxed, 1.0);
        expression.set_blendshape(ArkitBlendshape::JawOpen, 0.3);
        let weights = expression.weights();
        assert_eq!(weights[ArkitBlendshape::MouthSmileLeft], 1.0, "0.95 and 0.35 are more than there is");
        assert_eq!(weights[ArkitBlendshape::JawOpen], 0.3);
        assert_eq!(Expression::from(weights).weights(), weights);
        expression.show(ExpressionPreset::BlinkLeft, f32::NAN);
        assert_eq!(expression.weights(), BlendshapeWeights::ZERO);
    }
}
