#![doc = include_str!("../README.md")]
#![deny(missing_docs, unsafe_code)]

pub mod avatar;
pub mod bundle;
pub mod diffusion;
pub mod export;
pub mod face;
mod files;
pub mod fitting;
pub mod pipeline;
mod plugin;
pub mod runtime;

pub use plugin::{FitDiffPlugin, FitDiffRuntime};

/// The names that a game needs.
pub mod prelude {
    pub use crate::{
        FitDiffPlugin, FitDiffRuntime,
        avatar::{
            Avatar, AvatarFailed, AvatarFailure, AvatarLook, AvatarPart, AvatarProgress, AvatarReady, AvatarSource,
            AvatarStage, FitDiffModel, FitDiffSettings, GeneratedAvatar, Photo,
        },
        pipeline::AvatarRecipe,
        runtime::RuntimeReport,
    };
}
