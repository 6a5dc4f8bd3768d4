//! A scripted session with the character creator: from photo to export, with the clicks and keys of a player and a
//! picture of every step. It needs no window.
//!
//! `cargo run --example creator_tour -- --out target/creator_tour`

#[path = "../common/mod.rs"]
mod common;
mod player;

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    process::ExitCode,
};

use argh::FromArgs;
use bevy::{
    camera::{ImageRenderTarget, RenderTarget},
    prelude::*,
    render::view::screenshot::{Screenshot, ScreenshotCaptured},
};
use bevy_egui::{PrimaryEguiContext, egui};
use bevy_fitdiff::{
    creator::{CreatorStep, studio_camera},
    pipeline::{GenerateOptions, Guidance},
    prelude::*,
    runtime::{BackendChoice, RuntimeOptions},
};

use common::{Settling, fail};
use player::Player;

/// A scripted session with the character creator.
#[derive(FromArgs, Clone)]
struct Arguments {
    /// folder of the pictures (default: target/creator_tour)
    #[argh(option, default = "\"target/creator_tour\".into()")]
    out: PathBuf,
    /// width in pixels (default: 1280)
    #[argh(option, default = "1280", from_str_fn(common::parse_side))]
    width: u32,
    /// height in pixels (default: 720)
    #[argh(option, default = "720", from_str_fn(common::parse_side))]
    height: u32,
    /// pixels of a logical pixel, as the system of a dense screen says (default: 1)
    #[argh(option, default = "1.0")]
    scale: f32,
    /// number of denoising steps (default: 20)
    #[argh(option, default = "20")]
    steps: usize,
    /// auto (default), onnxruntime or embedded
    #[argh(option, default = "BackendChoice::Auto")]
    backend: BackendChoice,
    /// seconds after which to give up (default: 600)
    #[argh(option, default = "600")]
    timeout: u64,
}

