//! The head's parts as nodes with meshes.

use bevy::{
    math::{Vec3, Vec4},
    mesh::{Mesh, MeshVertexAttribute, VertexAttributeValues},
};
use gltf_json::{
    Index, Node,
    accessor::Type,
    material::Material,
    mesh::{self, Primitive, Semantic},
    validation::Checked::Valid,
};
use serde_json::{json, value::to_raw_value};

use super::{
    document::Document,
    targets::{bounds, morph_targets},
};

/// Adds a part. Tangents are left out where no normal texture needs them; `weights` are those at rest of its morph
/// targets, if it has any.
pub(super) fn part_node(
    document: &mut Document,
    name: &str,
    mesh: &Mesh,
    material: Index<Material>,
    tangents: bool,
    weights: &[f32],
) -> Index<Node> {
    let mut attributes = Vec::new();
    let positions = vectors3(mesh, Mesh::ATTRIBUTE_POSITION);
    let normals = vectors3(mesh, Mesh::ATTRIBUTE_NORMAL);
    let bounds = bounds(positions.iter().copied());
    attributes.push((Semantic::Positions, document.vectors(positions, Type::Vec3, Some(bounds))));
    attributes.push((Semantic::Normals, document.vectors(normals, Type::Vec3, None)));
    if let Some(VertexAttributeValues::Float32x2(uv)) = mesh.attribute(Mesh::ATTRIBUTE_UV_0) {
        attributes.push((Semantic::TexCoords(0), document.vectors(uv, Type::Vec2, None)));
    }
    if let Some(VertexAttributeValues::Float32x4(values)) = mesh.attribute(Mesh::ATTRIBUTE_TANGENT)
        && tangents
    {
        let values: Vec<_> =
            values.iter().zip(normals).map(|(tangent, normal)| unit_tangent(*tangent, *normal)).collect();
        attributes.push((Semantic::Tangents, document.vectors(&values, Type::Vec4, None)));
    }
    if let Some(VertexAttributeValues::Float32x4(colours)) = mesh.attribute(Mesh::ATTRIBUTE_COLOR) {
        // Opaque all over.
        let colours: Vec<_> = colours.iter().map(|&[red, green, blue, _]| [red, green, blue]).collect();
        attributes.push((Semantic::Colors(0), document.vectors(&colours, Type::Vec3, None)));
    }
    let corners: Vec<u32> =
        mesh.indices().into_iter().flat_map(|indices| indices.iter()).map(|index| index as u32).collect();
    let indices = document.indices(&corners, positions.len());
    let targets = mesh.get_morph_targets().map(|differences| morph_targets(document, differences, positions.len()));

    let names = mesh.morph_target_names().map(|names| json!({ "targetNames": names }));
    let mesh = document.root.push(mesh::Mesh {
        name: Some(name.to_owned()),
        weights: targets.as_ref().map(|targets| at_rest(weights, targets.len())),
        extras: names.map(|names| to_raw_value(&names).expect("names are text")),
        primitives: vec![Primitive {
            attributes: attributes.into_iter().map(|(semantic, accessor)| (Valid(semantic), accessor)).collect(),
            indices: Some(indices),
            material: Some(material),
            mode: Valid(mesh::Mode::Triangles),
            targets,
            extensions: None,
            extras: Default::default(),
        }],
        extensions: None,
    });
    document.root.push(Node { name: Some(name.to_owned()), mesh: Some(mesh), ..Default::default() })
}

/// Vectors of each vertex; none where the mesh has other ones or none.
fn vectors3(mesh: &Mesh, attribute: MeshVertexAttribute) -> &[[f32; 3]] {
    mesh.attribute(attribute).and_then(VertexAttributeValues::as_float3).unwrap_or_default()
}

/// A tangent of unit length and its side, also for a vertex that no triangle with an area uses.
fn unit_tangent([x, y, z, side]: [f32; 4], normal: [f32; 3]) -> [f32; 4] {
    let tangent = Vec3::new(x, y, z).try_normalize();
    let tangent = tangent.unwrap_or_else(|| Vec3::from_array(normal).any_orthonormal_vector());
    Vec4::from((tangent, if side < 0.0 { -1.0 } else { 1.0 })).to_array()
}

/// As many weights as there are targets; those that are not given are 0.
fn at_rest(weights: &[f32], targets: usize) -> Vec<f32> {
    weights.iter().copied().chain(std::iter::repeat(0.0)).take(targets).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tangents_are_of_unit_length_whatever_they_were() {
        let normal = [0.0, 0.6, 0.8];
        assert_eq!(unit_tangent([0.0, 4.0, 0.0, -1.0], normal), [0.0, 1.0, 0.0, -1.0]);
        for broken in [[0.0; 4], [f32::NAN; 4]] {
            let [x, y, z, side] = unit_tangent(broken, normal);
            let tangent = Vec3::new(x, y, z);
            assert!(tangent.is_normalized() && tangent.dot(Vec3::from_array(normal)).abs() < 1e-6, "{tangent}");
            assert_eq!(side, 1.0);
        }
    }
}
