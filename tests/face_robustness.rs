//! One person stays one person under what cameras and phones do to photos; two persons stay two.

mod common;

use bevy_fitdiff::face::{self, FaceChoice, FaceError, Keypoint, PhotoLimits, QualityWarning};
use bevy_fitdiff::runtime::CancelToken;
use image::{Rgb, RgbImage, codecs::jpeg::JpegEncoder, imageops};
use imageproc::geometric_transformations::{Border, Interpolation, rotate_about_center};

const SAME_PERSON: f32 = 0.3;
const OTHER_PERSON: f32 = 0.6;

fn rolled(photo: &RgbImage, degrees: f32) -> RgbImage {
    rotate_about_center(photo, degrees.to_radians(), Interpolation::Bilinear, Border::Constant(Rgb([0; 3])))
}

fn dimmed(photo: &RgbImage, factor: f32) -> RgbImage {
    let mut dim = photo.clone();
    dim.iter_mut().for_each(|value| *value = (f32::from(*value) * factor).round() as u8);
    dim
}

fn recompressed(photo: &RgbImage, quality: u8) -> RgbImage {
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, quality).encode_image(photo).unwrap();
    face::decode_photo(&jpeg, &PhotoLimits::default()).unwrap()
}

/// The part of a photo around its face: 2.2 times the detected box.
fn cropped(photo: &RgbImage) -> RgbImage {
    let bounds = common::face_of(photo).detection.bounds;
    let side = bounds.width() * 2.2;
    let corner = bounds.center() - side / 2.0;
    let (x, y) = (corner.x.max(0.0) as u32, corner.y.max(0.0) as u32);
    imageops::crop_imm(photo, x, y, side as u32, side as u32).to_image()
}

#[test]
fn the_same_person_is_recognised_under_everyday_changes() {
    for name in [common::ASTRONAUT, common::HOPPER] {
        let photo = common::selfie(name);
        let original = common::face_of(&photo).identity;
        let variants = [
            ("crop", cropped(&photo)),
            ("flip", imageops::flip_horizontal(&photo)),
            ("roll +20°", rolled(&photo, 20.0)),
            ("roll −20°", rolled(&photo, -20.0)),
            ("half brightness", dimmed(&photo, 0.5)),
            ("JPEG quality 20", recompressed(&photo, 20)),
        ];
        for (change, variant) in variants {
            let distance = original.distance(&common::face_of(&variant).identity);
            println!("{name}, {change}: {distance:.3}");
            assert!(distance < SAME_PERSON, "{name}, {change}: {distance}");
        }
    }
}

#[test]
fn a_face_is_found_again_in_the_mirror_image() {
    let photo = common::selfie(common::HOPPER);
    let of_flipped = common::face_of(&imageops::flip_horizontal(&photo));
    let (mut analyser, cancel) = (common::analyser(), CancelToken::default());
    let face = analyser.analyse(&photo, FaceChoice::MostProminent, &cancel).unwrap().face;
    let mirrored = analyser.analyse_mirrored(&photo, &face, &cancel).unwrap().expect("the same face");
    let eyes = face.detection.keypoint(Keypoint::LeftEye).distance(face.detection.keypoint(Keypoint::RightEye));
    let apart = mirrored.landmarks.points.iter().zip(&of_flipped.landmarks.points);
    let apart = apart.map(|(a, b)| a.truncate().distance(b.truncate())).sum::<f32>() / 478.0;
    assert!(apart < 0.02 * eyes, "landmarks of both ways are apart by {apart} of {eyes} pixels");
    let [other_way, photo_itself] = [&of_flipped, &face].map(|face| face.identity.distance(&mirrored.identity));
    println!("from the mirror image, found another way: {other_way:.3}, from the photo: {photo_itself:.3}");
    assert!(other_way < 0.1, "the same picture: {other_way}");
    assert!((0.05..SAME_PERSON).contains(&photo_itself), "another look that tells the same: {photo_itself}");

    // There is no face in the mirror image of a photo that is replaced meanwhile.
    let empty = RgbImage::from_pixel(photo.width(), photo.height(), Rgb([90; 3]));
    assert!(analyser.analyse_mirrored(&empty, &face, &cancel).unwrap().is_none());
}

#[test]
fn two_people_are_told_apart() {
    let [astronaut, hopper] =
        [common::ASTRONAUT, common::HOPPER].map(|name| common::face_of(&common::selfie(name)).identity);
    let distance = astronaut.distance(&hopper);
    println!("astronaut to Hopper: {distance:.3}");
    assert!(distance > OTHER_PERSON, "{distance}");
}

