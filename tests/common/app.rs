//! An app with avatars, without a window.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bevy::prelude::*;
use bevy_fitdiff::{
    pipeline::{GenerateOptions, Guidance},
    prelude::*,
    runtime::RuntimeOptions,
};

/// No avatar of these tests takes nearly as long, on any machine that can build them.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// An avatar's end: ready, or the error's words.
pub type End = (Entity, Result<(), String>);

/// What the observers have seen, in order.
#[derive(Resource, Clone, Default)]
pub struct Seen(pub Arc<Mutex<Vec<End>>>);

impl Seen {
    pub fn take(&self) -> Vec<End> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// An app with the default bundle and few steps.
pub fn app() -> App {
    app_with(FitDiffSettings { options: quick(), ..default() }, RuntimeOptions::default())
}

pub fn quick() -> GenerateOptions {
    GenerateOptions { steps: 3, guidance: Guidance::Off, ..default() }
}

pub fn app_with(settings: FitDiffSettings, runtime: RuntimeOptions) -> App {
    let mut app = App::new();
    let file_path = super::repository().join("assets").display().to_string();
    app.add_plugins((MinimalPlugins, AssetPlugin { file_path, ..default() }, FitDiffPlugin { runtime }))
        .insert_resource(settings)
        .init_resource::<Seen>()
        .add_observer(|ready: On<AvatarReady>, seen: Res<Seen>| seen.0.lock().unwrap().push((ready.entity, Ok(()))))
        .add_observer(|failed: On<AvatarFailed>, seen: Res<Seen>| {
            seen.0.lock().unwrap().push((failed.entity, Err(failed.error.to_string())));
        });
    app.finish();
    app.cleanup();
    app
}

/// Updates the app until something holds.
pub fn run_until(app: &mut App, what: &str, mut done: impl FnMut(&mut World) -> bool) {
    let start = Instant::now();
    while !done(app.world_mut()) {
        assert!(start.elapsed() < PATIENCE, "waited in vain: {what}");
        app.update();
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub fn stage(world: &World, entity: Entity) -> AvatarStage {
    world.get::<AvatarProgress>(entity).expect("avatars have a progress").stage
}

pub fn run_until_stage(app: &mut App, entity: Entity, wanted: AvatarStage) {
    run_until(app, &format!("{wanted:?}"), |world| {
        let found = stage(world, entity);
        let failure = world.get::<AvatarFailure>(entity);
        assert!(wanted == AvatarStage::Failed || found != AvatarStage::Failed, "{failure:?}");
        found == wanted
    });
}

/// Entities and assets that are alive.
pub fn alive(world: &mut World) -> [usize; 7] {
    [
        world.entities().count_spawned() as usize,
        world.query::<&AvatarPart>().iter(world).count(),
        world.query::<&AvatarProgress>().iter(world).count(),
        world.resource::<Assets<Mesh>>().len(),
        world.resource::<Assets<Image>>().len(),
        world.resource::<Assets<StandardMaterial>>().len(),
        world.resource::<Assets<Photo>>().len(),
    ]
}

pub fn run_a_while(app: &mut App, frames: usize) {
    for _ in 0..frames {
        app.update();
        std::thread::sleep(Duration::from_millis(1));
    }
}
