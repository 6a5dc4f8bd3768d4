//! Which triangle each sample sees.

use bevy::math::{Mat3, Vec3};
use rayon::prelude::*;

use super::{PartLook, Rays, Surface, View};

/// What is nearer to the camera's plane is not seen, in metres, and neither is a triangle that reaches there.
const NEAREST: f32 = 1e-3;

/// Rows of samples that are filled together.
const BAND: usize = 16;

/// The nearest triangle of each sample.
///
/// It is found apart from shading, and shading and its gradient take it as it is: a gradient describes what happens
/// while every sample goes on seeing its triangle. What outlines gain and lose is not part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visibility {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) triangles: Vec<u32>,
}

/// A triangle that faces the camera and may cover samples.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    triangle: u32,
    /// First column and row of samples, and those after the last.
    first: [u32; 2],
    end: [u32; 2],
    /// Volumes of the barycentric coordinates, negated: per column, per row, and at the first sample.
    edges: [Vec3; 3],
    /// Inverse of the depth along the rays, in the same form, and its bounds.
    nearness: Vec3,
    bounds: [f32; 2],
}

impl Visibility {
    /// Samples that see no triangle.
    pub const NONE: u32 = u32::MAX;

    /// Finds what each sample of a view sees: of the triangles whose outside faces the camera, the nearest one. `looks`
    /// are those of the parts in order; hidden parts do not hide what is behind them.
    ///
    /// `vertices` are in head space, in metres. Triangles that reach behind the camera are left out.
    pub fn new(surface: &Surface, vertices: &[Vec3], looks: &[PartLook], view: &View) -> Self {
        let [width, height] = view.samples();
        let mut triangles = vec![Self::NONE; width * height];
        let rays = view.rays.subdivided(view.side());
        if let Some(inverse) = rays.inverse().filter(|_| !triangles.is_empty()) {
            let places = view.all_to_view(vertices);
            let setup = |triangle: usize| {
                let shown = !matches!(surface.look(triangle, looks), PartLook::Hidden);
                let corners = surface.corners(triangle);
                let candidate =
                    || Candidate::new(triangle, corners.map(|c| places[c]), &rays, &inverse, [width, height]);
                shown.then(candidate).flatten()
            };
            let candidates: Vec<Candidate> =
                (0..surface.triangles.len()).into_par_iter().with_min_len(256).filter_map(setup).collect();
            fill(&mut triangles, width, &candidates);
        }
        Self { width, height, triangles }
    }

    /// Samples in a row, and number of rows.
    pub fn size(&self) -> [usize; 2] {
        [self.width, self.height]
    }

    /// The triangle that each sample sees, row by row; [`NONE`](Self::NONE) where there is none.
    pub fn triangles(&self) -> &[u32] {
        &self.triangles
    }

    /// A row of samples.
    pub(super) fn row(&self, row: usize) -> &[u32] {
        &self.triangles[row * self.width..(row + 1) * self.width]
    }
}

impl Candidate {
    /// `None` when the triangle covers no sample, or its outside does not face the camera.
    fn new(triangle: usize, corners: [Vec3; 3], rays: &Rays, inverse: &Mat3, size: [usize; 2]) -> Option<Self> {
        let [a, b, c] = corners;
        let normal = (b - a).cross(c - a);
        let volume = normal.dot(a);
        if !(volume < 0.0 && volume.is_finite() && corners.iter().all(|corner| corner.z < -NEAREST)) {
            return None;
        }
        let places = corners.map(|corner| *inverse * corner);
        if !places.iter().all(|place| place.z > 0.0) {
            return None;
        }
        let [x, y] = [0, 1].map(|axis| {
            let [a, b, c] = places.map(|place| place[axis] / place.z);
            samples_between(a.min(b).min(c), a.max(b).max(c), size[axis])
        });
        if x.0 >= x.1 || y.0 >= y.1 {
            return None;
        }
        let plane = |vector: Vec3| Vec3::new(vector.dot(rays.right), vector.dot(rays.down), vector.dot(rays.origin));
        let nearness = places.map(|place| 1.0 / place.z);
        Some(Self {
            triangle: triangle as u32,
            first: [x.0, y.0],
            end: [x.1, y.1],
            edges: [plane(edge(c, b)), plane(edge(a, c)), plane(edge(b, a))],
            nearness: plane(normal / volume),
            bounds: [nearness.into_iter().fold(f32::INFINITY, f32::min), nearness.into_iter().fold(0.0, f32::max)],
        })
    }

