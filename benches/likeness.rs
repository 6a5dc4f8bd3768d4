//! How far avatars resemble real photos, and what they do with photos that make it hard.
//!
//! `cargo bench --profile dev --bench likeness` takes both shipped photos through crops, flips, other lights, tints,
//! compression, and through what hides a face. `-- FOLDER` writes a picture of each avatar beside its photo there;
//! `FITDIFF_PHOTOS=a.png:b.png` adds photos of yours, `FITDIFF_VARIANTS=crop,warm` picks variants.

#[path = "common/mod.rs"]
mod common;

use std::{env, path::PathBuf, time::Instant};

use bevy::{
    color::{Laba, LinearRgba, Srgba},
    math::{Vec2, Vec3},
};
use bevy_fitdiff::{
    bundle::{Bundle, LandmarkIndex},
    face::{self, Face, PhotoLimits},
    fitting::FittingHead,
    pipeline::{AvatarData, GenerateOptions, GenerateRequest, Pipeline, Source},
    runtime::{CancelToken, Runtime, RuntimeOptions},
};
use common::Eye;
use image::{
    DynamicImage, ImageFormat, Rgb, RgbImage,
    codecs::jpeg::JpegEncoder,
    imageops::{self, FilterType},
};

/// What is done to a photo; `face` is the face in it as it was.
type Change = fn(&RgbImage, &Face) -> RgbImage;

const VARIANTS: [(&str, Change); 17] = [
    ("original", |photo, _| photo.clone()),
    ("crop", crop),
    ("flip", |photo, _| imageops::flip_horizontal(photo)),
    ("side light", side_light),
    ("jpeg q20", jpeg),
    ("warm", |photo, _| gains(photo, [1.2, 1.0, 0.75])),
    ("cold", |photo, _| gains(photo, [0.8, 1.0, 1.25])),
    ("dim", |photo, _| gains(photo, [0.4; 3])),
    ("grey", |photo, _| DynamicImage::ImageRgb8(photo.clone()).grayscale().to_rgb8()),
    ("red tint", |photo, _| gains(photo, [1.0, 0.35, 0.35])),
    ("green tint", |photo, _| gains(photo, [0.4, 1.0, 0.5])),
    ("half shadow", half_shadow),
    ("sunglasses", sunglasses),
    ("fringe", fringe),
    ("mask", mask),
    ("small", |photo, face| scaled(photo, 60.0 / face.quality.face_height)),
    ("tiny", |photo, face| scaled(photo, 28.0 / face.quality.face_height)),
];

fn main() {
    let folder: Option<PathBuf> = env::args().skip(1).find(|argument| argument != "--bench").map(PathBuf::from);
    if let Some(folder) = &folder {
        std::fs::create_dir_all(folder).expect("a folder for pictures");
    }
    let picked = env::var("FITDIFF_VARIANTS").ok();
    let picked = |name: &str| picked.as_ref().is_none_or(|names| names.split(',').any(|picked| picked == name));
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut photos = vec![root.join("assets/selfies/astronaut.png"), root.join("assets/selfies/grace_hopper.jpg")];
    if let Some(paths) = env::var_os("FITDIFF_PHOTOS") {
        photos = env::split_paths(&paths).collect();
    }
    let runtime = Runtime::new(RuntimeOptions::default()).expect("an inference engine");
    let bundle = Bundle::open(root.join("models/base")).expect("the default bundle");
    let mut pipeline = Pipeline::load(&bundle, &runtime).expect("the networks");
    let generator = bundle.manifest().generator.as_ref().expect("the default bundle generates");
    let head = FittingHead::new(pipeline.head().clone(), generator.maps.diffuse.size);
    let mut eye = Eye::new(&bundle, &runtime, head);
    let index = &bundle.manifest().face.landmarks.index;
    println!("{}", runtime.report());
    println!(
        "{:26} {:>6} {:>6} {:>6} {:>6} {:>9} {:>6} {:>6}",
        "", "trust", "own", "turned", "off", "landmarks", "ΔE", "s"
    );
    for path in photos {
        let photo = face::open_photo(&path, &PhotoLimits::default()).expect("a photo");
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let Some(face) = eye.face(&photo) else {
            println!("{stem}: no face");
            continue;
        };
        let mut tone = None;
        for (name, change) in VARIANTS.into_iter().filter(|(name, _)| picked(name)) {
            let photo = change(&photo, &face);
            print!("{:26} ", format!("{stem} {name}"));
            let request = GenerateRequest {
                source: Source::Photos(vec![photo.clone().into()]),
                seed: 1,
                options: GenerateOptions { steps: 20, ..Default::default() },
            };
            let start = Instant::now();
            let data = match pipeline.generate(&request, &CancelToken::default(), &mut |_| {}) {
                Ok(data) => data,
                Err(reason) => {
                    println!("refused: {reason}");
                    continue;
                }
            };
            let seconds = start.elapsed().as_secs_f32();
            let colour = mean_colour(&data);
            let difference = colour.distance(*tone.get_or_insert(colour));
            report(&data, &mut eye, index, difference, seconds);
            if let (Some(folder), Some(fit)) = (&folder, &data.fit) {
                let own = eye.as_in_photo(&data, fit);
                let sheet = sheet(&photo, &own, &[eye.turned(&data, 0.0), eye.turned(&data, 35.0)], &data);
                let name = format!("{stem}_{}.png", name.replace(' ', "_"));
                sheet.save_with_format(folder.join(name), ImageFormat::Png).expect("a picture is written");
            }
        }
    }
    println!(
        "trust: confidence of the fit; own, turned: distance of the photo's embedding to that of the avatar in the photo's \
         pose and light, and turned by 15° in another light (off: by −20°); landmarks: mean distance of those found in the \
         avatar's picture to the photo's, in % of the distance between the eyes; ΔE: CIE 1976 difference of the face's mean \
         albedo to that of the first variant"
    );
}

