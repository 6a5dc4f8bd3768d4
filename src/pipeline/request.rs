//! What is asked for.

use std::{fmt, sync::Arc};

use bevy::reflect::{Reflect, ReflectDeserialize, ReflectSerialize, std_traits::ReflectDefault};
use image::RgbImage;
use serde::{Deserialize, Serialize};

use super::Guidance;
use crate::{
    bundle::{Generator, Temperature},
    diffusion::{Latents, SampleOptions, Sampler},
    face::{FaceChoice, Identity},
};

/// A person to generate. The same request gives the same avatar, bit for bit, on the same bundle and backend.
#[derive(Clone, Debug, Default)]
pub struct GenerateRequest {
    /// Who it is to be.
    pub source: Source,
    /// Decides the noise, and with it all that the source leaves open.
    pub seed: u64,
    /// How to generate.
    pub options: GenerateOptions,
}

/// Who an avatar is to be.
#[derive(Clone, Default)]
pub enum Source {
    /// A person that does not exist.
    #[default]
    Random,
    /// The person in these photos, one or more. The identities of several photos are fused: the mean of their
    /// embeddings, in which a small, blurred or turned face counts for less. So are the colours of the irises and, with
    /// guidance, what is read of shape and albedo; the head is fitted to the most reliable photo, the first of equals.
    /// Photos whose embeddings lie further apart than 1.05 times the bundle's
    /// [`same_person_distance`](crate::bundle::Recogniser::same_person_distance) are refused.
    Photos(Vec<SourcePhoto>),
    /// The person of this identity, as the bundle's recogniser gives it.
    Identity(Identity),
    /// Clean latents, multiplied with the bundle's scales as [`sample`](crate::diffusion::sample) gives them. They are
    /// decoded as they are; seed and options have no effect.
    Latents(Latents),
}

/// Shows neither the embedding nor the latents.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Random => f.write_str("Random"),
            Self::Photos(photos) => f.debug_tuple("Photos").field(photos).finish(),
            Self::Identity(identity) => f.debug_tuple("Identity").field(identity).finish(),
            Self::Latents(latents) => f.debug_tuple("Latents").field(&latents.layout()).finish(),
        }
    }
}

/// A photo of the person.
#[derive(Clone)]
pub struct SourcePhoto {
    /// 8-bit sRGB, upright; [`open_photo`](crate::face::open_photo) reads it from a file.
    pub image: Arc<RgbImage>,
    /// Which face of the photo is meant.
    pub face: FaceChoice,
}

impl From<RgbImage> for SourcePhoto {
    /// Means the most prominent face.
    fn from(image: RgbImage) -> Self {
        Self { image: Arc::new(image), face: FaceChoice::MostProminent }
    }
}

/// Shows the photo's size alone.
impl fmt::Debug for SourcePhoto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourcePhoto").field("size", &self.image.dimensions()).field("face", &self.face).finish()
    }
}

/// Denoising steps unless told otherwise.
const DEFAULT_STEPS: usize = 50;

/// How to generate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, Reflect)]
#[reflect(opaque, Default, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GenerateOptions {
    /// The sampler; DPM-Solver++(2M) unless told.
    pub sampler: Sampler,
    /// Number of denoising steps, 50 unless told; 1 to as many as the bundle's noise schedule has timesteps. The time
    /// grows with it. With few steps colours gather around the average: with the default bundle, the colours of random
    /// people differ 0.70 times as much as those of its training data at 20 steps, 0.83 times at 50.
    pub steps: usize,
    /// Scale of classifier-free guidance: 1 is none, above it the identity counts for more, at the cost of variety.
    /// Default: `None`, the scale with which the bundle was evaluated. It has no effect on random people.
    pub guidance_scale: Option<f32>,
    /// Scale of the noise, 0 or more: below 1 faces gather around what is known of the identity. Default: `None`, the
    /// temperature with which the bundle was evaluated for a known identity, and 1 for random people.
    pub temperature: Option<Temperature>,
    /// How much work makes the avatar look like the person in the photo; without effect where there is no photo.
    pub guidance: Guidance,
    /// Number of steps from one preview to the next; 0, the default, for none. Each preview costs one run of the
    /// reflectance decoder.
    pub preview_every: usize,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self {
            sampler: Sampler::default(),
            steps: DEFAULT_STEPS,
            guidance_scale: None,
            temperature: None,
            guidance: Guidance::default(),
            preview_every: 0,
        }
    }
}