    /// Enters the triangle where it is nearer than what was there, into rows `rows` of samples.
    fn fill(&self, rows: std::ops::Range<usize>, width: usize, triangles: &mut [u32], nearest: &mut [f32]) {
        let top = rows.start.max(self.first[1] as usize);
        let bottom = rows.end.min(self.end[1] as usize);
        let columns = self.first[0] as usize..self.end[0] as usize;
        for row in top..bottom {
            let at_row = |plane: Vec3| plane.y * row as f32 + plane.z;
            let edges = self.edges.map(at_row);
            let nearness = at_row(self.nearness);
            let start = (row - rows.start) * width;
            for column in columns.clone() {
                let x = column as f32;
                if (0..3).all(|corner| self.edges[corner].x * x + edges[corner] >= 0.0) {
                    // Where the triangle is seen almost from the side, rounding could take it far away.
                    let here = (self.nearness.x * x + nearness).clamp(self.bounds[0], self.bounds[1]);
                    if here > nearest[start + column] {
                        nearest[start + column] = here;
                        triangles[start + column] = self.triangle;
                    }
                }
            }
        }
    }
}

/// Fills bands of rows, each with the candidates that reach into it in their order.
fn fill(triangles: &mut [u32], width: usize, candidates: &[Candidate]) {
    let bands = triangles.len().div_ceil(BAND * width);
    let mut reaching = vec![Vec::new(); bands];
    for (index, candidate) in candidates.iter().enumerate() {
        let last = (candidate.end[1] as usize - 1) / BAND;
        for band in &mut reaching[candidate.first[1] as usize / BAND..=last] {
            band.push(index as u32);
        }
    }
    triangles.par_chunks_mut(BAND * width).zip(reaching).enumerate().for_each(|(band, (triangles, reaching))| {
        let mut nearest = vec![0.0; triangles.len()];
        let rows = band * BAND..band * BAND + triangles.len() / width;
        for index in reaching {
            candidates[index as usize].fill(rows.clone(), width, triangles, &mut nearest);
        }
    });
}

/// First and past-the-end index of samples, of which there are `count`, between two places, with some margin for
/// rounding.
fn samples_between(low: f32, high: f32, count: usize) -> (u32, u32) {
    const MARGIN: f32 = 1e-2;
    let index = |place: f32| place.clamp(0.0, count as f32) as u32;
    (index((low - MARGIN).ceil()), index((high + MARGIN).floor() + 1.0))
}

/// `from` × `to`, with the digits that two long vectors close to each other would lose. Swapping the two changes the
/// sign and not a bit else, so that of two triangles at an edge one at least covers each sample on it.
fn edge(from: Vec3, to: Vec3) -> Vec3 {
    if from.to_array() < to.to_array() { from.cross(to - from) } else { -to.cross(from - to) }
}

#[cfg(test)]
mod tests {
    use bevy::math::{Quat, Vec2};

    use super::*;

    fn view(width: usize, height: usize, supersampling: usize) -> View {
        View {
            rotation: Quat::IDENTITY,
            translation: Vec3::ZERO,
            rays: Rays::perspective(0.9, width, height),
            width,
            height,
            supersampling,
        }
    }

    /// What is seen of triangles of the first part.
    fn seen(positions: &[Vec3], triangles: &[[u16; 3]], view: &View) -> Visibility {
        let uv = vec![Vec2::ZERO; positions.len()];
        let part = [0..positions.len(), 0..triangles.len()];
        let surface = Surface::from_parts(positions, triangles, &uv, &[part]);
        Visibility::new(&surface, positions, &[PartLook::Skin], view)
    }

    /// A square that faces the camera at this depth, from `low` to `high` in x and y as shares of the depth.
    fn square(low: Vec2, high: Vec2, depth: f32) -> Vec<Vec3> {
        let corners = [low, Vec2::new(high.x, low.y), high, Vec2::new(low.x, high.y)];
        corners.map(|corner| corner.extend(-1.0) * depth).to_vec()
    }

    const SQUARE: [[u16; 3]; 2] = [[0, 1, 2], [0, 2, 3]];

    #[test]
    fn a_square_covers_the_samples_between_its_edges() {
        let view = view(40, 30, 2);
        let (low, high) = (view.project(Vec3::new(-0.21, 0.13, -1.0)).unwrap(), Vec3::new(0.17, -0.23, -1.0));
        let high = view.project(high).unwrap();
        for depth in [0.1, 0.7, 30.0] {
            let corners = square(Vec2::new(-0.21, -0.23), Vec2::new(0.17, 0.13), depth);
            let found = seen(&corners, &SQUARE, &view);
            assert_eq!(found.size(), [80, 60]);
            for (index, &triangle) in found.triangles().iter().enumerate() {
                // Samples lie at quarters of a pixel.
                let place = Vec2::new((index % 80) as f32, (index / 80) as f32) * 0.5 - 0.25;
                let inside = place.cmpgt(low).all() && place.cmplt(high).all();
                assert_eq!(triangle != Visibility::NONE, inside, "{place}");
            }
        }
    }

