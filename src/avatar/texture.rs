//! Mip-mapped textures from float texels.

use bevy::{
    asset::RenderAssetUsages,
    color::{ColorToPacked, LinearRgba, Srgba},
    image::{Image, ImageAddressMode, ImageFilterMode, ImageSampler, ImageSamplerDescriptor},
    render::render_resource::{Extent3d, TextureDimension, TextureFormat},
};

/// Samples along the longer axis of a texel's footprint where a surface is seen at a slant.
const ANISOTROPY: u16 = 8;

/// A square of texels, row-major. What the four numbers mean is up to the one who makes them; they are averaged.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Texels {
    pub side: usize,
    pub values: Vec<[f32; 4]>,
}

impl Texels {
    /// Texels from a function of the centre's place, 0 to 1, x right and y down.
    pub fn paint(side: usize, mut colour: impl FnMut(f32, f32) -> [f32; 4]) -> Self {
        let place = |index: usize| (index as f32 + 0.5) / side as f32;
        let values = (0..side * side).map(|index| colour(place(index % side), place(index / side))).collect();
        Self { side, values }
    }

    /// Fills texels that `known` does not count with colours from around, so that filtering across the border of a
    /// texture's chart meets nothing strange ("pull-push", Gortler et al., The Lumigraph, SIGGRAPH 1996).
    pub fn fill_unknown(&mut self, known: &[bool]) {
        assert_eq!(known.len(), self.values.len(), "one flag for each texel");
        let weights: Vec<f32> = known.iter().map(|&known| f32::from(known)).collect();
        self.values = pull_push(self.side, std::mem::take(&mut self.values), &weights);
    }

    /// Half the side: averages of 2 x 2 texels. `None` when the side is odd.
    fn halved(&self) -> Option<Self> {
        if !self.side.is_multiple_of(2) {
            return None;
        }
        let side = self.side / 2;
        let values = (0..side * side).map(|index| {
            let four = quad(index, side).map(|source| self.values[source]);
            std::array::from_fn(|channel| four.iter().map(|texel| texel[channel]).sum::<f32>() / 4.0)
        });
        Some(Self { side, values: values.collect() })
    }

    /// The texels row by row, each encoded by `encode`.
    pub fn encoded(&self, encode: impl Fn([f32; 4]) -> [u8; 4]) -> Vec<u8> {
        self.values.iter().flat_map(|&texel| encode(texel)).collect()
    }

    /// A texture with as many mip levels as halving allows, each texel encoded by `encode`.
    pub fn into_image(self, format: TextureFormat, encode: impl Fn([f32; 4]) -> [u8; 4]) -> Image {
        let size = Extent3d { width: self.side as u32, height: self.side as u32, depth_or_array_layers: 1 };
        let mut image = Image::new_uninit(size, TextureDimension::D2, format, RenderAssetUsages::RENDER_WORLD);
        let (mut data, mut levels) = (Vec::with_capacity(self.values.len() * 6), 0);
        let mut level = Some(self);
        while let Some(texels) = level {
            data.extend(texels.encoded(&encode));
            levels += 1;
            level = texels.halved();
        }
        image.data = Some(data);
        image.texture_descriptor.mip_level_count = levels;
        image.sampler = ImageSampler::Descriptor(ImageSamplerDescriptor {
            address_mode_u: ImageAddressMode::ClampToEdge,
            address_mode_v: ImageAddressMode::ClampToEdge,
            mag_filter: ImageFilterMode::Linear,
            min_filter: ImageFilterMode::Linear,
            mipmap_filter: ImageFilterMode::Linear,
            anisotropy_clamp: ANISOTROPY,
            ..Default::default()
        });
        image
    }
}

/// The four texels of the doubled side that texel `index` of a square of `side` covers.
fn quad(index: usize, side: usize) -> [usize; 4] {
    let first = index / side * 4 * side + index % side * 2;
    [first, first + 1, first + 2 * side, first + 2 * side + 1]
}

