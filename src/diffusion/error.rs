//! Why latents cannot be sampled.

use crate::runtime::RuntimeError;

/// Sampling that was refused, failed or was cancelled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiffusionError {
    /// The schedule cannot be cut into this many steps.
    #[error(
        "sampling in {found} steps is not possible: the model was trained with {train_timesteps}, take 1 to as many"
    )]
    Steps {
        /// The wanted number of steps.
        found: usize,
        /// Number of timesteps in training.
        train_timesteps: usize,
    },
    /// A sampling option is outside of its range.
    #[error("sampling option `{option}`: expected {expected}, got {found}")]
    Option {
        /// Name of the option.
        option: &'static str,
        /// Its range.
        expected: &'static str,
        /// The value.
        found: f32,
    },
    /// The denoiser, or the hook on the clean latents, gave numbers that are not finite.
    #[error(
        "the predicted clean latents at timestep {timestep} are not finite: \
         take a guidance scale nearer to 1, or a network of higher precision"
    )]
    NotFinite {
        /// Training timestep of the step.
        timestep: usize,
    },
    /// A decoder gave numbers that are not finite.
    #[error(
        "network `{network}` gave numbers that are not finite in `{output}`: take a guidance scale nearer to 1, or a \
         network of higher precision"
    )]
    Output {
        /// Name of the network.
        network: String,
        /// Name of the output.
        output: String,
    },
    /// The network failed, or the run was cancelled ([`RuntimeError::Cancelled`]).
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}