    #[test]
    fn the_nearer_one_of_two_is_seen_in_any_order() {
        let near = square(Vec2::splat(-0.1), Vec2::splat(0.1), 0.5);
        let far = square(Vec2::splat(-0.3), Vec2::splat(0.3), 0.52);
        let view = view(31, 31, 1);
        let both = [SQUARE, SQUARE.map(|corners| corners.map(|corner| corner + 4))].concat();
        for (positions, middle) in [([near.clone(), far.clone()].concat(), 0..2), ([far, near].concat(), 2..4)] {
            let found = seen(&positions, &both, &view);
            assert!(middle.contains(&found.triangles()[15 * 31 + 15]), "{:?}", found.triangles()[15 * 31 + 15]);
            assert!(!middle.contains(&found.triangles()[15 * 31 + 8]));
        }
    }

    #[test]
    fn a_surface_has_no_holes_between_its_triangles() {
        // A bumpy sheet of tiny triangles that reaches over the whole view, close and far.
        let count = 90_u16;
        for depth in [0.05, 0.6, 20.0] {
            let mut positions = Vec::new();
            for index in 0..count * count {
                let (x, y) = (f32::from(index % count) / 45.0 - 1.0, f32::from(index / count) / 45.0 - 1.0);
                positions.push(Vec3::new(x, y, -1.0 - 0.1 * (9.0 * x).sin() * (7.0 * y).cos()) * depth);
            }
            let mut triangles = Vec::new();
            for index in (0..count * (count - 1)).filter(|index| index % count < count - 1) {
                let [a, b, c, d] = [index, index + 1, index + count, index + count + 1];
                triangles.extend([[a, b, c], [b, d, c]]);
            }
            let found = seen(&positions, &triangles, &view(200, 200, 2));
            assert!(found.triangles().iter().all(|&triangle| triangle != Visibility::NONE));
        }
    }

    #[test]
    fn backs_hidden_parts_and_what_is_behind_the_camera_are_not_seen() {
        let view = view(16, 16, 1);
        let nothing = |visibility: Visibility| visibility.triangles().iter().all(|&seen| seen == Visibility::NONE);
        let corners = square(Vec2::splat(-0.5), Vec2::splat(0.5), 1.0);
        assert!(!nothing(seen(&corners, &SQUARE, &view)));
        assert!(nothing(seen(&corners, &[[0, 2, 1], [0, 3, 2]], &view)), "from behind");
        let surface = Surface::from_parts(&corners, &SQUARE, &[Vec2::ZERO; 4], &[[0..4, 0..2]]);
        assert!(nothing(Visibility::new(&surface, &corners, &[PartLook::Hidden], &view)));
        let behind: Vec<Vec3> = corners.iter().map(|corner| corner * -1.0).collect();
        assert!(nothing(seen(&behind, &SQUARE, &view)));
        assert!(nothing(seen(&behind, &[[0, 2, 1], [0, 3, 2]], &view)));
    }

    #[test]
    fn triangles_seen_from_the_side_do_not_show_through_what_is_before_them() {
        let view = view(33, 33, 1);
        let mut positions = square(Vec2::splat(-0.5), Vec2::splat(0.5), 0.9);
        let mut triangles = SQUARE.to_vec();
        for index in 0..600_u16 {
            let wave = |factor: f32| (factor * f32::from(index) + 1.0).sin();
            // Almost in a plane with the camera and the samples of a row.
            let row = view.rays.at(0.0, f32::from(index % 33)).y;
            for corner in 0..3 {
                let (x, factor) = (wave(1.3 + corner as f32), wave(2.1 + corner as f32));
                let tilt = 1e-7 * wave(3.7 + corner as f32);
                positions.push(Vec3::new(0.4 * x, row + tilt, -1.0) * (1.5 + 0.5 * factor));
            }
            triangles.push([4 + 3 * index, 5 + 3 * index, 6 + 3 * index]);
        }
        let found = seen(&positions, &triangles, &view);
        assert!(found.triangles().iter().all(|&triangle| triangle < 2));
    }

    #[test]
    fn odd_triangles_and_views_are_survived() {
        let huge = f32::MAX;
        let positions = [Vec3::NEG_Z, Vec3::NEG_Z, Vec3::new(0.0, 1.0, -1.0), Vec3::new(huge, huge, -huge), Vec3::ZERO];
        let triangles = [[0, 1, 2], [0, 0, 0], [0, 3, 2], [3, 3, 2], [0, 2, 4], [3, 2, 4]];
        seen(&positions, &triangles, &view(16, 16, 1));
        for (width, height) in [(0, 0), (0, 5), (5, 0)] {
            assert!(seen(&positions, &triangles, &view(width, height, 2)).triangles().is_empty());
        }
        let flat = View { rays: Rays { origin: Vec3::NEG_Z, right: Vec3::X, down: Vec3::X }, ..view(4, 4, 1) };
        let nothing = seen(&square(Vec2::NEG_ONE, Vec2::ONE, 1.0), &SQUARE, &flat);
        assert_eq!(nothing.triangles(), [Visibility::NONE; 16]);
    }
}
