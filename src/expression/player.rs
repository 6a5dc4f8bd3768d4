//! Plays expression sequences on faces.

use std::time::Duration;

use bevy::prelude::*;

use super::{
    ArkitBlendshape, BlendshapeWeights, ExpressionSequence,
    blendshape::unit,
    face::{Face, smooth_step},
};

/// How long a sequence takes to appear and to go where nothing else is asked for.
const FADE: Duration = Duration::from_millis(200);

/// Plays [`ExpressionSequence`]s on a face, several at once if you like.
///
/// A sequence has the blendshapes that it has tracks for, as far as its weight goes; those of others are left to the
/// [layers](super#how-layers-combine) below. Where several have the same blendshape, they are mixed by their weights.
/// Sequences are played by the names of blendshapes: what one face was captured from, every other face can play.
///
/// ```no_run
/// use bevy::prelude::*;
/// use bevy_fitdiff::prelude::*;
///
/// fn greet(mut players: Query<&mut ExpressionPlayer>, assets: Res<AssetServer>) {
///     for mut player in &mut players {
///         player.play(assets.load("expressions/greeting.expression.json")).with_speed(1.2);
///     }
/// }
/// ```
///
/// [`ExpressionSequenceEnded`] is triggered on the entity when a sequence has come to its end.
#[derive(Component, Clone, Debug, Default, Reflect)]
#[reflect(Component, Default, Clone, Debug)]
#[require(Face)]
pub struct ExpressionPlayer {
    playbacks: Vec<SequencePlayback>,
}

/// A sequence that is played.
#[derive(Clone, Debug, Default, Reflect)]
#[reflect(Default, Clone, Debug)]
pub struct SequencePlayback {
    sequence: Handle<ExpressionSequence>,
    /// Seconds since the start of the sequence.
    time: f32,
    /// Speed, 0 or more; 1 is that of the sequence.
    pub speed: f32,
    /// How far it covers what is below, 0 to 1.
    pub weight: f32,
    /// Whether it stands still.
    pub paused: bool,
    /// What comes after its end.
    pub at_end: AtEnd,
    /// How long it takes to appear.
    pub fade_in: Duration,
    /// How long it takes to go, after its end or when it is stopped.
    pub fade_out: Duration,
    /// How much of it has appeared, 0 to 1.
    shown: f32,
    ended: bool,
    stopped: bool,
}

/// What a sequence does at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Reflect)]
#[reflect(Default, Clone, Debug, PartialEq)]
pub enum AtEnd {
    /// It fades out and is gone.
    #[default]
    Stop,
    /// It stays at its last weights until it is stopped.
    Hold,
    /// It starts again.
    Repeat,
}

/// A sequence has come to its end on a face, for the first time if it is held. Sequences that repeat or are stopped do not
/// end.
#[derive(EntityEvent, Clone, Copy, Debug)]
pub struct ExpressionSequenceEnded {
    /// The entity with the [`ExpressionPlayer`].
    pub entity: Entity,
    /// The sequence.
    pub sequence: AssetId<ExpressionSequence>,
}

impl ExpressionPlayer {
    /// Plays a sequence from its start, beside those that are played already. It waits while the asset is loaded.
    pub fn play(&mut self, sequence: Handle<ExpressionSequence>) -> &mut SequencePlayback {
        let playback = SequencePlayback::new(sequence);
        let index = match self.playbacks.iter().position(|known| known.sequence == playback.sequence) {
            Some(index) => {
                // What is seen of it already stays.
                let shown = self.playbacks[index].shown;
                self.playbacks[index] = SequencePlayback { shown, ..playback };
                index
            }
            None => {
                self.playbacks.push(playback);
                self.playbacks.len() - 1
            }
        };
        &mut self.playbacks[index]
    }

    /// Fades a sequence out.
    pub fn stop(&mut self, sequence: impl Into<AssetId<ExpressionSequence>>) {
        if let Some(playback) = self.playback_mut(sequence) {
            playback.stopped = true;
        }
    }

