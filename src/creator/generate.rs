//! Asking for avatars, and taking them over when they are there.

use std::sync::Arc;

use bevy::{platform::time::Instant, prelude::*};

use super::{
    AvatarCreated, CreatorAvatar, CreatorClosed, CreatorEdits, CreatorSettings, CreatorState, CreatorStep, History,
    Notice,
    actions::Creator,
    state::{Person, Work},
};
use crate::{
    avatar::{
        Avatar, AvatarFailed, AvatarLook, AvatarOptions, AvatarPhoto, AvatarProgress, AvatarReady, AvatarStage,
        ForgetPerson, GeneratedAvatar,
    },
    expression::LivingFace,
    pipeline::{AvatarData, GenerateOptions, ShapeEdits},
};

/// Denoising steps from one preview to the next.
const PREVIEW_EVERY: usize = 4;

impl Creator<'_, '_> {
    pub fn open(&mut self) {
        let state = &mut *self.state;
        if !state.open {
            let next_seed = state.next_seed;
            *state = CreatorState { open: true, quality: self.settings.quality, next_seed, ..default() };
        }
    }

    /// Leaves without an avatar.
    pub fn close(&mut self) {
        if let Some(avatar) = self.state.avatar {
            self.commands.entity(avatar).try_despawn();
        }
        self.leave();
        self.commands.trigger(CreatorClosed);
    }

    /// Hands the avatar over.
    pub fn accept(&mut self) {
        let (Some(entity), false) = (self.state.avatar, self.state.is_working()) else { return };
        if self.state.person().is_none() {
            return;
        }
        self.state.comparing = false;
        // The face is handed over at rest; what it shows is the game's to say.
        self.commands.entity(entity).remove::<(CreatorAvatar, AvatarOptions)>().remove_with_requires::<LivingFace>();
        self.leave();
        self.commands.trigger(AvatarCreated { entity });
    }

    /// Drops all that the creator knows.
    fn leave(&mut self) {
        self.webcam.stop();
        self.drop_variations();
        self.drop_photo();
        self.cancel_export();
        let next_seed = self.state.next_seed;
        *self.state = CreatorState { next_seed, ..default() };
    }

    /// Generates the avatar from the photo.
    pub fn generate(&mut self) {
        if self.state.opening.is_some() {
            return;
        }
        let Some(photo) = self.state.photo.as_ref().filter(|_| self.state.step != CreatorStep::Generate) else {
            return;
        };
        let photo = AvatarPhoto::of_face(photo.photo.clone(), photo.face);
        let avatar = Avatar::from_faces([photo]);
        let from = self.state.step;
        // Of the same person, what was changed by hand is not lost.
        let keep_edits = from == CreatorStep::Refine;
        self.start(avatar, Work::Person { keep_edits, from });
    }

    /// Makes an avatar that needs no photo, unless one is being made.
    pub fn make(&mut self, avatar: Avatar) {
        let from = self.state.step;
        if from != CreatorStep::Generate {
            self.start(avatar, Work::Person { keep_edits: false, from });
        }
    }

    /// A seed that was not used before.
    pub fn next_seed(&mut self) -> u64 {
        self.state.next_seed += 1;
        self.state.next_seed
    }

    /// Has the avatar's entity generated anew.
    pub fn start(&mut self, avatar: Avatar, work: Work) {
        self.webcam.stop();
        self.state.history.commit();
        self.state.comparing = false;
        self.drop_variations();
        self.state.notices.clear();
        self.state.step = CreatorStep::Generate;
        self.put_on(avatar, work);
    }

    /// Gives the avatar's entity something to be.
    fn put_on(&mut self, avatar: Avatar, work: Work) {
        self.state.work = Some(work);
        self.state.touched = Some(Instant::now());
        let guidance = self.state.quality;
        let options = AvatarOptions(GenerateOptions { guidance, preview_every: PREVIEW_EVERY, ..self.model.options });
        match self.state.avatar {
            Some(entity) => drop(self.commands.entity(entity).try_insert((avatar, options))),
            None => {
                let face = (LivingFace, self.state.expression.clone());
                let entity = self.commands.spawn((CreatorAvatar, Name::new("created avatar"), avatar, options, face));
                self.state.avatar = Some(entity.id());
            }
        }
    }

    /// Ends what is generated; the avatar before it stays.
    pub fn cancel(&mut self) {
        let from = match &self.state.work {
            Some(Work::Person { from, .. } | Work::File(_, from)) => *from,
            Some(Work::Shape) | None => return,
        };
        self.state.work = None;
        match self.state.person().map(|person| person.data.clone()) {
            // The head is still there; what would replace it is called off by asking for it again.
            Some(data) => {
                let shape = self.state.edits().shape.clone();
                self.wear(&data, shape);
            }
            None => {
                if let Some(entity) = self.state.avatar.take() {
                    self.commands.entity(entity).try_despawn();
                }
                self.state.worn = None;
            }
        }
        self.state.go(from);
    }

    /// Gives the avatar's entity a person who was generated before, with a shape.
    fn wear(&mut self, data: &AvatarData, shape: ShapeEdits) {
        let recipe = match self.state.people.traits() {
            Some(traits) if !shape.is_empty() => shape.recipe(data, traits),
            _ => data.latents_recipe(),
        };
        self.state.worn = Some((self.state.edits().person, shape));
        self.put_on(Avatar::from_recipe(recipe), Work::Shape);
    }

