//! Reading files of a bundle without trusting their names, lengths or content.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Component, Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{BundleError, BundleFile};

/// Longest file of a bundle that is read: 1 GiB.
pub const MAX_FILE_BYTES: u64 = 1 << 30;

/// Reads a file of the bundle in `root` and checks that it is the one that the manifest describes.
///
/// The content is read once and checked in memory, so that what was checked is what is used.
pub(super) fn read_checked(root: &Path, file: &BundleFile) -> Result<Vec<u8>, BundleError> {
    if file.bytes > MAX_FILE_BYTES {
        return Err(BundleError::TooLarge { file: file.path.clone(), bytes: file.bytes, limit: MAX_FILE_BYTES });
    }
    let path = resolve(root, &file.path)?;
    let content = read_exactly(&path, file.bytes)?;
    let found = hex(&Sha256::digest(&content));
    if found != file.sha256 {
        return Err(BundleError::Hash { path, expected: file.sha256.clone(), found });
    }
    Ok(content)
}

/// Reads a file of unknown length up to `limit` bytes.
pub(super) fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>, BundleError> {
    let read = |source| BundleError::Read { path: path.to_path_buf(), source };
    let mut content = Vec::new();
    open_regular(path).map_err(read)?.take(limit + 1).read_to_end(&mut content).map_err(read)?;
    if content.len() as u64 > limit {
        let file = path.display().to_string();
        return Err(BundleError::TooLarge { file, bytes: content.len() as u64, limit });
    }
    Ok(content)
}

fn read_exactly(path: &Path, bytes: u64) -> Result<Vec<u8>, BundleError> {
    let read = |source| BundleError::Read { path: path.to_path_buf(), source };
    let file = open_regular(path).map_err(read)?;
    let found = file.metadata().map_err(read)?.len();
    if found != bytes {
        return Err(BundleError::Size { path: path.to_path_buf(), expected: bytes, found });
    }
    let mut content = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
    // One more byte than stated shows a file that grows while it is read.
    file.take(bytes + 1).read_to_end(&mut content).map_err(read)?;
    match content.len() as u64 {
        found if found == bytes => Ok(content),
        found => Err(BundleError::Size { path: path.to_path_buf(), expected: bytes, found }),
    }
}

/// Opens a regular file; a pipe or device would block or never end.
fn open_regular(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    File::open(path)
}

/// The real path of a file below `root`; refuses absolute paths, `..` and links that lead outside.
fn resolve(root: &Path, file: &str) -> Result<PathBuf, BundleError> {
    let outside = || BundleError::Outside { file: file.to_owned() };
    // Backslashes and drive letters mean nothing on Unix, but would leave the folder on Windows.
    let plain = !file.is_empty()
        && !file.contains(['\\', ':', '\0'])
        && Path::new(file).components().all(|component| matches!(component, Component::Normal(_)));
    if !plain {
        return Err(outside());
    }
    let read = |path: &Path, source| BundleError::Read { path: path.to_path_buf(), source };
    let root = root.canonicalize().map_err(|source| read(root, source))?;
    let path = root.join(file);
    let real = path.canonicalize().map_err(|source| read(&path, source))?;
    if real.starts_with(&root) { Ok(real) } else { Err(outside()) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_match_the_published_vector() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(hex(&Sha256::digest(b"abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn only_plain_paths_below_the_folder_are_resolved() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("nets")).unwrap();
        fs::write(dir.path().join("nets/a.onnx"), b"a").unwrap();
        assert!(resolve(dir.path(), "nets/a.onnx").is_ok());
        for path in ["../a.onnx", "nets/../../a", "/etc/passwd", "", ".", "nets/..", "C:a", "..\\a", "a\0b"] {
            let error = resolve(dir.path(), path).unwrap_err();
            assert!(matches!(error, BundleError::Outside { .. }), "{path:?}: {error}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_link_out_of_the_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::NamedTempFile::new().unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), dir.path().join("a.onnx")).unwrap();
        assert!(matches!(resolve(dir.path(), "a.onnx"), Err(BundleError::Outside { .. })));
    }
}
