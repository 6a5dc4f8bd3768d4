//! Decoding photos: untrusted bytes to upright RGB pixels.

use std::{
    fs::File,
    io::{Cursor, Read},
    path::Path,
};

use image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage, error::LimitErrorKind,
};

use super::PhotoError;

/// Shortest side that is worth looking at for a face, in pixels.
const MIN_SIDE: u32 = 32;

/// Value that lies behind transparent pixels: middle grey, which favours neither dark nor light skin.
const BACKDROP: u32 = 128;

/// Limits against files that ask for more memory than a photo needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhotoLimits {
    /// Longest file in bytes. Default: 128 MiB.
    pub max_bytes: u64,
    /// Longest side in pixels. Default: 16,384.
    pub max_side: u32,
    /// Most pixels; an image takes three to eight bytes a pixel while it is decoded. Default: 128 million.
    pub max_pixels: u64,
}

impl Default for PhotoLimits {
    fn default() -> Self {
        Self { max_bytes: 128 << 20, max_side: 16_384, max_pixels: 128_000_000 }
    }
}

/// Reads a photo from a file; see [`decode`].
///
/// # Errors
/// [`PhotoError::Read`] when the file cannot be read, and those of [`decode`].
pub fn open(path: impl AsRef<Path>, limits: &PhotoLimits) -> Result<RgbImage, PhotoError> {
    let path = path.as_ref();
    let read = |source| PhotoError::Read { path: path.to_path_buf(), source };
    let file = File::open(path).map_err(read)?;
    let mut bytes = Vec::new();
    file.take(limits.max_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(read)?;
    decode(&bytes, limits)
}

/// Decodes a JPEG, PNG or WebP photo to 8-bit sRGB, upright as its EXIF orientation tells.
///
/// The format is told by the content. Grey becomes RGB, CMYK is converted without a colour profile, 16-bit samples
/// are rounded to 8, and transparent pixels are laid over middle grey. Embedded colour profiles are not applied: a
/// wide-gamut photo comes out slightly less saturated.
///
/// # Errors
/// A [`PhotoError`] for empty, foreign, damaged, truncated, too large or too small images; sizes are judged by the
/// header, before pixels are decoded.
pub fn decode(bytes: &[u8], limits: &PhotoLimits) -> Result<RgbImage, PhotoError> {
    if bytes.is_empty() {
        return Err(PhotoError::Empty);
    }
    if bytes.len() as u64 > limits.max_bytes {
        return Err(PhotoError::FileTooLarge { bytes: bytes.len() as u64, limit: limits.max_bytes });
    }
    let format = image::guess_format(bytes).map_err(|_| PhotoError::UnknownFormat)?;
    if !matches!(format, ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP) {
        return Err(PhotoError::UnknownFormat);
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(decoder_limits(limits));
    let too_large = |(width, height)| PhotoError::TooLarge {
        width,
        height,
        max_side: limits.max_side,
        max_pixels: limits.max_pixels,
    };
    let truncated = || format == ImageFormat::Jpeg && !jpeg_is_complete(bytes);
    let mut decoder = reader.into_decoder().map_err(|error| match error {
        ImageError::Limits(_) => too_large(header_size(bytes, format)),
        _ if truncated() => PhotoError::Truncated,
        error => decode_error(error),
    })?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if width > limits.max_side || height > limits.max_side || pixels > limits.max_pixels {
        return Err(too_large((width, height)));
    }
    if width < MIN_SIDE || height < MIN_SIDE {
        return Err(PhotoError::TooSmall { width, height, min_side: MIN_SIDE });
    }
    if truncated() {
        return Err(PhotoError::Truncated);
    }
    // A photo with broken EXIF data is still a photo.
    let orientation = decoder.orientation().unwrap_or(image::metadata::Orientation::NoTransforms);
    let mut photo = DynamicImage::from_decoder(decoder).map_err(decode_error)?;
    photo.apply_orientation(orientation);
    Ok(to_rgb(photo))
}

fn decoder_limits(limits: &PhotoLimits) -> Limits {
    let mut decoder_limits = Limits::no_limits();
    decoder_limits.max_image_width = Some(limits.max_side);
    decoder_limits.max_image_height = Some(limits.max_side);
    // Eight bytes a pixel hold 16-bit RGBA; as much again is room for the decoder's own buffers.
    decoder_limits.max_alloc = Some(limits.max_pixels.saturating_mul(16));
    decoder_limits
}

/// Width and height that the header states, for the message about an image that is refused for them.
fn header_size(bytes: &[u8], format: ImageFormat) -> (u32, u32) {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.no_limits();
    reader.into_dimensions().unwrap_or_default()
}

fn decode_error(error: ImageError) -> PhotoError {
    match error {
        ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => PhotoError::Truncated,
        ImageError::Limits(error) if error.kind() == LimitErrorKind::InsufficientMemory => {
            PhotoError::Decode { reason: "it needs more memory than photos do".into() }
        }
        error => PhotoError::Decode { reason: error.to_string() },
    }
}

/// Whether the end-of-image marker follows the start of the image data. Decoders fill the rest of a truncated
/// JPEG with grey instead of failing.
fn jpeg_is_complete(bytes: &[u8]) -> bool {
    const START_OF_SCAN: u8 = 0xDA;
    const END_OF_IMAGE: [u8; 2] = [0xFF, 0xD9];
    // Segments before the first scan state their length; a thumbnail within one has an end marker of its own.
    let mut position = 2;
    while let Some(&[marker_start, marker, high, low]) = bytes.get(position..position + 4) {
        if marker_start != 0xFF {
            return false;
        }
        if marker == 0xFF {
            position += 1; // A fill byte.
            continue;
        }
        position += 2 + usize::from(u16::from_be_bytes([high, low]));
        if marker == START_OF_SCAN {
            return bytes.get(position..).is_some_and(|data| data.windows(2).any(|pair| pair == END_OF_IMAGE));
        }
    }
    false
}

fn to_rgb(photo: DynamicImage) -> RgbImage {
    if !photo.color().has_alpha() {
        return photo.into_rgb8();
    }
    let rgba = photo.into_rgba8();
    let (width, height) = rgba.dimensions();
    let over_backdrop = |value: u8, alpha: u8| {
        let alpha = u32::from(alpha);
        ((u32::from(value) * alpha + BACKDROP * (255 - alpha) + 127) / 255) as u8
    };
    let pixels = rgba
        .as_raw()
        .as_chunks::<4>()
        .0
        .iter()
        .flat_map(|&[r, g, b, a]| [over_backdrop(r, a), over_backdrop(g, a), over_backdrop(b, a)])
        .collect();
    RgbImage::from_raw(width, height, pixels).expect("three bytes for each pixel")
}
