//! What an avatar is kept as: no photo and no maps, but all that regenerates it.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{GenerateRequest, PipelineError, Source};
use crate::{
    bundle::{Generator, Manifest},
    diffusion::{LatentLayout, Latents, SampleOptions},
    face::Identity,
};

/// The version of recipes that this version of the crate writes. It reads this one and all before:
///
/// | version | what it is |
/// |---|---|
/// | 1 | latents are decoded in single precision |
/// | 2 | latents are rounded to half precision before they are decoded |
/// | 3 | it may hold the colour of the irises |
/// | 4 | irises of random people have a colour of their own, where none is given |
/// | 5 | what the decoder repeats from cell to cell of the diffuse map is taken out of it |
pub const RECIPE_VERSION: u32 = 5;

/// Whether avatars of recipes of a version are decoded from latents in half precision.
pub(super) fn keeps_half_precision(version: u32) -> bool {
    version >= 2
}

/// Whether irises of random people are drawn in recipes of a version; else they are brown.
pub(super) fn draws_irises(version: u32) -> bool {
    version >= 4
}

/// Whether the checkerboard is taken out of the diffuse map in recipes of a version.
pub(super) fn removes_checkerboard(version: u32) -> bool {
    version >= 5
}

/// Digits of a digest that messages show.
const SHOWN_DIGITS: usize = 8;

/// Tells model bundles apart: two with the same identifier generate the same avatars.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleId {
    /// Name of the bundle.
    pub id: String,
    /// Its version, semantic.
    pub version: String,
    /// SHA-256, in hexadecimal, over the hashes of all networks and of the template head, and over the numbers by which
    /// the manifest decides what is generated: noise schedule, scales and ranges.
    pub digest: String,
}

impl BundleId {
    /// The identifier of the bundle with this manifest.
    pub fn new(manifest: &Manifest) -> Self {
        let mut hash = Sha256::new();
        for (name, network) in &manifest.networks {
            hash.update(format!("{name}\0{}\0", network.file.sha256));
        }
        if let Some(template) = &manifest.template {
            hash.update(format!("{}\0", template.file.sha256));
        }
        if let Some(Generator { schedule, reflectance_latent, shape_latent, maps, .. }) = &manifest.generator {
            hash.update([schedule.prediction_type as u8]);
            schedule.alphas_cumprod.iter().for_each(|alpha| hash.update(alpha.to_le_bytes()));
            let ranges = [&maps.diffuse, &maps.specular, &maps.normals].into_iter().flat_map(|map| map.range);
            let numbers = ranges.chain([reflectance_latent.scale, shape_latent.scale]);
            numbers.for_each(|number| hash.update(number.to_le_bytes()));
        }
        let digest = format!("{:x}", hash.finalize());
        Self { id: manifest.id.clone(), version: manifest.version.clone(), digest }
    }
}

impl fmt::Display for BundleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({:.SHOWN_DIGITS$}…)", self.id, self.version, self.digest)
    }
}

/// Regenerates an avatar, bit for bit on the same bundle and backend, by
/// [`Pipeline::regenerate`](super::Pipeline::regenerate).
///
/// It holds the embedding of an avatar that was made from a photo, which is personal data; never the photo. Text
/// formats must keep every digit of the numbers, as serde_json does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AvatarRecipe {
    /// [`RECIPE_VERSION`], or a version before.
    pub version: u32,
    /// The bundle that it is for.
    pub bundle: BundleId,
    /// Decides the noise.
    pub seed: u64,
    /// How the latents were sampled. Without effect, and the defaults, where they are given.
    pub options: SampleOptions,
    /// Who it is.
    pub source: RecipeSource,
    /// Linear reflectance of the irises, RGB of 0 to 1: as a photo shows them, or as they were drawn for a person that does
    /// not exist; `None` where nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iris: Option<[f32; 3]>,
}

/// Who the avatar of a recipe is.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RecipeSource {
    /// A person that does not exist.
    Random,
    /// The person of this embedding; of several photos, it is the fused one.
    Identity(Vec<f32>),
    /// Clean latents, multiplied with the bundle's scales.
    Latents {
        /// Reflectance latents `[C, h, w]`, row-major.
        reflectance: Vec<f32>,
        /// Shape coefficients `[K]`.
        shape: Vec<f32>,
    },
}

