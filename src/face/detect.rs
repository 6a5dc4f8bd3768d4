//! Face detection with a single-shot network of the BlazeFace family (Bazarevsky et al., 2019).

use bevy::math::{DMat2, DVec2, Rect, Vec2};
use image::RgbImage;

use super::sampling::{self, Affine, Border};
use crate::{
    bundle::{self, Bundle, BundleError},
    runtime::{CancelToken, Model, Runtime, RuntimeError},
};

/// Numbers per anchor: a box's centre and size, then the keypoints.
const VALUES: usize = 16;

/// Logits are clipped to this range before the sigmoid, as the networks were trained.
const LOGIT_LIMIT: f32 = 100.0;

/// Keypoints of a detection, in the order of [`Detection::keypoints`]. Left and right are the person's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keypoint {
    /// The right eye.
    RightEye,
    /// The left eye.
    LeftEye,
    /// The tip of the nose.
    NoseTip,
    /// The middle of the mouth.
    Mouth,
    /// The right ear's opening.
    RightEar,
    /// The left ear's opening.
    LeftEar,
}

/// A face that a detector saw.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// How sure the detector is, 0 to 1.
    pub score: f32,
    /// The face from the brows to the chin, in photo pixels.
    pub bounds: Rect,
    /// Places of the six [`Keypoint`]s, in photo pixels.
    pub keypoints: [Vec2; 6],
}

impl Detection {
    /// Place of a keypoint in photo pixels.
    pub fn keypoint(&self, keypoint: Keypoint) -> Vec2 {
        self.keypoints[keypoint as usize]
    }

    /// The same face in the mirror image of the photo, which is `width` pixels wide.
    pub(super) fn mirrored(&self, width: u32) -> Self {
        let mirror = |place: Vec2| Vec2::new(width as f32 - 1.0 - place.x, place.y);
        let [right_eye, left_eye, nose_tip, mouth, right_ear, left_ear] = self.keypoints.map(mirror);
        Self {
            score: self.score,
            bounds: Rect::from_corners(mirror(self.bounds.min), mirror(self.bounds.max)),
            keypoints: [left_eye, right_eye, nose_tip, mouth, left_ear, right_ear],
        }
    }

    /// Roll of the face: the angle of the line from the right to the left eye, in radians, clockwise on the photo.
    pub fn roll(&self) -> f32 {
        (self.keypoint(Keypoint::LeftEye) - self.keypoint(Keypoint::RightEye)).to_angle()
    }
}

/// How a photo is turned before detection, in quarter turns clockwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Upright,
    Clockwise,
    Counterclockwise,
}

/// A detection network and its anchors.
#[derive(Debug)]
pub(super) struct Detector {
    model: Model,
    rules: bundle::Detector,
    side: usize,
    anchors: Vec<Vec2>,
}

impl Detector {
    pub(super) fn load(bundle: &Bundle, runtime: &Runtime, rules: &bundle::Detector) -> Result<Self, BundleError> {
        let model = bundle.load(runtime, &rules.network)?;
        let side = model.spec().inputs[0].shape[3];
        Ok(Self { anchors: anchors(side, &rules.strides, rules.anchors_per_cell), model, rules: rules.clone(), side })
    }

    /// Finds faces in a photo, best score first.
    pub(super) fn detect(
        &mut self,
        photo: &RgbImage,
        turn: Turn,
        cancel: &CancelToken,
    ) -> Result<Vec<Detection>, RuntimeError> {
        let map = letterbox(photo, turn, self.side);
        let crop = sampling::crop(photo, &map, self.side, Border::Zero);
        let input = sampling::to_input(&crop, self.side, self.rules.input_range);
        let name = self.model.spec().inputs[0].name.clone();
        let mut outputs = self.model.run(&[(&name, &input)], cancel)?;
        let boxes = outputs.take::<f32>(&self.rules.boxes)?;
        let scores = outputs.take::<f32>(&self.rules.scores)?;
        let raw = self.decode(boxes.data(), scores.data());
        let merged = merge_overlapping(raw, self.rules.merge_iou);
        Ok(merged.iter().map(|face| face.mapped(&map)).collect())
    }

