//! What a regressor reads of a person in a photo: shape and diffuse albedo, and how far off they may be.
//!
//! The denoiser is conditioned on the identity embedding, which tells who it is and little of tone and form. The landmarks
//! and the recogniser's inner activations hold more of both, and the chip, laid out as a texture by its landmarks, holds
//! the skin's colours. What is read from them joins the losses as an observation with a known deviation; it is also what
//! settles the albedo's slow changes, which pixels alone cannot tell from the light.

use bevy::math::Vec3;

use super::{Impression, landmarks::in_space, mirror::Mirror, similarity::Similarity};
use crate::{
    bundle::{Bundle, BundleError, Generator, TemplateHead},
    diffusion::DecodedMaps,
    face::Face,
    runtime::{AnyTensor, CancelToken, Model, Runtime, RuntimeError, Tensor},
};

/// Names of the regressor's inputs besides the recogniser's outputs.
const INPUTS: [&str; 4] = ["landmarks", "rotation", "chip", "places"];

/// Difference of a reading's tone from that of the model's prediction, in sRGB of 0 to 1, of which half is believed. Readings
/// are nearer on average, but where the two differ little, either may be the nearer one. With small differences left to the
/// prediction, albedos of 5 instead of 18 % of 240 people are worse than predicted, for a mean error of 7.4 instead of 6.4 of 255.
const TONE_DOUBT: f32 = 0.05;

/// What is believed of how a reading differs beside its tone. With a fifth of the prediction, the mean error of 480 people stays
/// what it was, and fewer are worse off than with the prediction alone.
const PATTERN_SHARE: f32 = 0.8;

/// Names of its outputs.
const OUTPUTS: [&str; 4] = ["shape", "shape_deviation", "diffuse", "diffuse_deviation"];

/// A bundle's regressor.
#[derive(Debug)]
pub struct Regressor {
    network: Model,
    /// Landmarks of the mean head, metres.
    mean: Vec<Vec3>,
    mirror: Option<Mirror>,
}

/// What was read in a photo.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Shape coefficients `[K]`, in standard deviations of the shape basis.
    pub shape: Vec<f32>,
    /// Their standard deviations `[K]`.
    pub shape_deviation: Vec<f32>,
    /// Side of the albedo in texels, a part of the maps' side.
    pub size: usize,
    /// Diffuse albedo `[3, size, size]`, in the encoding of the decoded map, of which it is the mean over squares.
    pub diffuse: Vec<f32>,
    /// Its standard deviation `[size, size]`; where there is no skin, the largest that it has on skin.
    pub diffuse_deviation: Vec<f32>,
}

impl Regressor {
    /// Loads the regressor of a bundle, if it has one.
    ///
    /// # Errors
    /// A [`BundleError`] when the bundle or the network cannot be used.
    pub fn load(
        bundle: &Bundle,
        runtime: &Runtime,
        generator: &Generator,
        head: &TemplateHead,
    ) -> Result<Option<Self>, BundleError> {
        let Some(name) = &generator.networks.regressor else { return Ok(None) };
        let network = bundle.load(runtime, name)?;
        Ok(Some(Self { network, mean: head.landmark_positions(&head.positions), mirror: Mirror::new(head) }))
    }

