//! The head's parts as Bevy meshes: positions, normals, tangents, and the morph targets of all blendshapes.

use std::collections::{HashMap, HashSet};

use bevy::{
    asset::RenderAssetUsages,
    camera::primitives::Aabb,
    math::{Vec2, Vec3},
    mesh::{Indices, Mesh, PrimitiveTopology, morph::MorphAttributes},
};

use super::shade::Shade;
use crate::bundle::{TemplateHead, TemplatePart};

/// A part of the head, ready to be uploaded.
#[derive(Debug)]
pub(crate) struct PartMesh {
    /// Triangles with positions, normals, texture coordinates and, where anything of the part moves, the morph targets
    /// of all blendshapes in the template's order. Tangents where the part has a texture layout. Colours where other
    /// parts shade it, as the mouth does the teeth.
    pub mesh: Mesh,
    /// Holds the part under every set of blendshape weights from 0 to 1.
    pub bounds: Aabb,
    /// Whether expressions move it.
    pub morphs: bool,
    /// Whether both sides of its triangles are seen.
    pub two_sided: bool,
}

/// Builds the mesh of one part.
///
/// `vertices` are those of the whole head in metres, in the template's order; `shade` is made of them.
pub(crate) fn part_mesh(head: &TemplateHead, part: &TemplatePart, vertices: &[Vec3], shade: &Shade) -> PartMesh {
    let [first, count] = part.vertices;
    let range = first..first + count;
    let positions = &vertices[range.clone()];
    let uv = &head.uv[range.clone()];
    let (triangles, two_sided) = local_triangles(head, part);
    let welded = weld(&head.positions[range.clone()]);
    let normals = smooth_normals(positions, &triangles, &welded);

    let mut mesh = Mesh::new(PrimitiveTopology::TriangleList, RenderAssetUsages::RENDER_WORLD)
        .with_inserted_attribute(Mesh::ATTRIBUTE_POSITION, to_arrays(positions))
        .with_inserted_attribute(Mesh::ATTRIBUTE_NORMAL, to_arrays(&normals))
        .with_inserted_attribute(Mesh::ATTRIBUTE_UV_0, uv.iter().map(Vec2::to_array).collect::<Vec<_>>())
        .with_inserted_indices(Indices::U32(triangles.iter().flatten().map(|&index| index as u32).collect()));
    if has_layout(uv) {
        // It fails on meshes without triangles, normals or texture coordinates alone.
        let _ = mesh.generate_tangents();
    }
    let light = positions.iter().zip(&normals);
    let light = light.map(|(&position, &normal)| shade.light(&part.material, position, normal));
    if let Some(light) = light.collect::<Option<Vec<Vec3>>>() {
        let colours: Vec<_> = light.into_iter().map(|light| light.extend(1.0).to_array()).collect();
        mesh.insert_attribute(Mesh::ATTRIBUTE_COLOR, colours);
    }

    let offsets = part_offsets(head, range);
    let morphs = offsets.iter().any(|offsets| !offsets.is_empty());
    if morphs {
        let targets =
            offsets.iter().flat_map(|offsets| morph_target(offsets, positions, &normals, &triangles, &welded));
        mesh.set_morph_targets(targets.collect());
        mesh.set_morph_target_names(head.blendshapes.iter().map(|shape| shape.name.clone()).collect());
    }
    PartMesh { mesh, bounds: bounds(positions, &offsets), morphs, two_sided }
}

/// Triangles of the part with corners counted from its first vertex, and whether some of them came with both
/// orientations. Of such a pair the first is kept: normals of both would cancel out.
fn local_triangles(head: &TemplateHead, part: &TemplatePart) -> (Vec<[usize; 3]>, bool) {
    let [first_vertex, _] = part.vertices;
    let [first, count] = part.triangles;
    let mut seen = HashSet::with_capacity(count);
    let mut triangles = Vec::with_capacity(count);
    for corners in &head.triangles[first..first + count] {
        let mut key = *corners;
        key.sort_unstable();
        if seen.insert(key) {
            triangles.push(corners.map(|corner| usize::from(corner) - first_vertex));
        }
    }
    let two_sided = triangles.len() < count;
    (triangles, two_sided)
}

/// The first vertex at the same place, for each vertex: those that a texture seam doubled share their normal.
fn weld(positions: &[Vec3]) -> Vec<usize> {
    let mut first = HashMap::with_capacity(positions.len());
    positions
        .iter()
        .enumerate()
        .map(|(index, position)| *first.entry(position.to_array().map(f32::to_bits)).or_insert(index))
        .collect()
}

/// Unit normals, averaged over the triangles around each place by their area.
fn smooth_normals(positions: &[Vec3], triangles: &[[usize; 3]], welded: &[usize]) -> Vec<Vec3> {
    let mut sums = vec![Vec3::ZERO; positions.len()];
    for &[a, b, c] in triangles {
        let normal = (positions[b] - positions[a]).cross(positions[c] - positions[a]);
        for corner in [a, b, c] {
            sums[welded[corner]] += normal;
        }
    }
    welded.iter().map(|&first| sums[first].try_normalize().unwrap_or(Vec3::Z)).collect()
}

/// Whether the part's texture coordinates span an area.
fn has_layout(uv: &[Vec2]) -> bool {
    let least = uv.iter().copied().reduce(Vec2::min).unwrap_or_default();
    let most = uv.iter().copied().reduce(Vec2::max).unwrap_or_default();
    (most - least).min_element() > 0.0
}

