//! How far a generation is.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::AvatarMaps;

/// What the analysis of a photo takes, in denoising steps.
const PHOTO_WORK: f64 = 1.0;

/// What decoding at the end takes, in denoising steps.
const DECODING_WORK: f64 = 4.0;

/// Where a generation is.
#[derive(Clone, Debug)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// The part of the whole work that is done, 0 to 1. It never falls.
    pub fraction: f32,
    /// Estimated time to the end, by the pace of the denoising steps so far; `None` before the first one is done.
    pub remaining: Option<Duration>,
    /// The maps as they emerge, where [`GenerateOptions::preview_every`](super::GenerateOptions::preview_every) asks
    /// for them.
    pub preview: Option<Arc<AvatarMaps>>,
}

/// What is being done in a generation, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Faces are looked for in the photos, and their identities taken. Left out where there is no photo.
    Face,
    /// Noise becomes latents, step by step. Left out where the latents are given.
    Sampling,
    /// Latents become maps and vertices.
    Decoding,
}

/// Turns finished work into reports.
pub(super) struct Tracker<'a> {
    observe: &'a mut dyn FnMut(Progress),
    photos: f64,
    steps: f64,
    steps_done: f64,
    sampling_since: Option<Instant>,
}

impl<'a> Tracker<'a> {
    /// Tracks the analysis of so many photos and so many denoising steps.
    pub fn new(photos: usize, steps: usize, observe: &'a mut dyn FnMut(Progress)) -> Self {
        Self { observe, photos: photos as f64, steps: steps as f64, steps_done: 0.0, sampling_since: None }
    }

    /// So many photos have been analysed.
    pub fn photos(&mut self, done: usize) {
        self.report(Stage::Face, done as f64 * PHOTO_WORK, None);
    }

    /// So many denoising steps are done; called with 0 before the first one.
    pub fn steps(&mut self, done: usize, preview: Option<Arc<AvatarMaps>>) {
        self.sampling_since.get_or_insert_with(Instant::now);
        self.steps_done = done as f64;
        self.report(Stage::Sampling, self.photos * PHOTO_WORK + self.steps_done, preview);
    }

    /// Decoding begins.
    pub fn decoding(&mut self) {
        self.report(Stage::Decoding, self.photos * PHOTO_WORK + self.steps, None);
    }

    /// All is done.
    pub fn finished(&mut self) {
        self.report(Stage::Decoding, self.total(), None);
    }

    fn total(&self) -> f64 {
        self.photos * PHOTO_WORK + self.steps + DECODING_WORK
    }

    fn report(&mut self, stage: Stage, done: f64, preview: Option<Arc<AvatarMaps>>) {
        let total = self.total();
        let elapsed = self.sampling_since.map(|since| since.elapsed());
        let remaining = elapsed.and_then(|elapsed| remaining(elapsed, self.steps_done, total - done));
        (self.observe)(Progress { stage, fraction: (done / total) as f32, remaining, preview });
    }
}

/// Time that `left` steps take when `done` took `elapsed`.
fn remaining(elapsed: Duration, done: f64, left: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(elapsed.as_secs_f64() / done * left).ok().filter(|_| done > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reports(photos: usize, steps: usize) -> Vec<Progress> {
        let mut reports = Vec::new();
        let mut observe = |progress| reports.push(progress);
        let mut tracker = Tracker::new(photos, steps, &mut observe);
        (0..=photos).filter(|_| photos > 0).for_each(|done| tracker.photos(done));
        (0..=steps).filter(|_| steps > 0).for_each(|done| tracker.steps(done, None));
        tracker.decoding();
        tracker.finished();
        reports
    }

    #[test]
    fn the_fraction_rises_from_0_to_1() {
        for (photos, steps) in [(0, 20), (1, 20), (3, 1), (0, 0), (2, 1000)] {
            let reports = reports(photos, steps);
            assert!(reports.is_sorted_by(|a, b| a.fraction <= b.fraction && a.stage <= b.stage), "{reports:?}");
            assert_eq!((reports[0].fraction, reports[reports.len() - 1].fraction), (0.0, 1.0), "{photos}, {steps}");
        }
    }

    #[test]
    fn the_pace_is_known_after_the_first_step() {
        let reports = reports(1, 2);
        let known: Vec<bool> = reports.iter().map(|progress| progress.remaining.is_some()).collect();
        assert_eq!(known, [false, false, false, true, true, true, true]);
        assert_eq!(reports[6].remaining, Some(Duration::ZERO));
    }

    #[test]
    fn the_remaining_time_follows_the_pace() {
        let second = Duration::from_secs(1);
        assert_eq!(remaining(2 * second, 4.0, 6.0), Some(3 * second));
        assert_eq!(remaining(second, 0.0, 6.0), None);
        assert_eq!(remaining(Duration::ZERO, 0.0, 0.0), None);
    }
}
