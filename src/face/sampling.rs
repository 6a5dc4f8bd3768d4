//! Crops of a photo as network inputs: affine maps, bilinear sampling, box filtering.
//!
//! Coordinates are pixel indices: the centre of the first pixel is (0, 0), x points right and y down.

use bevy::math::{DMat2, DVec2};
use image::RgbImage;

use crate::runtime::{AnyTensor, Tensor};

/// An affine map of the plane, `p ↦ linear · p + offset`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Affine {
    pub linear: DMat2,
    pub offset: DVec2,
}

impl Affine {
    pub(super) fn apply(&self, point: DVec2) -> DVec2 {
        self.linear * point + self.offset
    }

    /// The map that applies `first`, then `self`.
    pub(super) fn after(&self, first: &Affine) -> Affine {
        Affine { linear: self.linear * first.linear, offset: self.apply(first.offset) }
    }
}

/// What lies outside of the photo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Border {
    /// Black.
    Zero,
    /// The nearest pixel of the photo.
    Replicate,
}

/// Pixels that can be sampled between.
pub(super) trait Pixels {
    fn size(&self) -> (i64, i64);
    /// RGB of 0 to 255 at a place inside of the image.
    fn pixel(&self, x: i64, y: i64) -> [f32; 3];
}

impl Pixels for RgbImage {
    fn size(&self) -> (i64, i64) {
        (i64::from(self.width()), i64::from(self.height()))
    }

    fn pixel(&self, x: i64, y: i64) -> [f32; 3] {
        self.get_pixel(x as u32, y as u32).0.map(f32::from)
    }
}

/// Samples a square of `side` pixels; pixel `p` of the result is the source at `map(p)`, bilinear.
/// Returns RGB of 0 to 255, row by row.
pub(super) fn crop(source: &impl Pixels, map: &Affine, side: usize, border: Border) -> Vec<[f32; 3]> {
    let (width, height) = source.size();
    let at = |x: i64, y: i64| {
        let inside = (0..width).contains(&x) && (0..height).contains(&y);
        match border {
            Border::Zero if !inside => [0.0; 3],
            _ => source.pixel(x.clamp(0, width - 1), y.clamp(0, height - 1)),
        }
    };
    let mut result = Vec::with_capacity(side * side);
    for y in 0..side {
        for x in 0..side {
            let place = map.apply(DVec2::new(x as f64, y as f64));
            let corner = place.floor();
            let (x0, y0) = (corner.x as i64, corner.y as i64);
            let fraction = (place - corner).as_vec2();
            let (x1, y1) = (x0.saturating_add(1), y0.saturating_add(1));
            let (a, b, c, d) = (at(x0, y0), at(x1, y0), at(x0, y1), at(x1, y1));
            result.push(std::array::from_fn(|i| {
                let top = a[i] + (b[i] - a[i]) * fraction.x;
                let bottom = c[i] + (d[i] - c[i]) * fraction.x;
                top + (bottom - top) * fraction.y
            }));
        }
    }
    result
}

/// A square crop as a network's NCHW input, with 0 and 255 mapped to the ends of `range`.
pub(super) fn to_input(crop: &[[f32; 3]], side: usize, range: [f32; 2]) -> AnyTensor {
    let scale = (range[1] - range[0]) / 255.0;
    let mut tensor = Tensor::zeros([1, 3, side, side]);
    for (channel, plane) in tensor.data_mut().chunks_exact_mut(side * side).enumerate() {
        for (value, pixel) in plane.iter_mut().zip(crop) {
            *value = pixel[channel] * scale + range[0];
        }
    }
    tensor.into()
}

/// A photo shrunk by a whole factor with a box filter, computed only where a crop needs it.
pub(super) struct BoxReduced {
    origin: (i64, i64),
    region: (i64, i64),
    size: (i64, i64),
    pixels: Vec<[f32; 3]>,
}

impl BoxReduced {
    /// Shrinks `photo` by `factor` where the square of `side` pixels under `map` (in reduced pixels) lies. Rows and
    /// columns that do not fill a whole box at the far edges are left out.
    pub(super) fn new(photo: &RgbImage, factor: u32, map: &Affine, side: usize) -> Self {
        let size = (i64::from(photo.width() / factor), i64::from(photo.height() / factor));
        let end = side as f64 - 1.0;
        let corners = [(0.0, 0.0), (end, 0.0), (0.0, end), (end, end)].map(|(x, y)| map.apply(DVec2::new(x, y)));
        let low = corners.iter().copied().fold(DVec2::INFINITY, DVec2::min).floor();
        let high = corners.iter().copied().fold(DVec2::NEG_INFINITY, DVec2::max).floor() + 2.0;
        let span = |low: f64, high: f64, size: i64| ((low as i64).clamp(0, size), (high as i64).clamp(0, size));
        let ((x0, x1), (y0, y1)) = (span(low.x, high.x, size.0), span(low.y, high.y, size.1));
        let scale = 1.0 / (factor * factor) as f32;
        let mut pixels = Vec::with_capacity(((x1 - x0) * (y1 - y0)) as usize);
        for y in y0..y1 {
            for x in x0..x1 {
                let mut sum = [0u32; 3];
                for row in 0..factor {
                    for column in 0..factor {
                        let pixel = photo.get_pixel(x as u32 * factor + column, y as u32 * factor + row).0;
                        sum.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += u32::from(value));
                    }
                }
                pixels.push(sum.map(|sum| sum as f32 * scale));
            }
        }
        Self { origin: (x0, y0), region: (x1 - x0, y1 - y0), size, pixels }
    }
}