/// Offsets of each blendshape that lie in the part: vertex, counted from the part's first, and metres at weight 1.
fn part_offsets(head: &TemplateHead, range: std::ops::Range<usize>) -> Vec<Vec<(usize, Vec3)>> {
    head.blendshapes
        .iter()
        .map(|shape| {
            let moved = shape.vertices.iter().map(|&vertex| usize::from(vertex)).zip(&shape.offsets);
            moved
                .filter(|(vertex, _)| range.contains(vertex))
                .map(|(vertex, &offset)| (vertex - range.start, offset))
                .collect()
        })
        .collect()
}

/// Differences of positions and normals at weight 1, for every vertex of the part.
fn morph_target(
    offsets: &[(usize, Vec3)],
    positions: &[Vec3],
    normals: &[Vec3],
    triangles: &[[usize; 3]],
    welded: &[usize],
) -> Vec<MorphAttributes> {
    let mut target = vec![MorphAttributes::default(); positions.len()];
    if offsets.is_empty() {
        return target;
    }
    let mut moved = positions.to_vec();
    for &(vertex, offset) in offsets {
        moved[vertex] += offset;
        target[vertex].position = offset;
    }
    let turned = smooth_normals(&moved, triangles, welded);
    for ((attributes, turned), normal) in target.iter_mut().zip(turned).zip(normals) {
        attributes.normal = turned - *normal;
    }
    target
}

/// The box that holds every vertex under all weights from 0 to 1.
fn bounds(positions: &[Vec3], offsets: &[Vec<(usize, Vec3)>]) -> Aabb {
    let mut low = positions.to_vec();
    let mut high = positions.to_vec();
    for &(vertex, offset) in offsets.iter().flatten() {
        low[vertex] += offset.min(Vec3::ZERO);
        high[vertex] += offset.max(Vec3::ZERO);
    }
    Aabb::from_min_max(
        low.into_iter().reduce(Vec3::min).unwrap_or_default(),
        high.into_iter().reduce(Vec3::max).unwrap_or_default(),
    )
}

fn to_arrays(vectors: &[Vec3]) -> Vec<[f32; 3]> {
    vectors.iter().map(Vec3::to_array).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An octahedron, its six corners at distance 1.
    fn octahedron() -> (Vec<Vec3>, Vec<[usize; 3]>) {
        let positions = vec![Vec3::X, Vec3::Y, Vec3::Z, Vec3::NEG_X, Vec3::NEG_Y, Vec3::NEG_Z];
        let upper = [[0, 1, 2], [1, 3, 2], [3, 4, 2], [4, 0, 2]];
        let lower = upper.map(|[a, b, _]| [b, a, 5]);
        (positions, upper.into_iter().chain(lower).collect())
    }

    #[test]
    fn normals_of_an_octahedron_point_away_from_its_centre() {
        let (positions, triangles) = octahedron();
        let normals = smooth_normals(&positions, &triangles, &weld(&positions));
        for (normal, position) in normals.iter().zip(&positions) {
            assert!(normal.distance(*position) < 1e-6, "{normal} at {position}");
        }
    }

    #[test]
    fn vertices_at_one_place_share_their_normal() {
        // Two triangles at a right angle that do not share their two common corners.
        let positions = vec![Vec3::ZERO, Vec3::Y, Vec3::X, Vec3::Y, Vec3::ZERO, Vec3::Z];
        let triangles = [[0, 2, 1], [4, 3, 5]];
        let welded = weld(&positions);
        assert_eq!(welded, [0, 1, 2, 1, 0, 5]);
        let normals = smooth_normals(&positions, &triangles, &welded);
        assert_eq!(normals[0], normals[4]);
        assert_eq!(normals[1], normals[3]);
        assert!(normals[0].distance(Vec3::new(1.0, 0.0, 1.0).normalize()) < 1e-6, "{}", normals[0]);
    }

    #[test]
    fn a_vertex_without_triangles_has_a_normal_all_the_same() {
        assert_eq!(smooth_normals(&[Vec3::X], &[], &[0]), [Vec3::Z]);
    }

    #[test]
    fn a_morph_target_turns_the_normals_along() {
        let (positions, triangles) = octahedron();
        let welded = weld(&positions);
        let normals = smooth_normals(&positions, &triangles, &welded);
        let offsets = [(2, Vec3::new(0.0, 0.3, 0.2))];
        let target = morph_target(&offsets, &positions, &normals, &triangles, &welded);
        let mut moved = positions.clone();
        moved[2] += offsets[0].1;
        let expected = smooth_normals(&moved, &triangles, &welded);
        for (vertex, attributes) in target.iter().enumerate() {
            assert!((normals[vertex] + attributes.normal).distance(expected[vertex]) < 1e-6);
            assert!(attributes.position.distance(moved[vertex] - positions[vertex]) < 1e-6);
        }
    }

    #[test]
    fn bounds_hold_sums_of_offsets() {
        let positions = [Vec3::ZERO, Vec3::ONE];
        let offsets = [vec![(1, Vec3::X)], vec![(1, Vec3::X), (0, Vec3::NEG_Y)], vec![]];
        let bounds = bounds(&positions, &offsets);
        assert_eq!(Vec3::from(bounds.min()), Vec3::new(0.0, -1.0, 0.0));
        assert_eq!(Vec3::from(bounds.max()), Vec3::new(3.0, 1.0, 1.0));
    }
}
