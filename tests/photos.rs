//! Photos of every kind that people have, and files that are none.

use bevy_fitdiff::face::{PhotoError, PhotoLimits, decode_photo, open_photo};
use image::{DynamicImage, GrayImage, ImageBuffer, ImageFormat, Luma, LumaA, Rgb, RgbImage, Rgba, RgbaImage};

mod common;

const RED: [u8; 3] = [220, 40, 40];
const GREEN: [u8; 3] = [40, 200, 40];
const BLUE: [u8; 3] = [40, 40, 220];
const WHITE: [u8; 3] = [230; 3];

fn fixture(name: &str) -> Result<RgbImage, PhotoError> {
    open_photo(common::repository().join("tests/fixtures").join(name), &PhotoLimits::default())
}

fn decode(bytes: &[u8]) -> Result<RgbImage, PhotoError> {
    decode_photo(bytes, &PhotoLimits::default())
}

fn encode(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn gradient() -> RgbImage {
    RgbImage::from_fn(64, 48, |x, y| Rgb([(x * 4) as u8, (y * 5) as u8, 77]))
}

/// The colours in the four corners, row by row.
fn corners(photo: &RgbImage) -> [[u8; 3]; 4] {
    let (w, h) = photo.dimensions();
    [(8, 8), (w - 9, 8), (8, h - 9), (w - 9, h - 9)].map(|(x, y)| photo.get_pixel(x, y).0)
}

fn assert_corners(name: &str, photo: &RgbImage, expected: [[u8; 3]; 4], tolerance: u8) {
    let found = corners(photo);
    let close = found.iter().flatten().zip(expected.iter().flatten()).all(|(a, b)| a.abs_diff(*b) <= tolerance);
    assert!(close, "{name}: {found:?} is not {expected:?}");
}

#[test]
fn exif_orientation_is_applied() {
    // Where red, green, blue and white come to lie, by the definition of the EXIF tag "Orientation".
    let expected = [
        [RED, GREEN, BLUE, WHITE],
        [GREEN, RED, WHITE, BLUE],
        [WHITE, BLUE, GREEN, RED],
        [BLUE, WHITE, RED, GREEN],
        [RED, BLUE, GREEN, WHITE],
        [BLUE, RED, WHITE, GREEN],
        [WHITE, GREEN, BLUE, RED],
        [GREEN, WHITE, RED, BLUE],
    ];
    for (orientation, expected) in (1..).zip(expected) {
        let name = format!("exif_{orientation}.jpg");
        let photo = fixture(&name).unwrap();
        assert_eq!(photo.dimensions(), if orientation < 5 { (96, 64) } else { (64, 96) }, "{name}");
        assert_corners(&name, &photo, expected, 6);
    }
}

#[test]
fn progressive_grey_and_cmyk_jpegs_are_read() {
    assert_corners("progressive", &fixture("progressive.jpg").unwrap(), [RED, GREEN, BLUE, WHITE], 6);
    assert_corners("cmyk", &fixture("cmyk.jpg").unwrap(), [RED, GREEN, BLUE, WHITE], 12);
    let luma =
        |[r, g, b]: [u8; 3]| [(0.299 * f32::from(r) + 0.587 * f32::from(g) + 0.114 * f32::from(b)).round() as u8; 3];
    assert_corners("grey", &fixture("grey.jpg").unwrap(), [RED, GREEN, BLUE, WHITE].map(luma), 6);
}

#[test]
fn png_and_webp_come_back_as_they_were() {
    for format in [ImageFormat::Png, ImageFormat::WebP] {
        assert_eq!(decode(&encode(gradient(), format)).unwrap(), gradient(), "{format:?}");
    }
}

#[test]
fn grey_and_sixteen_bit_pngs_become_eight_bit_rgb() {
    let grey = encode(GrayImage::from_pixel(40, 40, Luma([90])), ImageFormat::Png);
    assert_eq!(decode(&grey).unwrap().get_pixel(3, 3).0, [90; 3]);
    let deep = ImageBuffer::<Rgb<u16>, _>::from_pixel(40, 40, Rgb([65535, 257 * 100, 257 * 100 + 200]));
    let deep = encode(DynamicImage::ImageRgb16(deep), ImageFormat::Png);
    assert_eq!(decode(&deep).unwrap().get_pixel(3, 3).0, [255, 100, 101], "rounded to the nearest level");
}

#[test]
fn transparent_pixels_lie_over_middle_grey() {
    let rgba = RgbaImage::from_fn(40, 40, |x, _| Rgba([200, 0, 100, if x < 20 { 0 } else { 255 }]));
    let photo = decode(&encode(rgba, ImageFormat::Png)).unwrap();
    assert_eq!(photo.get_pixel(5, 5).0, [128; 3]);
    assert_eq!(photo.get_pixel(30, 5).0, [200, 0, 100]);
    let half = ImageBuffer::from_pixel(40, 40, LumaA([28u8, 128]));
    let photo = decode(&encode(DynamicImage::ImageLumaA8(half), ImageFormat::Png)).unwrap();
    assert_eq!(photo.get_pixel(5, 5).0, [78; 3], "half of 28 and half of 128");
}

#[test]
fn files_that_are_no_photos_are_refused_by_content() {
    assert!(matches!(decode(b""), Err(PhotoError::Empty)));
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("me.png");
    std::fs::write(&text, "Dear diary, today I took a photo.").unwrap();
    assert!(matches!(open_photo(&text, &PhotoLimits::default()), Err(PhotoError::UnknownFormat)));
    let gif = b"GIF89a\x01\x00\x01\x00\x00\x00\x00;";
    assert!(matches!(decode(gif), Err(PhotoError::UnknownFormat)));
    let missing = open_photo(dir.path().join("none.jpg"), &PhotoLimits::default());
    assert!(matches!(missing, Err(PhotoError::Read { .. })));
    assert!(matches!(open_photo(dir.path(), &PhotoLimits::default()), Err(PhotoError::Read { .. })), "a folder");
}

#[test]
fn truncated_photos_are_refused() {
    let photo = common::selfie(common::ASTRONAUT);
    let exif_thumbnail = std::fs::read(common::repository().join("tests/fixtures/exif_6.jpg")).unwrap();
    for (name, bytes) in [
        ("JPEG", encode(photo.clone(), ImageFormat::Jpeg)),
        ("PNG", encode(photo.clone(), ImageFormat::Png)),
        ("WebP", encode(photo, ImageFormat::WebP)),
        ("JPEG with EXIF", exif_thumbnail),
    ] {
        for part in [0.3, 0.7, 0.98] {
            let cut = &bytes[..(bytes.len() as f64 * part) as usize];
            let error = decode(cut).expect_err(name);
            assert!(
                matches!(error, PhotoError::Truncated | PhotoError::Decode { .. }),
                "{name} cut to {part}: {error}"
            );
            if name.starts_with("JPEG") {
                assert!(matches!(error, PhotoError::Truncated), "{name} cut to {part}: {error}");
            }
        }
    }
}

#[test]
fn sizes_are_judged_by_the_header() {
    let single = encode(RgbImage::new(1, 1), ImageFormat::Png);
    assert!(matches!(decode(&single), Err(PhotoError::TooSmall { width: 1, height: 1, .. })));

    // Headers that state 30,000 × 30,000 pixels, with hardly any data behind them.
    let mut png = encode(gradient(), ImageFormat::Png);
    png[16..20].copy_from_slice(&30_000u32.to_be_bytes());
    png[20..24].copy_from_slice(&30_000u32.to_be_bytes());
    let checksum = png_checksum(&png[12..29]);
    png[29..33].copy_from_slice(&checksum.to_be_bytes());
    let mut jpeg = encode(gradient(), ImageFormat::Jpeg);
    let frame = jpeg.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    jpeg[frame + 5..frame + 7].copy_from_slice(&30_000u16.to_be_bytes());
    jpeg[frame + 7..frame + 9].copy_from_slice(&30_000u16.to_be_bytes());
    for bytes in [png, jpeg] {
        let error = decode(&bytes).unwrap_err();
        assert!(matches!(error, PhotoError::TooLarge { width: 30_000, height: 30_000, .. }), "{error}");
    }

    let limits = PhotoLimits { max_pixels: 64 * 48 - 1, ..PhotoLimits::default() };
    let error = decode_photo(&encode(gradient(), ImageFormat::Png), &limits).unwrap_err();
    assert!(matches!(error, PhotoError::TooLarge { width: 64, height: 48, .. }), "{error}");
    let limits = PhotoLimits { max_bytes: 100, ..PhotoLimits::default() };
    let error = decode_photo(&encode(gradient(), ImageFormat::Png), &limits).unwrap_err();
    assert!(matches!(error, PhotoError::FileTooLarge { limit: 100, .. }), "{error}");
}

/// CRC-32 of a PNG chunk (ISO 3309).
fn png_checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    })
}
