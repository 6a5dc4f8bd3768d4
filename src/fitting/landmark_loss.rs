//! How far a posed head's landmarks are from the photo's.

use bevy::math::{Vec2, Vec3};

use super::{FaceFit, FittingHead, PhotoTarget};
use crate::bundle::TemplateHead;

/// Standard deviation of landmarks, in shares of the face's size, and where they lose their influence, in deviations.
const LANDMARK: (f32, f32) = (0.022, 4.0);

/// A landmark in head space.
pub(super) fn landmark(template: &TemplateHead, posed: &[Vec3], index: usize) -> Vec3 {
    let point = template.landmarks[index];
    let [a, b, c] = template.triangles[usize::from(point.triangle)].map(|corner| posed[usize::from(corner)]);
    point.weights.x * a + point.weights.y * b + point.weights.z * c
}

/// Mean robust squared error in squared deviations, and its gradients in view space by landmark. `posed` are the head's
/// vertices with its expression.
pub(super) fn landmark_loss(
    head: &FittingHead,
    target: &PhotoTarget,
    fit: &FaceFit,
    posed: &[Vec3],
) -> (f32, Vec<(usize, Vec3)>) {
    let FaceFit { camera, pose, .. } = fit;
    let pixels: Vec<Vec2> = target.landmark_pixels().collect();
    let count = pixels.len() as f32;
    let mean = pixels.iter().sum::<Vec2>() / count;
    let size = (pixels.iter().map(|pixel| pixel.distance_squared(mean)).sum::<f32>() / count).sqrt().max(1e-3);
    let unit = 1.0 / (LANDMARK.0 * size);
    let facing = head.landmarks.facing(pose.rotation);
    let mut loss = 0.0;
    let mut gradients = Vec::with_capacity(pixels.len());
    for (index, pixel) in pixels.iter().enumerate() {
        let view = pose.apply(landmark(&head.template, posed, index));
        let depth = (-view.z).max(1e-3);
        let error = unit * (camera.project(view) - *pixel);
        let square = error.length_squared();
        let inlier = 1.0 / (1.0 + square / (LANDMARK.1 * LANDMARK.1));
        let weight = facing[index] / count;
        loss += weight * square * inlier;
        let by_place = 2.0 * weight * inlier * inlier * unit * error;
        let near = camera.focal / depth;
        let by_depth = near / depth * (view.x * by_place.x - view.y * by_place.y);
        gradients.push((index, Vec3::new(near * by_place.x, -near * by_place.y, by_depth)));
    }
    (loss, gradients)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bevy::math::Quat;

    use super::*;
    use crate::{
        bundle::Bundle,
        fitting::{Camera, HeadPose, target::tests::target},
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
        let posed = &head.template.positions;
        let mut target = target(1, vec![Vec3::ZERO]);
        let shift = |i: usize| Vec2::new((i as f32).sin(), (1.3 * i as f32).cos()) * 4.0;
        let see = |(i, &point): (usize, &Vec3)| (fit.camera.project(fit.pose.apply(point)) + shift(i)).extend(0.0);
        target.landmarks = head.template.landmark_positions(posed).iter().enumerate().map(see).collect();

        let (loss, gradients) = landmark_loss(&head, &target, &fit, posed);
        assert!(loss > 0.1, "{loss}");
        let whole: Vec3 = gradients.iter().map(|(_, gradient)| *gradient).sum();
        for axis in 0..3 {
            let moved = |step: f32| {
                let mut moved = fit.clone();
                moved.pose.translation[axis] += step;
                f64::from(landmark_loss(&head, &target, &moved, posed).0)
            };
            let difference = (moved(1e-4) - moved(-1e-4)) / 2e-4;
            assert!((difference / f64::from(whole[axis]) - 1.0).abs() < 1e-2, "{axis}: {difference}, {}", whole[axis]);
        }
    }
}
