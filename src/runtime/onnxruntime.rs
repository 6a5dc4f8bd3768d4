//! ONNX Runtime as a backend: sessions through `ort`.

use std::{path::Path, sync::Arc, sync::OnceLock};

use ort::{
    logging::LogLevel,
    session::{RunOptions, Session, SessionInputValue, builder::GraphOptimizationLevel},
    value::{DynValue, Outlet, TensorElementType, TensorRef, ValueType},
};

use super::{
    AnyTensor, CancelToken, ElementType, ExternalWeights, LibraryProblem, Provider, ProviderSkip, RuntimeError,
    RuntimeOptions, Tensor, discovery,
    library::{self, LoadedRuntime},
    model::{DeclaredTensor, NetworkSession},
    providers,
};

/// Name of the backend in reports and errors.
pub(super) const NAME: &str = "ONNX Runtime";

/// The environment variable that names the library, as other users of ONNX Runtime know it.
const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";

/// Finds ONNX Runtime and loads it: the options' library or that of `ORT_DYLIB_PATH` exclusively, else the first
/// that fits of the usual places. Returns what was passed over, too.
pub(super) fn find(options: &RuntimeOptions) -> Result<(Option<LoadedRuntime>, Vec<LibraryProblem>), RuntimeError> {
    let variable = std::env::var_os(LIBRARY_VARIABLE).filter(|value| !value.is_empty());
    if let Some(path) = &options.library {
        return Ok((Some(load_requested(path, "the option `library`")?), Vec::new()));
    }
    if let Some(path) = variable {
        return Ok((Some(load_requested(Path::new(&path), LIBRARY_VARIABLE)?), Vec::new()));
    }
    if let Some(loaded) = library::loaded() {
        return Ok((Some(loaded), Vec::new()));
    }
    let mut skipped = Vec::new();
    for path in discovery::Surroundings::of_process().candidates() {
        match library::load(&path)? {
            Ok(loaded) => return Ok((Some(loaded), skipped)),
            Err(problem) => skipped.push(problem),
        }
    }
    // The system's own search path comes last; that nothing is there is no news.
    if let Some(name) = discovery::loader_name() {
        match library::load(Path::new(name))? {
            Ok(loaded) => return Ok((Some(loaded), skipped)),
            Err(LibraryProblem::NotLoadable { .. }) => {}
            Err(problem) => skipped.push(problem),
        }
    }
    Ok((None, skipped))
}

fn load_requested(path: &Path, requested_by: &'static str) -> Result<LoadedRuntime, RuntimeError> {
    let missing = || LibraryProblem::Missing { path: path.to_path_buf() };
    let refused = |problem| RuntimeError::Library { requested_by, problem };
    let file = if path.is_dir() {
        discovery::libraries_in(path).into_iter().next().ok_or_else(missing).map_err(refused)?
    } else if path.is_file() {
        path.to_path_buf()
    } else {
        return Err(refused(missing()));
    };
    library::load(&file)?.map_err(refused)
}

/// A loaded ONNX Runtime and the options for its sessions.
pub(super) struct OnnxRuntime {
    runtime: LoadedRuntime,
    options: RuntimeOptions,
    nvidia_preloaded: OnceLock<()>,
}

impl OnnxRuntime {
    pub(super) fn new(runtime: LoadedRuntime, options: RuntimeOptions) -> Self {
        Self { runtime, options, nvidia_preloaded: OnceLock::new() }
    }

    /// Builds a session for an ONNX graph on the first wanted provider that takes it.
    pub(super) fn load(
        &self,
        model: &str,
        onnx: &[u8],
        weights: Option<&ExternalWeights>,
    ) -> Result<(OrtSession, Provider, Vec<ProviderSkip>), RuntimeError> {
        let wanted = self.options.providers.as_deref().unwrap_or(&Provider::DEFAULT_ORDER);
        let mut skipped = Vec::new();
        for &provider in wanted {
            if !providers::is_built_in(provider) {
                let reason = providers::not_built_in(provider, &self.runtime.version);
                skipped.push(ProviderSkip { provider, reason });
                continue;
            }
            if matches!(provider, Provider::Cuda | Provider::TensorRt) {
                self.nvidia_preloaded.get_or_init(|| providers::preload_nvidia_packages(&self.runtime.path));
            }
            match self.session(provider, onnx, weights) {
                Ok(session) => return Ok((OrtSession::new(session), provider, skipped)),
                // The CPU takes every graph: if it fails, the graph is at fault.
                Err(reason) if provider == Provider::Cpu => {
                    return Err(RuntimeError::Load { model: model.into(), backend: NAME.into(), reason });
                }
                Err(message) => {
                    skipped.push(ProviderSkip { provider, reason: providers::explain(&message) });
                }
            }
        }
        Err(RuntimeError::NoProvider { model: model.into(), skipped })
    }

