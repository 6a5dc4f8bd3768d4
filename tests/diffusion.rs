//! The samplers agree with Hugging Face diffusers and with what is known in closed form.
//! `tests/reference/diffusion.py` writes the reference values.

use bevy_fitdiff::{
    bundle::{NoiseSchedule, PredictionType},
    diffusion::{
        Denoiser, DenoiserInput, DiffusionError, LatentLayout, Latents, NoiseSource, SampleOptions, SampleRequest,
        Sampler, Schedule, sample,
    },
    runtime::{CancelToken, RuntimeError},
};
use serde::Deserialize;

const LAYOUT: LatentLayout = LatentLayout { reflectance: [3, 2, 2], shape: 4 };
const TOLERANCE: f64 = 1e-5;

#[derive(Deserialize)]
struct Reference {
    seed: u64,
    noise: Vec<f32>,
    alphas_cumprod: Vec<f64>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    sampler: Sampler,
    prediction: PredictionType,
    steps: usize,
    values: Vec<f64>,
}

fn reference() -> Reference {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/diffusion.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn schedule(alphas_cumprod: &[f64], prediction_type: PredictionType) -> Schedule {
    Schedule::new(&NoiseSchedule {
        family: "linear".into(),
        train_timesteps: alphas_cumprod.len(),
        prediction_type,
        alphas_cumprod: alphas_cumprod.to_vec(),
    })
}

fn numbers(latents: &Latents) -> impl Iterator<Item = f32> {
    latents.reflectance().iter().chain(latents.shape()).copied()
}

/// A denoiser that is a function of the noised number, the timestep and whether there is an embedding.
struct Analytic<F>(F, Vec<usize>);

impl<F: Fn(f64, usize, bool) -> f64> Denoiser for Analytic<F> {
    fn layout(&self) -> LatentLayout {
        LAYOUT
    }

    fn predict(
        &mut self,
        batch: &[DenoiserInput],
        timestep: usize,
        _cancel: &CancelToken,
    ) -> Result<Vec<Latents>, RuntimeError> {
        self.1.push(batch.len());
        let predict = |input: &DenoiserInput| {
            let apply = |value: &f32| (self.0)(f64::from(*value), timestep, input.embedding.is_some()) as f32;
            let part = |values: &[f32]| values.iter().map(apply).collect();
            Latents::new(LAYOUT, part(input.noised.reflectance()), part(input.noised.shape()))
        };
        batch.iter().map(predict).collect()
    }
}

fn analytic<F: Fn(f64, usize, bool) -> f64>(function: F) -> Analytic<F> {
    Analytic(function, Vec::new())
}

fn request(seed: u64, sampler: Sampler, steps: usize) -> SampleRequest<'static> {
    SampleRequest { seed, embedding: None, options: SampleOptions { sampler, steps, ..Default::default() } }
}

fn run(denoiser: &mut dyn Denoiser, schedule: &Schedule, request: &SampleRequest) -> Result<Latents, DiffusionError> {
    sample(denoiser, schedule, request, &CancelToken::default(), &mut |_, _| Ok(()))
}

#[test]
fn noise_is_that_of_an_independent_implementation() {
    let reference = reference();
    let noise: Vec<f32> = numbers(&NoiseSource::new(reference.seed).latents(LAYOUT, 0)).collect();
    assert_eq!(noise, reference.noise, "bit for bit");
}

#[test]
fn samplers_match_diffusers() {
    let reference = reference();
    let function =
        |x: f64, timestep: usize, _: bool| 0.6 * x + 0.5 * x / (1.0 + x * x) + 0.1 * (timestep as f64 / 1000.0 - 0.5);
    for case in &reference.cases {
        let schedule = schedule(&reference.alphas_cumprod, case.prediction);
        let found =
            run(&mut analytic(function), &schedule, &request(reference.seed, case.sampler, case.steps)).unwrap();
        let worst = numbers(&found)
            .zip(&case.values)
            .map(|(found, expected)| (f64::from(found) - expected).abs())
            .fold(0.0, f64::max);
        println!("{:?}, {:?}, {} steps: {worst:.1e}", case.sampler, case.prediction, case.steps);
        assert!(worst < TOLERANCE, "{:?}, {:?}, {} steps: {worst}", case.sampler, case.prediction, case.steps);
    }
}

