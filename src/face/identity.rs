//! Who a face belongs to: an aligned chip and its embedding by a face-recognition network.

use std::fmt;

use bevy::math::{DMat2, DVec2};
use image::{Rgb, RgbImage};

use super::{
    FaceLandmarks,
    sampling::{self, Affine, Border, BoxReduced},
};
use crate::{
    bundle::{self, Bundle, BundleError, ChipTemplate, Manifest},
    runtime::{CancelToken, Model, Runtime, RuntimeError},
};

/// A face embedding. Two photos of one person lie close together; compare by Euclidean distance.
///
/// It is personal data: it tells people apart. Its `Debug` output does not show the numbers.
#[derive(Clone, PartialEq)]
pub struct Identity(Vec<f32>);

impl Identity {
    /// Wraps the numbers of an embedding.
    pub fn new(values: Vec<f32>) -> Self {
        Self(values)
    }

    /// The embedding, not normalised; 128 numbers for the default bundle.
    pub fn values(&self) -> &[f32] {
        &self.0
    }

    /// Euclidean distance to another embedding of the same recogniser; infinite when their lengths differ.
    pub fn distance(&self, other: &Self) -> f32 {
        if self.0.len() != other.0.len() {
            return f32::INFINITY;
        }
        self.0.iter().zip(&other.0).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({}-D)", self.0.len())
    }
}

/// Where the pixels of a chip lie in its photo.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChipPlacement {
    /// Steps in the photo, in pixels, to the chip's next pixel on the right and below.
    pub linear: DMat2,
    /// Place in the photo of the chip's first pixel; the centre of the photo's first pixel is (0, 0).
    pub offset: DVec2,
}

impl ChipPlacement {
    /// The placement of a chip of `side` pixels on a face with these landmarks.
    pub(crate) fn new(landmarks: &FaceLandmarks, template: &ChipTemplate, side: usize) -> Self {
        let Affine { linear, offset } = chip_map(landmarks, template, side).0;
        Self { linear, offset }
    }

    /// The place in the photo of a place in the chip, both in pixels.
    pub fn apply(&self, pixel: DVec2) -> DVec2 {
        self.linear * pixel + self.offset
    }

    /// The place in the chip of a place in the photo, both in pixels: the inverse of [`apply`](Self::apply).
    pub fn chip_pixel(&self, place: DVec2) -> DVec2 {
        self.linear.inverse() * (place - self.offset)
    }

    /// Photo pixels that one pixel of the chip spans; below 1, the chip is enlarged.
    pub fn scale(&self) -> f64 {
        self.linear.x_axis.length()
    }
}

/// The face as the recogniser sees it: a square, RGB of 0 to 255 before rounding.
#[derive(Clone, Debug)]
pub(super) struct Chip {
    pub side: usize,
    pub pixels: Vec<[f32; 3]>,
}

impl Chip {
    /// Cuts the chip out of a photo.
    ///
    /// A least-squares similarity takes the template's points to their landmarks. Photos of more than twice the
    /// chip's resolution are box-filtered first, so that fine detail does not alias.
    fn cut(photo: &RgbImage, landmarks: &FaceLandmarks, template: &ChipTemplate, side: usize) -> Self {
        let (map, scale) = chip_map(landmarks, template, side);
        if scale < 2.0 {
            return Self { side, pixels: sampling::crop(photo, &map, side, Border::Zero) };
        }
        let factor = scale.floor() as u32;
        let shrink = f64::from(factor);
        let reduced = Affine {
            linear: map.linear * (1.0 / shrink),
            // Centres of boxes lie between pixels when the factor is even.
            offset: (map.offset + 0.5) / shrink - 0.5,
        };
        let source = BoxReduced::new(photo, factor, &reduced, side);
        Self { side, pixels: sampling::crop(&source, &reduced, side, Border::Zero) }
    }

    pub(super) fn to_image(&self) -> RgbImage {
        RgbImage::from_fn(self.side as u32, self.side as u32, |x, y| {
            Rgb(self.pixels[y as usize * self.side + x as usize].map(|value| value.round().clamp(0.0, 255.0) as u8))
        })
    }
}

/// The map from chip pixels to the photo, and how many photo pixels a pixel of the template has.
fn chip_map(landmarks: &FaceLandmarks, template: &ChipTemplate, side: usize) -> (Affine, f64) {
    let size = side as f64;
    let places: Vec<DVec2> = template
        .points
        .iter()
        .map(|&[x, y]| (DVec2::new(x, y) + template.padding) / (2.0 * template.padding + 1.0) * size)
        .collect();
    let targets: Vec<DVec2> = template.landmarks.iter().map(|&index| landmarks.pixel(index).as_dvec2()).collect();
    let similarity = sampling::fit_similarity(&places, &targets);
    // dlib's rectangles are one pixel narrower than they count pixels: pixel i lies at u = (i − (n−1)/2)·k + n/2 of
    // the template, with k = (n·s − 1) / ((n − 1)·s) for a similarity of scale s.
    let scale = similarity.linear.x_axis.length();
    let stretch = (size * scale - 1.0) / ((size - 1.0) * scale);
    let start = size / 2.0 - (size - 1.0) / 2.0 * stretch;
    let map = Affine {
        linear: similarity.linear * stretch,
        offset: similarity.linear * DVec2::splat(start) + similarity.offset,
    };
    (map, scale)
}