    fn session(&self, provider: Provider, onnx: &[u8], weights: Option<&ExternalWeights>) -> Result<Session, String> {
        let build = || -> ort::Result<Session> {
            let mut builder = Session::builder(&self.runtime.environment)?
                .with_optimization_level(GraphOptimizationLevel::All)?
                .with_intra_threads(self.options.thread_count())?
                // Spinning threads would take the cores from the game between two operators.
                .with_intra_op_spinning(false)?
                .with_log_level(LogLevel::Error)?
                .with_execution_providers(providers::registrations(provider, &self.options))?;
            if let Some(weights) = weights {
                builder = builder.with_external_initializer_file_in_memory(&weights.file, weights.content.clone())?;
            }
            builder.commit_from_memory(onnx)
        };
        build().map_err(|error| error.to_string())
    }
}

/// A session of ONNX Runtime.
pub(super) struct OrtSession {
    session: Session,
    inputs: Vec<DeclaredTensor>,
    outputs: Vec<DeclaredTensor>,
}

impl OrtSession {
    fn new(session: Session) -> Self {
        let (inputs, outputs) =
            (session.inputs().iter().map(declared).collect(), session.outputs().iter().map(declared).collect());
        Self { session, inputs, outputs }
    }
}

impl NetworkSession for OrtSession {
    fn inputs(&self) -> &[DeclaredTensor] {
        &self.inputs
    }

    fn outputs(&self) -> &[DeclaredTensor] {
        &self.outputs
    }

    fn run(&mut self, inputs: &[(&str, &AnyTensor)], cancel: &CancelToken) -> Result<Vec<(String, AnyTensor)>, String> {
        // The termination flag of run options stays set, so each run has options of its own.
        let options = Arc::new(RunOptions::new().map_err(|error| error.to_string())?);
        let _guard = cancel.on_cancel({
            let options = options.clone();
            move || {
                // It fails only for a null pointer.
                let _ = options.terminate();
            }
        });
        let mut run = || -> ort::Result<Vec<(String, AnyTensor)>> {
            let feed = inputs
                .iter()
                .map(|&(name, tensor)| Ok((name, borrow(tensor)?)))
                .collect::<ort::Result<Vec<(&str, SessionInputValue)>>>()?;
            let outputs = self.session.run_with_options(feed, &*options)?;
            outputs.iter().map(|(name, value)| Ok((name.to_owned(), copy(&value)?))).collect()
        };
        run().map_err(|error| error.to_string())
    }
}

fn declared(outlet: &Outlet) -> DeclaredTensor {
    let (element, shape) = match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } => (
            match ty {
                TensorElementType::Float32 => Ok(ElementType::F32),
                TensorElementType::Float16 => Ok(ElementType::F16),
                TensorElementType::Int64 => Ok(ElementType::I64),
                other => Err(other.to_string()),
            },
            shape.iter().map(|&axis| usize::try_from(axis).ok()).collect(),
        ),
        other => (Err(format!("{other:?}")), Vec::new()),
    };
    DeclaredTensor { name: outlet.name().to_owned(), element, shape }
}

fn borrow(tensor: &AnyTensor) -> ort::Result<SessionInputValue<'_>> {
    Ok(match tensor {
        AnyTensor::F32(tensor) => TensorRef::from_array_view((tensor.shape().to_vec(), tensor.data()))?.into(),
        AnyTensor::F16(tensor) => TensorRef::from_array_view((tensor.shape().to_vec(), tensor.data()))?.into(),
        AnyTensor::I64(tensor) => TensorRef::from_array_view((tensor.shape().to_vec(), tensor.data()))?.into(),
    })
}

fn copy(value: &DynValue) -> ort::Result<AnyTensor> {
    macro_rules! tensor {
        ($type:ty) => {{
            let (shape, data) = value.try_extract_tensor::<$type>()?;
            let shape: Vec<usize> = shape.iter().map(|&axis| usize::try_from(axis).unwrap_or(0)).collect();
            Tensor::new(shape, data.to_vec()).map_err(ort::Error::wrap)?.into()
        }};
    }
    Ok(match value.dtype().tensor_type() {
        Some(TensorElementType::Float16) => tensor!(half::f16),
        Some(TensorElementType::Int64) => tensor!(i64),
        _ => tensor!(f32),
    })
}
