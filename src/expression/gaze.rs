//! Where the eyes point, and how they get there.

use bevy::{ecs::entity::MapEntities, prelude::*};

use super::{
    FaceRig,
    blendshape::unit,
    face::Face,
    fixation::{Fixation, NaturalGaze},
    rig::{EyeSide, angle_ahead},
    target::LookTargets,
};

/// Duration of a saccade: seconds, and seconds per radian of its amplitude. It is the "main sequence" that Bahill, Clark
/// and Stark found (Mathematical Biosciences 24, 1975), with Carpenter's numbers (Movements of the Eyes, 1988).
const SACCADE: [f32; 2] = [0.021, 0.0022 * 180.0 / std::f32::consts::PI];

/// Eyes that are further from their target, in radians, jump; nearer ones glide.
const JUMP: f32 = 0.026;

/// Time constant of gliding, in seconds.
const PURSUIT: f32 = 0.04;

/// The field that people follow with their eyes, in radians from straight ahead.
const FIELD: f32 = 1.2;

/// Has the eyes of an avatar point at something.
///
/// They jump to a target in the time of a saccade, and follow it from there. Each eye has its own direction, so that near
/// targets are looked at cross-eyed, as they should be. The eyes turn as far as the head's look blendshapes turn them (24°
/// to the sides, 18° up and 22° down with the default bundle), and rest where the target is too far around; the head stays
/// where it is, unless it has a [`HeadTurn`](super::HeadTurn). Removing the component lets the eyes go back.
#[derive(Component, Clone, Copy, Debug, PartialEq, Reflect)]
#[reflect(Component, Default, Clone, Debug, PartialEq)]
#[require(Face)]
pub struct LookAt {
    /// What to look at.
    #[entities]
    pub target: LookTarget,
    /// How far the eyes obey, 0 to 1, rather than to stay as the [layers](super#how-layers-combine) below have them.
    /// Default: 1.
    pub weight: f32,
    /// The largest angle from straight ahead, in radians, at which the target is followed. Default: 1.2 (69°).
    pub field: f32,
}

/// What to look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Reflect, MapEntities)]
#[reflect(Default, Clone, Debug, PartialEq)]
pub enum LookTarget {
    /// Nothing: the eyes are at rest.
    #[default]
    Nothing,
    /// An entity's place; of an avatar, the place between its eyes.
    Entity(#[entities] Entity),
    /// A place in the world.
    Position(Vec3),
}

impl Default for LookAt {
    fn default() -> Self {
        Self { target: LookTarget::Nothing, weight: 1.0, field: FIELD }
    }
}

impl LookAt {
    /// Looks at an entity: the camera, another avatar.
    pub fn entity(entity: Entity) -> Self {
        Self { target: LookTarget::Entity(entity), ..Self::default() }
    }

    /// Looks at a place in the world.
    pub fn position(place: Vec3) -> Self {
        Self { target: LookTarget::Position(place), ..Self::default() }
    }
}

/// Where the eyes point. Turns are weights of the look blendshapes, outwards and upwards.
#[derive(Clone, Debug, Default)]
pub(super) struct Gaze {
    eyes: [Vec2; 2],
    saccade: Option<Saccade>,
    /// Whether a target leads the eyes.
    led: bool,
    /// How far the small movements turn the eyes: to the person's left and upwards, in weights.
    small: [Vec2; 2],
    fixation: Option<Fixation>,
}

#[derive(Clone, Copy, Debug)]
struct Saccade {
    from: [Vec2; 2],
    elapsed: f32,
    duration: f32,
}

impl Gaze {
    /// Where an eye points, given where the layers below turn it.
    pub fn turn(&self, side: EyeSide, acted: Vec2) -> Vec2 {
        let eye = if self.led || self.saccade.is_some() { self.eyes[side as usize] } else { acted };
        (eye + self.small[side as usize]).clamp(Vec2::NEG_ONE, Vec2::ONE)
    }

    /// Moves the eyes towards their goal for `seconds`; whether they have moved. `led` says whether a target leads them.
    fn advance(&mut self, goal: [Vec2; 2], led: bool, reach: [Vec2; 2], seconds: f32) -> bool {
        let before = self.eyes;
        if self.led != led {
            self.led = led;
            self.begin(goal, reach);
        }
        if self.saccade.is_none() && led && self.distance(goal, reach) > JUMP {
            self.begin(goal, reach);
        }
        if let Some(saccade) = &mut self.saccade {
            saccade.elapsed += seconds;
            let share = unit(saccade.elapsed / saccade.duration);
            let from = saccade.from;
            self.eyes = std::array::from_fn(|eye| from[eye].lerp(goal[eye], minimum_jerk(share)));
            if share >= 1.0 {
                self.saccade = None;
                self.eyes = goal;
            }
        } else if led {
            let left = (-seconds / PURSUIT).exp();
            for (eye, goal) in self.eyes.iter_mut().zip(goal) {
                let next = goal + left * (*eye - goal);
                *eye = if next.distance_squared(goal) < 1e-8 { goal } else { next };
            }
        } else {
            self.eyes = goal;
        }
        self.eyes != before
    }

    fn begin(&mut self, goal: [Vec2; 2], reach: [Vec2; 2]) {
        let duration = saccade_duration(self.distance(goal, reach));
        self.saccade = Some(Saccade { from: self.eyes, elapsed: 0.0, duration });
    }

