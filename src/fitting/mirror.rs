//! What a reading of a photo's mirror image says of the photo.

use bevy::math::{Vec2, Vec3};
use nalgebra::DMatrix;

use super::Reading;
use crate::bundle::TemplateHead;

/// How far from a landmark's mirror image its partner may be, in metres on the head and in shares of the texture's side.
const ASYMMETRY: [f32; 2] = [5e-4, 2e-3];

/// What the normal equations' diagonal is raised by, in shares of its mean: components that hardly move a landmark stay small.
const RIDGE: f64 = 1e-6;

/// Turns readings over.
#[derive(Debug)]
pub(super) struct Mirror {
    /// Coefficients of a mirrored shape by those of the shape, `[K][K]`.
    shape: Vec<Vec<f32>>,
}

impl Mirror {
    /// That of a head's shapes, by what these do to its landmarks (linear least squares). `None` when head or texture are not
    /// symmetric.
    pub fn new(head: &TemplateHead) -> Option<Self> {
        let places = head.landmark_positions(&head.positions);
        let on_texture = head.landmark_texture_places();
        let partners: Vec<usize> = places.iter().map(|place| nearest(&places, mirrored(*place))).collect();
        let symmetric = partners.iter().enumerate().all(|(landmark, &partner)| {
            let on_other_side = Vec2::new(1.0 - on_texture[landmark].x, on_texture[landmark].y);
            places[partner].distance(mirrored(places[landmark])) < ASYMMETRY[0]
                && on_texture[partner].distance(on_other_side) < ASYMMETRY[1]
        });
        let (rows, components) = (3 * places.len(), head.landmark_basis.len());
        if !symmetric || places.is_empty() || components == 0 {
            return None;
        }
        let offset = |row: usize, component: usize| head.landmark_basis[component][row / 3][row % 3];
        let mirrored_offset =
            |row: usize, component: usize| mirrored(head.landmark_basis[component][partners[row / 3]])[row % 3];
        let shapes = DMatrix::from_fn(rows, components, |row, component| f64::from(offset(row, component)));
        let wanted = DMatrix::from_fn(rows, components, |row, component| f64::from(mirrored_offset(row, component)));
        let mut normal = shapes.tr_mul(&shapes);
        let ridge = RIDGE * normal.trace() / components as f64;
        (0..components).for_each(|component| normal[(component, component)] += ridge);
        let found = normal.cholesky()?.solve(&shapes.tr_mul(&wanted));
        let row = |row: usize| (0..components).map(|column| found[(row, column)] as f32).collect();
        Some(Self { shape: (0..components).map(row).collect() })
    }

    /// A reading of the mirror image as one of the photo. It is as sure.
    pub fn turn_over(&self, mut reading: Reading) -> Reading {
        let product = |row: &Vec<f32>| row.iter().zip(&reading.shape).map(|(factor, value)| factor * value).sum();
        reading.shape = self.shape.iter().map(product).collect();
        let size = reading.size;
        let rows = reading.diffuse.chunks_exact_mut(size).chain(reading.diffuse_deviation.chunks_exact_mut(size));
        rows.for_each(<[f32]>::reverse);
        reading
    }
}

fn mirrored(point: Vec3) -> Vec3 {
    Vec3::new(-point.x, point.y, point.z)
}

/// Index of the point that is nearest to a place.
fn nearest(points: &[Vec3], place: Vec3) -> usize {
    let distances = points.iter().map(|point| point.distance_squared(place));
    distances.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::Bundle;

    fn head() -> TemplateHead {
        Bundle::open(concat!(env!("CARGO_MANIFEST_DIR"), "/models/base")).unwrap().load_head().unwrap()
    }

    fn reading(shape: Vec<f32>) -> Reading {
        let wave = |count: usize| (0..count).map(|i| 0.5 + 0.2 * (i as f32).sin()).collect();
        let shape_deviation = vec![1.0; shape.len()];
        Reading { shape, shape_deviation, size: 4, diffuse: wave(48), diffuse_deviation: wave(16) }
    }

    #[test]
    fn maps_are_turned_over() {
        let head = head();
        let before = reading(vec![0.0; head.landmark_basis.len()]);
        let after = Mirror::new(&head).unwrap().turn_over(before.clone());
        for (row, column) in (0..12).flat_map(|row| (0..4).map(move |column| (row, column))) {
            assert_eq!(after.diffuse[4 * row + column], before.diffuse[4 * row + 3 - column]);
        }
        assert_eq!(after.diffuse_deviation[4..8], [7, 6, 5, 4].map(|texel| before.diffuse_deviation[texel]));
        assert_eq!(after.shape, before.shape);
    }

    #[test]
    fn a_shape_becomes_its_mirror_image() {
        let head = head();
        let mirror = Mirror::new(&head).unwrap();
        // Components of a head that is not quite symmetric.
        let shape: Vec<f32> = (0..head.landmark_basis.len()).map(|i| (1.3 * i as f32).sin()).collect();
        let landmarks = |shape: &[f32]| -> Vec<Vec3> {
            let mut places = head.landmark_positions(&head.positions);
            for (offsets, coefficient) in head.landmark_basis.iter().zip(shape) {
                places.iter_mut().zip(offsets).for_each(|(place, offset)| *place += *coefficient * *offset);
            }
            places
        };
        let mean = head.landmark_positions(&head.positions);
        let before = landmarks(&shape);
        let after = landmarks(&mirror.turn_over(reading(shape)).shape);
        let off = |places: &[Vec3]| {
            let expected = mean.iter().map(|place| mirrored(before[nearest(&mean, mirrored(*place))]));
            places.iter().zip(expected).map(|(place, expected)| place.distance(expected)).sum::<f32>()
                / places.len() as f32
        };
        assert!(off(&after) < 1e-4, "off by {} m", off(&after));
        assert!(off(&before) > 5e-4, "the shape's own asymmetry of {} m shows", off(&before));
    }

    #[test]
    fn a_head_that_is_not_symmetric_has_no_mirror() {
        let mut head = head();
        head.uv.iter_mut().for_each(|uv| uv.x *= 0.9);
        assert!(Mirror::new(&head).is_none());
        let mut head = self::head();
        head.positions.iter_mut().filter(|place| place.x > 0.0).for_each(|place| place.z += 0.002);
        assert!(Mirror::new(&head).is_none());
    }
}
