//! Avatars as files: a few kilobytes of JSON that give the same avatar again, bit for bit on the same bundle and backend.
//!
//! ```no_run
//! use bevy::prelude::*;
//! use bevy_fitdiff::{prelude::*, save::{AvatarFile, Embedding}};
//!
//! fn save(avatars: Query<(&GeneratedAvatar, &AvatarLook)>) -> Result {
//!     for (generated, look) in &avatars {
//!         AvatarFile::new("Ada", &generated.data, *look, Embedding::Drop).save("ada.avatar.json")?;
//!     }
//!     Ok(())
//! }
//!
//! fn load(mut commands: Commands) -> Result {
//!     commands.spawn(AvatarFile::open("ada.avatar.json")?.avatar());
//!     Ok(())
//! }
//! ```
//!
//! A file holds a likeness, and nothing of the photo. The embedding of the person is personal data, by which other photos
//! of the person can be recognised: it is written on [`Embedding::Keep`] alone.

mod check;
mod error;
mod file;
mod wire;

pub use error::SaveError;
pub use file::{AvatarFile, Embedding, FILE_EXTENSION, FILE_VERSION, MAX_FILE_BYTES};
