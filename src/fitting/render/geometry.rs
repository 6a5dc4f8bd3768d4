//! The shape that is rendered: vertices with their normals and tangents, and the gradient of normals by vertices.

use bevy::math::{Vec2, Vec3};

use super::{Surface, surface::uv_area};

/// A head's vertices with what shading derives from them.
///
/// Normals are those of the avatar's meshes: sums over the triangles around a place by their area, of unit length.
/// Tangents run along u, means over a vertex's triangles by their area in the texture; where MikkTSpace weighs them by
/// angle instead, the difference is a turn around the normal by a fraction of a texel. They count as constants in every
/// gradient.
#[derive(Clone, Debug, PartialEq)]
pub struct Geometry {
    pub(super) vertices: Vec<Vec3>,
    pub(super) normals: Vec<Vec3>,
    pub(super) tangents: Vec<Vec3>,
}

impl Geometry {
    /// That of a head's `vertices` in head space, in metres, in the template's order.
    ///
    /// # Panics
    /// When there are not as many vertices as the surface has.
    pub fn new(surface: &Surface, vertices: Vec<Vec3>) -> Self {
        let tangents = tangents(surface, &vertices);
        Self::with_tangents(surface, vertices, tangents)
    }

    /// The head with other vertices and the same tangents: what gradients by vertices are about.
    ///
    /// # Panics
    /// When there are not as many vertices as the surface has.
    pub fn moved(&self, surface: &Surface, vertices: Vec<Vec3>) -> Self {
        Self::with_tangents(surface, vertices, self.tangents.clone())
    }

    fn with_tangents(surface: &Surface, vertices: Vec<Vec3>, tangents: Vec<Vec3>) -> Self {
        assert_eq!(vertices.len(), surface.vertex_count(), "one place for each vertex of the surface");
        let sums = normal_sums(surface, &vertices);
        let normals = surface.welded.iter().map(|&first| unit(sums[usize::from(first)])).collect();
        Self { vertices, normals, tangents }
    }

    /// Vertices in head space, in metres.
    pub fn vertices(&self) -> &[Vec3] {
        &self.vertices
    }

    /// Unit normals of the vertices in head space.
    pub fn normals(&self) -> &[Vec3] {
        &self.normals
    }

    /// Adds to the gradient by the vertices what that by their normals contributes.
    pub(super) fn add_normal_gradient(&self, surface: &Surface, normals: &[Vec3], vertices: &mut [Vec3]) {
        let sums = normal_sums(surface, &self.vertices);
        let mut welded = vec![Vec3::ZERO; sums.len()];
        for (&first, &gradient) in surface.welded.iter().zip(normals) {
            welded[usize::from(first)] += gradient;
        }
        for (gradient, &sum) in welded.iter_mut().zip(&sums) {
            *gradient = unit_gradient(sum, *gradient);
        }
        for &triangle in &surface.smoothed {
            let [a, b, c] = surface.corners(triangle as usize);
            let gradient = [a, b, c].map(|corner| welded[usize::from(surface.welded[corner])]);
            let gradient = gradient[0] + gradient[1] + gradient[2];
            let (right, left) = (self.vertices[b] - self.vertices[a], self.vertices[c] - self.vertices[a]);
            let (of_right, of_left) = (left.cross(gradient), gradient.cross(right));
            vertices[a] -= of_right + of_left;
            vertices[b] += of_right;
            vertices[c] += of_left;
        }
    }
}

/// The sum of the triangles' normals, each as long as twice its area, at the first vertex of each place.
fn normal_sums(surface: &Surface, vertices: &[Vec3]) -> Vec<Vec3> {
    let mut sums = vec![Vec3::ZERO; vertices.len()];
    for &triangle in &surface.smoothed {
        let [a, b, c] = surface.corners(triangle as usize);
        let normal = (vertices[b] - vertices[a]).cross(vertices[c] - vertices[a]);
        for corner in [a, b, c] {
            sums[usize::from(surface.welded[corner])] += normal;
        }
    }
    sums
}

/// The direction of a normal, forward where it has none.
fn unit(sum: Vec3) -> Vec3 {
    sum.try_normalize().unwrap_or(Vec3::Z)
}

/// The gradient by a vector from that by its direction; none where it has no direction.
fn unit_gradient(vector: Vec3, gradient: Vec3) -> Vec3 {
    let Some(direction) = vector.try_normalize() else { return Vec3::ZERO };
    (gradient - direction * direction.dot(gradient)) * vector.length_recip()
}

