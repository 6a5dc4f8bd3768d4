//! Lip sync: the mouth of speech.

use std::time::Duration;

use bevy::prelude::*;

use super::{Viseme, blendshape::unit, face::Face, viseme::VISEMES};

/// Time constant of the lips where nothing else is asked for: lips are on their way to the next sound while they speak one.
const SMOOTHING: Duration = Duration::from_millis(45);

/// Weights below which a sound is over.
const SILENT: f32 = 1e-3;

/// The mouth of speech: weights of visemes, 0 to 1, as a lip sync engine tells them. Write them whenever there are new ones.
///
/// ```
/// use bevy_fitdiff::prelude::*;
///
/// let mut lips = LipSync::default();
/// lips.speak(Viseme::Aa); // one sound at a time,
/// lips.set_oculus([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.7, 0.2, 0.1, 0.0, 0.0]); // all fifteen weights,
/// lips.set_vowels([0.7, 0.1, 0.0, 0.2, 0.0]); // or VRM's aa, ih, ou, ee, oh.
/// ```
///
/// While it speaks, the [layers](super#how-layers-combine) below yield the mouth.
#[derive(Component, Clone, Debug, PartialEq, Reflect)]
#[reflect(Component, Default, Clone, Debug, PartialEq)]
#[require(Face)]
pub struct LipSync {
    visemes: [f32; VISEMES],
    /// Time constant with which the lips follow, exponentially. Default: 45 ms. Zero where the weights are smooth already.
    pub smoothing: Duration,
}

impl Default for LipSync {
    fn default() -> Self {
        Self { visemes: [0.0; VISEMES], smoothing: SMOOTHING }
    }
}

impl LipSync {
    /// Speaks one sound.
    pub fn speak(&mut self, viseme: Viseme) {
        self.visemes = [0.0; VISEMES];
        self.set(viseme, 1.0);
    }

    /// Speaks nothing.
    pub fn silence(&mut self) {
        self.visemes = [0.0; VISEMES];
    }

    /// Sets the weight of one viseme, 0 to 1. Weights that add up to more than 1 are scaled to 1.
    pub fn set(&mut self, viseme: Viseme, weight: f32) {
        self.visemes[viseme as usize] = unit(weight);
    }

    /// The weight of a viseme.
    pub fn weight(&self, viseme: Viseme) -> f32 {
        self.visemes[viseme as usize]
    }

    /// Sets all weights, in the order of [`Viseme::ALL`], which is that of Oculus Lipsync.
    pub fn set_oculus(&mut self, weights: [f32; VISEMES]) {
        self.visemes = weights.map(unit);
    }

    /// Sets the vowels by VRM's presets, `aa ih ou ee oh`, and no other sound.
    pub fn set_vowels(&mut self, [aa, ih, ou, ee, oh]: [f32; 5]) {
        self.silence();
        let vowels = [(Viseme::Aa, aa), (Viseme::Ih, ih), (Viseme::Ou, ou), (Viseme::Ee, ee), (Viseme::Oh, oh)];
        for (viseme, weight) in vowels {
            self.set(viseme, weight);
        }
    }

    /// Weights of all sounds, which add up to 1 at most.
    fn sounds(&self) -> [f32; VISEMES] {
        let mut sounds = self.visemes;
        sounds[Viseme::Sil as usize] = 0.0;
        let scale = 1.0 / sounds.iter().sum::<f32>().max(1.0);
        sounds.map(|weight| weight * scale)
    }
}

/// Moves lips towards the sounds that are spoken.
pub(super) fn advance(time: Res<Time>, mut faces: Query<(&mut Face, Option<&LipSync>)>) {
    let seconds = time.delta_secs();
    for (mut face, lips) in &mut faces {
        let face = face.bypass_change_detection();
        let (goal, smoothing) = match lips {
            Some(lips) => (lips.sounds(), lips.smoothing.as_secs_f32()),
            None if face.sounds == [0.0; VISEMES] => continue,
            None => ([0.0; VISEMES], SMOOTHING.as_secs_f32()),
        };
        if goal == face.sounds {
            continue;
        }
        let left = if smoothing > 0.0 { (-seconds / smoothing).exp() } else { 0.0 };
        for (sound, goal) in face.sounds.iter_mut().zip(goal) {
            let next = goal + left * (*sound - goal);
            *sound = if (next - goal).abs() < SILENT { goal } else { next };
        }
        face.changed = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sounds_never_add_up_to_more_than_one_mouth() {
        let mut lips = LipSync::default();
        lips.set_oculus([1.0; VISEMES]);
        assert!((lips.sounds().iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert_eq!(lips.sounds()[Viseme::Sil as usize], 0.0);
        lips.set_vowels([0.5, 0.0, 0.0, 0.25, f32::NAN]);
        assert_eq!(lips.sounds()[Viseme::Aa as usize], 0.5);
        assert_eq!(lips.sounds()[Viseme::Ee as usize], 0.25);
        assert_eq!(lips.sounds().iter().sum::<f32>(), 0.75);
    }
}
