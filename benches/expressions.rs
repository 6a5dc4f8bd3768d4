//! What moving faces costs the processor: a frame of thirty faces with an expression, blinks, gaze, lip sync and a sequence
//! each, of thirty that have all of it and are at rest, and of none, which is the cost of the schedule alone.
//!
//! `cargo bench --profile dev --bench expressions`: the dev profile is optimised and shares its build of Bevy with the
//! tests.

use std::{path::Path, time::Duration};

use bevy::{mesh::morph::MorphWeights, prelude::*};
use bevy_fitdiff::{
    bundle::Bundle,
    expression::{ExpressionTrack, FaceRig, Interpolation},
    prelude::*,
};
use criterion::{Criterion, criterion_group, criterion_main};

/// Time of a frame: 60 Hz.
const FRAME: Duration = Duration::from_nanos(16_666_667);

const FACES: u32 = 30;

fn world_of(faces: u32, moving: bool) -> App {
    let mut app = App::new();
    app.add_plugins((TaskPoolPlugin::default(), TransformPlugin, AssetPlugin::default(), ExpressionPlugin));
    app.init_resource::<Time>().init_schedule(Update);
    app.finish();
    app.cleanup();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let head = Bundle::open(root.join("models/base")).unwrap().load_head().unwrap();
    let rig = FaceRig::new(&head, &head.positions);
    let capture = std::fs::read(root.join("assets/expressions/hello.csv")).unwrap();
    let capture = ExpressionSequence::from_csv(&capture, None).unwrap();
    // A capture without lids and eyes, so that blinks and gaze have their work as well.
    let tracks = capture.tracks().iter().filter(|track| !track.blendshape().as_str().starts_with("eye"));
    let copy = |track: &ExpressionTrack| {
        let keys: Vec<_> = track.keys().collect();
        ExpressionTrack::new(track.blendshape(), Interpolation::Linear, &keys).unwrap()
    };
    let sequence = ExpressionSequence::new(tracks.map(copy).collect()).unwrap();
    let sequence = app.world_mut().resource_mut::<Assets<ExpressionSequence>>().add(sequence);
    let target = app.world_mut().spawn((Target, Transform::from_xyz(0.0, 0.0, 1.0))).id();
    for face in 0..faces {
        let mut player = ExpressionPlayer::default();
        if moving {
            player.play(sequence.clone()).repeat();
        }
        let weights = MorphWeights::new(vec![0.0; head.blendshapes.len()], None).unwrap();
        let place = Transform::from_xyz(0.2 * face as f32 - 3.0, 0.0, -3.0);
        let face = app.world_mut().spawn((rig.clone(), weights, place, Expression::default(), player)).id();
        let mut face = app.world_mut().entity_mut(face);
        face.insert((LipSync::default(), LookAt::entity(target)));
        if moving {
            face.insert(LivingFace);
        }
    }
    if moving {
        app.add_systems(Update, (speak, express, circle));
    }
    app
}

#[derive(Component)]
struct Target;

/// Other sounds every few frames, as a lip sync engine would tell them.
fn speak(time: Res<Time>, mut lips: Query<&mut LipSync>) {
    let sound = (time.elapsed_secs() * 12.0) as usize;
    for (index, mut lips) in lips.iter_mut().enumerate() {
        lips.speak(Viseme::ALL[(sound + index) % Viseme::ALL.len()]);
    }
}

/// Every face is always on its way to an expression.
fn express(time: Res<Time>, mut expressions: Query<&mut Expression>, mut last: Local<usize>) {
    let now = (time.elapsed_secs() * 4.0) as usize;
    if std::mem::replace(&mut *last, now) != now {
        for (index, mut expression) in expressions.iter_mut().enumerate() {
            expression.show(ExpressionPreset::ALL[(now + index) % 5], 1.0);
        }
    }
}

fn circle(time: Res<Time>, mut targets: Query<&mut Transform, With<Target>>) {
    let (sine, cosine) = time.elapsed_secs().sin_cos();
    targets.iter_mut().for_each(|mut place| place.translation = Vec3::new(sine, 0.3 * cosine, 1.0));
}

fn benchmark(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("PostUpdate");
    group.measurement_time(Duration::from_secs(5));
    let cases =
        [("thirty faces that move", FACES, true), ("thirty faces at rest", FACES, false), ("no face", 0, false)];
    for (name, faces, moving) in cases {
        let mut app = world_of(faces, moving);
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|frames| {
                let mut spent = Duration::ZERO;
                for _ in 0..frames {
                    app.world_mut().resource_mut::<Time>().advance_by(FRAME);
                    app.world_mut().run_schedule(Update);
                    let start = std::time::Instant::now();
                    app.world_mut().run_schedule(PostUpdate);
                    spent += start.elapsed();
                }
                spent
            });
        });
    }
    group.finish();
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
