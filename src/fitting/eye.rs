//! How an eye looks: sclera, iris and pupil, painted around the gaze.

use std::f32::consts::TAU;

use bevy::math::Vec3;

use crate::bundle::TemplateEyes;

/// Linear reflectance of the sclera, L* of 74. Whiter ones take a rendered head away from photos of the same head, as the
/// recogniser sees them.
const SCLERA: Vec3 = Vec3::new(0.50, 0.45, 0.43);

/// Linear reflectance, RGB, of an iris of which nothing is known: brown, as most are.
pub const UNKNOWN_IRIS: Vec3 = Vec3::new(0.10, 0.045, 0.018);

/// How much of the sclera's green and blue the corners of the eye lose to the vessels there.
const REDNESS: f32 = 0.25;

/// Radius of the pupil as a share of the iris, indoors.
const PUPIL: f32 = 0.36;

/// Fibres around the iris, coarse and fine.
const FIBRES: [f32; 2] = [37.0, 83.0];

/// Linear reflectance of an eyeball at `angle` radians from its gaze; `azimuth`, in radians, goes around it. `iris` is the
/// linear reflectance of the iris.
pub fn eye_colour(eyes: &TemplateEyes, iris: Vec3, angle: f32, azimuth: f32) -> Vec3 {
    eyeball(iris, angle / eyes.iris_radians, angle - eyes.iris_radians, azimuth)
}

/// Linear reflectance at `radius` (1 is the iris's rim), `outside` radians beyond the rim, and `azimuth`.
fn eyeball(iris: Vec3, radius: f32, outside: f32, azimuth: f32) -> Vec3 {
    let redness = REDNESS * outside.clamp(0.0, 1.0);
    let sclera = SCLERA * Vec3::new(1.0, 1.0 - redness, 1.0 - 1.15 * redness);
    let fibre = |count: f32, phase: f32| 0.5 + 0.5 * (azimuth * count + phase + 3.0 * (azimuth * 11.0).sin()).sin();
    let fibres = fibre(FIBRES[0], 6.0 * radius) * fibre(FIBRES[1], TAU / 3.0);
    // The collarette, a brighter, warmer ring around the pupil, and the limbus, the dark rim.
    let collarette = (-((radius - PUPIL - 0.14) / 0.10).powi(2)).exp();
    let limbus = 1.0 - 0.65 * smooth_step(0.8, 1.0, radius);
    let brightness =
        (0.65 + 0.45 * fibres + 0.25 * collarette) * limbus * smooth_step(PUPIL - 0.03, PUPIL + 0.03, radius);
    let warm = Vec3::new(1.0 + 0.35 * collarette, 1.0, 1.0 - 0.17 * collarette);
    (iris * warm * brightness + Vec3::splat(0.003)).lerp(sclera, smooth_step(0.94, 1.06, radius))
}

fn smooth_step(from: f32, to: f32, value: f32) -> f32 {
    let share = ((value - from) / (to - from)).clamp(0.0, 1.0);
    share * share * (3.0 - 2.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pupil_iris_and_sclera_lie_where_the_template_says() {
        let iris = Vec3::new(0.05, 0.1, 0.25);
        assert!(eyeball(iris, 0.0, -0.4, 0.0).max_element() < 0.01, "the pupil is black");
        let middle = (0..32).map(|step| eyeball(iris, 0.7, -0.1, step as f32 / 32.0 * TAU)).sum::<Vec3>() / 32.0;
        assert!(middle.z > 2.0 * middle.x, "the iris has its colour: {middle}");
        assert!(eyeball(iris, 1.3, 0.13, 0.0).min_element() > 0.3, "the sclera is light");
    }
}
