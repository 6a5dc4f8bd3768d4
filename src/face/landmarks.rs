//! Dense facial landmarks on a rotated crop of the face (Kartynnik et al., 2019; Grishchenko et al., 2020).

use bevy::math::{DMat2, DVec2, Rect, Vec2, Vec3};
use image::RgbImage;

use super::{
    Detection, Keypoint,
    detect::sigmoid,
    sampling::{self, Affine, Border},
};
use crate::{
    bundle::{self, Bundle, BundleError, LandmarkIndex},
    runtime::{CancelToken, Model, Runtime, RuntimeError},
};

/// Landmarks of one face.
#[derive(Clone, Debug, PartialEq)]
pub struct FaceLandmarks {
    /// x and y in photo pixels; z in the same unit, relative to the head's centre, smaller towards the camera.
    pub points: Vec<Vec3>,
    /// The network's own opinion of there being a face, 0 to 1. High on some false detections, too.
    pub presence: f32,
}

impl FaceLandmarks {
    /// A landmark's place in the photo, in pixels.
    pub fn pixel(&self, index: usize) -> Vec2 {
        self.points[index].truncate()
    }

    /// The centres of the person's right and left eye, in photo pixels.
    pub fn eyes(&self, index: &LandmarkIndex) -> (Vec2, Vec2) {
        (
            self.pixel(index.right_eye_outer).midpoint(self.pixel(index.right_eye_inner)),
            self.pixel(index.left_eye_outer).midpoint(self.pixel(index.left_eye_inner)),
        )
    }
}

/// A square on the photo that is turned with the face, in pixels and radians.
#[derive(Clone, Copy, Debug)]
struct Roi {
    centre: DVec2,
    side: f64,
    angle: f64,
}

impl Roi {
    fn new(bounds: Rect, scale: f32, angle: f32) -> Self {
        Self {
            centre: bounds.center().as_dvec2(),
            side: f64::from(bounds.size().max_element() * scale),
            angle: f64::from(angle),
        }
    }

    /// From pixels of a crop of `side` pixels to the photo.
    fn map(&self, side: usize) -> Affine {
        let linear = DMat2::from_angle(self.angle) * (self.side / side as f64);
        Affine { linear, offset: self.centre - linear * DVec2::splat(side as f64 / 2.0) }
    }
}

/// The landmark network.
#[derive(Debug)]
pub(crate) struct Landmarker {
    model: Model,
    rules: bundle::Landmarks,
    side: usize,
    /// How many landmarks a face has.
    count: usize,
}

impl Landmarker {
    pub(crate) fn load(bundle: &Bundle, runtime: &Runtime) -> Result<Self, BundleError> {
        let rules = bundle.manifest().face.landmarks.clone();
        let model = bundle.load(runtime, &rules.network)?;
        let spec = model.spec();
        let side = spec.inputs[0].shape[3];
        let count = spec.outputs.iter().find(|output| output.name == rules.points).map_or(0, |points| points.shape[1]);
        Ok(Self { model, rules, side, count })
    }

    /// Landmarks of a detected face, or `None` when the detection proves to be no face.
    ///
    /// Two passes: the second one crops by the first one's points, which makes strong roll safe and moves points by
    /// up to a pixel.
    pub(super) fn landmarks(
        &mut self,
        photo: &RgbImage,
        detection: &Detection,
        cancel: &CancelToken,
    ) -> Result<Option<FaceLandmarks>, RuntimeError> {
        let first = Roi::new(detection.bounds, self.rules.crop_scale, detection.roll());
        let Some(rough) = self.pass(photo, &first, cancel)? else { return Ok(None) };
        let second = self.roi_of(&rough);
        let Some(fine) = self.pass(photo, &second, cancel)? else { return Ok(None) };
        Ok(agree(&self.rules, detection, &fine).then_some(fine))
    }

    /// Landmarks, in pixels, of a face that stands in this picture where another showed it with the landmarks `known`: one
    /// pass on the crop that these ask for. `None` when the network sees no face there, and when `known` are not as many as a
    /// face's.
    pub(crate) fn look_again(
        &mut self,
        picture: &RgbImage,
        known: &[Vec2],
        cancel: &CancelToken,
    ) -> Result<Option<Vec<Vec2>>, RuntimeError> {
        if known.len() != self.count {
            return Ok(None);
        }
        let known = FaceLandmarks { points: known.iter().map(|place| place.extend(0.0)).collect(), presence: 1.0 };
        let seen = self.pass(picture, &self.roi_of(&known), cancel)?;
        Ok(seen.map(|seen| seen.points.iter().map(|point| point.truncate()).collect()))
    }

