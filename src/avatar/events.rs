//! How an avatar's generation ends.

use std::{path::PathBuf, sync::Arc};

use bevy::prelude::*;

use crate::pipeline::PipelineError;

/// An avatar is there: its parts are children of the entity.
#[derive(EntityEvent, Clone, Copy, Debug)]
pub struct AvatarReady {
    /// The entity with the [`Avatar`](super::Avatar).
    pub entity: Entity,
}

/// An avatar could not be generated. The reason stays on the entity as [`AvatarFailure`](super::AvatarFailure).
#[derive(EntityEvent, Clone, Debug)]
pub struct AvatarFailed {
    /// The entity with the [`Avatar`](super::Avatar).
    pub entity: Entity,
    /// What happened, and what can be done.
    pub error: Arc<AvatarError>,
}

/// Why an avatar could not be generated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AvatarError {
    /// A photo's file could not be loaded.
    #[error("photo {}: {reason}", path.as_deref().unwrap_or("without a path"))]
    Photo {
        /// The asset's path.
        path: Option<String>,
        /// The loader's reason.
        reason: String,
    },
    /// A photo's asset was dropped, or its handle is of no asset.
    #[error("the photo is gone: its asset was removed before the avatar was generated")]
    NoPhoto,
    /// The model bundle cannot be used.
    #[error(
        "no avatar can be made with the model in {}: {source}. FitDiffSettings::bundle names its folder, which has to be \
         shipped with the program",
        bundle.display()
    )]
    Model {
        /// The bundle's folder.
        bundle: PathBuf,
        /// The reason.
        source: Arc<PipelineError>,
    },
    /// The generation failed.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// No inference engine could be started; the plugin said why when the app started.
    #[error("no avatar can be made without an inference engine: {reason}")]
    NoRuntime {
        /// Why there is none.
        reason: String,
    },
    /// The worker panicked. This is a bug of bevy_fitdiff.
    #[error("the generation broke off with a bug in bevy_fitdiff: {0}")]
    Bug(String),
}