fn report(data: &AvatarData, eye: &mut Eye, index: &LandmarkIndex, difference: f32, seconds: f32) {
    let person = data.identity.as_ref().expect("it is from a photo");
    let face = data.face.as_ref().expect("it is from a photo");
    let turned = [15.0, -20.0].map(|degrees| {
        let picture = eye.turned(data, degrees);
        eye.face(&picture).map_or(f32::NAN, |face| face.identity.distance(person))
    });
    let (mut own, mut landmarks, mut trust) = (f32::NAN, f32::NAN, f32::NAN);
    if let Some(fit) = &data.fit {
        let picture = eye.as_in_photo(data, fit);
        trust = fit.confidence;
        if let Some(found) = eye.face(&picture) {
            own = found.identity.distance(person);
            landmarks = 100.0 * landmark_distance(&found, face, index);
        }
    }
    println!(
        "{trust:6.2} {own:6.3} {:6.3} {:6.3} {landmarks:9.2} {difference:6.2} {seconds:6.1}{}",
        turned[0],
        turned[1],
        data.warnings.iter().map(|warning| format!("; {warning}")).collect::<String>()
    );
}

/// Mean distance over that between the eyes' centres.
fn landmark_distance(found: &Face, expected: &Face, index: &LandmarkIndex) -> f32 {
    let (right, left) = expected.landmarks.eyes(index);
    let points = found.landmarks.points.iter().zip(&expected.landmarks.points);
    let sum: f32 = points.map(|(a, b)| a.truncate().distance(b.truncate())).sum();
    sum / expected.landmarks.points.len() as f32 / right.distance(left)
}

/// The mean of the face's albedo, in CIE L*a*b*.
fn mean_colour(data: &AvatarData) -> Vec3 {
    let (maps, masks) = (&data.maps, &data.head.masks);
    let source = |i: usize| (2 * i + 1) * masks.size / (2 * maps.size);
    let inside = |texel: &usize| {
        let texel = source(texel / maps.size) * masks.size + source(texel % maps.size);
        masks.face[texel] && masks.skin[texel]
    };
    let texels: Vec<usize> = (0..maps.diffuse.len()).filter(inside).collect();
    let linear = |texel: &usize| {
        let [red, green, blue] = maps.diffuse[*texel];
        let LinearRgba { red, green, blue, .. } = Srgba::rgb_u8(red, green, blue).into();
        Vec3::new(red, green, blue)
    };
    let mean = texels.iter().map(linear).sum::<Vec3>() / texels.len() as f32;
    let Laba { lightness, a, b, .. } = LinearRgba::rgb(mean.x, mean.y, mean.z).into();
    100.0 * Vec3::new(lightness, a, b)
}

/// Photo, avatar in its place, other views, and the diffuse map, side by side.
fn sheet(photo: &RgbImage, own: &RgbImage, views: &[RgbImage], data: &AvatarData) -> RgbImage {
    const TILE: u32 = 300;
    let face = data.face.as_ref().expect("it is from a photo");
    let (middle, side) = (face.detection.bounds.center(), (1.9 * face.quality.face_height).max(8.0));
    let part = |picture: &RgbImage| {
        let corner = (middle - 0.5 * side).max(Vec2::ZERO).as_uvec2();
        let (width, height) = picture.dimensions();
        let side = (side as u32).min(width.saturating_sub(corner.x)).min(height.saturating_sub(corner.y)).max(1);
        imageops::crop_imm(picture, corner.x, corner.y, side, side).to_image()
    };
    let tiles = [part(photo), part(own)].into_iter().chain(views.iter().cloned()).chain([data.maps.to_images().0]);
    let tiles: Vec<RgbImage> = tiles.map(|tile| imageops::resize(&tile, TILE, TILE, FilterType::Triangle)).collect();
    let mut sheet = RgbImage::new(TILE * tiles.len() as u32, TILE);
    for (tile, place) in tiles.iter().zip((0..).step_by(TILE as usize)) {
        imageops::replace(&mut sheet, tile, place, 0);
    }
    sheet
}

