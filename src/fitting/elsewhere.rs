//! The avatar as the recogniser sees it from elsewhere: at rest, turned, and lit from another side.
//!
//! What agrees in the photo's own pose and light may do so by light and pose alone. A face that the recogniser takes for
//! the person's from wherever it looks is the person's.

use bevy::math::{EulerRot, Quat, Vec2, Vec3};

use super::{
    Camera, FittingHead, HeadPose, Impression, LossNetwork, colour,
    render::{Gradients, PartLook, ShLight, SurfaceMaps, View},
    target::chip_view,
};
use crate::{
    face::FaceLandmarks,
    runtime::{CancelToken, RuntimeError},
};

/// Largest turn to a side and largest nod, in radians: as far as heads in selfies do.
const TURN: [f32; 2] = [0.42, 0.3];

/// Distance of the camera in metres; its focal length in pixels, which only says how landmarks are counted.
const CAMERA: (f32, f32) = (0.7, 1000.0);

/// The least and the most that light from above, from the front and from the sides adds to that from all around.
const LIGHT: [[f32; 2]; 3] = [[0.05, 0.35], [0.15, 0.5], [-0.4, 0.4]];

/// Linear radiance of what is behind the head.
const BACKGROUND: f32 = 0.1;

/// Samples along each side of a pixel.
const SUPERSAMPLING: usize = 2;

/// A view of the head that the photo does not show.
#[derive(Clone, Copy, Debug)]
pub(super) struct Elsewhere {
    rotation: Quat,
    light: ShLight,
}

impl Elsewhere {
    /// One of a sequence that covers all turns and lights evenly. `photo` is the light of the photo: its colour and
    /// strength are kept.
    pub fn new(index: usize, photo: &ShLight) -> Self {
        // Roberts, "The unreasonable effectiveness of quasirandom sequences", 2018: the root of x⁶ = x + 1.
        const ROOT: f32 = 1.134_724_1;
        let place = |axis: i32| (0.5 + (index + 1) as f32 * ROOT.powi(-axis)).fract();
        let between = |[low, high]: [f32; 2], axis: i32| low + (high - low) * place(axis);
        let [yaw, pitch] = TURN;
        let rotation = Quat::from_euler(EulerRot::YXZ, between([-yaw, yaw], 1), between([-pitch, pitch], 2), 0.0);
        let ambient = photo.0[0].max(Vec3::ZERO);
        let mut light = ShLight::default();
        light.0[0] = ambient;
        for (coefficient, range, axis) in [(1, LIGHT[0], 3), (2, LIGHT[1], 4), (3, LIGHT[2], 5)] {
            light.0[coefficient] = between(range, axis) * ambient;
        }
        Self { rotation, light }
    }

    /// Squared distance of the embeddings of the person and of a head with these vertices, maps and looks as it is seen here, and
    /// its gradient by vertices and maps, times `weight`.
    pub fn loss(
        &self,
        head: &FittingHead,
        (vertices, maps, looks): (&[Vec3], &SurfaceMaps, &[PartLook]),
        network: &mut LossNetwork,
        person: &Impression,
        weight: f32,
        cancel: &CancelToken,
    ) -> Result<(f32, Gradients), RuntimeError> {
        let view = self.view(head, vertices, network);
        let geometry = head.geometry.moved(&head.surface, vertices.to_vec());
        let scene = head.scene(&geometry, maps, looks, self.light, view);
        let visibility = scene.visibility();
        let rendering = scene.render(&visibility);
        let linear: Vec<Vec3> = rendering
            .colour
            .iter()
            .zip(&rendering.coverage)
            .map(|(colour, coverage)| (*colour + (1.0 - coverage) * BACKGROUND).max(Vec3::ZERO))
            .collect();
        let chip: Vec<Vec3> = linear.iter().map(|linear| colour::to_srgb(*linear).min(Vec3::ONE)).collect();
        let seen = network.loss(&chip, person, [weight, 0.0], cancel)?;
        let seed: Vec<Vec3> = linear
            .iter()
            .zip(&seen.gradient)
            .map(|(linear, gradient)| {
                let slope = linear.to_array().map(|value| if value < 1.0 { colour::srgb_slope(value) } else { 0.0 });
                Vec3::from_array(slope) * *gradient
            })
            .collect();
        Ok((seen.identity, scene.gradients(&visibility, &seed)))
    }

