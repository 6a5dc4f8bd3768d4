//! Guided sampling: the avatar comes to look like the person in the photo.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{
    PipelineError,
    photo_reader::{Seen, SeenFace},
    preview,
    progress::Tracker,
};
use crate::{
    bundle::Maps,
    diffusion::{Decoder, Latents, SampleRequest, Schedule, UnetDenoiser, sample},
    fitting::{Fitter, GuidanceOptions, Guide, Losses, PhotoFit, PhotoTarget, Reading, UNKNOWN_IRIS},
    runtime::CancelToken,
};

/// The part of the denoising steps, from the end, that is guided: before, there is no face yet.
const GUIDED_PART: f64 = 0.5;

/// Standard deviations of the model's prediction: of reflectance latents and of shape coefficients.
const PREDICTION_DEVIATION: [f32; 2] = [0.4, 0.7];

/// Deviation of the shape in the landmarks' fit: they are too coarse to tell faces apart.
const LANDMARK_SHAPE_DEVIATION: f32 = 0.2;

/// What a guided step's size is multiplied with at the end.
const LAST_RATE: f32 = 0.1;

/// What a gradient step takes, in denoising steps.
const GRADIENT_WORK: usize = 20;

/// How far the noise seeds of a photo's starts are apart: further than those that a player tries one after the other.
const START_STRIDE: u64 = 1 << 40;

/// How much work is put into making an avatar look like the person in the photo.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guidance {
    /// None: the avatar is what the model makes of the photo's embedding, a plausible relative.
    Off,
    /// 20 gradient steps.
    Fast,
    /// 60 gradient steps. With more of them, the face follows what the photo's light and hair do to it.
    #[default]
    Balanced,
    /// Three starts from other noise, of 60 gradient steps each; the one that agrees best with the photo is kept.
    Best,
}

impl Guidance {
    /// What sampling takes with so many denoising steps, in denoising steps.
    pub(super) fn work(self, steps: usize) -> usize {
        match self {
            Self::Off => steps,
            _ => self.starts() * (2 * steps + GRADIENT_WORK * self.gradient_steps()),
        }
    }

    /// Number of gradient steps of each start.
    fn gradient_steps(self) -> usize {
        match self {
            Self::Off => 0,
            Self::Fast => 20,
            Self::Balanced | Self::Best => 60,
        }
    }

    /// Number of starts.
    fn starts(self) -> usize {
        if self == Self::Best { 3 } else { 1 }
    }
}

impl FromStr for Guidance {
    type Err = String;

    /// Reads `off`, `fast`, `balanced` or `best`, as a command line or a settings file has them.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            "fast" => Ok(Self::Fast),
            "balanced" => Ok(Self::Balanced),
            "best" => Ok(Self::Best),
            other => Err(format!("`{other}` is none of off, fast, balanced, best")),
        }
    }
}

/// What guided sampling works with.
pub(super) struct GuidedSampling<'a> {
    pub unet: &'a mut UnetDenoiser,
    pub schedule: &'a Schedule,
    pub decoder: &'a mut Decoder,
    pub maps: &'a Maps,
    pub fitter: &'a mut Fitter,
}

