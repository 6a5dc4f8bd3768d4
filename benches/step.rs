//! What the parts of a guided step take.
//!
//! `cargo bench --profile dev --bench step`, on ONNX Runtime where it is found and on the embedded backend.

#[path = "common/mod.rs"]
mod common;

use std::{path::Path, sync::Arc, time::Duration};

use bevy::math::{Quat, Vec3};
use bevy_fitdiff::{
    bundle::{Bundle, TemplateHead},
    diffusion::{Decoder, DecoderGradient, LatentLayout, Latents},
    face::{self, FaceAnalyser, FaceChoice, PhotoLimits},
    fitting::{
        Fitter, FittingHead, GuidanceOptions, Guide, LossNetwork, UNKNOWN_IRIS,
        render::{Geometry, Rays, ShLight, SurfaceMaps, View},
    },
    runtime::CancelToken,
};
use criterion::{Criterion, criterion_group, criterion_main};

/// Pixels along each side of the recogniser's chip.
const SIDE: usize = 150;

fn benchmark(criterion: &mut Criterion) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let bundle = Bundle::open(root.join("models/base")).unwrap();
    let (generator, template) = (bundle.manifest().generator.as_ref().unwrap(), bundle.manifest().template.as_ref());
    let head = Arc::new(bundle.load_head().unwrap());
    let photo = face::open_photo(root.join("assets/selfies/astronaut.png"), &PhotoLimits::default()).unwrap();
    let (cancel, latents) = (CancelToken::default(), Latents::zeros(LatentLayout::from(generator)));
    render(criterion, &head, generator.maps.diffuse.size);
    for (name, runtime) in common::runtimes() {
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10).measurement_time(Duration::from_secs(3));
        let mut decoder = Decoder::load(&bundle, &runtime, generator, template.unwrap()).unwrap();
        let mut gradient = DecoderGradient::load(&bundle, &runtime, generator).unwrap();
        let mut network = LossNetwork::load(&bundle, &runtime, generator).unwrap();
        let mut fitter = Fitter::load(&bundle, &runtime, generator, head.clone()).unwrap();
        let mut analyser = FaceAnalyser::load(&bundle, &runtime).unwrap();
        let face = analyser.analyse(&photo, FaceChoice::MostProminent, &cancel).unwrap().face;
        let chip: Vec<Vec3> = face.chip.pixels().map(|pixel| Vec3::from(pixel.0.map(f32::from)) / 255.0).collect();
        let impression = network.look_at(&chip, &cancel).unwrap();
        let target = fitter.target(&face, photo.dimensions(), &cancel).unwrap();
        let decoded = decoder.maps(&latents, &cancel).unwrap();
        let vertices = decoder.vertices(&latents, &cancel).unwrap();

        group.bench_function("decode maps", |bencher| bencher.iter(|| decoder.maps(&latents, &cancel).unwrap()));
        group.bench_function("decode shape", |bencher| bencher.iter(|| decoder.vertices(&latents, &cancel).unwrap()));
        group.bench_function("recogniser's losses and their gradient", |bencher| {
            bencher.iter(|| network.loss(&chip, &impression, [1.0, 1.0], &cancel).unwrap());
        });
        group.bench_function("gradient through the maps' decoder", |bencher| {
            bencher.iter(|| gradient.reflectance(&latents, decoded.clone(), &cancel).unwrap());
        });
        group.bench_function("gradient through the shape's decoder", |bencher| {
            bencher.iter(|| gradient.shape(&latents, &vertices, &cancel).unwrap());
        });
        let fit = fitter.fit_landmarks(&target, &latents, 1.0).unwrap();
        group.bench_function("fit to the landmarks", |bencher| {
            bencher.iter(|| fitter.fit_landmarks(&target, &latents, 1.0).unwrap());
        });
        let mut guide = Guide::new(&mut fitter, &target, fit, &latents, GuidanceOptions::default());
        let mut moved = latents.clone();
        group.bench_function("whole step", |bencher| {
            bencher.iter(|| guide.step(&mut decoder, &mut moved, &latents, [0.4, 0.7], 0.1, &cancel).unwrap());
        });
        group.finish();
    }
}

/// The rasteriser and its adjoint, which no backend has a part in.
fn render(criterion: &mut Criterion, template: &Arc<TemplateHead>, size: usize) {
    let mut group = criterion.benchmark_group("rasteriser");
    group.sample_size(10).measurement_time(Duration::from_secs(3));
    let head = FittingHead::new(template.clone(), size);
    let texels = |value: f32| vec![[value; 3]; size * size];
    let maps = SurfaceMaps {
        size,
        diffuse: texels(0.4),
        specular: vec![0.03; size * size],
        normals: vec![[0.0, 0.0, 1.0]; size * size],
    };
    let vertices = template.positions.clone();
    group.bench_function("geometry", |bencher| bencher.iter(|| Geometry::new(head.surface(), vertices.clone())));
    let geometry = Geometry::new(head.surface(), vertices);
    let view = View {
        rotation: Quat::from_rotation_y(0.2),
        translation: Vec3::new(0.0, 0.0, -0.6),
        rays: Rays::perspective(0.35, SIDE, SIDE),
        width: SIDE,
        height: SIDE,
        supersampling: 2,
    };
    let looks = head.looks(UNKNOWN_IRIS);
    let scene = head.scene(&geometry, &maps, &looks, ShLight::constant(Vec3::ONE), view);
    let visibility = scene.visibility();
    let mask = vec![1.0; size * size];
    let seed = vec![Vec3::splat(0.1); SIDE * SIDE];
    group.bench_function("visibility", |bencher| bencher.iter(|| scene.visibility()));
    group.bench_function("survey for the light", |bencher| bencher.iter(|| scene.survey(&visibility, &mask)));
    group.bench_function("render", |bencher| bencher.iter(|| scene.render(&visibility)));
    group.bench_function("adjoint", |bencher| bencher.iter(|| scene.gradients(&visibility, &seed)));
    group.finish();
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
