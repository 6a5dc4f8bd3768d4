//! A generated head as the renderer wants it: meshes and textures, made off the main thread.

use bevy::{
    camera::primitives::Aabb,
    color::{Color, LinearRgba},
    image::Image,
    mesh::Mesh,
};

use super::{
    eye::eye_texture,
    lash::lash_texture,
    mesh::{PartMesh, part_mesh},
    shade::Shade,
    skin::SkinTextures,
};
use crate::pipeline::AvatarData;

/// Everything that a head is spawned from.
#[derive(Debug)]
pub(super) struct HeadAssets {
    pub parts: Vec<HeadPart>,
    pub skin: SkinTextures,
    /// Of the eyeballs, with an iris of the colour in `iris`.
    pub eye: Image,
    pub iris: Color,
    pub lash: Image,
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
    /// Builds them, with eyes of the given colour.
    pub fn new(data: &AvatarData, iris: Color) -> Self {
        let head = &data.head;
        let shade = Shade::new(head, &data.vertices);
        let parts = head.parts.iter().map(|part| {
            let PartMesh { mesh, bounds, morphs, two_sided } = part_mesh(head, part, &data.vertices, &shade);
            HeadPart { name: part.name.clone(), material: part.material.clone(), mesh, bounds, morphs, two_sided }
        });
        Self {
            parts: parts.collect(),
            skin: SkinTextures::new(&data.maps, &head.masks),
            eye: eye_texture(&head.eyes, LinearRgba::from(iris)),
            iris,
            lash: lash_texture(),
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
