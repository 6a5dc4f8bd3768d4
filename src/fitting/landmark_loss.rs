//! How far a posed head's landmarks are from where they are to be in the photo.

use bevy::math::{Vec2, Vec3};

use super::{FaceFit, FittingHead, HeadPose};
use crate::bundle::TemplateHead;

/// Standard deviation of the landmarks of a face that is seen from the front, in shares of the face's size.
const DEVIATION: f32 = 0.022;

/// How much of that comes on top for each share of the front's foreshortening: 15 % at 10 degrees, 60 % at 20. On synthetic
/// photos the network errs by a sixth more at 20 to 25 degrees than at less than 15, by half more beyond 30. The deviation
/// grows faster than that, since what remains of the errors leads shapes astray.
const TURNED: f32 = 10.0;

/// Mean squared error, in squared deviations, from which on the loss grows as fast as it. The landmark network errs for all
/// landmarks of a face together. On synthetic faces a guided head is off by a fifth to a half of this, which is mostly the
/// network's error, and following it bends the head; on real faces, who are unlike these, by more, which is mostly the head's.
const UNEXPLAINED: f32 = 2.2;

/// Standard deviation of the landmarks of a head that stands so, in shares of the face's size.
pub(super) fn deviation(HeadPose { rotation, translation }: &HeadPose) -> f32 {
    let towards_camera = -translation.normalize_or(Vec3::NEG_Z);
    DEVIATION * (1.0 + TURNED * (1.0 - (*rotation * Vec3::Z).dot(towards_camera)))
}

/// The loss of the landmarks' mean squared error, and its gradients by landmark. `landmarks` are the head's, in view space;
/// `aim` are the places in the photo where they are to be, `deviation` is their standard deviation in shares of the face's size.
pub(super) fn landmark_loss(
    head: &FittingHead,
    FaceFit { camera, pose, .. }: &FaceFit,
    landmarks: &[Vec3],
    aim: &[Vec2],
    deviation: f32,
) -> (f32, Vec<Vec3>) {
    let count = aim.len() as f32;
    let mean = aim.iter().sum::<Vec2>() / count;
    let size = (aim.iter().map(|place| place.distance_squared(mean)).sum::<f32>() / count).sqrt().max(1e-3);
    let unit = 1.0 / (deviation * size);
    let mut square = 0.0;
    let pairs = landmarks.iter().zip(aim).zip(head.landmarks.facing(pose.rotation));
    let gradients = pairs.map(|((&point, &place), facing)| {
        let depth = (-point.z).max(1e-3);
        let error = unit * (camera.project(point) - place);
        let weight = facing / count;
        square += weight * error.length_squared();
        let by_place = 2.0 * weight * unit * error;
        let near = camera.focal / depth;
        let by_depth = near / depth * (point.x * by_place.x - point.y * by_place.y);
        Vec3::new(near * by_place.x, -near * by_place.y, by_depth)
    });
    let mut gradients: Vec<Vec3> = gradients.collect();
    let (loss, slope) = lenient(square);
    gradients.iter_mut().for_each(|gradient| *gradient *= slope);
    (loss, gradients)
}

/// The loss of a mean squared error, and its slope: near zero where the network's own errors explain it, one beyond.
fn lenient(square: f32) -> (f32, f32) {
    let share = (square / UNEXPLAINED).min(1.0);
    (UNEXPLAINED * share.powi(5) / 5.0 + square - UNEXPLAINED * share, share.powi(4))
}

