//! An avatar's file, in memory and on disk.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

use super::{SaveError, wire};
use crate::{
    avatar::{Avatar, AvatarLook},
    face::Identity,
    files::write_atomically,
    pipeline::{AvatarData, AvatarRecipe, BundleId, RecipeSource, ShapeEdits},
};

/// The version of files that this version of the crate writes; it reads this one and all before. In version 1, the look
/// always states the colour of the irises, and the recipe never does.
pub const FILE_VERSION: u32 = 2;

/// How files of avatars end, by custom.
pub const FILE_EXTENSION: &str = "avatar.json";

/// Longest file that is read: 1 MiB. One of the default bundle has some 7 KB.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// Whether the embedding of the person is saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Embedding {
    /// It is not: the avatar is saved as what was made of it, and stays the same.
    #[default]
    Drop,
    /// It is, if the person agreed: other avatars of the person can be made from the file, and photos of the person be
    /// recognised by it.
    Keep,
}

/// A saved avatar.
#[derive(Clone, Debug, PartialEq)]
pub struct AvatarFile {
    /// What the player calls it; up to 100 characters in one line.
    pub name: String,
    /// What regenerates it.
    pub recipe: AvatarRecipe,
    /// Who it is, if that was to be kept.
    pub identity: Option<Identity>,
    /// What is not generated.
    pub look: AvatarLook,
    /// What was changed by hand; the recipe is that of the changed avatar.
    pub edits: Option<ShapeEdits>,
}

impl AvatarFile {
    /// What is to be saved of an avatar.
    pub fn new(name: impl Into<String>, data: &AvatarData, look: AvatarLook, embedding: Embedding) -> Self {
        let (recipe, identity) = match embedding {
            Embedding::Keep => (data.recipe.clone(), data.identity.clone()),
            Embedding::Drop if matches!(data.recipe.source, RecipeSource::Identity(_)) => (data.latents_recipe(), None),
            Embedding::Drop => (data.recipe.clone(), None),
        };
        Self { name: name.into(), recipe, identity, look, edits: None }
    }

    /// With what was changed by hand. It is kept so that the changes can be changed further.
    pub fn with_edits(mut self, edits: ShapeEdits) -> Self {
        self.edits = (!edits.is_empty()).then_some(edits);
        self
    }

    /// The avatar with its look, to spawn or insert.
    pub fn avatar(&self) -> (Avatar, AvatarLook) {
        (Avatar::from_recipe(self.recipe.clone()), self.look)
    }

    /// Checks that the avatar was made with a bundle.
    ///
    /// # Errors
    /// [`SaveError::OtherBundle`]. To generate the avatar nevertheless fails with
    /// [`PipelineError::OtherBundle`](crate::pipeline::PipelineError::OtherBundle).
    pub fn check_bundle(&self, bundle: &BundleId) -> Result<(), SaveError> {
        if self.recipe.bundle == *bundle {
            return Ok(());
        }
        let (expected, found) = (Box::new(bundle.clone()), Box::new(self.recipe.bundle.clone()));
        Err(SaveError::OtherBundle { expected, found })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`SaveError::Read`], and those of [`from_json`](Self::from_json).
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SaveError> {
        let path = path.as_ref();
        let read = |source| SaveError::Read { path: path.to_path_buf(), source };
        // A pipe or device would block or never end.
        if !fs::metadata(path).map_err(read)?.is_file() {
            return Err(read(io::Error::other("not a regular file")));
        }
        let mut content = Vec::new();
        File::open(path).map_err(read)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut content).map_err(read)?;
        Self::from_json(&content)
    }

    /// Writes a file whole or not at all; a file that is there is replaced, or left as it is when this fails.
    ///
    /// # Errors
    /// [`SaveError::Write`], and those of [`to_json`](Self::to_json).
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), SaveError> {
        let path = path.as_ref();
        let content = self.to_json()?;
        let write = |source| SaveError::Write { path: path.to_path_buf(), source };
        write_atomically(path, content.as_bytes()).map_err(write)
    }

    /// Reads the content of a file.
    ///
    /// # Errors
    /// A [`SaveError`] for whatever is no avatar, wholly and undamaged.
    pub fn from_json(content: &[u8]) -> Result<Self, SaveError> {
        if content.len() as u64 > MAX_FILE_BYTES {
            return Err(SaveError::TooLarge { limit: MAX_FILE_BYTES });
        }
        let file = wire::read(content)?;
        file.check()?;
        Ok(file)
    }

    /// The content of a file.
    ///
    /// # Errors
    /// [`SaveError::Value`] when a value is none that [`from_json`](Self::from_json) would take.
    pub fn to_json(&self) -> Result<String, SaveError> {
        self.check()?;
        Ok(wire::write(self))
    }
}
