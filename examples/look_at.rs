//! Demonstrates eyes that follow something: several people look at a ball, or at the mouse; every other one turns the head
//! as well.
//!
//! `cargo run --example look_at` opens a window: the ball goes round until the mouse moves.
//!
//! `cargo run --example look_at -- --headless --out look_at.png` writes pictures of the ball at three places without a
//! window, one below the other.

#[path = "common/mod.rs"]
mod common;

use std::{path::PathBuf, process::ExitCode};

use argh::FromArgs;
use bevy::{
    asset::RenderAssetUsages,
    camera::RenderTarget,
    input::mouse::AccumulatedMouseMotion,
    prelude::*,
    render::view::screenshot::{Screenshot, ScreenshotCaptured},
    window::PrimaryWindow,
};
use bevy_fitdiff::prelude::*;
use image::{RgbImage, imageops};

use common::{Settling, fail, parse_side};

/// Metres between neighbours.
const SPACING: f32 = 0.34;

/// How far before the faces the ball goes, in metres.
const BALL: f32 = 0.45;

/// Places of the ball in the pictures, in metres.
const PLACES: [Vec3; 3] = [Vec3::new(-0.32, 0.08, BALL), Vec3::new(0.0, -0.1, BALL), Vec3::new(0.32, 0.08, BALL)];

/// Seconds that heads have to turn before a picture.
const TURNED: f32 = 1.5;

/// People who look at a ball.
#[derive(FromArgs, Resource, Clone)]
struct Arguments {
    /// number of people (default: 3)
    #[argh(option, default = "3")]
    count: u64,
    /// render without a window, write pictures, and exit
    #[argh(switch)]
    headless: bool,
    /// the picture to write (default: look_at.png)
    #[argh(option, default = "\"look_at.png\".into()")]
    out: PathBuf,
    /// width of the picture in pixels (default: 960)
    #[argh(option, default = "960", from_str_fn(parse_side))]
    width: u32,
    /// seconds after which to give up, without a window (default: 300)
    #[argh(option, default = "300")]
    timeout: u64,
}

#[derive(Component)]
struct Ball;

/// What the camera renders to without a window, and the pictures so far.
#[derive(Resource)]
struct Pictures {
    target: Handle<Image>,
    out: PathBuf,
    taken: Vec<RgbImage>,
    /// When the heads have turned to where the ball is.
    turned_at: Option<f32>,
    pending: bool,
}

fn main() -> ExitCode {
    let arguments: Arguments = argh::from_env();
    common::explain_missing_gpu();
    let mut app = App::new();
    if arguments.headless {
        common::headless_plugins(&mut app, arguments.timeout);
        app.add_systems(Update, shoot);
    } else {
        app.add_plugins(DefaultPlugins).add_systems(Update, move_ball);
    }
    app.add_plugins(FitDiffPlugin::default())
        .insert_resource(arguments)
        .insert_resource(ClearColor(Color::srgb(0.19, 0.20, 0.22)))
        .insert_resource(GlobalAmbientLight { brightness: 700.0, ..default() })
        .add_systems(Startup, set_up)
        .add_observer(|failed: On<AvatarFailed>| error!("{}", failed.error));
    match app.run() {
        AppExit::Success => ExitCode::SUCCESS,
        AppExit::Error(code) => ExitCode::from(code.get()),
    }
}

fn set_up(
    mut commands: Commands,
    arguments: Res<Arguments>,
    mut meshes: ResMut<Assets<Mesh>>,
    mut materials: ResMut<Assets<StandardMaterial>>,
    mut images: ResMut<Assets<Image>>,
) {
    let ball = commands.spawn((
        Ball,
        Mesh3d(meshes.add(Sphere::new(0.018))),
        MeshMaterial3d(materials.add(StandardMaterial { base_color: Color::srgb(0.9, 0.25, 0.1), ..default() })),
        Transform::from_translation(PLACES[0]),
    ));
    let ball = ball.id();
    for seed in 0..arguments.count {
        let place = Vec3::X * SPACING * (seed as f32 - 0.5 * (arguments.count as f32 - 1.0));
        let mut person = commands.spawn((Avatar::random(seed + 20), Transform::from_translation(place)));
        person.insert((LivingFace, LookAt::entity(ball)));
        if seed % 2 == 1 {
            person.insert(HeadTurn::default());
        }
    }
    commands.spawn((
        DirectionalLight { illuminance: 6500.0, ..default() },
        Transform::from_xyz(1.0, 1.0, 2.0).looking_at(Vec3::ZERO, Vec3::Y),
    ));
    // Pictures are three times as wide as they are high.
    let fov = if arguments.headless { 0.26 } else { 0.5 };
    let distance = 1.4f32.max(1.5 * SPACING * arguments.count as f32);
    let place = Transform::from_xyz(0.0, 0.02, distance).looking_at(Vec3::new(0.0, -0.01, 0.0), Vec3::Y);
    let view = Projection::Perspective(PerspectiveProjection { fov, near: 0.05, ..default() });
    let mut camera = commands.spawn((Camera3d::default(), view, place));
    if arguments.headless {
        let target = common::render_target(&mut images, arguments.width, arguments.width / 3);
        camera.insert(RenderTarget::Image(target.clone().into()));
        commands.insert_resource(Pictures {
            target,
            out: arguments.out.clone(),
            taken: Vec::new(),
            turned_at: None,
            pending: false,
        });
    }
}

