//! How far a photo's identity can be relied on.

use std::fmt;

use bevy::math::Vec3;

use super::{FaceLandmarks, identity::Chip};
use crate::bundle::{LandmarkIndex, ReliableRange};

/// Least variance of a chip's luma in squared levels; below it the chip is a single tone.
const MIN_VARIANCE: f32 = 1e-2;

/// What was measured of a face in a photo.
#[derive(Clone, Debug, PartialEq)]
pub struct Quality {
    /// Distance from the forehead's top to the chin, in photo pixels.
    pub face_height: f32,
    /// Fine detail relative to contrast, on the aligned chip: the root mean square of the four-neighbour Laplacian
    /// over the standard deviation of the luma. It does not depend on brightness or contrast; grain counts as detail.
    pub sharpness: f32,
    /// Turn of the head in degrees; positive towards the photo's right edge.
    pub yaw: f32,
    /// Nod of the head in degrees; positive upwards. Faces differ by a few degrees in what is level.
    pub pitch: f32,
    /// Tilt of the head in degrees; positive clockwise on the photo.
    pub roll: f32,
    /// What makes the identity unreliable; empty when nothing does.
    pub warnings: Vec<QualityWarning>,
}

/// Why an identity is unreliable; its `Display` says what to do about it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum QualityWarning {
    /// The face has few pixels.
    Small {
        /// Forehead to chin in pixels.
        face_height: f32,
        /// What is needed.
        needed: f32,
    },
    /// The face is out of focus, moved, or was enlarged.
    Blurred {
        /// Measured sharpness.
        sharpness: f32,
        /// What is needed.
        needed: f32,
    },
    /// The face looks away from the camera.
    TurnedAway {
        /// Turn to a side in degrees.
        yaw: f32,
        /// Nod in degrees.
        pitch: f32,
    },
}

impl fmt::Display for QualityWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Small { face_height, needed } => write!(
                f,
                "the face is only {face_height:.0} pixels high, {needed:.0} or more are needed: recognition will be \
                 weak. Use a photo from closer by"
            ),
            Self::Blurred { sharpness, needed } => write!(
                f,
                "the face is blurred (sharpness {sharpness:.2}, {needed:.2} or more is needed): recognition will be \
                 weak. Use a sharper photo"
            ),
            Self::TurnedAway { yaw, pitch } => write!(
                f,
                "the face looks away (turned by {yaw:.0}°, nodding by {pitch:.0}°): recognition will be weak. Look \
                 towards the camera"
            ),
        }
    }
}

impl Quality {
    pub(super) fn measure(
        landmarks: &FaceLandmarks,
        index: &LandmarkIndex,
        chip: &Chip,
        range: &ReliableRange,
    ) -> Self {
        let face_height = landmarks.pixel(index.forehead).distance(landmarks.pixel(index.chin));
        let sharpness = sharpness(&luma(chip), chip.side);
        let (yaw, pitch, roll) = head_angles(landmarks, index);
        let mut warnings = Vec::new();
        if face_height < range.min_face_height {
            warnings.push(QualityWarning::Small { face_height, needed: range.min_face_height });
        }
        if sharpness < range.min_sharpness {
            warnings.push(QualityWarning::Blurred { sharpness, needed: range.min_sharpness });
        }
        if yaw.abs() > range.max_yaw || pitch.abs() > range.max_pitch {
            warnings.push(QualityWarning::TurnedAway { yaw, pitch });
        }
        Self { face_height, sharpness, yaw, pitch, roll, warnings }
    }
}

/// Yaw, pitch and roll in degrees, from the line between the eyes and the line from forehead to chin.
fn head_angles(landmarks: &FaceLandmarks, index: &LandmarkIndex) -> (f32, f32, f32) {
    let points = &landmarks.points;
    let across = points[index.left_eye_outer] - points[index.right_eye_outer];
    let down = points[index.chin] - points[index.forehead];
    // x right, y down, z away from the camera: the face looks along −z when it is frontal.
    let forward = -across.cross(down).normalize_or(Vec3::Z);
    let yaw = forward.x.atan2(-forward.z);
    let pitch = (-forward.y).clamp(-1.0, 1.0).asin();
    let roll = across.y.atan2(across.x);
    (yaw.to_degrees(), pitch.to_degrees(), roll.to_degrees())
}

