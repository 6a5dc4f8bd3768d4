//! Random numbers for what a living face does by chance: the same seed, the same life.

use std::f32::consts::TAU;

use bevy::prelude::*;

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014): eight bytes of
/// state, every seed is good, and seeds that differ by one give unrelated streams.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The stream of an entity: the seed that was asked for, or one of its own. `what` keeps its uses apart.
    pub fn of(entity: Entity, seed: Option<u64>, what: u64) -> Self {
        let mut mixer = Self::new(seed.unwrap_or_else(|| entity.to_bits()));
        let mixed = mixer.next();
        Self::new(mixed.wrapping_add(what))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Uniform from 0 (included) to 1 (excluded), in steps of 2⁻²⁴.
    pub fn uniform(&mut self) -> f32 {
        const BITS: u32 = f32::MANTISSA_DIGITS;
        (self.next() >> (u64::BITS - BITS)) as f32 / (1u64 << BITS) as f32
    }

    /// Uniform within a range.
    pub fn between(&mut self, [low, high]: [f32; 2]) -> f32 {
        low + (high - low) * self.uniform()
    }

    /// Exponential with this mean.
    pub fn exponential(&mut self, mean: f32) -> f32 {
        -mean * (1.0 - self.uniform()).ln()
    }

    /// Unit normal (Box and Muller, 1958).
    pub fn normal(&mut self) -> f32 {
        self.exponential(2.0).sqrt() * (TAU * self.uniform()).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_splitmix64() {
        // The known answers for this seed, as other implementations give them.
        let mut random = Random::new(1_234_567);
        let expected =
            [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821];
        assert_eq!(expected.map(|_| random.next()), expected);
    }

    #[test]
    fn the_moments_are_those_of_the_distributions() {
        let count = 200_000;
        let mut random = Random::new(1);
        let mut mean = |draw: &mut dyn FnMut(&mut Random) -> f64| {
            (0..count).map(|_| draw(&mut random)).sum::<f64>() / f64::from(count)
        };
        // Five standard errors each.
        let near = |found: f64, expected: f64, variance: f64| {
            let tolerance = 5.0 * (variance / f64::from(count)).sqrt();
            assert!((found - expected).abs() < tolerance, "{found} instead of {expected}");
        };
        near(mean(&mut |random| f64::from(random.uniform())), 0.5, 1.0 / 12.0);
        near(mean(&mut |random| f64::from(random.exponential(3.0))), 3.0, 9.0);
        near(mean(&mut |random| f64::from(random.normal())), 0.0, 1.0);
        near(mean(&mut |random| f64::from(random.normal()).powi(2)), 1.0, 2.0);
    }
}