/// What is done, one after the other.
enum Beat {
    /// Clicks what has this name.
    Click(&'static str),
    /// Types a path.
    Type(PathBuf),
    /// Drags the slider of this name to a part of its way.
    Slide(&'static str, f32),
    /// Scrolls what has this name into view.
    Show(&'static str),
    /// Presses keys.
    Press(egui::Modifiers, egui::Key),
    /// Waits until something holds.
    Until(&'static str, fn(&World) -> bool),
    /// Takes a picture.
    Shoot(&'static str),
}

#[derive(Resource)]
struct Tour {
    out: PathBuf,
    beats: VecDeque<Beat>,
    target: Handle<Image>,
    shot: usize,
    pending: bool,
    /// Frames to wait until the next beat.
    pause: usize,
    /// Whether the player was told what is waited for.
    waiting: bool,
}

/// Frames after a click in which what it does is drawn.
const PAUSE: usize = 4;

fn main() -> ExitCode {
    let arguments: Arguments = argh::from_env();
    common::explain_missing_gpu();
    let mut app = App::new();
    common::headless_plugins(&mut app, arguments.timeout);
    let exported = arguments.out.join("avatar.glb");
    let saved = arguments.out.join("avatar.avatar.json");
    app.add_plugins((
        FitDiffPlugin { runtime: RuntimeOptions { backend: arguments.backend, ..default() } },
        CreatorPlugin::default(),
        CreatorStudioPlugin { camera: false },
        player::plugin,
    ))
    .insert_resource(CreatorSettings { quality: Guidance::Fast, ..default() })
    .insert_resource(FitDiffSettings {
        bundle: concat!(env!("CARGO_MANIFEST_DIR"), "/models/base").into(),
        options: GenerateOptions { steps: arguments.steps, ..default() },
        ..default()
    });
    let tour = arguments.clone();
    app.add_systems(Startup, move |world: &mut World| {
        let mut images = world.resource_mut::<Assets<Image>>();
        let target = common::render_target(&mut images, tour.width, tour.height);
        let camera = studio_camera(&mut images);
        let image = ImageRenderTarget { handle: target.clone(), scale_factor: tour.scale };
        world.spawn((camera, PrimaryEguiContext, RenderTarget::Image(image)));
        let beats = beats(&saved, &exported).into();
        world.insert_resource(Tour {
            out: tour.out.clone(),
            beats,
            target,
            shot: 0,
            pending: false,
            pause: PAUSE,
            waiting: false,
        });
    })
    .add_systems(Update, step);
    match app.run() {
        AppExit::Success => ExitCode::SUCCESS,
        AppExit::Error(code) => ExitCode::from(code.get()),
    }
}

/// The session.
fn beats(saved: &Path, exported: &Path) -> Vec<Beat> {
    use Beat::{Click, Press, Shoot, Show, Slide, Type, Until};
    let selfie = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/selfies").join(name);
    let face_found = |world: &World| player::sees(world, "This face is used.");
    let enter = |name, path| [Click(name), Type(path), Press(egui::Modifiers::NONE, egui::Key::Enter)];
    let mut beats = vec![Shoot("start"), Click("Use a photo of me"), Shoot("photo_empty")];
    beats.extend(enter("Path of a photo", selfie("README.md")));
    beats.extend([
        Until("the message about what is no photo", |world| player::sees(world, "This is not a photo.")),
        Shoot("photo_refused"),
    ]);
    beats.extend(enter("Path of a photo", selfie("astronaut.png")));
    beats.extend([
        Until("the face", face_found),
        Shoot("photo"),
        Click("Create my avatar"),
        Until("a preview", |world| {
            let mut avatars = world.try_query::<&AvatarProgress>().expect("avatars are known");
            avatars.iter(world).any(|progress| progress.preview.is_some())
        }),
        Shoot("generate"),
        Until("the avatar", is_refined),
        Until("the variations", |world| player::count(world, "Variation ", true) == 4),
        Shoot("refine"),
        Click("Variation 2"),
        Until("the variation", rests),
        Shoot("variation"),
        Slide("Face width", 0.8),
        Until("another shape", rests),
        Show("Face width"),
        Shoot("shape"),
        Slide("Tone", 0.3),
        Click("Green"),
        Shoot("skin_and_eyes"),
        Press(egui::Modifiers::COMMAND, egui::Key::Z),
        Press(egui::Modifiers::COMMAND, egui::Key::Z),
        Until("what was undone", rests),
        Shoot("undone"),
        Press(egui::Modifiers::COMMAND | egui::Modifiers::SHIFT, egui::Key::Z),
        Click("Happy"),
        Click("Single movements"),
        Slide("Eye blink left", 1.0),
        Click("Evening"),
        Show("Without my changes"),
        Until("the smile", rests),
        Shoot("evening"),
        Click("Studio"),
        Click("Continue"),
        Shoot("finish"),
    ]);
    beats.extend(enter("File to save to", saved.to_owned()));
    beats.extend([Until("the saved file", |world| player::sees(world, "The avatar is saved."))]);
    beats.extend(enter("File to export to", exported.to_owned()));
    beats.extend([
        Until("the exported file", |world| player::sees(world, "The avatar is exported.")),
        Shoot("exported"),
        Show("Forget me"),
        Shoot("before_forgetting"),
        Click("Forget me"),
        Until("to be forgotten", |world| !world.resource::<CreatorState>().remembers()),
        Shoot("forgotten"),
        Click("Use this avatar"),
        Until("the end", |world| !world.resource::<CreatorState>().is_open()),
        Shoot("accepted"),
    ]);
    beats
}

fn is_refined(world: &World) -> bool {
    let state = world.resource::<CreatorState>();
    state.step() == CreatorStep::Refine && rests(world)
}

/// Whether something holds; says what is waited for.
fn wait(world: &mut World, what: &str, holds: fn(&World) -> bool) -> bool {
    let mut tour = world.resource_mut::<Tour>();
    if !std::mem::replace(&mut tour.waiting, true) {
        println!("waits for {what}");
    }
    let done = holds(world);
    world.resource_mut::<Tour>().waiting = !done;
    done
}

/// Whether nothing is generated.
fn rests(world: &World) -> bool {
    !world.resource::<CreatorState>().is_working()
}

/// Does the next thing, as soon as what was done before is over.
fn step(world: &mut World) {
    let mut tour = world.resource_mut::<Tour>();
    if tour.pending {
        return;
    }
    if tour.pause > 0 {
        tour.pause -= 1;
        return;
    }
    let Some(beat) = tour.beats.pop_front() else {
        world.write_message(AppExit::Success);
        return;
    };
    tour.pause = PAUSE;
    let done = match &beat {
        Beat::Click(name) => Player::click(world, name),
        Beat::Type(path) => Player::type_path(world, path),
        Beat::Slide(name, part) => Player::slide(world, name, *part),
        Beat::Show(name) => Player::show(world, name),
        Beat::Press(modifiers, key) => Player::press(world, *modifiers, *key),
        Beat::Until(what, holds) => wait(world, what, *holds),
        Beat::Shoot(name) => shoot(world, name),
    };
    // Again in the next frame.
    if !done {
        world.resource_mut::<Tour>().beats.push_front(beat);
    }
}

/// Takes a picture once everything is drawn.
fn shoot(world: &mut World, name: &str) -> bool {
    if !world.resource::<Settling>().is_settled() {
        return false;
    }
    let mut tour = world.resource_mut::<Tour>();
    let path = tour.out.join(format!("{:02}_{name}.png", tour.shot));
    tour.shot += 1;
    tour.pending = true;
    let target = tour.target.clone();
    world.spawn(Screenshot::image(target)).observe(
        move |captured: On<ScreenshotCaptured>,
              mut tour: ResMut<Tour>,
              mut settling: ResMut<Settling>,
              mut exit: MessageWriter<AppExit>| {
            if let Err(reason) = common::save(&captured.image, &path) {
                return fail(&mut exit, &reason);
            }
            println!("wrote {}", path.display());
            settling.restart();
            tour.pending = false;
        },
    );
    true
}