/// The exact prediction of ε for data that are normal with this mean and standard deviation.
fn gaussian_noise(x: f64, alpha: f64, mean: f64, deviation: f64) -> f64 {
    let variance = alpha * deviation * deviation + 1.0 - alpha;
    (1.0 - alpha).sqrt() * (x - alpha.sqrt() * mean) / variance
}

#[test]
fn an_exact_denoiser_of_gaussian_data_yields_gaussian_samples() {
    let alphas = reference().alphas_cumprod;
    let schedule = schedule(&alphas, PredictionType::Epsilon);
    let (mean, deviation) = (1.5, 0.4);
    let mut denoiser = analytic(|x, timestep, _| gaussian_noise(x, alphas[timestep], mean, deviation));
    for sampler in [Sampler::Ddim { eta: 0.0 }, Sampler::DpmSolver, Sampler::Ddpm] {
        let values: Vec<f64> = (0..400)
            .flat_map(|seed| {
                let latents = run(&mut denoiser, &schedule, &request(seed, sampler, 50)).unwrap();
                numbers(&latents).map(f64::from).collect::<Vec<_>>()
            })
            .collect();
        let count = values.len() as f64;
        let found = values.iter().sum::<f64>() / count;
        let spread = (values.iter().map(|value| (value - found).powi(2)).sum::<f64>() / count).sqrt();
        println!("{sampler:?}: mean {found:.3}, deviation {spread:.3}");
        // Four standard errors of 6,400 samples (0.02); the signal that is left at the last timestep (√ᾱ = 0.05), which
        // unit normal noise lacks, shifts the mean by 0.03; fifty steps of first order cost some spread.
        assert!((found - mean).abs() < 0.05, "{sampler:?}: mean {found}");
        assert!((spread / deviation - 1.0).abs() < 0.12, "{sampler:?}: deviation {spread}");
    }
}

#[test]
fn guidance_extrapolates_in_one_batched_call() {
    let alphas = reference().alphas_cumprod;
    let schedule = schedule(&alphas, PredictionType::Epsilon);
    let (conditional, unconditional, scale) = (0.3, 0.1, 2.5f32);
    let embedding = [0.0; 3];
    let sampled = |scale: f32, embedding: Option<&[f32]>, calls: &mut Vec<usize>| {
        let mut denoiser = analytic(|x, _, known| if known { conditional * x } else { unconditional * x });
        let options = SampleOptions { guidance_scale: scale, steps: 10, ..Default::default() };
        let result = run(&mut denoiser, &schedule, &SampleRequest { seed: 1, embedding, options }).unwrap();
        calls.extend(denoiser.1);
        result
    };
    let mut calls = Vec::new();
    let guided = sampled(scale, Some(&embedding), &mut calls);
    assert_eq!(calls, [2; 10], "both predictions come from one call");
    let factor = unconditional + f64::from(scale) * (conditional - unconditional);
    let expected = run(&mut analytic(|x, _, _| factor * x), &schedule, &request(1, Sampler::default(), 10)).unwrap();
    for (found, expected) in numbers(&guided).zip(numbers(&expected)) {
        assert!((found - expected).abs() < 1e-4 * expected.abs().max(1.0), "{found} is not {expected}");
    }
    let mut calls = Vec::new();
    sampled(1.0, Some(&embedding), &mut calls);
    sampled(scale, None, &mut calls);
    assert_eq!(calls, [1; 20], "without guidance one prediction is enough");
}