/// Adds gradients by landmarks to those by vertices.
pub(super) fn add_to_vertices(template: &TemplateHead, by_landmark: impl Iterator<Item = Vec3>, vertices: &mut [Vec3]) {
    for (point, gradient) in template.landmarks.iter().zip(by_landmark) {
        let corners = template.triangles[usize::from(point.triangle)];
        for (corner, weight) in corners.into_iter().zip(point.weights.to_array()) {
            vertices[usize::from(corner)] += weight * gradient;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bevy::math::Quat;

    use super::*;
    use crate::{
        bundle::Bundle,
        fitting::{Camera, slope::assert_slope},
    };

    #[test]
    fn the_gradient_is_that_of_differences() {
        let bundle = Bundle::open(concat!(env!("CARGO_MANIFEST_DIR"), "/models/base")).unwrap();
        let head = FittingHead::new(Arc::new(bundle.load_head().unwrap()), 8);
        let fit = FaceFit {
            camera: Camera { focal: 900.0, centre: Vec2::new(300.0, 200.0) },
            pose: HeadPose { rotation: Quat::from_rotation_y(0.3), translation: Vec3::new(0.02, -0.01, -0.6) },
            expression: Vec::new(),
            shape: Vec::new(),
            landmark_error: 0.0,
        };
        let views = |fit: &FaceFit| -> Vec<Vec3> {
            let points = head.template.landmark_positions(&head.template.positions);
            points.into_iter().map(|point| fit.pose.apply(point)).collect()
        };
        // Errors that the network explains, and larger ones.
        for pixels in [1.3, 4.0] {
            let shift = |i: usize| Vec2::new(1.0 + (i as f32).sin(), 0.7 + (1.3 * i as f32).cos()) * pixels;
            let aim: Vec<Vec2> =
                views(&fit).into_iter().enumerate().map(|(i, point)| fit.camera.project(point) + shift(i)).collect();
            let (loss, gradients) = landmark_loss(&head, &fit, &views(&fit), &aim, DEVIATION);
            assert!(loss > 1e-3 && (loss < UNEXPLAINED / 5.0) == (pixels < 3.0), "{loss}");
            let whole: Vec3 = gradients.iter().sum();
            for axis in 0..3 {
                assert_slope("translation", whole[axis], whole[axis].abs(), 5e-5 * pixels, |step| {
                    let mut moved = fit.clone();
                    moved.pose.translation[axis] += step;
                    landmark_loss(&head, &moved, &views(&moved), &aim, DEVIATION).0.into()
                });
            }
        }
    }

    #[test]
    fn landmarks_of_heads_that_are_turned_away_are_less_sure() {
        let front = HeadPose { rotation: Quat::IDENTITY, translation: Vec3::new(0.0, 0.0, -0.6) };
        assert_eq!(deviation(&front), DEVIATION);
        // By 20 degrees to any side, 1 - cos is 0.0603.
        for axis in [Vec3::X, Vec3::NEG_X, Vec3::Y, Vec3::NEG_Y] {
            let turned = HeadPose { rotation: Quat::from_axis_angle(axis, 20_f32.to_radians()), ..front };
            assert!((deviation(&turned) / DEVIATION - 1.603).abs() < 1e-3, "{axis}");
        }
        // It is the line of sight that counts.
        let aside = Quat::from_rotation_y(0.4);
        let looked_at = HeadPose { rotation: aside, translation: aside * front.translation };
        assert!((deviation(&looked_at) / DEVIATION - 1.0).abs() < 1e-5);
    }

    #[test]
    fn errors_weigh_little_until_the_network_does_not_explain_them() {
        let [quarter, all, more] = [0.25, 1.0, 3.0].map(|share| lenient(share * UNEXPLAINED));
        assert!(quarter.0 < 0.002 * all.0 && quarter.1 < 0.005, "{quarter:?}");
        assert_eq!((all.1, more.1), (1.0, 1.0));
        assert!((more.0 - all.0 - 2.0 * UNEXPLAINED).abs() < 1e-4, "{more:?}");
    }

    #[test]
    fn gradients_by_vertices_are_those_by_the_landmarks_that_they_carry() {
        let bundle = Bundle::open(concat!(env!("CARGO_MANIFEST_DIR"), "/models/base")).unwrap();
        let template = bundle.load_head().unwrap();
        let wave = |i: usize, salt: f32| {
            Vec3::new((0.7 * i as f32 + salt).sin(), (1.1 * i as f32 + salt).cos(), (0.3 * i as f32 - salt).sin())
        };
        let by_landmark: Vec<Vec3> = (0..template.landmarks.len()).map(|i| wave(i, 1.0)).collect();
        let mut by_vertex = vec![Vec3::ZERO; template.positions.len()];
        add_to_vertices(&template, by_landmark.iter().copied(), &mut by_vertex);
        // Landmarks are linear in the vertices: along any direction, both gradients tell the same change.
        let along: Vec<Vec3> = (0..by_vertex.len()).map(|i| wave(i, 2.0)).collect();
        let sum = |a: &[Vec3], b: &[Vec3]| a.iter().zip(b).map(|(a, b)| f64::from(a.dot(*b))).sum::<f64>();
        let (vertices, landmarks) = (sum(&by_vertex, &along), sum(&by_landmark, &template.landmark_positions(&along)));
        assert!((vertices / landmarks - 1.0).abs() < 1e-3 && landmarks.abs() > 0.1, "{vertices} is not {landmarks}");
    }
}
