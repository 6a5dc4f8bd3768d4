//! A selfie becomes an avatar, in a small portrait studio.
//!
//! `cargo run --example avatar` opens a window with the character creator: drop a photo onto it, or make up a person.
//! `-- --selfie me.jpg` opens it with a photo. Drag the head to turn it, scroll to come nearer; the arrow keys turn the
//! lights.
//!
//! `cargo run --example avatar -- --headless --selfie me.jpg --out me.png` writes a picture without a window;
//! `--help` lists the rest.

mod args;
#[path = "../common/mod.rs"]
mod common;
mod compare;
mod files;
mod headless;
mod window;

use std::process::ExitCode;

use bevy::prelude::*;
use bevy_fitdiff::{pipeline::GenerateOptions, prelude::*, runtime::RuntimeOptions};

use args::Arguments;

fn main() -> ExitCode {
    let arguments: Arguments = argh::from_env();
    // A window opens without a photo, unless one is asked for.
    let asked = arguments.headless || !arguments.selfie.is_empty() || arguments.random.is_some();
    let wanted = match (asked || arguments.recipe.is_some()).then(|| files::read(&arguments)).transpose() {
        Ok(wanted) => wanted,
        Err(reason) => {
            eprintln!("{reason}");
            return ExitCode::FAILURE;
        }
    };
    common::explain_missing_gpu();
    let mut app = App::new();
    if arguments.headless {
        common::headless_plugins(&mut app, arguments.timeout);
    } else {
        window::plugins(&mut app);
    }
    let usual = GenerateOptions::default();
    let options = GenerateOptions {
        steps: arguments.steps.unwrap_or(usual.steps),
        preview_every: 4,
        guidance: arguments.guidance,
        ..usual
    };
    app.add_plugins(FitDiffPlugin { runtime: RuntimeOptions { backend: arguments.backend, ..default() } })
        .insert_resource(FitDiffSettings {
            // Beside this package, wherever the example is run from; a game ships the folder beside its program.
            bundle: concat!(env!("CARGO_MANIFEST_DIR"), "/models/base").into(),
            options,
            ..default()
        });
    app.add_systems(PreStartup, |report: Res<RuntimeReport>| println!("{}", *report));
    if arguments.headless {
        headless::shoot(&mut app, arguments, wanted);
    } else {
        window::open(&mut app, &arguments, wanted);
    }
    match app.run() {
        AppExit::Success => ExitCode::SUCCESS,
        AppExit::Error(code) => ExitCode::from(code.get()),
    }
}
