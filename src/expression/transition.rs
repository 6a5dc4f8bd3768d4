//! Smooth ways from one set of weights to another.

use super::{BlendshapeWeights, blendshape::BLENDSHAPES};

/// A cubic Hermite curve for each weight, from where it is, with the velocity that it has, to a target at rest.
///
/// From rest it is smoothstep: monotone, and exactly on the target when the time is over. A target that changes on the way
/// leaves the velocity as it is, without a jerk, even where it changes in every frame. The weights are a function of the
/// time alone, whatever the frames are. They do not overshoot: a velocity towards the target is kept below the limit of
/// Fritsch and Carlson ("Monotone piecewise cubic interpolation", SIAM Journal on Numerical Analysis 17, 1980).
#[derive(Clone, Debug, Default)]
pub(super) struct Transition {
    from: BlendshapeWeights,
    /// In weights per second.
    velocity: BlendshapeWeights,
    to: BlendshapeWeights,
    elapsed: f32,
    /// 0 where nothing moves.
    duration: f32,
    now: BlendshapeWeights,
}

impl Transition {
    /// Where the weights are.
    pub fn now(&self) -> &BlendshapeWeights {
        &self.now
    }

    /// Sets off to a target that is reached after `duration` seconds. Nothing happens where it is the target already.
    pub fn retarget(&mut self, to: BlendshapeWeights, duration: f32) {
        if to == self.to {
            return;
        }
        let velocity = self.velocity_now();
        *self = Self { from: self.now, velocity, to, elapsed: 0.0, duration: duration.max(0.0), now: self.now };
        for shape in 0..BLENDSHAPES {
            let [from, to, velocity] = [&self.from, &self.to, &self.velocity].map(|weights| weights.as_array()[shape]);
            let limit = 3.0 * (to - from) / self.duration.max(f32::MIN_POSITIVE);
            let limited = if limit > 0.0 { velocity.min(limit) } else { velocity.max(limit) };
            self.velocity.as_mut_array()[shape] = limited;
        }
    }

    /// Moves on by `seconds`; whether a weight has changed.
    pub fn advance(&mut self, seconds: f32) -> bool {
        if self.now == self.to && self.elapsed >= self.duration {
            return false;
        }
        self.elapsed += seconds;
        if self.elapsed >= self.duration {
            self.now = self.to;
            self.velocity = BlendshapeWeights::ZERO;
            return true;
        }
        let share = self.elapsed / self.duration;
        let to = share * share * (3.0 - 2.0 * share);
        let tangent = self.duration * share * (1.0 - share) * (1.0 - share);
        for shape in 0..BLENDSHAPES {
            let [from, end, velocity] = [&self.from, &self.to, &self.velocity].map(|weights| weights.as_array()[shape]);
            // A weight that was on its way out may swing past its end.
            let weight = from + to * (end - from) + tangent * velocity;
            self.now.as_mut_array()[shape] = weight.clamp(0.0, 1.0);
        }
        true
    }

    fn velocity_now(&self) -> BlendshapeWeights {
        if self.elapsed >= self.duration {
            return BlendshapeWeights::ZERO;
        }
        let share = self.elapsed / self.duration;
        let mut now = BlendshapeWeights::ZERO;
        for shape in 0..BLENDSHAPES {
            let [from, to, velocity] = [&self.from, &self.to, &self.velocity].map(|weights| weights.as_array()[shape]);
            now.as_mut_array()[shape] = 6.0 * share * (1.0 - share) * (to - from) / self.duration
                + (1.0 - share) * (1.0 - 3.0 * share) * velocity;
        }
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::ArkitBlendshape::JawOpen;

    fn open(weight: f32) -> BlendshapeWeights {
        let mut weights = BlendshapeWeights::ZERO;
        weights[JawOpen] = weight;
        weights
    }

    #[test]
    fn from_rest_it_is_smoothstep_and_ends_exactly() {
        for frames in [3, 7, 60] {
            let mut transition = Transition::default();
            transition.retarget(open(0.8), 0.5);
            for frame in 1..frames {
                assert!(transition.advance(0.5 / frames as f32));
                let share = frame as f32 / frames as f32;
                let expected = 0.8 * share * share * (3.0 - 2.0 * share);
                assert!((transition.now()[JawOpen] - expected).abs() < 1e-5, "frame {frame} of {frames}");
            }
            assert!(transition.advance(0.5));
            assert_eq!(transition.now()[JawOpen], 0.8);
            assert!(!transition.advance(0.1), "nothing changes any more");
        }
    }

    #[test]
    fn a_new_target_on_the_way_keeps_place_and_velocity() {
        let step = 1e-3;
        let mut transition = Transition::default();
        transition.retarget(open(1.0), 0.4);
        transition.advance(0.15);
        let before = transition.now()[JawOpen];
        transition.advance(step);
        let [place, velocity] = [transition.now()[JawOpen], (transition.now()[JawOpen] - before) / step];
        transition.retarget(open(0.2), 0.4);
        assert_eq!(transition.now()[JawOpen], place);
        transition.advance(step);
        let after = (transition.now()[JawOpen] - place) / step;
        assert!((after - velocity).abs() < 0.05 * velocity, "{velocity} became {after}");
        transition.advance(0.4);
        assert_eq!(transition.now()[JawOpen], 0.2);
    }

    #[test]
    fn a_target_that_changes_in_every_frame_is_followed() {
        let mut transition = Transition::default();
        for frame in 0..120 {
            transition.retarget(open(0.5 + 0.001 * (frame % 2) as f32), 0.3);
            transition.advance(1.0 / 60.0);
        }
        assert!((transition.now()[JawOpen] - 0.5).abs() < 0.01, "{}", transition.now()[JawOpen]);
    }

    #[test]
    fn without_a_duration_it_is_there_at_once() {
        let mut transition = Transition::default();
        transition.retarget(open(0.3), 0.0);
        assert!(transition.advance(0.0));
        assert_eq!(transition.now()[JawOpen], 0.3);
    }
}
