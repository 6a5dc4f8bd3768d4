//! Entries in a folder.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    time::SystemTime,
};

use bevy::log::{debug, warn};
use sha2::{Digest, Sha256};

use super::{
    CacheSettings,
    entry::{self, EntryLayout, FORMAT},
};
use crate::{
    files::write_atomically,
    pipeline::{AvatarData, AvatarRecipe, Pipeline},
};

/// How the names of entries end; before stands the key in hexadecimal.
const EXTENSION: &str = "fitdiff-avatar";

/// The cache of a pipeline's avatars.
pub(crate) struct Cache<'a> {
    settings: &'a CacheSettings,
    pipeline: &'a Pipeline,
}

impl<'a> Cache<'a> {
    pub fn new(settings: &'a CacheSettings, pipeline: &'a Pipeline) -> Self {
        Self { settings, pipeline }
    }

    /// The avatar of a recipe, if it is there and whole.
    pub fn get(&self, recipe: &AvatarRecipe) -> Option<AvatarData> {
        let key = self.key(recipe);
        let path = self.path(&key);
        let layout = self.layout();
        let mut file = File::open(&path).ok()?;
        let mut bytes = Vec::new();
        // One more byte than expected shows a file that is too long.
        (&mut file).take(layout.bytes() as u64 + 1).read_to_end(&mut bytes).ok()?;
        let Some(decoded) = entry::read(&bytes, &layout, &key) else {
            warn!("the cached avatar {} is damaged: it is generated anew", path.display());
            return None;
        };
        // Entries that were not used for the longest time go first. Without the time, they go in the order of writing.
        if let Err(reason) =
            File::options().write(true).open(&path).and_then(|file| file.set_modified(SystemTime::now()))
        {
            debug!("{}: {reason}", path.display());
        }
        Some(self.pipeline.assemble(recipe, decoded))
    }

    /// Keeps an avatar, and removes others where all are too large together. What fails is told and does no harm.
    pub fn put(&self, data: &AvatarData) {
        let CacheSettings { folder, max_bytes } = self.settings;
        let key = self.key(&data.recipe);
        let bytes = entry::write(data, &key);
        if bytes.len() as u64 > *max_bytes {
            warn!("an avatar of {} bytes is not cached: CacheSettings::max_bytes is {max_bytes}", bytes.len());
            return;
        }
        let kept = fs::create_dir_all(folder)
            .and_then(|()| make_room(folder, *max_bytes - bytes.len() as u64))
            .and_then(|()| write_atomically(&self.path(&key), &bytes));
        if let Err(reason) = kept {
            warn!("the avatar is not cached in {}: {reason}", folder.display());
        }
    }

    /// SHA-256 over all that decides what an avatar is.
    fn key(&self, recipe: &AvatarRecipe) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(format!("{FORMAT}\0{}\0{}\0", self.pipeline.bundle_id().digest, self.pipeline.engine()));
        // Irises are no part of what is kept, and those that are drawn not known beforehand.
        let recipe = AvatarRecipe { iris: None, ..recipe.clone() };
        hash.update(serde_json::to_vec(&recipe).expect("a recipe is plain data"));
        hash.finalize().into()
    }

    fn path(&self, key: &[u8; 32]) -> PathBuf {
        let name: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        self.settings.folder.join(name).with_extension(EXTENSION)
    }

    fn layout(&self) -> EntryLayout {
        EntryLayout {
            vertices: self.pipeline.head().positions.len(),
            side: self.pipeline.maps().diffuse.size,
            latents: self.pipeline.layout(),
        }
    }
}

/// An avatar's file, or what a crash left of one.
pub(super) struct Entry {
    path: PathBuf,
    pub bytes: u64,
    used: SystemTime,
}

/// The avatars in a folder; none where there is no folder.
pub(super) fn entries(folder: &Path) -> io::Result<Vec<Entry>> {
    let files = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        files => files?,
    };
    let mut entries = Vec::new();
    for file in files {
        let file = file?;
        // Other files are none of ours, and links lead elsewhere.
        let Ok(metadata) = file.metadata() else { continue };
        if is_entry(&file.file_name().to_string_lossy()) && metadata.is_file() {
            let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            entries.push(Entry { path: file.path(), bytes: metadata.len(), used });
        }
    }
    Ok(entries)
}

/// Whether a file's name is `<64 digits>.fitdiff-avatar`, or `.<64 digits>.fitdiff-avatar.<anything>` while it is written.
fn is_entry(name: &str) -> bool {
    let digits = |name: &str| name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    match name.strip_prefix('.') {
        None => name.split_once('.').is_some_and(|(key, end)| digits(key) && end == EXTENSION),
        Some(name) => name.split_once('.').is_some_and(|(key, end)| {
            digits(key) && end.strip_prefix(EXTENSION).is_some_and(|end| end.starts_with('.'))
        }),
    }
}

/// Removes the avatars that were not used for the longest time, until the rest has so many bytes.
fn make_room(folder: &Path, bytes: u64) -> io::Result<()> {
    let mut entries = entries(folder)?;
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.used));
    let mut kept = 0;
    for entry in entries {
        kept += entry.bytes;
        if kept > bytes {
            remove(&entry.path)?;
        }
    }
    Ok(())
}

/// Removes all avatars of a folder.
pub(super) fn clear(folder: &Path) -> io::Result<()> {
    let removed: Vec<_> = entries(folder)?.iter().map(|entry| remove(&entry.path)).collect();
    removed.into_iter().collect()
}

/// Removes a file, if nobody else did.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn file(folder: &Path, number: u8, bytes: usize, age: u64) -> PathBuf {
        let path = folder.join(format!("{number:064x}.{EXTENSION}"));
        fs::write(&path, vec![0; bytes]).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 - age);
        File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        path
    }

    #[test]
    fn the_longest_unused_go_and_other_files_stay() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let [new, old, middle] = [(1, 10), (2, 30), (3, 20)].map(|(number, age)| file(folder, number, 100, age));
        let other = folder.join("notes.txt");
        fs::write(&other, vec![0; 1000]).unwrap();
        make_room(folder, 250).unwrap();
        assert_eq!([&new, &old, &middle, &other].map(|path| path.exists()), [true, false, true, true]);
        make_room(folder, 99).unwrap();
        assert_eq!([&new, &middle, &other].map(|path| path.exists()), [false, false, true]);
    }

    #[test]
    fn clearing_takes_what_a_crash_left_as_well_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        file(folder, 1, 10, 0);
        fs::write(folder.join(format!(".{:064x}.{EXTENSION}.x1Y2z3", 2)), b"half").unwrap();
        let others = ["a.fitdiff-avatar", "notes.txt", ".hidden", "0.fitdiff-avatar.bak"].map(|name| folder.join(name));
        others.iter().for_each(|path| fs::write(path, b"other").unwrap());
        assert_eq!(entries(folder).unwrap().len(), 2);
        clear(folder).unwrap();
        assert_eq!(entries(folder).unwrap().len(), 0);
        assert!(others.iter().all(|path| path.exists()));
        assert!(clear(&folder.join("missing")).is_ok());
    }
}
