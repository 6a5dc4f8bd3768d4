//! The lashes' texture: hairs that grow from the lid and bend and thin out towards their tips.

use bevy::{image::Image, render::render_resource::TextureFormat};

use super::texture::{Texels, srgb8};

/// Side of the texture in texels.
const SIDE: usize = 256;

/// Hairs along a lid.
const HAIRS: usize = 72;

/// Width of a hair at its root, as a share of the lid.
const WIDTH: f32 = 0.009;

/// How much further apart the tips are than the roots.
const FAN: f32 = 0.12;

/// Linear reflectance of a hair.
const COLOUR: [f32; 3] = [0.012, 0.009, 0.007];

/// The texture of the lashes.
pub(super) fn lash_texture() -> Image {
    lash_texels().into_image(TextureFormat::Rgba8UnormSrgb, srgb8)
}

/// Paints the texture, linear: u runs along the lid, v from the tips (0) to the roots (1), alpha is coverage.
pub(crate) fn lash_texels() -> Texels {
    let [red, green, blue] = COLOUR;
    let paint = |x: f32, y: f32| {
        let tip = 1.0 - y;
        let coverage = (0..HAIRS).map(|hair| coverage(hair, x, tip)).fold(0.0, f32::max);
        [red, green, blue, coverage]
    };
    Texels::paint(SIDE, paint)
}

/// Coverage of one hair at `x` along the lid, `tip` of the way to the longest hair's tip.
fn coverage(hair: usize, x: f32, tip: f32) -> f32 {
    let root = (hair as f32 + 0.5 + 0.5 * scatter(hair, 0)) / HAIRS as f32;
    // Short at the corners of the eye, and of any length between.
    let length = (0.75 + 0.25 * scatter(hair, 1)) * (1.0 - 0.6 * (2.0 * root - 1.0).powi(4));
    let along = tip / length;
    if along > 1.0 {
        return 0.0;
    }
    // They fan out.
    let middle = root + (FAN * (root - 0.5) + 0.02 * scatter(hair, 2)) * along * along;
    let half = 0.5 * WIDTH * (1.0 - 0.75 * along);
    // A texel covers more than a fine tip: its edge is as soft as a texel is wide.
    let texel = 1.0 / SIDE as f32;
    ((half - (x - middle).abs()) / texel + 0.5).clamp(0.0, 1.0)
}

/// A fixed number of −1 to 1 for a hair, unlike that of its neighbours.
fn scatter(hair: usize, what: usize) -> f32 {
    let mixed = ((hair * 3 + what) as u32).wrapping_mul(0x9E37_79B9);
    let mixed = (mixed ^ mixed >> 15).wrapping_mul(0x85EB_CA6B);
    (mixed >> 8) as f32 / (1 << 23) as f32 - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lashes_are_dense_at_the_lid_and_end_before_the_border() {
        let row = |tip: f32| {
            (0..400)
                .map(|step| (0..HAIRS).map(|hair| coverage(hair, step as f32 / 400.0, tip)).fold(0.0, f32::max))
                .sum::<f32>()
                / 400.0
        };
        let (root, middle, end) = (row(0.0), row(0.5), row(1.0));
        assert!(root > 0.3 && root < 0.8, "{root}");
        assert!(middle < root, "{middle} {root}");
        assert!(end < 0.1, "{end}");
    }
}