    /// Detections above the threshold in input pixels.
    fn decode(&self, boxes: &[f32], scores: &[f32]) -> Vec<Detection> {
        let side = self.side as f32;
        boxes
            .chunks_exact(VALUES)
            .zip(scores)
            .zip(&self.anchors)
            .filter_map(|((values, &logit), &anchor)| {
                let score = sigmoid(logit.clamp(-LOGIT_LIMIT, LOGIT_LIMIT));
                // Written so that a network that answers NaN finds nothing.
                if !(score >= self.rules.score_threshold && values.iter().all(|value| value.is_finite())) {
                    return None;
                }
                let point = |index: usize| Vec2::new(values[index], values[index + 1]) + anchor * side;
                let bounds = Rect::from_center_size(point(0), Vec2::new(values[2], values[3]).abs());
                Some(Detection { score, bounds, keypoints: std::array::from_fn(|k| point(4 + 2 * k)) })
            })
            .collect()
    }
}

impl Detection {
    fn mapped(&self, map: &Affine) -> Self {
        let apply = |point: Vec2| map.apply(point.as_dvec2()).as_vec2();
        Self {
            score: self.score,
            bounds: Rect::from_corners(apply(self.bounds.min), apply(self.bounds.max)),
            keypoints: self.keypoints.map(apply),
        }
    }
}

pub(super) fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

/// Centres of the anchors, 0 to 1. Consecutive layers of equal stride share a grid.
fn anchors(side: usize, strides: &[u32], per_cell: u32) -> Vec<Vec2> {
    let mut anchors = Vec::new();
    for layers in strides.chunk_by(|a, b| a == b) {
        let cells = side.div_ceil(layers[0] as usize);
        let per_place = layers.len() * per_cell as usize;
        for y in 0..cells {
            for x in 0..cells {
                let centre = (Vec2::new(x as f32, y as f32) + 0.5) / cells as f32;
                anchors.extend(std::iter::repeat_n(centre, per_place));
            }
        }
    }
    anchors
}

/// The map from a network's input to the photo: the photo is turned and fitted into the square, centred.
fn letterbox(photo: &RgbImage, turn: Turn, side: usize) -> Affine {
    let size = DVec2::new(f64::from(photo.width()), f64::from(photo.height()));
    let turned_size = if turn == Turn::Upright { size } else { DVec2::new(size.y, size.x) };
    let longer = size.max_element();
    let fit = Affine {
        linear: DMat2::from_diagonal(DVec2::splat(longer / side as f64)),
        offset: (turned_size - longer) / 2.0,
    };
    let turn = match turn {
        Turn::Upright => Affine { linear: DMat2::IDENTITY, offset: DVec2::ZERO },
        Turn::Clockwise => {
            Affine { linear: DMat2::from_cols(DVec2::NEG_Y, DVec2::X), offset: DVec2::new(0.0, size.y - 1.0) }
        }
        Turn::Counterclockwise => {
            Affine { linear: DMat2::from_cols(DVec2::Y, DVec2::NEG_X), offset: DVec2::new(size.x - 1.0, 0.0) }
        }
    };
    turn.after(&fit)
}

