//! The manifest `bundle.json`: everything that the code must know about a particular model.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Generator, Template};
use crate::runtime::TensorSpec;

/// The format of manifests that this version of the crate reads.
pub const FORMAT: u32 = 1;

/// Content of `bundle.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the manifest's format; [`FORMAT`].
    pub format: u32,
    /// Name of the bundle; with [`version`](Self::version) it tells bundles apart.
    pub id: String,
    /// Version of the bundle, semantic.
    pub version: String,
    /// SPDX expression for the bundle as a whole.
    pub licence: String,
    /// Networks by the name under which the manifest's other sections refer to them.
    pub networks: BTreeMap<String, Network>,
    /// How a photo becomes an identity.
    pub face: FaceFrontEnd,
    /// The head that the generator gives shape and surface to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
    /// How an identity becomes shape and surface. A bundle without it recognises faces, but generates none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<Generator>,
}

impl Manifest {
    /// The description of a file of the bundle by its path.
    pub(super) fn file(&self, path: &str) -> Option<&BundleFile> {
        let networks = self.networks.values().map(|network| &network.file);
        networks.chain(self.template.iter().map(|template| &template.file)).find(|file| file.path == path)
    }
}

/// A file of the bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleFile {
    /// Path below the bundle's folder, with `/` between folders.
    pub path: String,
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 of the content, lower-case hexadecimal.
    pub sha256: String,
}

/// An ONNX network of the bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// The ONNX file.
    pub file: BundleFile,
    /// Path of another file of the bundle that holds this graph's weights (as ONNX external data). A graph and its
    /// gradient share one file of weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// Where it comes from.
    pub origin: String,
    /// SPDX identifier of its licence.
    pub licence: String,
    /// All inputs of the graph, with fixed shapes.
    pub inputs: Vec<TensorSpec>,
    /// All outputs of the graph, with fixed shapes.
    pub outputs: Vec<TensorSpec>,
}

/// How a photo becomes an identity: the networks of the face front-end and the rules around them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaceFrontEnd {
    /// Detectors in the order in which they are tried.
    pub detectors: Vec<Detector>,
    /// The landmark network.
    pub landmarks: Landmarks,
    /// The recognition network and its aligned chip.
    pub identity: Recogniser,
    /// Limits beyond which the recognition network is no longer to be relied on.
    pub reliable: ReliableRange,
}

/// What a photo must offer for a reliable identity; measured for the bundle's recogniser.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReliableRange {
    /// Least distance from forehead to chin in photo pixels.
    pub min_face_height: f32,
    /// Least sharpness of the chip, as [`Quality::sharpness`](crate::face::Quality::sharpness) measures it.
    pub min_sharpness: f32,
    /// Largest turn of the head to a side, in degrees.
    pub max_yaw: f32,
    /// Largest nod of the head, in degrees.
    pub max_pitch: f32,
}

/// A single-shot detector of the BlazeFace family: one anchor grid per run of equal strides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detector {
    /// Name of the network: one square NCHW RGB input.
    pub network: String,
    /// Output with 16 numbers per anchor: box centre x y, size x y, then six keypoints x y, in input pixels relative
    /// to the anchor's centre.
    pub boxes: String,
    /// Output with a score logit per anchor.
    pub scores: String,
    /// Input values that stand for the 8-bit values 0 and 255.
    pub input_range: [f32; 2],
    /// Strides of the network's output layers in input pixels; consecutive equal strides share a grid.
    pub strides: Vec<u32>,
    /// Anchors per cell and layer.
    pub anchors_per_cell: u32,
    /// Least score of a face, 0 to 1.
    pub score_threshold: f32,
    /// Boxes that overlap by more than this intersection over union are merged, weighted by score.
    pub merge_iou: f32,
}

/// A landmark network on a rotated square crop of the face.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Landmarks {
    /// Name of the network: one square NCHW RGB input.
    pub network: String,
    /// Output with x, y, z per point, in crop pixels.
    pub points: String,
    /// Output with the logit of a face being in the crop.
    pub presence: String,
    /// Input values that stand for the 8-bit values 0 and 255.
    pub input_range: [f32; 2],
    /// Least probability of a face being in the crop, 0 to 1.
    pub presence_threshold: f32,
    /// Largest mean distance between the detector's keypoints and the landmarks of the same places, as a fraction of
    /// the distance between the eyes. The presence alone is no proof of a face.
    pub max_keypoint_distance: f32,
    /// Side of the crop as a multiple of the longer side of the face's box.
    pub crop_scale: f32,
    /// Points that span the face's box in the second pass: the first so many.
    pub box_points: usize,
    /// Points with a meaning of their own.
    pub index: LandmarkIndex,
}

/// Numbers of the landmarks that the code refers to. Left and right are the person's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LandmarkIndex {
    /// Outer corner of the right eye.
    pub right_eye_outer: usize,
    /// Inner corner of the right eye.
    pub right_eye_inner: usize,
    /// Inner corner of the left eye.
    pub left_eye_inner: usize,
    /// Outer corner of the left eye.
    pub left_eye_outer: usize,
    /// Tip of the nose.
    pub nose_tip: usize,
    /// Middle of the upper lip's lower edge.
    pub upper_lip: usize,
    /// Middle of the lower lip's upper edge.
    pub lower_lip: usize,
    /// Top of the forehead in the middle.
    pub forehead: usize,
    /// Lowest point of the chin.
    pub chin: usize,
}

impl LandmarkIndex {
    pub(super) fn all(&self) -> [usize; 9] {
        [
            self.right_eye_outer,
            self.right_eye_inner,
            self.left_eye_inner,
            self.left_eye_outer,
            self.nose_tip,
            self.upper_lip,
            self.lower_lip,
            self.forehead,
            self.chin,
        ]
    }
}

/// The recognition network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recogniser {
    /// Name of the network: one square NCHW RGB input, the chip.
    pub network: String,
    /// Output with the embedding.
    pub embedding: String,
    /// Input values that stand for the 8-bit values 0 and 255.
    pub input_range: [f32; 2],
    /// Euclidean distance below which two photos show the same person, for sharp frontal faces.
    pub same_person_distance: f32,
    /// How the face is placed on the chip.
    pub chip: ChipTemplate,
}

/// Where points of the face lie on the recogniser's chip.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChipTemplate {
    /// Border around the template on each side, as a fraction of the template's side.
    pub padding: f64,
    /// Numbers of the landmarks that are aligned.
    pub landmarks: Vec<usize>,
    /// Their places in the template, 0 to 1, x right and y down.
    pub points: Vec<[f64; 2]>,
}