/// Shows neither the embedding nor the latents.
impl fmt::Debug for RecipeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Random => f.write_str("Random"),
            Self::Identity(values) => write!(f, "Identity({}-D)", values.len()),
            Self::Latents { reflectance, shape } => write!(f, "Latents({}-D, {}-D)", reflectance.len(), shape.len()),
        }
    }
}

impl RecipeSource {
    /// What a person is kept as who is generated: one of an identity, or a random one.
    pub(super) fn of(identity: Option<&Identity>) -> Self {
        identity.map_or(Self::Random, |identity| Self::Identity(identity.values().to_vec()))
    }

    /// Who it is, if that is known.
    pub(super) fn identity(&self) -> Option<Identity> {
        match self {
            Self::Identity(values) => Some(Identity::new(values.clone())),
            Self::Random | Self::Latents { .. } => None,
        }
    }

    /// The source that clean latents are kept as.
    pub(super) fn latents(latents: &Latents) -> Self {
        Self::Latents { reflectance: latents.reflectance().to_vec(), shape: latents.shape().to_vec() }
    }

    fn to_source(&self, layout: LatentLayout) -> Result<Source, PipelineError> {
        Ok(match self {
            Self::Random => Source::Random,
            Self::Identity(values) => Source::Identity(Identity::new(values.clone())),
            Self::Latents { reflectance, shape } => {
                check_length("reflectance latents", layout.reflectance.iter().product(), reflectance)?;
                check_length("shape latents", layout.shape, shape)?;
                Source::Latents(Latents::new(layout, reflectance.clone(), shape.clone())?)
            }
        })
    }
}

fn check_length(what: &'static str, expected: usize, found: &[f32]) -> Result<(), PipelineError> {
    if found.len() == expected {
        return Ok(());
    }
    Err(PipelineError::Shape { what, expected: format!("[{expected}]"), found: format!("[{}]", found.len()) })
}

impl AvatarRecipe {
    /// The recipe of an avatar of given latents, of the same bundle and version.
    pub(super) fn with_latents(&self, latents: &Latents) -> Self {
        let source = if keeps_half_precision(self.version) {
            RecipeSource::latents(&latents.to_half_precision())
        } else {
            RecipeSource::latents(latents)
        };
        Self { options: SampleOptions::default(), source, ..self.clone() }
    }

