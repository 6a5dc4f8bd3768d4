//! How photos come in, and what is found in them.

use std::{path::PathBuf, sync::Arc};

use bevy::{
    asset::RenderAssetUsages,
    prelude::*,
    tasks::{IoTaskPool, futures::check_ready},
    window::FileDragAndDrop,
};
use image::{RgbImage, imageops};

use super::{
    CreatorAction, CreatorState, CreatorStep, Notice,
    actions::Creator,
    state::{CreatorPhoto, Work},
};
use crate::{
    avatar::{AvatarError, FaceSearch, FaceSearchFailed, Photo},
    face::{PhotoLimits, open_photo},
};

/// Longer side of the texture that shows a photo, in pixels: enough for the panel on a 4K screen.
const SHOWN_SIDE: u32 = 1024;

impl Creator<'_, '_> {
    /// Reads a photo off the main thread. The last one that was asked for counts.
    pub fn open_photo(&mut self, path: PathBuf) {
        if !self.agreed_to_photos() {
            return;
        }
        self.state.notices.clear();
        self.state.opening = Some(IoTaskPool::get().spawn(async move { open_photo(&path, &PhotoLimits::default()) }));
        self.leave_for_photo();
    }

    /// Takes a photo that is there.
    pub fn use_photo(&mut self, photo: Handle<Photo>) {
        if !self.agreed_to_photos() {
            return;
        }
        let Some(pixels) = self.photos.get(&photo).map(|photo| photo.0.clone()) else {
            let gone = Notice::from(&AvatarError::NoPhoto);
            return self.state.tell(gone);
        };
        self.leave_for_photo();
        self.drop_photo();
        self.webcam.stop();
        let size = Vec2::new(pixels.width() as f32, pixels.height() as f32);
        let texture = self.images.add(shown(&pixels));
        let search = self.commands.spawn(FaceSearch::new(photo.clone())).id();
        self.state.photo = Some(CreatorPhoto { photo, texture, size, search, face: 0 });
    }

    /// Goes to the photo; what was being generated from the one before is not wanted any more.
    fn leave_for_photo(&mut self) {
        if matches!(self.state.work, Some(Work::Person { .. } | Work::File(..))) {
            self.cancel();
        }
        self.state.go(CreatorStep::Photo);
    }

    /// Drops the photo, or the one that is being read.
    pub fn drop_photo(&mut self) {
        self.state.opening = None;
        if let Some(photo) = self.state.photo.take() {
            self.commands.entity(photo.search).try_despawn();
            self.images.remove(&photo.texture);
        }
    }
}

/// Takes the photo that was read.
pub(super) fn take_opened(mut creator: Creator) {
    let Some(result) = creator.state.opening.as_mut().and_then(check_ready) else { return };
    creator.state.opening = None;
    match result {
        Ok(pixels) => {
            let photo = creator.photos.add(Photo::from(pixels));
            creator.use_photo(photo);
        }
        Err(error) => {
            warn!("{error}");
            creator.state.tell(Notice::from(&error));
        }
    }
}

/// Opens files that are dropped onto a window.
pub(super) fn dropped(
    mut events: MessageReader<FileDragAndDrop>,
    state: Res<CreatorState>,
    mut actions: MessageWriter<CreatorAction>,
) {
    for event in events.read() {
        if let FileDragAndDrop::DroppedFile { path_buf, .. } = event
            && state.open
        {
            actions.write(CreatorAction::OpenPhoto(path_buf.clone()));
        }
    }
}

/// Says why no face was found.
pub(super) fn no_face(failed: On<FaceSearchFailed>, mut state: ResMut<CreatorState>) {
    if state.photo.as_ref().is_some_and(|photo| photo.search == failed.entity) {
        state.tell(Notice::from(&*failed.error));
    }
}

/// A texture of a photo.
pub(super) fn shown(photo: &Arc<RgbImage>) -> Image {
    let longer = photo.width().max(photo.height());
    let pixels = if longer > SHOWN_SIDE {
        let side = |side: u32| (u64::from(side) * u64::from(SHOWN_SIDE) / u64::from(longer)).max(1) as u32;
        imageops::thumbnail(&**photo, side(photo.width()), side(photo.height()))
    } else {
        (**photo).clone()
    };
    texture(pixels)
}

/// A picture in the panel.
pub(super) fn texture(pixels: RgbImage) -> Image {
    Image::from_dynamic(pixels.into(), true, RenderAssetUsages::RENDER_WORLD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_photos_are_shown_smaller_in_their_shape() {
        let shape = |width, height| {
            let image = shown(&Arc::new(RgbImage::new(width, height)));
            (image.width(), image.height())
        };
        assert_eq!(shape(4000, 3000), (1024, 768));
        assert_eq!(shape(300, 400), (300, 400));
        assert_eq!(shape(16_000, 32), (1024, 2));
    }
}
