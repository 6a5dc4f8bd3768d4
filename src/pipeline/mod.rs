//! From photos, or from nothing, to an avatar's maps and vertices, in one call.
//!
//! A [`Pipeline`] holds the networks of a bundle. [`Pipeline::generate`] takes identities from photos, samples latents
//! and decodes them; on its way it reports its [`Progress`] and can be cancelled. It knows nothing of Bevy's world, runs
//! on the thread that calls it, and may be moved to any.
//!
//! ```no_run
//! use bevy_fitdiff::{
//!     bundle::Bundle,
//!     face::{self, PhotoLimits},
//!     pipeline::{GenerateRequest, Pipeline, Source},
//!     runtime::{CancelToken, Runtime, RuntimeOptions},
//! };
//!
//! let runtime = Runtime::new(RuntimeOptions::default())?;
//! let mut pipeline = Pipeline::load(&Bundle::open("models/base")?, &runtime)?;
//! let photo = face::open_photo("me.jpg", &PhotoLimits::default())?;
//! let request = GenerateRequest { source: Source::Photos(vec![photo.into()]), ..Default::default() };
//! let avatar = pipeline.generate(&request, &CancelToken::default(), &mut |progress| {
//!     println!("{:?}: {:.0} %", progress.stage, 100.0 * progress.fraction);
//! })?;
//! let (diffuse, _specular, _normals) = avatar.maps.to_images();
//! diffuse.save("me_diffuse.png")?;
//! std::fs::write("me.json", serde_json::to_string(&avatar.recipe)?)?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

mod check;
mod checkerboard;
mod data;
mod edits;
mod error;
mod fuse;
mod guided;
mod iris;
mod maps;
mod photo_reader;
mod portrait;
mod progress;
mod random_iris;
mod recipe;
mod request;
mod traits;

use std::{borrow::Cow, fmt, sync::Arc};

pub use data::AvatarData;
pub(crate) use data::DecodedAvatar;
pub use edits::ShapeEdits;
pub use error::PipelineError;
pub use guided::Guidance;
pub use maps::AvatarMaps;
pub use progress::{Progress, Stage};
pub use recipe::{AvatarRecipe, BundleId, RECIPE_VERSION, RecipeSource};
pub use request::{GenerateOptions, GenerateRequest, Source, SourcePhoto};
pub use traits::{ShapeTrait, ShapeTraits};

use crate::{
    bundle::{Bundle, Generator, Maps, TemplateHead},
    diffusion::{
        Decoder, DiffusionError, LatentLayout, Latents, SampleOptions, SampleRequest, SampleStep, Schedule,
        UnetDenoiser, sample,
    },
    face::Identity,
    fitting::Fitter,
    runtime::{CancelToken, Runtime},
};
use check::{check_identity, check_latents};
use guided::GuidedSampling;
use photo_reader::PhotoReader;
use progress::Tracker;

/// The networks of a bundle, ready to generate.
pub struct Pipeline {
    photo_reader: PhotoReader,
    unet: UnetDenoiser,
    schedule: Schedule,
    decoder: Decoder,
    generator: Generator,
    head: Arc<TemplateHead>,
    bundle_id: BundleId,
    bundle: Bundle,
    runtime: Runtime,
    /// Loaded with the first photo that guides.
    fitter: Option<Fitter>,
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").field("bundle_id", &self.bundle_id).finish_non_exhaustive()
    }
}

impl Pipeline {
    /// Loads all networks that generating needs, and the template head.
    ///
    /// # Errors
    /// [`PipelineError::NoGenerator`] when the bundle generates nothing; [`PipelineError::Bundle`] and
    /// [`PipelineError::Runtime`] when it, or one of its networks, cannot be used.
    pub fn load(bundle: &Bundle, runtime: &Runtime) -> Result<Self, PipelineError> {
        let manifest = bundle.manifest();
        let (Some(generator), Some(template)) = (&manifest.generator, &manifest.template) else {
            return Err(PipelineError::NoGenerator { path: bundle.root().to_path_buf() });
        };
        let unet = bundle.load(runtime, &generator.networks.unet)?;
        Ok(Self {
            photo_reader: PhotoReader::load(bundle, runtime, generator)?,
            unet: UnetDenoiser::new(unet, generator.into(), generator.embedding_size)?,
            schedule: Schedule::new(&generator.schedule),
            decoder: Decoder::load(bundle, runtime, generator, template)?,
            generator: generator.clone(),
            head: Arc::new(bundle.load_head()?),
            bundle_id: BundleId::new(manifest),
            bundle: bundle.clone(),
            runtime: runtime.clone(),
            fitter: None,
        })
    }