/// The ball goes round until the mouse moves, and follows it then.
fn move_ball(
    time: Res<Time>,
    motion: Res<AccumulatedMouseMotion>,
    windows: Query<&Window, With<PrimaryWindow>>,
    cameras: Query<(&Camera, &GlobalTransform)>,
    mut balls: Query<&mut Transform, With<Ball>>,
    mut by_hand: Local<bool>,
) {
    *by_hand |= motion.delta != Vec2::ZERO;
    let pointed = || {
        let cursor = windows.single().ok()?.cursor_position()?;
        let (camera, place) = cameras.single().ok()?;
        let ray = camera.viewport_to_world(place, cursor).ok()?;
        let distance = ray.intersect_plane(Vec3::Z * BALL, InfinitePlane3d::new(Vec3::Z))?;
        Some(ray.get_point(distance))
    };
    let place = if *by_hand {
        pointed()
    } else {
        let (sine, cosine) = (0.9 * time.elapsed_secs()).sin_cos();
        Some(Vec3::new(0.32 * sine, 0.09 * cosine, BALL))
    };
    for (mut ball, place) in balls.iter_mut().zip(place) {
        ball.translation = place;
    }
}

/// Takes a picture of each place, and exits.
fn shoot(
    mut commands: Commands,
    time: Res<Time>,
    mut pictures: ResMut<Pictures>,
    mut settling: ResMut<Settling>,
    mut balls: Query<&mut Transform, With<Ball>>,
    people: Query<(&AvatarProgress, Option<&AvatarFailure>)>,
    mut exit: MessageWriter<AppExit>,
) {
    if let Some(failure) = people.iter().find_map(|(_, failure)| failure) {
        return fail(&mut exit, &failure.to_string());
    }
    if people.iter().any(|(progress, _)| progress.stage != AvatarStage::Ready) {
        return settling.restart();
    }
    let Some(&place) = PLACES.get(pictures.taken.len()) else {
        if let Err(reason) = write(&pictures.taken, &pictures.out) {
            return fail(&mut exit, &reason);
        }
        exit.write(AppExit::Success);
        return;
    };
    let turned_at = *pictures.turned_at.get_or_insert(time.elapsed_secs() + TURNED);
    for mut ball in balls.iter_mut().filter(|ball| ball.translation != place) {
        ball.translation = place;
    }
    if time.elapsed_secs() < turned_at {
        return settling.restart();
    }
    if pictures.pending || !settling.is_settled() {
        return;
    }
    pictures.pending = true;
    commands.spawn(Screenshot::image(pictures.target.clone())).observe(
        |captured: On<ScreenshotCaptured>, mut pictures: ResMut<Pictures>, mut exit: MessageWriter<AppExit>| {
            match common::pixels(&captured.image) {
                Ok(picture) => pictures.taken.push(picture),
                Err(reason) => fail(&mut exit, &reason),
            }
            (pictures.turned_at, pictures.pending) = (None, false);
        },
    );
}

/// Writes the pictures, one below the other.
fn write(taken: &[RgbImage], out: &std::path::Path) -> Result<(), String> {
    let (width, height) = taken.first().map_or((1, 1), RgbImage::dimensions);
    let mut all = RgbImage::new(width, height * taken.len() as u32);
    for (row, picture) in (0..).zip(taken) {
        imageops::replace(&mut all, picture, 0, row * i64::from(height));
    }
    let all = Image::from_dynamic(all.into(), true, RenderAssetUsages::default());
    common::save(&all, out)?;
    println!("wrote {}", out.display());
    Ok(())
}
