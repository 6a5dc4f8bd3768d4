//! An avatar, written as binary glTF and loaded again by Bevy, beside the one that it was written from.
//!
//! `cargo run --example reload -- --out reload.png` writes a picture without a window: to the left the avatar, in the
//! middle the loaded file, to the right how much they differ, at rest and with an expression. It ends with an error
//! where they differ by more than what is known to be shown in another way.

#[path = "common/mod.rs"]
mod common;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use argh::FromArgs;
use bevy::{
    asset::{
        RenderAssetUsages,
        io::{
            AssetSourceBuilder,
            memory::{Dir, MemoryAssetReader},
        },
    },
    camera::RenderTarget,
    gltf::GltfAssetLabel,
    mesh::morph::MorphWeights,
    prelude::*,
    render::view::screenshot::{Screenshot, ScreenshotCaptured},
    world_serialization::WorldInstanceReady,
};
use bevy_fitdiff::{
    creator::{CreatorStudio, studio_camera},
    export,
    prelude::*,
};
use image::{GenericImage, RgbImage};

use common::{Settling, fail, parse_side};

/// The file's name, and that of the place in memory where it lies.
const FILE: &str = "avatar.glb";
const SOURCE: &str = "exported";

/// The expression of the second row.
const EXPRESSION: [(&str, f32); 4] =
    [("jawOpen", 0.6), ("eyeBlinkLeft", 0.8), ("mouthSmileLeft", 0.5), ("mouthSmileRight", 0.5)];

/// Largest mean difference of the head's pixels, in 255ths.
///
/// What differs is known: Bevy does not read the skin's F0 as the file means it, and knows no light that follows the
/// lips; loaded textures have no mip levels.
const TOLERANCE: f32 = 2.5;

/// How much more visible the picture makes differences.
const AMPLIFICATION: i16 = 8;

/// An avatar is written as binary glTF, loaded again, and compared with itself.
#[derive(FromArgs, Resource, Clone)]
struct Arguments {
    /// seed of the random person (default: 3)
    #[argh(option, default = "3")]
    random: u64,
    /// the picture to write (default: reload.png)
    #[argh(option, default = "\"reload.png\".into()")]
    out: PathBuf,
    /// side of each of the six pictures in pixels (default: 512)
    #[argh(option, default = "512", from_str_fn(parse_side))]
    size: u32,
    /// seconds after which to give up (default: 300)
    #[argh(option, default = "300")]
    timeout: u64,
}

/// Where the written file lies.
#[derive(Resource)]
struct Memory(Dir);

/// What the camera renders to.
#[derive(Resource)]
struct Target(Handle<Image>);

/// The pictures that are taken: the avatar at rest and with the expression, then the file that it was written to.
#[derive(Resource, Default)]
struct Pictures {
    taken: Vec<RgbImage>,
    /// Names of the blendshapes; all parts of both have them in this order.
    names: Vec<String>,
    /// Whether what the next one shows is there, is posed, and is being taken.
    there: bool,
    posed: bool,
    pending: bool,
}

fn main() -> ExitCode {
    let arguments: Arguments = argh::from_env();
    common::explain_missing_gpu();
    let mut app = App::new();
    let memory = Dir::default();
    let root = memory.clone();
    let reader = move || Box::new(MemoryAssetReader { root: root.clone() }) as Box<_>;
    app.register_asset_source(SOURCE, AssetSourceBuilder::new(reader));
    common::headless_plugins(&mut app, arguments.timeout);
    app.add_plugins((FitDiffPlugin::default(), CreatorStudioPlugin { camera: false }))
        .insert_resource(FitDiffSettings {
            bundle: concat!(env!("CARGO_MANIFEST_DIR"), "/models/base").into(),
            ..default()
        })
        .insert_resource(arguments)
        .insert_resource(Memory(memory))
        .add_systems(Startup, setup)
        .init_resource::<Pictures>()
        .add_systems(Update, (replace, pose, take).chain())
        .add_observer(ready)
        .add_observer(|_: On<WorldInstanceReady>, mut pictures: ResMut<Pictures>| pictures.there = true)
        .add_observer(|failed: On<AvatarFailed>, mut exit: MessageWriter<AppExit>| {
            fail(&mut exit, &failed.error.to_string());
        });
    match app.run() {
        AppExit::Success => ExitCode::SUCCESS,
        AppExit::Error(code) => ExitCode::from(code.get()),
    }
}

fn setup(mut commands: Commands, mut images: ResMut<Assets<Image>>, arguments: Res<Arguments>) {
    let target = common::render_target(&mut images, arguments.size, arguments.size);
    let camera = studio_camera(&mut images);
    commands.spawn((camera, RenderTarget::Image(target.clone().into())));
    commands.insert_resource(Target(target));
    commands.spawn(Avatar::random(arguments.random));
}

fn ready(ready: On<AvatarReady>, avatars: Query<&GeneratedAvatar>, mut pictures: ResMut<Pictures>) {
    let blendshapes = avatars.get(ready.entity).into_iter().flat_map(|avatar| &avatar.data.head.blendshapes);
    pictures.names = blendshapes.map(|shape| shape.name.clone()).collect();
    pictures.there = true;
}

