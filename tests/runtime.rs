//! Finding, refusing and running inference engines.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use bevy_fitdiff::runtime::{
    AnyTensor, BackendChoice, CancelToken, ElementType, ExternalWeights, LibraryProblem, Model, ModelSpec, Provider,
    Runtime, RuntimeError, RuntimeOptions, Tensor, TensorSpec,
};
use half::f16;
use tempfile::TempDir;

mod common;

fn spec(name: &str, inputs: &[TensorSpec], outputs: &[TensorSpec]) -> ModelSpec {
    ModelSpec { name: name.into(), inputs: inputs.to_vec(), outputs: outputs.to_vec() }
}

fn tensor(name: &str, element: ElementType, shape: &[usize]) -> TensorSpec {
    TensorSpec { name: name.into(), element, shape: shape.to_vec(), meaning: String::new() }
}

fn onnx(name: &str) -> Vec<u8> {
    std::fs::read(common::repository().join("tests/fixtures").join(name).with_extension("onnx")).unwrap()
}

/// y = 2x + 1 for two rows of three numbers; the graph leaves the number of rows open.
fn affine(runtime: &Runtime) -> Model {
    let (x, y) = (tensor("x", ElementType::F32, &[2, 3]), tensor("y", ElementType::F32, &[2, 3]));
    runtime.load(spec("affine", &[x], &[y]), &onnx("affine")).unwrap()
}

fn run_one(model: &mut Model, input: &AnyTensor) -> Result<Tensor<f32>, RuntimeError> {
    model.run(&[("x", input)], &CancelToken::default())?.take("y")
}

#[test]
fn a_network_computes_what_its_graph_says() {
    for (backend, runtime) in common::runtimes() {
        let mut model = affine(&runtime);
        let input = Tensor::new([2, 3], vec![0.0f32, 1.0, -1.0, 0.5, 100.0, 1e-3]).unwrap();
        let output = run_one(&mut model, &input.clone().into()).unwrap();
        assert_eq!(output.shape(), [2, 3], "{backend}");
        let expected: Vec<f32> = input.data().iter().map(|x| 2.0 * x + 1.0).collect();
        assert_eq!(output.data(), expected, "{backend}");
    }
}

#[test]
fn half_precision_and_integers_pass_through() {
    for (backend, runtime) in common::runtimes() {
        let (x, y) = (tensor("x", ElementType::F16, &[1, 3]), tensor("y", ElementType::F16, &[1, 3]));
        let mut half = runtime.load(spec("half", &[x], &[y]), &onnx("half")).unwrap();
        let input = Tensor::new([1, 3], vec![0.5f32, 2.0, -3.0]).unwrap().to_f16();
        let mut outputs = half.run(&[("x", &input.into())], &CancelToken::default()).unwrap();
        assert_eq!(outputs.take::<f16>("y").unwrap().to_f32().data(), [2.0, 5.0, -5.0], "{backend}");

        let inputs = [tensor("x", ElementType::F32, &[1, 3]), tensor("index", ElementType::I64, &[2])];
        let outputs = [tensor("y", ElementType::F32, &[1, 2]), tensor("twice", ElementType::I64, &[2])];
        let mut pick = runtime.load(spec("pick", &inputs, &outputs), &onnx("pick")).unwrap();
        let x = Tensor::new([1, 3], vec![5.0f32, 6.0, 7.0]).unwrap().into();
        let index = Tensor::new([2], vec![2i64, 0]).unwrap().into();
        let mut outputs = pick.run(&[("index", &index), ("x", &x)], &CancelToken::default()).unwrap();
        assert_eq!(outputs.take::<i64>("twice").unwrap().data(), [4, 0], "{backend}");
        assert_eq!(outputs.take::<f32>("y").unwrap().data(), [7.0, 5.0], "{backend}");
        let error = outputs.take::<f32>("y").unwrap_err();
        assert!(matches!(error, RuntimeError::Output { .. }), "taken before: {error}");
    }
}

