#![doc = include_str!("../README.md")]
#![deny(missing_docs, unsafe_code)]

pub mod bundle;
pub mod diffusion;
pub mod face;
mod plugin;
pub mod runtime;

pub use plugin::{FitDiffPlugin, FitDiffRuntime};

/// The names that a game needs.
pub mod prelude {
    pub use crate::{FitDiffPlugin, FitDiffRuntime, runtime::RuntimeReport};
}