    /// Fades all sequences out.
    pub fn stop_all(&mut self) {
        self.playbacks.iter_mut().for_each(|playback| playback.stopped = true);
    }

    /// A sequence that is played.
    pub fn playback(&self, sequence: impl Into<AssetId<ExpressionSequence>>) -> Option<&SequencePlayback> {
        let id = sequence.into();
        self.playbacks.iter().find(|playback| playback.sequence.id() == id)
    }

    /// A sequence that is played, to change how.
    pub fn playback_mut(&mut self, sequence: impl Into<AssetId<ExpressionSequence>>) -> Option<&mut SequencePlayback> {
        let id = sequence.into();
        self.playbacks.iter_mut().find(|playback| playback.sequence.id() == id)
    }

    /// All sequences that are played, those that fade out included.
    pub fn playbacks(&self) -> &[SequencePlayback] {
        &self.playbacks
    }
}

impl SequencePlayback {
    fn new(sequence: Handle<ExpressionSequence>) -> Self {
        Self { sequence, speed: 1.0, weight: 1.0, fade_in: FADE, fade_out: FADE, ..Self::default() }
    }

    /// The sequence.
    pub fn sequence(&self) -> &Handle<ExpressionSequence> {
        &self.sequence
    }

    /// Seconds since the start of the sequence.
    pub fn time(&self) -> f32 {
        self.time
    }

    /// Goes to a time of the sequence, in seconds.
    pub fn seek(&mut self, time: f32) -> &mut Self {
        self.time = if time > 0.0 { time } else { 0.0 };
        self.ended = false;
        self
    }

    /// Whether it has come to its end.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Stands still until [`resume`](Self::resume).
    pub fn pause(&mut self) -> &mut Self {
        self.paused = true;
        self
    }

    /// Goes on after a pause.
    pub fn resume(&mut self) -> &mut Self {
        self.paused = false;
        self
    }

    /// Sets the speed; 1 is that of the sequence.
    pub fn with_speed(&mut self, speed: f32) -> &mut Self {
        self.speed = speed;
        self
    }

    /// Sets how far it covers what is below, 0 to 1.
    pub fn with_weight(&mut self, weight: f32) -> &mut Self {
        self.weight = weight;
        self
    }

    /// Sets how long it takes to appear and to go.
    pub fn with_fade(&mut self, fade: Duration) -> &mut Self {
        (self.fade_in, self.fade_out) = (fade, fade);
        self
    }

    /// Starts again at its end.
    pub fn repeat(&mut self) -> &mut Self {
        self.at_end = AtEnd::Repeat;
        self
    }

    /// Stays at its last weights.
    pub fn hold(&mut self) -> &mut Self {
        self.at_end = AtEnd::Hold;
        self
    }

    /// Moves on by `seconds`; whether the end is reached now.
    fn advance(&mut self, seconds: f32, duration: f32) -> bool {
        let seconds = if seconds > 0.0 { seconds } else { 0.0 };
        // Seconds of this frame after the end.
        let mut after = if self.ended || self.stopped { seconds } else { 0.0 };
        let mut ends = false;
        if !self.paused && !self.ended {
            let speed = if self.speed > 0.0 { self.speed.min(1e3) } else { 0.0 };
            self.time += speed * seconds;
            if self.time >= duration {
                if self.at_end == AtEnd::Repeat {
                    self.time = if duration > 0.0 { self.time % duration } else { 0.0 };
                } else {
                    if !self.stopped && speed > 0.0 {
                        after = ((self.time - duration) / speed).min(seconds);
                    }
                    ends = !self.stopped;
                    self.time = duration;
                    self.ended = true;
                }
            }
        }
        if self.is_going() {
            self.shown -= share(after, self.fade_out);
        } else {
            self.shown += share(seconds, self.fade_in);
        }
        self.shown = unit(self.shown);
        ends
    }

