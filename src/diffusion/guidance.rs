//! Classifier-free guidance (Ho and Salimans, arXiv 2207.12598).

use super::{Denoiser, DenoiserInput, Latents};
use crate::runtime::{CancelToken, RuntimeError};

/// `unconditional + scale (conditional − unconditional)`, both from one call.
///
/// A scale of 1 asks for the conditional prediction alone, a scale of 0 or no embedding for the unconditional one.
///
/// # Panics
/// When the denoiser does not return a prediction for every row.
pub(super) fn predict(
    denoiser: &mut dyn Denoiser,
    noised: &Latents,
    timestep: usize,
    embedding: Option<&[f32]>,
    scale: f32,
    cancel: &CancelToken,
) -> Result<Latents, RuntimeError> {
    let unconditional = DenoiserInput { noised, embedding: None };
    let conditional = DenoiserInput { noised, embedding };
    let (batch, weight) = match embedding {
        Some(_) if scale != 0.0 && scale != 1.0 => (&[conditional, unconditional][..], f64::from(scale)),
        Some(_) if scale == 1.0 => (&[conditional][..], 1.0),
        _ => (&[unconditional][..], 1.0),
    };
    let predictions = denoiser.predict(batch, timestep, cancel)?;
    assert_eq!(predictions.len(), batch.len(), "a denoiser predicts every row");
    Ok(match &predictions[..] {
        [conditional, unconditional] => Latents::combine(weight, conditional, 1.0 - weight, unconditional),
        _ => predictions.into_iter().next().expect("the batch is not empty"),
    })
}
