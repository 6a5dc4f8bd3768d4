//! What the creator knows while it is open.

use std::{collections::BTreeMap, sync::Arc};

use bevy::{platform::time::Instant, prelude::*, tasks::Task};
use image::RgbImage;

use super::{CreatorEdits, History, Notice};
use crate::{
    avatar::{Avatar, AvatarSource, Photo, SkinTone},
    expression::Expression,
    face::PhotoError,
    fitting::FittingHead,
    pipeline::{AvatarData, Guidance, ShapeEdits, ShapeTraits},
    save::{AvatarFile, SaveError},
};

/// Where the player is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Reflect)]
#[reflect(Default, Clone, Debug, PartialEq, Hash)]
pub enum CreatorStep {
    /// What happens with a photo, and the ways to begin.
    #[default]
    Welcome,
    /// A photo, and which face of it is meant.
    Photo,
    /// The avatar is being generated.
    Generate,
    /// It is being changed.
    Refine,
    /// It is saved, exported and taken.
    Finish,
}

/// The entity of the avatar that the creator works on. When the player accepts it, it loses this component and is the
/// game's.
#[derive(Component, Clone, Copy, Debug, Default, Reflect)]
#[reflect(Component, Default, Clone, Debug)]
pub struct CreatorAvatar;

/// Most messages that are shown at a time.
const MOST_NOTICES: usize = 3;

/// What the creator knows while it is open. Change it by sending [`CreatorAction`](super::CreatorAction)s.
///
/// It holds the photo, and the identity in what was generated from it, in memory alone; accepting, closing and
/// [`CreatorAction::Forget`](super::CreatorAction::Forget) drop them.
#[derive(Resource, Default)]
pub struct CreatorState {
    pub(super) open: bool,
    pub(super) step: CreatorStep,
    pub(super) agreed: bool,
    pub(super) notices: Vec<Notice>,
    pub(super) quality: Guidance,
    pub(super) photo: Option<CreatorPhoto>,
    pub(super) opening: Option<Task<Result<RgbImage, PhotoError>>>,
    pub(super) avatar: Option<Entity>,
    pub(super) work: Option<Work>,
    pub(super) people: People,
    pub(super) history: History<CreatorEdits>,
    /// Person and shape that the avatar's entity has, or is being given.
    pub(super) worn: Option<(usize, ShapeEdits)>,
    pub(super) comparing: bool,
    pub(super) expression: Expression,
    pub(super) variations: Vec<Variation>,
    pub(super) next_seed: u64,
    /// When the avatar was last touched: variations wait until it rests.
    pub(super) touched: Option<Instant>,
    pub(super) keep_identity: bool,
    pub(super) saving: Option<Task<Result<(), SaveError>>>,
    pub(super) loading: Option<Task<Result<AvatarFile, SaveError>>>,
    pub(super) exporting: Option<super::keep::Exporting>,
    /// Logical pixels of the window that the panel covers on its right.
    pub(super) covered: f32,
}

impl CreatorState {
    /// Whether the creator is open.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Where the player is.
    pub fn step(&self) -> CreatorStep {
        self.step
    }

    /// The entity of the avatar that is being made.
    pub fn avatar(&self) -> Option<Entity> {
        self.avatar
    }

    /// Whether something is generated for the avatar.
    pub fn is_working(&self) -> bool {
        self.work.is_some()
    }

    /// What the player changed.
    pub fn edits(&self) -> &CreatorEdits {
        self.history.current()
    }

    /// What the player is told, the oldest first.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// Whether a photo is being read.
    pub fn is_opening(&self) -> bool {
        self.opening.is_some()
    }

    /// How many variations can be chosen from.
    pub fn ready_variations(&self) -> usize {
        self.variations.iter().filter(|variation| matches!(variation.state, VariationState::Ready(..))).count()
    }

    /// Whether a photo, an identity or a variation is in memory.
    pub fn remembers(&self) -> bool {
        self.photo.is_some()
            || self.opening.is_some()
            || !self.variations.is_empty()
            || self.people.iter().any(|(_, person)| person.is_of_somebody())
    }

    /// Width of the window's right edge that the panel covers, in logical pixels; for cameras that look past it.
    pub fn covered_width(&self) -> f32 {
        if self.open { self.covered } else { 0.0 }
    }