    fn pass(
        &mut self,
        photo: &RgbImage,
        roi: &Roi,
        cancel: &CancelToken,
    ) -> Result<Option<FaceLandmarks>, RuntimeError> {
        if !(roi.side.is_finite() && roi.side >= 1.0 && roi.centre.is_finite()) {
            return Ok(None);
        }
        let map = roi.map(self.side);
        let crop = sampling::crop(photo, &map, self.side, Border::Replicate);
        let input = sampling::to_input(&crop, self.side, self.rules.input_range);
        let name = self.model.spec().inputs[0].name.clone();
        let mut outputs = self.model.run(&[(&name, &input)], cancel)?;
        let presence = sigmoid(outputs.take::<f32>(&self.rules.presence)?.data()[0]);
        let points = outputs.take::<f32>(&self.rules.points)?;
        let finite = points.data().iter().all(|value| value.is_finite());
        if !(finite && presence >= self.rules.presence_threshold) {
            return Ok(None);
        }
        let depth_scale = roi.side / self.side as f64;
        let points = points
            .data()
            .as_chunks::<3>()
            .0
            .iter()
            .map(|&[x, y, z]| {
                let place = map.apply(DVec2::new(f64::from(x), f64::from(y)));
                place.as_vec2().extend((f64::from(z) * depth_scale) as f32)
            })
            .collect();
        Ok(Some(FaceLandmarks { points, presence }))
    }

    fn roi_of(&self, landmarks: &FaceLandmarks) -> Roi {
        let index = &self.rules.index;
        let eye_line = landmarks.pixel(index.left_eye_outer) - landmarks.pixel(index.right_eye_outer);
        let spanned = landmarks.points[..self.rules.box_points].iter().map(|point| point.truncate());
        let bounds = spanned.fold(Rect::EMPTY, |bounds, point| bounds.union_point(point));
        Roi::new(bounds, self.rules.crop_scale, eye_line.to_angle())
    }
}

/// Whether detector and landmarks mean the same face: their eyes, nose and mouth lie close together. A wrong
/// detection gets a presence near 1 at times, but then its landmarks lie elsewhere.
fn agree(rules: &bundle::Landmarks, detection: &Detection, landmarks: &FaceLandmarks) -> bool {
    let index = &rules.index;
    let (right_eye, left_eye) = landmarks.eyes(index);
    let mouth = landmarks.pixel(index.upper_lip).midpoint(landmarks.pixel(index.lower_lip));
    let pairs = [
        (Keypoint::RightEye, right_eye),
        (Keypoint::LeftEye, left_eye),
        (Keypoint::NoseTip, landmarks.pixel(index.nose_tip)),
        (Keypoint::Mouth, mouth),
    ];
    let total: f32 = pairs.iter().map(|&(keypoint, place)| detection.keypoint(keypoint).distance(place)).sum();
    // The height from eyes to mouth stands in for the eyes' distance when the head is turned to a side.
    let scale = right_eye.distance(left_eye).max(right_eye.midpoint(left_eye).distance(mouth));
    total / pairs.len() as f32 <= rules.max_keypoint_distance * scale
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> bundle::Landmarks {
        Bundle::open(concat!(env!("CARGO_MANIFEST_DIR"), "/models/base")).unwrap().manifest().face.landmarks.clone()
    }

    /// A face with eyes 60 pixels apart, turned about its centre.
    fn detection(angle: f32) -> Detection {
        let turn = Vec2::from_angle(angle);
        let place = |x: f32, y: f32| Vec2::new(200.0, 200.0) + turn.rotate(Vec2::new(x, y));
        let keypoints = [(-30.0, -20.0), (30.0, -20.0), (0.0, 15.0), (0.0, 40.0), (-70.0, 0.0), (70.0, 0.0)]
            .map(|(x, y)| place(x, y));
        Detection { score: 0.9, bounds: Rect::from_center_size(place(0.0, 0.0), Vec2::splat(150.0)), keypoints }
    }

    /// Landmarks that lie where the detection's keypoints do.
    fn landmarks(rules: &bundle::Landmarks, detection: &Detection) -> FaceLandmarks {
        let index = &rules.index;
        let mut points = vec![detection.bounds.center().extend(0.0); rules.box_points];
        let mut put = |numbers: &[usize], keypoint: Keypoint| {
            numbers.iter().for_each(|&number| points[number] = detection.keypoint(keypoint).extend(0.0));
        };
        put(&[index.right_eye_outer, index.right_eye_inner], Keypoint::RightEye);
        put(&[index.left_eye_outer, index.left_eye_inner], Keypoint::LeftEye);
        put(&[index.nose_tip], Keypoint::NoseTip);
        put(&[index.upper_lip, index.lower_lip], Keypoint::Mouth);
        FaceLandmarks { points, presence: 1.0 }
    }

    #[test]
    fn a_sure_network_is_not_believed_when_detector_and_landmarks_disagree() {
        let rules = rules();
        let upright = landmarks(&rules, &detection(0.0));
        assert!(agree(&rules, &detection(0.0), &upright));
        assert!(agree(&rules, &detection(0.2), &upright), "a small difference is none");
        assert!(!agree(&rules, &detection(std::f32::consts::FRAC_PI_2), &upright), "a face seen sideways");
        let mut beside = detection(0.0);
        beside.keypoints.iter_mut().for_each(|point| point.x += 60.0);
        assert!(!agree(&rules, &beside, &upright), "a face beside the face");
    }
}
