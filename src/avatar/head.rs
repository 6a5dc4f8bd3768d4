//! A generated head as the renderer wants it: meshes and textures, made off the main thread.

use bevy::{camera::primitives::Aabb, image::Image, mesh::Mesh};

use super::{
    mesh::{PartMesh, part_mesh},
    skin::SkinTextures,
};
use crate::{bundle::TemplateEyes, pipeline::AvatarData};

/// Name of the part and material that wear the generated maps.
pub(super) const SKIN: &str = "skin";

/// Everything that a head is spawned from.
#[derive(Debug)]
pub(super) struct HeadAssets {
    pub parts: Vec<HeadPart>,
    pub skin: SkinTextures,
    pub eyes: TemplateEyes,
    /// Number of blendshapes.
    pub blendshapes: usize,
}

/// A part of the head.
#[derive(Debug)]
pub(super) struct HeadPart {
    pub name: String,
    pub material: String,
    pub mesh: Mesh,
    pub bounds: Aabb,
    pub morphs: bool,
    pub two_sided: bool,
}

impl HeadAssets {
    pub fn new(data: &AvatarData) -> Self {
        let head = &data.head;
        let parts = head.parts.iter().map(|part| {
            let PartMesh { mesh, bounds, morphs, two_sided } = part_mesh(head, part, &data.vertices);
            HeadPart { name: part.name.clone(), material: part.material.clone(), mesh, bounds, morphs, two_sided }
        });
        Self {
            parts: parts.collect(),
            skin: SkinTextures::new(&data.maps, &head.masks),
            eyes: head.eyes.clone(),
            blendshapes: head.blendshapes.len(),
        }
    }
}

/// Bytes of a texture with its mip levels.
pub(super) fn image_bytes(image: &Image) -> usize {
    image.data.as_ref().map_or(0, Vec::len)
}

/// Bytes of a mesh with its morph targets.
pub(super) fn mesh_bytes(mesh: &Mesh) -> usize {
    let targets = mesh.morph_targets().map_or(0, |targets| std::mem::size_of_val(targets.as_slice()));
    mesh.get_vertex_buffer_size() + mesh.get_index_buffer_bytes().map_or(0, <[u8]>::len) + targets
}
