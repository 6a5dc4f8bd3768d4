//! How long it takes to load the face networks, and to get from a decoded 12-megapixel photo to an identity.
//!
//! `cargo bench --profile dev --bench face`: the dev profile is optimised and shares its build of Bevy with the tests. The
//! embedded backend is measured always, ONNX Runtime where it is found.

#[path = "common/mod.rs"]
mod common;

use std::{hint::black_box, path::Path, time::Duration};

use bevy_fitdiff::{
    bundle::Bundle,
    face::{self, FaceAnalyser, FaceChoice, PhotoLimits},
    runtime::CancelToken,
};
use criterion::{Criterion, criterion_group, criterion_main};
use image::{RgbImage, imageops};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The astronaut photo as a phone would have taken it: 4000 × 3000 pixels.
fn twelve_megapixels() -> RgbImage {
    let photo = face::open_photo(root().join("assets/selfies/astronaut.png"), &PhotoLimits::default()).unwrap();
    let mut large = RgbImage::new(4000, 3000);
    imageops::replace(&mut large, &imageops::resize(&photo, 3000, 3000, imageops::FilterType::CatmullRom), 500, 0);
    large
}

fn benchmark(criterion: &mut Criterion) {
    let photo = twelve_megapixels();
    for (name, runtime) in common::runtimes() {
        println!("{}", runtime.report());
        let load = || {
            let bundle = Bundle::open(root().join("models/base")).unwrap();
            FaceAnalyser::load(&bundle, &runtime).unwrap()
        };
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10).measurement_time(Duration::from_secs(5));
        group.bench_function("load the face networks of the bundle", |bencher| bencher.iter(load));
        let mut analyser = load();
        let never = CancelToken::default();
        group.bench_function("12-megapixel photo to identity", |bencher| {
            bencher.iter(|| analyser.analyse(black_box(&photo), FaceChoice::MostProminent, &never).unwrap());
        });
        group.finish();
    }
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