    /// The template head of the bundle.
    pub fn head(&self) -> &Arc<TemplateHead> {
        &self.head
    }

    /// Which bundle this is.
    pub fn bundle_id(&self) -> &BundleId {
        &self.bundle_id
    }

    /// Generates an avatar.
    ///
    /// `observe` is called at the beginning and the end of each [`Stage`] and after each photo and denoising step.
    ///
    /// # Errors
    /// [`PipelineError::Cancelled`] within one network call after `cancel` is called; the pipeline stays usable.
    /// [`PipelineError::NoPhotos`], [`PipelineError::Photo`] and [`PipelineError::DifferentPeople`] when no identity
    /// can be taken from the photos; [`PipelineError::Shape`] and [`PipelineError::NotFinite`] for an identity or
    /// latents that are not of this bundle; [`PipelineError::Diffusion`] for impossible options;
    /// [`PipelineError::Runtime`] when a network fails.
    pub fn generate(
        &mut self,
        request: &GenerateRequest,
        cancel: &CancelToken,
        observe: &mut dyn FnMut(Progress),
    ) -> Result<AvatarData, PipelineError> {
        self.run(request, RECIPE_VERSION, cancel, observe)
    }

    /// Generates an avatar as recipes of a version have it.
    fn run(
        &mut self,
        request: &GenerateRequest,
        version: u32,
        cancel: &CancelToken,
        observe: &mut dyn FnMut(Progress),
    ) -> Result<AvatarData, PipelineError> {
        let GenerateRequest { source, seed, options } = request;
        self.check(request)?;
        let mut tracker = match source {
            Source::Photos(photos) => Tracker::new(photos.len(), options.guidance.work(options.steps), observe),
            Source::Random | Source::Identity(_) => Tracker::new(0, options.steps, observe),
            Source::Latents(_) => Tracker::new(0, 0, observe),
        };
        let guided = options.guidance != Guidance::Off;
        let seen = match source {
            Source::Photos(photos) => Some(self.photo_reader.read(photos, guided, cancel, &mut tracker)?),
            _ => None,
        };
        let identity = match source {
            Source::Identity(identity) => Some(identity),
            _ => seen.as_ref().map(|seen| &seen.identity),
        };
        let resolved = options.resolve(source, &self.generator);
        let (latents, fit) = match source {
            Source::Latents(latents) => (Cow::Borrowed(latents), None),
            _ => {
                let embedding = identity.map(Identity::values);
                let request = SampleRequest { seed: *seed, embedding, options: resolved };
                let (latents, fit) = match seen.as_ref().filter(|_| guided) {
                    Some(seen) => {
                        tracker.steps(0, None);
                        let how = (options.guidance, options.preview_every);
                        self.guided(cancel)?.run(&request, how, seen, cancel, &mut tracker)?
                    }
                    None => (self.sample(&request, options.preview_every, cancel, &mut tracker)?, None),
                };
                (Cow::Owned(latents), fit)
            }
        };
        let latents =
            if recipe::keeps_half_precision(version) { latents.to_half_precision() } else { latents.into_owned() };
        if !latents.is_finite() {
            return Err(PipelineError::NotFinite { what: "latents in half precision" });
        }
        tracker.decoding();
        let mut decoded = self.decoder.maps(&latents, cancel)?;
        if recipe::removes_checkerboard(version) {
            checkerboard::remove(&mut decoded.diffuse, decoded.size);
        }
        let maps = Arc::new(AvatarMaps::encode(&self.generator.maps, &decoded));
        let vertices = self.decoder.vertices(&latents, cancel)?;
        let mut recipe = match &fit {
            // The photo is not kept, so that what it led to is.
            Some(_) => self.recipe(version, *seed, SampleOptions::default(), RecipeSource::latents(&latents)),
            None => {
                let kept = match source {
                    Source::Latents(_) => RecipeSource::latents(&latents),
                    _ => RecipeSource::of(identity),
                };
                self.recipe(version, *seed, resolved, kept)
            }
        };
        recipe.iris = match &seen {
            Some(seen) => seen.iris.map(|iris| iris.to_array()),
            None => self.drawn_iris(&recipe, &maps),
        };
        let identity = identity.cloned();
        let (face, warnings) = seen.map_or_else(Default::default, |seen| (Some(seen.best.face), seen.warnings));
        tracker.finished();
        let (head, shape_scale) = (self.head.clone(), self.generator.shape_latent.scale);
        Ok(AvatarData { head, vertices, maps, latents, shape_scale, identity, warnings, face, fit, recipe })
    }

