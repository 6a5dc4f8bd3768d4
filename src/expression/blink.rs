//! Blinks that come by themselves.

use bevy::prelude::*;

use super::{
    blendshape::unit,
    face::{Face, smooth_step},
    random::Random,
};

/// Standard deviation of the logarithm of the time between blinks: their distribution is skewed, with a long tail.
const SPREAD: f32 = 0.6;

/// Seconds in which the lids close, stay closed, and open; uniform within (VanderWerf et al., "Eyelid movements: behavioral
/// studies of blinking in humans under different stimulus conditions", Journal of Neurophysiology 89, 2003).
const CLOSING: [f32; 2] = [0.06, 0.09];
const CLOSED: [f32; 2] = [0.01, 0.03];
const OPENING: [f32; 2] = [0.15, 0.2];

/// Seconds between the two of a double blink.
const AGAIN: [f32; 2] = [0.06, 0.18];

/// Least and largest mean time between blinks in seconds.
const INTERVALS: [f32; 2] = [0.2, 3600.0];

/// A longer stop of the world, in seconds, is not made up for.
const LONGEST_STEP: f32 = 60.0;

/// What keeps the stream of blinks apart from other uses of a seed.
const STREAM: u64 = 1;

/// Blinks at random, as people do: the time from the end of one blink to the start of the next is log-normal, lids close in
/// 60 to 90 ms and open in 150 to 200 ms, and now and then a second blink follows at once.
///
/// The same seed gives the same blinks. They close what the other [layers](super#how-layers-combine) leave open.
#[derive(Component, Clone, Copy, Debug, PartialEq, Reflect)]
#[reflect(Component, Default, Clone, Debug, PartialEq)]
#[require(Face)]
pub struct NaturalBlink {
    /// Mean time in seconds from the end of a blink to the start of the next, double blinks apart. Default: 4, which is 14
    /// blinks a minute; people who speak blink more often, people who read less.
    pub interval: f32,
    /// How probable a second blink right after a blink is, 0 to 1. Default: 0.12.
    pub double: f32,
    /// Decides the blinks; `None` takes what tells the entity from others.
    pub seed: Option<u64>,
}

impl Default for NaturalBlink {
    fn default() -> Self {
        Self { interval: 4.0, double: 0.12, seed: None }
    }
}

/// Where a face is between two blinks and in one.
#[derive(Clone, Debug)]
pub(super) struct Blinking {
    random: Random,
    seed: Option<u64>,
    /// Seconds since the last blink ended.
    now: f32,
    pause: f32,
    closing: f32,
    closed: f32,
    opening: f32,
    /// Whether this blink is the second of a double blink.
    second: bool,
}

impl Blinking {
    fn new(entity: Entity, settings: &NaturalBlink) -> Self {
        let random = Random::of(entity, settings.seed, STREAM);
        let zero = 0.0;
        let mut blinking = Self {
            random,
            seed: settings.seed,
            now: zero,
            pause: zero,
            closing: zero,
            closed: zero,
            opening: zero,
            second: true,
        };
        blinking.draw(settings);
        // Not everybody has blinked just now.
        blinking.now = blinking.pause * blinking.random.uniform();
        blinking
    }

    /// Draws the next blink.
    fn draw(&mut self, settings: &NaturalBlink) {
        let random = &mut self.random;
        self.second = !self.second && random.uniform() < settings.double;
        self.pause = if self.second {
            random.between(AGAIN)
        } else {
            let interval = INTERVALS[1] * unit(settings.interval / INTERVALS[1]);
            // The mean of a log-normal is exp(μ + σ²/2).
            interval.max(INTERVALS[0]) * (SPREAD * random.normal() - 0.5 * SPREAD * SPREAD).exp()
        };
        self.closing = random.between(CLOSING);
        self.closed = random.between(CLOSED);
        self.opening = random.between(OPENING);
    }

    /// Moves on by `seconds`; whether the lids have moved.
    fn advance(&mut self, seconds: f32, settings: &NaturalBlink) -> bool {
        let before = self.closure();
        self.now += LONGEST_STEP * unit(seconds / LONGEST_STEP);
        loop {
            let length = self.pause + self.closing + self.closed + self.opening;
            if self.now < length {
                break;
            }
            self.now -= length;
            self.draw(settings);
        }
        self.closure() != before
    }

    /// How far the lids are closed, 0 to 1.
    pub fn closure(&self) -> f32 {
        let since = self.now - self.pause;
        if since <= 0.0 {
            0.0
        } else if since < self.closing + self.closed {
            smooth_step(since / self.closing)
        } else {
            // Lids open fast and settle slowly.
            let left = (1.0 - (since - self.closing - self.closed) / self.opening).max(0.0);
            left * left * left * (4.0 - 3.0 * left)
        }
    }
}

/// Moves the lids of faces that blink by themselves.
pub(super) fn advance(time: Res<Time>, mut faces: Query<(Entity, &mut Face, Option<&NaturalBlink>)>) {
    let seconds = time.delta_secs();
    for (entity, mut face, settings) in &mut faces {
        let face = face.bypass_change_detection();
        let Some(settings) = settings else {
            face.changed |= face.blinking.take().is_some_and(|blinking| blinking.closure() > 0.0);
            continue;
        };
        match &mut face.blinking {
            Some(blinking) if blinking.seed == settings.seed => face.changed |= blinking.advance(seconds, settings),
            stale => *stale = Some(Blinking::new(entity, settings)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blinking(settings: &NaturalBlink) -> Blinking {
        Blinking::new(Entity::PLACEHOLDER, settings)
    }

    #[test]
    fn a_blink_closes_fully_and_its_ends_are_smooth() {
        let settings = NaturalBlink { seed: Some(5), ..default() };
        let mut blinking = blinking(&settings);
        blinking.now = blinking.pause;
        let step = 1e-3;
        let (mut most, mut last) = (0.0f32, 0.0);
        let length = blinking.closing + blinking.closed + blinking.opening;
        for _ in 0..(length / step) as usize {
            blinking.advance(step, &settings);
            let closure = blinking.closure();
            assert!((closure - last).abs() < 0.03, "lids jump from {last} to {closure}");
            most = most.max(closure);
            last = closure;
        }
        assert_eq!(most, 1.0);
        assert!(last < 1e-3, "{last}");
    }

    #[test]
    fn the_same_seed_blinks_the_same_whatever_the_frames_are() {
        let settings = NaturalBlink { seed: Some(9), ..default() };
        let mut fine = blinking(&settings);
        let mut coarse = blinking(&settings);
        for _ in 0..200 {
            for _ in 0..32 {
                fine.advance(1.0 / 256.0, &settings);
            }
            coarse.advance(0.125, &settings);
            assert!((fine.closure() - coarse.closure()).abs() < 2e-2, "{} {}", fine.closure(), coarse.closure());
        }
        let other = NaturalBlink { seed: Some(10), ..default() };
        assert_ne!(blinking(&other).pause, blinking(&settings).pause);
    }

    #[test]
    fn settings_that_are_no_numbers_and_long_stops_do_not_hang() {
        let settings = NaturalBlink { interval: f32::NAN, double: f32::INFINITY, seed: Some(1) };
        let mut blinking = blinking(&settings);
        blinking.advance(f32::MAX, &settings);
        blinking.advance(f32::NAN, &settings);
        assert!((0.0..=1.0).contains(&blinking.closure()));
    }
}
