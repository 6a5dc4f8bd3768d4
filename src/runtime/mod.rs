//! Runs ONNX networks on whatever the machine has.
//!
//! [`Runtime::new`] looks for ONNX Runtime and loads it dynamically; where none is installed the embedded pure-Rust
//! backend runs the same networks, slower. [`Runtime::load`] builds a [`Model`] on the first execution provider that
//! takes it, and [`Runtime::report`] says what was chosen and what was passed over, and why.
//!
//! ONNX Runtime is looked for in this order; the first two are exclusive, failing is an error:
//!
//! 1. [`RuntimeOptions::library`], a file or a folder,
//! 2. the environment variable `ORT_DYLIB_PATH`,
//! 3. beside the executable, and there in `lib`, `onnxruntime`, `onnxruntime/lib`, `../lib`,
//! 4. the packages onnxruntime and onnxruntime-gpu of the Python environments `VIRTUAL_ENV`, `CONDA_PREFIX`,
//!    `~/.local`, `/usr/local`, `/usr`,
//! 5. the system's library folders and its loader's search path.
//!
//! Versions from 1.20 on fit. A process loads ONNX Runtime once and keeps it.
//!
//! ```
//! use bevy_fitdiff::runtime::{Runtime, RuntimeOptions};
//!
//! let runtime = Runtime::new(RuntimeOptions::default())?;
//! println!("{}", runtime.report());
//! # Ok::<_, bevy_fitdiff::runtime::RuntimeError>(())
//! ```

mod cancel;
mod discovery;
#[cfg(feature = "embedded")]
mod embedded;
mod error;
mod library;
mod model;
mod onnxruntime;
mod options;
mod providers;
mod report;
mod tensor;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use bevy::log::{info, warn};

pub use cancel::CancelToken;
pub use error::{LibraryProblem, RuntimeError};
pub use model::{ExternalWeights, Model, ModelSpec, Outputs};
pub use options::{BackendChoice, Provider, RuntimeOptions};
pub use report::{BackendInfo, ModelReport, ProviderSkip, RuntimeReport};
pub use tensor::{AnyTensor, Element, ElementType, Tensor, TensorSpec};

/// The inference engine in use. Clones share it.
#[derive(Clone)]
pub struct Runtime(Arc<Engine>);

struct Engine {
    backend: Backend,
    explicit_providers: bool,
    report: Mutex<RuntimeReport>,
    loads: AtomicUsize,
}

enum Backend {
    OnnxRuntime(onnxruntime::OnnxRuntime),
    #[cfg(feature = "embedded")]
    Embedded(embedded::Embedded),
}

impl Runtime {
    /// Finds and starts an inference engine.
    ///
    /// # Errors
    /// [`RuntimeError::Library`] when a library was asked for and does not fit, [`RuntimeError::AlreadyLoaded`] when
    /// it is not the one that the process has loaded, [`RuntimeError::NoOnnxRuntime`] when
    /// [`BackendChoice::OnnxRuntime`] finds none, [`RuntimeError::EmbeddedNotBuilt`] when nothing is left to use.
    pub fn new(options: RuntimeOptions) -> Result<Self, RuntimeError> {
        let threads = options.thread_count();
        let (loaded, skipped_libraries) = match options.backend {
            BackendChoice::Embedded => (None, Vec::new()),
            BackendChoice::Auto | BackendChoice::OnnxRuntime => onnxruntime::find(&options)?,
        };
        if loaded.is_none() && options.backend == BackendChoice::OnnxRuntime {
            return Err(RuntimeError::NoOnnxRuntime { skipped: skipped_libraries });
        }
        let explicit_providers = options.providers.is_some();
        let (backend, info) = match loaded {
            Some(loaded) => {
                let info = BackendInfo {
                    name: onnxruntime::NAME,
                    version: loaded.version.clone(),
                    library: Some(loaded.path.clone()),
                    threads,
                };
                (Backend::OnnxRuntime(onnxruntime::OnnxRuntime::new(loaded, options)), info)
            }
            None => embedded_backend(threads)?,
        };
        let report = RuntimeReport { backend: Some(info), skipped_libraries, ..Default::default() };
        let report = Mutex::new(report);
        Ok(Self(Arc::new(Engine { backend, explicit_providers, report, loads: AtomicUsize::new(0) })))
    }