/// Multiplies linear light.
fn lit(photo: &RgbImage, light: impl Fn(Vec2) -> [f32; 3]) -> RgbImage {
    let linear = |value: u8| (f32::from(value) / 255.0).powf(2.2);
    RgbImage::from_fn(photo.width(), photo.height(), |x, y| {
        let (gains, pixel) = (light(Vec2::new(x as f32, y as f32)), photo.get_pixel(x, y).0);
        let value = |channel: usize| (gains[channel] * linear(pixel[channel])).min(1.0).powf(1.0 / 2.2);
        Rgb([0, 1, 2].map(|channel| (255.0 * value(channel)).round() as u8))
    })
}

fn gains(photo: &RgbImage, gains: [f32; 3]) -> RgbImage {
    lit(photo, |_| gains)
}

fn centre(face: &Face) -> Vec2 {
    let points = &face.landmarks.points;
    points.iter().map(|point| point.truncate()).sum::<Vec2>() / points.len() as f32
}

fn side_light(photo: &RgbImage, face: &Face) -> RgbImage {
    let (middle, size) = (centre(face), face.quality.face_height);
    lit(photo, |place| [(0.65 + 0.9 * (place.x - middle.x) / size).clamp(0.15, 1.2); 3])
}

fn half_shadow(photo: &RgbImage, face: &Face) -> RgbImage {
    let middle = centre(face);
    lit(photo, |place| [if place.x < middle.x { 0.2 } else { 1.0 }; 3])
}

fn crop(photo: &RgbImage, face: &Face) -> RgbImage {
    let (middle, size) = (face.detection.bounds.center(), face.quality.face_height);
    let corner = (middle - Vec2::new(0.62, 0.75) * size).max(Vec2::ZERO).as_uvec2();
    imageops::crop_imm(photo, corner.x, corner.y, (1.3 * size) as u32, (1.45 * size) as u32).to_image()
}

fn jpeg(photo: &RgbImage, _: &Face) -> RgbImage {
    let mut bytes = Vec::new();
    photo.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, 20)).expect("a photo can be encoded");
    face::decode_photo(&bytes, &PhotoLimits::default()).expect("what was encoded can be decoded")
}

fn scaled(photo: &RgbImage, scale: f32) -> RgbImage {
    let side = |pixels: u32| ((pixels as f32 * scale).round() as u32).max(1);
    imageops::resize(photo, side(photo.width()), side(photo.height()), FilterType::Triangle)
}

/// Paints over what lies in the face's own axes: `inside` gets places in face heights from the middle between the eyes,
/// x to the person's left, y down.
fn painted(photo: &RgbImage, face: &Face, colour: [u8; 3], inside: impl Fn(Vec2) -> bool) -> RgbImage {
    let [right, left] = [33, 263].map(|eye| face.landmarks.pixel(eye));
    let (middle, along) = (0.5 * (right + left), (left - right).normalize());
    let mut photo = photo.clone();
    for (x, y, pixel) in photo.enumerate_pixels_mut() {
        let place = (Vec2::new(x as f32, y as f32) - middle) / face.quality.face_height;
        if inside(Vec2::new(place.dot(along), place.dot(along.perp()))) {
            *pixel = Rgb(colour);
        }
    }
    photo
}

fn sunglasses(photo: &RgbImage, face: &Face) -> RgbImage {
    painted(photo, face, [14, 14, 18], |place| {
        let lens = Vec2::new((place.x.abs() - 0.2) / 0.17, (place.y - 0.02) / 0.12);
        lens.length_squared() < 1.0 || (place.y.abs() < 0.02 && place.x.abs() < 0.45)
    })
}

fn fringe(photo: &RgbImage, face: &Face) -> RgbImage {
    painted(photo, face, [40, 26, 18], |place| {
        place.x.abs() < 0.42 && place.y > -0.5 && place.y < -0.1 + 0.03 * (60.0 * place.x).sin()
    })
}

fn mask(photo: &RgbImage, face: &Face) -> RgbImage {
    painted(photo, face, [150, 180, 205], |place| place.x.abs() < 0.36 && place.y > 0.22 && place.y < 0.75)
}
