//! The threads of an app with avatars. On its own, because tests of one program share their threads.
#![cfg(target_os = "linux")]

mod common;

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use bevy::prelude::*;
use bevy_fitdiff::{
    pipeline::GenerateOptions,
    prelude::*,
    runtime::{BackendChoice, Runtime, RuntimeOptions},
};

/// Nothing of this test takes nearly as long, on any machine that can build it.
const PATIENCE: Duration = Duration::from_secs(300);

/// The longest that threads take to end that nobody waits for.
const FAREWELL: Duration = Duration::from_secs(10);

/// Niceness of this process's threads, by their identifiers.
fn threads() -> BTreeMap<u32, i64> {
    let tasks = fs::read_dir("/proc/self/task").unwrap().map(|entry| entry.unwrap().path());
    let threads = tasks.filter_map(|path| {
        let id = path.file_name()?.to_str()?.parse().ok()?;
        // A thread may have ended since. Its name, in parentheses, may hold anything; niceness is the 17th field after.
        let stat = fs::read_to_string(path.join("stat")).ok()?;
        let (_, fields) = stat.rsplit_once(") ")?;
        Some((id, fields.split(' ').nth(16)?.parse().ok()?))
    });
    threads.collect()
}

/// An app that generates until an avatar reaches a stage, and the niceness of the threads that it has then.
fn run_to(wanted: AvatarStage, backend: BackendChoice) -> (App, BTreeMap<u32, i64>) {
    let runtime = RuntimeOptions { backend, threads: Some(2.try_into().unwrap()), ..default() };
    let options = GenerateOptions { steps: if wanted == AvatarStage::Ready { 2 } else { 500 }, ..default() };
    let mut app = App::new();
    app.add_plugins((MinimalPlugins, AssetPlugin::default(), FitDiffPlugin { runtime }))
        .insert_resource(FitDiffSettings { options, ..default() });
    app.finish();
    app.cleanup();
    let avatar = app.world_mut().spawn(Avatar::random(1)).id();
    let start = Instant::now();
    loop {
        app.update();
        let stage = app.world().get::<AvatarProgress>(avatar).unwrap().stage;
        assert_ne!(stage, AvatarStage::Failed, "{:?}", app.world().get::<AvatarFailure>(avatar));
        if stage == wanted {
            return (app, threads());
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain for {wanted:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn threads_yield_to_frames_and_end_with_the_app() {
    for (name, _) in common::runtimes() {
        let backend = if name == "embedded" { BackendChoice::Embedded } else { BackendChoice::OnnxRuntime };
        // The first app starts what stays: Bevy's task pools, and what the engine's library keeps for itself.
        drop(run_to(AvatarStage::Ready, backend));
        drop(Runtime::new(RuntimeOptions { backend, ..default() }));
        let before = settled();
        for wanted in [AvatarStage::Sampling, AvatarStage::Ready, AvatarStage::Sampling, AvatarStage::Sampling] {
            let (app, running) = run_to(wanted, backend);
            let own = running[&std::process::id()];
            let new: Vec<i64> =
                running.iter().filter(|(id, _)| !before.contains_key(id)).map(|(_, nice)| *nice).collect();
            assert!(new.len() >= 2, "{name}: {new:?}");
            assert!(own >= 9 || new.iter().all(|nice| *nice > own), "{name}: {own}, {new:?}");
            drop(app);
            let start = Instant::now();
            while threads().len() > before.len() {
                let left: Vec<u32> = threads().into_keys().filter(|id| !before.contains_key(id)).collect();
                assert!(start.elapsed() < FAREWELL, "{name}: {left:?} are left after {wanted:?}");
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// The threads, once none has ended for a while.
fn settled() -> BTreeMap<u32, i64> {
    let mut before = threads();
    loop {
        std::thread::sleep(Duration::from_millis(500));
        let now = threads();
        if now.len() == before.len() {
            return now;
        }
        before = now;
    }
}
