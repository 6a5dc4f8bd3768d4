//! The shortest program that uses the plugin: a window in which the person of a photo appears.
//!
//! `cargo run --example minimal`

use bevy::prelude::*;
use bevy_fitdiff::prelude::*;

fn main() {
    App::new()
        .add_plugins((DefaultPlugins, FitDiffPlugin::default()))
        .add_systems(Startup, setup)
        .add_observer(|ready: On<AvatarReady>| info!("{} is ready", ready.entity))
        .add_observer(|failed: On<AvatarFailed>| error!("{}", failed.error))
        .run();
}

fn setup(mut commands: Commands, assets: Res<AssetServer>) {
    commands.spawn(Avatar::from_selfie(assets.load("selfies/astronaut.png")));
    commands.spawn((
        DirectionalLight { illuminance: 6000.0, ..default() },
        Transform::from_xyz(1.0, 1.0, 2.0).looking_at(Vec3::ZERO, Vec3::Y),
    ));
    // The head is about a quarter of a metre tall, and its origin lies between the ears.
    commands.spawn((Camera3d::default(), Transform::from_xyz(0.0, 0.0, 0.5).looking_at(Vec3::ZERO, Vec3::Y)));
}
