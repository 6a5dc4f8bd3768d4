//! Exported avatars on disk: whole, or as it was before.

mod common;

use std::{fs, path::Path};

use bevy_fitdiff::{
    export::{ExportError, ExportProgress, ExportStage, save_glb, to_glb},
    runtime::CancelToken,
};
use common::avatar_of_photo;

fn save(path: &Path) -> Result<(), ExportError> {
    save_glb(path, avatar_of_photo(), &Default::default(), &Default::default(), &CancelToken::default(), &mut |_| {})
}

fn names(folder: &Path) -> Vec<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_cancelled_export_leaves_the_file_that_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("head.glb");
    fs::write(&path, b"old").unwrap();
    for stage in [ExportStage::Materials, ExportStage::Meshes, ExportStage::File] {
        let cancel = CancelToken::default();
        let observe = &mut |progress: ExportProgress| {
            if progress.stage == stage {
                cancel.cancel();
            }
        };
        let error =
            save_glb(&path, avatar_of_photo(), &Default::default(), &Default::default(), &cancel, observe).unwrap_err();
        assert!(matches!(error, ExportError::Cancelled), "{stage:?}: {error}");
        assert_eq!((fs::read(&path).unwrap().as_slice(), names(folder.path()).len()), (&b"old"[..], 1), "{stage:?}");
    }
    save(&path).unwrap();
    let bytes =
        to_glb(avatar_of_photo(), &Default::default(), &Default::default(), &CancelToken::default(), &mut |_| {});
    assert!(fs::read(&path).unwrap() == bytes.unwrap(), "the same bytes, each time");
    assert_eq!(names(folder.path()), ["head.glb"]);
}

#[test]
fn a_file_that_cannot_be_written_is_told_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("taken.glb");
    fs::create_dir(&taken).unwrap();
    for path in [folder.path().join("missing/head.glb"), taken] {
        let error = save(&path).unwrap_err();
        assert!(matches!(&error, ExportError::Write { .. }), "{error}");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        assert_eq!(names(folder.path()), ["taken.glb"]);
    }
}

/// Set for the program below: where it is to write to.
#[cfg(unix)]
const CHILDS_FOLDER: &str = "FITDIFF_TEST_FULL_DISK";

#[test]
#[cfg(unix)]
fn a_full_disk_leaves_nothing_behind() {
    use std::{env, process::Command};

    if let Some(folder) = env::var_os(CHILDS_FOLDER) {
        let error = save(&Path::new(&folder).join("head.glb")).unwrap_err();
        assert!(matches!(&error, ExportError::Write { .. }), "{error}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // This test again, in a shell in which files end after 512 KiB.
    let child = Command::new("sh")
        .args(["-c", r#"trap "" XFSZ; ulimit -f 1024; exec "$0" "$@""#])
        .arg(env::current_exe().unwrap())
        .args(["--exact", "a_full_disk_leaves_nothing_behind"])
        .env(CHILDS_FOLDER, folder.path())
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    assert!(String::from_utf8_lossy(&child.stdout).contains("1 passed"));
    assert!(names(folder.path()).is_empty());
}

#[test]
#[cfg(target_os = "linux")]
fn a_folder_that_may_not_be_written_to_stays_as_it_is() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o555)).unwrap();
    // Permissions do not stop the superuser, the kernel's own folders do.
    let privileged = fs::write(folder.path().join("probe"), b"").is_ok();
    let folder = if privileged { Path::new("/sys") } else { folder.path() };
    let before = names(folder).len();
    let error = save(&folder.join("head.glb")).unwrap_err();
    assert!(matches!(error, ExportError::Write { .. }), "{error}");
    assert_eq!(names(folder).len(), before);
}
