//! Why an expression sequence cannot be read.

use std::path::PathBuf;

use super::sequence::{MAX_BYTES, MAX_COLUMNS, MAX_SECONDS, SEQUENCE_VERSION};

/// Why an expression sequence cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SequenceError {
    /// The file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        /// The asset's path.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The file is longer than a sequence may be.
    #[error("the file is longer than {MAX_BYTES} bytes; cut the sequence into parts")]
    TooLong,
    /// The file is no JSON, or not of the format's shape.
    #[error("it is no expression sequence: {0}")]
    Json(#[from] serde_json::Error),
    /// The file is of another version of the format.
    #[error("expected an expression sequence of version {SEQUENCE_VERSION}, found version {found}")]
    Version {
        /// The version that the file states.
        found: u64,
    },
    /// The file is no CSV.
    #[error("it is no CSV: {0}")]
    Csv(#[from] csv::Error),
    /// There is nothing to play.
    #[error("it holds nothing to play: expected {expected}")]
    Empty {
        /// What is missing.
        expected: &'static str,
    },
    /// A CSV has more columns than any capture.
    #[error("expected {MAX_COLUMNS} columns at most, found {found}")]
    Columns {
        /// The number of columns.
        found: usize,
    },
    /// A row of a CSV has fewer or more fields than the header.
    #[error("line {line}: expected {expected} fields, found {found}; the file may have been cut off")]
    Fields {
        /// The line, counted from 1.
        line: u64,
        /// The number of columns.
        expected: usize,
        /// The number of fields.
        found: usize,
    },
    /// A row's timecode is none.
    #[error("line {line}: expected a timecode HH:MM:SS:FF.fff, found `{found}`")]
    Timecode {
        /// The line, counted from 1.
        line: u64,
        /// What stands there.
        found: String,
    },
    /// The frame rate that timecodes are read with is none.
    #[error("expected a frame rate of 1 to 1000 frames per second, found {found}")]
    FrameRate {
        /// The rate that was asked for.
        found: f32,
    },
    /// A number of a CSV is none.
    #[error("line {line}, column {column}: expected a finite number, found `{found}`")]
    Number {
        /// The line, counted from 1.
        line: u64,
        /// The column's name.
        column: String,
        /// What stands there.
        found: String,
    },
    /// A time is not after the one before it, negative, or too late.
    #[error("{place}: expected a time after {after} s and up to {MAX_SECONDS} s, found {found} s")]
    Time {
        /// The track and key, or the line.
        place: String,
        /// The time before it.
        after: f32,
        /// The time that stands there.
        found: f32,
    },
    /// A weight is outside of 0 to 1.
    #[error("{place}: expected a weight of 0 to 1, found {found}")]
    Weight {
        /// The track and key.
        place: String,
        /// The weight that stands there.
        found: f32,
    },
    /// A blendshape has two tracks.
    #[error("`{name}` has two tracks; a sequence has one for each blendshape")]
    Twice {
        /// The blendshape's name.
        name: String,
    },
    /// The sequence is said to be shorter than its keys are, or longer than it may be.
    #[error("expected a duration from the last key at {last} s up to {MAX_SECONDS} s, found {found} s")]
    Duration {
        /// Time of the last key.
        last: f32,
        /// The duration that is stated.
        found: f32,
    },
}
