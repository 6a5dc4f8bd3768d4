//! What the renderer needs of a template head, derived once, and how its parts look.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use bevy::math::{Vec2, Vec3};

use super::Texels;
use crate::bundle::TemplateHead;

/// How a part of the head looks.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum PartLook {
    /// Diffuse albedo, specular albedo and normals of the scene's maps.
    Skin,
    /// A diffuse surface with a texture.
    Texture(Texels),
    /// A diffuse surface of one linear reflectance, RGB.
    Flat(Vec3),
    /// Not there at all.
    #[default]
    Hidden,
}

/// Topology and texture layout of a head.
///
/// Vertices that a texture seam doubled share their normal: those of the same part at the same place of the template.
/// Of triangles with the same corners, which make both sides of a surface visible, the first alone counts for normals;
/// both sides are shaded as the first one. This is how the avatar's meshes are made, too.
#[derive(Clone, Debug, PartialEq)]
pub struct Surface {
    pub(super) triangles: Vec<[u16; 3]>,
    pub(super) uv: Vec<Vec2>,
    /// The first vertex at the same place, for each vertex.
    pub(super) welded: Vec<u16>,
    /// Triangles that count for normals, rising.
    pub(super) smoothed: Vec<u32>,
    /// Part of each triangle; [`NO_PART`] is none.
    pub(super) parts: Vec<u16>,
    /// 1 where the texture is not mirrored when it is seen from outside, −1 where it is, for each triangle.
    pub(super) handedness: Vec<f32>,
}

/// A triangle that belongs to no part.
const NO_PART: u16 = u16::MAX;

impl Surface {
    /// That of a template head.
    pub fn new(head: &TemplateHead) -> Self {
        let range = |[first, count]: [usize; 2]| first..first + count;
        let parts: Vec<_> = head.parts.iter().map(|part| [range(part.vertices), range(part.triangles)]).collect();
        Self::from_parts(&head.positions, &head.triangles, &head.uv, &parts)
    }

    /// That of a mesh in the template's layout; `parts` are ranges of vertices and of triangles.
    pub(super) fn from_parts(
        positions: &[Vec3],
        triangles: &[[u16; 3]],
        uv: &[Vec2],
        parts: &[[Range<usize>; 2]],
    ) -> Self {
        let mut welded: Vec<u16> = (0..positions.len()).map(|index| index as u16).collect();
        let mut part_of = vec![NO_PART; triangles.len()];
        let mut smoothed = Vec::with_capacity(triangles.len());
        for (part, [vertices, faces]) in parts.iter().enumerate() {
            let mut first = HashMap::with_capacity(vertices.len());
            for vertex in vertices.clone() {
                let place = positions[vertex].to_array().map(f32::to_bits);
                welded[vertex] = *first.entry(place).or_insert(vertex as u16);
            }
            let mut seen = HashSet::with_capacity(faces.len());
            for face in faces.clone() {
                part_of[face] = part as u16;
                let mut corners = triangles[face];
                corners.sort_unstable();
                if seen.insert(corners) {
                    smoothed.push(face as u32);
                }
            }
        }
        let handedness = triangles.iter().map(|corners| {
            // Texture rows run down, so that a triangle that is counter-clockwise in space is clockwise here.
            if uv_area(corners.map(|corner| uv[usize::from(corner)])) > 0.0 { -1.0 } else { 1.0 }
        });
        let handedness = handedness.collect();
        Self { triangles: triangles.to_vec(), uv: uv.to_vec(), welded, smoothed, parts: part_of, handedness }
    }

    /// Number of vertices.
    pub fn vertex_count(&self) -> usize {
        self.uv.len()
    }

    /// Corners of a triangle, counter-clockwise from outside.
    ///
    /// # Panics
    /// When there is no such triangle.
    pub fn triangle(&self, triangle: usize) -> [usize; 3] {
        self.corners(triangle)
    }

    /// Corners of a triangle.
    #[inline]
    pub(super) fn corners(&self, triangle: usize) -> [usize; 3] {
        self.triangles[triangle].map(usize::from)
    }

    /// How a triangle looks, one look for each part.
    #[inline]
    pub(super) fn look<'a>(&self, triangle: usize, looks: &'a [PartLook]) -> &'a PartLook {
        looks.get(usize::from(self.parts[triangle])).unwrap_or(&PartLook::Hidden)
    }
}

/// Twice the signed area in texture coordinates, positive where they are counter-clockwise with v up, as numbers go.
pub(super) fn uv_area([a, b, c]: [Vec2; 3]) -> f32 {
    (b - a).perp_dot(c - a)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seams_are_welded_within_their_part() {
        let positions = [Vec3::ZERO, Vec3::X, Vec3::Y, Vec3::X, Vec3::ZERO, Vec3::Z, Vec3::ZERO];
        let triangles = [[0, 1, 2], [3, 4, 2], [2, 1, 0], [4, 5, 6]];
        let uv = [Vec2::ZERO, Vec2::Y, Vec2::X, Vec2::ZERO, Vec2::X, Vec2::Y, Vec2::ONE];
        let surface = Surface::from_parts(&positions, &triangles, &uv, &[[0..5, 0..3], [5..7, 3..4]]);
        assert_eq!(surface.welded, [0, 1, 2, 1, 0, 5, 6]);
        assert_eq!(surface.smoothed, [0, 1, 3], "the back of the first triangle does not count");
        assert_eq!(surface.parts, [0, 0, 0, 1]);
        assert_eq!(surface.handedness[..3], [1.0, 1.0, -1.0]);
        assert_eq!(surface.look(3, &[PartLook::Skin]), &PartLook::Hidden, "parts without a look are hidden");
    }
}