    fn is_going(&self) -> bool {
        self.stopped || (self.ended && self.at_end != AtEnd::Hold)
    }
}

/// The part of a fade that happens in some seconds.
fn share(seconds: f32, fade: Duration) -> f32 {
    if fade.is_zero() { 1.0 } else { seconds / fade.as_secs_f32() }
}

/// Moves sequences on, and mixes what they play.
pub(super) fn advance(
    time: Res<Time>,
    sequences: Res<Assets<ExpressionSequence>>,
    mut faces: Query<(Entity, &mut Face, Option<&mut ExpressionPlayer>)>,
    mut commands: Commands,
) {
    let seconds = time.delta_secs();
    for (entity, mut face, player) in &mut faces {
        let face = face.bypass_change_detection();
        let [mut played, mut covered] = [BlendshapeWeights::ZERO; 2];
        if let Some(mut player) = player.filter(|player| !player.playbacks.is_empty()) {
            player.bypass_change_detection().playbacks.retain_mut(|playback| {
                let Some(sequence) = sequences.get(&playback.sequence) else {
                    return !playback.stopped;
                };
                if playback.advance(seconds, sequence.duration()) {
                    commands.trigger(ExpressionSequenceEnded { entity, sequence: playback.sequence.id() });
                }
                let weight = unit(playback.weight) * smooth_step(playback.shown);
                if weight > 0.0 {
                    sequence.add_to(playback.time, weight, &mut played, &mut covered);
                }
                playback.shown > 0.0 || !playback.is_going()
            });
            mix(&mut played, &mut covered);
        } else if face.covered == covered {
            continue;
        }
        face.changed |= face.played != played || face.covered != covered;
        (face.played, face.covered) = (played, covered);
    }
}

/// Where sequences cover a blendshape more than once over, each counts for its part.
fn mix(played: &mut BlendshapeWeights, covered: &mut BlendshapeWeights) {
    for shape in ArkitBlendshape::ALL {
        if covered[shape] > 1.0 {
            played[shape] /= covered[shape];
            covered[shape] = 1.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn playback() -> SequencePlayback {
        SequencePlayback::new(Handle::default())
    }

    #[test]
    fn a_sequence_ends_once_and_fades_from_its_end_on() {
        for rate in [24.0, 60.0, 240.0] {
            let mut playback = playback();
            let mut ends = Vec::new();
            let frames = (1.1f32 * rate).round() as usize;
            for frame in 1..=frames {
                if playback.advance(1.0 / rate, 1.0) {
                    ends.push(frame as f32 / rate);
                }
            }
            assert_eq!(ends.len(), 1);
            assert!((ends[0] - 1.0).abs() < 1.0 / rate + 1e-3, "{ends:?}");
            let expected = 1.0 - (frames as f32 / rate - 1.0) / 0.2;
            assert!((playback.shown - expected).abs() < 1e-2, "{rate}: {}", playback.shown);
        }
    }

    #[test]
    fn repeating_sequences_keep_their_time_and_held_ones_stay() {
        let mut playback = playback();
        playback.repeat();
        assert!(!playback.advance(2.5, 1.0));
        assert!((playback.time - 0.5).abs() < 1e-6);
        playback.hold();
        assert!(playback.advance(1.0, 1.0));
        assert!(!playback.advance(10.0, 1.0));
        assert_eq!((playback.time, playback.shown), (1.0, 1.0));
    }

    #[test]
    fn speeds_weights_and_times_that_are_no_numbers_do_no_harm() {
        let mut playback = playback();
        for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1.0] {
            playback.with_speed(number).seek(number);
            playback.advance(1.0 / 60.0, 1.0);
            playback.advance(number, 1.0);
            assert!((0.0..=1.0).contains(&playback.time), "{number}: {}", playback.time);
            assert!((0.0..=1.0).contains(&playback.shown));
        }
        playback.repeat();
        playback.advance(f32::MAX, 0.0);
        assert_eq!(playback.time, 0.0);
    }
}
