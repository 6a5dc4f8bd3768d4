//! Where the cache is, and how large it may become.

use std::{io, path::PathBuf};

use bevy::reflect::{Reflect, std_traits::ReflectDefault};

use super::store;

/// Most bytes unless told otherwise: 256 MiB, some 180 avatars of the default bundle, at 1.5 MB each.
const DEFAULT_MAX_BYTES: u64 = 256 << 20;

/// Where generated avatars are kept on disk.
///
/// The folder holds likenesses of people: tell players of it, and let them [`clear`](Self::clear) it.
#[derive(Clone, Debug, PartialEq, Eq, Reflect)]
#[reflect(Default, Clone, Debug, PartialEq)]
pub struct CacheSettings {
    /// The folder; made when the first avatar is kept. Other files in it are left alone.
    pub folder: PathBuf,
    /// Most bytes of all avatars together. Beyond, those that were not used for the longest time are removed.
    pub max_bytes: u64,
}

impl Default for CacheSettings {
    /// A folder `avatars` below the current one.
    fn default() -> Self {
        Self::in_folder("avatars")
    }
}

impl CacheSettings {
    /// A cache in a folder, of 256 MiB.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), max_bytes: DEFAULT_MAX_BYTES }
    }

    /// A cache where the system keeps those of the user: `~/.cache/<app>/avatars` on Linux, for instance. `None` where it
    /// has no such place.
    pub fn of_user(app: &str) -> Option<Self> {
        Some(Self::in_folder(dirs::cache_dir()?.join(app).join("avatars")))
    }

    /// Bytes of all avatars that are kept.
    ///
    /// # Errors
    /// When the folder is there and cannot be read.
    pub fn bytes(&self) -> io::Result<u64> {
        Ok(store::entries(&self.folder)?.iter().map(|entry| entry.bytes).sum())
    }

    /// Removes all avatars that are kept.
    ///
    /// # Errors
    /// When the folder is there and cannot be read, or an avatar cannot be removed; the others are gone.
    pub fn clear(&self) -> io::Result<()> {
        store::clear(&self.folder)
    }
}
