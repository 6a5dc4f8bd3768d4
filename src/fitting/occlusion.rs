//! How much of the light around reaches each vertex of a head.

use std::f32::consts::PI;

use bevy::math::{Quat, Vec3};

use super::render::{Geometry, PartLook, Rays, Surface, View, Visibility};

/// Directions from which the head is looked at.
const DIRECTIONS: usize = 48;

/// Pixels along each side of such a look.
const SIDE: usize = 160;

/// Distance of these cameras, in metres: their rays are close to parallel.
const DISTANCE: f32 = 8.0;

/// Half the extent of what they see, in metres.
const EXTENT: f32 = 0.17;

/// What may lie before a vertex without hiding it, in metres.
const TOLERANCE: f32 = 0.002;

/// The share of a uniform light around that reaches each vertex, weighted by the cosine to its normal (ambient
/// occlusion), 0 to 1; 1 is an open surface.
pub fn ambient(surface: &Surface, geometry: &Geometry, looks: &[PartLook]) -> Vec<f32> {
    let vertices = geometry.vertices();
    let centre = vertices.iter().sum::<Vec3>() / vertices.len().max(1) as f32;
    let mut sums = vec![[0.0_f32; 2]; vertices.len()];
    for index in 0..DIRECTIONS {
        let direction = fibonacci(index);
        let rotation = Quat::from_rotation_arc(direction, Vec3::Z);
        let rays = Rays::perspective(2.0 * (EXTENT / DISTANCE).atan(), SIDE, SIDE);
        let translation = rotation * -centre - DISTANCE * Vec3::Z;
        let view = View { rotation, translation, rays, width: SIDE, height: SIDE, supersampling: 1 };
        let visibility = Visibility::new(surface, vertices, looks, &view);
        for ((sum, &vertex), normal) in sums.iter_mut().zip(vertices).zip(geometry.normals()) {
            let cosine = normal.dot(direction);
            if cosine <= 0.0 {
                continue;
            }
            sum[1] += cosine;
            if is_visible(surface, vertices, &view, &visibility, vertex) {
                sum[0] += cosine;
            }
        }
    }
    sums.into_iter().map(|[lit, all]| if all > 0.0 { lit / all } else { 1.0 }).collect()
}

/// Whether nothing lies before a vertex. Vertices beyond the view's border are.
fn is_visible(surface: &Surface, vertices: &[Vec3], view: &View, visibility: &Visibility, vertex: Vec3) -> bool {
    let Some(place) = view.project(vertex) else { return true };
    let (x, y) = (place.x.round(), place.y.round());
    if x < 0.0 || y < 0.0 || x >= SIDE as f32 || y >= SIDE as f32 {
        return true;
    }
    let triangle = visibility.triangles()[y as usize * SIDE + x as usize];
    if triangle == Visibility::NONE {
        return true;
    }
    let corners = surface.triangle(triangle as usize).map(|corner| view.to_view(vertices[corner]));
    let normal = (corners[1] - corners[0]).cross(corners[2] - corners[0]);
    let ray = view.rays.at(place.x, place.y);
    // Where the triangle's plane meets the ray, as a depth.
    let depth = -(corners[0].dot(normal) / ray.dot(normal)) * ray.z;
    -view.to_view(vertex).z - depth < TOLERANCE || !depth.is_finite()
}

/// Points that are spread evenly over the sphere.
fn fibonacci(index: usize) -> Vec3 {
    let y = 1.0 - (2 * index + 1) as f32 / DIRECTIONS as f32;
    let turn = index as f32 * PI * (3.0 - 5.0_f32.sqrt());
    let radius = (1.0 - y * y).sqrt();
    Vec3::new(radius * turn.cos(), y, radius * turn.sin())
}
