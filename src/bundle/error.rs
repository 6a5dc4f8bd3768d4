//! Why a model bundle is refused.

use std::{io, path::PathBuf};

use crate::runtime::RuntimeError;

/// A bundle that cannot be used: which file, what was expected and what was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// A file of the bundle, or its folder, is missing or cannot be read.
    #[error("model bundle: {} cannot be read: {source}", .path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// `bundle.json` is not a manifest of this format.
    #[error("model bundle: {} is no valid manifest: {reason}", .path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// Line, column and what was expected there.
        reason: String,
    },
    /// The manifest is of a format that this version of the crate does not read.
    #[error(
        "model bundle: {} has format {found}, this version of bevy_fitdiff reads format {expected}: \
         take a bundle made for it",
        .path.display()
    )]
    Format {
        /// The manifest.
        path: PathBuf,
        /// The format that is read.
        expected: u32,
        /// The format of the file.
        found: u32,
    },
    /// The manifest names a file outside of the bundle's folder.
    #[error("model bundle: `{file}` leaves the bundle's folder; only plain paths below it are allowed")]
    Outside {
        /// The path as the manifest states it.
        file: String,
    },
    /// A file has another length than the manifest states: it is truncated, or not the file that was meant.
    #[error("model bundle: {}: expected {expected} bytes, found {found}", .path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// Length that the manifest states.
        expected: u64,
        /// Length of the file.
        found: u64,
    },
    /// The manifest states a length beyond [`MAX_FILE_BYTES`](super::MAX_FILE_BYTES).
    #[error("model bundle: `{file}` would have {bytes} bytes, at most {limit} are read")]
    TooLarge {
        /// The path as the manifest states it.
        file: String,
        /// Stated or real length.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// A file's content is not the one that the manifest was written for.
    #[error("model bundle: {}: expected SHA-256 {expected}, found {found}", .path.display())]
    Hash {
        /// The file.
        path: PathBuf,
        /// SHA-256 that the manifest states, in hexadecimal.
        expected: String,
        /// SHA-256 of the file.
        found: String,
    },
    /// The bundle lacks a network that is needed.
    #[error("model bundle: {} describes no network `{network}`", .path.display())]
    NoNetwork {
        /// The manifest.
        path: PathBuf,
        /// Name of the network.
        network: String,
    },
    /// The bundle has no template head.
    #[error(
        "model bundle: {} describes no `template` head, so there is none to give a face to: take a bundle with a \
         generator, or export one as models/training describes",
        .path.display()
    )]
    NoTemplate {
        /// The manifest.
        path: PathBuf,
    },
    /// The template head's file is as the manifest states, but what it holds is no head.
    #[error("model bundle: {}, {place}: expected {expected}, found {found}", .path.display())]
    Template {
        /// The template head's file.
        path: PathBuf,
        /// Where in the file.
        place: String,
        /// What would make a head.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The manifest contradicts itself.
    #[error("model bundle: {}, {place}: expected {expected}, found {found}", .path.display())]
    Inconsistent {
        /// The manifest.
        path: PathBuf,
        /// Where in the manifest.
        place: String,
        /// What would be consistent.
        expected: String,
        /// What is stated.
        found: String,
    },
    /// A network's file is as the manifest states, but does not load or has other inputs and outputs.
    #[error("model bundle: {}: {source}", .path.display())]
    Network {
        /// The network's file.
        path: PathBuf,
        /// What the runtime says.
        source: Box<RuntimeError>,
    },
}
