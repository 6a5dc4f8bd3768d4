//! The avatar as the recogniser sees it from elsewhere: at rest, turned, and lit from another side.
//!
//! What agrees in the photo's own pose and light may do so by light and pose alone. A face that the recogniser takes for
//! the person's from wherever it looks is the person's.

use bevy::math::{EulerRot, Quat, Vec2, Vec3};

use super::{
    Camera, FittingHead, HeadPose, LossNetwork, colour,
    render::{Gradients, PartLook, ShLight, SurfaceMaps, View},
    target::chip_view,
};
use crate::face::FaceLandmarks;

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

    /// The recogniser's view of the turned head.
    pub fn view(&self, head: &FittingHead, vertices: &[Vec3], network: &LossNetwork) -> View {
        let (distance, focal) = CAMERA;
        let camera = Camera { focal, centre: Vec2::ZERO };
        let pose = HeadPose { rotation: self.rotation, translation: Vec3::new(0.0, 0.0, -distance) };
        let points = head.template.landmark_positions(vertices);
        let points = points.into_iter().map(|point| camera.project(pose.apply(point)).extend(0.0)).collect();
        let placement = network.placement(&FaceLandmarks { points, presence: 1.0 });
        chip_view(&placement, network.side(), &camera, &pose, SUPERSAMPLING)
    }

    /// What `judge` makes of the chip of a head with these vertices, maps and looks, and the gradient by them. It is given the
    /// chip as `view` shows it, sRGB of 0 to 1, and returns a loss and its gradient by the chip. The view counts as a constant.
    pub fn loss<E>(
        &self,
        head: &FittingHead,
        (vertices, maps, looks): (&[Vec3], &SurfaceMaps, &[PartLook]),
        view: View,
        judge: impl FnOnce(&[Vec3]) -> Result<(f32, Vec<Vec3>), E>,
    ) -> Result<(f32, Gradients), E> {
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
        let (loss, by_chip) = judge(&chip)?;
        let seed: Vec<Vec3> = linear
            .iter()
            .zip(&by_chip)
            .map(|(linear, gradient)| {
                let slope = linear.to_array().map(|value| if value < 1.0 { colour::srgb_slope(value) } else { 0.0 });
                Vec3::from_array(slope) * *gradient
            })
            .collect();
        Ok((loss, scene.gradients(&visibility, &seed)))
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, sync::Arc};

    use super::*;
    use crate::{
        bundle::Bundle,
        fitting::{UNKNOWN_IRIS, slope::assert_slope},
        runtime::{Runtime, RuntimeOptions},
    };

    /// Side of the maps in texels.
    const SIZE: usize = 64;

    /// A number between -1 and 1 that changes slowly over the texels.
    fn wave(texel: usize, salt: f32) -> f32 {
        ((texel % SIZE) as f32 * 0.11 + salt).cos() * ((texel / SIZE) as f32 * 0.09 + 0.3 * salt).sin()
    }

    fn maps() -> SurfaceMaps {
        let texels = 0..SIZE * SIZE;
        let value = |texel: usize, salt: usize, middle: f32, size: f32| middle + size * wave(7 * texel, salt as f32);
        SurfaceMaps {
            size: SIZE,
            diffuse: texels.clone().map(|i| std::array::from_fn(|c| value(i, c, 0.3, 0.1))).collect(),
            specular: texels.clone().map(|i| value(i, 3, 0.03, 0.01)).collect(),
            normals: texels.map(|i| [value(i, 4, 0.0, 0.1), value(i, 5, 0.0, 0.1), 1.0]).collect(),
        }
    }

    /// A loss that is smooth in the chip's pixels, and its gradient by them.
    fn smooth_loss(chip: &[Vec3], side: usize) -> (f64, Vec<Vec3>) {
        let weight = |pixel: usize| {
            let (x, y) = ((pixel % side) as f32 / side as f32, (pixel / side) as f32 / side as f32);
            Vec3::new(1.0, 0.7, -0.4) * (1.0 + 0.5 * (9.0 * x - 4.0 * y).sin())
        };
        let pixels = chip.iter().enumerate();
        let loss = pixels.clone().map(|(pixel, colour)| f64::from((weight(pixel) * *colour).dot(*colour))).sum();
        (loss, pixels.map(|(pixel, colour)| 2.0 * weight(pixel) * *colour).collect())
    }

    /// The gradient by vertices is the renderer's as it is, and is tested there.
    #[test]
    fn gradients_by_maps_are_those_of_differences() {
        let bundle = Bundle::open(concat!(env!("CARGO_MANIFEST_DIR"), "/models/base")).unwrap();
        let runtime = Runtime::new(RuntimeOptions::default()).unwrap();
        let generator = bundle.manifest().generator.as_ref().unwrap();
        let network = LossNetwork::load(&bundle, &runtime, generator).unwrap();
        let head = FittingHead::new(Arc::new(bundle.load_head().unwrap()), SIZE);
        let elsewhere = Elsewhere::new(3, &ShLight::constant(Vec3::splat(0.8)));
        let looks = head.looks(UNKNOWN_IRIS);
        let vertices = &head.template.positions;
        let view = elsewhere.view(&head, vertices, &network);
        let evaluate = |maps: &SurfaceMaps| {
            let mut loss = 0.0;
            let judge = |chip: &[Vec3]| {
                let (value, gradient) = smooth_loss(chip, network.side());
                loss = value;
                Ok::<_, Infallible>((value as f32, gradient))
            };
            let Ok((_, gradients)) = elsewhere.loss(&head, (vertices, maps, &looks), view, judge);
            (loss, gradients)
        };
        let check = |what: &str, found: f32, step: f32, change: &dyn Fn(&mut SurfaceMaps, f32)| {
            assert!(found.abs() > 1e-2, "the direction matters: {found}");
            assert_slope(what, found, found.abs(), step, |step| {
                let mut maps = maps();
                change(&mut maps, step);
                evaluate(&maps).0
            });
        };
        let (_, gradients) = evaluate(&maps());
        let along = |texel: usize, channel: usize| wave(texel, channel as f32);
        let product = |gradient: &[f32], channels: usize| {
            let terms = gradient.iter().enumerate();
            terms.map(|(i, gradient)| f64::from(gradient * along(i / channels, i % channels))).sum::<f64>() as f32
        };
        let shift = |values: &mut [f32], channels: usize, step: f32| {
            let values = values.iter_mut().enumerate();
            values.for_each(|(i, value)| *value += step * along(i / channels, i % channels));
        };
        check("diffuse", product(gradients.diffuse.as_flattened(), 3), 0.02, &|maps, step| {
            shift(maps.diffuse.as_flattened_mut(), 3, step);
        });
        check("specular", product(&gradients.specular, 1), 0.005, &|maps, step| {
            shift(&mut maps.specular, 1, step);
        });
        check("normals", product(gradients.normals.as_flattened(), 3), 0.02, &|maps, step| {
            shift(maps.normals.as_flattened_mut(), 3, step);
        });
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
