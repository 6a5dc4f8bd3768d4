//! The small movements of eyes that look at something, and the wandering of those that do not.

use bevy::prelude::*;

use super::{
    blendshape::unit,
    face::Face,
    gaze::{minimum_jerk, saccade_duration},
    random::Random,
};

/// Seconds from one movement to the next: a refractory time and the mean of what follows, exponential. Together 1.4
/// movements a second (Martinez-Conde, Macknik and Hubel, "The role of fixational eye movements in visual perception",
/// Nature Reviews Neuroscience 5, 2004).
const PAUSE: [f32; 2] = [0.2, 0.5];

/// The largest of the small movements, in multiples of their mean.
const LARGEST: f32 = 2.5;

/// How probable it is that eyes which look at nothing wander on, in each movement: every two seconds.
const WANDERS: f32 = 0.35;

/// How much less eyes wander up and down than to the sides.
const FLAT: f32 = 0.4;

/// A longer stop of the world, in seconds, is not made up for.
const LONGEST_STEP: f32 = 10.0;

/// What keeps the stream of movements apart from other uses of a seed.
const STREAM: u64 = 2;

/// Eyes that are never quite still: small saccades around what is looked at, larger ones where the avatar looks at nothing.
/// They take the time that saccades of their size take.
///
/// The same seed gives the same movements.
#[derive(Component, Clone, Copy, Debug, PartialEq, Reflect)]
#[reflect(Component, Default, Clone, Debug, PartialEq)]
#[require(Face)]
pub struct NaturalGaze {
    /// Mean distance in radians of the small movements from what is looked at; none is larger than two and a half times as
    /// much. Default: 0.005 (0.3°).
    pub small: f32,
    /// Standard deviation in radians of the directions in which eyes wander that look at nothing; half as much up and down.
    /// Default: 0.08 (4.6°).
    pub wander: f32,
    /// Decides the movements; `None` takes what tells the entity from others.
    pub seed: Option<u64>,
}

impl Default for NaturalGaze {
    fn default() -> Self {
        Self { small: 0.005, wander: 0.08, seed: None }
    }
}

/// The movement that the eyes are at. Turns are to the person's left and upwards, in radians.
#[derive(Clone, Debug)]
pub(super) struct Fixation {
    random: Random,
    seed: Option<u64>,
    wanders: bool,
    /// What the small movements go around.
    around: Vec2,
    from: Vec2,
    to: Vec2,
    elapsed: f32,
    duration: f32,
    pause: f32,
}

impl Fixation {
    pub fn new(entity: Entity, settings: &NaturalGaze) -> Self {
        let mut random = Random::of(entity, settings.seed, STREAM);
        let pause = random.exponential(PAUSE[1]);
        let [around, from, to] = [Vec2::ZERO; 3];
        Self { random, seed: settings.seed, wanders: false, around, from, to, elapsed: 0.0, duration: 0.0, pause }
    }

    pub fn seed(&self) -> Option<u64> {
        self.seed
    }

    /// How far the eyes are turned from what they look at.
    pub fn turn(&self) -> Vec2 {
        let share = if self.duration > 0.0 { unit(self.elapsed / self.duration) } else { 1.0 };
        self.from.lerp(self.to, minimum_jerk(share))
    }

    /// Moves on by `seconds`; whether the eyes have moved. They may wander where nothing leads them.
    pub fn advance(&mut self, seconds: f32, settings: &NaturalGaze, may_wander: bool) -> bool {
        let before = self.turn();
        self.elapsed += LONGEST_STEP * unit(seconds / LONGEST_STEP);
        if self.wanders && !may_wander {
            // There is something to look at now.
            self.around = Vec2::ZERO;
            self.begin(before, settings);
        }
        self.wanders = may_wander;
        while self.elapsed >= self.duration + self.pause {
            let late = self.elapsed - self.duration - self.pause;
            if may_wander && self.random.uniform() < WANDERS {
                let [x, y] = [self.random.normal(), FLAT * self.random.normal()];
                self.around = finite(settings.wander) * Vec2::new(x, y).clamp_length_max(2.0);
            }
            self.begin(self.to, settings);
            self.elapsed = late;
        }
        self.turn() != before
    }

    fn begin(&mut self, from: Vec2, settings: &NaturalGaze) {
        let length = self.random.exponential(1.0).min(LARGEST);
        let angle = self.random.between([0.0, std::f32::consts::TAU]);
        self.from = from;
        self.to = self.around + finite(settings.small) * length * Vec2::from_angle(angle);
        self.duration = saccade_duration(from.distance(self.to));
        self.pause = PAUSE[0] + self.random.exponential(PAUSE[1]);
        self.elapsed = 0.0;
    }
}

/// An angle that eyes can turn by.
fn finite(angle: f32) -> f32 {
    unit(angle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_movements_stay_small_and_come_one_and_a_half_times_a_second() {
        let settings = NaturalGaze { seed: Some(4), ..default() };
        let mut fixation = Fixation::new(Entity::PLACEHOLDER, &settings);
        let (frames, rate) = (60 * 600, 60.0);
        let (mut movements, mut moved) = (0, false);
        for _ in 0..frames {
            let moves = fixation.advance(1.0 / rate, &settings, false);
            movements += u32::from(moves && !moved);
            moved = moves;
            assert!(fixation.turn().length() <= 2.5 * settings.small + 1e-6);
        }
        let rate = movements as f32 / 600.0;
        assert!((1.1..1.6).contains(&rate), "{rate} a second");
    }

    #[test]
    fn eyes_without_a_target_wander_around_straight_ahead_and_stop_when_there_is_one() {
        let settings = NaturalGaze { seed: Some(4), ..default() };
        let mut fixation = Fixation::new(Entity::PLACEHOLDER, &settings);
        let (mut sum, mut squares) = (Vec2::ZERO, Vec2::ZERO);
        let frames = 60 * 1200;
        for _ in 0..frames {
            fixation.advance(1.0 / 60.0, &settings, true);
            sum += fixation.turn();
            squares += fixation.turn() * fixation.turn();
        }
        let [mean, spread] = [sum / frames as f32, (squares / frames as f32).map(f32::sqrt)];
        assert!(mean.length() < 0.015, "{mean}");
        assert!((0.06..0.09).contains(&spread.x) && (0.02..0.04).contains(&spread.y), "{spread}");
        for _ in 0..12 {
            fixation.advance(1.0 / 60.0, &settings, false);
        }
        assert!(fixation.turn().length() <= 2.5 * settings.small, "{}", fixation.turn());
    }
}
