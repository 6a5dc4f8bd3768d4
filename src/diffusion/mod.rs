//! From noise to latents: the noise schedule, the samplers, and classifier-free guidance.
//!
//! [`sample`] walks a [`Schedule`] from noise to clean [`Latents`]. At each step a [`Denoiser`] (the bundle's
//! [`UnetDenoiser`]) predicts the clean latents, a hook may look at them and change them, and a [`Sampler`] goes on to
//! the next, lower noise level. The noise comes from a seed and is the same on every platform.
//!
//! ```no_run
//! use bevy_fitdiff::{
//!     bundle::Bundle,
//!     diffusion::{SampleOptions, SampleRequest, Schedule, UnetDenoiser, sample},
//!     runtime::{CancelToken, Runtime, RuntimeOptions},
//! };
//!
//! let runtime = Runtime::new(RuntimeOptions::default())?;
//! let bundle = Bundle::open("models/base")?;
//! let generator = bundle.manifest().generator.as_ref().ok_or("the bundle has no generator")?;
//! let unet = bundle.load(&runtime, &generator.networks.unet)?;
//! let mut unet = UnetDenoiser::new(unet, generator.into(), generator.embedding_size)?;
//!
//! let random_person = SampleRequest { seed: 7, embedding: None, options: SampleOptions::default() };
//! let schedule = Schedule::new(&generator.schedule);
//! let latents = sample(&mut unet, &schedule, &random_person, &CancelToken::default(), &mut |step, _latents| {
//!     println!("{} of {}", step.index + 1, step.total);
//!     Ok(())
//! })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

mod ddim;
mod ddpm;
mod decoder;
mod denoiser;
mod dpm_solver;
mod error;
mod guidance;
mod latents;
mod noise;
mod portable;
mod sample;
mod sampler;
mod schedule;
mod unet;

pub use decoder::{DecodedMaps, Decoder, DecoderGradient};
pub use denoiser::{Denoiser, DenoiserInput};
pub use error::DiffusionError;
pub use latents::{LatentLayout, Latents};
pub use noise::NoiseSource;
pub use sample::{SampleOptions, SampleRequest, SampleStep, sample};
pub use sampler::Sampler;
pub use schedule::{NoiseLevel, Schedule};
pub use unet::UnetDenoiser;
