//! Reproducible Gaussian noise: a seed gives the same numbers on every platform and with every version.
//!
//! The bits come from Philox4x64-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3",
//! SC 2011), which is integer arithmetic alone and counts blocks, so each part of each step has a stream of its own,
//! whatever was drawn before. It is the bit stream of `numpy.random.Philox(key=[seed, 0], counter=[0, step, part, 0])`.
//! Marsaglia and Bray's polar method (SIAM Review 6, 1964) makes normals of them; it needs a square root, which
//! IEEE 754 rounds exactly, and a logarithm, which is [`portable::ln`].

use super::{LatentLayout, Latents, portable};

const MULTIPLIERS: [u64; 2] = [0xD2E7_470E_E14C_6C93, 0xCA5A_8263_9512_1157];
const KEY_INCREMENTS: [u64; 2] = [0x9E37_79B9_7F4A_7C15, 0xBB67_AE85_84CA_A73B];
const ROUNDS: usize = 10;

/// Bits of a uniform number; all of them fit the mantissa of an `f64`.
const UNIFORM_BITS: u32 = 53;

/// Unit normal noise for every step of sampling with one seed.
#[derive(Clone, Copy, Debug)]
pub struct NoiseSource {
    seed: u64,
}

impl NoiseSource {
    /// The noise of a seed.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Independent unit normal noise for every number of the latents: the initial noise for step 0, that which a
    /// stochastic sampler adds at the end of its step n for n, counted from 1.
    ///
    /// Reflectance and shape are drawn from streams of their own.
    pub fn latents(&self, layout: LatentLayout, step: u64) -> Latents {
        let mut noise = Latents::zeros(layout);
        Normals::new(self.seed, step, 0).fill(noise.reflectance_mut());
        Normals::new(self.seed, step, 1).fill(noise.shape_mut());
        noise
    }

    /// Independent numbers, uniform between 0 (included) and 1 (excluded), for what is drawn beside the latents.
    pub(crate) fn uniforms<const N: usize>(&self) -> [f64; N] {
        let mut bits = Bits::new(self.seed, 0, 2);
        std::array::from_fn(|_| 0.5 + 0.5 * bits.next_symmetric())
    }
}

/// A stream of unit normal numbers.
struct Normals(Bits);

impl Normals {
    fn new(seed: u64, step: u64, part: u64) -> Self {
        Self(Bits::new(seed, step, part))
    }

    fn fill(&mut self, numbers: &mut [f32]) {
        for pair in numbers.chunks_mut(2) {
            for (number, normal) in pair.iter_mut().zip(self.next_pair()) {
                *number = normal as f32;
            }
        }
    }

    /// Two independent unit normals from a point that is uniform in the unit disc.
    fn next_pair(&mut self) -> [f64; 2] {
        loop {
            let [x, y] = [self.0.next_symmetric(), self.0.next_symmetric()];
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                let factor = (-2.0 * portable::ln(square) / square).sqrt();
                return [x * factor, y * factor];
            }
        }
    }
}

/// A stream of random bits, generated in blocks of four words.
struct Bits {
    key: [u64; 2],
    counter: [u64; 4],
    block: [u64; 4],
    used: usize,
}

impl Bits {
    fn new(seed: u64, step: u64, part: u64) -> Self {
        Self { key: [seed, 0], counter: [0, step, part, 0], block: [0; 4], used: 4 }
    }

    fn next_word(&mut self) -> u64 {
        if self.used == self.block.len() {
            self.counter[0] += 1;
            self.block = philox(self.counter, self.key);
            self.used = 0;
        }
        self.used += 1;
        self.block[self.used - 1]
    }

    /// Uniform between −1 (included) and 1 (excluded).
    fn next_symmetric(&mut self) -> f64 {
        let uniform = (self.next_word() >> (u64::BITS - UNIFORM_BITS)) as f64;
        uniform * (2.0 / (1u64 << UNIFORM_BITS) as f64) - 1.0
    }
}