    /// Reads a face of a photo, in its chip, in what the recogniser sees there, and in its landmarks. `None` when these are
    /// not as many as the head's, not finite, or all in one place: no head fits them.
    ///
    /// # Errors
    /// [`RuntimeError`] when the network fails or `cancel` is called.
    pub fn read(
        &mut self,
        seen: &Impression,
        face: &Face,
        cancel: &CancelToken,
    ) -> Result<Option<Reading>, RuntimeError> {
        let Some((offsets, rotation)) = normalised(&face.landmarks.points, &self.mean) else { return Ok(None) };
        let points = offsets.len();
        let offsets: Vec<f32> = offsets.iter().flat_map(|offset| offset.to_array()).collect();
        let side = face.chip.width() as usize;
        let places = face.landmarks_in_chip().iter().flat_map(|place| place.to_array()).collect();
        let own: [AnyTensor; 4] = [
            Tensor::new([1, points, 3], offsets)?.into(),
            Tensor::new([1, 3], rotation.to_array().to_vec())?.into(),
            Tensor::new([1, 3, side, side], face.chip_planes())?.into(),
            Tensor::new([1, points, 2], places)?.into(),
        ];
        let inputs: Vec<(&str, &AnyTensor)> = seen.activations().chain(INPUTS.into_iter().zip(&own)).collect();
        let mut outputs = self.network.run(&inputs, cancel)?;
        let mut take = |name: &str| outputs.take::<f32>(name).map(Tensor::into_data);
        let [shape, shape_deviation, diffuse, diffuse_deviation] = OUTPUTS.map(&mut take);
        let (shape, shape_deviation, diffuse, diffuse_deviation) =
            (shape?, shape_deviation?, diffuse?, diffuse_deviation?);
        let size = diffuse_deviation.len().isqrt();
        Ok(Some(Reading { shape, shape_deviation, size, diffuse, diffuse_deviation }))
    }

    /// What a face in a photo's mirror image says of the one in the photo. `None` as for [`read`](Self::read), and for a bundle
    /// whose heads or textures are not symmetric.
    ///
    /// # Errors
    /// [`RuntimeError`] when the network fails or `cancel` is called.
    pub fn read_mirrored(
        &mut self,
        seen: &Impression,
        face: &Face,
        cancel: &CancelToken,
    ) -> Result<Option<Reading>, RuntimeError> {
        let reading = self.read(seen, face, cancel)?;
        Ok(reading.zip(self.mirror.as_ref()).map(|(reading, mirror)| mirror.turn_over(reading)))
    }
}

impl Reading {
    /// What is read in several photos of one person, each with a weight above 0: means by weight and precision, and the
    /// deviations that a single photo of such precision has, since the errors that a face leads to are in all of its photos.
    ///
    /// # Panics
    /// When there are none, or they are of several bundles.
    pub fn fuse(readings: &[(Self, f32)]) -> Self {
        let (first, _) = &readings[0];
        let whole: f32 = readings.iter().map(|(_, weight)| weight).sum();
        // One value of each reading with its deviation to their mean.
        let mean = |value: &dyn Fn(&Self) -> (f32, f32)| {
            let (mut sum, mut precision) = (0.0, 0.0);
            for (reading, weight) in readings {
                let (value, deviation) = value(reading);
                let share = weight / (whole * deviation * deviation);
                sum += share * value;
                precision += share;
            }
            (sum / precision, precision.sqrt().recip())
        };
        let texels = first.size * first.size;
        let shape = (0..first.shape.len()).map(|i| mean(&|reading| (reading.shape[i], reading.shape_deviation[i])));
        let (shape, shape_deviation) = shape.unzip();
        let diffuse =
            (0..3 * texels).map(|i| mean(&|reading| (reading.diffuse[i], reading.diffuse_deviation[i % texels])));
        let (diffuse, mut diffuse_deviation): (Vec<f32>, Vec<f32>) = diffuse.unzip();
        diffuse_deviation.truncate(texels);
        Self { shape, shape_deviation, size: first.size, diffuse, diffuse_deviation }
    }

    /// The reading, as far as it contradicts the albedo that the same bundle's decoder made of a prediction.
    ///
    /// Of how the tone differs, d, root mean square over the channels of the mean over the decoder's texels in `mask`, the
    /// share d⁴ / (d⁴ + [`TONE_DOUBT`]⁴) is kept: next to nothing of a small difference, nearly all of a large one. Of the
    /// rest it is [`PATTERN_SHARE`].
    pub(super) fn contradicting(mut self, prediction: &DecodedMaps, mask: &[f32]) -> Self {
        let squares = Squares { coarse: self.size, fine: prediction.size };
        let shares = squares.means(mask);
        let whole = shares.iter().sum::<f32>().max(1.0);
        let texels = self.size * self.size;
        let predicted: Vec<Vec<f32>> =
            (0..3).map(|channel| squares.means(squares.plane(&prediction.diffuse, channel))).collect();
        let tone = Vec3::from_array(std::array::from_fn(|channel| {
            let read = &self.diffuse[channel * texels..][..texels];
            let differences = read.iter().zip(&predicted[channel]).map(|(read, predicted)| read - predicted);
            differences.zip(&shares).map(|(difference, share)| share * difference).sum::<f32>() / whole
        }));
        let square = tone.length_squared() / 3.0;
        let kept = square.powi(2) / (square.powi(2) + TONE_DOUBT.powi(4));
        for (channel, read) in self.diffuse.chunks_exact_mut(texels).enumerate() {
            for ((read, predicted), share) in read.iter_mut().zip(&predicted[channel]).zip(&shares) {
                let tone = share * tone[channel];
                *read = predicted + kept * tone + PATTERN_SHARE * (*read - predicted - tone);
            }
        }
        self
    }

