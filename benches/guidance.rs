//! How much nearer guidance brings avatars to the people in held-out selfies, and what it costs.
//!
//! `FITDIFF_HELDOUT=<folder> cargo bench --profile dev --bench guidance` evaluates the folder that `python -m fitdiff
//! heldout` writes (models/training). `FITDIFF_HELDOUT_STEP=5` takes every fifth person, `FITDIFF_GUIDANCE=fast` another
//! quality, `FITDIFF_HELDOUT_PHOTOS=2` makes the avatars of both photos of a person.

#[path = "common/mod.rs"]
mod common;

use std::{
    env, fs,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use bevy::{
    color::{ColorToComponents, LinearRgba, Srgba},
    math::{Mat3, Quat, Vec3},
};
use bevy_fitdiff::{
    bundle::Bundle,
    face::{self, Identity, PhotoLimits},
    fitting::{
        FittingHead, UNKNOWN_IRIS,
        render::{Rays, View},
    },
    pipeline::{AvatarData, AvatarMaps, GenerateOptions, GenerateRequest, Guidance, Pipeline, Source},
    runtime::{CancelToken, Runtime, RuntimeOptions},
};
use common::{Eye, SIDE, studio};
use image::RgbImage;
use nalgebra::Matrix3;
use serde::Deserialize;

#[derive(Deserialize)]
struct Manifest {
    people: Vec<Person>,
    face_vertices: PathBuf,
    masks: PathBuf,
}

#[derive(Deserialize)]
struct Person {
    id: String,
    files: Files,
    ita_bin: String,
    other: Photographed,
    /// Linear RGB.
    iris: [f32; 3],
}

#[derive(Deserialize)]
struct Files {
    image: PathBuf,
    other_image: PathBuf,
    vertices: PathBuf,
    diffuse: PathBuf,
}

/// Pose and camera of a photo.
#[derive(Deserialize)]
struct Photographed {
    rotation: [[f32; 3]; 3],
    translation: [f32; 3],
    focal: f32,
}

/// What is measured of an avatar. Identity distances are of the avatar in the pose of a second photo and in a light of its
/// own: to the selfie that it was made from, to that second photo, and to the true head rendered likewise. Shapes are those of
/// the face in the template's frame, in which faces are brought together; aligned, each is brought nearest to its truth; of
/// the head, all of its skin counts, ears, scalp and neck included. The last two are what the first two are of the true head:
/// an avatar that is nearer has learned what photos show beyond the head.
const MEASURES: [&str; 11] = [
    "identity, to the selfie",
    "identity, to another photo",
    "identity, to the true head",
    "shape (mm)",
    "albedo (0-255)",
    "aligned shape (mm)",
    "shape of the head (mm)",
    "albedo less its mean",
    "albedo around the face",
    "the true head's identity, to the selfie",
    "the true head's identity, to another photo",
];

struct Evaluation {
    eye: Eye,
    /// Vertices of all skin.
    skin: Range<usize>,
    /// Vertices of the front of the face.
    face_vertices: Vec<bool>,
    /// Texels of the face's skin.
    face_texels: Vec<usize>,
    /// Texels of scalp, ears and neck.
    other_texels: Vec<usize>,
}

fn main() {
    let Ok(folder) = env::var("FITDIFF_HELDOUT") else {
        println!("not evaluated: FITDIFF_HELDOUT names no folder of held-out selfies");
        return;
    };
    let folder = Path::new(&folder);
    let step = env::var("FITDIFF_HELDOUT_STEP").map_or(1, |step| step.parse().expect("a number of people"));
    let photos = env::var("FITDIFF_HELDOUT_PHOTOS").map_or(1, |photos| photos.parse().expect("1 or 2 photos"));
    let guidance = env::var("FITDIFF_GUIDANCE")
        .map_or_else(|_| Guidance::default(), |name| name.parse().expect("a quality of guidance"));
    let manifest: Manifest = serde_json::from_slice(&read(&folder.join("manifest.json"))).expect("a manifest");
    let runtime = Runtime::new(RuntimeOptions::default()).expect("an inference engine");
    let bundle = Bundle::open(concat!(env!("CARGO_MANIFEST_DIR"), "/models/base")).expect("the default bundle");
    let mut pipeline = Pipeline::load(&bundle, &runtime).expect("the networks");
    println!("{}", runtime.report());
    let masks = image::open(folder.join(&manifest.masks)).expect("masks").to_rgb8();
    let texels = |inside: &dyn Fn([bool; 3]) -> bool| {
        let inside = masks.pixels().enumerate().filter(|(_, mask)| inside(mask.0.map(|value| value > 127)));
        inside.map(|(index, _)| index).collect()
    };
    let [first, count] = pipeline.head().part("skin").expect("a head with skin").vertices;
    let mut evaluation = Evaluation {
        eye: Eye::new(&bundle, &runtime, FittingHead::new(pipeline.head().clone(), masks.width() as usize)),
        skin: first..first + count,
        face_vertices: read(&folder.join(&manifest.face_vertices)).iter().map(|inside| *inside != 0).collect(),
        face_texels: texels(&|[_, skin, face]| skin && face),
        other_texels: texels(&|[chart, _, face]| chart && !face),
    };
    let mut rows: Vec<(String, [[f64; MEASURES.len()]; 2])> = Vec::new();
    let mut time = [Duration::ZERO; 2];
    let mut irises = [0.0; 2];
    for person in manifest.people.iter().step_by(step) {
        let mut measured = [[0.0; MEASURES.len()]; 2];
        let mut confidence = 0.0;
        for (index, guidance) in [Guidance::Off, guidance].into_iter().enumerate() {
            let files = [&person.files.image, &person.files.other_image];
            let open = |file: &&PathBuf| face::open_photo(folder.join(file), &PhotoLimits::default()).expect("a photo");
            let photos = files.iter().take(photos).map(|file| open(file).into()).collect();
            let options = GenerateOptions { steps: 20, guidance, ..Default::default() };
            let request = GenerateRequest { source: Source::Photos(photos), seed: 1, options };
            let start = Instant::now();
            let data = pipeline.generate(&request, &CancelToken::default(), &mut |_| {}).expect("an avatar");
            time[index] += start.elapsed();
            measured[index] = evaluation.measure(&data, person, folder);
            if index == 0 {
                let found = [data.iris(), UNKNOWN_IRIS].map(|iris| srgb_difference(iris, person.iris.into()));
                irises.iter_mut().zip(found).for_each(|(sum, found)| *sum += found);
            }
            confidence = data.fit.map_or(confidence, |fit| fit.confidence);
        }
        let shown = (0..MEASURES.len()).map(|i| format!("{:.2} {:.2}", measured[0][i], measured[1][i]));
        println!("{} {:12} {:.2} | {}", person.id, person.ita_bin, confidence, shown.collect::<Vec<_>>().join(" | "));
        rows.push((person.ita_bin.clone(), measured));
    }
    report(&rows);
    let people = rows.len() as u32;
    let [read, brown] = irises.map(|sum| sum / people as f32);
    println!("irises (0-255): off by {read:.2}, {brown:.2} if all were brown");
    println!("seconds a person: {:.1?} unguided, {:.1?} guided", time[0] / people, time[1] / people);
}

/// Mean absolute difference of the sRGB values, 0 to 255, of linear colours.
fn srgb_difference(a: Vec3, b: Vec3) -> f32 {
    let [a, b] = [a, b].map(|Vec3 { x, y, z }| Srgba::from(LinearRgba::rgb(x, y, z)).to_vec3());
    255.0 * (a - b).abs().element_sum() / 3.0
}

fn report(rows: &[(String, [[f64; MEASURES.len()]; 2])]) {
    let mut bins: Vec<&str> = rows.iter().map(|(bin, _)| bin.as_str()).collect();
    bins.sort_unstable();
    bins.dedup();
    for bin in ["all"].into_iter().chain(bins) {
        let rows: Vec<_> = rows.iter().filter(|(of, _)| bin == "all" || of == bin).map(|(_, row)| row).collect();
        println!("{bin}: {} people", rows.len());
        for (index, name) in MEASURES.iter().enumerate() {
            let mean = |which: usize| rows.iter().map(|row| row[which][index]).sum::<f64>() / rows.len() as f64;
            let worse = rows.iter().filter(|row| row[1][index] > row[0][index]).count();
            let change = 100.0 * (mean(1) / mean(0) - 1.0);
            println!("  {name}: {:.3} -> {:.3} ({change:+.1} %), worse for {worse}", mean(0), mean(1));
        }
    }
}

impl Evaluation {
    fn measure(&mut self, data: &AvatarData, person: &Person, folder: &Path) -> [f64; MEASURES.len()] {
        let bytes = read(&folder.join(&person.files.vertices));
        let numbers: Vec<f32> = bytes.as_chunks::<4>().0.iter().copied().map(f32::from_le_bytes).collect();
        let truth: Vec<Vec3> = numbers.as_chunks::<3>().0.iter().copied().map(Vec3::from_array).collect();
        let diffuse = image::open(folder.join(&person.files.diffuse)).expect("an albedo map").to_rgb8();
        let maps = AvatarMaps { diffuse: diffuse.pixels().map(|texel| texel.0).collect(), ..(*data.maps).clone() };
        let true_head = AvatarData { vertices: truth.clone(), maps: Arc::new(maps), ..data.clone() };
        let other = image::open(folder.join(&person.files.other_image)).expect("a second photo").to_rgb8();
        let photo = self.eye.face(&other).expect("a face in the second photo").identity;
        let selfie = image::open(folder.join(&person.files.image)).expect("a selfie").to_rgb8();
        let selfie = self.eye.face(&selfie).expect("a face in the selfie").identity;
        let [seen, of_truth] = [data, &true_head].map(|data| self.seen(data, &person.other));
        let distance = |from: &Option<Identity>, to: Option<&Identity>| -> f64 {
            from.as_ref().zip(to).map_or(f64::NAN, |(a, b)| a.distance(b).into())
        };
        let face = |vertices: &[Vec3]| -> Vec<Vec3> {
            vertices.iter().zip(&self.face_vertices).filter(|(_, inside)| **inside).map(|(vertex, _)| *vertex).collect()
        };
        let (face_found, face_truth) = (face(&data.vertices), face(&truth));
        let [albedo, pattern] = albedo_error(data, &diffuse, &self.face_texels);
        [
            distance(&seen, Some(&selfie)),
            distance(&seen, Some(&photo)),
            distance(&seen, of_truth.as_ref()),
            vertex_error(&face_found, &face_truth),
            albedo,
            vertex_error(&aligned(&face_found, &face_truth), &face_truth),
            vertex_error(&data.vertices[self.skin.clone()], &truth[self.skin.clone()]),
            pattern,
            albedo_error(data, &diffuse, &self.other_texels)[0],
            distance(&of_truth, Some(&selfie)),
            distance(&of_truth, Some(&photo)),
        ]
    }

    /// The identity of a head in the pose of the second photo, in a light of its own.
    fn seen(&mut self, data: &AvatarData, photo: &Photographed) -> Option<Identity> {
        let columns = std::array::from_fn(|i| photo.rotation[i % 3][i / 3]);
        let view = View {
            rotation: Quat::from_mat3(&Mat3::from_cols_array(&columns)).normalize(),
            translation: photo.translation.into(),
            rays: Rays::perspective(2.0 * (0.5 * SIDE as f32 / photo.focal).atan(), SIDE, SIDE),
            width: SIDE,
            height: SIDE,
            supersampling: 2,
        };
        let picture = self.eye.picture(data, view, studio(), &[]);
        self.eye.face(&picture).map(|face| face.identity)
    }
}

/// Mean absolute difference of sRGB values over these texels, and the same less the mean difference of each channel.
fn albedo_error(data: &AvatarData, truth: &RgbImage, texels: &[usize]) -> [f64; 2] {
    let truth = truth.as_raw();
    let mut sums = [0.0; 2];
    for channel in 0..3 {
        let difference =
            |&texel: &usize| f64::from(data.maps.diffuse[texel][channel]) - f64::from(truth[3 * texel + channel]);
        let differences: Vec<f64> = texels.iter().map(difference).collect();
        let mean = differences.iter().sum::<f64>() / differences.len() as f64;
        let absolute = |offset: f64| differences.iter().map(|value| (value - offset).abs()).sum::<f64>();
        sums[0] += absolute(0.0);
        sums[1] += absolute(mean);
    }
    sums.map(|sum| sum / (3 * texels.len()) as f64)
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Mean distance in millimetres.
fn vertex_error(found: &[Vec3], truth: &[Vec3]) -> f64 {
    1e3 * found.iter().zip(truth).map(|(a, b)| f64::from(a.distance(*b))).sum::<f64>() / truth.len() as f64
}

/// `points` after the similarity that brings them nearest to `truth` (Umeyama 1991).
fn aligned(points: &[Vec3], truth: &[Vec3]) -> Vec<Vec3> {
    let count = points.len() as f32;
    let (from, to) = (points.iter().sum::<Vec3>() / count, truth.iter().sum::<Vec3>() / count);
    let mut covariance = Matrix3::<f64>::zeros();
    let mut spread = 0.0;
    for (point, truth) in points.iter().zip(truth) {
        let (point, truth) = ((*point - from).as_dvec3(), (*truth - to).as_dvec3());
        covariance += Matrix3::from_fn(|row, column| truth[row] * point[column]);
        spread += point.length_squared();
    }
    let svd = covariance.svd(true, true);
    let (left, right) = (svd.u.expect("asked for"), svd.v_t.expect("asked for"));
    let mut signs = Matrix3::identity();
    signs[(2, 2)] = (left * right).determinant().signum();
    let scale = (Matrix3::from_diagonal(&svd.singular_values) * signs).trace() / spread;
    let turn = left * signs * right;
    let turn = Mat3::from_cols_array(&std::array::from_fn(|i| turn[(i % 3, i / 3)] as f32));
    points.iter().map(|point| scale as f32 * (turn * (*point - from)) + to).collect()
}
