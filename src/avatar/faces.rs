//! Looking for the faces in a photo before an avatar is made, so that a player can choose one.

use std::{fmt, sync::Arc};

use bevy::{asset::RenderAssetUsages, prelude::*};
use image::DynamicImage;

use super::{
    AvatarError, Photo,
    line::Line,
    queue::{Inputs, no_runtime},
    searcher::{Search, SeenFace},
    worker::Worker,
};
use crate::{face::Quality, pipeline::PipelineError, runtime::RuntimeReport};

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

/// Searches that are asked for.
#[derive(Resource, Default, Deref, DerefMut)]
pub(super) struct Searches(Line);

/// Has photos searched anew that change.
pub(super) fn follow_photos(mut changes: MessageReader<AssetEvent<Photo>>, mut searches: Query<&mut FaceSearch>) {
    for change in changes.read() {
        let AssetEvent::Modified { id } = change else { continue };
        searches.iter_mut().filter(|search| search.photo.id() == *id).for_each(|mut search| search.set_changed());
    }
}

/// Queues searches that are new or changed.
pub(super) fn enqueue(
    mut commands: Commands,
    mut searches: ResMut<Searches>,
    asked: Query<Entity, Changed<FaceSearch>>,
) {
    for entity in &asked {
        searches.join(entity);
        commands.entity(entity).remove::<FaceSearchFailure>();
    }
}

/// Ends the search of a component that goes, and removes what it found.
pub(super) fn withdraw(removed: On<Remove, FaceSearch>, mut commands: Commands, searches: Option<ResMut<Searches>>) {
    if let Some(mut searches) = searches {
        searches.withdraw(removed.entity);
    }
    commands.entity(removed.entity).try_remove::<(FoundFaces, FaceSearchFailure)>();
}

/// Hands the first search whose photo is loaded to the worker.
pub(super) fn dispatch(
    mut commands: Commands,
    mut searches: ResMut<Searches>,
    mut worker: Option<ResMut<Worker>>,
    report: Res<RuntimeReport>,
    inputs: Inputs,
    asked: Query<&FaceSearch>,
) {
    let searches = searches.bypass_change_detection();
    if searches.is_busy() {
        return;
    }
    let mut place = 0;
    while let Some(entity) = searches.waiting(place) {
        let Ok(search) = asked.get(entity) else {
            searches.leave(place);
            continue;
        };
        let Some(worker) = worker.as_deref_mut() else {
            searches.leave(place);
            fail(&mut commands, entity, no_runtime(&report));
            continue;
        };
        match inputs.photo(&search.photo) {
            Ok(Some(photo)) => {
                let (id, cancel) = searches.start(place);
                worker.search(Search { id, bundle: inputs.bundle(), photo: photo.0.clone(), cancel });
                return;
            }
            Ok(None) => place += 1,
            Err(error) => {
                searches.leave(place);
                fail(&mut commands, entity, error);
            }
        }
    }
}

/// Takes over what the worker found for an entity.
pub(super) fn take(
    commands: &mut Commands,
    entity: Entity,
    images: &mut Assets<Image>,
    result: Result<Vec<SeenFace>, AvatarError>,
) {
    let seen = match result {
        Ok(seen) => seen,
        // Nobody waits for it.
        Err(AvatarError::Pipeline(PipelineError::Cancelled)) => return,
        Err(error) => return fail(commands, entity, error),
    };
    let mut face = |SeenFace { face, chip, quality }| PhotoFace {
        bounds: face.detection.bounds,
        landmarks: face.landmarks.points.iter().map(|point| point.truncate()).collect(),
        quality,
        thumbnail: images.add(Image::from_dynamic(DynamicImage::from(chip), true, RenderAssetUsages::default())),
    };
    let found = FoundFaces(seen.into_iter().map(&mut face).collect());
    commands.entity(entity).try_insert(found);
    commands.trigger(FacesFound { entity });
}

fn fail(commands: &mut Commands, entity: Entity, error: AvatarError) {
    let error = Arc::new(error);
    commands.entity(entity).try_remove::<FoundFaces>().try_insert(FaceSearchFailure(error.clone()));
    commands.trigger(FaceSearchFailed { entity, error });
}