    /// Half the squared distance of shape coefficients in deviations, and its gradient.
    pub(super) fn shape_loss(&self, shape: &[f32]) -> (f32, Vec<f32>) {
        let mut loss = 0.0;
        let gradient =
            shape.iter().zip(self.shape.iter().zip(&self.shape_deviation)).map(|(value, (read, deviation))| {
                let error = (value - read) / deviation;
                loss += 0.5 * error * error;
                error / deviation
            });
        let gradient = gradient.collect();
        (loss, gradient)
    }

    /// Mean squared distance of decoded diffuse albedo in deviations, over the texels of `mask`, and its gradient by the
    /// decoded map.
    pub(super) fn diffuse_loss(&self, decoded: &DecodedMaps, mask: &[f32]) -> (f32, Vec<f32>) {
        let squares = Squares { coarse: self.size, fine: decoded.size };
        let texels = self.size * self.size;
        let shares = squares.means(mask);
        let unit = 1.0 / (3.0 * shares.iter().sum::<f32>()).max(1.0);
        let mut loss = 0.0;
        let mut gradient = vec![0.0; decoded.diffuse.len()];
        for (channel, read) in self.diffuse.chunks_exact(texels).enumerate() {
            let plane = squares.plane(&decoded.diffuse, channel);
            for index in (0..texels).filter(|index| shares[*index] > 0.0) {
                let error = (squares.mean(plane, index) - read[index]) / self.diffuse_deviation[index];
                let weight = unit * shares[index];
                loss += weight * error * error;
                let slope = 2.0 * weight * error / self.diffuse_deviation[index] / squares.count() as f32;
                squares.texels(index).for_each(|texel| gradient[channel * plane.len() + texel] = slope);
            }
        }
        (loss, gradient)
    }
}

/// The squares of a fine map's texels that the texels of a coarse one are.
#[derive(Clone, Copy)]
struct Squares {
    coarse: usize,
    fine: usize,
}

impl Squares {
    /// One channel of fine planes.
    fn plane(self, planes: &[f32], channel: usize) -> &[f32] {
        &planes[channel * self.fine * self.fine..][..self.fine * self.fine]
    }

    /// Fine texels of each square.
    fn count(self) -> usize {
        (self.fine / self.coarse).pow(2)
    }

    /// Those of the square of a coarse texel.
    fn texels(self, index: usize) -> impl Iterator<Item = usize> {
        let Self { coarse, fine } = self;
        let step = fine / coarse;
        let corner = index / coarse * step * fine + index % coarse * step;
        (0..step * step).map(move |i| corner + i / step * fine + i % step)
    }

    /// The means of a fine plane over the squares of all coarse texels.
    fn means(self, plane: &[f32]) -> Vec<f32> {
        (0..self.coarse * self.coarse).map(|index| self.mean(plane, index)).collect()
    }

    /// The mean of a fine plane over the square of a coarse texel.
    fn mean(self, plane: &[f32], index: usize) -> f32 {
        self.texels(index).map(|texel| plane[texel]).sum::<f32>() / self.count() as f32
    }
}

