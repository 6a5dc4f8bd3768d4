//! The sampling loop.

use serde::{Deserialize, Serialize};

use super::{
    Denoiser, DiffusionError, Latents, NoiseLevel, NoiseSource, Sampler, Schedule, guidance, sampler::Transition,
};
use crate::{
    bundle::Temperature,
    runtime::{CancelToken, RuntimeError},
};

/// How to sample.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SampleOptions {
    /// The sampler; DPM-Solver++(2M) unless told.
    pub sampler: Sampler,
    /// Number of steps, 20 unless told. Each is one call of the denoiser; more steps follow the model more exactly.
    pub steps: usize,
    /// Scale of classifier-free guidance; 1, the default, is none. Above, the embedding counts for more than the model
    /// learned, at the cost of variety; 0 is unconditional. It has no effect without an embedding.
    pub guidance_scale: f32,
    /// Scale of all noise that is drawn.
    pub temperature: Temperature,
}

impl Default for SampleOptions {
    fn default() -> Self {
        Self { sampler: Sampler::default(), steps: 20, guidance_scale: 1.0, temperature: Temperature::default() }
    }
}

/// What to sample. The same request gives the same latents, bit for bit, if the denoiser gives the same predictions.
#[derive(Clone, Copy, Debug)]
pub struct SampleRequest<'a> {
    /// Decides the noise.
    pub seed: u64,
    /// The identity embedding to condition on, as the recogniser gives it; `None` samples a random person.
    pub embedding: Option<&'a [f32]>,
    /// How to sample.
    pub options: SampleOptions,
}

/// Where a run is. `(index + 1) / total` is the part that is done when the hook returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleStep {
    /// Number of the step, from 0.
    pub index: usize,
    /// Number of all steps.
    pub total: usize,
    /// The training timestep of the latents that were denoised; it falls from step to step.
    pub timestep: usize,
}

/// Samples clean latents, still multiplied with the scales of the bundle's latents.
///
/// At each step `hook` is given the predicted clean latents, to show or to change. A change moves the noised latents
/// along, so that the noise predicted in them stays the same; with DDIM this is manifold-preserving guidance (He et
/// al., arXiv 2311.16424, algorithm 1). After the last step the clean latents are the result as the hook leaves them.
///
/// # Errors
/// [`DiffusionError::Steps`] and [`DiffusionError::Option`] for impossible options, [`DiffusionError::NotFinite`] when
/// the clean latents are not finite, [`DiffusionError::Runtime`] with the denoiser's or the hook's error, and with
/// [`RuntimeError::Cancelled`] when `cancel` is called, within one call of the denoiser or of the hook.
pub fn sample(
    denoiser: &mut dyn Denoiser,
    schedule: &Schedule,
    request: &SampleRequest,
    cancel: &CancelToken,
    hook: &mut dyn FnMut(SampleStep, &mut Latents) -> Result<(), DiffusionError>,
) -> Result<Latents, DiffusionError> {
    let options = request.options;
    check(&options)?;
    let timesteps = schedule.timesteps(options.steps)?;
    let (layout, source) = (denoiser.layout(), NoiseSource::new(request.seed));
    let draw = |step: usize| scaled(source.latents(layout, step as u64), options.temperature);
    let mut solver = options.sampler.start();
    let mut noised = draw(0);
    for (index, &timestep) in timesteps.iter().enumerate() {
        check_cancelled(cancel)?;
        let prediction =
            guidance::predict(denoiser, &noised, timestep, request.embedding, options.guidance_scale, cancel)?;
        let predicted = schedule.clean(&noised, &prediction, timestep);
        check_finite(&predicted, timestep)?;
        let mut clean = predicted.clone();
        hook(SampleStep { index, total: timesteps.len(), timestep }, &mut clean)?;
        check_cancelled(cancel)?;
        check_finite(&clean, timestep)?;

        let from = schedule.level(timestep);
        let to = timesteps.get(index + 1).map_or(NoiseLevel::CLEAN, |&next| schedule.level(next));
        let change = Latents::combine(1.0, &clean, -1.0, &predicted);
        noised = Latents::combine(1.0, &noised, from.signal(), &change);
        noised = solver.step(Transition { from, to }, &noised, &clean, &|| draw(index + 1));
    }
    Ok(noised)
}

fn scaled(mut noise: Latents, temperature: Temperature) -> Latents {
    noise.reflectance_mut().iter_mut().for_each(|value| *value *= temperature.reflectance);
    noise.shape_mut().iter_mut().for_each(|value| *value *= temperature.shape);
    noise
}

fn check(options: &SampleOptions) -> Result<(), DiffusionError> {
    options.sampler.check()?;
    let SampleOptions { guidance_scale, temperature, .. } = *options;
    if !guidance_scale.is_finite() {
        let (option, expected) = ("guidance_scale", "a finite number");
        return Err(DiffusionError::Option { option, expected, found: guidance_scale });
    }
    for (option, found) in
        [("temperature.reflectance", temperature.reflectance), ("temperature.shape", temperature.shape)]
    {
        if !(found.is_finite() && found >= 0.0) {
            return Err(DiffusionError::Option { option, expected: "a number of 0 or more", found });
        }
    }
    Ok(())
}

fn check_cancelled(cancel: &CancelToken) -> Result<(), DiffusionError> {
    if cancel.is_cancelled() { Err(RuntimeError::Cancelled.into()) } else { Ok(()) }
}

fn check_finite(latents: &Latents, timestep: usize) -> Result<(), DiffusionError> {
    if latents.is_finite() { Ok(()) } else { Err(DiffusionError::NotFinite { timestep }) }
}
