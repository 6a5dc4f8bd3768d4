//! What can go wrong with a photo.

use std::{io, path::PathBuf};

use crate::runtime::RuntimeError;

/// A photo that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PhotoError {
    /// The file is missing or cannot be read.
    #[error("photo {} cannot be read: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file has no content.
    #[error("the photo is empty (0 bytes)")]
    Empty,
    /// The content is no image of a format that is read, whatever the file's name says.
    #[error("this is not a photo: the content is neither JPEG, PNG nor WebP")]
    UnknownFormat,
    /// The file ends before the image does.
    #[error("the photo is incomplete: the file ends before the image does. Copy or download it again")]
    Truncated,
    /// The content is damaged, or uses a feature of the format that is not supported.
    #[error("the photo cannot be decoded: {reason}")]
    Decode {
        /// The decoder's own words.
        reason: String,
    },
    /// The file is longer than the limit.
    #[error("the photo's file has {bytes} bytes, at most {limit} are read")]
    FileTooLarge {
        /// Length of the file.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The image has more pixels than the limit; judged by its header, before any pixel is decoded.
    #[error("the photo has {width} x {height} pixels; at most {max_side} a side and {max_pixels} in all are read")]
    TooLarge {
        /// Width that the header states.
        width: u32,
        /// Height that the header states.
        height: u32,
        /// Longest allowed side.
        max_side: u32,
        /// Most allowed pixels.
        max_pixels: u64,
    },
    /// The image is too small to hold a face.
    #[error("the photo has only {width} x {height} pixels; a face needs at least {min_side} a side")]
    TooSmall {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Shortest allowed side.
        min_side: u32,
    },
}

/// A photo from which no identity can be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FaceError {
    /// No face was found, upright or turned by a quarter.
    #[error("no face was found in the photo. Take one in which the face is lit, in view and not too far away")]
    NoFace,
    /// A face was chosen that is not there.
    #[error("the photo has {found} face{}, there is no face number {index} (counted from 0)", if *.found == 1 { "" } else { "s" })]
    NoSuchFace {
        /// The wanted face.
        index: usize,
        /// Number of faces found.
        found: usize,
    },
    /// A network failed or was cancelled.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}