/// Philox4x64-10: a bijection of the counter for every key.
fn philox(mut counter: [u64; 4], mut key: [u64; 2]) -> [u64; 4] {
    let wide = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        ((product >> 64) as u64, product as u64)
    };
    for _ in 0..ROUNDS {
        let (high_0, low_0) = wide(MULTIPLIERS[0], counter[0]);
        let (high_1, low_1) = wide(MULTIPLIERS[1], counter[2]);
        counter = [high_1 ^ counter[1] ^ key[0], low_1, high_0 ^ counter[3] ^ key[1], low_0];
        key = [key[0].wrapping_add(KEY_INCREMENTS[0]), key[1].wrapping_add(KEY_INCREMENTS[1])];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normals(seed: u64, step: u64, part: u64, count: usize) -> Vec<f32> {
        let mut numbers = vec![0.0; count];
        Normals::new(seed, step, part).fill(&mut numbers);
        numbers
    }

    /// Φ by its series (Marsaglia, "Evaluating the normal distribution", 2004).
    fn normal_cdf(x: f64) -> f64 {
        let (mut sum, mut term, mut n) = (x, x, 1.0);
        while term.abs() > 1e-17 {
            n += 2.0;
            term *= x * x / n;
            sum += term;
        }
        (0.5 + sum * (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt()).clamp(0.0, 1.0)
    }

    #[test]
    fn philox_gives_the_known_answers_of_its_authors() {
        // `philox4x64 10` in kat_vectors of the Random123 library.
        assert_eq!(
            philox([0; 4], [0; 2]),
            [0x16554d9eca36314c, 0xdb20fe9d672d0fdc, 0xd7e772cee186176b, 0x7e68b68aec7ba23b]
        );
        assert_eq!(
            philox([u64::MAX; 4], [u64::MAX; 2]),
            [0x87b092c3013fe90b, 0x438c3c67be8d0224, 0x9cc7d7c69cd777b6, 0xa09caebf594f0ba0]
        );
    }

    #[test]
    fn uniform_numbers_are_numpys() {
        // `numpy.random.Generator(numpy.random.Philox(key=[seed, 0], counter=[0, 0, 2, 0])).random(5)`.
        let known = [
            (0, [0.9671852139092272, 0.494033976442146, 0.31334591874438233, 0.24187795509889665, 0.38141592486311293]),
            (7, [0.9063653532456504, 0.9896668165446781, 0.3988817660947802, 0.2505871292666225, 0.8534998673465282]),
        ];
        for (seed, expected) in known {
            assert_eq!(NoiseSource::new(seed).uniforms(), expected);
        }
    }

    #[test]
    fn the_moments_are_those_of_the_unit_normal() {
        let count = 1_000_000;
        let numbers = normals(1, 0, 0, count);
        let moment = |power: i32| numbers.iter().map(|x| f64::from(*x).powi(power)).sum::<f64>() / count as f64;
        // Five standard errors of each: the variance of xᵏ is E x²ᵏ − (E xᵏ)².
        for (power, expected, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
            let tolerance = 5.0 * f64::sqrt(variance / count as f64);
            assert!((moment(power) - expected).abs() < tolerance, "E x^{power} = {}", moment(power));
        }
    }

    #[test]
    fn the_distribution_passes_a_kolmogorov_smirnov_test() {
        let count = 200_000;
        for seed in 0..5 {
            let mut numbers = normals(seed, 3, 1, count);
            numbers.sort_by(f32::total_cmp);
            let distance = numbers
                .iter()
                .enumerate()
                .map(|(rank, &x)| {
                    let cdf = normal_cdf(f64::from(x));
                    (cdf - rank as f64 / count as f64).abs().max((cdf - (rank + 1) as f64 / count as f64).abs())
                })
                .fold(0.0, f64::max);
            // The 0.1 % quantile of the Kolmogorov distribution.
            assert!(distance * (count as f64).sqrt() < 1.95, "seed {seed}: {distance}");
        }
    }

    #[test]
    fn streams_and_neighbours_are_uncorrelated() {
        let count = 200_000;
        let base = normals(7, 0, 0, count);
        let correlation = |a: &[f32], b: &[f32]| {
            let sum: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum();
            sum / (a.len() as f64).sqrt()
        };
        let others =
            [("seed", normals(8, 0, 0, count)), ("step", normals(7, 1, 0, count)), ("part", normals(7, 0, 1, count))];
        for (other, numbers) in others {
            assert!(correlation(&base, &numbers).abs() < 4.0, "another {other}");
        }
        for lag in 1..4 {
            assert!(correlation(&base[lag..], &base[..count - lag]).abs() < 4.0, "lag {lag}");
        }
    }

    #[test]
    fn more_latents_begin_with_the_same_noise() {
        let layout = |height, shape| LatentLayout { reflectance: [3, height, 5], shape };
        let (small, large) =
            (NoiseSource::new(5).latents(layout(2, 3), 2), NoiseSource::new(5).latents(layout(4, 9), 2));
        assert_eq!(small.reflectance(), &large.reflectance()[..30]);
        assert_eq!(small.shape(), &large.shape()[..3]);
    }
}
