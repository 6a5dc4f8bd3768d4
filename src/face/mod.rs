//! From a photo to an identity: detection, landmarks, aligned chip, embedding.
//!
//! ```no_run
//! use bevy_fitdiff::{
//!     bundle::Bundle,
//!     face::{self, FaceAnalyser, FaceChoice, PhotoLimits},
//!     runtime::{CancelToken, Runtime, RuntimeOptions},
//! };
//!
//! let runtime = Runtime::new(RuntimeOptions::default())?;
//! let mut analyser = FaceAnalyser::load(&Bundle::open("models/base")?, &runtime)?;
//! let photo = face::open_photo("me.jpg", &PhotoLimits::default())?;
//! let found = analyser.analyse(&photo, FaceChoice::MostProminent, &CancelToken::default())?;
//! for warning in &found.face.quality.warnings {
//!     eprintln!("{warning}");
//! }
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! Photos are 8-bit sRGB, upright. Places are in photo pixels, x right and y down; left and right of a face are the
//! person's own.

mod detect;
mod error;
mod finder;
mod identity;
mod landmarks;
mod photo;
mod quality;
mod sampling;

use bevy::{
    math::{Vec2, Vec3},
    reflect::{Reflect, std_traits::ReflectDefault},
};
use image::{RgbImage, imageops};

pub use detect::{Detection, Keypoint};
pub use error::{FaceError, PhotoError};
pub use finder::FaceFinder;
pub use identity::{ChipPlacement, Identity};
pub use landmarks::FaceLandmarks;
pub(crate) use landmarks::Landmarker;
pub use photo::{PhotoLimits, decode as decode_photo, open as open_photo};
pub use quality::{Quality, QualityWarning};

use crate::{
    bundle::{Bundle, BundleError},
    runtime::{CancelToken, Runtime},
};
use identity::Recogniser;

/// Which of several faces is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Reflect)]
#[reflect(Default, Clone, Debug, PartialEq, Hash)]
pub enum FaceChoice {
    /// The most central large face.
    #[default]
    MostProminent,
    /// The face of this number, counted from 0 in the order of [`FaceFinder::find`].
    Index(usize),
}

/// A face that was found and confirmed.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundFace {
    /// What the detector saw.
    pub detection: Detection,
    /// The landmarks that confirmed it.
    pub landmarks: FaceLandmarks,
}

/// All that is known of one face in a photo.
#[derive(Clone, Debug)]
pub struct Face {
    /// What the detector saw.
    pub detection: Detection,
    /// Where the parts of the face lie.
    pub landmarks: FaceLandmarks,
    /// The aligned face as the recogniser sees it, sRGB.
    pub chip: RgbImage,
    /// Where the chip lies in the photo.
    pub placement: ChipPlacement,
    /// Who it is.
    pub identity: Identity,
    /// How far the identity can be relied on.
    pub quality: Quality,
}

impl Face {
    /// The chip, sRGB of 0 to 1, one channel after the other.
    pub(crate) fn chip_planes(&self) -> Vec<f32> {
        let channel = |channel: usize| self.chip.pixels().map(move |pixel| f32::from(pixel.0[channel]) / 255.0);
        (0..3).flat_map(channel).collect()
    }

    /// The landmarks in pixels of the chip; the centre of its first one is the origin.
    pub(crate) fn landmarks_in_chip(&self) -> Vec<Vec2> {
        let place = |point: &Vec3| self.placement.chip_pixel(point.truncate().as_dvec2()).as_vec2();
        self.landmarks.points.iter().map(place).collect()
    }
}

/// A face out of those in a photo.
#[derive(Clone, Debug)]
pub struct FaceAnalysis {
    /// The chosen face.
    pub face: Face,
    /// Its number among the faces found.
    pub index: usize,
    /// How many faces were found.
    pub found: usize,
}

/// The networks of the face front-end, ready to look at photos.
#[derive(Debug)]
pub struct FaceAnalyser {
    finder: FaceFinder,
    recogniser: Recogniser,
}

impl FaceAnalyser {
    /// Loads the networks.
    ///
    /// # Errors
    /// A [`BundleError`] when the bundle or one of its networks cannot be used.
    pub fn load(bundle: &Bundle, runtime: &Runtime) -> Result<Self, BundleError> {
        Ok(Self { finder: FaceFinder::load(bundle, runtime)?, recogniser: Recogniser::load(bundle, runtime)? })
    }

    /// Finds the faces of a photo as [`FaceFinder::find`] does.
    ///
    /// # Errors
    /// Those of [`FaceFinder::find`].
    pub fn find(&mut self, photo: &RgbImage, cancel: &CancelToken) -> Result<Vec<FoundFace>, FaceError> {
        self.finder.find(photo, cancel)
    }

    /// Takes the identity of a face that [`find`](Self::find) found in the same photo.
    ///
    /// # Errors
    /// [`FaceError::Runtime`] when the network fails or `cancel` is called.
    pub fn identify(&mut self, photo: &RgbImage, face: FoundFace, cancel: &CancelToken) -> Result<Face, FaceError> {
        let FoundFace { detection, landmarks } = face;
        let chip = self.finder.cut(photo, &landmarks);
        let identity = self.recogniser.identify(&chip, cancel)?;
        let quality = self.finder.quality(&landmarks, &chip);
        let placement = self.finder.placement(&landmarks);
        Ok(Face { detection, landmarks, chip: chip.to_image(), placement, identity, quality })
    }

    /// Looks at a face of a photo once more, in the photo's mirror image. The networks are not symmetric: they err another
    /// way there, so that both together tell more of the person. Places are in pixels of the mirror image, left and right those
    /// of the person seen there. `None` when the landmark network sees no face there.
    ///
    /// # Errors
    /// [`FaceError::Runtime`] when a network fails or `cancel` is called.
    pub fn analyse_mirrored(
        &mut self,
        photo: &RgbImage,
        face: &Face,
        cancel: &CancelToken,
    ) -> Result<Option<Face>, FaceError> {
        let mirror_image = imageops::flip_horizontal(photo);
        let found = self.finder.find_mirrored(&mirror_image, &face.detection, cancel)?;
        found.map(|found| self.identify(&mirror_image, found, cancel)).transpose()
    }

    /// Finds the faces of a photo and takes the identity of one of them.
    ///
    /// # Errors
    /// [`FaceError::NoFace`] when there is none, [`FaceError::NoSuchFace`] when there are too few for `choice`,
    /// [`FaceError::Runtime`] when a network fails or `cancel` is called.
    pub fn analyse(
        &mut self,
        photo: &RgbImage,
        choice: FaceChoice,
        cancel: &CancelToken,
    ) -> Result<FaceAnalysis, FaceError> {
        let mut faces = self.find(photo, cancel)?;
        let found = faces.len();
        let index = match choice {
            FaceChoice::MostProminent => 0,
            FaceChoice::Index(index) => index,
        };
        if index >= found {
            return Err(FaceError::NoSuchFace { index, found });
        }
        let face = self.identify(photo, faces.swap_remove(index), cancel)?;
        Ok(FaceAnalysis { face, index, found })
    }
}
