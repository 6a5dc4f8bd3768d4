//! Probing a dynamic library and loading ONNX Runtime from it, once for the process.
//!
//! The only room of the crate that runs foreign code by address; everything else reaches ONNX Runtime through `ort`.
#![allow(unsafe_code)]

use std::{
    error::Error,
    ffi::CStr,
    mem::ManuallyDrop,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use libloading::Library;
use ort::{environment::Environment, logging::LogLevel};

use super::{LibraryProblem, RuntimeError};

/// ONNX Runtime as this process uses it.
#[derive(Clone)]
pub(super) struct LoadedRuntime {
    pub environment: Environment,
    pub version: String,
    pub path: PathBuf,
}

/// `ort` keeps one library for the life of the process, and so does this.
static LOADED: Mutex<Option<LoadedRuntime>> = Mutex::new(None);

/// The ONNX Runtime that an earlier call loaded.
pub(super) fn loaded() -> Option<LoadedRuntime> {
    LOADED.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Loads ONNX Runtime from `path`, or returns it if it is loaded from there already.
///
/// # Errors
/// `Ok(Err(problem))` when the library does not fit; [`RuntimeError::AlreadyLoaded`] when another one is in use.
pub(super) fn load(path: &Path) -> Result<Result<LoadedRuntime, LibraryProblem>, RuntimeError> {
    let mut slot = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(loaded) = &*slot {
        return if same_file(&loaded.path, path) {
            Ok(Ok(loaded.clone()))
        } else {
            Err(RuntimeError::AlreadyLoaded { loaded: loaded.path.clone(), requested: path.to_path_buf() })
        };
    }
    let version = match probe(path) {
        Ok(version) => version,
        Err(problem) => return Ok(Err(problem)),
    };
    let init = |reason: String| LibraryProblem::Init { path: path.to_path_buf(), reason };
    let builder = match ort::init_from(path) {
        Ok(builder) => builder,
        Err(error) => return Ok(Err(init(error.to_string()))),
    };
    match builder.with_name("bevy_fitdiff").with_telemetry(false).build() {
        Ok(environment) => {
            // Its notes on memory are of no use to a game.
            environment.set_log_level(LogLevel::Warning);
            let loaded = LoadedRuntime { environment, version, path: path.to_path_buf() };
            *slot = Some(loaded.clone());
            Ok(Ok(loaded))
        }
        Err(error) => Ok(Err(init(error.to_string()))),
    }
}

fn same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}

/// Checks that `path` is an ONNX Runtime that offers the API this crate needs, and returns its version.
///
/// Goes around `ort`, which stops the process when it is pointed at a library that does not fit.
pub(super) fn probe(path: &Path) -> Result<String, LibraryProblem> {
    let not_onnx_runtime = || LibraryProblem::NotOnnxRuntime { path: path.to_path_buf() };
    // SAFETY: loading a library runs its initialisers. The file is one that the user or the system installed under
    // ONNX Runtime's name, or one that the developer named.
    let library = unsafe { Library::new(path) }.map_err(|error| LibraryProblem::NotLoadable {
        path: path.to_path_buf(),
        reason: error.source().map_or_else(|| error.to_string(), ToString::to_string),
    })?;
    // SAFETY: the symbol of this name is declared so in ONNX Runtime's C API since its first version.
    let base = unsafe {
        let get: libloading::Symbol<unsafe extern "system" fn() -> *const ort::sys::OrtApiBase> =
            library.get(b"OrtGetApiBase\0").map_err(|_| not_onnx_runtime())?;
        get().as_ref().ok_or_else(not_onnx_runtime)?
    };
    // ONNX Runtime starts threads and keeps state that do not survive an unload.
    let _library = ManuallyDrop::new(library);
    // SAFETY: the returned string is static and ends in a zero byte.
    let version = unsafe {
        let text = (base.GetVersionString)();
        if text.is_null() {
            return Err(not_onnx_runtime());
        }
        CStr::from_ptr(text).to_string_lossy().into_owned()
    };
    // Asked by number first: an old library prints to stderr when it is asked for an API it lacks.
    let minor: u32 = version.split('.').nth(1).and_then(|minor| minor.parse().ok()).unwrap_or(0);
    let too_old = minor < ort::MINOR_VERSION
        // SAFETY: the function takes any number and answers null for an API that it lacks.
        || unsafe { (base.GetApi)(ort::MINOR_VERSION) }.is_null();
    if too_old {
        return Err(LibraryProblem::TooOld {
            path: path.to_path_buf(),
            version,
            minimum: format!("1.{}", ort::MINOR_VERSION),
        });
    }
    Ok(version)
}

/// Loads libraries and keeps them, so that a provider of ONNX Runtime finds them by name. What does not load is left
/// for the provider to complain about.
pub(super) fn preload(libraries: &[PathBuf]) {
    for path in libraries {
        // SAFETY: as in `probe`; the files are NVIDIA's, from packages that were installed beside ONNX Runtime.
        if let Ok(library) = unsafe { Library::new(path) } {
            let _kept = ManuallyDrop::new(library);
        }
    }
}
