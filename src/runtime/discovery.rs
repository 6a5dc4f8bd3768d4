//! Where an ONNX Runtime library may lie, in the order in which places are tried.

use std::{
    cmp::Reverse,
    env, fs,
    path::{Path, PathBuf},
};

/// Names that an installed library has without its version.
const PLAIN_NAMES: &[&str] = if cfg!(windows) {
    &["onnxruntime.dll"]
} else if cfg!(target_os = "macos") {
    &["libonnxruntime.dylib"]
} else {
    &["libonnxruntime.so", "libonnxruntime.so.1"]
};

/// Folders beside the executable that may hold the library, relative to the executable's own.
const BESIDE_EXECUTABLE: &[&str] = &["", "lib", "onnxruntime", "onnxruntime/lib", "../lib"];

/// Folders of the system and of common installers.
const SYSTEM_FOLDERS: &[&str] = &[
    "/usr/local/lib",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/opt/onnxruntime/lib",
    "/opt/homebrew/lib",
];

/// The environment that discovery looks at; a value of its own so that tests need not change the process's.
#[derive(Clone, Debug, Default)]
pub(super) struct Surroundings {
    /// Folder of the running executable.
    pub executable_dir: Option<PathBuf>,
    /// Roots of Python environments: they hold `lib/python3.x/site-packages` or, on Windows, `Lib/site-packages`.
    pub python_roots: Vec<PathBuf>,
    /// Library folders of the system.
    pub system_dirs: Vec<PathBuf>,
}

impl Surroundings {
    /// The surroundings of this process.
    pub(super) fn of_process() -> Self {
        let variable = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let mut python_roots: Vec<_> = ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(variable).collect();
        python_roots.extend(dirs::home_dir().map(|home| home.join(".local")));
        python_roots.extend(["/usr/local", "/usr"].map(PathBuf::from));
        Self {
            executable_dir: env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_path_buf)),
            python_roots,
            system_dirs: SYSTEM_FOLDERS.iter().map(PathBuf::from).collect(),
        }
    }

    /// Every library file found: beside the executable, in Python environments, in system folders.
    pub(super) fn candidates(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        if let Some(dir) = &self.executable_dir {
            for place in BESIDE_EXECUTABLE {
                found.extend(libraries_in(&dir.join(place)));
            }
        }
        for packages in self.python_roots.iter().flat_map(|root| site_packages(root)) {
            found.extend(libraries_in(&packages.join("onnxruntime").join("capi")));
        }
        for dir in &self.system_dirs {
            found.extend(libraries_in(dir));
        }
        // Several names of one file (a link beside its target) are one candidate.
        let mut seen = Vec::new();
        found.retain(|path| {
            let real = path.canonicalize().unwrap_or_else(|_| path.clone());
            let new = !seen.contains(&real);
            seen.push(real);
            new
        });
        found
    }
}

/// The name that leaves the search to the system's loader. Not on Windows, whose system folder holds an old
/// onnxruntime.dll of its own.
pub(super) fn loader_name() -> Option<&'static str> {
    (!cfg!(windows)).then_some(PLAIN_NAMES[0])
}

/// ONNX Runtime libraries in a folder: plain names first, then versioned names, newest first. Python packages ship
/// only a versioned name.
pub(super) fn libraries_in(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = PLAIN_NAMES.iter().map(|name| dir.join(name)).filter(|path| path.is_file()).collect();
    let mut versioned: Vec<_> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter_map(|path| Some((version_in_name(path.file_name()?.to_str()?)?, path)))
        .collect();
    versioned.sort_by_key(|(version, _)| Reverse(version.clone()));
    found.extend(versioned.into_iter().map(|(_, path)| path));
    found
}

/// `[1, 31, 1]` of `libonnxruntime.so.1.31.1` or `libonnxruntime.1.31.1.dylib`.
fn version_in_name(name: &str) -> Option<Vec<u32>> {
    let version = name
        .strip_prefix("libonnxruntime.so.")
        .or_else(|| name.strip_prefix("libonnxruntime.")?.strip_suffix(".dylib"))?;
    let parts: Option<Vec<u32>> = version.split('.').map(|part| part.parse().ok()).collect();
    parts.filter(|parts| parts.len() > 1)
}

/// Package folders of a Python environment.
fn site_packages(root: &Path) -> Vec<PathBuf> {
    let mut found = vec![root.join("Lib").join("site-packages")];
    for lib in ["lib", "lib64"] {
        let mut versions: Vec<_> = fs::read_dir(root.join(lib))
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("python3")))
            .collect();
        versions.sort();
        for version in versions.into_iter().rev() {
            found.extend(["site-packages", "dist-packages"].map(|packages| version.join(packages)));
        }
    }
    found.retain(|path| path.is_dir());
    found
}

/// Folders with NVIDIA's libraries that Python packages put beside the package of `library`: `nvidia/*/lib` and
/// `tensorrt_libs`.
pub(super) fn nvidia_package_dirs(library: &Path) -> Vec<PathBuf> {
    // …/site-packages/onnxruntime/capi/libonnxruntime.so.1.x.y
    let Some(packages) = library.ancestors().nth(3) else { return Vec::new() };
    let mut dirs: Vec<_> = fs::read_dir(packages.join("nvidia"))
        .into_iter()
        .flatten()
        .flatten()
        .flat_map(|entry| [entry.path().join("lib"), entry.path().join("bin")])
        .chain([packages.join("tensorrt_libs")])
        .filter(|path| path.is_dir())
        .collect();
    dirs.sort();
    dirs
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    fn touch(path: &Path) -> PathBuf {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"").unwrap();
        path.to_path_buf()
    }

    #[test]
    fn places_are_tried_in_the_documented_order() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let system = touch(&root.join("sys/libonnxruntime.so.1.21.0"));
        let python = touch(&root.join("venv/lib/python3.12/site-packages/onnxruntime/capi/libonnxruntime.so.1.31.1"));
        let older = touch(&root.join("venv/lib/python3.12/site-packages/onnxruntime/capi/libonnxruntime.so.1.9.0"));
        let beside = touch(&root.join("app/onnxruntime/lib/libonnxruntime.so"));
        touch(&root.join("venv/lib/python3.12/site-packages/onnxruntime/capi/libonnxruntime_providers_cuda.so"));
        let surroundings = Surroundings {
            executable_dir: Some(root.join("app")),
            python_roots: vec![root.join("nowhere"), root.join("venv")],
            system_dirs: vec![root.join("sys")],
        };
        assert_eq!(surroundings.candidates(), [beside, python, older, system]);
    }

    #[test]
    fn a_link_and_its_target_are_one_candidate() {
        let dir = tempfile::tempdir().unwrap();
        let real = touch(&dir.path().join("libonnxruntime.so.1.21.0"));
        std::os::unix::fs::symlink(&real, dir.path().join("libonnxruntime.so")).unwrap();
        let surroundings = Surroundings { system_dirs: vec![dir.path().into()], ..Default::default() };
        assert_eq!(surroundings.candidates(), [dir.path().join("libonnxruntime.so")]);
    }
}
