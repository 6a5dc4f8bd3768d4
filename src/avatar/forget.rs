//! Forgetting the person that an avatar was made from.

use std::sync::Arc;

use bevy::prelude::*;

use super::{Avatar, AvatarProgress, AvatarStage, FaceSearch, GeneratedAvatar, queue::Queue, spawn::Spawning};

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

/// Forgets the person of an entity.
pub(super) fn forget(
    asked: On<ForgetPerson>,
    mut commands: Commands,
    queue: Option<ResMut<Queue>>,
    mut avatars: Query<(&mut Avatar, &mut AvatarProgress, Option<&mut GeneratedAvatar>, Option<&mut Spawning>)>,
) {
    let entity = asked.entity;
    if let Some(mut queue) = queue {
        queue.withdraw(entity);
    }
    // What was found goes with the search.
    commands.entity(entity).try_remove::<FaceSearch>();
    let Ok((mut avatar, mut progress, mut generated, mut spawning)) = avatars.get_mut(entity) else { return };
    let kept = [generated.as_mut().map(|avatar| &mut avatar.data), spawning.as_mut().map(|head| &mut head.data)];
    let mut recipe = None;
    for data in kept.into_iter().flatten() {
        *data = Arc::new(data.forgotten());
        recipe = Some(data.recipe.clone());
    }
    let Some(recipe) = recipe else {
        commands.entity(entity).remove::<Avatar>();
        return;
    };
    // The head is there: nothing is to be generated.
    *avatar.bypass_change_detection() = Avatar::from_recipe(recipe);
    progress.preview = None;
    if spawning.is_none() && progress.stage != AvatarStage::Ready {
        *progress = AvatarProgress { stage: AvatarStage::Ready, fraction: 1.0, ..default() };
    }
}