/// Merges each group of overlapping boxes into their mean, weighted by score; best score first.
fn merge_overlapping(mut faces: Vec<Detection>, merge_iou: f32) -> Vec<Detection> {
    faces.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut merged = Vec::new();
    while let Some(best) = faces.first().cloned() {
        let (group, rest): (Vec<_>, Vec<_>) = faces
            .into_iter()
            .enumerate()
            .partition(|(rank, face)| *rank == 0 || overlap(&best.bounds, &face.bounds) > merge_iou);
        faces = rest.into_iter().map(|(_, face)| face).collect();
        let total: f32 = group.iter().map(|(_, face)| face.score).sum();
        let mean = |of: &dyn Fn(&Detection) -> Vec2| {
            group.iter().map(|(_, face)| of(face) * (face.score / total)).sum::<Vec2>()
        };
        merged.push(Detection {
            score: best.score,
            bounds: Rect::from_corners(mean(&|face| face.bounds.min), mean(&|face| face.bounds.max)),
            keypoints: std::array::from_fn(|k| mean(&|face| face.keypoints[k])),
        });
    }
    merged
}

/// Intersection over union.
fn overlap(a: &Rect, b: &Rect) -> f32 {
    let area = |rect: Rect| rect.width().max(0.0) * rect.height().max(0.0);
    let shared = area(a.intersect(*b));
    let union = area(*a) + area(*b) - shared;
    if union > 0.0 { shared / union } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(score: f32, min: [f32; 2], max: [f32; 2]) -> Detection {
        let bounds = Rect::from_corners(min.into(), max.into());
        Detection { score, bounds, keypoints: [bounds.center(); 6] }
    }

    #[test]
    fn layers_of_equal_stride_share_a_grid() {
        let anchors = anchors(128, &[8, 16, 16, 16], 2);
        assert_eq!(anchors.len(), 16 * 16 * 2 + 8 * 8 * 6);
        assert_eq!(anchors[0], Vec2::splat(0.5 / 16.0));
        assert_eq!(anchors[2], Vec2::new(1.5 / 16.0, 0.5 / 16.0));
        assert_eq!(anchors[512], Vec2::splat(0.5 / 8.0));
    }

    #[test]
    fn overlapping_boxes_merge_by_score_and_others_stay() {
        let faces = vec![
            face(0.6, [1.0, 0.0], [11.0, 10.0]),
            face(0.9, [0.0, 0.0], [10.0, 10.0]),
            face(0.7, [50.0, 50.0], [60.0, 60.0]),
        ];
        let merged = merge_overlapping(faces, 0.3);
        assert_eq!(merged.len(), 2);
        assert_eq!(merged[0].score, 0.9);
        assert!((merged[0].bounds.min.x - 0.4).abs() < 1e-6, "(0.9 · 0 + 0.6 · 1) / 1.5");
        assert_eq!(merged[1].bounds.min, Vec2::splat(50.0));
    }

    #[test]
    fn overlap_is_intersection_over_union() {
        let a = Rect::new(0.0, 0.0, 2.0, 2.0);
        assert!((overlap(&a, &Rect::new(1.0, 0.0, 3.0, 2.0)) - 1.0 / 3.0).abs() < 1e-6);
        assert_eq!(overlap(&a, &Rect::new(5.0, 5.0, 6.0, 6.0)), 0.0);
        assert_eq!(overlap(&Rect::new(1.0, 1.0, 1.0, 1.0), &Rect::new(1.0, 1.0, 1.0, 1.0)), 0.0);
    }

    #[test]
    fn a_turned_letterbox_reaches_the_corners_of_the_photo() {
        let photo = RgbImage::new(400, 200);
        // The first pixel of the turned photo: bottom left of the photo for a clockwise turn, top right for the other.
        for (turn, corner) in
            [(Turn::Clockwise, DVec2::new(0.0, 199.0)), (Turn::Counterclockwise, DVec2::new(399.0, 0.0))]
        {
            let map = letterbox(&photo, turn, 100);
            // The turned photo is 200 × 400: it starts a quarter into the square's width.
            assert!(map.apply(DVec2::new(25.0, 0.0)).distance(corner) < 1e-9, "{turn:?}");
        }
        let upright = letterbox(&photo, Turn::Upright, 100);
        assert!(upright.apply(DVec2::new(0.0, 25.0)).length() < 1e-9);
    }
}
