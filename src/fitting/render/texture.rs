//! Maps and textures of the surface, and bilinear samples of them.

use bevy::math::{Vec2, Vec3};

/// The maps of the skin in the template's UV space: row-major, `size` × `size` texels, origin top-left.
///
/// They are sampled bilinearly; texel centres lie at `(i + 0.5) / size`, and beyond the outermost ones the map goes on
/// unchanged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SurfaceMaps {
    /// Side in texels.
    pub size: usize,
    /// Diffuse albedo: linear reflectance, RGB.
    pub diffuse: Vec<[f32; 3]>,
    /// Specular albedo: F0 at normal incidence, linear.
    pub specular: Vec<f32>,
    /// Tangent-space normals of any length: MikkTSpace, OpenGL Y+.
    pub normals: Vec<[f32; 3]>,
}

/// A square texture, sampled as [`SurfaceMaps`] are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Texels {
    /// Side in texels.
    pub size: usize,
    /// Linear reflectance, RGB, row-major, origin top-left.
    pub values: Vec<Vec3>,
}

impl SurfaceMaps {
    /// Whether every map has as many texels as its side says.
    pub(super) fn is_complete(&self) -> bool {
        let count = self.size * self.size;
        [self.diffuse.len(), self.specular.len(), self.normals.len()] == [count; 3] && count > 0
    }
}

impl Texels {
    /// Whether there are as many texels as the side says.
    pub(super) fn is_complete(&self) -> bool {
        self.values.len() == self.size * self.size && !self.values.is_empty()
    }
}

/// The four texels that a sample lies between.
#[derive(Clone, Copy, Debug)]
pub(super) struct Footprint {
    /// Column and row of the upper left one.
    pub x: u32,
    pub y: u32,
    /// How far the sample lies towards the right and lower ones, 0 to 1.
    pub fraction: Vec2,
}

impl Footprint {
    /// Those around a texture coordinate, in a square of `size` texels.
    #[inline]
    pub fn new(uv: Vec2, size: usize) -> Self {
        let place = unclamped(uv, size).clamp(Vec2::ZERO, Vec2::splat((size - 1) as f32));
        let last = size.saturating_sub(2) as u32;
        let (x, y) = ((place.x as u32).min(last), (place.y as u32).min(last));
        Self { x, y, fraction: place - Vec2::new(x as f32, y as f32) }
    }

    /// Indices of the texels: upper left, upper right, lower left, lower right.
    #[inline]
    pub fn texels(&self, size: usize) -> [usize; 4] {
        let step = usize::from(size > 1);
        let first = self.y as usize * size + self.x as usize;
        [first, first + step, first + step * size, first + step * (size + 1)]
    }

    /// Shares of the texels; their sum is 1.
    #[inline]
    pub fn shares(&self) -> [f32; 4] {
        let Vec2 { x, y } = self.fraction;
        [(1.0 - x) * (1.0 - y), x * (1.0 - y), (1.0 - x) * y, x * y]
    }

    /// The derivative by the texture coordinate of a sample whose texels are these four numbers. None across the border
    /// of the texture.
    #[inline]
    pub fn slope(&self, uv: Vec2, size: usize, values: [f32; 4]) -> Vec2 {
        let [a, b, c, d] = values;
        let Vec2 { x, y } = self.fraction;
        let slope = Vec2::new((b - a) * (1.0 - y) + (d - c) * y, (c - a) * (1.0 - x) + (d - b) * x);
        let (place, last) = (unclamped(uv, size), (size - 1) as f32);
        let inside = |place: f32| if place > 0.0 && place < last { size as f32 } else { 0.0 };
        slope * Vec2::new(inside(place.x), inside(place.y))
    }
}

/// A texture coordinate in texels; (0, 0) is the centre of the first texel.
#[inline]
fn unclamped(uv: Vec2, size: usize) -> Vec2 {
    uv * size as f32 - 0.5
}

/// The mean of four vectors by their shares.
#[inline]
pub(super) fn mix(values: [Vec3; 4], shares: [f32; 4]) -> Vec3 {
    values[0] * shares[0] + values[1] * shares[1] + values[2] * shares[2] + values[3] * shares[3]
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 5;

    /// A plane over the texels' centres.
    fn plane(uv: Vec2) -> f32 {
        0.3 + 2.0 * uv.x - 0.7 * uv.y
    }

    fn texels() -> Vec<f32> {
        let centre = |index: usize| (index as f32 + 0.5) / SIZE as f32;
        (0..SIZE * SIZE).map(|index| plane(Vec2::new(centre(index % SIZE), centre(index / SIZE)))).collect()
    }

    fn sample(uv: Vec2) -> (f32, Vec2) {
        let texels = texels();
        let footprint = Footprint::new(uv, SIZE);
        let values = footprint.texels(SIZE).map(|index| texels[index]);
        let value = values.iter().zip(footprint.shares()).map(|(value, share)| value * share).sum();
        (value, footprint.slope(uv, SIZE, values))
    }

    #[test]
    fn bilinear_samples_of_a_plane_are_the_plane() {
        for uv in [Vec2::new(0.11, 0.88), Vec2::new(0.5, 0.5), Vec2::new(0.3, 0.31), Vec2::new(0.89, 0.12)] {
            let (value, slope) = sample(uv);
            assert!((value - plane(uv)).abs() < 1e-6, "{value} at {uv}");
            assert!(slope.distance(Vec2::new(2.0, -0.7)) < 1e-5, "{slope} at {uv}");
        }
    }

    #[test]
    fn beyond_the_outermost_centres_nothing_changes() {
        let (value, slope) = sample(Vec2::new(-3.0, 0.5));
        assert!((value - plane(Vec2::new(0.1, 0.5))).abs() < 1e-6);
        assert!(slope.x == 0.0 && (slope.y + 0.7).abs() < 1e-5, "{slope}");
        let (value, slope) = sample(Vec2::new(1.0, 7.0));
        assert!((value - plane(Vec2::new(0.9, 0.9))).abs() < 1e-6);
        assert_eq!(slope, Vec2::ZERO);
    }

    #[test]
    fn a_single_texel_is_everywhere() {
        let footprint = Footprint::new(Vec2::new(0.7, 0.2), 1);
        assert_eq!(footprint.texels(1), [0; 4]);
        assert_eq!(footprint.slope(Vec2::new(0.7, 0.2), 1, [3.0; 4]), Vec2::ZERO);
        assert_eq!(footprint.shares().iter().sum::<f32>(), 1.0);
    }
}
