//! Why no file comes out.

use std::{io, path::PathBuf};

/// An export that was refused, failed or was cancelled. Nothing is left of the file then, and an older one stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The work was cancelled by its [`CancelToken`](crate::runtime::CancelToken).
    #[error("cancelled")]
    Cancelled,
    /// Vertices, maps or weights are not as many as they have to be.
    #[error("there should be {expected} {what}, found {found}: take the data as a pipeline returns it")]
    Count {
        /// What is counted.
        what: &'static str,
        /// How many there should be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// Something holds infinite numbers or NaN, which a file cannot hold.
    #[error("the {what} should be finite: a file cannot hold NaN or infinite numbers")]
    NotFinite {
        /// What holds them.
        what: &'static str,
    },
    /// A texture cannot be encoded.
    #[error("a texture cannot be encoded: {0}")]
    Texture(image::ImageError),
    /// The avatar needs more bytes than the format can count.
    #[error("the avatar takes {bytes} bytes, a binary glTF file holds less than 4 GiB: generate smaller maps")]
    TooLarge {
        /// Bytes that it takes.
        bytes: usize,
    },
    /// The file cannot be written.
    #[error(
        "{} cannot be written: {source}. Nothing was left behind: choose a folder that exists, may be written to and \
         has room", .path.display()
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}