#[test]
fn a_photo_turned_by_a_quarter_is_still_read() {
    let photo = common::selfie(common::ASTRONAUT);
    let original = common::face_of(&photo).identity;
    for (turn, turned) in [("right", imageops::rotate90(&photo)), ("left", imageops::rotate270(&photo))] {
        let face = common::face_of(&turned);
        let distance = original.distance(&face.identity);
        println!("turned {turn}: {distance:.3}, roll {:.0}°", face.quality.roll);
        assert!(distance < SAME_PERSON, "turned {turn}: {distance}");
        assert!((face.quality.roll.abs() - 90.0).abs() < 15.0);
    }
}

#[test]
fn the_most_central_large_face_is_taken_and_others_can_be_chosen() {
    let (astronaut, hopper) = (common::selfie(common::ASTRONAUT), common::selfie(common::HOPPER));
    let mut pair = RgbImage::new(900, 600);
    imageops::replace(&mut pair, &imageops::crop_imm(&astronaut, 60, 0, 370, 512).to_image(), 0, 40);
    imageops::replace(&mut pair, &hopper, 370, 0);
    let mut analyser = common::analyser();
    let never = CancelToken::default();
    let first = analyser.analyse(&pair, FaceChoice::MostProminent, &never).unwrap();
    assert_eq!((first.index, first.found), (0, 2));
    let second = analyser.analyse(&pair, FaceChoice::Index(1), &never).unwrap();
    let error = analyser.analyse(&pair, FaceChoice::Index(2), &never).unwrap_err();
    assert!(matches!(error, FaceError::NoSuchFace { index: 2, found: 2 }), "{error}");
    drop(analyser);

    let known = common::face_of(&hopper).identity;
    assert!(first.face.identity.distance(&known) < SAME_PERSON, "the larger, more central face comes first");
    assert!(second.face.identity.distance(&known) > OTHER_PERSON);
}

#[test]
fn a_photo_without_a_face_is_refused() {
    // A gradient, and a grid of dots: nothing that could be taken for a face.
    let gradient = RgbImage::from_fn(640, 480, |x, y| Rgb([(x / 3) as u8, (y / 2) as u8, 90]));
    let dots = RgbImage::from_fn(640, 480, |x, y| Rgb([if x % 40 < 8 && y % 40 < 8 { 20 } else { 200 }; 3]));
    for photo in [gradient, dots] {
        let error = common::analyser().analyse(&photo, FaceChoice::MostProminent, &CancelToken::default()).unwrap_err();
        assert!(matches!(error, FaceError::NoFace), "{error}");
    }
}

#[test]
fn a_cancelled_search_ends_as_cancelled() {
    let cancel = CancelToken::default();
    cancel.cancel();
    let photo = common::selfie(common::ASTRONAUT);
    let error = common::analyser().analyse(&photo, FaceChoice::MostProminent, &cancel).unwrap_err();
    assert!(matches!(error, FaceError::Runtime(bevy_fitdiff::runtime::RuntimeError::Cancelled)), "{error}");
}

#[test]
fn weak_photos_are_reported_and_good_ones_are_not() {
    let photo = common::selfie(common::ASTRONAUT);
    assert_eq!(common::face_of(&photo).quality.warnings, []);
    assert_eq!(common::face_of(&common::selfie(common::HOPPER)).quality.warnings, []);

    let blurred = common::face_of(&imageops::blur(&photo, 5.0)).quality;
    assert!(matches!(blurred.warnings[..], [QualityWarning::Blurred { .. }]), "{blurred:?}");

    let small = imageops::resize(&photo, 180, 180, imageops::FilterType::Triangle);
    let small = common::face_of(&small).quality;
    assert!(small.warnings.iter().any(|warning| matches!(warning, QualityWarning::Small { .. })), "{small:?}");
}

#[test]
fn head_angles_mirror_and_follow_the_photo() {
    let photo = common::selfie(common::HOPPER);
    let straight = common::face_of(&photo).quality;
    let mirrored = common::face_of(&imageops::flip_horizontal(&photo)).quality;
    assert!((straight.yaw + mirrored.yaw).abs() < 4.0, "{} {}", straight.yaw, mirrored.yaw);
    assert!((straight.roll + mirrored.roll).abs() < 3.0, "{} {}", straight.roll, mirrored.roll);
    let rolled = common::face_of(&rolled(&photo, 20.0)).quality;
    assert!((rolled.roll - straight.roll - 20.0).abs() < 3.0, "{} {}", straight.roll, rolled.roll);
}
