//! Demonstrates living faces: preset expressions, speech by visemes, and sequences, on a face that blinks and looks at you.
//!
//! `cargo run --example expressions` opens a window; the panel tells the keys.
//!
//! `cargo run --example expressions -- --headless --out contact_sheet.png` writes a picture of all presets, visemes and
//! moments of a sequence without a window, and prints what is where.

#[path = "common/mod.rs"]
mod common;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use argh::FromArgs;
use bevy::{
    asset::RenderAssetUsages,
    camera::RenderTarget,
    prelude::*,
    render::view::screenshot::{Screenshot, ScreenshotCaptured},
};
use bevy_egui::{EguiContexts, EguiPlugin, EguiPrimaryContextPass, PrimaryEguiContext, egui};
use bevy_fitdiff::{
    creator::{CreatorStudio, StudioCamera, studio_camera},
    prelude::*,
};
use image::{RgbImage, imageops};

use common::{Settling, fail, parse_side};

/// The shipped sequences: a capture in the layout of Live Link Face, and one in the plugin's own format.
const SEQUENCES: [&str; 2] = ["expressions/hello.csv", "expressions/think.expression.json"];

/// Presets by their keys, and in the order in which the show goes through them.
const PRESETS: [(KeyCode, ExpressionPreset); 6] = [
    (KeyCode::Digit0, ExpressionPreset::Neutral),
    (KeyCode::Digit1, ExpressionPreset::Happy),
    (KeyCode::Digit2, ExpressionPreset::Angry),
    (KeyCode::Digit3, ExpressionPreset::Sad),
    (KeyCode::Digit4, ExpressionPreset::Relaxed),
    (KeyCode::Digit5, ExpressionPreset::Surprised),
];

/// "Hello, how are you?": visemes and the seconds that each lasts.
const SENTENCE: [(Viseme, f32); 14] = [
    (Viseme::Kk, 0.07),
    (Viseme::Ee, 0.10),
    (Viseme::Nn, 0.09),
    (Viseme::Oh, 0.22),
    (Viseme::Sil, 0.18),
    (Viseme::Kk, 0.06),
    (Viseme::Aa, 0.14),
    (Viseme::Ou, 0.12),
    (Viseme::Aa, 0.13),
    (Viseme::Rr, 0.10),
    (Viseme::Ih, 0.08),
    (Viseme::Ou, 0.28),
    (Viseme::Sil, 0.25),
    (Viseme::Pp, 0.12),
];

/// Seconds that the show stays with a preset.
const SHOWN: f32 = 2.2;

/// Columns of the contact sheet.
const COLUMNS: u32 = 8;

/// Distance of the camera on the contact sheet, in metres: there is no more to see than the face.
const DISTANCE: f32 = 0.44;

/// Moments of the first sequence on the contact sheet, in seconds.
const MOMENTS: [f32; 5] = [0.5, 0.95, 1.6, 1.8, 2.6];

/// A face that shows what it can.
#[derive(FromArgs, Resource, Clone)]
struct Arguments {
    /// seed of the person (default: 7)
    #[argh(option, default = "7")]
    seed: u64,
    /// render without a window, write a contact sheet, and exit
    #[argh(switch)]
    headless: bool,
    /// the picture to write (default: contact_sheet.png)
    #[argh(option, default = "\"contact_sheet.png\".into()")]
    out: PathBuf,
    /// side of a picture on the sheet in pixels (default: 256)
    #[argh(option, default = "256", from_str_fn(parse_side))]
    size: u32,
    /// seconds after which to give up, without a window (default: 600)
    #[argh(option, default = "600")]
    timeout: u64,
}

fn main() -> ExitCode {
    let arguments: Arguments = argh::from_env();
    common::explain_missing_gpu();
    let mut app = App::new();
    if arguments.headless {
        common::headless_plugins(&mut app, arguments.timeout);
        app.add_systems(Startup, set_up_sheet).add_systems(Update, shoot);
    } else {
        let assets = concat!(env!("CARGO_MANIFEST_DIR"), "/assets");
        app.add_plugins((
            DefaultPlugins.set(AssetPlugin { file_path: assets.into(), ..default() }),
            EguiPlugin::default(),
        ))
        .init_resource::<Show>()
        .add_systems(Startup, set_up_show)
        .add_systems(Update, (keys, speak, direct).chain())
        .add_systems(EguiPrimaryContextPass, panel)
        .add_observer(|ended: On<ExpressionSequenceEnded>| info!("{:?} has ended", ended.sequence));
    }
    app.add_plugins((FitDiffPlugin::default(), CreatorStudioPlugin { camera: false }))
        .insert_resource(arguments)
        .add_observer(|failed: On<AvatarFailed>| error!("{}", failed.error));
    match app.run() {
        AppExit::Success => ExitCode::SUCCESS,
        AppExit::Error(code) => ExitCode::from(code.get()),
    }
}

