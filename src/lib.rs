#![doc = include_str!("../README.md")]
#![deny(missing_docs, unsafe_code)]

pub mod avatar;
pub mod bundle;
pub mod diffusion;
pub mod expression;
pub mod face;
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
        expression::{
            ArkitBlendshape, AtEnd, Expression, ExpressionPlayer, ExpressionPlugin, ExpressionPreset,
            ExpressionSequence, ExpressionSequenceEnded, ExpressionSystems, HeadTurn, LipSync, LivingFace, LookAt,
            LookTarget, NaturalBlink, NaturalGaze, Viseme,
        },
        pipeline::AvatarRecipe,
        runtime::RuntimeReport,
    };
}
