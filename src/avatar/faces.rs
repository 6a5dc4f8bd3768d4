//! Looking for the faces in a photo before an avatar is made, so that a player can choose one.

use std::{fmt, sync::Arc};

use bevy::prelude::*;

use super::{AvatarError, Photo};
use crate::face::Quality;

/// Looks for the faces in a photo, off the main thread; the entity gets [`FoundFaces`] or a [`FaceSearchFailure`].
///
/// Searches go between the steps of avatars that are generated, and take a fraction of a second each. No embedding is
/// taken. Changing the component searches anew, as does a change of the photo itself; the result before stays until then.
/// Removing it, or despawning the entity, ends the search and removes the result.
#[derive(Component, Clone, Debug, Default, PartialEq, Eq, Reflect)]
#[reflect(Component, Default, Clone, Debug, PartialEq)]
pub struct FaceSearch {
    /// The photo.
    pub photo: Handle<Photo>,
}

impl FaceSearch {
    /// A search in a photo.
    pub fn new(photo: Handle<Photo>) -> Self {
        Self { photo }
    }
}

/// The faces of a photo, the most central large one first, at most 16. The place of a face in the list is its number for
/// [`AvatarPhoto::of_face`](super::AvatarPhoto::of_face). Scenes leave it out.
#[derive(Component, Clone, Debug, Deref, Reflect)]
#[reflect(opaque, Clone, Debug)]
pub struct FoundFaces(pub Vec<PhotoFace>);

/// A face in a photo.
#[derive(Clone)]
pub struct PhotoFace {
    /// What the detector framed, in photo pixels, y down.
    pub bounds: Rect,
    /// The landmarks' places, in photo pixels, y down.
    pub landmarks: Vec<Vec2>,
    /// How far an avatar of it can be relied on.
    pub quality: Quality,
    /// The aligned face as an sRGB image of about 150 pixels a side, to show.
    pub thumbnail: Handle<Image>,
}

/// Shows neither landmarks nor thumbnail.
impl fmt::Debug for PhotoFace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bounds, quality, .. } = self;
        f.debug_struct("PhotoFace").field("bounds", bounds).field("quality", quality).finish_non_exhaustive()
    }
}

/// Why the last search failed; removed when the next one starts. Scenes leave it out.
#[derive(Component, Clone, Debug, Deref, Reflect)]
#[reflect(opaque, Clone, Debug)]
pub struct FaceSearchFailure(pub Arc<AvatarError>);

/// The faces of a photo were found: the entity has [`FoundFaces`].
#[derive(EntityEvent, Clone, Copy, Debug)]
pub struct FacesFound {
    /// The entity with the [`FaceSearch`].
    pub entity: Entity,
}

/// A search failed, or there is no face in the photo. The reason stays on the entity as [`FaceSearchFailure`].
#[derive(EntityEvent, Clone, Debug)]
pub struct FaceSearchFailed {
    /// The entity with the [`FaceSearch`].
    pub entity: Entity,
    /// What happened, and what can be done.
    pub error: Arc<AvatarError>,
}
