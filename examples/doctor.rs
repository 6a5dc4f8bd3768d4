//! Demonstrates how to find out what runs the networks on a machine, and why.
//!
//! Prints the inference engine, the libraries that were passed over, and for each network of a bundle the execution
//! provider, its loading time and the time of one run. Exits with an error when something does not work.
//!
//! `cargo run --example doctor -- --help`

use std::{error::Error, num::NonZeroUsize, path::PathBuf, process::ExitCode, time::Instant};

use argh::FromArgs;
use bevy::{log::LogPlugin, prelude::*};
use bevy_fitdiff::{
    bundle::Bundle,
    prelude::*,
    runtime::{AnyTensor, BackendChoice, CancelToken, ElementType, Provider, RuntimeOptions, Tensor, TensorSpec},
};
use half::f16;

/// Says what runs the networks on this machine, and why.
#[derive(FromArgs)]
struct Arguments {
    /// the model bundle (default: models/base)
    #[argh(option, default = "concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/models/base\").into()")]
    bundle: PathBuf,
    /// auto (default), onnxruntime or embedded
    #[argh(option, default = "BackendChoice::Auto")]
    backend: BackendChoice,
    /// an ONNX Runtime library, or a folder that holds one
    #[argh(option)]
    library: Option<PathBuf>,
    /// execution providers in the order in which to try them, such as tensorrt,cuda,cpu
    #[argh(option, from_str_fn(parse_providers))]
    providers: Option<Providers>,
    /// number of the GPU
    #[argh(option, default = "0")]
    device: u32,
    /// threads for one network call
    #[argh(option)]
    threads: Option<NonZeroUsize>,
    /// let TensorRT compute in half precision
    #[argh(switch)]
    fp16: bool,
}

struct Providers(Vec<Provider>);

fn parse_providers(text: &str) -> Result<Providers, String> {
    let parse = |name: &str| match name.trim().to_lowercase().as_str() {
        "tensorrt" => Ok(Provider::TensorRt),
        "cuda" => Ok(Provider::Cuda),
        "directml" => Ok(Provider::DirectMl),
        "coreml" => Ok(Provider::CoreMl),
        "cpu" => Ok(Provider::Cpu),
        other => Err(format!("`{other}` is none of tensorrt, cuda, directml, coreml, cpu")),
    };
    text.split(',').map(parse).collect::<Result<_, _>>().map(Providers)
}

/// A tensor of zeros for an input.
fn zeros(spec: &TensorSpec) -> AnyTensor {
    match spec.element {
        ElementType::F32 => Tensor::<f32>::zeros(&spec.shape[..]).into(),
        ElementType::F16 => Tensor::<f16>::zeros(&spec.shape[..]).into(),
        ElementType::I64 => Tensor::<i64>::zeros(&spec.shape[..]).into(),
    }
}

fn main() -> ExitCode {
    match run(argh::from_env()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let options = RuntimeOptions {
        backend: arguments.backend,
        library: arguments.library,
        providers: arguments.providers.map(|Providers(list)| list),
        device_id: arguments.device,
        threads: arguments.threads,
        fp16: arguments.fp16,
        ..default()
    };
    let mut app = App::new();
    app.add_plugins((MinimalPlugins, LogPlugin::default(), FitDiffPlugin { runtime: options }));
    let Some(runtime) = app.world().get_resource::<FitDiffRuntime>().cloned() else {
        return Err(app.world().resource::<RuntimeReport>().to_string().into());
    };
    let bundle = Bundle::open(arguments.bundle)?;
    let manifest = bundle.manifest();
    println!("bundle {} {} in {}", manifest.id, manifest.version, bundle.root().display());
    for name in manifest.networks.keys() {
        let mut model = bundle.load(&runtime, name)?;
        let inputs: Vec<(String, AnyTensor)> =
            model.spec().inputs.iter().map(|spec| (spec.name.clone(), zeros(spec))).collect();
        let inputs: Vec<(&str, &AnyTensor)> = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        // The first run also allocates, and compiles where the provider does that.
        model.run(&inputs, &CancelToken::default())?;
        let start = Instant::now();
        model.run(&inputs, &CancelToken::default())?;
        println!("{name}: one run takes {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    }
    app.update();
    println!("{}", app.world().resource::<RuntimeReport>());
    Ok(())
}
