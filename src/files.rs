//! Files that are there as a whole or not at all.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};

/// Writes a file, or replaces it: whoever looks finds the old content or the new one. Where it fails, on a full disk or
/// in a folder that cannot be written to, it leaves the old content and nothing else.
///
/// The content goes to a neighbour first, which takes the file's place in one step once it is on the disk.
pub(crate) fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    write_with(path, |file| file.write_all(content))
}

fn write_with(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    // A link stays one: what it leads to is replaced.
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let no_file = || io::Error::new(io::ErrorKind::InvalidInput, "the path names no file");
    // The name tells what a crash left behind.
    let prefix = format!(".{}.", path.file_name().ok_or_else(no_file)?.to_string_lossy());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix);
    // Temporary files are private; this one is to be read by whom the user's other files are.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder)?;
    write(file.as_file_mut())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_written_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.glb");
        for content in [&b"first"[..], b"", b"another, longer one"] {
            write_atomically(&path, content).unwrap();
            assert_eq!(fs::read(&path).unwrap(), content);
            assert_eq!(names(folder.path()), ["a.glb"]);
        }
    }

    #[test]
    fn what_fails_midway_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.glb");
        let fail = |file: &mut File| {
            file.write_all(b"half of")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        };
        assert_eq!(write_with(&path, fail).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert!(names(folder.path()).is_empty());
        fs::write(&path, b"old").unwrap();
        assert_eq!(write_with(&path, fail).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(
            (fs::read(&path).unwrap().as_slice(), names(folder.path())),
            (&b"old"[..], vec!["a.glb".to_owned()])
        );
    }

    #[test]
    fn folders_that_are_missing_or_stand_in_the_way_are_told() {
        let folder = tempfile::tempdir().unwrap();
        assert!(write_atomically(&folder.path().join("missing/a.glb"), b"new").is_err());
        fs::create_dir(folder.path().join("a.glb")).unwrap();
        assert!(write_atomically(&folder.path().join("a.glb"), b"new").is_err());
        assert_eq!(names(folder.path()), ["a.glb"]);
        assert!(names(&folder.path().join("a.glb")).is_empty());
    }

    #[test]
    #[cfg(unix)]
    fn the_file_can_be_read_by_those_who_read_the_users_other_files() {
        use std::os::unix::fs::{PermissionsExt, symlink};

        let folder = tempfile::tempdir().unwrap();
        let mode = |name: &str| fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
        fs::write(folder.path().join("usual"), b"").unwrap();
        write_atomically(&folder.path().join("a.glb"), b"old").unwrap();
        assert_eq!(mode("a.glb"), mode("usual"));

        symlink("a.glb", folder.path().join("link.glb")).unwrap();
        write_atomically(&folder.path().join("link.glb"), b"new").unwrap();
        assert!(fs::symlink_metadata(folder.path().join("link.glb")).unwrap().is_symlink());
        assert_eq!(fs::read(folder.path().join("a.glb")).unwrap(), b"new");
    }
}
