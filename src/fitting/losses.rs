//! What a rendering is judged by on the chip, and what that means for its pixels.

use bevy::math::Vec3;

use super::{PhotoTarget, colour, render::Rendering};

/// Photo values from here on are clipped.
const SATURATED: f32 = 0.99;

/// Least coverage of a pixel that is compared.
const LEAST_COVERAGE: f32 = 0.5;

/// Weights of the losses. Each is a negative log likelihood up to its scale: it says how many independent observations a
/// loss stands for. 0 switches a loss off. The defaults were chosen on held-out synthetic selfies and on real photos.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossWeights {
    /// Squared distance of the embeddings. 800: the person of a real photo, who is unlike the regressor's synthetic people,
    /// stays too far from it with less. What is read of the shape keeps it from bending the head.
    pub recognition: f32,
    /// The same of the avatar at rest, turned and lit another way, to the mean embedding of all photos and their mirror images.
    /// 1900: it keeps the likeness from being one of the photo's pose and light alone. With more than 600, hardly any other
    /// photo of the person comes nearer, and the bare head goes astray: what photos show besides it is painted on its skin.
    pub elsewhere: f32,
    /// Squared distance of the recogniser's inner activations, over the photo's mean square. 600, the most telling loss for
    /// shape: activations know where features are, and care little for light.
    pub perceptual: f32,
    /// Mean robust squared error of the skin's pixels, in squared deviations of 0.05 (sRGB of 0 to 1). 300, far fewer than
    /// there are pixels: what light and shadow leave unexplained is the same over whole regions.
    pub photometric: f32,
    /// Mean squared error of the landmarks, in their squared deviations of 2.2 % of the face's size, more for a head that is
    /// turned away; below 2.2, which the landmark network's own errors may explain, it counts by its fifth power. 80: all 478
    /// of them err together. With less, brows and forehead of a real face that is unlike the regressor's synthetic people stay
    /// off; with more, errors bend it.
    pub landmarks: f32,
    /// Half the squared distance of the shape coefficients from what the regressor reads in the photo, in its squared
    /// deviations. 8, eight times the likelihood as it is: the other losses are surer of shapes than they are right. With 12,
    /// and landmarks of 110 to keep a real face's place, synthetic people's shapes are no nearer.
    pub shape_regression: f32,
    /// Mean squared distance of the diffuse albedo of the whole head, hair on the scalp included, from what the regressor
    /// reads, likewise. 500, far fewer than there are texels: it errs over whole regions. It holds against what recognition
    /// would paint on the skin: that harms most those whose albedo the model meets well without guidance.
    pub albedo_regression: f32,
    /// Squared distance of the latents from the model's prediction, in squared deviations of the prediction. 1: it is the
    /// prior as it is.
    pub prior: f32,
}

impl Default for LossWeights {
    fn default() -> Self {
        Self {
            recognition: 800.0,
            elsewhere: 1900.0,
            perceptual: 600.0,
            photometric: 300.0,
            landmarks: 80.0,
            shape_regression: 8.0,
            albedo_regression: 500.0,
            prior: 1.0,
        }
    }
}

/// Standard deviation of a pixel's sRGB value of 0 to 1: what light, shadow and the maps' resolution leave unexplained.
const PHOTOMETRIC_DEVIATION: f32 = 0.05;

/// Errors beyond so many deviations lose their influence (Geman and McClure).
const OUTLIER: f32 = 4.0;

/// sRGB error at which a pixel of the photo is as likely to show something else than the bare face.
const FOREIGN: f32 = 0.12;

/// Pixels over which trust is spread: hair comes in strands.
const STRANDS: usize = 2;

/// How far each pixel of the photo shows the bare face, 0 to 1: not hair, glasses, a hand, a hard shadow. `rendering` is
/// the unguided face in the photo's light.
pub(super) fn trust(rendering: &Rendering, share: &[f32], target: &PhotoTarget) -> Vec<f32> {
    let composite = Composite::new(rendering, share, target);
    let error = |pixel: usize| {
        if composite.share[pixel] <= 0.0 {
            return 1.0;
        }
        let square = (composite.rendered[pixel].min(Vec3::ONE) - target.chip[pixel]).length_squared() / 3.0;
        1.0 / (1.0 + (square / (FOREIGN * FOREIGN)).powi(2))
    };
    let trust: Vec<f32> = (0..share.len()).map(error).collect();
    eroded(&trust, target.side, STRANDS)
}

