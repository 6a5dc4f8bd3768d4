//! What a game puts on an entity, and what it finds there.

use std::{sync::Arc, time::Duration};

use bevy::prelude::*;

use super::{AvatarError, Photo};
use crate::{
    face::FaceChoice,
    pipeline::{AvatarData, AvatarRecipe},
};

/// A facial avatar. To spawn it is to ask for it; it is generated off the main thread and appears as children of the
/// entity when it is ready.
///
/// - Despawning the entity or removing the component cancels the work and removes what was spawned.
/// - Changing the component generates anew; the old avatar stays until the new one is ready.
/// - [`AvatarProgress`] says how far it is; [`AvatarReady`](super::AvatarReady) and
///   [`AvatarFailed`](super::AvatarFailed) are triggered on the entity at the end.
///
/// The head is in metres and looks to +Z. All avatars have their faces in one place; the origin is between the mean head's ears
/// at eye height.
#[derive(Component, Clone, Debug, Default, Reflect)]
#[reflect(Component, Default, Clone, Debug)]
#[require(Transform, Visibility, AvatarProgress, AvatarLook)]
pub struct Avatar {
    /// Who it is to be.
    pub source: AvatarSource,
    /// Decides the noise: the same source and seed give the same avatar. A [recipe](AvatarSource::Recipe) has its own.
    pub seed: u64,
}

impl Avatar {
    /// The person in a photo: `Avatar::from_selfie(assets.load("me.jpg"))`.
    pub fn from_selfie(photo: Handle<Photo>) -> Self {
        Self::from_selfies([photo])
    }

    /// The person in several photos, whose identities are fused. Shape, tone and eyes are read in all of them, while the
    /// head is fitted to the most reliable one. In each, the most prominent face is meant.
    pub fn from_selfies(photos: impl IntoIterator<Item = Handle<Photo>>) -> Self {
        Self::from_faces(photos.into_iter().map(AvatarPhoto::from))
    }

    /// The person in several photos, of which each tells what face is meant. [`FaceSearch`](super::FaceSearch) finds
    /// the faces to choose from.
    pub fn from_faces(photos: impl IntoIterator<Item = AvatarPhoto>) -> Self {
        Self { source: AvatarSource::Photos(photos.into_iter().collect()), seed: 0 }
    }

    /// A person that does not exist.
    pub fn random(seed: u64) -> Self {
        Self { source: AvatarSource::Random, seed }
    }

    /// The avatar that a recipe was made from.
    pub fn from_recipe(recipe: AvatarRecipe) -> Self {
        Self { source: AvatarSource::Recipe(SavedRecipe(Arc::new(recipe))), seed: 0 }
    }