    /// Drops the person, and keeps the avatar.
    pub fn forget(&mut self) {
        if matches!(self.state.work, Some(Work::Person { .. } | Work::File(..))) {
            self.cancel();
        }
        self.webcam.stop();
        self.drop_variations();
        self.drop_photo();
        if let Some(entity) = self.state.avatar {
            self.commands.trigger(ForgetPerson { entity });
        }
        let state = &mut *self.state;
        if state.work.take().is_some() {
            // Forgetting calls off what is generated: it is asked for again.
            state.worn = None;
        }
        state.history.commit();
        let edits = state.edits().clone();
        state.people.forget(edits.person);
        state.history = History::new(edits);
        state.keep_identity = false;
        state.agreed = false;
        state.notices.clear();
        state.tell(Notice::good(super::words::FORGOTTEN));
    }
}

/// Takes over an avatar that is ready.
pub(super) fn ready(
    ready: On<AvatarReady>,
    mut state: ResMut<CreatorState>,
    settings: Res<CreatorSettings>,
    avatars: Query<(&Avatar, &GeneratedAvatar), With<CreatorAvatar>>,
) {
    let Ok((avatar, generated)) = avatars.get(ready.entity) else { return };
    if state.avatar != Some(ready.entity) {
        return;
    }
    let data = generated.data.clone();
    match state.work.take() {
        Some(Work::Person { keep_edits, .. }) => {
            state.notices = data.warnings.iter().map(Notice::from).collect();
            let edits = edits_of(&state, &data, keep_edits);
            state.take_person(Person::new(avatar, data), edits, true);
        }
        Some(Work::File(file, _)) => {
            let shape = file.edits.clone().unwrap_or_else(|| ShapeEdits::new(&data));
            let AvatarLook { iris, skin_roughness, skin_tint } = file.look;
            let edits =
                CreatorEdits { shape, iris, roughness: skin_roughness, tint: skin_tint, ..CreatorEdits::default() };
            state.keep_identity = file.identity.is_some();
            let data = match file.identity {
                Some(identity) => {
                    let mut data = (*data).clone();
                    data.identity = Some(identity);
                    Arc::new(data)
                }
                None => data,
            };
            state.take_person(Person::new(avatar, data), edits, true);
            state.worn = Some((state.edits().person, state.edits().shape.clone()));
            state.tell(Notice::good(super::words::LOADED));
        }
        Some(Work::Shape) | None => return,
    }
    state.step = CreatorStep::Refine;
    state.ask_variations(settings.variations);
}

/// What of the edits stays with another person.
pub(super) fn edits_of(state: &CreatorState, data: &AvatarData, keep: bool) -> CreatorEdits {
    let mut shape = ShapeEdits::new(data);
    if !keep {
        return CreatorEdits { shape, ..CreatorEdits::default() };
    }
    let before = state.edits();
    before.shape.traits().for_each(|(name, deviations)| shape.set(name, deviations));
    before.shape.variations().for_each(|(index, deviations)| shape.set_variation(index, deviations));
    CreatorEdits { shape, ..before.clone() }
}

impl CreatorState {
    /// Continues with a person; `worn` when the avatar's entity is that person already.
    pub(super) fn take_person(&mut self, person: Person, edits: CreatorEdits, worn: bool) -> usize {
        let plain = ShapeEdits::new(&person.data);
        let first = self.people.iter().next().is_none();
        let number = self.people.add(person);
        let edits = CreatorEdits { person: number, ..edits };
        if worn {
            self.worn = Some((number, plain));
        }
        if first {
            self.history = History::new(edits);
        } else {
            self.history.set(edits);
            self.history.commit();
        }
        number
    }
}

/// Tells why an avatar could not be generated.
pub(super) fn failed(failed: On<AvatarFailed>, mut commands: Commands, mut state: ResMut<CreatorState>) {
    if state.avatar != Some(failed.entity) {
        return;
    }
    let work = state.work.take();
    let notice = Notice::from(&*failed.error);
    if let Some(Work::Person { from, .. } | Work::File(_, from)) = work {
        state.step = from;
        if state.person().is_none() {
            commands.entity(failed.entity).try_despawn();
            (state.avatar, state.worn) = (None, None);
        }
    }
    state.tell(notice);
}

/// Has the avatar follow what the player changed.
pub(super) fn follow(
    mut creator: Creator,
    mut looks: Query<&mut AvatarLook, With<CreatorAvatar>>,
    progress: Query<&AvatarProgress, With<CreatorAvatar>>,
) {
    let Some(entity) = creator.state.avatar else { return };
    let Some(person) = creator.state.person() else { return };
    let edits = creator.state.edits();
    let edits = if creator.state.comparing { edits.without_changes() } else { edits.clone() };
    // While somebody else is generated, the one that is still there keeps its look.
    if !matches!(creator.state.work, Some(Work::Person { .. } | Work::File(..)))
        && let Ok(mut look) = looks.get_mut(entity)
    {
        look.set_if_neq(edits.look(&person.tone));
    }
    let rests = progress.get(entity).is_ok_and(|progress| progress.stage == AvatarStage::Ready);
    let wanted = (edits.person, edits.shape);
    if creator.state.work.is_none() && rests && creator.state.worn.as_ref() != Some(&wanted) {
        let data = person.data.clone();
        creator.pause_variations();
        creator.wear(&data, wanted.1);
    }
}