/// A rendering put over the photo.
#[derive(Clone, Debug)]
pub(super) struct Composite {
    /// sRGB of 0 to 1: the face is rendered, all around it is the photo's.
    pub chip: Vec<Vec3>,
    /// How much of each pixel is rendered, 0 to 1.
    pub share: Vec<f32>,
    /// Slope of the chip's sRGB value by the rendering's linear colour.
    slope: Vec<Vec3>,
    /// The rendering alone, sRGB.
    rendered: Vec<Vec3>,
}

impl Composite {
    /// Puts the part of a rendering that `mask` marks over the photo.
    pub fn new(rendering: &Rendering, mask: &[f32], target: &PhotoTarget) -> Self {
        let count = rendering.colour.len();
        let mut composite = Self {
            chip: target.chip.clone(),
            share: vec![0.0; count],
            slope: vec![Vec3::ZERO; count],
            rendered: vec![Vec3::ZERO; count],
        };
        for (pixel, &marked) in mask.iter().enumerate() {
            let coverage = rendering.coverage[pixel];
            if coverage < LEAST_COVERAGE || marked <= 0.0 {
                continue;
            }
            let linear = (rendering.colour[pixel] / coverage).max(Vec3::ZERO);
            let share = marked.min(1.0);
            let colour = colour::to_srgb(linear);
            composite.share[pixel] = share;
            composite.rendered[pixel] = colour;
            composite.chip[pixel] = target.chip[pixel].lerp(colour.min(Vec3::ONE), share);
            let slope = linear.to_array().map(|value| colour::srgb_slope(value.max(1e-3)) / coverage);
            composite.slope[pixel] = Vec3::from_array(slope);
        }
        composite
    }

    /// The photometric loss and its gradient by the rendering's sRGB colours. `weights` are the pixels'.
    pub fn photometric(&self, target: &PhotoTarget, weights: &[f32]) -> (f32, Vec<Vec3>) {
        let total: f32 = weights.iter().zip(&self.share).map(|(weight, share)| weight * share).sum::<f32>().max(1.0);
        let mut loss = 0.0;
        let gradient = (0..self.chip.len()).map(|pixel| {
            let weight = weights[pixel] * self.share[pixel] / total;
            if weight <= 0.0 {
                return Vec3::ZERO;
            }
            let photo = target.chip[pixel];
            let mut error = (self.rendered[pixel] - photo) / PHOTOMETRIC_DEVIATION;
            // What is brighter than the photo can show agrees with its brightest value.
            error = Vec3::select(photo.cmpge(Vec3::splat(SATURATED)) & error.cmpgt(Vec3::ZERO), Vec3::ZERO, error);
            let square = error.length_squared() / 3.0;
            let inlier = 1.0 / (1.0 + square / (OUTLIER * OUTLIER));
            loss += weight * square * inlier;
            2.0 / 3.0 * weight * inlier * inlier / PHOTOMETRIC_DEVIATION * error
        });
        let gradient = gradient.collect();
        (loss, gradient)
    }

    /// The gradient by the rendering's linear colours, times coverage, from that by its sRGB colours (`photometric`) and
    /// that by the chip, of which `weights` are let through.
    pub fn seed(&self, photometric: &[Vec3], chip: &[Vec3], weights: &[f32]) -> Vec<Vec3> {
        (0..self.chip.len())
            .map(|pixel| {
                let clipped = self.rendered[pixel].cmplt(Vec3::ONE);
                let chip = Vec3::select(clipped, chip[pixel], Vec3::ZERO) * weights[pixel].min(self.share[pixel]);
                self.slope[pixel] * (photometric[pixel] + chip)
            })
            .collect()
    }
}

