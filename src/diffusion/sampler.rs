//! The ways from noise to clean latents.

use serde::{Deserialize, Serialize};

use super::{DiffusionError, Latents, NoiseLevel, ddim::Ddim, ddpm::Ddpm, dpm_solver::DpmSolver};

/// How latents get from one noise level to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Sampler {
    /// Ancestral sampling (arXiv 2006.11239): new noise at each step. Wants hundreds of steps.
    Ddpm,
    /// DDIM (arXiv 2010.02502). Good from some 20 steps on.
    Ddim {
        /// How much new noise is added at each step: 0 none, so that the initial noise decides all, 1 as much as
        /// [`Ddpm`](Self::Ddpm).
        eta: f32,
    },
    /// DPM-Solver++(2M) (arXiv 2211.01095, algorithm 2), deterministic and of second order, the default. Good from some
    /// 10 steps on.
    #[default]
    DpmSolver,
}

impl Sampler {
    /// Checks the options.
    pub(super) fn check(self) -> Result<(), DiffusionError> {
        match self {
            Self::Ddim { eta } if !(0.0..=1.0).contains(&eta) => {
                Err(DiffusionError::Option { option: "eta", expected: "0 to 1", found: eta })
            }
            _ => Ok(()),
        }
    }

    /// Begins a run from noise.
    pub(super) fn start(self) -> Box<dyn Solver> {
        match self {
            Self::Ddpm => Box::new(Ddpm),
            Self::Ddim { eta } => Box::new(Ddim { eta: eta.into() }),
            Self::DpmSolver => Box::<DpmSolver>::default(),
        }
    }
}

/// A step between two noise levels. The last one of a run ends at [`NoiseLevel::CLEAN`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Transition {
    pub from: NoiseLevel,
    pub to: NoiseLevel,
}

/// A sampler at work.
pub(super) trait Solver {
    /// The latents at `transition.to`, from those at `transition.from` and the clean latents predicted there. `draw`
    /// gives unit normal noise, if it is called.
    fn step(
        &mut self,
        transition: Transition,
        noised: &Latents,
        clean: &Latents,
        draw: &dyn Fn() -> Latents,
    ) -> Latents;
}

#[cfg(test)]
mod tests {
    use super::{super::LatentLayout, *};

    const LAYOUT: LatentLayout = LatentLayout { reflectance: [1, 1, 2], shape: 1 };
    const ALL: [Sampler; 4] =
        [Sampler::Ddpm, Sampler::Ddim { eta: 0.0 }, Sampler::Ddim { eta: 1.0 }, Sampler::DpmSolver];

    fn latents(values: [f32; 3]) -> Latents {
        Latents::new(LAYOUT, values[..2].to_vec(), values[2..].to_vec()).unwrap()
    }

    #[test]
    fn every_sampler_ends_at_the_predicted_clean_latents() {
        let (noised, clean) = (latents([3.0, -2.0, 1.0]), latents([0.1, 0.2, 0.3]));
        for sampler in ALL {
            let mut solver = sampler.start();
            let levels = [0.1, 0.5, 1.0].map(|alpha_cumprod| NoiseLevel { alpha_cumprod });
            let draw = || latents([1.0, -1.0, 0.5]);
            let first = Transition { from: levels[0], to: levels[1] };
            let between = solver.step(first, &noised, &clean, &draw);
            let last = Transition { from: levels[1], to: NoiseLevel::CLEAN };
            assert_eq!(solver.step(last, &between, &clean, &draw), clean, "{sampler:?}");
        }
    }

    #[test]
    fn ddim_with_as_much_noise_is_ancestral_sampling() {
        let (noised, clean, noise) = (latents([3.0, -2.0, 1.0]), latents([0.1, 0.2, 0.3]), latents([0.7, -0.4, 2.0]));
        let transition = Transition { from: NoiseLevel { alpha_cumprod: 0.2 }, to: NoiseLevel { alpha_cumprod: 0.35 } };
        let step = |sampler: Sampler| sampler.start().step(transition, &noised, &clean, &|| noise.clone());
        let difference = Latents::combine(1.0, &step(Sampler::Ddpm), -1.0, &step(Sampler::Ddim { eta: 1.0 }));
        assert!(difference.reflectance().iter().chain(difference.shape()).all(|value| value.abs() < 1e-6));
    }

    #[test]
    fn an_eta_outside_of_its_range_is_refused() {
        for eta in [-0.1, 1.1, f32::NAN] {
            let refused = Sampler::Ddim { eta }.check();
            assert!(matches!(refused, Err(DiffusionError::Option { option: "eta", .. })), "{eta}");
        }
        assert!(ALL.iter().all(|sampler| sampler.check().is_ok()));
    }
}