#[test]
fn weights_may_lie_in_another_file() {
    let content = std::fs::read(common::repository().join("tests/fixtures/affine.weights")).unwrap();
    let (x, y) = (tensor("x", ElementType::F32, &[1, 3]), tensor("y", ElementType::F32, &[1, 3]));
    let description = spec("affine", &[x], &[y]);
    for (backend, runtime) in common::runtimes() {
        let load = |file: &str, content: &[u8]| {
            let weights = ExternalWeights { file: file.into(), content: content.into() };
            runtime.load_with_weights(description.clone(), &onnx("affine_external"), &weights)
        };
        let mut model = load("affine.weights", &content).unwrap();
        let input = Tensor::new([1, 3], vec![0.0f32, 1.0, -4.0]).unwrap().into();
        assert_eq!(run_one(&mut model, &input).unwrap().data(), [1.0, 3.0, -7.0], "{backend}");
        for error in [load("other.weights", &content), load("affine.weights", &content[..18])].map(Result::unwrap_err) {
            assert!(matches!(error, RuntimeError::Load { .. }), "{backend}: {error}");
        }
        let error = runtime.load(description.clone(), &onnx("affine_external")).unwrap_err();
        assert!(matches!(error, RuntimeError::Load { .. }), "{backend}: {error}");
    }
}

#[test]
fn inputs_that_do_not_fit_are_refused_before_the_backend_sees_them() {
    for (backend, runtime) in common::runtimes() {
        let mut model = affine(&runtime);
        let fitting: AnyTensor = Tensor::<f32>::zeros([2, 3]).into();
        let never = CancelToken::default();
        let refused: [&[(&str, &AnyTensor)]; 5] = [
            &[],
            &[("x", &Tensor::<f32>::zeros([3, 2]).into())],
            &[("x", &Tensor::<f16>::zeros([2, 3]).into())],
            &[("x", &fitting), ("z", &fitting)],
            &[("x", &fitting), ("x", &fitting)],
        ];
        for inputs in refused {
            let error = model.run(inputs, &never).unwrap_err();
            assert!(matches!(error, RuntimeError::Input { .. }), "{backend}: {error}");
        }
        assert!(model.run(&[("x", &fitting)], &never).is_ok(), "{backend}: the network still runs");
    }
}

#[test]
fn a_graph_with_other_inputs_or_outputs_is_refused() {
    let (x, y) = (tensor("x", ElementType::F32, &[2, 3]), tensor("y", ElementType::F32, &[2, 3]));
    let wrong = [
        spec("no such input", &[tensor("image", ElementType::F32, &[2, 3])], std::slice::from_ref(&y)),
        spec("other shape", &[tensor("x", ElementType::F32, &[2, 4])], std::slice::from_ref(&y)),
        spec("other rank", &[tensor("x", ElementType::F32, &[3])], std::slice::from_ref(&y)),
        spec("other type", &[tensor("x", ElementType::F16, &[2, 3])], std::slice::from_ref(&y)),
        spec("no such output", std::slice::from_ref(&x), &[tensor("z", ElementType::F32, &[2, 3])]),
        spec("undescribed output", std::slice::from_ref(&x), &[]),
    ];
    for (backend, runtime) in common::runtimes() {
        for spec in &wrong {
            let error = runtime.load(spec.clone(), &onnx("affine")).unwrap_err();
            assert!(
                matches!(error, RuntimeError::Signature { .. } | RuntimeError::Load { .. }),
                "{backend}, {}: {error}",
                spec.name
            );
        }
    }
}