impl Pixels for BoxReduced {
    fn size(&self) -> (i64, i64) {
        self.size
    }

    fn pixel(&self, x: i64, y: i64) -> [f32; 3] {
        let (x, y) = (x - self.origin.0, y - self.origin.1);
        let inside = (0..self.region.0).contains(&x) && (0..self.region.1).contains(&y);
        if inside { self.pixels[(y * self.region.0 + x) as usize] } else { [0.0; 3] }
    }
}

/// The similarity (rotation, uniform scale, shift) that maps `from` to `to` with the least squared error
/// (Umeyama, "Least-squares estimation of transformation parameters", 1991; without reflection).
pub(super) fn fit_similarity(from: &[DVec2], to: &[DVec2]) -> Affine {
    let count = from.len() as f64;
    let (from_mean, to_mean) = (from.iter().sum::<DVec2>() / count, to.iter().sum::<DVec2>() / count);
    let (mut cosine, mut sine, mut variance) = (0.0, 0.0, 0.0);
    for (&from, &to) in from.iter().zip(to) {
        let (from, to) = (from - from_mean, to - to_mean);
        cosine += from.dot(to);
        sine += from.perp_dot(to);
        variance += from.length_squared();
    }
    let (cosine, sine) = (cosine / variance, sine / variance);
    let linear = DMat2::from_cols(DVec2::new(cosine, sine), DVec2::new(-sine, cosine));
    Affine { linear, offset: to_mean - linear * from_mean }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Brightness rises by 2 a pixel to the right and 3 a pixel down.
    fn ramp() -> RgbImage {
        RgbImage::from_fn(20, 20, |x, y| image::Rgb([(2 * x + 3 * y) as u8; 3]))
    }

    #[test]
    fn bilinear_sampling_is_exact_on_a_ramp() {
        let map = Affine { linear: DMat2::from_diagonal(DVec2::splat(0.37)), offset: DVec2::new(2.5, 4.25) };
        for (index, pixel) in crop(&ramp(), &map, 9, Border::Zero).iter().enumerate() {
            let place = map.apply(DVec2::new((index % 9) as f64, (index / 9) as f64));
            let expected = (2.0 * place.x + 3.0 * place.y) as f32;
            assert!((pixel[0] - expected).abs() < 1e-4, "{pixel:?} is not {expected}");
        }
    }

    #[test]
    fn outside_is_black_or_the_nearest_pixel() {
        let map = Affine { linear: DMat2::IDENTITY, offset: DVec2::new(-100.0, 7.0) };
        assert_eq!(crop(&ramp(), &map, 1, Border::Zero)[0], [0.0; 3]);
        assert_eq!(crop(&ramp(), &map, 1, Border::Replicate)[0], [21.0; 3]);
    }

    #[test]
    fn a_box_reduced_ramp_is_the_ramp_at_box_centres() {
        let map = Affine { linear: DMat2::IDENTITY, offset: DVec2::ZERO };
        let reduced = BoxReduced::new(&ramp(), 4, &map, 3);
        // The centre of box (1, 2) is at (5.5, 9.5).
        assert_eq!(reduced.pixel(1, 2), [2.0 * 5.5 + 3.0 * 9.5; 3]);
    }

    #[test]
    fn a_similarity_is_recovered_from_points_that_obey_it() {
        let rotation = DMat2::from_angle(0.4) * 3.5;
        let from = [DVec2::new(0.1, 0.7), DVec2::new(2.0, -1.0), DVec2::new(-3.0, 0.2)];
        let to = from.map(|point| rotation * point + DVec2::new(10.0, -4.0));
        let fitted = fit_similarity(&from, &to);
        for (from, to) in from.into_iter().zip(to) {
            assert!(fitted.apply(from).distance(to) < 1e-9);
        }
    }

    #[test]
    fn maps_compose_from_right_to_left() {
        let turn = Affine { linear: DMat2::from_angle(0.3), offset: DVec2::new(1.0, 2.0) };
        let scale = Affine { linear: DMat2::from_diagonal(DVec2::splat(2.0)), offset: DVec2::new(-3.0, 0.0) };
        let point = DVec2::new(0.5, 4.0);
        assert!(turn.after(&scale).apply(point).distance(turn.apply(scale.apply(point))) < 1e-12);
    }
}
