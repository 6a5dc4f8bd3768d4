//! The model bundle: a folder with `bundle.json` and the files that it names.
//!
//! [`Bundle::open`] reads and checks the manifest; [`Bundle::load`] reads a network's file, checks its length and
//! SHA-256, and builds it on a [`Runtime`], which checks the graph's inputs and outputs against the manifest.
//! [`Bundle::load_head`] reads the template head. Nothing of a particular bundle is a constant in the code, so a studio
//! swaps in its own by path.
//!
//! ```no_run
//! use bevy_fitdiff::{bundle::Bundle, runtime::{Runtime, RuntimeOptions}};
//!
//! let runtime = Runtime::new(RuntimeOptions::default())?;
//! let bundle = Bundle::open("models/base")?;
//! let recogniser = bundle.load(&runtime, &bundle.manifest().face.identity.network)?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

mod error;
mod files;
mod generator;
mod head;
mod manifest;
pub(crate) mod materials;
mod template_file;
mod validate;

use std::path::{Path, PathBuf};

pub use error::BundleError;
pub use files::MAX_FILE_BYTES;
pub use generator::{
    ColourSpace, Generator, GeneratorNetworks, MapDescription, Maps, NoiseSchedule, PredictionType, Prefixes,
    ReflectanceLatent, Section, SectionType, ShapeLatent, Temperature, Template, TemplateEyes, TemplatePart,
};
pub use head::{Blendshape, HeadMasks, SurfacePoint, TemplateHead};
pub use manifest::{
    BundleFile, ChipTemplate, Detector, FORMAT, FaceFrontEnd, LandmarkIndex, Landmarks, Manifest, Network, Recogniser,
    ReliableRange,
};

use crate::runtime::{ExternalWeights, Model, ModelSpec, Runtime};

/// Name of the manifest in a bundle's folder.
pub const MANIFEST_FILE: &str = "bundle.json";

/// Longest manifest that is read: 1 MiB.
const MAX_MANIFEST_BYTES: u64 = 1 << 20;

/// A bundle whose manifest was read and found consistent. Its files are read when they are needed.
#[derive(Clone, Debug)]
pub struct Bundle {
    root: PathBuf,
    manifest: Manifest,
}

impl Bundle {
    /// Reads and checks the manifest of the bundle in the folder `root`.
    ///
    /// # Errors
    /// A [`BundleError`] that names the file, what was expected and what was found.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, BundleError> {
        let root = root.into();
        let path = root.join(MANIFEST_FILE);
        let text = files::read_limited(&path, MAX_MANIFEST_BYTES)?;
        let manifest = parse(&path, &text)?;
        Ok(Self { root, manifest })
    }

    /// The bundle's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The checked manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Reads the network `name`, checks its file and builds it.
    ///
    /// # Errors
    /// [`BundleError::NoNetwork`] for an unknown name; every error of a missing, truncated, swapped or misplaced file;
    /// [`BundleError::Network`] when the file is no graph with the inputs and outputs that the manifest states.
    pub fn load(&self, runtime: &Runtime, name: &str) -> Result<Model, BundleError> {
        let network = self
            .manifest
            .networks
            .get(name)
            .ok_or_else(|| BundleError::NoNetwork { path: self.root.join(MANIFEST_FILE), network: name.to_owned() })?;
        let onnx = files::read_checked(&self.root, &network.file)?;
        let spec =
            ModelSpec { name: name.to_owned(), inputs: network.inputs.clone(), outputs: network.outputs.clone() };
        let model = match self.weights_of(network)? {
            Some(weights) => runtime.load_with_weights(spec, &onnx, &weights),
            None => runtime.load(spec, &onnx),
        };
        model.map_err(|source| BundleError::Network {
            path: self.root.join(&network.file.path),
            source: Box::new(source),
        })
    }

    fn weights_of(&self, network: &Network) -> Result<Option<ExternalWeights>, BundleError> {
        let Some(path) = &network.weights else { return Ok(None) };
        let file = self.manifest.file(path).expect("the manifest was checked to describe the file");
        let content = files::read_checked(&self.root, file)?.into();
        Ok(Some(ExternalWeights { file: path.clone(), content }))
    }
}

/// Parses and validates a manifest; `path` is for messages.
fn parse(path: &Path, text: &[u8]) -> Result<Manifest, BundleError> {
    // The format is read first: a manifest of another format has other fields.
    #[derive(serde::Deserialize)]
    struct Header {
        format: u32,
    }
    let invalid =
        |error: serde_json::Error| BundleError::Manifest { path: path.to_path_buf(), reason: error.to_string() };
    let Header { format } = serde_json::from_slice(text).map_err(invalid)?;
    if format != FORMAT {
        return Err(BundleError::Format { path: path.to_path_buf(), expected: FORMAT, found: format });
    }
    let manifest = serde_json::from_slice(text).map_err(invalid)?;
    validate::check(path, &manifest)?;
    Ok(manifest)
}
