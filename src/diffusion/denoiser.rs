//! What a sampler needs of the network that denoises.

use super::{LatentLayout, Latents};
use crate::runtime::{CancelToken, RuntimeError};

/// One row of a batch.
#[derive(Clone, Copy, Debug)]
pub struct DenoiserInput<'a> {
    /// The noised latents.
    pub noised: &'a Latents,
    /// The identity embedding to condition on, as the recogniser gives it; `None` is unconditional.
    pub embedding: Option<&'a [f32]>,
}

/// Predicts noise, or velocity, in latents.
pub trait Denoiser {
    /// The lengths of the latents.
    fn layout(&self) -> LatentLayout;

    /// A prediction of the schedule's type for every row, in their order and of the denoiser's layout.
    ///
    /// # Errors
    /// [`RuntimeError::Cancelled`] soon after `cancel` is called, and others when the network cannot be run on `batch`.
    fn predict(
        &mut self,
        batch: &[DenoiserInput],
        timestep: usize,
        cancel: &CancelToken,
    ) -> Result<Vec<Latents>, RuntimeError>;
}
