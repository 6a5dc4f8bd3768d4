//! How long the stages from a photo to an avatar's data take, on each backend.
//!
//! `cargo bench --profile dev --bench pipeline`: the dev profile is optimised and shares its build of Bevy with the tests.
//! The embedded backend is measured always, ONNX Runtime where it is found.

#[path = "common/mod.rs"]
mod common;

use std::{hint::black_box, path::Path, time::Duration};

use bevy_fitdiff::{
    bundle::Bundle,
    face::{self, PhotoLimits},
    pipeline::{GenerateOptions, GenerateRequest, Guidance, Pipeline, Source},
    runtime::CancelToken,
};
use criterion::{Criterion, criterion_group, criterion_main};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn benchmark(criterion: &mut Criterion) {
    let photo = face::open_photo(root().join("assets/selfies/astronaut.png"), &PhotoLimits::default()).unwrap();
    for (name, runtime) in common::runtimes() {
        println!("{}", runtime.report());
        let load = || Pipeline::load(&Bundle::open(root().join("models/base")).unwrap(), &runtime).unwrap();
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10).measurement_time(Duration::from_secs(5));
        group.bench_function("load the bundle", |bencher| bencher.iter(load));

        let mut pipeline = load();
        let mut bench = |title: &str, source: Source, steps: usize, guidance: Guidance| {
            let options = GenerateOptions { steps, guidance, ..Default::default() };
            let request = GenerateRequest { source, seed: 1, options };
            group.bench_function(title, |bencher| {
                bencher.iter(|| {
                    pipeline.generate(black_box(&request), &CancelToken::default(), &mut |_| {}).unwrap();
                });
            });
        };
        // The difference of the first two is 19 steps for a random person. The last two differ by the landmarks' fit, 20
        // steps once more, and 20 gradient steps.
        let photo = || Source::Photos(vec![photo.clone().into()]);
        bench("random person, 1 step", Source::Random, 1, Guidance::Off);
        bench("random person, 20 steps", Source::Random, 20, Guidance::Off);
        bench("photo, 20 steps", photo(), 20, Guidance::Off);
        bench("photo, 20 steps, fast guidance", photo(), 20, Guidance::Fast);
        group.finish();
    }
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
