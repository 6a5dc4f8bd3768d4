//! Lu et al., "DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models", arXiv 2211.01095.

use super::{
    Latents, NoiseLevel,
    sampler::{Solver, Transition},
};

/// DPM-Solver++(2M), algorithm 2: a multistep solver that extrapolates the predicted clean latents from this step and
/// the one before, in λ, half of the log signal-to-noise ratio.
///
/// The first step is of first order, having no step before it, and so is the last one, which ends where λ is infinite.
#[derive(Default)]
pub(super) struct DpmSolver {
    previous: Option<(NoiseLevel, Latents)>,
}

impl Solver for DpmSolver {
    fn step(
        &mut self,
        Transition { from, to }: Transition,
        noised: &Latents,
        clean: &Latents,
        _draw: &dyn Fn() -> Latents,
    ) -> Latents {
        let extrapolated = match &self.previous {
            Some((before, previous)) if to != NoiseLevel::CLEAN => {
                let lambda = from.half_log_snr();
                let ratio = (lambda - before.half_log_snr()) / (to.half_log_snr() - lambda);
                let weight = 0.5 / ratio;
                &Latents::combine(1.0 + weight, clean, -weight, previous)
            }
            _ => clean,
        };
        // σ_t / σ_s x − α_t (e^−h − 1) D, where α_t e^−h = α_s σ_t / σ_s.
        let kept = to.noise() / from.noise();
        let next = Latents::combine(kept, noised, to.signal() - kept * from.signal(), extrapolated);
        self.previous = Some((from, clean.clone()));
        next
    }
}
