//! Why no avatar comes out.

use std::path::PathBuf;

use super::BundleId;
use crate::{
    bundle::BundleError, diffusion::DiffusionError, face::FaceError, fitting::FittingError, runtime::RuntimeError,
};

/// A generation that was refused, failed or was cancelled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// The bundle recognises faces, but generates none.
    #[error(
        "the model bundle in {} has no generator: take one that has, or train and export one as models/training \
         describes",
        .path.display()
    )]
    NoGenerator {
        /// The bundle's folder.
        path: PathBuf,
    },
    /// The bundle cannot be used.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The work was cancelled by its [`CancelToken`](crate::runtime::CancelToken).
    #[error("cancelled")]
    Cancelled,
    /// An avatar was to be made from photos, and there are none.
    #[error("there is no photo to make an avatar from: give one or more, or ask for a random person")]
    NoPhotos,
    /// No identity can be taken from a photo.
    #[error("{}{source}", photo(*.index, *.count))]
    Photo {
        /// Number of the photo, from 0.
        index: usize,
        /// How many photos there are.
        count: usize,
        /// The reason.
        source: Box<FaceError>,
    },
    /// Two of the photos do not show the same person.
    #[error(
        "photos {first} and {second} (counted from 0) do not seem to show the same person: their embeddings are \
         {distance:.2} apart, at most {limit:.2} is expected. Leave one out, or choose another face in it"
    )]
    DifferentPeople {
        /// Number of the first photo, from 0.
        first: usize,
        /// Number of the second photo, from 0.
        second: usize,
        /// Euclidean distance of the embeddings.
        distance: f32,
        /// Largest distance that is accepted.
        limit: f32,
    },
    /// An identity or latents are not as long as the bundle's networks take them.
    #[error("the {what} should have the shape {expected}, found {found}: they belong to another model bundle")]
    Shape {
        /// What does not fit.
        what: &'static str,
        /// What the networks take.
        expected: String,
        /// What was given.
        found: String,
    },
    /// An identity, latents or the colour of irises hold infinite numbers or NaN.
    #[error("the {what} hold numbers that are not finite")]
    NotFinite {
        /// What holds them.
        what: &'static str,
    },
    /// A recipe was written by a newer version of the crate.
    #[error(
        "the recipe has version {found}, this version of bevy_fitdiff reads versions 1 to {expected}: update the \
         program, or generate anew"
    )]
    RecipeVersion {
        /// The newest version that is read.
        expected: u32,
        /// The version of the recipe.
        found: u32,
    },
    /// A recipe belongs to another bundle: it would give another face here.
    #[error(
        "the recipe was made with the model bundle {found}, this is {expected}: load that bundle, or generate anew"
    )]
    OtherBundle {
        /// The bundle that is loaded.
        expected: Box<BundleId>,
        /// The bundle of the recipe.
        found: Box<BundleId>,
    },
    /// No head can be fitted to the photo.
    #[error(transparent)]
    Fitting(FittingError),
    /// The latents cannot be sampled.
    #[error(transparent)]
    Diffusion(DiffusionError),
    /// A network failed.
    #[error(transparent)]
    Runtime(RuntimeError),
}

impl PipelineError {
    /// What went wrong with photo `index` of `count`.
    pub(super) fn photo(index: usize, count: usize, error: FaceError) -> Self {
        match error {
            FaceError::Runtime(error) => error.into(),
            error => Self::Photo { index, count, source: Box::new(error) },
        }
    }
}

impl From<RuntimeError> for PipelineError {
    fn from(error: RuntimeError) -> Self {
        match error {
            RuntimeError::Cancelled => Self::Cancelled,
            error => Self::Runtime(error),
        }
    }
}

impl From<FittingError> for PipelineError {
    fn from(error: FittingError) -> Self {
        match error {
            FittingError::Runtime(error) => error.into(),
            FittingError::Bundle(error) => error.into(),
            error => Self::Fitting(error),
        }
    }
}

impl From<DiffusionError> for PipelineError {
    fn from(error: DiffusionError) -> Self {
        match error {
            DiffusionError::Runtime(error) => error.into(),
            error => Self::Diffusion(error),
        }
    }
}

/// `"photo 1 (counted from 0): "`, or nothing where there is just one.
fn photo(index: usize, count: usize) -> String {
    if count == 1 { String::new() } else { format!("photo {index} (counted from 0): ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancellation_is_one_wherever_it_happened() {
        let errors = [
            PipelineError::from(RuntimeError::Cancelled),
            PipelineError::from(DiffusionError::Runtime(RuntimeError::Cancelled)),
            PipelineError::photo(0, 1, FaceError::Runtime(RuntimeError::Cancelled)),
        ];
        assert!(errors.iter().all(|error| matches!(error, PipelineError::Cancelled)), "{errors:?}");
    }

    #[test]
    fn a_photo_is_numbered_where_there_are_several() {
        let alone = PipelineError::photo(0, 1, FaceError::NoFace).to_string();
        assert_eq!(alone, FaceError::NoFace.to_string());
        assert_eq!(
            PipelineError::photo(2, 3, FaceError::NoFace).to_string(),
            format!("photo 2 (counted from 0): {alone}")
        );
    }
}
