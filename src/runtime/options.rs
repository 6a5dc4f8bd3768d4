//! What a developer can choose about inference.

use std::{fmt, num::NonZeroUsize, path::PathBuf, str::FromStr};

/// How networks are run. The default finds the best that the machine has.
#[derive(Clone, Debug, Default)]
pub struct RuntimeOptions {
    /// Which inference engine to use. Default: [`BackendChoice::Auto`].
    pub backend: BackendChoice,
    /// An ONNX Runtime library, or a folder that holds one. It is used alone: when it does not load, creating the
    /// [`Runtime`](super::Runtime) fails instead of looking elsewhere. Default: none, look in the usual places.
    pub library: Option<PathBuf>,
    /// Execution providers in the order in which they are tried, for each network. Without [`Provider::Cpu`] in the
    /// list, a network that none of them can run fails to load. Default: `None`, which tries
    /// [`Provider::TensorRt`], [`Provider::Cuda`], then [`Provider::Cpu`].
    pub providers: Option<Vec<Provider>>,
    /// Which GPU, counted from 0 as the provider counts them. Default: 0.
    pub device_id: u32,
    /// Threads that one network call may use. Default: `None`, all cores but at most
    /// [`DEFAULT_MAX_THREADS`](Self::DEFAULT_MAX_THREADS), so that a game keeps the others.
    pub threads: Option<NonZeroUsize>,
    /// Upper limit for GPU memory in bytes: of CUDA's arena, and of TensorRT's workspace. Default: no limit. The CPU
    /// provider and the embedded backend have no such limit; they take what the networks need.
    pub gpu_memory_limit: Option<usize>,
    /// Lets TensorRT choose half-precision kernels: about twice as fast, results differ in the third decimal.
    /// Other providers compute in the precision of the network and ignore this. Default: off.
    pub fp16: bool,
    /// Where TensorRT keeps its compiled engines and timings between runs (building them takes minutes). Default:
    /// `None`, the folder `bevy_fitdiff/tensorrt` in the user's cache directory.
    pub engine_cache: Option<PathBuf>,
}

impl RuntimeOptions {
    /// Most threads that are taken when [`threads`](Self::threads) is not set.
    pub const DEFAULT_MAX_THREADS: usize = 4;

    /// The number of threads for one network call.
    pub(super) fn thread_count(&self) -> usize {
        self.threads.map(NonZeroUsize::get).unwrap_or_else(|| {
            let cores = std::thread::available_parallelism().map(NonZeroUsize::get).unwrap_or(1);
            cores.min(Self::DEFAULT_MAX_THREADS)
        })
    }

    /// The folder of TensorRT's caches; `None` when the system names no cache directory.
    pub(super) fn engine_cache_dir(&self) -> Option<PathBuf> {
        self.engine_cache.clone().or_else(|| dirs::cache_dir().map(|cache| cache.join("bevy_fitdiff").join("tensorrt")))
    }
}

/// Which inference engine runs the networks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendChoice {
    /// ONNX Runtime when a fitting library is found, otherwise the embedded backend.
    #[default]
    Auto,
    /// ONNX Runtime; an error when no fitting library is found.
    OnnxRuntime,
    /// The pure-Rust backend that is compiled in (feature `embedded`), without looking for ONNX Runtime.
    Embedded,
}

impl FromStr for BackendChoice {
    type Err = String;

    /// Reads `auto`, `onnxruntime` or `embedded`, as a command line or a settings file has them.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "onnxruntime" => Ok(Self::OnnxRuntime),
            "embedded" => Ok(Self::Embedded),
            other => Err(format!("`{other}` is none of auto, onnxruntime, embedded")),
        }
    }
}

/// An execution provider of ONNX Runtime: the hardware that runs a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Provider {
    /// NVIDIA TensorRT, with CUDA for what TensorRT does not know. Compiles engines at the first run.
    TensorRt,
    /// NVIDIA CUDA with cuDNN.
    Cuda,
    /// DirectX 12 GPUs on Windows.
    DirectMl,
    /// Apple's neural engine and GPU.
    CoreMl,
    /// The processor.
    Cpu,
}

impl Provider {
    /// The order in which providers are tried by default.
    pub const DEFAULT_ORDER: [Self; 3] = [Self::TensorRt, Self::Cuda, Self::Cpu];
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TensorRt => "TensorRT",
            Self::Cuda => "CUDA",
            Self::DirectMl => "DirectML",
            Self::CoreMl => "CoreML",
            Self::Cpu => "CPU",
        })
    }
}
