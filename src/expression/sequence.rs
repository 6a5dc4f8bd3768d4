//! Expression sequences: weights of blendshapes over time.

use std::sync::Arc;

use bevy::prelude::*;

use super::{ArkitBlendshape, BlendshapeWeights, SequenceError, blendshape::BLENDSHAPES, face::smooth_step};

/// The version of the JSON format that this version of the crate writes and reads.
pub const SEQUENCE_VERSION: u64 = 1;

/// Longest file that is read, in bytes: some twenty minutes of capture.
pub(super) const MAX_BYTES: usize = 64 << 20;

/// Most columns of a CSV.
pub(super) const MAX_COLUMNS: usize = 1024;

/// Latest time of a key, in seconds: a day.
pub(super) const MAX_SECONDS: f32 = 86_400.0;

/// Weights of blendshapes over time, to be played by an [`ExpressionPlayer`](super::ExpressionPlayer) on any avatar.
///
/// Loaded from `*.expression.json` ([`from_json`](Self::from_json)) and from captures in `*.csv`
/// ([`from_csv`](Self::from_csv)), or made by [`new`](Self::new).
#[derive(Asset, TypePath, Clone, Debug, PartialEq)]
pub struct ExpressionSequence {
    duration: f32,
    tracks: Vec<ExpressionTrack>,
    /// Names of tracks that are no blendshapes of ARKit.
    pub(super) ignored: Vec<String>,
}

/// The weight of one blendshape over time.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpressionTrack {
    blendshape: ArkitBlendshape,
    interpolation: Interpolation,
    /// Seconds, rising. Tracks of a capture share them.
    times: Arc<[f32]>,
    weights: Box<[f32]>,
}

/// How a track gets from one key to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// On a straight line.
    #[default]
    Linear,
    /// From rest to rest (smoothstep).
    Ease,
    /// It stays at a key until the next one.
    Step,
}

impl ExpressionTrack {
    /// A track through keys of time in seconds and weight. Before the first key it has the weight of that, after the last
    /// one the weight of that.
    ///
    /// # Errors
    /// [`SequenceError::Empty`] without a key, [`SequenceError::Time`] where times are negative, no numbers, not rising, or
    /// later than a day, and [`SequenceError::Weight`] where a weight is outside of 0 to 1.
    pub fn new(
        blendshape: ArkitBlendshape,
        interpolation: Interpolation,
        keys: &[(f32, f32)],
    ) -> Result<Self, SequenceError> {
        let times = keys.iter().map(|(time, _)| *time).collect();
        let weights = keys.iter().map(|(_, weight)| *weight).collect();
        Self::of_shared_times(blendshape, interpolation, times, weights)
    }

    /// A track whose times may be those of others.
    pub(super) fn of_shared_times(
        blendshape: ArkitBlendshape,
        interpolation: Interpolation,
        times: Arc<[f32]>,
        weights: Box<[f32]>,
    ) -> Result<Self, SequenceError> {
        if times.is_empty() {
            return Err(SequenceError::Empty { expected: "a key in each track" });
        }
        let place = |key: usize| format!("track `{blendshape}`, key {key}");
        let mut after = 0.0;
        for (key, &found) in times.iter().enumerate() {
            let rises = found > after || (key == 0 && found >= 0.0);
            if !rises || found > MAX_SECONDS {
                return Err(SequenceError::Time { place: place(key), after, found });
            }
            after = found;
        }
        if let Some(key) = weights.iter().position(|weight| !(0.0..=1.0).contains(weight)) {
            return Err(SequenceError::Weight { place: place(key), found: weights[key] });
        }
        Ok(Self { blendshape, interpolation, times, weights })
    }

    /// The blendshape that it moves.
    pub fn blendshape(&self) -> ArkitBlendshape {
        self.blendshape
    }

    /// How it gets from one key to the next.
    pub fn interpolation(&self) -> Interpolation {
        self.interpolation
    }

    /// The keys: time in seconds and weight.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = (f32, f32)> {
        self.times.iter().copied().zip(self.weights.iter().copied())
    }

    /// The weight at a time in seconds.
    pub fn sample(&self, time: f32) -> f32 {
        self.at(Place::of(&self.times, time))
    }

    fn at(&self, Place { key, share }: Place) -> f32 {
        let from = self.weights[key];
        let share = match self.interpolation {
            Interpolation::Linear => share,
            Interpolation::Ease => smooth_step(share),
            Interpolation::Step => 0.0,
        };
        if share == 0.0 { from } else { from + share * (self.weights[key + 1] - from) }
    }
}

/// A place between two keys.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// The last key that is not after it; the first one before all keys.
    key: usize,
    /// The part of the way to the next key.
    share: f32,
}

impl Place {
    fn of(times: &[f32], time: f32) -> Self {
        let after = times.partition_point(|key| *key <= time);
        if after == 0 || after == times.len() {
            return Self { key: after.saturating_sub(1), share: 0.0 };
        }
        let [from, to] = [times[after - 1], times[after]];
        Self { key: after - 1, share: (time - from) / (to - from) }
    }
}

impl ExpressionSequence {
    /// A sequence of tracks, as long as its last key says.
    ///
    /// # Errors
    /// [`SequenceError::Empty`] without a track, [`SequenceError::Twice`] where a blendshape has two.
    pub fn new(tracks: Vec<ExpressionTrack>) -> Result<Self, SequenceError> {
        if tracks.is_empty() {
            return Err(SequenceError::Empty { expected: "a track of a blendshape of ARKit" });
        }
        let mut seen = [false; BLENDSHAPES];
        for track in &tracks {
            if std::mem::replace(&mut seen[track.blendshape as usize], true) {
                return Err(SequenceError::Twice { name: track.blendshape.to_string() });
            }
        }
        let last = tracks.iter().filter_map(|track| track.times.last().copied()).fold(0.0, f32::max);
        Ok(Self { duration: last, tracks, ignored: Vec::new() })
    }