/// Landmarks of a photo as offsets from the mean head's after the similarity that brings them nearest to these, and the
/// rotation from the head to the camera as axis times angle. `None` when no similarity relates them.
fn normalised(points: &[Vec3], mean: &[Vec3]) -> Option<(Vec<Vec3>, Vec3)> {
    if points.len() != mean.len() {
        return None;
    }
    let seen: Vec<Vec3> = points.iter().copied().map(in_space).collect();
    let to_head = Similarity::between(&seen, mean)?;
    let offsets = seen.iter().zip(mean).map(|(point, mean)| to_head.apply(*point) - *mean).collect();
    Some((offsets, to_head.rotation.inverse().to_scaled_axis()))
}

#[cfg(test)]
mod tests {
    use bevy::math::Quat;

    use super::*;
    use crate::fitting::slope::assert_slope;

    fn wave(count: usize, salt: f32) -> Vec<f32> {
        (0..count).map(|i| 0.5 + 0.2 * (i as f32 * salt).sin()).collect()
    }

    fn reading() -> Reading {
        Reading {
            shape: wave(5, 0.9),
            shape_deviation: wave(5, 1.7),
            size: 4,
            diffuse: wave(48, 0.31),
            diffuse_deviation: wave(16, 0.77),
        }
    }

    fn decoded(diffuse: Vec<f32>) -> DecodedMaps {
        DecodedMaps { size: 8, diffuse, specular: Vec::new(), normals: Vec::new() }
    }

    #[test]
    fn photos_count_by_weight_and_precision() {
        let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
        let one = reading();
        let alone = Reading::fuse(&[(one.clone(), 0.3)]);
        assert!(near(&alone.shape, &one.shape) && near(&alone.diffuse, &one.diffuse));
        assert!(near(&alone.shape_deviation, &one.shape_deviation));
        assert!(near(&alone.diffuse_deviation, &one.diffuse_deviation) && alone.size == one.size);

        // Of the other, shapes are twice as sure and texels half as sure.
        let other = Reading {
            shape: one.shape.iter().map(|value| value + 1.0).collect(),
            shape_deviation: one.shape_deviation.iter().map(|value| 0.5 * value).collect(),
            diffuse: one.diffuse.iter().map(|value| value + 1.0).collect(),
            diffuse_deviation: one.diffuse_deviation.iter().map(|value| 2.0 * value).collect(),
            ..one.clone()
        };
        let both = Reading::fuse(&[(one.clone(), 0.2), (other, 0.1)]);
        let [shape, diffuse] = [(&both.shape, &one.shape), (&both.diffuse, &one.diffuse)]
            .map(|(both, one)| both.iter().zip(one).map(|(both, one)| both - one).collect::<Vec<_>>());
        // 4 * 0.1 / (0.2 + 4 * 0.1) and 0.1 / 4 / (0.2 + 0.1 / 4).
        assert!(near(&shape, &[2.0 / 3.0; 5]), "{shape:?}");
        assert!(near(&diffuse, &[1.0 / 9.0; 48]), "{diffuse:?}");
        // Mean precisions of (2 * 1 + 4) / 3 and (2 * 1 + 0.25) / 3.
        let scaled = |values: &[f32], scale: f32| values.iter().map(|value| scale * value).collect::<Vec<_>>();
        assert!(near(&both.shape_deviation, &scaled(&one.shape_deviation, 0.5_f32.sqrt())));
        assert!(near(&both.diffuse_deviation, &scaled(&one.diffuse_deviation, (4.0_f32 / 3.0).sqrt())));
    }

    #[test]
    fn the_gradient_by_the_shape_is_that_of_differences() {
        let (reading, shape) = (reading(), wave(5, 2.3));
        let (loss, gradient) = reading.shape_loss(&shape);
        assert!(loss > 0.0);
        let size = gradient.iter().map(|slope| slope * slope).sum::<f32>().sqrt();
        for (index, found) in gradient.into_iter().enumerate() {
            assert_slope("shape", found, size, 0.1, |step| {
                let mut shape = shape.clone();
                shape[index] += step;
                reading.shape_loss(&shape).0.into()
            });
        }
    }

