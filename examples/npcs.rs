//! A crowd of people that do not exist, each appearing when it is ready, blinking, looking at you and smiling now and then.
//!
//! `cargo run --example npcs` opens a window; `cargo run --example npcs -- --count 30` asks for thirty.
//!
//! `cargo run --example npcs -- --headless --out npcs.png` writes a picture of the whole crowd without a window.

#[path = "common/mod.rs"]
mod common;

use std::{path::PathBuf, process::ExitCode};

use argh::FromArgs;
use bevy::{
    camera::RenderTarget,
    prelude::*,
    render::view::screenshot::{Screenshot, ScreenshotCaptured},
};
use bevy_fitdiff::prelude::*;

use common::{Settling, fail, parse_side};

/// Metres between neighbours.
const SPACING: f32 = 0.4;

/// Metres by which a row stands above the one before it.
const RISE: f32 = 0.15;

/// Seconds from one expression of a person to the next.
const MOOD: f32 = 4.0;

/// What people show, one after the other.
const MOODS: [(ExpressionPreset, f32); 4] = [
    (ExpressionPreset::Happy, 0.7),
    (ExpressionPreset::Neutral, 1.0),
    (ExpressionPreset::Relaxed, 0.8),
    (ExpressionPreset::Surprised, 0.4),
];

/// A crowd of people that do not exist.
#[derive(FromArgs, Resource, Clone)]
struct Arguments {
    /// number of people (default: 12)
    #[argh(option, default = "12")]
    count: u64,
    /// render without a window, write a picture, and exit
    #[argh(switch)]
    headless: bool,
    /// the picture to write (default: npcs.png)
    #[argh(option, default = "\"npcs.png\".into()")]
    out: PathBuf,
    /// width of the picture in pixels, 16 to its 9 (default: 1280)
    #[argh(option, default = "1280", from_str_fn(parse_side))]
    width: u32,
    /// seconds after which to give up, without a window (default: 300)
    #[argh(option, default = "300")]
    timeout: u64,
}

/// What the camera renders to without a window.
#[derive(Resource)]
struct Picture(Handle<Image>);

fn main() -> ExitCode {
    let arguments: Arguments = argh::from_env();
    common::explain_missing_gpu();
    let mut app = App::new();
    if arguments.headless {
        common::headless_plugins(&mut app, arguments.timeout);
        app.add_systems(Update, shoot);
    } else {
        app.add_plugins(DefaultPlugins);
    }
    app.add_plugins(FitDiffPlugin::default())
        .insert_resource(arguments)
        .insert_resource(ClearColor(Color::srgb(0.19, 0.20, 0.22)))
        .insert_resource(GlobalAmbientLight { brightness: 700.0, ..default() })
        .add_systems(Startup, setup)
        .add_systems(Update, change_moods)
        .add_observer(|failed: On<AvatarFailed>| error!("{}", failed.error));
    match app.run() {
        AppExit::Success => ExitCode::SUCCESS,
        AppExit::Error(code) => ExitCode::from(code.get()),
    }
}

fn setup(mut commands: Commands, arguments: Res<Arguments>, mut images: ResMut<Assets<Image>>) {
    let columns = (arguments.count as f32).sqrt().ceil().max(1.0);
    let rows = (arguments.count as f32 / columns).ceil().max(1.0);
    commands.spawn((
        DirectionalLight { illuminance: 6500.0, ..default() },
        Transform::from_xyz(1.0, 1.0, 2.0).looking_at(Vec3::ZERO, Vec3::Y),
    ));
    // The front row is the widest in the picture; the rows behind it make it higher.
    let middle = Vec3::new(0.0, 0.5 * RISE * (rows - 1.0), 0.0);
    let place = Vec3::new(0.0, middle.y + 0.1, 0.35 + 0.62 * SPACING * columns);
    let place = Transform::from_translation(place).looking_at(middle, Vec3::Y);
    let camera = commands.spawn((Camera3d::default(), place)).id();
    if arguments.headless {
        let picture = common::render_target(&mut images, arguments.width, arguments.width * 9 / 16);
        commands.entity(camera).insert(RenderTarget::Image(picture.clone().into()));
        commands.insert_resource(Picture(picture));
    }
    for seed in 0..arguments.count {
        let (column, row) = (seed as f32 % columns, (seed as f32 / columns).floor());
        // Everybody looks through a gap of the row before.
        let shift = 0.5 * (row % 2.0) - if rows > 1.0 { 0.25 } else { 0.0 };
        let place = Vec3::new((column + shift - (columns - 1.0) / 2.0) * SPACING, RISE * row, -row * SPACING);
        let look = LookAt::entity(camera);
        commands.spawn((Avatar::random(seed), LivingFace, look, Transform::from_translation(place)));
    }
}

/// Everybody shows another mood now and then, each at another time.
fn change_moods(time: Res<Time>, mut faces: Query<(Entity, &mut Expression)>) {
    for (entity, mut expression) in &mut faces {
        let phase = (entity.index_u32() as f32 * 0.618).fract() * MOODS.len() as f32;
        let (preset, weight) = MOODS[(time.elapsed_secs() / MOOD + phase) as usize % MOODS.len()];
        if expression.preset(preset) != weight {
            expression.show(preset, weight);
        }
    }
}

/// Takes one picture when everybody is there, and exits.
fn shoot(
    mut commands: Commands,
    arguments: Res<Arguments>,
    picture: Res<Picture>,
    mut settling: ResMut<Settling>,
    avatars: Query<(&AvatarProgress, Option<&AvatarFailure>)>,
    mut taken: Local<bool>,
    mut exit: MessageWriter<AppExit>,
) {
    if let Some(failure) = avatars.iter().find_map(|(_, failure)| failure) {
        return fail(&mut exit, &failure.to_string());
    }
    if avatars.iter().any(|(progress, _)| progress.stage != AvatarStage::Ready) {
        settling.restart();
    }
    if *taken || !settling.is_settled() {
        return;
    }
    *taken = true;
    let out = arguments.out.clone();
    commands.spawn(Screenshot::image(picture.0.clone())).observe(
        move |captured: On<ScreenshotCaptured>, mut exit: MessageWriter<AppExit>| {
            if let Err(reason) = common::save(&captured.image, &out) {
                return fail(&mut exit, &reason);
            }
            println!("wrote {}", out.display());
            exit.write(AppExit::Success);
        },
    );
}
