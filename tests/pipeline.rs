//! From photos, or from nothing, to an avatar's data, with the default bundle on every backend.

use std::{
    fs,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
};

use bevy::math::{Quat, Vec3};
use bevy_fitdiff::{
    bundle::{Bundle, MANIFEST_FILE},
    diffusion::{DiffusionError, LatentLayout, Latents},
    face::{FaceError, Identity},
    fitting::{
        FittingHead,
        render::{Rays, ShLight, View},
    },
    pipeline::{
        AvatarData, AvatarMaps, AvatarRecipe, GenerateOptions, GenerateRequest, Guidance, Pipeline, PipelineError,
        Progress, RecipeSource, Source, Stage,
    },
    runtime::CancelToken,
};
use image::{Rgb, RgbImage, imageops};

mod common;

/// Enough steps to see every kind of them, few enough for the embedded backend.
const STEPS: usize = 4;

/// Metres between the vertices of one seed on two backends.
const VERTEX_TOLERANCE: f32 = 1e-4;

/// Mean difference of the 8-bit values of one seed's diffuse maps on two backends.
const DIFFUSE_TOLERANCE: f32 = 0.5;

/// Mean difference of F0, as a part of its range, and of the normals' coordinates on two backends.
const MAP_TOLERANCE: f32 = 2e-3;

/// One pipeline per runtime, loaded once.
fn pipelines() -> &'static [(&'static str, Mutex<Pipeline>)] {
    static PIPELINES: LazyLock<Vec<(&'static str, Mutex<Pipeline>)>> = LazyLock::new(|| {
        let load = |(name, runtime): (&'static str, Arc<_>)| {
            let pipeline = Pipeline::load(&common::bundle(), &runtime).expect("the default bundle has a generator");
            (name, Mutex::new(pipeline))
        };
        common::runtimes().into_iter().map(load).collect()
    });
    &PIPELINES
}

