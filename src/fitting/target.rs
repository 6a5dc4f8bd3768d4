//! The photo as the fit sees it.

use bevy::math::{DVec2, Vec2, Vec3};

use super::{
    Camera, FittingError, HeadPose, Impression, LossNetwork, Reading, Regressor, UNKNOWN_IRIS, colour, landmark_aim,
    render::{Rays, View},
};
use crate::{
    diffusion::DecodedMaps,
    face::{ChipPlacement, Face, Identity, Landmarker},
    runtime::{CancelToken, RuntimeError},
};

/// What a head is fitted to: one face in a photo. All pictures are compared on the recogniser's aligned chip.
#[derive(Clone, Debug)]
pub struct PhotoTarget {
    /// Size of the photo in pixels.
    pub(super) size: (u32, u32),
    /// x and y in photo pixels; z in the same unit, smaller towards the camera.
    pub(super) landmarks: Vec<Vec3>,
    /// What the landmark network sees in the chip alone, in photo pixels.
    pub(super) seen_landmarks: Option<Vec<Vec2>>,
    pub(super) placement: ChipPlacement,
    /// Side of the chip in pixels.
    pub(super) side: usize,
    /// The chip, sRGB of 0 to 1.
    pub(super) chip: Vec<Vec3>,
    /// The chip, linear.
    pub(super) linear: Vec<Vec3>,
    /// What the recogniser sees in it.
    pub(super) impression: Impression,
    /// The same with the embedding that the person is known by; the photo's own unless others are known.
    pub(super) person: Impression,
    /// What a regressor reads of the person.
    pub(super) reading: Option<Reading>,
    /// Linear reflectance of the irises.
    pub(super) iris: Vec3,
}

impl PhotoTarget {
    /// Takes a face of a photo of `size` pixels as the target.
    pub(super) fn new(
        face: &Face,
        size: (u32, u32),
        (network, landmarker, regressor): (&mut LossNetwork, &mut Landmarker, Option<&mut Regressor>),
        cancel: &CancelToken,
    ) -> Result<Self, FittingError> {
        let chip = chip(face);
        let impression = network.look_at(&chip, cancel)?;
        let reading = match regressor {
            Some(regressor) => regressor.read(&impression, face, cancel)?,
            None => None,
        };
        let known = face.landmarks.points.iter().map(|point| point.truncate());
        let seen_landmarks = landmark_aim::look(landmarker, &face.chip, &face.placement, known, cancel)?;
        Ok(Self {
            size,
            landmarks: face.landmarks.points.clone(),
            seen_landmarks,
            placement: face.placement,
            side: face.chip.width() as usize,
            linear: chip.iter().copied().map(colour::to_linear).collect(),
            person: impression.clone(),
            impression,
            reading,
            iris: UNKNOWN_IRIS,
            chip,
        })
    }

    /// With irises of this linear reflectance, RGB of 0 to 1; they are brown without.
    pub fn with_iris(self, iris: Vec3) -> Self {
        Self { iris, ..self }
    }

    /// With the embedding that the person is known by beyond this photo, such as the mean of several photos'.
    ///
    /// # Errors
    /// [`RuntimeError`] when it is of another recogniser.
    pub fn with_identity(self, identity: &Identity) -> Result<Self, RuntimeError> {
        Ok(Self { person: self.impression.with_identity(identity)?, ..self })
    }

    /// With another reading of the person, such as one of several photos.
    pub fn with_reading(self, reading: Reading) -> Self {
        Self { reading: Some(reading), ..self }
    }

    /// With a reading that is held against what the model predicts of the albedo; see [`Reading::contradicting`].
    pub(super) fn with_prediction(self, prediction: &DecodedMaps, mask: &[f32]) -> Self {
        Self { reading: self.reading.map(|reading| reading.contradicting(prediction, mask)), ..self }
    }

    /// What the bundle's regressor reads of the person, where it has one.
    pub fn reading(&self) -> Option<&Reading> {
        self.reading.as_ref()
    }

    /// The head in this pose, seen through the chip's pixels.
    pub(super) fn view(&self, camera: &Camera, pose: &HeadPose, supersampling: usize) -> View {
        chip_view(&self.placement, self.side, camera, pose, supersampling)
    }

    /// Landmarks in photo pixels.
    pub(super) fn landmark_pixels(&self) -> impl Iterator<Item = Vec2> {
        self.landmarks.iter().map(|point| point.truncate())
    }
}

/// A face's chip, sRGB of 0 to 1.
pub(super) fn chip(face: &Face) -> Vec<Vec3> {
    face.chip.pixels().map(|pixel| Vec3::from(pixel.0.map(f32::from)) / 255.0).collect()
}

/// A head in a pose, seen through the pixels of a chip of `side` × `side`.
pub(super) fn chip_view(
    placement: &ChipPlacement,
    side: usize,
    camera: &Camera,
    pose: &HeadPose,
    supersampling: usize,
) -> View {
    let ray = |x: f64, y: f64| camera.ray(placement.apply(DVec2::new(x, y)).as_vec2());
    let origin = ray(0.0, 0.0);
    let rays = Rays { origin, right: ray(1.0, 0.0) - origin, down: ray(0.0, 1.0) - origin };
    let HeadPose { rotation, translation } = *pose;
    View { rotation, translation, rays, width: side, height: side, supersampling }
}

#[cfg(test)]
pub(super) mod tests {
    use bevy::math::{DMat2, Quat};

    use super::*;

    /// A square photo that is its own chip.
    pub fn target(side: usize, chip: Vec<Vec3>) -> PhotoTarget {
        PhotoTarget {
            size: (side as u32, side as u32),
            landmarks: Vec::new(),
            seen_landmarks: None,
            placement: ChipPlacement { linear: DMat2::IDENTITY, offset: DVec2::ZERO },
            side,
            linear: chip.iter().copied().map(colour::to_linear).collect(),
            chip,
            impression: Impression::default(),
            person: Impression::default(),
            reading: None,
            iris: UNKNOWN_IRIS,
        }
    }

    #[test]
    fn the_view_sees_through_the_chips_pixels() {
        let mut target = target(100, vec![Vec3::ZERO; 10_000]);
        target.placement = ChipPlacement { linear: DMat2::from_angle(0.3) * 2.5, offset: DVec2::new(40.0, 12.0) };
        let camera = Camera { focal: 700.0, centre: Vec2::new(320.0, 240.0) };
        let pose = HeadPose { rotation: Quat::from_rotation_y(0.4), translation: Vec3::new(0.1, 0.05, -0.7) };
        let view = target.view(&camera, &pose, 2);
        let point = Vec3::new(0.02, -0.03, 0.09);
        let seen = view.project(point).unwrap();
        let expected = camera.project(pose.apply(point));
        assert!(target.placement.apply(seen.as_dvec2()).as_vec2().distance(expected) < 1e-2, "{seen}");
    }
}
