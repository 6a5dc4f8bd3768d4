#![doc = include_str!("../README.md")]
#![deny(missing_docs, unsafe_code)]

pub mod avatar;
pub mod bundle;
pub mod cache;
#[cfg(feature = "creator")]
pub mod creator;
pub mod diffusion;
pub mod export;
pub mod expression;
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
    #[cfg(feature = "creator")]
    pub use crate::creator::{
        AvatarCreated, CreatorAction, CreatorClosed, CreatorPlugin, CreatorSettings, CreatorState, CreatorStudioPlugin,
    };
    pub use crate::{
        FitDiffPlugin, FitDiffRuntime,
        avatar::{
            Avatar, AvatarDraft, AvatarFailed, AvatarFailure, AvatarLook, AvatarOptions, AvatarPart, AvatarPhoto,
            AvatarProgress, AvatarReady, AvatarSource, AvatarStage, FaceSearch, FaceSearchFailed, FacesFound,
            FitDiffModel, FitDiffSettings, ForgetPerson, FoundFaces, GeneratedAvatar, Photo, SkinTone,
        },
        cache::CacheSettings,
        expression::{
            ArkitBlendshape, AtEnd, Expression, ExpressionPlayer, ExpressionPlugin, ExpressionPreset,
            ExpressionSequence, ExpressionSequenceEnded, ExpressionSystems, HeadTurn, LipSync, LivingFace, LookAt,
            LookTarget, NaturalBlink, NaturalGaze, Viseme,
        },
        pipeline::{AvatarRecipe, ShapeEdits, ShapeTraits},
        runtime::RuntimeReport,
        save::AvatarFile,
    };
}
