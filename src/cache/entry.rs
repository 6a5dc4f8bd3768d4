//! A cached avatar as bytes.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `FITDIFF\0` |
//! | 4 | [`FORMAT`] |
//! | 32 | the key |
//! | 4 × 4 | lengths: vertices, texels of a side, reflectance latents, shape latents |
//! | 12 each | vertices, `f32` |
//! | 3, 4, 12 a texel | diffuse, specular and normal maps, `u8`, `f32`, `f32` |
//! | 8 | range of the specular map, `f32` |
//! | 4 each | latents, `f32` |
//! | 32 | SHA-256 of all before |
//!
//! Numbers are little-endian and kept to the last bit.

use bevy::math::Vec3;
use sha2::{Digest, Sha256};

use crate::{
    diffusion::{LatentLayout, Latents},
    pipeline::{AvatarData, AvatarMaps, DecodedAvatar},
};

/// The version of entries; part of the key.
pub(super) const FORMAT: u32 = 1;

const MAGIC: [u8; 8] = *b"FITDIFF\0";

const HASH_BYTES: usize = 32;

/// What an entry's content must be like to be one of a bundle.
#[derive(Clone, Copy)]
pub(super) struct EntryLayout {
    pub vertices: usize,
    /// Side of the maps in texels.
    pub side: usize,
    pub latents: LatentLayout,
}

impl EntryLayout {
    fn lengths(&self) -> [usize; 4] {
        [self.vertices, self.side, self.latents.reflectance.iter().product(), self.latents.shape]
    }

    /// Length of an entry in bytes.
    pub fn bytes(&self) -> usize {
        let [vertices, side, reflectance, shape] = self.lengths();
        let header = MAGIC.len() + 4 + HASH_BYTES + 16;
        header + 12 * vertices + 19 * side * side + 8 + 4 * (reflectance + shape) + HASH_BYTES
    }

    fn header(&self, key: &[u8; HASH_BYTES]) -> Vec<u8> {
        let lengths = self.lengths().map(|length| (length as u32).to_le_bytes());
        [&MAGIC[..], &FORMAT.to_le_bytes(), key, lengths.as_flattened()].concat()
    }
}

/// The bytes of an avatar under a key.
pub(super) fn write(data: &AvatarData, key: &[u8; HASH_BYTES]) -> Vec<u8> {
    let AvatarData { vertices, maps, latents, .. } = data;
    let layout = EntryLayout { vertices: vertices.len(), side: maps.size, latents: latents.layout() };
    let mut bytes = Vec::with_capacity(layout.bytes());
    bytes.extend(layout.header(key));
    let floats = |bytes: &mut Vec<u8>, values: &mut dyn Iterator<Item = f32>| {
        values.for_each(|value| bytes.extend(value.to_le_bytes()));
    };
    floats(&mut bytes, &mut vertices.iter().flat_map(|vertex| vertex.to_array()));
    bytes.extend(maps.diffuse.as_flattened());
    floats(&mut bytes, &mut maps.specular.iter().copied());
    floats(&mut bytes, &mut maps.normals.as_flattened().iter().copied());
    floats(&mut bytes, &mut maps.specular_range.into_iter());
    floats(&mut bytes, &mut latents.reflectance().iter().chain(latents.shape()).copied());
    let hash = Sha256::digest(&bytes);
    bytes.extend(hash);
    bytes
}

/// The avatar in an entry; `None` when it is another one, of another layout, or damaged.
pub(super) fn read(bytes: &[u8], layout: &EntryLayout, key: &[u8; HASH_BYTES]) -> Option<DecodedAvatar> {
    if bytes.len() != layout.bytes() {
        return None;
    }
    let (content, hash) = bytes.split_at(bytes.len() - HASH_BYTES);
    let mut rest = content.strip_prefix(&layout.header(key)[..])?;
    if Sha256::digest(content)[..] != *hash {
        return None;
    }
    let [vertices, side, reflectance, shape] = layout.lengths();
    let texels = side * side;
    let mut take = |count: usize| rest.split_off(..count);
    let vertices = floats(take(12 * vertices)?);
    let diffuse = take(3 * texels)?.as_chunks::<3>().0.to_vec();
    let specular = floats(take(4 * texels)?);
    let normals = floats(take(12 * texels)?).as_chunks::<3>().0.to_vec();
    let specular_range = floats(take(8)?);
    let reflectance = floats(take(4 * reflectance)?);
    let shape = floats(take(4 * shape)?);
    Some(DecodedAvatar {
        vertices: vertices.as_chunks::<3>().0.iter().copied().map(Vec3::from_array).collect(),
        maps: AvatarMaps { size: side, diffuse, specular, specular_range: specular_range.try_into().ok()?, normals },
        latents: Latents::new(layout.latents, reflectance, shape).ok()?,
    })
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().copied().map(f32::from_le_bytes).collect()
}
