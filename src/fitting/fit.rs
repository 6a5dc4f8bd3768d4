//! The outcome of a fit: how the face stands in the photo, and how far it can be relied on.

use super::{Camera, FaceFit, HeadPose, Losses, render::ShLight};

/// Landmark errors, in shares of the face's size, at which a fit is good and at which it is worth nothing.
const LANDMARK_ERRORS: [f32; 2] = [0.045, 0.10];

/// The same of the distance between the embeddings of the photo and of the rendering put over it.
const IDENTITY_DISTANCES: [f32; 2] = [0.37, 0.51];

/// The same of the photometric loss.
const PHOTOMETRIC_LOSSES: [f32; 2] = [2.5, 7.0];

/// How the avatar's face stands in the photo: enough to show the one over the other.
#[derive(Clone, Debug, PartialEq)]
pub struct PhotoFit {
    /// The number of the photo among those that the avatar was made of, from 0.
    pub photo: usize,
    /// Size of the photo in pixels.
    pub photo_size: (u32, u32),
    /// The photo's camera; its place in the world is the origin of [`pose`](Self::pose)'s view space.
    pub camera: Camera,
    /// Where the head is.
    pub pose: HeadPose,
    /// Blendshape weights in the template's order, 0 to 1.
    pub expression: Vec<f32>,
    /// The photo's light, in view space, in units in which a white surface under it is as bright as in the photo.
    pub light: ShLight,
    /// What is left of the losses.
    pub losses: Losses,
    /// Root mean square distance of the landmarks, as a share of the face's size.
    pub landmark_error: f32,
    /// How far the fit can be relied on, 0 to 1. The avatar is this far from the unguided person towards the fitted one.
    pub confidence: f32,
}

impl PhotoFit {
    pub(super) fn new(photo_size: (u32, u32), fit: FaceFit, light: ShLight, losses: Losses) -> Self {
        let FaceFit { camera, pose, expression, landmark_error, .. } = fit;
        let confidence = falling(landmark_error, LANDMARK_ERRORS)
            * falling(losses.identity, IDENTITY_DISTANCES)
            * falling(losses.photometric, PHOTOMETRIC_LOSSES);
        Self { photo: 0, photo_size, camera, pose, expression, light, losses, landmark_error, confidence }
    }
}

/// 1 up to the first value, 0 from the second one on. What is not finite is worth nothing.
fn falling(value: f32, [good, worthless]: [f32; 2]) -> f32 {
    let share = ((worthless - value) / (worthless - good)).clamp(0.0, 1.0);
    if share.is_finite() { share * share * (3.0 - 2.0 * share) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_falls_from_one_to_zero() {
        assert_eq!([0.1, 0.4, 0.65, 2.0, f32::NAN].map(|value| falling(value, [0.4, 0.65])), [1.0, 1.0, 0.0, 0.0, 0.0]);
        assert!((falling(0.525, [0.4, 0.65]) - 0.5).abs() < 1e-5);
    }
}
