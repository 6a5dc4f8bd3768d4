//! What can go wrong between finding an inference engine and running a network.

use std::path::PathBuf;

use super::{ElementType, ProviderSkip};

/// An inference engine or a network that cannot be used, and why.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The ONNX Runtime library that was asked for (in the options or by `ORT_DYLIB_PATH`) cannot be used.
    #[error(
        "the ONNX Runtime that was asked for by {requested_by} cannot be used: {problem}. \
         Correct it, or remove the request to let a library be found"
    )]
    Library {
        /// Who asked: the options' field or the environment variable.
        requested_by: &'static str,
        /// What is wrong with the library.
        problem: LibraryProblem,
    },
    /// ONNX Runtime was required and none was found.
    #[error(
        "no ONNX Runtime was found{}. Install it (for example the Python package onnxruntime, or onnxruntime-gpu), \
         set ORT_DYLIB_PATH to its library, or allow the embedded backend",
        list(.skipped)
    )]
    NoOnnxRuntime {
        /// The libraries that were found and do not fit.
        skipped: Vec<LibraryProblem>,
    },
    /// The embedded backend was needed, and the crate was built without it.
    #[error(
        "no ONNX Runtime is in use and bevy_fitdiff was built without its feature `embedded`: \
         turn the feature on or install ONNX Runtime"
    )]
    EmbeddedNotBuilt,
    /// A process can load ONNX Runtime once.
    #[error(
        "ONNX Runtime is already loaded from {}; a process cannot load a second one from {}",
        .loaded.display(), .requested.display()
    )]
    AlreadyLoaded {
        /// The library in use.
        loaded: PathBuf,
        /// The library that was asked for later.
        requested: PathBuf,
    },
    /// The bytes are no ONNX graph that the backend can run.
    #[error("network `{model}` cannot be loaded by {backend}: {reason}")]
    Load {
        /// Name of the network.
        model: String,
        /// Name of the backend.
        backend: String,
        /// The backend's own words.
        reason: String,
    },
    /// None of the wanted execution providers can run the network.
    #[error("network `{model}` runs on none of the wanted execution providers{}", list(.skipped))]
    NoProvider {
        /// Name of the network.
        model: String,
        /// Why each provider was passed over.
        skipped: Vec<ProviderSkip>,
    },
    /// The graph's inputs or outputs are not those that its description states.
    #[error("network `{model}`, {side} `{tensor}`: expected {expected}, found {found}")]
    Signature {
        /// Name of the network.
        model: String,
        /// `input` or `output`.
        side: &'static str,
        /// Name of the tensor.
        tensor: String,
        /// What the description states.
        expected: String,
        /// What the graph has.
        found: String,
    },
    /// A run was given a tensor that the network does not take.
    #[error("network `{model}`, input `{tensor}`: expected {expected}, got {found}")]
    Input {
        /// Name of the network.
        model: String,
        /// Name of the input.
        tensor: String,
        /// What the network takes.
        expected: String,
        /// What was passed.
        found: String,
    },
    /// An output was asked for by a name or element type that the network does not have.
    #[error("network `{model}` has no output `{tensor}` of type {element}")]
    Output {
        /// Name of the network.
        model: String,
        /// Name of the output.
        tensor: String,
        /// The wanted element type.
        element: ElementType,
    },
    /// The backend failed while it ran the network.
    #[error("network `{model}` failed while running on {backend}: {reason}")]
    Run {
        /// Name of the network.
        model: String,
        /// Name of the backend.
        backend: String,
        /// The backend's own words.
        reason: String,
    },
    /// The run was cancelled by its [`CancelToken`](super::CancelToken).
    #[error("cancelled")]
    Cancelled,
    /// A tensor's shape does not hold its data.
    #[error("a tensor of shape {shape:?} cannot hold {elements} elements")]
    TensorLength {
        /// The shape.
        shape: Vec<usize>,
        /// The number of elements.
        elements: usize,
    },
}

/// Why a file is not used as ONNX Runtime.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LibraryProblem {
    /// There is no such file, or the folder holds no ONNX Runtime.
    #[error("{}: no ONNX Runtime library there", .path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The system's loader refuses the file.
    #[error("{}: cannot be loaded ({reason})", .path.display())]
    NotLoadable {
        /// The file.
        path: PathBuf,
        /// The loader's own words.
        reason: String,
    },
    /// A library, but not ONNX Runtime.
    #[error("{}: not ONNX Runtime (it does not export a usable OrtGetApiBase)", .path.display())]
    NotOnnxRuntime {
        /// The file.
        path: PathBuf,
    },
    /// An ONNX Runtime that lacks the API that is needed.
    #[error("{}: ONNX Runtime {version} is too old, {minimum} or newer is needed", .path.display())]
    TooOld {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: String,
        /// The oldest version that fits.
        minimum: String,
    },
    /// The library loads but does not start.
    #[error("{}: ONNX Runtime does not start ({reason})", .path.display())]
    Init {
        /// The file.
        path: PathBuf,
        /// Its own words.
        reason: String,
    },
}

/// `": a; b"`, or nothing for an empty list.
fn list<T: ToString>(items: &[T]) -> String {
    if items.is_empty() {
        return String::new();
    }
    format!(": {}", items.iter().map(T::to_string).collect::<Vec<_>>().join("; "))
}