#[test]
fn a_run_can_be_cancelled_midway_and_the_network_used_again() {
    let shape = tensor("x", ElementType::F32, &[1024, 1024]);
    let output = TensorSpec { name: "y".into(), ..shape.clone() };
    let input: AnyTensor = Tensor::<f32>::zeros([1024, 1024]).into();
    for (backend, runtime) in common::runtimes() {
        let description = spec("slow", std::slice::from_ref(&shape), std::slice::from_ref(&output));
        let mut slow = runtime.load(description, &onnx("slow")).unwrap();
        let cancel = CancelToken::default();
        let canceller = std::thread::spawn({
            let cancel = cancel.clone();
            move || {
                std::thread::sleep(Duration::from_millis(20));
                cancel.cancel();
                Instant::now()
            }
        });
        let error = slow.run(&[("x", &input)], &cancel).unwrap_err();
        let ended = Instant::now();
        let asked = canceller.join().unwrap();
        assert!(matches!(error, RuntimeError::Cancelled), "{backend}: {error}");
        println!("{backend}: ended {:?} after the cancellation", ended.saturating_duration_since(asked));
        let error = slow.run(&[("x", &input)], &cancel).unwrap_err();
        assert!(matches!(error, RuntimeError::Cancelled), "{backend}: a cancelled token stays cancelled");
        let mut model = affine(&runtime);
        assert!(run_one(&mut model, &Tensor::<f32>::zeros([2, 3]).into()).is_ok(), "{backend}");
    }
}

#[test]
fn the_report_says_where_each_network_runs() {
    for (backend, runtime) in common::runtimes() {
        let _model = affine(&runtime);
        let report = runtime.report();
        let [model] = &report.models[..] else { panic!("{report}") };
        assert_eq!((model.name.as_str(), model.provider), ("affine", Provider::Cpu), "{backend}");
        let skipped: Vec<Provider> = model.skipped.iter().map(|skip| skip.provider).collect();
        match backend {
            "embedded" => assert_eq!(skipped, []),
            // This machine has no GPU: the providers before the CPU were tried, and each says what it lacks.
            _ => assert_eq!(skipped, [Provider::TensorRt, Provider::Cuda], "{report}"),
        }
        assert!(model.skipped.iter().all(|skip| !skip.reason.is_empty()), "{report}");
    }
}

#[test]
fn a_wanted_provider_is_never_replaced_in_silence() {
    let Ok(runtime) = Runtime::new(RuntimeOptions {
        backend: BackendChoice::OnnxRuntime,
        providers: Some(vec![Provider::Cuda]),
        ..Default::default()
    }) else {
        println!("only the embedded backend is tested");
        return;
    };
    let (x, y) = (tensor("x", ElementType::F32, &[2, 3]), tensor("y", ElementType::F32, &[2, 3]));
    match runtime.load(spec("affine", &[x], &[y]), &onnx("affine")) {
        Ok(_) => assert_eq!(runtime.report().models[0].provider, Provider::Cuda),
        Err(error) => {
            assert!(matches!(error, RuntimeError::NoProvider { .. }), "{error}");
            assert!(error.to_string().contains("CUDA"), "{error}");
        }
    }
}

/// Dynamic libraries that are not what they are called, built on the spot.
struct FakeLibraries {
    _dir: TempDir,
    old: PathBuf,
    null: PathBuf,
    other: PathBuf,
    text: PathBuf,
}

static FAKES: LazyLock<FakeLibraries> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let build = |name: &str, source: &str| {
        let (code, library) = (dir.path().join(name).with_extension("rs"), dir.path().join(name).with_extension("so"));
        std::fs::write(&code, source).unwrap();
        let status = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
            .args(["--edition", "2024", "--crate-type", "cdylib", "-o"])
            .args([&library, &code])
            .status()
            .expect("rustc runs");
        assert!(status.success());
        library
    };
    // The beginning of ONNX Runtime's C API: a struct of two functions behind OrtGetApiBase.
    let old = build(
        "old",
        r#"
        #[repr(C)] pub struct Base { api: extern "system" fn(u32) -> usize, version: extern "system" fn() -> *const u8 }
        extern "system" fn api(_: u32) -> usize { 0 }
        extern "system" fn version() -> *const u8 { b"1.19.2\0".as_ptr() }
        static BASE: Base = Base { api, version };
        #[unsafe(no_mangle)] pub extern "system" fn OrtGetApiBase() -> *const Base { &BASE }
        "#,
    );
    let null = build("null", "#[unsafe(no_mangle)] pub extern \"system\" fn OrtGetApiBase() -> usize { 0 }");
    let other = build("other", "#[unsafe(no_mangle)] pub extern \"system\" fn unrelated() {}");
    let text = dir.path().join("text.so");
    std::fs::write(&text, "no library").unwrap();
    FakeLibraries { _dir: dir, old, null, other, text }
});