    /// Generates the avatar of a recipe again: the same one, bit for bit, if bundle and backend are the same.
    ///
    /// # Errors
    /// [`PipelineError::RecipeVersion`] for a recipe of a newer version, [`PipelineError::OtherBundle`] for one of
    /// another bundle, and those of [`generate`](Self::generate).
    pub fn regenerate(
        &mut self,
        recipe: &AvatarRecipe,
        cancel: &CancelToken,
        observe: &mut dyn FnMut(Progress),
    ) -> Result<AvatarData, PipelineError> {
        let request = recipe.to_request(&self.bundle_id, (&self.generator).into())?;
        let mut data = self.run(&request, recipe.version, cancel, observe)?;
        data.recipe.iris = recipe.iris.or(data.recipe.iris);
        Ok(data)
    }

    /// The recipe that an avatar of a request will have, where it can be told beforehand: not where there are photos. Irises
    /// are told by the maps.
    pub(crate) fn foretold(&self, request: &GenerateRequest) -> Option<AvatarRecipe> {
        let GenerateRequest { source, seed, options } = request;
        let kept = match source {
            Source::Random => RecipeSource::of(None),
            Source::Identity(identity) => RecipeSource::of(Some(identity)),
            Source::Latents(_) | Source::Photos(_) => return None,
        };
        self.check(request).ok()?;
        Some(self.recipe(RECIPE_VERSION, *seed, options.resolve(source, &self.generator), kept))
    }

    /// Checks all that can be told of a recipe before it is used.
    pub(crate) fn check_recipe(&self, recipe: &AvatarRecipe) -> Result<(), PipelineError> {
        self.check(&recipe.to_request(&self.bundle_id, (&self.generator).into())?)
    }

    /// Puts an avatar of a recipe together that was decoded before.
    pub(crate) fn assemble(&self, recipe: &AvatarRecipe, decoded: DecodedAvatar) -> AvatarData {
        let DecodedAvatar { vertices, maps, latents } = decoded;
        let iris = recipe.iris.or_else(|| self.drawn_iris(recipe, &maps));
        AvatarData {
            head: self.head.clone(),
            vertices,
            maps: Arc::new(maps),
            latents,
            shape_scale: self.generator.shape_latent.scale,
            identity: recipe.source.identity(),
            warnings: Vec::new(),
            face: None,
            fit: None,
            recipe: AvatarRecipe { iris, ..recipe.clone() },
        }
    }

    /// The lengths of latents.
    pub(crate) fn layout(&self) -> LatentLayout {
        (&self.generator).into()
    }

    /// Descriptions of the maps.
    pub(crate) fn maps(&self) -> &Maps {
        &self.generator.maps
    }