    /// The request that regenerates the avatar.
    ///
    /// # Errors
    /// [`PipelineError::RecipeVersion`], [`PipelineError::OtherBundle`] or [`PipelineError::Shape`] when the recipe is
    /// not for this bundle; [`PipelineError::NotFinite`] for a colour that is none.
    pub(super) fn to_request(&self, bundle: &BundleId, layout: LatentLayout) -> Result<GenerateRequest, PipelineError> {
        if !(1..=RECIPE_VERSION).contains(&self.version) {
            return Err(PipelineError::RecipeVersion { expected: RECIPE_VERSION, found: self.version });
        }
        if self.bundle != *bundle {
            let (expected, found) = (Box::new(bundle.clone()), Box::new(self.bundle.clone()));
            return Err(PipelineError::OtherBundle { expected, found });
        }
        if !self.iris.is_none_or(|iris| iris.iter().all(|value| value.is_finite())) {
            return Err(PipelineError::NotFinite { what: "colours of the irises" });
        }
        let source = self.source.to_source(layout)?;
        Ok(GenerateRequest { source, seed: self.seed, options: self.options.into() })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{bundle::Bundle, diffusion::NoiseSource};

    const LAYOUT: LatentLayout = LatentLayout { reflectance: [2, 1, 2], shape: 3 };

    fn bundle_id() -> BundleId {
        BundleId { id: "base".into(), version: "1.0.0".into(), digest: "0123456789".into() }
    }

    fn recipe(source: RecipeSource) -> AvatarRecipe {
        let options = SampleOptions { guidance_scale: 1.1, ..Default::default() };
        AvatarRecipe { version: RECIPE_VERSION, bundle: bundle_id(), seed: u64::MAX, options, source, iris: None }
    }

    fn read(recipe: &Value) -> Result<AvatarRecipe, serde_json::Error> {
        serde_json::from_str(&recipe.to_string())
    }

    #[test]
    fn every_recipe_survives_json_to_the_last_bit() {
        let noise = NoiseSource::new(1).latents(LatentLayout { reflectance: [100, 10, 10], shape: 3 }, 0);
        let numbers = noise.reflectance().to_vec();
        let latents = RecipeSource::Latents { reflectance: numbers.clone(), shape: vec![f32::MIN_POSITIVE, -0.0] };
        for source in [RecipeSource::Random, RecipeSource::Identity(numbers), latents] {
            let recipe = AvatarRecipe { iris: Some([0.1, 1.0 / 3.0, f32::MIN_POSITIVE]), ..recipe(source) };
            let text = serde_json::to_string(&recipe).unwrap();
            assert_eq!(serde_json::from_str::<AvatarRecipe>(&text).unwrap(), recipe);
        }
    }

    #[test]
    fn unknown_fields_and_numbers_that_are_none_are_refused() {
        let whole = serde_json::to_value(recipe(RecipeSource::Identity(vec![0.5; 4]))).unwrap();
        assert!(read(&whole).is_ok());
        type Edit = fn(&mut Value);
        let edits: [Edit; 5] = [
            |recipe| recipe["photo"] = json!("me.jpg"),
            |recipe| recipe["bundle"]["path"] = json!("models/base"),
            |recipe| recipe["source"] = json!({"latents": {"reflectance": [], "shape": [], "scale": 1.0}}),
            |recipe| recipe["source"]["identity"][0] = Value::Null,
            |recipe| drop(recipe.as_object_mut().unwrap().remove("seed")),
        ];
        for (index, edit) in edits.into_iter().enumerate() {
            let mut changed = whole.clone();
            edit(&mut changed);
            assert!(read(&changed).is_err(), "edit {index}: {changed}");
        }
    }

    #[test]
    fn a_recipe_becomes_the_request_it_came_from() {
        let recipe = recipe(RecipeSource::Identity(vec![0.5; 4]));
        let request = recipe.to_request(&bundle_id(), LAYOUT).unwrap();
        let Source::Identity(identity) = &request.source else { panic!("{:?}", request.source) };
        assert_eq!(identity.values(), [0.5; 4]);
        assert_eq!((request.seed, request.options.guidance_scale), (u64::MAX, Some(1.1)));
    }

    #[test]
    fn recipes_of_other_versions_bundles_and_lengths_are_refused() {
        let random = recipe(RecipeSource::Random);
        let newer = AvatarRecipe { version: RECIPE_VERSION + 1, ..random.clone() };
        let error = newer.to_request(&bundle_id(), LAYOUT).unwrap_err();
        assert!(matches!(error, PipelineError::RecipeVersion { expected: RECIPE_VERSION, found: 6 }), "{error}");
        let older = AvatarRecipe { version: 1, ..random.clone() };
        assert!(older.to_request(&bundle_id(), LAYOUT).is_ok());

        let other = BundleId { digest: "9876543210".into(), ..bundle_id() };
        let error = random.to_request(&other, LAYOUT).unwrap_err();
        assert!(matches!(error, PipelineError::OtherBundle { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("base 1.0.0 (01234567…)") && text.contains("base 1.0.0 (98765432…)"), "{text}");

        let blind = AvatarRecipe { iris: Some([0.1, f32::NAN, 0.0]), ..random };
        assert!(matches!(blind.to_request(&bundle_id(), LAYOUT), Err(PipelineError::NotFinite { .. })));

        for (reflectance, shape) in [(4, 2), (5, 3)] {
            let source = RecipeSource::Latents { reflectance: vec![0.0; reflectance], shape: vec![0.0; shape] };
            let error = recipe(source).to_request(&bundle_id(), LAYOUT).unwrap_err();
            assert!(matches!(error, PipelineError::Shape { .. }), "{error}");
        }
    }

    #[test]
    fn debug_output_hides_embedding_and_latents() {
        assert_eq!(format!("{:?}", RecipeSource::Identity(vec![0.123; 128])), "Identity(128-D)");
        let latents = RecipeSource::Latents { reflectance: vec![0.123; 8], shape: vec![0.456; 2] };
        assert!(format!("{:?}", recipe(latents)).contains("Latents(8-D, 2-D)"));
    }

    #[test]
    fn bundles_are_told_apart_by_their_files() {
        let bundle = Bundle::open(concat!(env!("CARGO_MANIFEST_DIR"), "/models/base")).unwrap();
        let mut manifest = bundle.manifest().clone();
        let id = BundleId::new(&manifest);
        assert_eq!((&id.id, id.digest.len()), (&manifest.id, 64));
        assert_eq!(BundleId::new(&manifest), id);
        manifest.networks.first_entry().unwrap().get_mut().file.sha256 = "0".repeat(64);
        assert_ne!(BundleId::new(&manifest).digest, id.digest);
    }
}