/// Has the file take the avatar's place once both pictures of that are taken.
fn replace(
    mut commands: Commands,
    mut pictures: ResMut<Pictures>,
    avatars: Query<(Entity, &GeneratedAvatar, &AvatarLook)>,
    memory: Res<Memory>,
    assets: Res<AssetServer>,
    mut exit: MessageWriter<AppExit>,
) {
    let Some((avatar, generated, look)) = avatars.iter().next().filter(|_| pictures.taken.len() == 2) else { return };
    pictures.there = false;
    match export::to_glb(&generated.data, look, &default(), &default(), &mut |_| {}) {
        Ok(file) => {
            println!("{FILE}: {} bytes", file.len());
            memory.0.insert_asset(Path::new(FILE), file);
            let scene = assets.load(GltfAssetLabel::Scene(0).from_asset(format!("{SOURCE}://{FILE}")));
            commands.spawn(WorldAssetRoot(scene));
            commands.entity(avatar).despawn();
        }
        Err(error) => fail(&mut exit, &error.to_string()),
    }
}

/// Gives what the next picture shows its expression.
fn pose(
    mut pictures: ResMut<Pictures>,
    mut settling: ResMut<Settling>,
    mut studio: ResMut<CreatorStudio>,
    mut weights: Query<&mut MorphWeights>,
) {
    if !pictures.there || pictures.posed {
        return;
    }
    pictures.posed = true;
    settling.restart();
    // The lights have to be placed before the first picture.
    studio.set_changed();
    let expressive = pictures.taken.len() % 2 == 1;
    for mut weights in &mut weights {
        for (name, weight) in pictures.names.iter().zip(weights.weights_mut()) {
            let wanted = EXPRESSION.iter().find(|(known, _)| known == name && expressive);
            *weight = wanted.map_or(0.0, |(_, weight)| *weight);
        }
    }
}

/// Takes the next picture, and compares them after the last one.
fn take(
    mut commands: Commands,
    mut pictures: ResMut<Pictures>,
    settling: Res<Settling>,
    target: Res<Target>,
    arguments: Res<Arguments>,
    mut exit: MessageWriter<AppExit>,
) {
    if pictures.taken.len() == 4 {
        match compare(&pictures.taken, &arguments.out) {
            Ok(()) => drop(exit.write(AppExit::Success)),
            Err(reason) => fail(&mut exit, &reason),
        }
        return;
    }
    if !pictures.posed || pictures.pending || !settling.is_settled() {
        return;
    }
    pictures.pending = true;
    commands.spawn(Screenshot::image(target.0.clone())).observe(
        |captured: On<ScreenshotCaptured>, mut pictures: ResMut<Pictures>, mut exit: MessageWriter<AppExit>| {
            match common::pixels(&captured.image) {
                Ok(picture) => pictures.taken.push(picture),
                Err(reason) => fail(&mut exit, &reason),
            }
            (pictures.posed, pictures.pending) = (false, false);
        },
    );
}

/// Writes avatar | file | difference, one row for each expression, and says how much they differ.
fn compare(pictures: &[RgbImage], out: &Path) -> Result<(), String> {
    let (width, height) = pictures[0].dimensions();
    let mut sheet = RgbImage::new(3 * width, 2 * height);
    let mut result = Ok(());
    for row in 0..2 {
        let (avatar, file) = (&pictures[row], &pictures[row + 2]);
        let mut difference = RgbImage::new(width, height);
        let background = *avatar.get_pixel(0, 0);
        let (mut sum, mut count, mut most) = (0.0, 0.0, 0);
        for (x, y, pixel) in difference.enumerate_pixels_mut() {
            *pixel = image::Rgb([128; 3]);
            let (a, b) = (avatar.get_pixel(x, y), file.get_pixel(x, y));
            if [a, b].iter().all(|pixel| **pixel == background) {
                continue;
            }
            for channel in 0..3 {
                let differs = i16::from(a[channel]) - i16::from(b[channel]);
                (sum, count, most) = (sum + f32::from(differs.abs()), count + 1.0, differs.abs().max(most));
                pixel[channel] = (128 + AMPLIFICATION * differs).clamp(0, 255) as u8;
            }
        }
        for (column, picture) in [avatar, file, &difference].into_iter().enumerate() {
            sheet.copy_from(picture, column as u32 * width, row as u32 * height).map_err(|error| error.to_string())?;
        }
        let (mean, what) = (sum / f32::max(count, 1.0), if row == 0 { "at rest" } else { "with an expression" });
        println!("{what}: mean difference {mean:.2} of 255 over the head, largest {most}");
        if count == 0.0 || mean > TOLERANCE {
            result =
                Err(format!("{what}: the loaded file differs by {mean:.2} of 255, at most {TOLERANCE} is expected"));
        }
    }
    common::save(&Image::from_dynamic(sheet.into(), true, RenderAssetUsages::MAIN_WORLD), out)?;
    println!("wrote {}", out.display());
    result
}