    /// The recogniser's view of the turned head.
    fn view(&self, head: &FittingHead, vertices: &[Vec3], network: &LossNetwork) -> View {
        let (distance, focal) = CAMERA;
        let camera = Camera { focal, centre: Vec2::ZERO };
        let pose = HeadPose { rotation: self.rotation, translation: Vec3::new(0.0, 0.0, -distance) };
        let points = head.template.landmark_positions(vertices);
        let points = points.into_iter().map(|point| camera.project(pose.apply(point)).extend(0.0)).collect();
        let placement = network.placement(&FaceLandmarks { points, presence: 1.0 });
        chip_view(&placement, network.side(), &camera, &pose, SUPERSAMPLING)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        bundle::Bundle,
        fitting::UNKNOWN_IRIS,
        runtime::{Runtime, RuntimeOptions},
    };

    /// Side of the maps in texels.
    const SIZE: usize = 64;

    fn maps(step: f32) -> SurfaceMaps {
        let wave = |texel: usize, channel: usize| ((texel * 7 + channel) as f32 * 0.37).sin();
        let texel = |i: usize| std::array::from_fn(|channel| 0.3 + 0.1 * wave(i, channel) + step * along(i, channel));
        SurfaceMaps {
            size: SIZE,
            diffuse: (0..SIZE * SIZE).map(texel).collect(),
            specular: vec![0.03; SIZE * SIZE],
            normals: vec![[0.0, 0.0, 1.0]; SIZE * SIZE],
        }
    }

    /// A smooth direction in which the albedo is changed.
    fn along(texel: usize, channel: usize) -> f32 {
        ((texel % SIZE) as f32 * 0.11 + channel as f32).cos() * ((texel / SIZE) as f32 * 0.09).sin()
    }

    #[test]
    fn the_gradient_by_the_albedo_is_that_of_differences() {
        let bundle = Bundle::open(concat!(env!("CARGO_MANIFEST_DIR"), "/models/base")).unwrap();
        let runtime = Runtime::new(RuntimeOptions::default()).unwrap();
        let generator = bundle.manifest().generator.as_ref().unwrap();
        let mut network = LossNetwork::load(&bundle, &runtime, generator).unwrap();
        let head = FittingHead::new(Arc::new(bundle.load_head().unwrap()), SIZE);
        let cancel = CancelToken::default();
        let side = network.side();
        let photo: Vec<Vec3> = (0..side * side).map(|i| Vec3::splat(0.3 + 0.2 * (i as f32 * 0.01).sin())).collect();
        let photo = network.look_at(&photo, &cancel).unwrap();
        let elsewhere = Elsewhere::new(3, &ShLight::constant(Vec3::splat(0.8)));
        let vertices = &head.template.positions;
        let looks = head.looks(UNKNOWN_IRIS);
        let mut loss = |step: f32| {
            elsewhere.loss(&head, (vertices, &maps(step), &looks), &mut network, &photo, 1.0, &cancel).unwrap()
        };
        let found: f64 = loss(0.0)
            .1
            .diffuse
            .iter()
            .enumerate()
            .map(|(texel, gradient)| {
                (0..3).map(|channel| f64::from(gradient[channel] * along(texel, channel))).sum::<f64>()
            })
            .sum();
        // Small enough to cross few of the network's kinks.
        let step = 2.5e-4;
        let difference = f64::from(loss(step).0 - loss(-step).0) / f64::from(2.0 * step);
        assert!(difference.abs() > 1e-3, "the direction matters: {difference}");
        assert!((found / difference - 1.0).abs() < 0.02, "{found} is not {difference}");
    }

    #[test]
    fn views_and_lights_cover_their_ranges() {
        let photo = ShLight::constant(Vec3::new(1.0, 0.8, 0.6));
        let views: Vec<Elsewhere> = (0..64).map(|index| Elsewhere::new(index, &photo)).collect();
        for (axis, turn) in TURN.into_iter().enumerate() {
            let angles = views.iter().map(|view| {
                let (yaw, pitch, _) = view.rotation.to_euler(EulerRot::YXZ);
                [yaw, pitch][axis]
            });
            let (low, high) = angles.fold((f32::MAX, f32::MIN), |(low, high), angle| (low.min(angle), high.max(angle)));
            assert!(low > -turn - 1e-4 && high < turn + 1e-4 && high - low > 1.8 * turn, "{low} to {high}");
        }
        for view in &views {
            let front = view.light.0[2] / view.light.0[0];
            assert!(front.x == front.y || (front.x - front.y).abs() < 1e-6, "lights keep the photo's colour");
        }
    }
}