    /// Loads a network from the bytes of its ONNX file.
    ///
    /// # Errors
    /// [`RuntimeError::Load`] when the bytes are no graph that the backend can run, [`RuntimeError::Signature`] when
    /// its inputs or outputs are not those of `spec`, [`RuntimeError::NoProvider`] when none of the wanted execution
    /// providers takes it.
    pub fn load(&self, spec: ModelSpec, onnx: &[u8]) -> Result<Model, RuntimeError> {
        self.load_graph(spec, onnx, None)
    }

    /// Loads a network whose weights lie in another file; see [`load`](Self::load).
    ///
    /// # Errors
    /// Those of [`load`](Self::load); [`RuntimeError::Load`] also when the graph refers to other files, or beyond the
    /// end of this one.
    pub fn load_with_weights(
        &self,
        spec: ModelSpec,
        onnx: &[u8],
        weights: &ExternalWeights,
    ) -> Result<Model, RuntimeError> {
        self.load_graph(spec, onnx, Some(weights))
    }

    fn load_graph(
        &self,
        spec: ModelSpec,
        onnx: &[u8],
        weights: Option<&ExternalWeights>,
    ) -> Result<Model, RuntimeError> {
        let start = Instant::now();
        let name = spec.name.clone();
        let (model, provider, skipped) = match &self.0.backend {
            Backend::OnnxRuntime(runtime) => {
                let (session, provider, skipped) = runtime.load(&name, onnx, weights)?;
                (Model::new(spec, onnxruntime::NAME, Box::new(session))?, provider, skipped)
            }
            #[cfg(feature = "embedded")]
            Backend::Embedded(runtime) => {
                let session = runtime.load(&name, onnx, weights, &spec.inputs)?;
                (Model::new(spec, embedded::NAME, Box::new(session))?, Provider::Cpu, Vec::new())
            }
        };
        let mut report = self.lock_report();
        for skip in &skipped {
            let said = report.models.iter().any(|model| model.skipped.contains(skip));
            match (said, self.0.explicit_providers) {
                (true, _) => {}
                (false, true) => warn!("network `{name}` does not run on {skip}; it runs on {provider}"),
                (false, false) => info!("networks do not run on {skip}"),
            }
        }
        report.models.retain(|model| model.name != name);
        report.models.push(ModelReport { name, provider, load_time: start.elapsed(), skipped });
        self.0.loads.fetch_add(1, Ordering::Release);
        Ok(model)
    }

    /// How many networks have been loaded so far; the report is another one whenever this grows.
    pub fn loads(&self) -> usize {
        self.0.loads.load(Ordering::Acquire)
    }

    /// What was found, chosen and loaded so far.
    pub fn report(&self) -> RuntimeReport {
        self.lock_report().clone()
    }

    fn lock_report(&self) -> MutexGuard<'_, RuntimeReport> {
        self.0.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("report", &self.0.report).finish_non_exhaustive()
    }
}

#[cfg(feature = "embedded")]
fn embedded_backend(threads: usize) -> Result<(Backend, BackendInfo), RuntimeError> {
    let info = BackendInfo { name: embedded::NAME, version: embedded::VERSION.into(), library: None, threads };
    Ok((Backend::Embedded(embedded::Embedded::new(threads)), info))
}

#[cfg(not(feature = "embedded"))]
fn embedded_backend(_threads: usize) -> Result<(Backend, BackendInfo), RuntimeError> {
    Err(RuntimeError::EmbeddedNotBuilt)
}