impl GuidedSampling<'_> {
    /// Samples latents, guided by the most reliable photo and by what is read in all of them. Without a fit, they are
    /// unguided: no head fits the face's landmarks.
    pub fn run(
        &mut self,
        request: &SampleRequest,
        how: (Guidance, usize),
        seen: &Seen,
        cancel: &CancelToken,
        tracker: &mut Tracker,
    ) -> Result<(Latents, Option<PhotoFit>), PipelineError> {
        let target = self.target(seen, cancel)?;
        let starts = how.0.starts();
        let work = how.0.work(request.options.steps) / starts;
        let mut best: Option<(Latents, Option<PhotoFit>)> = None;
        for start in 0..starts {
            let seed = request.seed.wrapping_add(START_STRIDE.wrapping_mul(start as u64));
            let result =
                self.start(&SampleRequest { seed, ..*request }, how, &target, cancel, tracker, start * work)?;
            let total =
                |result: &(Latents, Option<PhotoFit>)| result.1.as_ref().map_or(f32::INFINITY, |fit| fit.losses.total);
            if best.as_ref().is_none_or(|best| total(&result) < total(best)) {
                best = Some(result);
            }
        }
        let (latents, fit) = best.expect("there is at least one start");
        Ok((latents, fit.map(|fit| PhotoFit { photo: seen.best.photo, ..fit })))
    }

    /// The most reliable face, with what all of them and their mirror images say of the person.
    fn target(
        &mut self,
        Seen { best, others, iris, symmetric_identity, .. }: &Seen,
        cancel: &CancelToken,
    ) -> Result<PhotoTarget, PipelineError> {
        let target = self.fitter.target(&best.face, best.size, cancel)?.with_iris(iris.unwrap_or(UNKNOWN_IRIS));
        let target = target.with_identity(symmetric_identity)?;
        let Some(own) = target.reading() else { return Ok(target) };
        let mut readings = vec![(own.clone(), best.weight)];
        for other in others {
            let reading = self.fitter.read(&other.face, cancel)?;
            readings.extend(reading.map(|reading| (reading, other.weight)));
        }
        for SeenFace { mirrored, weight, .. } in [best].into_iter().chain(others) {
            let Some(face) = mirrored else { continue };
            let reading = self.fitter.read_mirrored(face, cancel)?;
            readings.extend(reading.map(|reading| (reading, *weight)));
        }
        Ok(target.with_reading(Reading::fuse(&readings)))
    }

    /// One start, after `before` denoising steps of others.
    fn start(
        &mut self,
        request: &SampleRequest,
        (guidance, preview_every): (Guidance, usize),
        target: &PhotoTarget,
        cancel: &CancelToken,
        tracker: &mut Tracker,
        before: usize,
    ) -> Result<(Latents, Option<PhotoFit>), PipelineError> {
        let steps = request.options.steps;
        let unguided = sample(self.unet, self.schedule, request, cancel, &mut |step, _| {
            tracker.steps(before + step.index + 1, None);
            Ok(())
        })?;
        let Ok(fit) = self.fitter.fit_landmarks(target, &unguided, LANDMARK_SHAPE_DEVIATION) else {
            return Ok((unguided, None));
        };
        let target = &self.fitter.hold_against(target, &self.decoder.maps(&unguided, cancel)?);
        let mut guide = Guide::new(self.fitter, target, fit, &unguided, GuidanceOptions::default());
        let guided = ((steps as f64 * GUIDED_PART).ceil() as usize).clamp(1, steps);
        let all = guidance.gradient_steps();
        let (mut done, mut losses) = (0, Losses::default());
        let (decoder, maps) = (&mut *self.decoder, self.maps);
        let latents = sample(self.unet, self.schedule, request, cancel, &mut |step, clean| {
            let index = (step.index + 1 + guided).saturating_sub(steps);
            let anchor = clean.clone();
            while done * guided < index * all {
                let rate = 1.0 - (1.0 - LAST_RATE) * done as f32 / all as f32;
                losses = guide.step(decoder, clean, &anchor, PREDICTION_DEVIATION, rate, cancel)?;
                done += 1;
                tracker.steps(before + steps + step.index + GRADIENT_WORK * done, None);
            }
            let preview = preview(decoder, maps, clean, step, preview_every, cancel)?;
            tracker.steps(before + steps + step.index + 1 + GRADIENT_WORK * done, preview);
            Ok(())
        })?;
        let fit = guide.finish(losses);
        let trust = f64::from(fit.confidence);
        Ok((Latents::combine(trust, &latents, 1.0 - trust, &unguided), Some(fit)))
    }
}

#[cfg(test)]
mod tests {
    use image::RgbImage;

    use super::*;
    use crate::{
        bundle::Bundle,
        pipeline::{Pipeline, SourcePhoto},
        runtime::{Runtime, RuntimeOptions},
    };

    #[test]
    fn the_person_is_read_in_all_photos_and_their_mirror_images() {
        let bundle = Bundle::open(concat!(env!("CARGO_MANIFEST_DIR"), "/models/base")).unwrap();
        let (runtime, cancel) = (Runtime::new(RuntimeOptions::default()).unwrap(), CancelToken::default());
        let mut pipeline = Pipeline::load(&bundle, &runtime).unwrap();
        let photo = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/selfies/astronaut.png");
        let photo: RgbImage = image::open(photo).unwrap().to_rgb8();
        let mut red = photo.clone();
        red.pixels_mut().for_each(|pixel| pixel.0 = [pixel.0[0], pixel.0[1] / 3, pixel.0[2] / 3]);
        let photos = [photo, red].map(SourcePhoto::from);
        let seen = pipeline.photo_reader.read(&photos, true, &cancel, &mut Tracker::new(2, 0, &mut |_| {})).unwrap();
        let mut guided = pipeline.guided(&cancel).unwrap();
        let readings = [&seen.best, &seen.others[0]].map(|seen| {
            let mirrored = seen.mirrored.as_ref().expect("the face is in the mirror image, too");
            let photo = guided.fitter.read(&seen.face, &cancel).unwrap().unwrap();
            [photo, guided.fitter.read_mirrored(mirrored, &cancel).unwrap().unwrap()]
        });
        let readings = readings.as_flattened();
        let target = guided.target(&seen, &cancel).unwrap();
        let all = target.reading().unwrap();
        for values in [|reading: &Reading| reading.shape.clone(), |reading: &Reading| reading.diffuse.clone()] {
            let (all, each) = (values(all), readings.iter().map(values).collect::<Vec<_>>());
            for (index, value) in all.iter().enumerate() {
                let read = each.iter().map(|values| values[index]);
                let (least, most) =
                    read.fold((f32::MAX, f32::MIN), |(low, high), value| (low.min(value), high.max(value)));
                assert!((least - 1e-5..=most + 1e-5).contains(value), "{value} is not between {least} and {most}");
            }
            assert!(!each.contains(&all));
        }

        let alone =
            pipeline.photo_reader.read(&photos[..1], true, &cancel, &mut Tracker::new(1, 0, &mut |_| {})).unwrap();
        let [best, alone] = [&seen.best.face, &alone.best.face].map(|face| face.landmarks.points.clone());
        assert_eq!(best, alone, "the first of equals is the one that the head stands in");
    }
}