    /// The same with a pause after the last key: a duration in seconds.
    ///
    /// # Errors
    /// [`SequenceError::Duration`] where it ends before the last key or is no number.
    pub fn with_duration(mut self, duration: f32) -> Result<Self, SequenceError> {
        if !(self.duration..=MAX_SECONDS).contains(&duration) {
            return Err(SequenceError::Duration { last: self.duration, found: duration });
        }
        self.duration = duration;
        Ok(self)
    }

    /// How long it takes, in seconds.
    pub fn duration(&self) -> f32 {
        self.duration
    }

    /// Its tracks, one for each blendshape that it moves.
    pub fn tracks(&self) -> &[ExpressionTrack] {
        &self.tracks
    }

    /// Names in the file that are no blendshapes of ARKit; they are left out.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// The weight of a blendshape at a time in seconds; `None` where the sequence does not move it.
    pub fn sample(&self, blendshape: ArkitBlendshape, time: f32) -> Option<f32> {
        self.tracks.iter().find(|track| track.blendshape == blendshape).map(|track| track.sample(time))
    }

    /// Adds what is played at a time, and what it covers, each times `weight`.
    pub(super) fn add_to(
        &self,
        time: f32,
        weight: f32,
        played: &mut BlendshapeWeights,
        covered: &mut BlendshapeWeights,
    ) {
        let mut last: Option<(&Arc<[f32]>, Place)> = None;
        for track in &self.tracks {
            let place = match last {
                Some((times, place)) if Arc::ptr_eq(times, &track.times) => place,
                _ => Place::of(&track.times, time),
            };
            last = Some((&track.times, place));
            played[track.blendshape] += weight * track.at(place);
            covered[track.blendshape] += weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use ArkitBlendshape::{JawOpen, TongueOut};

    use super::*;

    fn track(interpolation: Interpolation) -> ExpressionTrack {
        ExpressionTrack::new(JawOpen, interpolation, &[(0.5, 0.2), (1.0, 0.6), (2.0, 0.0)]).unwrap()
    }

    #[test]
    fn weights_are_found_at_between_before_and_after_the_keys() {
        let linear = track(Interpolation::Linear);
        let expected =
            [(-1.0, 0.2), (0.0, 0.2), (0.5, 0.2), (0.75, 0.4), (1.0, 0.6), (1.25, 0.45), (2.0, 0.0), (9.0, 0.0)];
        for (time, weight) in expected {
            assert!((linear.sample(time) - weight).abs() < 1e-6, "{} at {time}", linear.sample(time));
        }
        let ease = track(Interpolation::Ease);
        // Smoothstep of a quarter is 5/32.
        for (time, weight) in [(0.5, 0.2), (0.625, 0.2 + 0.4 * 5.0 / 32.0), (0.75, 0.4), (1.0, 0.6)] {
            assert!((ease.sample(time) - weight).abs() < 1e-6, "{} at {time}", ease.sample(time));
        }
        let step = track(Interpolation::Step);
        for (time, weight) in [(0.4, 0.2), (0.99, 0.2), (1.0, 0.6), (1.99, 0.6), (2.0, 0.0)] {
            assert_eq!(step.sample(time), weight, "at {time}");
        }
        assert_eq!(linear.sample(f32::NAN), 0.2);
    }

    #[test]
    fn keys_that_no_player_can_play_are_refused() {
        let new = |keys: &[(f32, f32)]| ExpressionTrack::new(JawOpen, Interpolation::Linear, keys);
        assert!(matches!(new(&[]), Err(SequenceError::Empty { .. })));
        for times in [[0.5, 0.5], [0.5, 0.4], [-0.1, 1.0], [f32::NAN, 1.0], [0.0, f32::INFINITY], [0.0, 1e6]] {
            let error = new(&times.map(|time| (time, 0.5))).unwrap_err();
            assert!(matches!(&error, SequenceError::Time { .. }), "{times:?}: {error}");
        }
        for weight in [-0.1, 1.01, f32::NAN, f32::INFINITY] {
            let error = new(&[(0.0, 0.0), (1.0, weight)]).unwrap_err();
            assert!(matches!(error, SequenceError::Weight { .. }), "{weight}: {error}");
            assert!(error.to_string().contains("track `jawOpen`, key 1"), "{error}");
        }
    }

    #[test]
    fn a_sequence_has_one_track_for_a_blendshape_and_ends_with_its_last_key_or_later() {
        assert!(matches!(ExpressionSequence::new(vec![]), Err(SequenceError::Empty { .. })));
        let twice = vec![track(Interpolation::Ease), track(Interpolation::Step)];
        assert!(matches!(ExpressionSequence::new(twice), Err(SequenceError::Twice { .. })));
        let sequence = ExpressionSequence::new(vec![track(Interpolation::Linear)]).unwrap();
        assert_eq!(sequence.duration(), 2.0);
        assert_eq!(sequence.sample(JawOpen, 1.0), Some(0.6));
        assert_eq!(sequence.sample(TongueOut, 1.0), None);
        assert_eq!(sequence.clone().with_duration(3.0).unwrap().duration(), 3.0);
        for duration in [1.0, f32::NAN, 1e9] {
            let error = sequence.clone().with_duration(duration).unwrap_err();
            assert!(matches!(error, SequenceError::Duration { .. }), "{error}");
        }
    }
}
