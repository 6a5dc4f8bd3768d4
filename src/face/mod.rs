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
mod identity;
mod landmarks;
mod photo;
mod quality;
mod sampling;

use bevy::reflect::{Reflect, std_traits::ReflectDefault};
use image::RgbImage;

pub use detect::{Detection, Keypoint};
pub use error::{FaceError, PhotoError};
pub use identity::{ChipPlacement, Identity};
pub use landmarks::FaceLandmarks;
pub use photo::{PhotoLimits, decode as decode_photo, open as open_photo};
pub use quality::{Quality, QualityWarning};

use crate::{
    bundle::{Bundle, BundleError, LandmarkIndex, ReliableRange},
    runtime::{CancelToken, Runtime, RuntimeError},
};
use detect::{Detector, Turn};
use identity::Recogniser;
use landmarks::Landmarker;

/// Most faces of a photo that are looked at closely; each costs two runs of the landmark network.
const MAX_FACES: usize = 16;

/// Turns under which a photo is searched, one after the other.
const TURNS: [Turn; 3] = [Turn::Upright, Turn::Clockwise, Turn::Counterclockwise];

/// Which of several faces is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Reflect)]
#[reflect(Default, Clone, Debug, PartialEq, Hash)]
pub enum FaceChoice {
    /// The most central large face.
    #[default]
    MostProminent,
    /// The face of this number, counted from 0 in the order of [`FaceAnalyser::find`].
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
    detectors: Vec<Detector>,
    landmarker: Landmarker,
    recogniser: Recogniser,
    index: LandmarkIndex,
    reliable: ReliableRange,
}

impl FaceAnalyser {
    /// Loads the networks.
    ///
    /// # Errors
    /// A [`BundleError`] when the bundle or one of its networks cannot be used.
    pub fn load(bundle: &Bundle, runtime: &Runtime) -> Result<Self, BundleError> {
        let rules = &bundle.manifest().face;
        Ok(Self {
            detectors: rules
                .detectors
                .iter()
                .map(|detector| Detector::load(bundle, runtime, detector))
                .collect::<Result<_, _>>()?,
            landmarker: Landmarker::load(bundle, runtime)?,
            recogniser: Recogniser::load(bundle, runtime)?,
            index: rules.landmarks.index.clone(),
            reliable: rules.reliable.clone(),
        })
    }

    /// Finds the faces of a photo, the most central large one first, at most 16.
    ///
    /// Each detector is tried upright, then on the photo turned by a quarter to either side; the first try that
    /// yields a confirmed face ends the search. A photo that stands on its head is not searched.
    ///
    /// # Errors
    /// [`FaceError::NoFace`] when there is none; [`FaceError::Runtime`] when a network fails or `cancel` is called.
    pub fn find(&mut self, photo: &RgbImage, cancel: &CancelToken) -> Result<Vec<FoundFace>, FaceError> {
        for turn in TURNS {
            for detector in &mut self.detectors {
                let mut seen = detector.detect(photo, turn, cancel)?;
                seen.sort_by(|a, b| prominence(b, photo).total_cmp(&prominence(a, photo)));
                seen.truncate(MAX_FACES);
                let found = seen
                    .into_iter()
                    .filter_map(|detection| {
                        let landmarks = self.landmarker.landmarks(photo, &detection, cancel).transpose()?;
                        Some(landmarks.map(|landmarks| FoundFace { detection, landmarks }))
                    })
                    .collect::<Result<Vec<_>, RuntimeError>>()?;
                if !found.is_empty() {
                    return Ok(found);
                }
            }
        }
        Err(FaceError::NoFace)
    }

    /// Takes the identity of a face that [`find`](Self::find) found in the same photo.
    ///
    /// # Errors
    /// [`FaceError::Runtime`] when the network fails or `cancel` is called.
    pub fn identify(&mut self, photo: &RgbImage, face: FoundFace, cancel: &CancelToken) -> Result<Face, FaceError> {
        let FoundFace { detection, landmarks } = face;
        let chip = self.recogniser.chip(photo, &landmarks);
        let identity = self.recogniser.identify(&chip, cancel)?;
        let quality = Quality::measure(&landmarks, &self.index, &chip, &self.reliable);
        let placement = self.recogniser.placement(&landmarks);
        Ok(Face { detection, landmarks, chip: chip.to_image(), placement, identity, quality })
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

/// Large and central comes first: the face's area, halved about every third of the way to a corner.
fn prominence(detection: &Detection, photo: &RgbImage) -> f32 {
    let size = bevy::math::Vec2::new(photo.width() as f32, photo.height() as f32);
    let off_centre = (detection.bounds.center() - size / 2.0).length() / (size.length() / 2.0);
    let area = detection.bounds.width() * detection.bounds.height();
    area * (-2.0 * off_centre).exp()
}