/// Rec. 709 weights on gamma-encoded values.
fn luma(chip: &Chip) -> Vec<f32> {
    chip.pixels.iter().map(|[r, g, b]| 0.2126 * r + 0.7152 * g + 0.0722 * b).collect()
}

fn sharpness(luma: &[f32], side: usize) -> f32 {
    let mean = luma.iter().sum::<f32>() / luma.len() as f32;
    let variance = luma.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / luma.len() as f32;
    if variance < MIN_VARIANCE { 0.0 } else { (laplacian_energy(luma, side) / variance).sqrt() }
}

/// Mean square of the four-neighbour Laplacian.
fn laplacian_energy(luma: &[f32], side: usize) -> f32 {
    let mut sum = 0.0;
    for y in 1..side - 1 {
        for x in 1..side - 1 {
            let i = y * side + x;
            let laplacian = luma[i - 1] + luma[i + 1] + luma[i - side] + luma[i + side] - 4.0 * luma[i];
            sum += laplacian * laplacian;
        }
    }
    sum / ((side - 2) * (side - 2)) as f32
}

#[cfg(test)]
mod tests {
    use bevy::math::{EulerRot, Quat};

    use super::*;

    /// Corners of a flat face, seen from the front.
    const INDEX: LandmarkIndex = LandmarkIndex {
        right_eye_outer: 0,
        right_eye_inner: 1,
        left_eye_inner: 2,
        left_eye_outer: 3,
        nose_tip: 4,
        upper_lip: 5,
        lower_lip: 6,
        forehead: 7,
        chin: 8,
    };

    fn turned(rotation: Quat) -> FaceLandmarks {
        let places = [
            (-3.0, 0.0),
            (-1.0, 0.0),
            (1.0, 0.0),
            (3.0, 0.0),
            (0.0, 2.0),
            (0.0, 3.0),
            (0.0, 4.0),
            (0.0, -4.0),
            (0.0, 6.0),
        ];
        let points = places.map(|(x, y)| rotation * Vec3::new(x, y, 0.0)).to_vec();
        FaceLandmarks { points, presence: 1.0 }
    }

    #[test]
    fn head_angles_are_those_of_the_rotation() {
        let degrees = f32::to_radians;
        // About the axes x right, y down, z away: a turn to the photo's right is negative about y.
        let rotation = Quat::from_euler(EulerRot::YXZ, degrees(-25.0), degrees(-10.0), 0.0);
        let (yaw, pitch, _) = head_angles(&turned(rotation), &INDEX);
        assert!((yaw.abs() - 25.0).abs() < 0.1 && (pitch.abs() - 10.0).abs() < 0.1, "{yaw} {pitch}");
        // The nose's side of the face comes nearer to that edge: the eye on the far side moves away.
        let right_eye_depth = turned(rotation).points[0].z;
        assert_eq!(yaw > 0.0, right_eye_depth < 0.0, "turned to the right, the right eye is nearer");
        let (_, _, roll) = head_angles(&turned(Quat::from_rotation_z(degrees(20.0))), &INDEX);
        assert!((roll - 20.0).abs() < 0.1);
    }

    #[test]
    fn blur_lowers_sharpness_and_contrast_does_not() {
        let side = 64;
        let noise: Vec<f32> = (0..side * side).map(|i| ((i * 7919 + i / side * 104_729) % 256) as f32).collect();
        let blurred: Vec<f32> = (0..side * side)
            .map(|i| (0..9).map(|k| noise[(i + k % 3 + side * (k / 3)) % (side * side)]).sum::<f32>() / 9.0)
            .collect();
        let dim: Vec<f32> = noise.iter().map(|value| 20.0 + value * 0.25).collect();
        let sharp = sharpness(&noise, side);
        assert!(sharpness(&blurred, side) < 0.6 * sharp);
        assert!((sharpness(&dim, side) / sharp - 1.0).abs() < 1e-3);
        assert_eq!(sharpness(&vec![80.0; side * side], side), 0.0, "a single tone has no detail");
    }
}
