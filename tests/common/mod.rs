//! What the integration tests share.
#![allow(dead_code)]

pub mod app;
pub mod faces;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
};

use bevy_fitdiff::{
    avatar::GeneratedAvatar,
    bundle::{Bundle, TemplateHead},
    diffusion::{LatentLayout, Latents, SampleOptions},
    face::{self, Face, FaceAnalyser, FaceChoice, PhotoLimits},
    pipeline::{
        AvatarData, AvatarMaps, AvatarRecipe, BundleId, GenerateOptions, GenerateRequest, Guidance, Pipeline,
        RECIPE_VERSION, RecipeSource, Source,
    },
    runtime::{BackendChoice, CancelToken, Runtime, RuntimeError, RuntimeOptions},
};
use image::RgbImage;

pub const ASTRONAUT: &str = "astronaut.png";
pub const HOPPER: &str = "grace_hopper.jpg";

/// Set by CI: `embedded` leaves ONNX Runtime alone, `onnxruntime` fails where it is not found.
const EXPECTED_BACKEND: &str = "FITDIFF_TEST_BACKEND";

pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn bundle() -> Bundle {
    Bundle::open(repository().join("models/base")).expect("the default bundle is valid")
}

pub fn selfie_path(name: &str) -> PathBuf {
    repository().join("assets/selfies").join(name)
}

/// The very pixels of a shipped photo that the references saw. Decoders of lossy formats differ by a level here and
/// there, which moves landmarks by a tenth of a pixel, so such photos lie beside the references without loss.
pub fn reference_pixels(file: &str) -> RgbImage {
    let lossless = repository().join("tests/reference").join(file).with_extension("png");
    let path = if lossless.exists() { lossless } else { selfie_path(file) };
    face::open_photo(path, &PhotoLimits::default()).unwrap()
}

pub fn selfie(name: &str) -> RgbImage {
    face::open_photo(selfie_path(name), &PhotoLimits::default()).expect("the shipped photo is readable")
}

/// The runtimes to test: always the embedded one, and ONNX Runtime where it is installed.
pub fn runtimes() -> Vec<(&'static str, Arc<Runtime>)> {
    let new = |backend| Runtime::new(RuntimeOptions { backend, ..Default::default() });
    let embedded = new(BackendChoice::Embedded).expect("the embedded backend is built in");
    let mut runtimes = vec![("embedded", Arc::new(embedded))];
    let expected = std::env::var(EXPECTED_BACKEND).unwrap_or_default();
    if expected == "embedded" {
        return runtimes;
    }
    match new(BackendChoice::OnnxRuntime) {
        Ok(runtime) => runtimes.push(("onnxruntime", Arc::new(runtime))),
        Err(error @ RuntimeError::NoOnnxRuntime { .. }) => {
            assert_ne!(expected, "onnxruntime", "{error}");
            println!("only the embedded backend is tested: {error}");
        }
        Err(error) => panic!("{error}"),
    }
    runtimes
}

/// One analyser per runtime, loaded once for a test program.
pub fn analysers() -> &'static [(&'static str, Mutex<FaceAnalyser>)] {
    static ANALYSERS: LazyLock<Vec<(&'static str, Mutex<FaceAnalyser>)>> = LazyLock::new(|| {
        let load = |(name, runtime): (&'static str, Arc<Runtime>)| {
            let analyser = FaceAnalyser::load(&bundle(), &runtime).expect("the default bundle loads");
            (name, Mutex::new(analyser))
        };
        runtimes().into_iter().map(load).collect()
    });
    &ANALYSERS
}

/// The fastest analyser at hand, for tests that are not about the backend.
pub fn analyser() -> MutexGuard<'static, FaceAnalyser> {
    let (_, analyser) = analysers().last().expect("the embedded backend is always there");
    analyser.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The most prominent face of a photo.
pub fn face_of(photo: &RgbImage) -> Face {
    analyser()
        .analyse(photo, FaceChoice::MostProminent, &CancelToken::default())
        .expect("there is a face in the photo")
        .face
}

/// An avatar with the default bundle's mean head, as it is on its entity once it is ready; no network is run for it.
pub fn mean_avatar() -> GeneratedAvatar {
    let bundle = bundle();
    avatar_of(bundle.load_head().expect("the default bundle has a head"), BundleId::new(bundle.manifest()))
}

/// An avatar whose head is at rest as the template is.
pub fn avatar_of(head: TemplateHead, bundle: BundleId) -> GeneratedAvatar {
    let maps = AvatarMaps {
        size: 1,
        diffuse: vec![[128; 3]],
        specular: vec![0.03],
        specular_range: [0.0, 0.06],
        normals: vec![[0.0, 0.0, 1.0]],
    };
    let (options, source) = (SampleOptions::default(), RecipeSource::Random);
    let data = AvatarData {
        vertices: head.positions.clone(),
        head: Arc::new(head),
        maps: Arc::new(maps),
        latents: Latents::zeros(LatentLayout { reflectance: [1, 1, 1], shape: 1 }),
        shape_scale: 1.0,
        identity: None,
        warnings: Vec::new(),
        face: None,
        fit: None,
        recipe: AvatarRecipe { version: RECIPE_VERSION, bundle, seed: 0, options, source, iris: None },
    };
    GeneratedAvatar { data: Arc::new(data) }
}

/// The unguided avatar of a photo, made once; it has an embedding that must not leave.
pub fn avatar_of_photo() -> &'static AvatarData {
    static AVATAR: LazyLock<AvatarData> = LazyLock::new(|| {
        let (_, runtime) = runtimes().pop().expect("the embedded backend is always there");
        let mut pipeline = Pipeline::load(&bundle(), &runtime).expect("the default bundle has a generator");
        let request = GenerateRequest {
            source: Source::Photos(vec![selfie(ASTRONAUT).into()]),
            seed: 1,
            options: GenerateOptions { steps: 4, guidance: Guidance::Off, ..Default::default() },
        };
        pipeline.generate(&request, &CancelToken::default(), &mut |_| {}).expect("the shipped photo shows a face")
    });
    &AVATAR
}
