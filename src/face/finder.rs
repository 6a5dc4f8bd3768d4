//! Finding the faces of a photo, without taking anybody's identity.

use image::RgbImage;

use super::{
    Detection, FaceError, FaceLandmarks, FoundFace, Quality,
    detect::{Detector, Turn},
    identity::{Chip, ChipCutter, ChipPlacement},
    landmarks::Landmarker,
};
use crate::{
    bundle::{Bundle, BundleError, LandmarkIndex, ReliableRange},
    runtime::{CancelToken, Runtime, RuntimeError},
};

/// Most faces of a photo that are looked at closely; each costs two runs of the landmark network.
const MAX_FACES: usize = 16;

/// Turns under which a photo is searched, one after the other.
const TURNS: [Turn; 3] = [Turn::Upright, Turn::Clockwise, Turn::Counterclockwise];

/// The networks that find faces. It is a part of [`FaceAnalyser`](super::FaceAnalyser), for those who do not need the
/// identity of a face.
#[derive(Debug)]
pub struct FaceFinder {
    detectors: Vec<Detector>,
    landmarker: Landmarker,
    cutter: ChipCutter,
    index: LandmarkIndex,
    reliable: ReliableRange,
}

impl FaceFinder {
    /// Loads the networks.
    ///
    /// # Errors
    /// A [`BundleError`] when the bundle or one of its networks cannot be used.
    pub fn load(bundle: &Bundle, runtime: &Runtime) -> Result<Self, BundleError> {
        let rules = &bundle.manifest().face;
        let detectors = rules.detectors.iter().map(|detector| Detector::load(bundle, runtime, detector));
        Ok(Self {
            detectors: detectors.collect::<Result<_, _>>()?,
            landmarker: Landmarker::load(bundle, runtime)?,
            cutter: ChipCutter::new(bundle),
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
                    .filter_map(|detection| confirm(&mut self.landmarker, photo, detection, cancel).transpose())
                    .collect::<Result<Vec<_>, RuntimeError>>()?;
                if !found.is_empty() {
                    return Ok(found);
                }
            }
        }
        Err(FaceError::NoFace)
    }

    /// The same face in the photo's mirror image. `None` when the landmark network sees none there.
    pub(super) fn find_mirrored(
        &mut self,
        mirror_image: &RgbImage,
        detection: &Detection,
        cancel: &CancelToken,
    ) -> Result<Option<FoundFace>, RuntimeError> {
        confirm(&mut self.landmarker, mirror_image, detection.mirrored(mirror_image.width()), cancel)
    }

    /// The aligned face as the recogniser would see it, sRGB, and how far its identity could be relied on. The landmarks
    /// are those of a face that [`find`](Self::find) found in the same photo.
    pub fn chip(&self, photo: &RgbImage, landmarks: &FaceLandmarks) -> (RgbImage, Quality) {
        let chip = self.cut(photo, landmarks);
        let quality = self.quality(landmarks, &chip);
        (chip.to_image(), quality)
    }

    pub(super) fn cut(&self, photo: &RgbImage, landmarks: &FaceLandmarks) -> Chip {
        self.cutter.cut(photo, landmarks)
    }

    pub(super) fn quality(&self, landmarks: &FaceLandmarks, chip: &Chip) -> Quality {
        Quality::measure(landmarks, &self.index, chip, &self.reliable)
    }

    pub(super) fn placement(&self, landmarks: &FaceLandmarks) -> ChipPlacement {
        self.cutter.placement(landmarks)
    }
}

/// A face that a detector saw, if the landmark network sees it, too.
fn confirm(
    landmarker: &mut Landmarker,
    photo: &RgbImage,
    detection: Detection,
    cancel: &CancelToken,
) -> Result<Option<FoundFace>, RuntimeError> {
    let landmarks = landmarker.landmarks(photo, &detection, cancel)?;
    Ok(landmarks.map(|landmarks| FoundFace { detection, landmarks }))
}

/// Large and central comes first: the face's area, halved about every third of the way to a corner.
fn prominence(detection: &Detection, photo: &RgbImage) -> f32 {
    let size = bevy::math::Vec2::new(photo.width() as f32, photo.height() as f32);
    let off_centre = (detection.bounds.center() - size / 2.0).length() / (size.length() / 2.0);
    let area = detection.bounds.width() * detection.bounds.height();
    area * (-2.0 * off_centre).exp()
}
