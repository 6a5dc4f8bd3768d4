//! A selfie becomes an avatar, in a small portrait studio.
//!
//! `cargo run --example avatar -- --selfie me.jpg` opens a window: drag to go around the head, scroll to come nearer; O
//! opens another photo, or drop one onto the window; space makes a random person, N another variation, R looks from the
//! front again, and the arrow keys turn the lights.
//!
//! `cargo run --example avatar -- --headless --selfie me.jpg --out me.png` writes a picture without a window;
//! `--help` lists the rest.

mod args;
#[path = "../common/mod.rs"]
mod common;
mod compare;
mod files;
mod headless;
mod photo;
mod scene;
mod window;

use std::process::ExitCode;

use bevy::prelude::*;
use bevy_fitdiff::{pipeline::GenerateOptions, prelude::*, runtime::RuntimeOptions};

use args::Arguments;
use files::Wanted;

fn main() -> ExitCode {
    let arguments: Arguments = argh::from_env();
    let wanted = match files::read(&arguments) {
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
    app.add_plugins((
        FitDiffPlugin { runtime: RuntimeOptions { backend: arguments.backend, ..default() } },
        scene::plugin,
    ))
    .insert_resource(FitDiffSettings {
        // Beside this package, wherever the example is run from; a game ships the folder beside its program.
        bundle: concat!(env!("CARGO_MANIFEST_DIR"), "/models/base").into(),
        options,
        ..default()
    });
    let seed = arguments.seed;
    let mut wanted = Some(wanted);
    app.add_systems(
        PreStartup,
        move |mut commands: Commands, mut photos: ResMut<Assets<Photo>>, report: Res<RuntimeReport>| {
            println!("{}", *report);
            let avatar = match wanted.take() {
                Some(Wanted::Photo(photo)) => Avatar::from_selfie(photos.add(photo)).with_seed(seed),
                Some(Wanted::Avatar(avatar)) => avatar,
                None => return,
            };
            commands.spawn(avatar);
        },
    );
    if arguments.headless {
        headless::shoot(&mut app, arguments);
    } else {
        window::open(&mut app);
    }
    match app.run() {
        AppExit::Success => ExitCode::SUCCESS,
        AppExit::Error(code) => ExitCode::from(code.get()),
    }
}
