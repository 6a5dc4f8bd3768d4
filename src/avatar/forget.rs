//! Forgetting the person that an avatar was made from.

use bevy::prelude::*;

/// Forgets the person that an avatar was made from, and keeps the avatar: `commands.trigger(ForgetPerson { entity })`.
///
/// Dropped from memory:
/// - of [`GeneratedAvatar::data`](super::GeneratedAvatar): the embedding, the face with its landmarks and chip, the fit,
///   the warnings, and the embedding and seed in the recipe;
/// - of [`Avatar::source`](super::Avatar): the photos' handles. The photo goes with its last handle: drop your own;
/// - [`FaceSearch`](super::FaceSearch) and [`FoundFaces`](super::FoundFaces) on the same entity.
///
/// What stays is the likeness: meshes, textures, and the latents that they came from, by which the same head is
/// regenerated, saved and exported. What was written before stays too: files that the game saved, and the
/// [cache](crate::cache), whose entries never hold photo or embedding.
///
/// An avatar that is still being generated is cancelled: the one before it stays, and where there is none, the entity
/// loses its [`Avatar`](super::Avatar).
#[derive(EntityEvent, Clone, Copy, Debug)]
pub struct ForgetPerson {
    /// The entity with the [`Avatar`](super::Avatar).
    pub entity: Entity,
}
