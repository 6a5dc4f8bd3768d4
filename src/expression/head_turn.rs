//! The head's share in looking at something.

use bevy::prelude::*;

use super::{FaceRig, LookAt, rig::angle_ahead, target::LookTargets};

/// A critically damped movement has come this near, in multiples of its time constant, to 95 % of its way.
const SETTLED: f32 = 4.74;

/// Has the head take part in [`LookAt`]: it turns a share of the way, slower than the eyes, which make up for the rest.
///
/// With this component bevy_fitdiff owns the rotation of the entity's [`Transform`]; without it the game does. Where the
/// head belongs to a body, leave it out, turn the neck yourself, and the eyes do the rest all the same.
#[derive(Component, Clone, Copy, Debug, PartialEq, Reflect)]
#[reflect(Component, Default, Clone, Debug, PartialEq)]
pub struct HeadTurn {
    /// The head's share of the angle between straight ahead and the target, 0 to 1. Default: 0.5.
    pub share: f32,
    /// Largest turn in radians, to the sides and up or down. Default: 0.7 and 0.4 (40° and 23°).
    pub limits: Vec2,
    /// Seconds until it has made 95 % of its way. Default: 0.6.
    pub settle: f32,
    /// The rotation of a head that looks straight ahead, relative to its parent. `None` takes the one that the entity has
    /// when the head first turns.
    pub rest: Option<Quat>,
}

impl Default for HeadTurn {
    fn default() -> Self {
        Self { share: 0.5, limits: Vec2::new(0.7, 0.4), settle: 0.6, rest: None }
    }
}

/// Yaw to the person's left and pitch upwards, in radians, and how fast they change.
#[derive(Component, Clone, Copy, Debug, Default)]
pub(super) struct Turning {
    rest: Option<Quat>,
    angles: Vec2,
    velocity: Vec2,
}

impl Turning {
    /// Moves towards a goal for `seconds` as a critically damped spring does, solved exactly.
    fn advance(&mut self, goal: Vec2, settle: f32, seconds: f32) {
        if settle.is_nan() || settle <= 0.0 {
            *self = Self { rest: self.rest, angles: goal, velocity: Vec2::ZERO };
            return;
        }
        let rate = SETTLED / settle;
        let away = self.angles - goal;
        let drift = self.velocity + rate * away;
        let decay = (-rate * seconds).exp();
        self.angles = goal + (away + drift * seconds) * decay;
        self.velocity = (self.velocity - rate * drift * seconds) * decay;
    }
}

type Turned = (&'static HeadTurn, &'static LookAt, Option<&'static FaceRig>, Option<&'static ChildOf>);

/// Turns the heads of avatars that look at something.
pub(super) fn advance(
    time: Res<Time>,
    mut heads: Query<(Turned, &mut Turning, &mut Transform)>,
    targets: LookTargets,
    parents: Query<&GlobalTransform>,
) {
    let seconds = time.delta_secs();
    for ((head, look, rig, parent), mut turning, mut transform) in &mut heads {
        let rest = head.rest.or(turning.rest).unwrap_or(transform.rotation);
        turning.rest = Some(rest);
        let parent = parent.and_then(|parent| parents.get(parent.parent()).ok()).copied().unwrap_or_default();
        let frame = parent * transform.with_rotation(rest);
        let goal = targets.place(look.target).and_then(|target| {
            let place = frame.affine().inverse().transform_point3(target);
            let eyes = rig.and_then(FaceRig::between_eyes).unwrap_or(Vec3::ZERO);
            // A head that turns brings further targets into the eyes' field.
            let followed = place.is_finite() && angle_ahead(eyes, place) <= look.field + head.limits.x;
            followed.then(|| {
                let towards = place - eyes;
                let angles = Vec2::new(towards.x.atan2(towards.z), towards.y.atan2(towards.xz().length()));
                (head.share * look.weight * angles).clamp(-head.limits.abs(), head.limits.abs())
            })
        });
        let goal = goal.filter(|goal| goal.is_finite()).unwrap_or(Vec2::ZERO);
        turning.advance(goal, head.settle, seconds);
        let Vec2 { x: yaw, y: pitch } = turning.angles;
        let rotation = rest * Quat::from_euler(EulerRot::YXZ, yaw, -pitch, 0.0);
        if rotation.is_finite() && transform.rotation != rotation {
            transform.rotation = rotation;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_is_the_same_whatever_the_frames_are_and_does_not_overshoot() {
        let goal = Vec2::new(0.5, -0.2);
        let [mut fine, mut coarse] = [Turning::default(); 2];
        for _ in 0..30 {
            (0..8).for_each(|_| fine.advance(goal, 0.6, 1.0 / 240.0));
            coarse.advance(goal, 0.6, 1.0 / 30.0);
            assert!(fine.angles.distance(coarse.angles) < 1e-4);
            assert!(fine.angles.x <= goal.x && fine.angles.y >= goal.y);
        }
        assert!(fine.angles.distance(goal) < 0.01);
    }

    #[test]
    fn it_has_made_95_percent_of_its_way_after_the_stated_time() {
        let mut turning = Turning::default();
        turning.advance(Vec2::X, 0.6, 0.6);
        assert!((turning.angles.x - 0.95).abs() < 0.005, "{}", turning.angles.x);
    }
}
