//! Settings of the plugin, and the state of its model.

use std::{path::PathBuf, sync::Arc};

use bevy::{asset::io::file::FileAssetReader, prelude::*};

use crate::{
    cache::CacheSettings,
    pipeline::{BundleId, GenerateOptions, PipelineError},
};

/// Folder of the default bundle, below the folder that asset paths start from.
const DEFAULT_BUNDLE: &str = "models/base";

/// Settings that may be changed while the app runs; they count from the next avatar on.
#[derive(Resource, Clone, Debug, Reflect)]
#[reflect(Resource, Default, Clone, Debug)]
pub struct FitDiffSettings {
    /// Folder of the model bundle. Default: `models/base` beside the folder of assets, that is, in the package's folder
    /// under `cargo run` and beside the program otherwise.
    pub bundle: PathBuf,
    /// How avatars are generated.
    pub options: GenerateOptions,
    /// Most bytes of meshes and textures that are handed to the renderer in one frame, one mesh or texture at least.
    ///
    /// They are moved, not copied, which takes the main world no time. The renderer copies them to the graphics card; of
    /// the default bundle's head, 33 MB are one mesh, the skin's, and are copied in one frame of the render world.
    pub upload_bytes_per_frame: usize,
    /// Where generated avatars are kept on disk. Default: `None`, nowhere, because what is kept is the likeness of people.
    /// See [`cache`](crate::cache).
    pub cache: Option<CacheSettings>,
}

impl Default for FitDiffSettings {
    fn default() -> Self {
        Self {
            bundle: FileAssetReader::get_base_path().join(DEFAULT_BUNDLE),
            options: GenerateOptions::default(),
            upload_bytes_per_frame: 4 << 20,
            cache: None,
        }
    }
}

/// Whether the model is there. Scenes leave it out.
#[derive(Resource, Clone, Debug, Default, Reflect)]
#[reflect(opaque, Default, Clone, Debug)]
pub enum FitDiffModel {
    /// It has not been asked for.
    #[default]
    Unloaded,
    /// It is being read and built, off the main thread.
    Loading,
    /// Avatars can be generated.
    Ready(BundleId),
    /// It cannot be used. The next avatar tries again.
    Failed(Arc<PipelineError>),
}