fn pull_push(side: usize, values: Vec<[f32; 4]>, weights: &[f32]) -> Vec<[f32; 4]> {
    if !side.is_multiple_of(2) || weights.iter().all(|&weight| weight > 0.0) {
        return values;
    }
    let half = side / 2;
    let (mut coarse, mut coarse_weights) = (Vec::with_capacity(half * half), Vec::with_capacity(half * half));
    for index in 0..half * half {
        let four = quad(index, half);
        let weight: f32 = four.iter().map(|&source| weights[source]).sum();
        let sum = |channel: usize| four.iter().map(|&source| weights[source] * values[source][channel]).sum::<f32>();
        coarse.push(std::array::from_fn(|channel| if weight > 0.0 { sum(channel) / weight } else { 0.0 }));
        coarse_weights.push(weight.min(1.0));
    }
    let coarse = pull_push(half, coarse, &coarse_weights);
    let mut filled = values;
    for (index, value) in coarse.into_iter().enumerate() {
        for target in quad(index, half) {
            if weights[target] == 0.0 {
                filled[target] = value;
            }
        }
    }
    filled
}

/// Linear RGB and coverage, 0 to 1, to 8-bit sRGB.
pub(crate) fn srgb8(linear: [f32; 4]) -> [u8; 4] {
    let [red, green, blue, alpha] = linear;
    Srgba::from(LinearRgba::new(red, green, blue, alpha)).to_u8_array()
}

/// Numbers of 0 to 1 to 8 bits.
pub(crate) fn unorm8(values: [f32; 4]) -> [u8; 4] {
    values.map(|value| (value.clamp(0.0, 1.0) * 255.0).round() as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mip_levels_average_and_end_at_one_texel() {
        let checker = Texels::paint(4, |x, y| [f32::from((x < 0.5) == (y < 0.5)), x, y, 1.0]);
        let image = checker.into_image(TextureFormat::Rgba8Unorm, unorm8);
        assert_eq!(image.texture_descriptor.mip_level_count, 3);
        let data = image.data.unwrap();
        assert_eq!(data.len(), 4 * (16 + 4 + 1));
        assert_eq!(data[64..68], [255, 64, 64, 255], "the level of 2 x 2 keeps the quadrants");
        assert_eq!(data[80..], [128, 128, 128, 255]);
    }

    #[test]
    fn a_side_that_cannot_be_halved_ends_the_chain() {
        let image = Texels::paint(6, |_, _| [0.5; 4]).into_image(TextureFormat::Rgba8Unorm, unorm8);
        assert_eq!(image.texture_descriptor.mip_level_count, 2);
    }

    #[test]
    fn unknown_texels_take_the_nearest_known_colours() {
        let mut texels = Texels::paint(8, |x, _| if x < 0.5 { [0.25; 4] } else { [9.0; 4] });
        let known: Vec<bool> = (0..64).map(|index| index % 8 < 4).collect();
        texels.fill_unknown(&known);
        assert!(texels.values.iter().all(|&value| value == [0.25; 4]));
    }

    #[test]
    fn known_texels_stay_as_they_are() {
        let before = Texels::paint(8, |x, y| [x, y, x * y, 1.0]);
        let known: Vec<bool> = (0..64).map(|index| index % 3 == 0).collect();
        let mut after = before.clone();
        after.fill_unknown(&known);
        for index in (0..64).filter(|&index| known[index]) {
            assert_eq!(before.values[index], after.values[index]);
        }
    }

    #[test]
    fn eight_bit_srgb_survives_a_round_trip() {
        for byte in 0..=255u8 {
            let linear = LinearRgba::from(Srgba::rgb_u8(byte, byte, byte));
            assert_eq!(srgb8([linear.red, linear.green, linear.blue, 1.0]), [byte, byte, byte, 255]);
        }
    }
}
