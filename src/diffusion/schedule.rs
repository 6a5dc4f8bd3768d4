//! The noise schedule: how much noise is in latents at a timestep, what a denoiser's prediction says about them, and
//! at which timesteps a sampler stops.

use super::{DiffusionError, Latents, portable};
use crate::bundle::{NoiseSchedule, PredictionType};

/// How much signal and noise noised latents hold: `x = √ᾱ x_0 + √(1 − ᾱ) ε`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoiseLevel {
    /// ᾱ: the share of the signal's variance, 1 without noise.
    pub alpha_cumprod: f64,
}

impl NoiseLevel {
    /// No noise at all.
    pub const CLEAN: Self = Self { alpha_cumprod: 1.0 };

    /// √ᾱ, the factor of the clean latents.
    pub fn signal(self) -> f64 {
        self.alpha_cumprod.sqrt()
    }

    /// √(1 − ᾱ), the factor of the noise.
    pub fn noise(self) -> f64 {
        (1.0 - self.alpha_cumprod).sqrt()
    }

    /// λ = ln(√ᾱ / √(1 − ᾱ)), half of the log signal-to-noise ratio; not defined without noise.
    pub(super) fn half_log_snr(self) -> f64 {
        0.5 * portable::ln(self.alpha_cumprod / (1.0 - self.alpha_cumprod))
    }
}

/// The noise schedule that a model was trained with.
#[derive(Clone, Debug)]
pub struct Schedule {
    alphas_cumprod: Vec<f64>,
    prediction_type: PredictionType,
}

impl Schedule {
    /// Takes over the numbers of a bundle.
    pub fn new(schedule: &NoiseSchedule) -> Self {
        Self { alphas_cumprod: schedule.alphas_cumprod.clone(), prediction_type: schedule.prediction_type }
    }

    /// Number of timesteps in training.
    pub fn train_timesteps(&self) -> usize {
        self.alphas_cumprod.len()
    }

    /// The noise at a training timestep.
    ///
    /// # Panics
    /// When `timestep` is not below [`train_timesteps`](Self::train_timesteps).
    pub fn level(&self, timestep: usize) -> NoiseLevel {
        NoiseLevel { alpha_cumprod: self.alphas_cumprod[timestep] }
    }

    /// Training timesteps at which to denoise, from the noisiest downwards.
    ///
    /// The spacing is "trailing" (arXiv 2305.08891, table 2; diffusers' `timestep_spacing="trailing"`):
    /// `round(T − n T / steps) − 1` for n = 0, 1, …, halves rounded to even. It starts at the last timestep, which is
    /// the noise that sampling starts from, whatever the number of steps.
    ///
    /// # Errors
    /// [`DiffusionError::Steps`] for no step at all, or more than there are timesteps.
    pub fn timesteps(&self, steps: usize) -> Result<Vec<usize>, DiffusionError> {
        let train_timesteps = self.train_timesteps();
        if !(1..=train_timesteps).contains(&steps) {
            return Err(DiffusionError::Steps { found: steps, train_timesteps });
        }
        let total = train_timesteps as f64;
        let spacing = total / steps as f64;
        Ok((0..steps).map(|n| (total - n as f64 * spacing).round_ties_even() as usize - 1).collect())
    }

    /// The clean latents that a denoiser's prediction for `noised` stands for.
    ///
    /// `x_0 = (x − √(1 − ᾱ) ε) / √ᾱ` (arXiv 2006.11239, equation 15) or `x_0 = √ᾱ x − √(1 − ᾱ) v` (arXiv 2202.00512,
    /// appendix D).
    ///
    /// # Panics
    /// When the layouts differ, or on a timestep that the schedule does not have.
    pub fn clean(&self, noised: &Latents, prediction: &Latents, timestep: usize) -> Latents {
        let level = self.level(timestep);
        let (signal, noise) = (level.signal(), level.noise());
        match self.prediction_type {
            PredictionType::Epsilon => Latents::combine(1.0 / signal, noised, -noise / signal, prediction),
            PredictionType::V => Latents::combine(signal, noised, -noise, prediction),
        }
    }

    /// The prediction that stands for `clean` latents: the inverse of [`clean`](Self::clean).
    ///
    /// # Panics
    /// As [`clean`](Self::clean).
    pub fn prediction(&self, noised: &Latents, clean: &Latents, timestep: usize) -> Latents {
        let level = self.level(timestep);
        let (signal, noise) = (level.signal(), level.noise());
        match self.prediction_type {
            PredictionType::Epsilon => Latents::combine(1.0 / noise, noised, -signal / noise, clean),
            PredictionType::V => Latents::combine(signal / noise, noised, -1.0 / noise, clean),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::LatentLayout, *};

    const LAYOUT: LatentLayout = LatentLayout { reflectance: [1, 1, 2], shape: 1 };

    fn schedule(prediction_type: PredictionType, alphas_cumprod: Vec<f64>) -> Schedule {
        let train_timesteps = alphas_cumprod.len();
        Schedule::new(&NoiseSchedule { family: String::new(), train_timesteps, prediction_type, alphas_cumprod })
    }

    fn latents(values: [f32; 3]) -> Latents {
        Latents::new(LAYOUT, values[..2].to_vec(), values[2..].to_vec()).unwrap()
    }

    #[test]
    fn noise_and_velocity_stand_for_the_clean_latents_they_were_made_of() {
        let (clean, noise) = (latents([0.5, -1.0, 2.0]), latents([1.0, 0.25, -0.5]));
        let alpha_cumprod = 0.36;
        let noised = Latents::combine(0.6, &clean, 0.8, &noise);
        let velocity = Latents::combine(0.6, &noise, -0.8, &clean);
        for (prediction_type, target) in [(PredictionType::Epsilon, &noise), (PredictionType::V, &velocity)] {
            let schedule = schedule(prediction_type, vec![alpha_cumprod]);
            for (found, expected) in
                [(schedule.clean(&noised, target, 0), &clean), (schedule.prediction(&noised, &clean, 0), target)]
            {
                let difference = Latents::combine(1.0, &found, -1.0, expected);
                let worst = difference.reflectance().iter().chain(difference.shape()).fold(0f32, |a, b| a.max(b.abs()));
                assert!(worst < 1e-6, "{prediction_type:?}: {found:?}");
            }
        }
    }

    #[test]
    fn timesteps_trail_from_the_last_one_and_refuse_impossible_counts() {
        let schedule = schedule(PredictionType::V, (0..1000).map(|n| 1.0 - (n as f64 + 0.5) / 1000.0).collect());
        // numpy.round(numpy.arange(1000, 0, -1000 / N)) - 1, as diffusers computes it.
        assert_eq!(schedule.timesteps(1).unwrap(), [999]);
        assert_eq!(schedule.timesteps(5).unwrap(), [999, 799, 599, 399, 199]);
        assert_eq!(schedule.timesteps(7).unwrap(), [999, 856, 713, 570, 428, 285, 142]);
        assert_eq!(schedule.timesteps(16).unwrap()[..6], [999, 937, 874, 811, 749, 687]);
        assert_eq!(schedule.timesteps(1000).unwrap(), (0..1000).rev().collect::<Vec<_>>());
        for steps in [0, 1001, usize::MAX] {
            assert!(matches!(schedule.timesteps(steps), Err(DiffusionError::Steps { train_timesteps: 1000, .. })));
        }
    }
}