    /// Which engine runs the networks that decide what an avatar is, and on what: another one differs in the last bits.
    pub(crate) fn engine(&self) -> String {
        let networks = &self.generator.networks;
        let deciding = [&networks.unet, &networks.reflectance_decoder, &networks.shape_decoder];
        let report = self.runtime.report();
        let backend = report.backend.map(|backend| format!("{} {}", backend.name, backend.version)).unwrap_or_default();
        let places = deciding.map(|name| {
            let model = report.models.iter().find(|model| model.name == *name);
            model.map(|model| model.provider.to_string()).unwrap_or_default()
        });
        format!("{backend} on {} by {}", std::env::consts::ARCH, places.join(", "))
    }

    /// Linear reflectance of the irises of a person that does not exist.
    fn drawn_iris(&self, recipe: &AvatarRecipe, maps: &AvatarMaps) -> Option<[f32; 3]> {
        let draws = recipe::draws_irises(recipe.version) && recipe.source == RecipeSource::Random;
        draws.then(|| random_iris::draw(recipe.seed, maps.skin_albedo(&self.head.masks)).to_array())
    }

    fn recipe(&self, version: u32, seed: u64, options: SampleOptions, source: RecipeSource) -> AvatarRecipe {
        AvatarRecipe { version, bundle: self.bundle_id.clone(), seed, options, source, iris: None }
    }

    /// Checks all that can be told before the first network runs.
    fn check(&self, request: &GenerateRequest) -> Result<(), PipelineError> {
        match &request.source {
            Source::Photos(photos) if photos.is_empty() => return Err(PipelineError::NoPhotos),
            Source::Random | Source::Photos(_) => {}
            Source::Identity(identity) => check_identity(identity, self.generator.embedding_size)?,
            Source::Latents(latents) => return check_latents(latents, (&self.generator).into()),
        }
        self.schedule.timesteps(request.options.steps)?;
        Ok(())
    }

    /// What guided sampling works with; its networks are loaded the first time.
    fn guided(&mut self, cancel: &CancelToken) -> Result<GuidedSampling<'_>, PipelineError> {
        if cancel.is_cancelled() {
            return Err(PipelineError::Cancelled);
        }
        let fitter = match &mut self.fitter {
            Some(fitter) => fitter,
            none => none.insert(Fitter::load(&self.bundle, &self.runtime, &self.generator, self.head.clone())?),
        };
        let (unet, schedule, decoder) = (&mut self.unet, &self.schedule, &mut self.decoder);
        Ok(GuidedSampling { unet, schedule, decoder, maps: &self.generator.maps, fitter })
    }

    fn sample(
        &mut self,
        request: &SampleRequest,
        preview_every: usize,
        cancel: &CancelToken,
        tracker: &mut Tracker,
    ) -> Result<Latents, PipelineError> {
        tracker.steps(0, None);
        let (decoder, maps) = (&mut self.decoder, &self.generator.maps);
        let latents = sample(&mut self.unet, &self.schedule, request, cancel, &mut |step, clean| {
            let preview = preview(decoder, maps, clean, step, preview_every, cancel)?;
            tracker.steps(step.index + 1, preview);
            Ok(())
        })?;
        Ok(latents)
    }
}

/// The maps of unfinished latents, at every so many steps; none where these cannot be shown.
fn preview(
    decoder: &mut Decoder,
    maps: &Maps,
    latents: &Latents,
    step: SampleStep,
    every: usize,
    cancel: &CancelToken,
) -> Result<Option<Arc<AvatarMaps>>, DiffusionError> {
    // The last preview would be the result, which is decoded anyway.
    let done = step.index + 1;
    if every == 0 || !done.is_multiple_of(every) || done == step.total {
        return Ok(None);
    }
    match decoder.maps(latents, cancel) {
        Ok(decoded) => Ok(Some(Arc::new(AvatarMaps::encode(maps, &decoded)))),
        Err(DiffusionError::Output { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipeline_and_what_it_makes_can_go_to_another_thread() {
        fn is_send<T: Send>() {}
        is_send::<Pipeline>();
        is_send::<AvatarData>();
        is_send::<GenerateRequest>();
        is_send::<Progress>();
        is_send::<PipelineError>();
    }
}
