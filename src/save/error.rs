//! Why an avatar's file is not read or written.

use std::{io, path::PathBuf};

use crate::pipeline::BundleId;

/// A file that cannot be read, written or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// The file is missing or cannot be read.
    #[error("avatar {} cannot be read: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file cannot be written. A file that was there before is as it was.
    #[error("avatar {} cannot be written: {source}. Nothing was changed", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is longer than an avatar can be.
    #[error("this is no avatar: it has more than {limit} bytes")]
    TooLarge {
        /// What is read at most.
        limit: u64,
    },
    /// The content is no text in UTF-8.
    #[error("this is no avatar: it is not text in UTF-8")]
    Encoding,
    /// The file ends before the avatar does.
    #[error("the avatar's file is incomplete: it ends at line {line}, column {column}. Copy or save it again")]
    Truncated {
        /// Last line, from 1.
        line: usize,
        /// Column in it.
        column: usize,
    },
    /// The content is no JSON, or not that of an avatar: a field is missing, unknown, there twice, or of another kind.
    #[error("this is no avatar: {reason}")]
    Syntax {
        /// What was expected, and where.
        reason: String,
    },
    /// The file was written by a newer version of the crate.
    #[error(
        "the avatar's file has version {found}, this version of bevy_fitdiff reads versions up to {expected}: update the \
         program"
    )]
    Newer {
        /// The newest version that is read.
        expected: u32,
        /// The version of the file.
        found: u64,
    },
    /// The content is not what was written: some of it was changed or damaged.
    #[error("the avatar's file was damaged or changed: expected SHA-256 {expected}, found {found}")]
    Damaged {
        /// What the file states, in hexadecimal.
        expected: String,
        /// SHA-256 of its content.
        found: String,
    },
    /// A value in the file, or in the avatar to be written, is none that an avatar can have.
    #[error("the avatar's {place}: expected {expected}, found {found}")]
    Value {
        /// Where.
        place: String,
        /// What would be valid.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The avatar belongs to another model bundle: it would be another face here.
    #[error(
        "the avatar was made with the model bundle {found}, this is {expected}: load that bundle, or generate anew"
    )]
    OtherBundle {
        /// The bundle that is loaded.
        expected: Box<BundleId>,
        /// The bundle of the avatar.
        found: Box<BundleId>,
    },
}
