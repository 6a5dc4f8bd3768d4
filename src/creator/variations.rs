//! Other takes on a person: generated one after another while the player looks at the first one.

use std::{sync::Arc, time::Duration};

use bevy::{
    math::{Quat, Vec3},
    platform::time::Instant,
    prelude::*,
    tasks::{AsyncComputeTaskPool, futures::check_ready},
};
use image::RgbImage;

use super::{
    CreatorState, CreatorStep,
    actions::Creator,
    generate::edits_of,
    photo::texture,
    state::{Person, Variation, VariationState},
};
use crate::{
    avatar::{Avatar, AvatarDraft, AvatarFailed, AvatarOptions, AvatarReady, GeneratedAvatar},
    fitting::{
        FittingHead,
        render::{Rays, ShLight, View},
    },
    pipeline::{AvatarData, GenerateOptions, Guidance},
};

/// How long the avatar has to rest before variations are generated: a player who drags a slider comes first.
const REST: Duration = Duration::from_millis(600);

/// Side of the pictures in pixels.
const SIDE: usize = 192;

/// What is behind the heads, sRGB; the panel's own dark.
const BACKGROUND: [u8; 3] = [36, 41, 49];

/// An avatar that is generated to be shown among the variations.
#[derive(Component)]
pub(super) struct Candidate;

impl CreatorState {
    /// Has so many new variations made of the person that the avatar is.
    pub(super) fn ask_variations(&mut self, count: usize) {
        let first = self.next_seed + 1;
        self.next_seed += count as u64;
        let waiting = |seed| Variation { seed, state: VariationState::Waiting };
        self.variations = (first..=self.next_seed).map(waiting).collect();
    }
}

impl Creator<'_, '_> {
    /// Calls off the one that is generated; it is begun again when the avatar rests.
    pub fn pause_variations(&mut self) {
        self.state.touched = Some(Instant::now());
        for variation in &mut self.state.variations {
            if let VariationState::Working(entity) = variation.state {
                self.commands.entity(entity).try_despawn();
                variation.state = VariationState::Waiting;
            }
        }
    }

    pub fn drop_variations(&mut self) {
        self.pause_variations();
        for variation in self.state.variations.drain(..) {
            if let VariationState::Ready(_, picture) = variation.state {
                self.images.remove(&picture);
            }
        }
    }

    pub fn more_variations(&mut self) {
        if self.state.step == CreatorStep::Refine && self.state.person().is_some() {
            self.drop_variations();
            self.state.ask_variations(self.settings.variations);
            self.state.touched = None;
        }
    }

    /// Continues with a variation; what was changed by hand stays.
    pub fn take_variation(&mut self, index: usize) {
        let Some(Variation { state: VariationState::Ready(number, _), .. }) = self.state.variations.get(index) else {
            return;
        };
        let number = *number;
        let Some(data) = self.state.people.get(number).map(|person| person.data.clone()) else { return };
        let state = &mut *self.state;
        let mut edits = edits_of(state, &data, true);
        edits.person = number;
        state.history.commit();
        state.history.set(edits);
        state.history.commit();
        state.comparing = false;
    }
}

/// Begins the next variation when nothing else is to be done.
pub(super) fn begin(mut creator: Creator) {
    let state = &*creator.state;
    let rested = state.touched.is_none_or(|touched| touched.elapsed() >= REST);
    let working = state.variations.iter().any(|variation| matches!(variation.state, VariationState::Working(_)));
    let busy = state.work.is_some() || working || state.exporting.is_some();
    if state.step != CreatorStep::Refine || busy || !rested {
        return;
    }
    let Some(person) = state.person() else { return };
    let Some(index) = state.variations.iter().position(|variation| matches!(variation.state, VariationState::Waiting))
    else {
        return;
    };
    let avatar = match (person.is_from_photo(), &state.photo) {
        (true, Some(_)) => Avatar { source: person.origin.clone(), seed: state.variations[index].seed },
        _ => Avatar::random(state.variations[index].seed),
    };
    let options = GenerateOptions { guidance: Guidance::Off, preview_every: 0, ..creator.model.options };
    let entity =
        creator.commands.spawn((Candidate, AvatarDraft, avatar, AvatarOptions(options), Visibility::Hidden)).id();
    creator.state.variations[index].state = VariationState::Working(entity);
}

/// Has a picture painted of a variation that is there.
pub(super) fn ready(
    ready: On<AvatarReady>,
    mut commands: Commands,
    mut state: ResMut<CreatorState>,
    candidates: Query<(&Avatar, &GeneratedAvatar), With<Candidate>>,
) {
    let Ok((avatar, generated)) = candidates.get(ready.entity) else { return };
    commands.entity(ready.entity).despawn();
    let Some(index) = working_at(&state, ready.entity) else { return };
    let data = generated.data.clone();
    let number = state.people.add(Person::new(avatar, data.clone()));
    let Some(head) = state.people.head().cloned() else { return };
    let painting = AsyncComputeTaskPool::get().spawn(async move { portrait(&data, &head) });
    state.variations[index].state = VariationState::Painting(number, painting);
}

/// Marks a variation that could not be generated.
pub(super) fn failed(
    failed: On<AvatarFailed>,
    mut commands: Commands,
    mut state: ResMut<CreatorState>,
    candidates: Query<(), With<Candidate>>,
) {
    if candidates.contains(failed.entity) {
        commands.entity(failed.entity).despawn();
        if let Some(index) = working_at(&state, failed.entity) {
            state.variations[index].state = VariationState::Failed;
        }
    }
}

fn working_at(state: &CreatorState, entity: Entity) -> Option<usize> {
    state
        .variations
        .iter()
        .position(|variation| matches!(variation.state, VariationState::Working(working) if working == entity))
}

/// Hangs pictures that are painted.
pub(super) fn hang(mut state: ResMut<CreatorState>, mut images: ResMut<Assets<Image>>) {
    for variation in &mut state.bypass_change_detection().variations {
        if let VariationState::Painting(number, task) = &mut variation.state
            && let Some(picture) = check_ready(task)
        {
            variation.state = VariationState::Ready(*number, images.add(texture(picture)));
        }
    }
}

/// A picture of a head in soft light, a little from the side.
fn portrait(data: &Arc<AvatarData>, head: &FittingHead) -> RgbImage {
    let view = View {
        rotation: Quat::from_rotation_y(-0.3) * Quat::from_rotation_x(0.06),
        translation: Vec3::new(0.0, 0.015, -1.0),
        rays: Rays::perspective(0.30, SIDE, SIDE),
        width: SIDE,
        height: SIDE,
        supersampling: 2,
    };
    // Dim from behind, as the background is.
    let mut light = ShLight::constant(Vec3::splat(0.60));
    light.0[1] = Vec3::splat(0.30);
    light.0[2] = Vec3::splat(1.00);
    light.0[3] = Vec3::splat(0.35);
    data.portrait(head, view, light, &[], BACKGROUND)
}