    #[test]
    fn the_gradient_by_the_albedo_is_that_of_differences() {
        let (reading, diffuse) = (reading(), wave(192, 0.53));
        let mask: Vec<f32> = (0..64).map(|texel| if texel % 8 < 5 { 1.0 } else { 0.0 }).collect();
        let (_, gradient) = reading.diffuse_loss(&decoded(diffuse.clone()), &mask);
        for index in (0..192).step_by(7) {
            let found = gradient[index];
            assert_slope("albedo", found, found.abs(), 0.5, |step| {
                let mut diffuse = diffuse.clone();
                diffuse[index] += step;
                reading.diffuse_loss(&decoded(diffuse), &mask).0.into()
            });
        }
        assert_eq!(gradient[6], 0.0, "a square off the mask");
    }

    #[test]
    fn an_albedo_that_agrees_in_the_mean_has_no_loss() {
        let mut reading = reading();
        reading.diffuse = wave(48, 0.31);
        let fine = |index: usize| {
            let (plane, texel) = (index / 64, index % 64);
            let checker = if (texel % 8 + texel / 8).is_multiple_of(2) { 0.1 } else { -0.1 };
            reading.diffuse[plane * 16 + texel / 16 * 4 + texel % 8 / 2] + checker
        };
        let decoded = decoded((0..192).map(fine).collect());
        assert!(reading.diffuse_loss(&decoded, &[1.0; 64]).0 < 1e-6);
    }

    #[test]
    fn readings_are_believed_as_far_as_they_contradict_the_prediction() {
        let read = reading();
        // Squares of the left half are in the mask; there the offset is the tone's difference, and the checks cancel out.
        let mask: Vec<f32> = (0..64).map(|texel| f32::from(u8::from(texel % 8 < 4))).collect();
        let check = |index: usize| if (index / 4 + index).is_multiple_of(2) { 0.01 } else { -0.01 };
        let predicted = |offset: f32| {
            let fine = |texel: usize| {
                let index = texel % 64 / 16 * 4 + texel % 8 / 2;
                read.diffuse[texel / 64 * 16 + index] - offset - check(index)
            };
            decoded((0..192).map(fine).collect())
        };
        // Half of the tone's difference at the doubt, next to nothing far below it, and nearly all far from it.
        for (offset, kept) in [(0.0, 0.0), (1e-3, 1.6e-10), (TONE_DOUBT, 0.5 * TONE_DOUBT), (0.3, 0.299_768_7)] {
            let found = read.clone().contradicting(&predicted(offset), &mask);
            for (place, (found, read)) in found.diffuse.iter().zip(&read.diffuse).enumerate() {
                let index = place % 16;
                let tone = if index % 4 < 2 { kept } else { PATTERN_SHARE * offset };
                let expected = read - offset - check(index) + tone + PATTERN_SHARE * check(index);
                assert!((found - expected).abs() < 2e-6, "{offset}: {found} is not {expected}");
            }
            assert_eq!((found.shape, found.diffuse_deviation), (read.shape.clone(), read.diffuse_deviation.clone()));
        }
        let off = read.clone().contradicting(&predicted(0.1), &[0.0; 64]);
        assert!(off.diffuse.iter().all(|value| value.is_finite()), "a head without skin has no tone");
    }

    #[test]
    fn the_pose_is_taken_out_of_landmarks() {
        let mean: Vec<Vec3> = (0..30)
            .map(|i| Vec3::new((i as f32).sin(), (1.7 * i as f32).cos(), (0.6 * i as f32).sin()) * 0.07)
            .collect();
        let turn = Quat::from_scaled_axis(Vec3::new(0.2, -0.5, 0.1));
        // In photo pixels: y down, z away from the camera.
        let photo: Vec<Vec3> =
            mean.iter().map(|point| in_space(2000.0 * (turn * *point)) + Vec3::new(300.0, 200.0, 40.0)).collect();
        let (offsets, rotation) = normalised(&photo, &mean).unwrap();
        assert!(offsets.iter().all(|offset| offset.length() < 1e-5), "{offsets:?}");
        assert!(rotation.distance(Vec3::new(0.2, -0.5, 0.1)) < 1e-3, "{rotation}");
        assert_eq!(normalised(&[Vec3::ONE; 30], &mean), None);
        assert_eq!(normalised(&photo[1..], &mean), None);
    }
}