/// The least of all values at most `radius` pixels away in a square picture.
pub(super) fn eroded(values: &[f32], side: usize, radius: usize) -> Vec<f32> {
    let least = |line: &dyn Fn(usize) -> f32, place: usize| {
        (place.saturating_sub(radius)..=(place + radius).min(side - 1)).map(line).fold(f32::INFINITY, f32::min)
    };
    let rows: Vec<f32> = (0..side * side).map(|i| least(&|x| values[i / side * side + x], i % side)).collect();
    (0..side * side).map(|i| least(&|y| rows[y * side + i % side], i / side)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fitting::{slope::assert_slope, target::tests::target};

    /// Colours between dark and bright, different from pixel to pixel.
    fn colours(count: usize, salt: f32) -> Vec<Vec3> {
        let value = |i: usize, c: f32| 0.4 + 0.2 * ((i as f32 + salt) * (1.7 + c)).sin();
        (0..count).map(|i| Vec3::new(value(i, 0.0), value(i, 0.3), value(i, 0.7))).collect()
    }

    fn rendering(side: usize) -> Rendering {
        let coverage = vec![1.0; side * side];
        Rendering { width: side, height: side, colour: colours(side * side, 3.0), skin: coverage.clone(), coverage }
    }

    #[test]
    fn the_face_is_rendered_and_all_around_it_is_the_photo() {
        let target = target(4, colours(16, 0.0));
        let mut rendering = rendering(4);
        rendering.coverage[1] = 0.2;
        let mut mask = vec![1.0; 16];
        mask[0] = 0.0;
        let composite = Composite::new(&rendering, &mask, &target);
        assert_eq!([composite.chip[0], composite.chip[1]], [target.chip[0], target.chip[1]]);
        assert_eq!(composite.chip[2], colour::to_srgb(rendering.colour[2]));
        assert_eq!(composite.share[..3], [0.0, 0.0, 1.0]);
    }

    #[test]
    fn the_gradient_is_that_of_differences() {
        let target = target(4, colours(16, 0.0));
        let weights: Vec<f32> = (0..16).map(|i| (i % 4) as f32 / 3.0).collect();
        let chip_seed = colours(16, 9.0);
        let loss = |rendering: &Rendering| {
            let composite = Composite::new(rendering, &weights, &target);
            let along =
                composite.chip.iter().zip(&chip_seed).map(|(chip, seed)| f64::from(chip.dot(*seed))).sum::<f64>();
            f64::from(composite.photometric(&target, &weights).0) + along
        };
        let rendering = rendering(4);
        let composite = Composite::new(&rendering, &weights, &target);
        let gradient = composite.seed(&composite.photometric(&target, &weights).1, &chip_seed, &weights);
        for (pixel, gradient) in gradient.iter().enumerate() {
            for (channel, &found) in gradient.to_array().iter().enumerate() {
                assert_slope("colour", found, gradient.length(), 4e-3, |step| {
                    let mut moved = rendering.clone();
                    moved.colour[pixel][channel] += step;
                    loss(&moved)
                });
            }
        }
    }

    #[test]
    fn a_clipped_highlight_agrees_with_all_that_is_brighter() {
        let target = target(1, vec![Vec3::ONE]);
        let bright = |value: f32| Rendering {
            width: 1,
            height: 1,
            colour: vec![Vec3::splat(value)],
            coverage: vec![1.0],
            skin: vec![1.0],
        };
        let loss = |value: f32| Composite::new(&bright(value), &[1.0], &target).photometric(&target, &[1.0]).0;
        assert_eq!(loss(1.7), 0.0);
        assert!(loss(0.7) > 0.1);
    }

    #[test]
    fn erosion_takes_the_least_of_the_neighbours() {
        let mut values = vec![1.0; 25];
        values[12] = 0.25;
        let eroded = eroded(&values, 5, 1);
        assert_eq!(eroded.iter().filter(|value| **value == 0.25).count(), 9);
        assert_eq!(super::eroded(&values, 5, 0), values);
    }
}
