//! Textures as PNG files.

use bevy::color::LinearRgba;
use image::{
    ExtendedColorType, ImageEncoder,
    codecs::png::{CompressionType, FilterType, PngEncoder},
};

use super::ExportError;
use crate::avatar::texture::Texels;

/// Multiplies linear colours with a factor, which may be above 1: a material's own factor may not.
pub(super) fn tint(texels: &mut Texels, factor: LinearRgba) {
    for [red, green, blue, _] in &mut texels.values {
        *red *= factor.red;
        *green *= factor.green;
        *blue *= factor.blue;
    }
}

/// A PNG file of red, green and blue.
pub(super) fn rgb_png(texels: &Texels, encode: impl Fn([f32; 4]) -> [u8; 4]) -> Result<Vec<u8>, ExportError> {
    let bytes: Vec<u8> = texels.encoded(encode).as_chunks::<4>().0.iter().flat_map(|&[r, g, b, _]| [r, g, b]).collect();
    png(texels.side, &bytes, ExtendedColorType::Rgb8)
}

/// A PNG file of red, green, blue and alpha.
pub(super) fn rgba_png(texels: &Texels, encode: impl Fn([f32; 4]) -> [u8; 4]) -> Result<Vec<u8>, ExportError> {
    png(texels.side, &texels.encoded(encode), ExtendedColorType::Rgba8)
}

fn png(side: usize, bytes: &[u8], colours: ExtendedColorType) -> Result<Vec<u8>, ExportError> {
    let mut file = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut file, CompressionType::Default, FilterType::Adaptive);
    encoder.write_image(bytes, side as u32, side as u32, colours).map_err(ExportError::Texture)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::avatar::texture::srgb8;

    #[test]
    fn a_tint_above_1_is_baked_into_linear_colours() {
        let mut texels = Texels { side: 1, values: vec![[0.2, 0.2, 0.9, 0.5]] };
        tint(&mut texels, LinearRgba::rgb(2.0, 0.5, 1.5));
        assert_eq!(texels.values, [[0.4, 0.1, 1.3499999, 0.5]]);
        // sRGB codes of 0.4, 0.1 and 1 by the standard's formula.
        let decoded = image::load_from_memory(&rgba_png(&texels, srgb8).unwrap()).unwrap().to_rgba8();
        assert_eq!(decoded.into_raw(), [170, 89, 255, 128]);
        let decoded = image::load_from_memory(&rgb_png(&texels, srgb8).unwrap()).unwrap();
        assert_eq!(decoded.into_rgb8().into_raw(), [170, 89, 255]);
    }

    #[test]
    fn a_texture_without_texels_is_refused() {
        let error = rgb_png(&Texels { side: 0, values: Vec::new() }, srgb8).unwrap_err();
        assert!(matches!(error, ExportError::Texture(_)), "{error}");
    }
}