/// The show in the window.
#[derive(Resource)]
struct Show {
    /// Whether it goes on by itself.
    runs: bool,
    act: usize,
    until: Timer,
    /// Sound of the sentence, and the seconds that are left of it.
    sound: Option<(usize, f32)>,
    sequences: [Handle<ExpressionSequence>; SEQUENCES.len()],
}

impl FromWorld for Show {
    fn from_world(world: &mut World) -> Self {
        let assets = world.resource::<AssetServer>();
        let sequences = SEQUENCES.map(|path| assets.load(path));
        let until = Timer::from_seconds(SHOWN, TimerMode::Repeating);
        Self { runs: true, act: 0, until, sound: None, sequences }
    }
}

fn set_up_show(mut commands: Commands, mut images: ResMut<Assets<Image>>, arguments: Res<Arguments>) {
    let camera = commands.spawn((studio_camera(&mut images), PrimaryEguiContext)).id();
    let layers = (LivingFace, LipSync::default(), ExpressionPlayer::default(), LookAt::entity(camera));
    commands.spawn((Avatar::random(arguments.seed), layers));
}

/// All that the show plays on.
type Stage = (&'static mut Expression, &'static mut ExpressionPlayer, &'static mut LookAt);

fn keys(
    keys: Res<ButtonInput<KeyCode>>,
    mut show: ResMut<Show>,
    mut faces: Query<Stage>,
    cameras: Query<Entity, With<StudioCamera>>,
) {
    if keys.get_just_pressed().next().is_none() {
        return;
    }
    show.runs = keys.just_pressed(KeyCode::Enter) || (show.runs && keys.just_pressed(KeyCode::KeyL));
    if keys.just_pressed(KeyCode::Space) {
        show.sound = Some((0, SENTENCE[0].1));
    }
    for (mut expression, mut player, mut look) in &mut faces {
        for (_, preset) in PRESETS.iter().filter(|(key, _)| keys.just_pressed(*key)) {
            expression.show(*preset, 1.0);
        }
        for (key, sequence) in [KeyCode::KeyH, KeyCode::KeyT].into_iter().zip(&show.sequences) {
            if keys.just_pressed(key) {
                player.play(sequence.clone());
            }
        }
        if keys.just_pressed(KeyCode::KeyL) {
            look.target = match (look.target, cameras.single()) {
                (LookTarget::Nothing, Ok(camera)) => LookTarget::Entity(camera),
                _ => LookTarget::Nothing,
            };
        }
    }
}

/// Says the sentence, sound by sound.
fn speak(time: Res<Time>, mut show: ResMut<Show>, mut lips: Query<&mut LipSync>) {
    let Some((mut sound, mut left)) = show.sound else { return };
    left -= time.delta_secs();
    while left <= 0.0 && sound < SENTENCE.len() {
        sound += 1;
        left += SENTENCE.get(sound).map_or(0.0, |(_, seconds)| *seconds);
    }
    for mut lips in &mut lips {
        match SENTENCE.get(sound) {
            Some((viseme, _)) => lips.speak(*viseme),
            None => lips.silence(),
        }
    }
    show.sound = (sound < SENTENCE.len()).then_some((sound, left));
}

/// Goes through presets, the sentence, and the sequences.
fn direct(time: Res<Time>, mut show: ResMut<Show>, mut faces: Query<Stage, With<GeneratedAvatar>>) {
    if !show.runs || faces.is_empty() || !show.until.tick(time.delta()).just_finished() {
        return;
    }
    let acts = PRESETS.len() + 1 + SEQUENCES.len();
    show.act = (show.act + 1) % acts;
    let preset = PRESETS.get(show.act).map(|(_, preset)| *preset);
    let sequence = show.act.checked_sub(PRESETS.len() + 1).map(|index| show.sequences[index].clone());
    for (mut expression, mut player, _) in &mut faces {
        expression.show(preset.unwrap_or(ExpressionPreset::Relaxed), 1.0);
        if let Some(sequence) = &sequence {
            player.play(sequence.clone());
        }
    }
    if show.act == PRESETS.len() {
        show.sound = Some((0, SENTENCE[0].1));
    }
}

fn panel(mut contexts: EguiContexts, faces: Query<&AvatarProgress>, show: Res<Show>) -> Result {
    egui::Window::new("Expressions").resizable(false).show(contexts.ctx_mut()?, |ui| {
        for progress in faces.iter().filter(|progress| progress.stage != AvatarStage::Ready) {
            ui.add(egui::ProgressBar::new(progress.fraction).text(format!("{:?}", progress.stage)));
        }
        ui.label("1 happy   2 angry   3 sad   4 relaxed   5 surprised   0 neutral");
        ui.label("space: a sentence   H, T: sequences   L: look at the camera or not");
        ui.label(if show.runs { "The show is running; any key takes over." } else { "Enter: the show goes on." });
    });
    Ok(())
}

/// What a picture of the contact sheet shows.
#[derive(Clone, Copy)]
enum Pose {
    Preset(ExpressionPreset),
    Viseme(Viseme),
    Moment(f32),
}

/// The contact sheet as it grows.
#[derive(Resource)]
struct Sheet {
    target: Handle<Image>,
    poses: Vec<Pose>,
    tiles: Vec<RgbImage>,
    sequence: Handle<ExpressionSequence>,
    /// Whether the pose of the next picture is on the face.
    posed: bool,
    pending: bool,
}

fn set_up_sheet(
    mut commands: Commands,
    mut images: ResMut<Assets<Image>>,
    assets: Res<AssetServer>,
    arguments: Res<Arguments>,
    mut studio: ResMut<CreatorStudio>,
) {
    studio.distance = DISTANCE;
    let target = common::render_target(&mut images, arguments.size, arguments.size);
    commands.spawn((studio_camera(&mut images), RenderTarget::Image(target.clone().into())));
    let mut lips = LipSync::default();
    lips.smoothing = Duration::ZERO;
    let expression = Expression::default().with_transition(Duration::ZERO);
    commands.spawn((Avatar::random(arguments.seed), expression, lips, ExpressionPlayer::default()));
    let mouths = [ExpressionPreset::Aa, ExpressionPreset::Ih, ExpressionPreset::Ou, ExpressionPreset::Ee];
    let presets =
        ExpressionPreset::ALL.into_iter().filter(|preset| !mouths.contains(preset) && *preset != ExpressionPreset::Oh);
    let poses = presets.map(Pose::Preset).chain(Viseme::ALL.into_iter().skip(1).map(Pose::Viseme));
    commands.insert_resource(Sheet {
        target,
        poses: poses.chain(MOMENTS.map(Pose::Moment)).collect(),
        tiles: Vec::new(),
        sequence: assets.load(SEQUENCES[0]),
        posed: false,
        pending: false,
    });
}

/// Takes one picture after the other, and exits.
fn shoot(
    mut commands: Commands,
    arguments: Res<Arguments>,
    sequences: Res<Assets<ExpressionSequence>>,
    mut sheet: ResMut<Sheet>,
    mut settling: ResMut<Settling>,
    mut faces: Query<(&AvatarProgress, Option<&AvatarFailure>, &mut Expression, &mut LipSync, &mut ExpressionPlayer)>,
    mut exit: MessageWriter<AppExit>,
) {
    let Ok((progress, failure, mut expression, mut lips, mut player)) = faces.single_mut() else { return };
    if let Some(failure) = failure {
        return fail(&mut exit, &failure.to_string());
    }
    if progress.stage != AvatarStage::Ready || !sequences.contains(&sheet.sequence) {
        return settling.restart();
    }
    let Some(pose) = sheet.poses.get(sheet.tiles.len()).copied() else {
        if let Err(reason) = write(&sheet, &arguments.out) {
            return fail(&mut exit, &reason);
        }
        exit.write(AppExit::Success);
        return;
    };
    if !sheet.posed {
        expression.clear();
        lips.silence();
        match pose {
            Pose::Preset(preset) => expression.show(preset, 1.0),
            Pose::Viseme(viseme) => lips.speak(viseme),
            Pose::Moment(time) => {
                player.play(sheet.sequence.clone()).with_fade(Duration::ZERO).seek(time).pause();
            }
        }
        sheet.posed = true;
        return settling.restart();
    }
    if sheet.pending || !settling.is_settled() {
        return;
    }
    sheet.pending = true;
    commands.spawn(Screenshot::image(sheet.target.clone())).observe(
        |captured: On<ScreenshotCaptured>, mut sheet: ResMut<Sheet>, mut exit: MessageWriter<AppExit>| {
            match common::pixels(&captured.image) {
                Ok(picture) => sheet.tiles.push(picture),
                Err(reason) => fail(&mut exit, &reason),
            }
            (sheet.posed, sheet.pending) = (false, false);
        },
    );
}

/// Writes the sheet, and says what is where.
fn write(sheet: &Sheet, out: &std::path::Path) -> Result<(), String> {
    let side = sheet.tiles.first().map_or(1, RgbImage::width);
    let rows = (sheet.tiles.len() as u32).div_ceil(COLUMNS);
    let mut picture = RgbImage::new(COLUMNS * side, rows * side);
    for (index, tile) in (0..).zip(&sheet.tiles) {
        let (x, y) = (index % COLUMNS * side, index / COLUMNS * side);
        imageops::replace(&mut picture, tile, i64::from(x), i64::from(y));
    }
    for (row, poses) in sheet.poses.chunks(COLUMNS as usize).enumerate() {
        let names = poses.iter().map(|pose| match pose {
            Pose::Preset(preset) => preset.to_string(),
            Pose::Viseme(viseme) => format!("{viseme:?}"),
            Pose::Moment(time) => format!("{} at {time} s", SEQUENCES[0]),
        });
        println!("row {}: {}", row + 1, names.collect::<Vec<_>>().join(", "));
    }
    let picture = Image::from_dynamic(picture.into(), true, RenderAssetUsages::default());
    common::save(&picture, out)?;
    println!("wrote {}", out.display());
    Ok(())
}
