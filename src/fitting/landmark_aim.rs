//! Where the head's landmarks are to be for the landmark network to see a rendering of the head as it sees the photo.
//!
//! The network infers every landmark from the look of the whole face and, at outlines and on faces unlike those that it
//! learned from, is off by some percent of the distance between the eyes. On a rendering that stands in the photo's place
//! it errs nearly alike: the difference between what it sees in both tells how far the head is off more truly than the
//! difference between what it sees in the photo and the head's own landmarks.

use bevy::math::{Vec2, Vec3};
use image::{Rgb, RgbImage};

use super::PhotoTarget;
use crate::{
    face::{ChipPlacement, Landmarker},
    runtime::{CancelToken, RuntimeError},
};

/// Where the head's landmarks are to be.
#[derive(Debug)]
pub(super) struct LandmarkAim {
    /// Places in the photo, in pixels.
    pub places: Vec<Vec2>,
}

impl LandmarkAim {
    /// Begins with the photo's landmarks.
    pub fn new(target: &PhotoTarget) -> Self {
        Self { places: target.landmark_pixels().collect() }
    }

    /// Aims from where the head's landmarks are now, `own`, in photo pixels, by what the network sees in the rendering of this
    /// head on the photo's chip, sRGB of 0 to 1. It stays as it was where the network sees no face in the one or the other.
    pub fn renew(
        &mut self,
        landmarker: &mut Landmarker,
        target: &PhotoTarget,
        rendering: &[Vec3],
        own: &[Vec2],
        cancel: &CancelToken,
    ) -> Result<(), RuntimeError> {
        let Some(wanted) = &target.seen_landmarks else { return Ok(()) };
        let side = target.side as u32;
        let chip = RgbImage::from_fn(side, side, |x, y| {
            let pixel = rendering[(y * side + x) as usize].clamp(Vec3::ZERO, Vec3::ONE);
            Rgb((255.0 * pixel).round().to_array().map(|value| value as u8))
        });
        let seen = look(landmarker, &chip, &target.placement, target.landmark_pixels(), cancel)?;
        if let Some(seen) = seen {
            let offsets = wanted.iter().zip(&seen).map(|(wanted, seen)| *wanted - *seen);
            self.places = own.iter().zip(offsets).map(|(own, offset)| *own + offset).collect();
        }
        Ok(())
    }
}

/// The landmarks, in photo pixels, that the network sees in a chip of a face that was found at `known`. `None` where it sees
/// no face, and when `known` are not as many as a face's.
pub(super) fn look(
    landmarker: &mut Landmarker,
    chip: &RgbImage,
    placement: &ChipPlacement,
    known: impl Iterator<Item = Vec2>,
    cancel: &CancelToken,
) -> Result<Option<Vec<Vec2>>, RuntimeError> {
    let known: Vec<Vec2> = known.map(|place| placement.chip_pixel(place.as_dvec2()).as_vec2()).collect();
    let seen = landmarker.look_again(chip, &known, cancel)?;
    Ok(seen.map(|seen| seen.into_iter().map(|place| placement.apply(place.as_dvec2()).as_vec2()).collect()))
}

#[cfg(test)]
mod tests {
    use bevy::math::Quat;

    use super::*;
    use crate::{
        bundle::Bundle,
        face::{FaceAnalyser, FaceChoice, FaceFinder},
        fitting::{
            Camera, FittingHead, HeadPose,
            render::{Rays, ShLight, View},
            target::tests::target,
        },
        pipeline::{GenerateOptions, GenerateRequest, Pipeline, Source},
        runtime::{Runtime, RuntimeOptions},
    };

    const SIDE: usize = 480;

    /// The camera's vertical field of view, in radians.
    const FIELD: f32 = 0.45;

    /// Mean distance.
    fn distance(a: &[Vec2], b: &[Vec2]) -> f32 {
        a.iter().zip(b).map(|(a, b)| a.distance(*b)).sum::<f32>() / a.len() as f32
    }

