//! The face front-end agrees with an independent implementation of its rules: `models/training/face_nets`, in numpy,
//! on the shipped photos. `python -m face_nets reference` writes the values.

mod common;

use bevy_fitdiff::{
    face::{FaceChoice, Identity},
    runtime::CancelToken,
};
use serde::Deserialize;

/// Mean distance of landmarks in photo pixels.
const LANDMARK_TOLERANCE: f32 = 0.1;

/// Euclidean distance of embeddings.
const IDENTITY_TOLERANCE: f32 = 0.02;

#[derive(Deserialize)]
struct Reference {
    photos: Vec<PhotoReference>,
}

#[derive(Deserialize)]
struct PhotoReference {
    file: String,
    detection: DetectionReference,
    second_pass: LandmarksReference,
    descriptor: Vec<f32>,
}

#[derive(Deserialize)]
struct LandmarksReference {
    landmarks: Vec<[f32; 3]>,
    presence: f32,
}

#[derive(Deserialize)]
struct DetectionReference {
    score: f32,
    #[serde(rename = "box")]
    bounds: [f32; 4],
    keypoints: Vec<[f32; 2]>,
}

#[test]
fn faces_match_the_reference_on_every_backend() {
    let text = std::fs::read_to_string(common::repository().join("tests/reference/faces.json")).unwrap();
    let reference: Reference = serde_json::from_str(&text).unwrap();
    assert_eq!(reference.photos.len(), 2);
    for (backend, analyser) in common::analysers() {
        let mut analyser = analyser.lock().unwrap();
        for expected in &reference.photos {
            let photo = common::reference_pixels(&expected.file);
            let found = analyser.analyse(&photo, FaceChoice::MostProminent, &CancelToken::default()).unwrap();
            let (face, name) = (found.face, &expected.file);

            let bounds = face.detection.bounds;
            let [left, top, right, bottom] = expected.detection.bounds;
            for (found, expected) in
                [(bounds.min.x, left), (bounds.min.y, top), (bounds.max.x, right), (bounds.max.y, bottom)]
            {
                assert!((found - expected).abs() < 0.1, "{backend}, {name}: box {bounds:?}");
            }
            for (found, expected) in face.detection.keypoints.iter().zip(&expected.detection.keypoints) {
                assert!(found.distance((*expected).into()) < 0.1, "{backend}, {name}: keypoint {found}");
            }
            assert!((face.detection.score - expected.detection.score).abs() < 1e-3);

            let points = &face.landmarks.points;
            assert_eq!(points.len(), expected.second_pass.landmarks.len());
            let distances: Vec<f32> = points
                .iter()
                .zip(&expected.second_pass.landmarks)
                .map(|(found, &expected)| found.distance(expected.into()))
                .collect();
            let mean = distances.iter().sum::<f32>() / distances.len() as f32;
            let worst = distances.iter().copied().fold(0.0, f32::max);
            assert!((face.landmarks.presence - expected.second_pass.presence).abs() < 1e-3);

            let distance = face.identity.distance(&Identity::new(expected.descriptor.clone()));
            println!("{backend}, {name}: landmarks {mean:.4} px (worst {worst:.4}), identity {distance:.5}");
            assert!(mean < LANDMARK_TOLERANCE, "{backend}, {name}: {mean} px");
            assert!(distance < IDENTITY_TOLERANCE, "{backend}, {name}: {distance}");
        }
    }
}

#[test]
fn another_jpeg_decoder_hardly_changes_the_identity() {
    let lossless = common::face_of(&common::reference_pixels(common::HOPPER));
    let lossy = common::face_of(&common::selfie(common::HOPPER));
    let distance = lossless.identity.distance(&lossy.identity);
    println!("JPEG decoders: identity {distance:.5}");
    assert!(distance < IDENTITY_TOLERANCE, "{distance}");
}
