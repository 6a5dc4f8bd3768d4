//! Photos as assets.

use std::{fmt, sync::Arc};

use bevy::{
    asset::{Asset, AssetLoader, LoadContext, io::Reader},
    reflect::TypePath,
};
use image::RgbImage;

use crate::face::{PhotoError, PhotoLimits, decode_photo};

/// A photo of a person: 8-bit sRGB, turned upright.
///
/// Loaded from JPEG, PNG and WebP files, by their content. It stays in the main world: nothing of it goes to the
/// renderer, and it is gone when its last handle is dropped.
#[derive(Asset, TypePath, Clone)]
pub struct Photo(pub Arc<RgbImage>);

/// Shows the photo's size alone.
impl fmt::Debug for Photo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Photo").field(&self.0.dimensions()).finish()
    }
}

impl From<RgbImage> for Photo {
    fn from(image: RgbImage) -> Self {
        Self(Arc::new(image))
    }
}

/// Loads [`Photo`]s, with [`PhotoLimits`] on their size.
#[derive(Debug, Default, TypePath)]
pub struct PhotoLoader {
    /// What is refused.
    pub limits: PhotoLimits,
}

impl AssetLoader for PhotoLoader {
    type Asset = Photo;
    type Settings = ();
    type Error = PhotoError;

    async fn load(
        &self,
        reader: &mut dyn Reader,
        _settings: &(),
        context: &mut LoadContext<'_>,
    ) -> Result<Photo, PhotoError> {
        let mut content = Vec::new();
        let read = reader.read_to_end(&mut content).await;
        read.map_err(|source| PhotoError::Read { path: context.path().path().to_owned(), source })?;
        decode_photo(&content, &self.limits).map(Photo::from)
    }

    fn extensions(&self) -> &[&str] {
        &["jpg", "jpeg", "png", "webp"]
    }
}