    /// Tells the player something.
    pub(super) fn tell(&mut self, notice: Notice) {
        self.notices.retain(|told| told.text != notice.text);
        self.notices.push(notice);
        if self.notices.len() > MOST_NOTICES {
            self.notices.remove(0);
        }
    }

    /// Goes to a step; what was told before is done with.
    pub(super) fn go(&mut self, step: CreatorStep) {
        if self.step != step {
            self.step = step;
            self.notices.clear();
        }
    }

    /// Who the avatar is, as far as the player has chosen.
    pub(super) fn person(&self) -> Option<&Person> {
        self.people.get(self.edits().person)
    }
}

/// A photo that the player chose.
pub(super) struct CreatorPhoto {
    pub photo: Handle<Photo>,
    pub texture: Handle<Image>,
    pub size: Vec2,
    /// The entity with the search for faces.
    pub search: Entity,
    /// The face that is meant.
    pub face: usize,
}

/// What is generated on the avatar's entity.
pub(super) enum Work {
    /// Somebody new.
    Person {
        /// Whether what the player changed stays.
        keep_edits: bool,
        /// The step to return to when it is cancelled or fails.
        from: CreatorStep,
    },
    /// The avatar of a file.
    File(Box<AvatarFile>, CreatorStep),
    /// A person who was generated before, with another shape.
    Shape,
}

/// Everybody who was generated, by number.
#[derive(Default)]
pub(super) struct People {
    people: BTreeMap<usize, Person>,
    count: usize,
    /// Of the head that they share.
    head: Option<(Arc<ShapeTraits>, Arc<FittingHead>)>,
}

/// Somebody who was generated.
pub(super) struct Person {
    /// How more of the same are asked for.
    pub origin: AvatarSource,
    pub seed: u64,
    pub data: Arc<AvatarData>,
    pub tone: SkinTone,
}

impl Person {
    pub fn new(avatar: &Avatar, data: Arc<AvatarData>) -> Self {
        Self { origin: avatar.source.clone(), seed: avatar.seed, tone: SkinTone::of(&data), data }
    }

    /// Whether it was made from a photo that is still there.
    pub fn is_from_photo(&self) -> bool {
        matches!(self.origin, AvatarSource::Photos(_))
    }

    /// Whether anything tells who it is.
    pub fn is_of_somebody(&self) -> bool {
        self.is_from_photo() || self.data.identity.is_some() || self.data.face.is_some()
    }
}

impl People {
    pub fn add(&mut self, person: Person) -> usize {
        let known = self.head.as_ref().is_some_and(|(_, head)| Arc::ptr_eq(head.template(), &person.data.head));
        if !known {
            let template = &person.data.head;
            let head = FittingHead::new(template.clone(), person.data.maps.size);
            self.head = Some((Arc::new(ShapeTraits::new(template)), Arc::new(head)));
        }
        self.count += 1;
        self.people.insert(self.count, person);
        self.count
    }

    pub fn get(&self, number: usize) -> Option<&Person> {
        self.people.get(&number)
    }

    pub fn iter(&self) -> impl Iterator<Item = (usize, &Person)> {
        self.people.iter().map(|(number, person)| (*number, person))
    }

    /// Drops all but one, of whom nothing is left but the likeness.
    pub fn forget(&mut self, kept: usize) {
        self.people.retain(|number, _| *number == kept);
        for person in self.people.values_mut() {
            person.data = Arc::new(person.data.forgotten());
            (person.origin, person.seed) = (Avatar::from_recipe(person.data.recipe.clone()).source, 0);
        }
    }

    pub fn traits(&self) -> Option<&Arc<ShapeTraits>> {
        self.head.as_ref().map(|(traits, _)| traits)
    }

    pub fn head(&self) -> Option<&Arc<FittingHead>> {
        self.head.as_ref().map(|(_, head)| head)
    }
}

/// Another take on a person.
pub(super) struct Variation {
    pub seed: u64,
    pub state: VariationState,
}

/// How far a variation is.
pub(super) enum VariationState {
    /// It waits for its turn.
    Waiting,
    /// It is generated for this entity.
    Working(Entity),
    /// Its picture is painted.
    Painting(usize, Task<RgbImage>),
    /// It is there.
    Ready(usize, Handle<Image>),
    /// It could not be generated.
    Failed,
}
