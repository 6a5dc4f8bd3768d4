//! What a bundle offers for fitting.

use std::sync::Arc;

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::{FaceFit, FittingError, FittingHead, LossNetwork, PhotoTarget, Reading, Regressor, ShapePrior, target};
use crate::{
    bundle::{Bundle, Generator, Maps, TemplateHead},
    diffusion::{DecodedMaps, DecoderGradient, Latents},
    face::{Face, Landmarker},
    runtime::{CancelToken, Runtime},
};

/// Steps of the landmarks' fit.
const LANDMARK_ITERATIONS: usize = 20;

/// Everything that guidance needs besides the photo.
#[derive(Debug)]
pub struct Fitter {
    pub(super) head: FittingHead,
    pub(super) maps: Maps,
    pub(super) network: LossNetwork,
    pub(super) landmarker: Landmarker,
    regressor: Option<Regressor>,
    pub(super) gradient: DecoderGradient,
    /// What clean shape coefficients are multiplied with in latents.
    pub(super) shape_scale: f32,
    /// Renders. Its threads have the priority of the one that loads the fitter, where a thread hands its own on.
    pub(super) threads: Arc<ThreadPool>,
}

impl Fitter {
    /// Loads what guidance needs of a bundle.
    ///
    /// # Errors
    /// [`FittingError::Bundle`] when the bundle or one of its networks cannot be used; [`FittingError::Threads`] when no
    /// thread can be started.
    pub fn load(
        bundle: &Bundle,
        runtime: &Runtime,
        generator: &Generator,
        template: Arc<TemplateHead>,
    ) -> Result<Self, FittingError> {
        let threads = runtime.report().backend.map_or(1, |backend| backend.threads);
        let threads = ThreadPoolBuilder::new().num_threads(threads).thread_name(|_| "fitdiff-render".into()).build();
        let threads = threads.map_err(|error| FittingError::Threads { reason: error.to_string() })?;
        let regressor = Regressor::load(bundle, runtime, generator, &template)?;
        Ok(Self {
            head: threads.install(|| FittingHead::new(template, generator.maps.diffuse.size)),
            maps: generator.maps.clone(),
            network: LossNetwork::load(bundle, runtime, generator)?,
            landmarker: Landmarker::load(bundle, runtime)?,
            regressor,
            gradient: DecoderGradient::load(bundle, runtime, generator)?,
            shape_scale: generator.shape_latent.scale,
            threads: Arc::new(threads),
        })
    }

    /// Takes a face of a photo of `size` pixels as the target.
    ///
    /// # Errors
    /// [`FittingError::Runtime`] when a network fails or `cancel` is called.
    pub fn target(&mut self, face: &Face, size: (u32, u32), cancel: &CancelToken) -> Result<PhotoTarget, FittingError> {
        let Self { network, landmarker, regressor, .. } = self;
        PhotoTarget::new(face, size, (network, landmarker, regressor.as_mut()), cancel)
    }

    /// What the bundle's regressor reads in a face, where it has one. `None` for landmarks that are no face's as well.
    ///
    /// # Errors
    /// [`FittingError::Runtime`] when a network fails or `cancel` is called.
    pub fn read(&mut self, face: &Face, cancel: &CancelToken) -> Result<Option<Reading>, FittingError> {
        let Some(regressor) = &mut self.regressor else { return Ok(None) };
        let impression = self.network.look_at(&target::chip(face), cancel)?;
        Ok(regressor.read(&impression, face, cancel)?)
    }

    /// What the regressor reads of a face in a photo in the photo's mirror image, which shows it as `face`; where the bundle's
    /// heads and textures are symmetric.
    ///
    /// # Errors
    /// [`FittingError::Runtime`] when a network fails or `cancel` is called.
    pub fn read_mirrored(&mut self, face: &Face, cancel: &CancelToken) -> Result<Option<Reading>, FittingError> {
        let Some(regressor) = &mut self.regressor else { return Ok(None) };
        let impression = self.network.look_at(&target::chip(face), cancel)?;
        Ok(regressor.read_mirrored(&impression, face, cancel)?)
    }

    /// A target whose reading is held against the maps that the same bundle's decoder made of the model's prediction; see
    /// [`Reading::contradicting`].
    pub(crate) fn hold_against(&self, target: &PhotoTarget, prediction: &DecodedMaps) -> PhotoTarget {
        target.clone().with_prediction(prediction, &self.head.mask)
    }

    /// Camera, pose and expression from the landmarks, with the shape of these latents but for a small deviation, in
    /// standard deviations of the shape basis.
    ///
    /// # Errors
    /// [`FittingError::Landmarks`] when they are no face's.
    pub fn fit_landmarks(
        &self,
        target: &PhotoTarget,
        latents: &Latents,
        deviation: f32,
    ) -> Result<FaceFit, FittingError> {
        let mean: Vec<f32> = latents.shape().iter().map(|value| value / self.shape_scale).collect();
        let prior = ShapePrior { mean: &mean, deviation };
        self.head.landmarks.fit(&target.landmarks, target.size, prior, None, LANDMARK_ITERATIONS)
    }
}
