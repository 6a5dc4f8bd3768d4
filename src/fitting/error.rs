//! What goes wrong in fitting.

use thiserror::Error;

use crate::{bundle::BundleError, runtime::RuntimeError};

/// Why a head cannot be fitted to a photo.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FittingError {
    /// The landmarks are no face.
    #[error("no head fits the face's landmarks: {reason}. Use another photo")]
    Landmarks {
        /// What is wrong with them.
        reason: String,
    },
    /// The threads that render cannot be started.
    #[error(
        "the threads that render the head cannot be started: {reason}. Close other programs, or do without guidance"
    )]
    Threads {
        /// The system's words.
        reason: String,
    },
    /// The bundle cannot be used for fitting.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A network failed, or the fit was cancelled.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}