fn refusal(library: &Path) -> LibraryProblem {
    let options = RuntimeOptions { library: Some(library.into()), ..Default::default() };
    match Runtime::new(options).expect_err("the library is not usable") {
        RuntimeError::Library { problem, .. } => problem,
        // Another test of this process has loaded the real one; then no other is looked at.
        RuntimeError::AlreadyLoaded { .. } => {
            panic!("run this test in a process of its own")
        }
        error => panic!("{error}"),
    }
}

/// Runs one of the tests below, marked `ignore`, in a process of its own, so that no ONNX Runtime is loaded in it.
fn in_own_process(test: &str, environment: &[(&str, &Path)]) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env_remove("ORT_DYLIB_PATH")
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    text
}

#[test]
fn libraries_that_do_not_fit_are_refused_with_their_reason() {
    in_own_process("child_refuses_libraries", &[]);
}

#[test]
#[ignore = "started by another test in a process of its own"]
fn child_refuses_libraries() {
    let fakes = &*FAKES;
    let old = refusal(&fakes.old);
    assert_eq!(
        old,
        LibraryProblem::TooOld { path: fakes.old.clone(), version: "1.19.2".into(), minimum: "1.20".into() }
    );
    assert!(matches!(refusal(&fakes.null), LibraryProblem::NotOnnxRuntime { .. }));
    assert!(matches!(refusal(&fakes.other), LibraryProblem::NotOnnxRuntime { .. }));
    assert!(matches!(refusal(&fakes.text), LibraryProblem::NotLoadable { .. }));
    assert!(matches!(refusal(Path::new("/no/such/file.so")), LibraryProblem::Missing { .. }));
    assert!(matches!(refusal(common::repository()), LibraryProblem::Missing { .. }), "a folder without a library");
}

#[test]
fn the_environment_variable_is_exclusive() {
    let text = in_own_process("child_prints_report", &[("ORT_DYLIB_PATH", &FAKES.old)]);
    assert!(text.contains("asked for by ORT_DYLIB_PATH") && text.contains("1.19.2 is too old"), "{text}");
}

#[test]
fn a_library_of_a_python_environment_that_does_not_fit_is_passed_over_with_its_reason() {
    if cfg!(windows) || cfg!(target_os = "macos") {
        println!("the fake library has the name it has on Linux");
        return;
    }
    let environment = tempfile::tempdir().unwrap();
    let packages = environment.path().join("lib/python3.11/site-packages/onnxruntime/capi");
    std::fs::create_dir_all(&packages).unwrap();
    std::fs::copy(&FAKES.old, packages.join("libonnxruntime.so.1.19.2")).unwrap();
    let text = in_own_process("child_prints_report", &[("VIRTUAL_ENV", environment.path())]);
    assert!(text.contains("passed over") && text.contains("1.19.2 is too old"), "{text}");
    assert!(text.contains("inference: "), "an engine is found all the same: {text}");
}

#[test]
#[ignore = "started by another test in a process of its own"]
fn child_prints_report() {
    match Runtime::new(RuntimeOptions::default()) {
        Ok(runtime) => println!("{}", runtime.report()),
        Err(error) => println!("{error}"),
    }
}

#[test]
fn a_process_keeps_the_onnx_runtime_it_has() {
    let runtimes = common::runtimes();
    let Some((_, first)) = runtimes.iter().find(|(backend, _)| *backend == "onnxruntime") else {
        println!("only the embedded backend is tested");
        return;
    };
    let library = first.report().backend.unwrap().library.unwrap();
    let same = Runtime::new(RuntimeOptions { library: Some(library), ..Default::default() }).unwrap();
    let _shared: Arc<Runtime> = Arc::new(same);
    let other = RuntimeOptions { library: Some(FAKES.old.clone()), ..Default::default() };
    let error = Runtime::new(other).unwrap_err();
    assert!(matches!(error, RuntimeError::AlreadyLoaded { .. }), "{error}");
}