    #[test]
    fn a_head_that_is_off_learns_its_place_better_than_from_the_photos_landmarks() {
        let bundle = Bundle::open(concat!(env!("CARGO_MANIFEST_DIR"), "/models/base")).unwrap();
        let (runtime, cancel) = (Runtime::new(RuntimeOptions::default()).unwrap(), CancelToken::default());
        let mut pipeline = Pipeline::load(&bundle, &runtime).unwrap();
        let mut analyser = FaceAnalyser::load(&bundle, &runtime).unwrap();
        let finder = FaceFinder::load(&bundle, &runtime).unwrap();
        let mut landmarker = Landmarker::load(&bundle, &runtime).unwrap();
        let focal = 0.5 * SIDE as f32 / (0.5 * FIELD).tan();
        let camera = Camera { focal, centre: Vec2::splat(0.5 * (SIDE as f32 - 1.0)) };
        for seed in [1, 4] {
            let options = GenerateOptions { steps: 10, ..Default::default() };
            let request = GenerateRequest { source: Source::Random, seed, options };
            let person = pipeline.generate(&request, &cancel, &mut |_| {}).unwrap();
            let head = FittingHead::new(person.head.clone(), person.maps.size);
            let picture = |HeadPose { rotation, translation }| {
                let rays = Rays::perspective(FIELD, SIDE, SIDE);
                let view = View { rotation, translation, rays, width: SIDE, height: SIDE, supersampling: 2 };
                person.portrait(&head, view, ShLight::constant(Vec3::splat(0.9)), &[], [90, 95, 100])
            };
            let own = |pose: HeadPose| -> Vec<Vec2> {
                let points = person.head.landmark_positions(&person.vertices);
                points.into_iter().map(|point| camera.project(pose.apply(point))).collect()
            };
            let pose = HeadPose { rotation: Quat::from_rotation_y(0.15), translation: Vec3::new(0.0, 0.03, -0.9) };
            let face = analyser.analyse(&picture(pose), FaceChoice::MostProminent, &cancel).unwrap().face;
            let found: Vec<Vec2> = face.landmarks.points.iter().map(|point| point.truncate()).collect();
            let chip = |pose| finder.chip(&picture(pose), &face.landmarks).0;
            let colours = |chip: &RgbImage| -> Vec<Vec3> {
                chip.pixels().map(|pixel| Vec3::from(pixel.0.map(f32::from)) / 255.0).collect()
            };
            let mut target = target(face.chip.width() as usize, colours(&face.chip));
            target.landmarks.clone_from(&face.landmarks.points);
            target.placement = face.placement;
            let known = found.iter().copied();
            target.seen_landmarks = look(&mut landmarker, &face.chip, &face.placement, known, &cancel).unwrap();
            let off = HeadPose {
                rotation: Quat::from_rotation_y(0.19),
                translation: pose.translation + Vec3::new(0.005, -0.004, 0.0),
            };
            let mut aim = LandmarkAim::new(&target);
            assert_eq!(aim.places, found);
            aim.renew(&mut landmarker, &target, &colours(&chip(off)), &own(off), &cancel).unwrap();
            let [photo, before, after] = [&found, &own(off), &aim.places].map(|places| distance(places, &own(pose)));
            println!("person {seed}: found {photo:.2}, the head off by {before:.2}, told {after:.2} pixels");
            assert!(before > 3.0 && after < 0.5 * before && after < 0.7 * photo, "{photo} {before} {after}");
        }
    }

    #[test]
    fn nothing_is_seen_without_a_face_or_without_its_landmarks() {
        let bundle = Bundle::open(concat!(env!("CARGO_MANIFEST_DIR"), "/models/base")).unwrap();
        let (runtime, cancel) = (Runtime::new(RuntimeOptions::default()).unwrap(), CancelToken::default());
        let mut landmarker = Landmarker::load(&bundle, &runtime).unwrap();
        let photo =
            image::open(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/selfies/astronaut.png")).unwrap().to_rgb8();
        let mut analyser = FaceAnalyser::load(&bundle, &runtime).unwrap();
        let face = analyser.analyse(&photo, FaceChoice::MostProminent, &cancel).unwrap().face;
        let known: Vec<Vec2> = face.landmarks.points.iter().map(|point| point.truncate()).collect();
        let mut seen = |chip: &RgbImage, known: &[Vec2]| {
            look(&mut landmarker, chip, &face.placement, known.iter().copied(), &cancel).unwrap().is_some()
        };
        assert!(seen(&face.chip, &known));
        let grey = RgbImage::from_pixel(face.chip.width(), face.chip.height(), Rgb([128; 3]));
        assert!(!seen(&grey, &known), "there is no face");
        assert!(!seen(&face.chip, &known[..100]) && !seen(&face.chip, &[]), "landmarks are missing");
        assert!(!seen(&face.chip, &vec![known[0]; known.len()]), "all are in one place");
        assert!(!seen(&face.chip, &vec![Vec2::NAN; known.len()]), "they are nowhere");
    }
}