impl GenerateOptions {
    /// The options in numbers. Those of given latents, which are not sampled, are the defaults.
    pub(super) fn resolve(&self, source: &Source, generator: &Generator) -> SampleOptions {
        let usual = match source {
            Source::Latents(_) => return SampleOptions::default(),
            Source::Random => Temperature::default(),
            Source::Photos(_) | Source::Identity(_) => generator.temperature,
        };
        SampleOptions {
            sampler: self.sampler,
            steps: self.steps,
            guidance_scale: self.guidance_scale.unwrap_or(generator.guidance_scale),
            temperature: self.temperature.unwrap_or(usual),
        }
    }
}

impl From<SampleOptions> for GenerateOptions {
    /// The same, and the defaults for all else.
    fn from(options: SampleOptions) -> Self {
        let SampleOptions { sampler, steps, guidance_scale, temperature } = options;
        let (guidance_scale, temperature) = (Some(guidance_scale), Some(temperature));
        Self { sampler, steps, guidance_scale, temperature, ..Self::default() }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    /// A generator of small latents: [2, 1, 2] and 3 coefficients, embeddings of 4 numbers.
    pub fn generator() -> Generator {
        let map = |output: &str, channels: usize, space: &str, range: [f32; 2]| json!({"output": output, "size": 2, "channels": channels, "colour_space": space, "range": range});
        serde_json::from_value(json!({
            "version": "0.1.0", "licence": "CC0-1.0", "embedding_size": 4, "guidance_scale": 1.5,
            "temperature": {"reflectance": 0.75, "shape": 0.25},
            "reflectance_latent": {"shape": [2, 1, 2], "scale": 1.0},
            "shape_latent": {"coefficients": 3, "scale": 1.0},
            "schedule": {
                "type": "linear", "train_timesteps": 3, "prediction_type": "v", "alphas_cumprod": [0.9, 0.5, 0.1]
            },
            "networks": {
                "unet": "unet", "reflectance_decoder": "decoder", "reflectance_decoder_vjp": "decoder_vjp",
                "shape_decoder": "shape", "shape_decoder_vjp": "shape_vjp", "recogniser_features": "features",
                "recogniser_loss": "loss"
            },
            "perceptual_layers": [], "losses": [],
            "prefixes": {"seed": "seed_", "gradient": "grad_", "target": "target_"},
            "maps": {
                "diffuse": map("diffuse", 3, "srgb", [0.0, 1.0]),
                "specular": map("specular", 1, "linear", [0.0, 0.0625]),
                "normals": map("normals", 3, "linear", [-1.0, 1.0])
            }
        }))
        .unwrap()
    }

    #[test]
    fn what_is_left_open_comes_from_the_bundle_for_a_known_identity() {
        let (generator, identity) = (generator(), Source::Identity(Identity::new(vec![0.0; 4])));
        let options = GenerateOptions { steps: 2, ..Default::default() };
        let resolved = options.resolve(&identity, &generator);
        assert_eq!((resolved.steps, resolved.guidance_scale), (2, 1.5));
        assert_eq!(resolved.temperature, generator.temperature);
        assert_eq!(options.resolve(&Source::Random, &generator).temperature, Temperature::default());

        let temperature = Temperature { reflectance: 0.5, shape: 0.5 };
        let options = GenerateOptions { guidance_scale: Some(3.0), temperature: Some(temperature), ..options };
        let resolved = options.resolve(&identity, &generator);
        assert_eq!((resolved.guidance_scale, resolved.temperature), (3.0, temperature));
        assert_eq!(GenerateOptions::from(resolved), options);
    }

    #[test]
    fn options_are_read_from_json_and_unknown_ones_refused() {
        let options: GenerateOptions =
            serde_json::from_str(r#"{"steps": 5, "sampler": {"ddim": {"eta": 0.0}}}"#).unwrap();
        assert_eq!(options, GenerateOptions { steps: 5, sampler: Sampler::Ddim { eta: 0.0 }, ..Default::default() });
        assert!(serde_json::from_str::<GenerateOptions>(r#"{"step": 5}"#).is_err());
    }

    #[test]
    fn debug_output_shows_neither_photo_nor_embedding() {
        let photos = Source::Photos(vec![RgbImage::new(40, 30).into()]);
        assert_eq!(format!("{photos:?}"), "Photos([SourcePhoto { size: (40, 30), face: MostProminent }])");
        let identity = Source::Identity(Identity::new(vec![0.123; 4]));
        assert!(!format!("{identity:?}").contains("0.123"));
    }
}
