//! Song, Meng and Ermon, "Denoising Diffusion Implicit Models", arXiv 2010.02502.

use super::{
    Latents,
    sampler::{Solver, Transition},
};

/// Equation 12, with the noise of equation 16.
pub(super) struct Ddim {
    pub eta: f64,
}

impl Solver for Ddim {
    fn step(
        &mut self,
        Transition { from, to }: Transition,
        noised: &Latents,
        clean: &Latents,
        draw: &dyn Fn() -> Latents,
    ) -> Latents {
        let noise_ratio = (1.0 - to.alpha_cumprod) / (1.0 - from.alpha_cumprod);
        let variance = self.eta * self.eta * noise_ratio * (1.0 - from.alpha_cumprod / to.alpha_cumprod);
        // The predicted noise is (noised − signal · clean) / noise; what is left of it goes along with `noised`.
        let kept = (1.0 - to.alpha_cumprod - variance).max(0.0).sqrt() / from.noise();
        let mean = Latents::combine(kept, noised, to.signal() - kept * from.signal(), clean);
        if variance > 0.0 { Latents::combine(1.0, &mean, variance.sqrt(), &draw()) } else { mean }
    }
}