    /// The larger of the eyes' angles from their goals, in radians.
    fn distance(&self, goal: [Vec2; 2], reach: [Vec2; 2]) -> f32 {
        let angle = |eye: usize| ((goal[eye] - self.eyes[eye]) * reach[eye]).length();
        angle(0).max(angle(1))
    }
}

/// Seconds that a saccade of this amplitude, in radians, takes.
pub(super) fn saccade_duration(amplitude: f32) -> f32 {
    SACCADE[0] + SACCADE[1] * amplitude
}

/// The way of a movement that starts and ends at rest with the least jerk (Flash and Hogan, Journal of Neuroscience 5,
/// 1985); from 0 to 1.
pub(super) fn minimum_jerk(share: f32) -> f32 {
    share * share * share * (10.0 + share * (6.0 * share - 15.0))
}

/// What decides where the eyes point.
type Looking =
    (Option<&'static FaceRig>, Option<&'static LookAt>, Option<&'static NaturalGaze>, Option<&'static GlobalTransform>);

/// Turns eyes towards what they look at, and moves them a little while they do.
pub(super) fn advance(time: Res<Time>, mut faces: Query<(Entity, &mut Face, Looking)>, targets: LookTargets) {
    let seconds = time.delta_secs();
    for (entity, mut face, (rig, look, natural, place)) in &mut faces {
        let face = face.bypass_change_detection();
        let Some(rig) = rig else { continue };
        let acted = EyeSide::BOTH.map(|side| face.acted_gaze(side));
        let goal = look.zip(place).and_then(|(look, place)| {
            let target = targets.place(look.target)?;
            let target = place.affine().inverse().transform_point3(target);
            let aimed = aim(rig, look, target)?;
            Some(std::array::from_fn(|eye| {
                let captured = EyeSide::BOTH[eye].looks().map(|shape| face.covered[shape]);
                let share = unit(look.weight) * (1.0 - captured.into_iter().fold(0.0, f32::max));
                acted[eye].lerp(aimed[eye], share)
            }))
        });
        let reach = EyeSide::BOTH.map(|side| rig.reach(side).unwrap_or(Vec2::ONE));
        let led = goal.is_some();
        face.changed |= face.gaze.advance(goal.unwrap_or(acted), led, reach, seconds);

        let Some(natural) = natural else {
            face.changed |= face.gaze.fixation.take().is_some();
            face.gaze.small = [Vec2::ZERO; 2];
            continue;
        };
        let fixation = match &mut face.gaze.fixation {
            Some(fixation) if fixation.seed() == natural.seed => fixation,
            stale => stale.insert(Fixation::new(entity, natural)),
        };
        if fixation.advance(seconds, natural, !led) {
            let turn = fixation.turn();
            face.gaze.small =
                EyeSide::BOTH.map(|side| Vec2::new(side.outwards() * turn.x, turn.y) / reach[side as usize]);
            face.changed = true;
        }
    }
}

/// Turns of both eyes with which they point at a place in the head's frame; `None` where it is not followed.
fn aim(rig: &FaceRig, look: &LookAt, place: Vec3) -> Option<[Vec2; 2]> {
    if !place.is_finite() || angle_ahead(rig.between_eyes()?, place) > look.field {
        return None;
    }
    let [left, right] = EyeSide::BOTH.map(|side| rig.aim(side, place));
    Some([left?, right?])
}

#[cfg(test)]
mod tests {
    use super::*;

    const REACH: [Vec2; 2] = [Vec2::new(0.4, 0.35); 2];

    #[test]
    fn a_saccade_takes_the_time_of_its_amplitude_and_ends_on_a_target_that_moves() {
        for amplitude in [0.05f32, 0.2, 0.4] {
            let goal = [Vec2::new(amplitude / 0.4, 0.0); 2];
            let mut gaze = Gaze::default();
            let step = 1e-3;
            let mut seconds = 0.0;
            while gaze.eyes != goal {
                gaze.advance(goal, true, REACH, step);
                seconds += step;
                assert!(seconds < 0.2);
            }
            let expected = 0.021 + 0.0022 * amplitude.to_degrees();
            assert!((seconds - expected).abs() < 2.0 * step, "{amplitude}: {seconds} s");
        }
    }

    #[test]
    fn slow_targets_are_followed_closely() {
        let mut gaze = Gaze::default();
        let mut goal = [Vec2::ZERO; 2];
        for frame in 0..240 {
            // 15 degrees a second.
            goal = [Vec2::new((frame as f32 / 60.0 * 1.5).sin() * 0.15 / 0.4, 0.0); 2];
            gaze.advance(goal, true, REACH, 1.0 / 60.0);
        }
        assert!(gaze.distance(goal, REACH) < 0.02, "{}", gaze.distance(goal, REACH).to_degrees());
    }

    #[test]
    fn eyes_that_are_let_go_return_to_the_layers_below() {
        let mut gaze = Gaze::default();
        let target = [Vec2::new(0.5, -0.5); 2];
        for _ in 0..60 {
            gaze.advance(target, true, REACH, 1.0 / 60.0);
        }
        assert_eq!(gaze.turn(EyeSide::Left, Vec2::ZERO), target[0]);
        let acted = [Vec2::new(0.1, 0.2); 2];
        gaze.advance(acted, false, REACH, 1e-3);
        assert!(gaze.turn(EyeSide::Left, acted[0]).distance(target[0]) < 0.1, "no jump");
        for _ in 0..60 {
            gaze.advance(acted, false, REACH, 1.0 / 60.0);
        }
        assert_eq!(gaze.turn(EyeSide::Right, acted[1]), acted[1]);
    }
}