fn lock(pipeline: &'static Mutex<Pipeline>) -> MutexGuard<'static, Pipeline> {
    pipeline.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The fastest pipeline at hand, for tests that are not about the backend.
fn pipeline() -> MutexGuard<'static, Pipeline> {
    lock(&pipelines().last().expect("the embedded backend is always there").1)
}

fn request(source: Source, seed: u64) -> GenerateRequest {
    GenerateRequest {
        source,
        seed,
        options: GenerateOptions { steps: STEPS, guidance: Guidance::Off, ..Default::default() },
    }
}

fn photos<const COUNT: usize>(photos: [RgbImage; COUNT]) -> Source {
    Source::Photos(photos.map(Into::into).to_vec())
}

fn generate(pipeline: &mut Pipeline, request: &GenerateRequest) -> Result<AvatarData, PipelineError> {
    pipeline.generate(request, &CancelToken::default(), &mut |_| {})
}

fn regenerate(pipeline: &mut Pipeline, recipe: &AvatarRecipe) -> Result<AvatarData, PipelineError> {
    pipeline.regenerate(recipe, &CancelToken::default(), &mut |_| {})
}

/// Through JSON, as a game would keep it.
fn saved(recipe: &AvatarRecipe) -> AvatarRecipe {
    serde_json::from_str(&serde_json::to_string(recipe).unwrap()).unwrap()
}

fn assert_same(found: &AvatarData, expected: &AvatarData, what: &str) {
    assert_eq!(found.vertices, expected.vertices, "{what}: vertices, bit for bit");
    assert!(found.maps == expected.maps, "{what}: maps, bit for bit");
    assert_eq!(found.recipe, expected.recipe, "{what}");
}

/// Largest distance of vertices, in metres.
fn vertex_distance(a: &AvatarData, b: &AvatarData) -> f32 {
    a.vertices.iter().zip(&b.vertices).map(|(a, b)| a.distance(*b)).fold(0.0, f32::max)
}

/// Mean differences of the diffuse values in levels, of F0 as a part of its range, and of the normals' coordinates.
fn map_differences(a: &AvatarMaps, b: &AvatarMaps) -> [f32; 3] {
    let mean = |differences: &mut dyn Iterator<Item = f32>| {
        let (sum, count) = differences.fold((0.0, 0.0), |(sum, count), value| (sum + f64::from(value), count + 1.0));
        (sum / count) as f32
    };
    let [low, high] = a.specular_range;
    let levels = a.diffuse.as_flattened().iter().zip(b.diffuse.as_flattened());
    let specular = a.specular.iter().zip(&b.specular);
    let normals = a.normals.as_flattened().iter().zip(b.normals.as_flattened());
    [
        mean(&mut levels.map(|(a, b)| f32::from(a.abs_diff(*b)))),
        mean(&mut specular.map(|(a, b)| (a - b).abs() / (high - low))),
        mean(&mut normals.map(|(a, b)| (a - b).abs())),
    ]
}

#[test]
fn a_random_person_comes_with_previews_and_steady_progress_on_every_backend() {
    let options = GenerateOptions { steps: STEPS, preview_every: 2, ..Default::default() };
    let request = GenerateRequest { seed: 7, options, ..Default::default() };
    for (backend, pipeline) in pipelines() {
        let mut seen: Vec<Progress> = Vec::new();
        let observe = &mut |progress| seen.push(progress);
        let avatar = lock(pipeline).generate(&request, &CancelToken::default(), observe).unwrap();

        assert!(avatar.identity.is_none() && avatar.face.is_none() && avatar.warnings.is_empty(), "{backend}");
        assert_eq!(avatar.recipe.source, RecipeSource::Random, "{backend}");
        let generator = common::bundle().manifest().generator.clone().unwrap();
        let maps = &avatar.maps;
        let texels = generator.maps.diffuse.size.pow(2);
        assert_eq!((maps.diffuse.len(), maps.specular.len(), maps.normals.len()), (texels, texels, texels));
        assert_eq!(maps.specular_range, generator.maps.specular.range);
        let [low, high] = maps.specular_range;
        assert!(maps.specular.iter().all(|f0| (low..=high).contains(f0)), "{backend}");
        let length = |[x, y, z]: &[f32; 3]| (x * x + y * y + z * z).sqrt();
        assert!(maps.normals.iter().all(|normal| (length(normal) - 1.0).abs() < 1e-5), "{backend}");
        let furthest = avatar.vertices.iter().zip(&avatar.head.positions).map(|(a, b)| a.distance(*b));
        assert!(furthest.fold(0.0, f32::max) < 0.1, "{backend}: a head of human size");
        assert_eq!(avatar.vertices.len(), avatar.head.positions.len());

        assert!(seen.is_sorted_by(|a, b| a.fraction <= b.fraction && a.stage <= b.stage), "{backend}: {seen:?}");
        let (first, last) = (&seen[0], &seen[seen.len() - 1]);
        assert_eq!((first.stage, first.fraction, first.remaining), (Stage::Sampling, 0.0, None), "{backend}");
        assert_eq!((last.stage, last.fraction), (Stage::Decoding, 1.0), "{backend}");
        let previews: Vec<&Arc<AvatarMaps>> = seen.iter().filter_map(|progress| progress.preview.as_ref()).collect();
        assert_eq!(previews.len(), 1, "{backend}: after step 2 of 4; the last step is the result");
        assert_eq!(previews[0].size, maps.size, "{backend}");
    }
}

#[test]
fn a_recipe_gives_the_same_person_bit_for_bit_and_nearly_so_on_another_backend() {
    let mut first: Option<AvatarData> = None;
    for (backend, pipeline) in pipelines() {
        let mut pipeline = lock(pipeline);
        let avatar = generate(&mut pipeline, &request(Source::Random, 3)).unwrap();
        let again = regenerate(&mut pipeline, &saved(&avatar.recipe)).unwrap();
        assert_same(&again, &avatar, backend);
        let Some(first) = &first else {
            first = Some(avatar);
            continue;
        };
        let other = regenerate(&mut pipeline, &saved(&first.recipe)).unwrap();
        let distance = vertex_distance(&other, first);
        let [diffuse, specular, normals] = map_differences(&other.maps, &first.maps);
        println!(
            "{backend}: vertices {distance:.1e} m, diffuse {diffuse:.3}, F0 {specular:.1e}, normals {normals:.1e}"
        );
        assert!(distance < VERTEX_TOLERANCE, "{backend}: {distance} m");
        assert!(diffuse < DIFFUSE_TOLERANCE && specular < MAP_TOLERANCE && normals < MAP_TOLERANCE, "{backend}");
    }
}

#[test]
fn a_photo_gives_a_person_whose_recipe_needs_no_photo() {
    let photo = common::selfie(common::ASTRONAUT);
    let known = common::face_of(&photo).identity;
    for (backend, pipeline) in pipelines() {
        let mut pipeline = lock(pipeline);
        let mut stages = Vec::new();
        let observe = &mut |progress: Progress| stages.push(progress.stage);
        let wanted = request(photos([photo.clone()]), 1);
        let avatar = pipeline.generate(&wanted, &CancelToken::default(), observe).unwrap();
        stages.dedup();
        assert_eq!(stages, [Stage::Face, Stage::Sampling, Stage::Decoding], "{backend}");
        let identity = avatar.identity.clone().expect("a photo has an identity");
        assert!(identity.distance(&known) < 1e-3, "{backend}: the identity of the photo");
        assert!(avatar.face.is_some() && avatar.warnings.is_empty(), "{backend}: a good photo");
        assert_eq!(avatar.recipe.source, RecipeSource::Identity(identity.values().to_vec()), "{backend}");

        let again = regenerate(&mut pipeline, &saved(&avatar.recipe)).unwrap();
        assert_same(&again, &avatar, backend);
        let mut by_identity = generate(&mut pipeline, &request(Source::Identity(identity), 1)).unwrap();
        assert_eq!(by_identity.recipe.iris, None, "{backend}: the identity does not tell the colour of the eyes");
        by_identity.recipe.iris = avatar.recipe.iris;
        assert_same(&by_identity, &avatar, backend);
        let random = generate(&mut pipeline, &request(Source::Random, 1)).unwrap();
        assert!(vertex_distance(&random, &avatar) > 1e-3, "{backend}: the identity has an effect");
    }
}

#[test]
fn irises_have_the_colour_that_the_picture_shows() {
    let brown = [0.045, 0.021, 0.010];
    let blue = [0.085, 0.125, 0.155];
    for (backend, pipeline) in pipelines() {
        let mut pipeline = lock(pipeline);
        for seed in [1, 4, 6] {
            let mut person = generate(&mut pipeline, &request(Source::Random, seed)).unwrap();
            let head = FittingHead::new(person.head.clone(), person.maps.size);
            let mut read = |iris: [f32; 3], light: Vec3| {
                person.recipe.iris = Some(iris);
                let (rotation, translation) = (Quat::from_rotation_y(0.1), Vec3::new(0.0, 0.03, -0.7));
                let rays = Rays::perspective(0.45, 480, 480);
                let view = View { rotation, translation, rays, width: 480, height: 480, supersampling: 3 };
                let picture = person.portrait(&head, view, ShLight::constant(light), &[], [90, 95, 100]);
                let seen = generate(&mut pipeline, &request(photos([picture]), 1)).unwrap();
                assert!(seen.recipe.iris.is_some(), "the default bundle reads irises");
                seen.iris()
            };
            for light in [Vec3::splat(0.8), Vec3::new(0.9, 0.7, 0.5), Vec3::new(0.4, 0.5, 0.65)] {
                let [brown, blue] = [brown, blue].map(|iris| read(iris, light));
                println!("{backend}, person {seed}, light {light}: brown is read as {brown}, blue as {blue}");
                assert!(brown.x > 2.0 * brown.z && brown.x < 0.08, "{backend}, {seed}, {light}: brown is {brown}");
                // In the dim light, not all of the blue is seen.
                let least = if light.x > 0.5 { 1.1 } else { 0.6 };
                assert!(blue.z > least * blue.x, "{backend}, {seed}, {light}: blue is {blue}");
            }
        }
    }
}

#[test]
fn seeds_give_different_people() {
    let mut pipeline = pipeline();
    let [one, two] = [1, 2].map(|seed| generate(&mut pipeline, &request(Source::Random, seed)).unwrap());
    assert!(vertex_distance(&one, &two) > 1e-3, "{} m", vertex_distance(&one, &two));
    assert!(one.maps != two.maps);
}

#[test]
fn latents_of_zeros_are_the_mean_head() {
    let layout = LatentLayout::from(common::bundle().manifest().generator.as_ref().unwrap());
    let source = Source::Latents(Latents::zeros(layout));
    for (backend, pipeline) in pipelines() {
        let mut pipeline = lock(pipeline);
        let mut stages = Vec::new();
        let observe = &mut |progress: Progress| stages.push(progress.stage);
        let avatar = pipeline.generate(&request(source.clone(), 0), &CancelToken::default(), observe).unwrap();
        assert!(stages.iter().all(|stage| *stage == Stage::Decoding), "{backend}: {stages:?}");
        let head = pipeline.head().clone();
        let furthest = avatar.vertices.iter().zip(&head.positions).map(|(a, b)| a.distance(*b)).fold(0.0, f32::max);
        assert!(furthest < 1e-6, "{backend}: {furthest} m");
        assert_same(&regenerate(&mut pipeline, &saved(&avatar.recipe)).unwrap(), &avatar, backend);
    }
}

#[test]
fn several_photos_of_one_person_are_fused() {
    let photo = common::selfie(common::ASTRONAUT);
    let mirrored = imageops::flip_horizontal(&photo);
    let known = [&photo, &mirrored].map(|photo| common::face_of(photo).identity);
    let avatar = generate(&mut pipeline(), &request(photos([photo, mirrored]), 1)).unwrap();
    let fused = avatar.identity.unwrap();
    let apart = known[0].distance(&known[1]);
    for known in &known {
        let distance = fused.distance(known);
        assert!((distance - 0.5 * apart).abs() < 0.02, "{distance} from each, of {apart}: both are good photos");
    }
}

#[test]
fn photos_of_two_people_are_refused() {
    let both = photos([common::selfie(common::ASTRONAUT), common::selfie(common::HOPPER)]);
    let error = generate(&mut pipeline(), &request(both, 1)).unwrap_err();
    println!("{error}");
    assert!(matches!(error, PipelineError::DifferentPeople { first: 0, second: 1, .. }), "{error}");
}

#[test]
fn photos_without_a_face_and_no_photos_are_refused() {
    let grey = || RgbImage::from_pixel(320, 240, Rgb([128; 3]));
    let mut pipeline = pipeline();
    let error = generate(&mut pipeline, &request(photos([grey()]), 1)).unwrap_err();
    let PipelineError::Photo { index: 0, count: 1, source } = &error else { panic!("{error}") };
    assert!(matches!(**source, FaceError::NoFace), "{error}");
    let second = photos([common::selfie(common::ASTRONAUT), grey()]);
    let error = generate(&mut pipeline, &request(second, 1)).unwrap_err();
    assert!(error.to_string().starts_with("photo 1 "), "{error}");
    let error = generate(&mut pipeline, &request(photos([]), 1)).unwrap_err();
    assert!(matches!(error, PipelineError::NoPhotos), "{error}");
}

#[test]
fn a_cancelled_generation_ends_and_the_pipeline_goes_on() {
    let photo = common::selfie(common::ASTRONAUT);
    for (backend, pipeline) in pipelines() {
        let mut pipeline = lock(pipeline);
        for (source, calls) in [(Source::Random, 1), (photos([photo.clone()]), 1), (photos([photo.clone()]), 4)] {
            let cancel = CancelToken::default();
            let mut seen = 0;
            let observe = &mut |_| {
                seen += 1;
                if seen == calls {
                    cancel.cancel();
                }
            };
            let error = pipeline.generate(&request(source, 1), &cancel, observe).unwrap_err();
            assert!(matches!(error, PipelineError::Cancelled), "{backend}: {error}");
            assert_eq!(seen, calls, "{backend}: nothing is reported afterwards");
        }
        assert!(generate(&mut pipeline, &request(Source::Random, 1)).is_ok(), "{backend}");
    }
}

#[test]
fn impossible_requests_are_refused_before_a_network_runs() {
    let mut pipeline = pipeline();
    let size = common::bundle().manifest().generator.as_ref().unwrap().embedding_size;
    let mut refused = |source: Source, options: GenerateOptions| {
        let request = GenerateRequest { source, seed: 1, options };
        pipeline.generate(&request, &CancelToken::default(), &mut |_| panic!("nothing is done")).unwrap_err()
    };
    let usual = GenerateOptions::default();
    for steps in [0, usize::MAX] {
        let error = refused(Source::Random, GenerateOptions { steps, ..usual });
        assert!(matches!(error, PipelineError::Diffusion(DiffusionError::Steps { .. })), "{error}");
    }
    let error = refused(Source::Identity(Identity::new(vec![0.0; size + 1])), usual);
    assert!(matches!(error, PipelineError::Shape { .. }), "{error}");
    let error = refused(Source::Identity(Identity::new(vec![f32::NAN; size])), usual);
    assert!(matches!(error, PipelineError::NotFinite { .. }), "{error}");
    let other = Latents::zeros(LatentLayout { reflectance: [1, 1, 1], shape: 1 });
    let error = refused(Source::Latents(other), usual);
    assert!(matches!(error, PipelineError::Shape { .. }), "{error}");
}

#[test]
fn recipes_of_other_bundles_and_versions_are_refused() {
    let mut pipeline = pipeline();
    let avatar = generate(&mut pipeline, &request(Source::Random, 1)).unwrap();
    assert_eq!(avatar.recipe.bundle, *pipeline.bundle_id());
    let mut recipe = avatar.recipe.clone();
    recipe.bundle.version = "99.0.0".into();
    let error = regenerate(&mut pipeline, &recipe).unwrap_err();
    assert!(matches!(error, PipelineError::OtherBundle { .. }), "{error}");
    assert!(error.to_string().contains("99.0.0"), "{error}");
    let recipe = AvatarRecipe { version: 99, ..avatar.recipe };
    let error = regenerate(&mut pipeline, &recipe).unwrap_err();
    assert!(matches!(error, PipelineError::RecipeVersion { found: 99, .. }), "{error}");
}

#[test]
fn a_bundle_that_recognises_faces_alone_is_refused() {
    let mut manifest = common::bundle().manifest().clone();
    let face = &manifest.face;
    let detectors = face.detectors.iter().map(|detector| &detector.network);
    let kept: Vec<String> = detectors.chain([&face.landmarks.network, &face.identity.network]).cloned().collect();
    manifest.networks.retain(|name, _| kept.contains(name));
    (manifest.generator, manifest.template) = (None, None);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(MANIFEST_FILE), serde_json::to_string(&manifest).unwrap()).unwrap();
    let bundle = Bundle::open(dir.path()).unwrap();
    for (backend, runtime) in common::runtimes() {
        let error = Pipeline::load(&bundle, &runtime).unwrap_err();
        assert!(matches!(&error, PipelineError::NoGenerator { path } if path == dir.path()), "{backend}: {error}");
    }
}
