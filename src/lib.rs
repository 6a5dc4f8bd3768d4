#![doc = include_str!("../README.md")]
#![deny(missing_docs, unsafe_code)]

pub mod avatar;
pub mod bundle;
pub mod cache;
pub mod diffusion;
pub mod export;
pub mod face;
mod files;
pub mod fitting;
pub mod pipeline;
mod plugin;
pub mod runtime;
pub mod save;

pub use plugin::{FitDiffPlugin, FitDiffRuntime};

/// The names that a game needs.
pub mod prelude {
    pub use crate::{
        FitDiffPlugin, FitDiffRuntime,
        avatar::{
            Avatar, AvatarFailed, AvatarFailure, AvatarLook, AvatarPart, AvatarPhoto, AvatarProgress, AvatarReady,
            AvatarSource, AvatarStage, FaceSearch, FaceSearchFailed, FacesFound, FitDiffModel, FitDiffSettings,
            ForgetPerson, FoundFaces, GeneratedAvatar, Photo, SkinTone,
        },
        cache::CacheSettings,
        pipeline::{AvatarRecipe, ShapeEdits, ShapeTraits},
        runtime::RuntimeReport,
        save::AvatarFile,
    };
}