#[test]
fn what_the_hook_makes_of_the_clean_latents_is_where_sampling_goes() {
    let alphas = reference().alphas_cumprod;
    let schedule = schedule(&alphas, PredictionType::V);
    let target = Latents::new(LAYOUT, vec![0.25; 12], vec![-2.0; 4]).unwrap();
    for sampler in [Sampler::Ddim { eta: 0.0 }, Sampler::DpmSolver, Sampler::Ddpm] {
        let mut seen = Vec::new();
        let request = request(3, sampler, 8);
        let mut hook = |step: bevy_fitdiff::diffusion::SampleStep, clean: &mut Latents| {
            seen.push((step.index, step.total));
            *clean = target.clone();
            Ok(())
        };
        let mut denoiser = analytic(|x, _, _| 0.5 * x);
        let found = sample(&mut denoiser, &schedule, &request, &CancelToken::default(), &mut hook).unwrap();
        assert_eq!(found, target, "{sampler:?}");
        assert_eq!(seen, (0..8).map(|index| (index, 8)).collect::<Vec<_>>());
    }
}

#[test]
fn a_change_of_the_clean_latents_moves_the_next_noised_ones_by_their_signal() {
    let alphas = reference().alphas_cumprod;
    let schedule = schedule(&alphas, PredictionType::V);
    let next = schedule.timesteps(8).unwrap()[1];
    let change = 0.75;
    for sampler in [Sampler::Ddim { eta: 0.0 }, Sampler::Ddim { eta: 0.5 }, Sampler::DpmSolver, Sampler::Ddpm] {
        // The first number that the denoiser sees in the second step.
        let second_input = |change: f32| {
            let seen = std::cell::Cell::new(None);
            let mut denoiser = analytic(|x, timestep, _| {
                if timestep == next && seen.get().is_none() {
                    seen.set(Some(x));
                }
                0.5 * x
            });
            let mut hook = |step: bevy_fitdiff::diffusion::SampleStep, clean: &mut Latents| {
                if step.index == 0 {
                    clean.reflectance_mut()[0] += change;
                }
                Ok(())
            };
            sample(&mut denoiser, &schedule, &request(3, sampler, 8), &CancelToken::default(), &mut hook).unwrap();
            seen.get().unwrap()
        };
        let moved = second_input(change) - second_input(0.0);
        let expected = alphas[next].sqrt() * f64::from(change);
        assert!((moved - expected).abs() < 1e-5, "{sampler:?}: {moved} is not {expected}");
    }
}

#[test]
fn a_seed_decides_the_result() {
    let schedule = schedule(&reference().alphas_cumprod, PredictionType::V);
    for sampler in [Sampler::DpmSolver, Sampler::Ddpm] {
        let sampled = |seed| run(&mut analytic(|x, _, _| 0.4 * x), &schedule, &request(seed, sampler, 6)).unwrap();
        assert_eq!(sampled(5), sampled(5));
        assert_ne!(sampled(5), sampled(6));
    }
}

#[test]
fn cancelled_and_impossible_requests_end_with_their_error() {
    let schedule = schedule(&reference().alphas_cumprod, PredictionType::V);
    let mut denoiser = analytic(|x, _, _| x);
    let cancel = CancelToken::default();
    let mut steps = 0;
    let mut hook = |_, _: &mut Latents| {
        steps += 1;
        if steps == 2 {
            cancel.cancel();
        }
        Ok(())
    };
    let error = sample(&mut denoiser, &schedule, &request(1, Sampler::Ddpm, 9), &cancel, &mut hook).unwrap_err();
    assert!(matches!(error, DiffusionError::Runtime(RuntimeError::Cancelled)), "{error}");
    assert_eq!(steps, 2);

    let error = run(&mut denoiser, &schedule, &request(1, Sampler::Ddpm, 0)).unwrap_err();
    assert!(matches!(error, DiffusionError::Steps { found: 0, .. }), "{error}");
    let error = run(&mut analytic(|_, _, _| f64::NAN), &schedule, &request(1, Sampler::DpmSolver, 4)).unwrap_err();
    assert!(matches!(error, DiffusionError::NotFinite { .. }), "{error}");
}
