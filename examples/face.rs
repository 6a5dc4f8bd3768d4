//! Demonstrates how to get from photos to identities.
//!
//! Writes each photo with the face's box, keypoints and landmarks drawn in and the recogniser's chip in the corner, and
//! prints how far the identities lie apart.
//!
//! `cargo run --example face -- me.jpg you.jpg`; without photos it takes the two in `assets/selfies`.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use argh::FromArgs;
use bevy_fitdiff::{
    bundle::Bundle,
    face::{self, Face, FaceAnalyser, FaceChoice, Identity, PhotoLimits},
    runtime::{CancelToken, Runtime, RuntimeOptions},
};
use image::{Rgb, RgbImage, imageops};
use imageproc::{drawing, rect::Rect};

const BOX_COLOUR: Rgb<u8> = Rgb([255, 210, 0]);
const KEYPOINT_COLOUR: Rgb<u8> = Rgb([255, 60, 60]);
const LANDMARK_COLOUR: Rgb<u8> = Rgb([60, 255, 140]);

/// Finds faces in photos and compares who they are.
#[derive(FromArgs)]
struct Arguments {
    /// photos: JPEG, PNG or WebP
    #[argh(positional)]
    photos: Vec<PathBuf>,
    /// number of the face to take where there are several (default: the most central large one)
    #[argh(option)]
    face: Option<usize>,
    /// folder for the annotated photos (default: target/face)
    #[argh(option, default = "concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/target/face\").into()")]
    out: PathBuf,
    /// the model bundle (default: models/base)
    #[argh(option, default = "concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/models/base\").into()")]
    bundle: PathBuf,
}

fn main() -> ExitCode {
    match run(argh::from_env()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut arguments: Arguments) -> Result<(), Box<dyn Error>> {
    if arguments.photos.is_empty() {
        let selfies = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/selfies");
        arguments.photos = ["astronaut.png", "grace_hopper.jpg"].map(|name| selfies.join(name)).into();
    }
    let choice = arguments.face.map_or(FaceChoice::MostProminent, FaceChoice::Index);
    fs::create_dir_all(&arguments.out)?;

    let runtime = Runtime::new(RuntimeOptions::default())?;
    let mut analyser = FaceAnalyser::load(&Bundle::open(arguments.bundle)?, &runtime)?;
    println!("{}", runtime.report());

    let mut identities = Vec::new();
    for path in &arguments.photos {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let photo =
            face::open_photo(path, &PhotoLimits::default()).map_err(|error| format!("{}: {error}", path.display()))?;
        let analysis = analyser
            .analyse(&photo, choice, &CancelToken::default())
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let quality = &analysis.face.quality;
        println!(
            "{name}: face {} of {}, {:.0} px high, sharpness {:.2}, yaw {:.0}°, pitch {:.0}°, roll {:.0}°",
            analysis.index,
            analysis.found,
            quality.face_height,
            quality.sharpness,
            quality.yaw,
            quality.pitch,
            quality.roll
        );
        for warning in &quality.warnings {
            println!("  warning: {warning}");
        }
        let out = arguments.out.join(&name).with_extension("png");
        annotated(photo, &analysis.face).save(&out)?;
        println!("  wrote {}", out.display());
        identities.push((name, analysis.face.identity));
    }
    print_distances(&identities);
    Ok(())
}

fn annotated(mut photo: RgbImage, face: &Face) -> RgbImage {
    let bounds = face.detection.bounds;
    // Strokes that can be seen at any size of the photo.
    let stroke = (bounds.width() / 250.0).ceil() as i32;
    for inset in 0..stroke {
        let corner = bounds.min.as_ivec2() + inset;
        let size = (bounds.size().as_ivec2() - 2 * inset).max(bevy::math::IVec2::ONE);
        let outline = Rect::at(corner.x, corner.y).of_size(size.x as u32, size.y as u32);
        drawing::draw_hollow_rect_mut(&mut photo, outline, BOX_COLOUR);
    }
    for point in &face.landmarks.points {
        drawing::draw_filled_circle_mut(&mut photo, (point.x as i32, point.y as i32), stroke, LANDMARK_COLOUR);
    }
    for point in face.detection.keypoints {
        drawing::draw_filled_circle_mut(&mut photo, (point.x as i32, point.y as i32), 2 * stroke, KEYPOINT_COLOUR);
    }
    let corner = i64::from(photo.width()) - i64::from(face.chip.width());
    imageops::replace(&mut photo, &face.chip, corner, 0);
    photo
}

/// A table of Euclidean distances; below 0.6 two photos usually show one person.
fn print_distances(identities: &[(String, Identity)]) {
    println!("{:<20}{}", "", identities.iter().map(|(name, _)| format!("{name:>20}")).collect::<String>());
    for (name, identity) in identities {
        let row: String = identities.iter().map(|(_, other)| format!("{:>20.3}", identity.distance(other))).collect();
        println!("{name:<20}{row}");
    }
}
