//! Execution providers of ONNX Runtime: their options, and what is missing when one does not start.

use std::{
    fs,
    path::{Path, PathBuf},
};

use ort::ep::{self, ExecutionProvider, ExecutionProviderDispatch};

use super::{Provider, RuntimeOptions, discovery, library};

/// CUDA, cuDNN and TensorRT libraries that providers need, by the start of their file names; a library comes after
/// those it depends on.
const NVIDIA_LIBRARIES: &[&str] = &[
    "libcudart.so",
    "libnvrtc.so",
    "libnvJitLink.so",
    "libcublasLt.so",
    "libcublas.so",
    "libcufft.so",
    "libcurand.so",
    "libcudnn.so",
    "libnvinfer.so",
    "libnvonnxparser.so",
];

const DRIVER: &str = "the NVIDIA driver";

/// What a person installs to get a library, by the start of its name.
const PIECES: &[(&str, &str)] = &[
    ("nvinfer", "TensorRT"),
    ("nvonnxparser", "TensorRT"),
    ("cudnn", "cuDNN"),
    ("cublas", "the CUDA toolkit's runtime"),
    ("cudart", "the CUDA toolkit's runtime"),
    ("cufft", "the CUDA toolkit's runtime"),
    ("curand", "the CUDA toolkit's runtime"),
    ("nvrtc", "the CUDA toolkit's runtime"),
    ("nvJitLink", "the CUDA toolkit's runtime"),
    ("onnxruntime_providers", "ONNX Runtime's own provider library"),
    ("cuda.", DRIVER),
    ("nvcuda", DRIVER),
];

/// Whether this build of ONNX Runtime contains the provider at all.
pub(super) fn is_built_in(provider: Provider) -> bool {
    match provider {
        Provider::TensorRt => ep::TensorRT::is_available(),
        Provider::Cuda => ep::CUDA::is_available(),
        Provider::DirectMl => ep::DirectML::is_available(),
        Provider::CoreMl => ep::CoreML::is_available(),
        Provider::Cpu => Ok(true),
    }
    .unwrap_or(false)
}

/// What to say when [`is_built_in`] is false.
pub(super) fn not_built_in(provider: Provider, version: &str) -> String {
    let package = match provider {
        Provider::TensorRt | Provider::Cuda => "the Python package onnxruntime-gpu has it",
        Provider::DirectMl => "the Python package onnxruntime-directml has it",
        Provider::CoreMl => "ONNX Runtime for macOS has it",
        Provider::Cpu => "every build has it",
    };
    format!("this build of ONNX Runtime {version} does not contain it ({package})")
}

/// The providers to register for a session on `provider`, none for the CPU. Each turns its own failure into an error.
pub(super) fn registrations(provider: Provider, options: &RuntimeOptions) -> Vec<ExecutionProviderDispatch> {
    let device = i32::try_from(options.device_id).unwrap_or(i32::MAX);
    match provider {
        Provider::TensorRt => vec![tensorrt(device, options).error_on_failure(), cuda(device, options)],
        Provider::Cuda => vec![cuda(device, options)],
        Provider::DirectMl => vec![ep::DirectML::default().with_device_id(device).build().error_on_failure()],
        Provider::CoreMl => vec![ep::CoreML::default().build().error_on_failure()],
        Provider::Cpu => Vec::new(),
    }
}

fn cuda(device: i32, options: &RuntimeOptions) -> ExecutionProviderDispatch {
    let mut cuda = ep::CUDA::default().with_device_id(device);
    if let Some(limit) = options.gpu_memory_limit {
        cuda = cuda.with_memory_limit(limit);
    }
    cuda.build().error_on_failure()
}

fn tensorrt(device: i32, options: &RuntimeOptions) -> ExecutionProviderDispatch {
    let mut tensorrt = ep::TensorRT::default().with_device_id(device).with_fp16(options.fp16);
    if let Some(limit) = options.gpu_memory_limit {
        tensorrt = tensorrt.with_max_workspace_size(limit);
    }
    // Without a writable folder engines are built anew at every start, which is slow but right.
    if let Some(dir) = options.engine_cache_dir().filter(|dir| fs::create_dir_all(dir).is_ok()) {
        let dir = dir.display().to_string();
        tensorrt = tensorrt
            .with_engine_cache(true)
            .with_engine_cache_path(&dir)
            .with_timing_cache(true)
            .with_timing_cache_path(&dir);
    }
    tensorrt.build()
}

/// Loads the CUDA, cuDNN and TensorRT libraries that Python packages installed beside `onnx_runtime`, where the
/// system's loader would not look for them.
pub(super) fn preload_nvidia_packages(onnx_runtime: &Path) {
    let files: Vec<PathBuf> = discovery::nvidia_package_dirs(onnx_runtime)
        .iter()
        .filter_map(|dir| fs::read_dir(dir).ok())
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    let ordered: Vec<PathBuf> = NVIDIA_LIBRARIES
        .iter()
        .flat_map(|prefix| files.iter().filter(move |path| file_name(path).starts_with(prefix)))
        .cloned()
        .collect();
    library::preload(&ordered);
}

fn file_name(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

/// Turns ONNX Runtime's message about a provider that failed into the piece that is missing, in words; the message
/// itself, shortened to its first line, where the piece is not recognised.
pub(super) fn explain(message: &str) -> String {
    if let Some(file) = missing_library(message) {
        let name = file.trim_start_matches("lib");
        let piece = PIECES.iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, piece)| *piece);
        // The driver's library is version 1 whatever the driver's version.
        let major = file.split_once(".so.").and_then(|(_, version)| version.split('.').next());
        let version = match (piece, major) {
            (Some(DRIVER), _) | (_, None | Some("")) => String::new(),
            (_, Some(major)) => format!(", version {major}"),
        };
        return match piece {
            Some(piece) => format!("{file} is missing: install {piece}{version}"),
            None => format!("{file} is missing"),
        };
    }
    let lower = message.to_lowercase();
    if lower.contains("driver version is insufficient") {
        return "the NVIDIA driver is missing, or older than the CUDA version of this ONNX Runtime".into();
    }
    if lower.contains("no cuda-capable device") {
        return "no NVIDIA GPU is visible".into();
    }
    message.lines().next().unwrap_or_default().trim().to_owned()
}

/// The file that the system's loader did not find, in `libx.so.1: cannot open shared object file: …`.
fn missing_library(message: &str) -> Option<&str> {
    let (before, _) = message.split_once(": cannot open shared object file")?;
    before.rsplit([' ', '"', '/', '\'']).next().filter(|name| name.contains(".so"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_missing_piece_is_named_with_its_major_version() {
        let message = "Failed to load library /venv/onnxruntime/capi/libonnxruntime_providers_cuda.so with error: \
                       libcublasLt.so.13: cannot open shared object file: No such file or directory";
        assert_eq!(explain(message), "libcublasLt.so.13 is missing: install the CUDA toolkit's runtime, version 13");
        let message = "with error: libcudnn.so.9: cannot open shared object file: No such file or directory";
        assert_eq!(explain(message), "libcudnn.so.9 is missing: install cuDNN, version 9");
        let message = "with error: libnvinfer.so.10: cannot open shared object file: No such file or directory";
        assert_eq!(explain(message), "libnvinfer.so.10 is missing: install TensorRT, version 10");
        let message = "error: libcuda.so.1: cannot open shared object file: No such file or directory";
        assert_eq!(explain(message), "libcuda.so.1 is missing: install the NVIDIA driver");
    }

    #[test]
    fn an_unknown_message_is_passed_on() {
        assert_eq!(explain("something new\nat line 7"), "something new");
    }
}