/// Directions in which u grows, of unit length; zero where a vertex has no texture around.
fn tangents(surface: &Surface, vertices: &[Vec3]) -> Vec<Vec3> {
    let mut sums = vec![Vec3::ZERO; vertices.len()];
    for &triangle in &surface.smoothed {
        let corners = surface.corners(triangle as usize);
        let [a, b, c] = corners.map(|corner| vertices[corner]);
        let uv: [Vec2; 3] = corners.map(|corner| surface.uv[corner]);
        // ∂P/∂u times the area in the texture.
        let along = (b - a) * (uv[2].y - uv[0].y) - (c - a) * (uv[1].y - uv[0].y);
        let tangent = along * uv_area(uv).signum();
        for corner in corners {
            sums[corner] += tangent;
        }
    }
    sums.into_iter().map(Vec3::normalize_or_zero).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fitting::slope::assert_slope;

    /// A pyramid without a base on a square of the texture, u right and v down, seen from +Z. The texture seam doubles
    /// its first corner.
    fn pyramid() -> (Surface, Vec<Vec3>) {
        let corners = [[-1.0, 1.0, 0.0], [-1.0, -1.0, 0.0], [1.0, -1.0, 0.0], [1.0, 1.0, 0.0], [0.2, 0.1, 1.0]];
        let mut positions = corners.map(Vec3::from_array).to_vec();
        let mut uv: Vec<Vec2> = positions.iter().map(|place| 0.5 + 0.5 * Vec2::new(place.x, -place.y)).collect();
        positions.push(positions[0]);
        uv.push(uv[0]);
        let triangles = [[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 5, 4]];
        let vertices = positions.len();
        (Surface::from_parts(&positions, &triangles, &uv, &[[0..vertices, 0..4]]), positions)
    }

    #[test]
    fn normals_sum_over_the_triangles_around_a_place() {
        let (surface, positions) = pyramid();
        let geometry = Geometry::new(&surface, positions.clone());
        assert_eq!(geometry.normals[0], geometry.normals[5], "the seam has one normal");
        let face = |a: usize, b: usize| (positions[b] - positions[a]).cross(positions[4] - positions[a]);
        let expected = (face(0, 1) + face(3, 0)).normalize();
        assert!(geometry.normals[0].distance(expected) < 1e-6, "{} is not {expected}", geometry.normals[0]);
    }

    #[test]
    fn tangents_run_to_the_right_of_the_texture() {
        let (surface, positions) = pyramid();
        assert_eq!(surface.handedness, [1.0; 4]);
        let flat = positions.iter().map(|place| place.with_z(0.0)).collect();
        for tangent in Geometry::new(&surface, flat).tangents {
            assert!(tangent.distance(Vec3::X) < 1e-6, "{tangent}");
        }
    }

    #[test]
    fn gradients_of_normals_by_vertices_are_central_differences() {
        let (surface, positions) = pyramid();
        let seeds: Vec<Vec3> = (0..6)
            .map(|index| {
                let index = index as f32;
                Vec3::new((2.0 * index).sin(), (3.0 * index + 1.0).cos(), (5.0 * index).sin())
            })
            .collect();
        let mut gradient = vec![Vec3::ZERO; 6];
        let geometry = Geometry::new(&surface, positions.clone());
        geometry.add_normal_gradient(&surface, &seeds, &mut gradient);
        for vertex in 0..6 {
            for axis in Vec3::AXES {
                let (found, size) = (gradient[vertex].dot(axis), gradient[vertex].length());
                assert_slope("vertex", found, size, 1e-2, |offset| {
                    let mut moved = positions.clone();
                    moved[vertex] += offset * axis;
                    let normals = geometry.moved(&surface, moved).normals;
                    normals.iter().zip(&seeds).map(|(normal, seed)| f64::from(normal.dot(*seed))).sum()
                });
            }
        }
    }

    #[test]
    fn a_vertex_without_triangles_has_a_normal_and_no_gradient() {
        let surface = Surface::from_parts(&[Vec3::X], &[], &[Vec2::ZERO], &[[0..1, 0..0]]);
        let geometry = Geometry::new(&surface, vec![Vec3::X]);
        assert_eq!((geometry.normals[0], geometry.tangents[0]), (Vec3::Z, Vec3::ZERO));
        let mut gradient = [Vec3::ZERO];
        geometry.add_normal_gradient(&surface, &[Vec3::ONE], &mut gradient);
        assert_eq!(gradient, [Vec3::ZERO]);
    }
}
