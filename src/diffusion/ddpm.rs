//! Ancestral sampling: Ho, Jain and Abbeel, "Denoising Diffusion Probabilistic Models", arXiv 2006.11239.

use super::{
    Latents,
    sampler::{Solver, Transition},
};

/// Draws from the posterior `q(x_s | x_t, x_0)` with the predicted clean latents for `x_0` (equations 6 and 7), between
/// timesteps that need not be neighbours. The variance is the smaller of the paper's two choices, β̃ (section 3.2).
pub(super) struct Ddpm;

impl Solver for Ddpm {
    fn step(
        &mut self,
        Transition { from, to }: Transition,
        noised: &Latents,
        clean: &Latents,
        draw: &dyn Fn() -> Latents,
    ) -> Latents {
        let alpha = from.alpha_cumprod / to.alpha_cumprod;
        let beta = 1.0 - alpha;
        let (noise_from, noise_to) = (1.0 - from.alpha_cumprod, 1.0 - to.alpha_cumprod);
        let mean =
            Latents::combine(to.signal() * beta / noise_from, clean, alpha.sqrt() * noise_to / noise_from, noised);
        let variance = noise_to / noise_from * beta;
        if variance > 0.0 { Latents::combine(1.0, &mean, variance.sqrt(), &draw()) } else { mean }
    }
}
