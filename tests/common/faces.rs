//! Apps that move faces, and what the faces show.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use bevy::{
    asset::{AssetPath, LoadState},
    mesh::morph::MorphWeights,
    prelude::*,
    time::TimeUpdateStrategy,
};
use bevy_fitdiff::{avatar::GeneratedAvatar, prelude::*};

/// An app that moves faces, without windows, renderer and assets, whose frames take a fixed time.
pub fn app(frame: Duration) -> App {
    let mut app = App::new();
    app.add_plugins((MinimalPlugins, TransformPlugin, ExpressionPlugin));
    start(&mut app, frame);
    app
}

/// The same with assets from `folder`.
pub fn app_with_assets(frame: Duration, folder: &Path) -> App {
    let mut app = App::new();
    let assets = AssetPlugin { file_path: folder.display().to_string(), ..default() };
    app.add_plugins((MinimalPlugins, TransformPlugin, assets, ExpressionPlugin));
    start(&mut app, frame);
    app
}

pub fn start(app: &mut App, frame: Duration) {
    app.finish();
    app.cleanup();
    app.insert_resource(TimeUpdateStrategy::ManualDuration(Duration::ZERO));
    app.update();
    app.insert_resource(TimeUpdateStrategy::ManualDuration(frame));
}

pub fn hertz(rate: f64) -> Duration {
    Duration::from_secs_f64(1.0 / rate)
}

/// An avatar that is ready.
pub fn avatar(generated: &GeneratedAvatar) -> impl Bundle {
    let weights = MorphWeights::new(vec![0.0; generated.data.head.blendshapes.len()], None).unwrap();
    (generated.clone(), weights, Transform::default())
}

pub fn weight(app: &App, entity: Entity, shape: ArkitBlendshape) -> f32 {
    let index = ArkitBlendshape::ALL.into_iter().position(|known| known == shape).unwrap();
    app.world().get::<MorphWeights>(entity).unwrap().weights()[index]
}

pub fn weights(app: &App, entity: Entity) -> Vec<f32> {
    app.world().get::<MorphWeights>(entity).unwrap().weights().to_vec()
}

pub fn load(app: &mut App, path: &str) -> Handle<ExpressionSequence> {
    let handle = app.world().resource::<AssetServer>().load::<ExpressionSequence>(AssetPath::from(path.to_owned()));
    wait_for(app, &handle).unwrap();
    handle
}

pub fn wait_for(app: &mut App, handle: &Handle<ExpressionSequence>) -> Result<(), String> {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        match app.world().resource::<AssetServer>().load_state(handle) {
            LoadState::Loaded => return Ok(()),
            LoadState::Failed(reason) => return Err(reason.to_string()),
            _ => assert!(Instant::now() < end, "waited in vain for {:?}", handle.path()),
        }
        app.update();
        std::thread::sleep(Duration::from_millis(1));
    }
}