    /// The same with another seed: another hair's breadth of the same person.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}

/// Who an avatar is to be.
#[derive(Clone, Debug, Default, Reflect)]
#[reflect(Default, Clone, Debug)]
pub enum AvatarSource {
    /// A person that does not exist.
    #[default]
    Random,
    /// The person in these photos.
    Photos(Vec<AvatarPhoto>),
    /// The avatar that the recipe was made from.
    Recipe(SavedRecipe),
}

/// A photo of the person, and which of its faces is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Reflect)]
#[reflect(Default, Clone, Debug, PartialEq)]
pub struct AvatarPhoto {
    /// The photo.
    pub photo: Handle<Photo>,
    /// Which of its faces is meant; the number of a face is its place in [`FoundFaces`](super::FoundFaces).
    pub face: FaceChoice,
}

impl AvatarPhoto {
    /// The face of this number in a photo, counted from 0 in the order of [`FoundFaces`](super::FoundFaces).
    pub fn of_face(photo: Handle<Photo>, index: usize) -> Self {
        Self { photo, face: FaceChoice::Index(index) }
    }
}

impl From<Handle<Photo>> for AvatarPhoto {
    /// Means the most prominent face.
    fn from(photo: Handle<Photo>) -> Self {
        Self { photo, face: FaceChoice::MostProminent }
    }
}

/// A recipe as part of a component.
///
/// Reflection does not look into it, and scenes with it cannot be written: a recipe may hold the embedding of a face,
/// which is to be saved on purpose alone, as serde writes [`AvatarRecipe`].
#[derive(Clone, Debug, Reflect)]
#[reflect(opaque, Clone, Debug)]
pub struct SavedRecipe(pub Arc<AvatarRecipe>);

/// What is not generated. May be changed at any time.
#[derive(Component, Clone, Copy, Debug, PartialEq, Reflect)]
#[reflect(Component, Default, Clone, Debug, PartialEq)]
pub struct AvatarLook {
    /// Diffuse reflectance of the iris; `None`, the default, and a colour that is not finite leave the
    /// [person's own](AvatarData::iris).
    pub iris: Option<Color>,
    /// Perceptual roughness of the skin, 0 to 1; 0.5 is that of clean, dry skin.
    pub skin_roughness: f32,
    /// What the skin's diffuse albedo is multiplied with, in linear light; may exceed 1. White, the default, leaves the
    /// skin as it was generated. [`SkinTone::tint`](super::SkinTone::tint) makes it out of two sliders.
    pub skin_tint: Color,
}

impl Default for AvatarLook {
    fn default() -> Self {
        Self { iris: None, skin_roughness: 0.5, skin_tint: Color::WHITE }
    }
}

impl AvatarLook {
    /// The colour that the irises of an avatar have with this look: their diffuse reflectance.
    pub fn iris_of(&self, data: &AvatarData) -> Color {
        let Vec3 { x, y, z } = data.iris();
        let wanted = self.iris.filter(|iris| iris.to_linear().to_vec3().is_finite());
        wanted.unwrap_or(Color::linear_rgb(x, y, z))
    }
}

/// How far an avatar is.
#[derive(Component, Clone, Debug, Default, Reflect)]
#[reflect(Component, Default, Clone, Debug)]
pub struct AvatarProgress {
    /// What is being done.
    pub stage: AvatarStage,
    /// The part of the whole that is done, 0 to 1. It never falls while one avatar is generated.
    pub fraction: f32,
    /// Estimated time to the end, once that can be told.
    pub remaining: Option<Duration>,
    /// The diffuse albedo as it emerges, if [previews](crate::pipeline::GenerateOptions::preview_every) are asked for.
    /// Not saved in scenes.
    #[reflect(skip_serializing)]
    pub preview: Option<Handle<Image>>,
}

/// What is being done for an avatar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Reflect)]
#[reflect(Default, Clone, Debug, PartialEq)]
pub enum AvatarStage {
    /// It waits for its photos, for the model, or for avatars that were asked for before it.
    #[default]
    Queued,
    /// The face is looked for in the photos, and its identity is taken.
    Face,
    /// Noise becomes latents.
    Sampling,
    /// Latents become maps, vertices and meshes.
    Decoding,
    /// Meshes and textures are handed to the renderer.
    Spawning,
    /// It is there.
    Ready,
    /// It is not going to be there; [`GeneratedAvatar`] of an earlier generation, if any, stays.
    Failed,
}

/// What an avatar was made of; on its entity once it is ready.
///
/// Reflection does not look into it, and scenes leave it out: it holds the identity of a person. [`Avatar`] in a scene
/// generates it anew.
#[derive(Component, Clone, Debug, Reflect)]
#[reflect(opaque, Clone, Debug)]
pub struct GeneratedAvatar {
    /// Vertices, maps, identity, warnings about the photo, and the recipe.
    pub data: Arc<AvatarData>,
}

impl GeneratedAvatar {
    /// What regenerates the avatar, bit for bit on the same bundle and backend.
    pub fn recipe(&self) -> &AvatarRecipe {
        &self.data.recipe
    }
}

/// Why the last generation failed; removed when the next one starts. Scenes leave it out.
#[derive(Component, Clone, Debug, Deref, Reflect)]
#[reflect(opaque, Clone, Debug)]
pub struct AvatarFailure(pub Arc<AvatarError>);

/// A part of an avatar's head: a child of its entity with a mesh and a material. It goes with the avatar.
#[derive(Component, Clone, Debug, Default, PartialEq, Eq, Reflect)]
#[reflect(Component, Default, Clone, Debug, PartialEq)]
pub struct AvatarPart {
    /// The part's name in the template head, `skin` for instance.
    pub name: String,
    /// The name of its material in the template head: `skin`, `eye`, `teeth`, `mouth` or `lash`.
    pub material: String,
}