/// How the chips of a bundle's recogniser are cut.
#[derive(Debug)]
pub(super) struct ChipCutter {
    template: ChipTemplate,
    side: usize,
}

impl ChipCutter {
    pub(super) fn new(bundle: &Bundle) -> Self {
        let Manifest { networks, face, .. } = bundle.manifest();
        let rules = &face.identity;
        // A checked manifest describes the network, with one square input.
        let network = networks.get(&rules.network).and_then(|network| network.inputs.first());
        let side = network.and_then(|input| input.shape.get(3)).copied().unwrap_or(0);
        Self { template: rules.chip.clone(), side }
    }

    /// Cuts the chip of a face out of a photo.
    pub(super) fn cut(&self, photo: &RgbImage, landmarks: &FaceLandmarks) -> Chip {
        Chip::cut(photo, landmarks, &self.template, self.side)
    }

    /// Where the chip of a face lies in its photo.
    pub(super) fn placement(&self, landmarks: &FaceLandmarks) -> ChipPlacement {
        ChipPlacement::new(landmarks, &self.template, self.side)
    }
}

/// The recognition network.
#[derive(Debug)]
pub(super) struct Recogniser {
    model: Model,
    rules: bundle::Recogniser,
}

impl Recogniser {
    pub(super) fn load(bundle: &Bundle, runtime: &Runtime) -> Result<Self, BundleError> {
        let rules = bundle.manifest().face.identity.clone();
        Ok(Self { model: bundle.load(runtime, &rules.network)?, rules })
    }

    /// The embedding of a chip.
    pub(super) fn identify(&mut self, chip: &Chip, cancel: &CancelToken) -> Result<Identity, RuntimeError> {
        let input = sampling::to_input(&chip.pixels, chip.side, self.rules.input_range);
        let name = self.model.spec().inputs[0].name.clone();
        let mut outputs = self.model.run(&[(&name, &input)], cancel)?;
        Ok(Identity(outputs.take::<f32>(&self.rules.embedding)?.into_data()))
    }
}

#[cfg(test)]
mod tests {
    use bevy::math::Vec3;

    use super::*;

    #[test]
    fn distance_is_euclidean_and_infinite_between_recognisers() {
        let a = Identity::new(vec![1.0, 2.0, 2.0]);
        assert_eq!(a.distance(&Identity::new(vec![0.0; 3])), 3.0);
        assert_eq!(a.distance(&Identity::new(vec![0.0; 4])), f32::INFINITY);
    }

    #[test]
    fn debug_output_hides_the_embedding() {
        assert_eq!(format!("{:?}", Identity::new(vec![0.123; 128])), "Identity(128-D)");
    }

    #[test]
    fn places_in_chip_and_photo_lead_back_to_each_other() {
        let placement = ChipPlacement { linear: DMat2::from_angle(0.4) * 2.5, offset: DVec2::new(-13.0, 55.0) };
        let place = DVec2::new(71.0, 22.5);
        assert!(placement.chip_pixel(placement.apply(place)).distance(place) < 1e-9);
    }

    #[test]
    fn the_chip_map_centres_the_template_on_the_landmarks() {
        let template =
            ChipTemplate { padding: 0.25, landmarks: vec![0, 1, 2], points: vec![[0.2, 0.2], [0.8, 0.2], [0.5, 0.8]] };
        // The face at three photo pixels a chip pixel, shifted by (40, 70).
        let size = 150.0;
        let points = template
            .points
            .iter()
            .map(|&[x, y]| {
                let place = (DVec2::new(x, y) + 0.25) / 1.5 * size;
                (place * 3.0 + DVec2::new(40.0, 70.0)).as_vec2().extend(0.0)
            })
            .collect::<Vec<Vec3>>();
        let (map, scale) = chip_map(&FaceLandmarks { points, presence: 1.0 }, &template, 150);
        assert!((scale - 3.0).abs() < 1e-5);
        // dlib's rule: the chip spans 150·3 − 1 photo pixels between its first and last pixel, about the same centre.
        let span = map.apply(DVec2::splat(149.0)) - map.apply(DVec2::ZERO);
        assert!((span - (150.0 * 3.0 - 1.0)).abs().max_element() < 1e-3, "{span}");
        let centre = map.apply(DVec2::splat(74.5));
        assert!(centre.distance(DVec2::new(40.0 + 225.0, 70.0 + 225.0)) < 1e-3, "{centre}");
    }
}
