//! The manifest's sections about the generator: its networks, the noise schedule, the latents, the maps, and the
//! template head that the generated shape and maps belong to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::BundleFile;

/// The latent diffusion model and its decoders.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generator {
    /// Version of the trained model, semantic.
    pub version: String,
    /// SPDX identifier of the licence of its weights.
    pub licence: String,
    /// Length of the identity embedding that it is conditioned on.
    pub embedding_size: usize,
    /// Latents of the three maps.
    pub reflectance_latent: ReflectanceLatent,
    /// Latents of the head's shape.
    pub shape_latent: ShapeLatent,
    /// How noise was added in training, and what the denoiser predicts.
    pub schedule: NoiseSchedule,
    /// Scale of classifier-free guidance with which the model was evaluated; 1 is none.
    pub guidance_scale: f32,
    /// Scale of the noise with which the model was evaluated on selfies.
    pub temperature: Temperature,
    /// Its networks, by what they do.
    pub networks: GeneratorNetworks,
    /// Activations of the recogniser that the perceptual loss compares.
    pub perceptual_layers: Vec<String>,
    /// Losses of the recogniser's loss network.
    pub losses: Vec<String>,
    /// How inputs and outputs of gradient networks are called.
    pub prefixes: Prefixes,
    /// The generated maps.
    pub maps: Maps,
}

/// Factors of the noise that is drawn, at the start and within stochastic samplers. 1, the default, is what a model is
/// trained for; below, samples gather around what the embedding tells, and random faces become more average.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Temperature {
    /// For reflectance latents.
    pub reflectance: f32,
    /// For shape latents.
    pub shape: f32,
}

impl Default for Temperature {
    fn default() -> Self {
        Self { reflectance: 1.0, shape: 1.0 }
    }
}

/// The latents from which the maps are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReflectanceLatent {
    /// Channels, height, width.
    pub shape: [usize; 3],
    /// What clean latents are multiplied with before noise is added.
    pub scale: f32,
}

/// The latents from which the head's vertices are decoded: coefficients of the shape basis.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShapeLatent {
    /// Number of coefficients.
    pub coefficients: usize,
    /// What clean coefficients are multiplied with before noise is added.
    pub scale: f32,
}

/// The noise of the forward process: `x_n = √ᾱ_n x_0 + √(1 − ᾱ_n) ε`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoiseSchedule {
    /// The family of schedules, for people; the numbers below decide.
    #[serde(rename = "type")]
    pub family: String,
    /// Number of timesteps in training.
    pub train_timesteps: usize,
    /// What the denoiser predicts.
    pub prediction_type: PredictionType,
    /// ᾱ of each timestep, falling from near 1 to near 0.
    pub alphas_cumprod: Vec<f64>,
}

/// What a denoiser predicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PredictionType {
    /// The noise ε.
    Epsilon,
    /// `v = √ᾱ ε − √(1 − ᾱ) x_0` (Salimans and Ho, arXiv 2202.00512).
    V,
}

/// Names of the generator's networks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeneratorNetworks {
    /// Denoises reflectance and shape latents jointly.
    pub unet: String,
    /// Reflectance latents to maps.
    pub reflectance_decoder: String,
    /// Its gradient.
    pub reflectance_decoder_vjp: String,
    /// Shape latents to vertices.
    pub shape_decoder: String,
    /// Its gradient.
    pub shape_decoder_vjp: String,
    /// A chip to the recogniser's embedding and inner activations.
    pub recogniser_features: String,
    /// A chip to the recognition and perceptual losses and their gradient.
    pub recogniser_loss: String,
    /// A chip, what the recogniser sees in it, and landmarks to shape coefficients and albedo. Without it, guidance
    /// has the photo's pixels and embedding alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regressor: Option<String>,
    /// A chip and landmarks to the colour of the irises. Without it, eyes are brown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iris_reader: Option<String>,
}

/// What is put before a tensor's name in gradient networks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prefixes {
    /// Before an output's name: the input with its cotangent.
    pub seed: String,
    /// Before an input's name: the output with its gradient.
    pub gradient: String,
    /// Before an output's name: the input with the value to come near to.
    pub target: String,
}

/// The generated maps, in the UV space of the template head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Maps {
    /// Diffuse albedo.
    pub diffuse: MapDescription,
    /// Specular albedo: F0 at normal incidence.
    pub specular: MapDescription,
    /// Tangent-space normals: MikkTSpace, OpenGL Y+.
    pub normals: MapDescription,
}

/// One map as the reflectance decoder gives it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapDescription {
    /// The decoder's output.
    pub output: String,
    /// Side in texels.
    pub size: usize,
    /// Number of channels.
    pub channels: usize,
    /// How the values are encoded.
    pub colour_space: ColourSpace,
    /// Nominal range; values beyond it are clipped.
    pub range: [f32; 2],
}

/// How a map's values are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColourSpace {
    /// By the sRGB transfer curve.
    Srgb,
    /// Not at all.
    Linear,
}

/// The head whose shape and surface are generated: topology, texture layout, shape basis, blendshapes, landmarks.
///
/// `vertices = positions + Σ code_k · basis_scale_k · basis_k + Σ weight_j · blendshape_j`; the arrays lie in the file,
/// little-endian, each described by a [`Section`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// The file with the arrays.
    pub file: BundleFile,
    /// Version of the arrays' layout.
    pub version: u32,
    /// Unit, axes and origin, for people: metres, Y up, the face looks to +Z.
    pub frame: String,
    /// Number of vertices.
    pub vertices: usize,
    /// Number of triangles.
    pub triangles: usize,
    /// Number of components of the shape basis.
    pub components: usize,
    /// Parts of the head in the order of their vertices and triangles.
    pub parts: Vec<TemplatePart>,
    /// How the eyes are turned and painted.
    pub eyes: TemplateEyes,
    /// Names of the blendshapes, as ARKit has them.
    pub blendshapes: Vec<String>,
    /// The arrays by name.
    pub sections: BTreeMap<String, Section>,
}

/// A part of the head with a material of its own: skin, an eye, teeth, tongue, lashes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplatePart {
    /// Name of the part.
    pub name: String,
    /// Name of its material.
    pub material: String,
    /// First vertex and number of vertices.
    pub vertices: [usize; 2],
    /// First triangle and number of triangles.
    pub triangles: [usize; 2],
}

/// How the eyes are turned and painted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateEyes {
    /// Where the centre of an eye is found, for people.
    pub centre: String,
    /// Angle between an eye's axis and the rim of its texture, in radians.
    pub texture_rim_radians: f32,
    /// Angle between an eye's axis and the rim of the iris, in radians.
    pub iris_radians: f32,
    /// Angle by which each eye is turned inwards at rest, in radians.
    pub convergence_radians: f32,
    /// Largest turn of an eye at full weight of a look blendshape, by direction, in radians.
    pub look_radians: BTreeMap<String, f32>,
}

/// An array in the template's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// First byte.
    pub offset: usize,
    /// Element type.
    pub dtype: SectionType,
    /// Length of each axis, outermost first.
    pub shape: Vec<usize>,
}

/// Element type of an array in the template's file, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SectionType {
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 half precision.
    F16,
    /// Signed 8-bit.
    I8,
    /// Unsigned 8-bit.
    U8,
    /// Unsigned 16-bit.
    U16,
    /// Unsigned 32-bit.
    U32,
}

impl SectionType {
    /// Bytes of an element.
    pub fn size(self) -> usize {
        match self {
            Self::I8 | Self::U8 => 1,
            Self::F16 | Self::U16 => 2,
            Self::F32 | Self::U32 => 4,
        }
    }
}
