//! A crowd of people that do not exist, each appearing when it is ready, blinking and smiling now and then.
//!
//! `cargo run --example npcs` opens a window; `cargo run --example npcs -- 30` asks for thirty.

use std::f32::consts::TAU;

use bevy::{mesh::morph::MorphWeights, prelude::*};
use bevy_fitdiff::prelude::*;

/// Metres between neighbours.
const SPACING: f32 = 0.4;

/// Seconds from one blink to the next, and how long one takes.
const BLINK: (f32, f32) = (3.7, 0.16);

/// Which blendshapes are moved, found once for each head.
#[derive(Component)]
struct Mimic {
    blink: Vec<usize>,
    smile: Vec<usize>,
    phase: f32,
}

fn main() {
    let count = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(12);
    App::new()
        .add_plugins((DefaultPlugins, FitDiffPlugin::default()))
        .insert_resource(ClearColor(Color::srgb(0.19, 0.20, 0.22)))
        .insert_resource(GlobalAmbientLight { brightness: 500.0, ..default() })
        .add_systems(Startup, move |commands: Commands| setup(commands, count))
        .add_systems(Update, mimic)
        .add_observer(prepare)
        .add_observer(|failed: On<AvatarFailed>| error!("{}", failed.error))
        .run();
}

fn setup(mut commands: Commands, count: usize) {
    let columns = (count as f32).sqrt().ceil().max(1.0);
    for seed in 0..count {
        let (column, row) = (seed as f32 % columns, (seed as f32 / columns).floor());
        let place = Vec3::new((column - (columns - 1.0) / 2.0) * SPACING, 0.08 * row, -row * SPACING);
        commands.spawn((Avatar::random(seed as u64), Transform::from_translation(place)));
    }
    commands.spawn((
        DirectionalLight { illuminance: 5000.0, ..default() },
        Transform::from_xyz(1.0, 1.0, 2.0).looking_at(Vec3::ZERO, Vec3::Y),
    ));
    let distance = 0.6 + 0.75 * SPACING * columns;
    commands.spawn((Camera3d::default(), Transform::from_xyz(0.0, 0.15, distance).looking_at(Vec3::ZERO, Vec3::Y)));
}

fn prepare(ready: On<AvatarReady>, mut commands: Commands, avatars: Query<&GeneratedAvatar>) {
    let Ok(generated) = avatars.get(ready.entity) else { return };
    let shapes = &generated.data.head.blendshapes;
    let named = |name: &str| {
        let matching = shapes.iter().enumerate().filter(|(_, shape)| shape.name.starts_with(name));
        matching.map(|(index, _)| index).collect()
    };
    let phase = (ready.entity.index_u32() as f32 * 0.618).fract();
    commands.entity(ready.entity).insert(Mimic { blink: named("eyeBlink"), smile: named("mouthSmile"), phase });
}

fn mimic(time: Res<Time>, mut heads: Query<(&Mimic, &mut MorphWeights)>) {
    for (mimic, mut weights) in &mut heads {
        let seconds = time.elapsed_secs() + mimic.phase * 10.0;
        let blink = 1.0 - ((seconds % BLINK.0) / BLINK.1 * 2.0 - 1.0).abs().min(1.0);
        let smile = 0.5 * (seconds * TAU / 9.0).sin().max(0.0);
        for (indices, weight) in [(&mimic.blink, blink), (&mimic.smile, smile)] {
            for &index in indices {
                weights.weights_mut()[index] = weight;
            }
        }
    }
}
