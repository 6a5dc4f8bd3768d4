//! What players ask for, and who carries it out.

use std::{path::PathBuf, sync::Arc};

use bevy::{ecs::system::SystemParam, prelude::*};

use super::{
    CreatorEdits, CreatorSettings, CreatorState, CreatorStep, CreatorStudio, LightPreset, Notice,
    dialog::{Dialog, Purpose},
    webcam::Webcam,
    words,
};
use crate::{
    avatar::{Avatar, FitDiffModel, FitDiffSettings, GeneratedAvatar, Photo},
    expression::{ArkitBlendshape, Expression, ExpressionPreset},
    pipeline::{AvatarRecipe, Guidance},
};

/// What a player asks for. The panel sends these; a game, a script or a test may send them as well.
///
/// What is not possible at the moment is passed over.
#[derive(Message, Clone, Debug, PartialEq)]
pub enum CreatorAction {
    /// Opens the creator.
    Open,
    /// Closes it without an avatar: [`CreatorClosed`](super::CreatorClosed) is triggered.
    Close,
    /// Agrees to how photos are used.
    Agree,
    /// Goes to a step.
    GoTo(CreatorStep),
    /// Takes a message away, by its number.
    Dismiss(usize),

    /// Asks for a photo by the system's dialog.
    ChoosePhoto,
    /// Reads a photo from a file.
    OpenPhoto(PathBuf),
    /// Takes a photo that the game has.
    UsePhoto(Handle<Photo>),
    /// Drops the photo.
    RemovePhoto,
    /// Means a face of the photo, by its number.
    ChooseFace(usize),
    /// Starts the webcam.
    StartWebcam,
    /// Takes what the webcam sees as the photo.
    TakePicture,
    /// Stops the webcam.
    StopWebcam,

    /// Chooses how much work is put into likeness.
    Quality(Guidance),
    /// Generates the avatar from the photo.
    Generate,
    /// Makes up a person.
    Random,
    /// Makes up the person of a seed.
    Person(u64),
    /// Continues with the avatar of a recipe.
    Recipe(Arc<AvatarRecipe>),
    /// Ends what is being generated; the avatar before it stays.
    Cancel,

    /// Continues with a variation, by its number.
    TakeVariation(usize),
    /// Has other variations made.
    MoreVariations,
    /// Changes the avatar; [`Commit`](Self::Commit) ends the change.
    Edit(Box<CreatorEdits>),
    /// Makes the change one step that can be undone.
    Commit,
    /// Undoes the last change.
    Undo,
    /// Redoes it.
    Redo,
    /// Takes all changes of the person back.
    Reset,
    /// Shows an expression.
    Express(ExpressionPreset),
    /// Gives a blendshape of the expression that is shown another weight, 0 to 1.
    Blendshape(ArkitBlendshape, f32),
    /// Lights the studio.
    Light(LightPreset),
    /// Turns the studio's lights around the head: to so many degrees, to the right of whoever looks at its face.
    TurnLight(f32),
    /// Turns the view around the head, or stops that.
    Turntable(bool),
    /// Looks from the front again.
    ResetView,
    /// Shows the avatar without changes.
    Compare(bool),

    /// Chooses whether what identifies the person is saved with the avatar.
    KeepIdentity(bool),
    /// Asks by the system's dialog where to save.
    ChooseSave,
    /// Saves the avatar to a file.
    Save(PathBuf),
    /// Asks for a saved avatar by the system's dialog.
    ChooseLoad,
    /// Loads a saved avatar.
    Load(PathBuf),
    /// Asks by the system's dialog where to export.
    ChooseExport,
    /// Exports the avatar as a glTF file.
    Export(PathBuf),
    /// Ends an export; no file is left.
    CancelExport,
    /// Drops photo, identity and variations from memory.
    Forget,
    /// Gives the avatar to the game: [`AvatarCreated`](super::AvatarCreated) is triggered.
    Accept,
}

/// What actions are carried out with.
#[derive(SystemParam)]
pub(super) struct Creator<'w, 's> {
    pub commands: Commands<'w, 's>,
    pub state: ResMut<'w, CreatorState>,
    pub settings: Res<'w, CreatorSettings>,
    pub model: Res<'w, FitDiffSettings>,
    pub bundle: Res<'w, FitDiffModel>,
    pub dialog: ResMut<'w, Dialog>,
    pub webcam: ResMut<'w, Webcam>,
    pub photos: ResMut<'w, Assets<Photo>>,
    pub images: ResMut<'w, Assets<Image>>,
    pub generated: Query<'w, 's, &'static GeneratedAvatar>,
    pub expressions: Query<'w, 's, &'static mut Expression>,
    pub studio: Option<ResMut<'w, CreatorStudio>>,
}

/// Carries out what was asked for.
pub(super) fn act(mut actions: MessageReader<CreatorAction>, mut creator: Creator) {
    for action in actions.read() {
        if creator.state.open || *action == CreatorAction::Open {
            creator.act(action.clone());
        }
    }
}

impl Creator<'_, '_> {
    fn act(&mut self, action: CreatorAction) {
        use CreatorAction as A;
        match action {
            A::Open => self.open(),
            A::Close => self.close(),
            A::Agree => self.state.agreed = true,
            A::GoTo(step) => self.go_to(step),
            A::Dismiss(index) => {
                if index < self.state.notices.len() {
                    self.state.notices.remove(index);
                }
            }

            A::ChoosePhoto => self.ask(Purpose::Photo),
            A::OpenPhoto(path) => self.open_photo(path),
            A::UsePhoto(photo) => self.use_photo(photo),
            A::RemovePhoto => self.drop_photo(),
            A::ChooseFace(index) => {
                if let Some(photo) = &mut self.state.photo {
                    photo.face = index;
                }
            }
            A::StartWebcam => self.start_webcam(),
            A::TakePicture => self.take_picture(),
            A::StopWebcam => self.webcam.stop(),

            A::Quality(quality) => self.state.quality = quality,
            A::Generate => self.generate(),
            A::Random => {
                let seed = self.next_seed();
                self.make(Avatar::random(seed));
            }
            A::Person(seed) => self.make(Avatar::random(seed)),
            A::Recipe(recipe) => self.make(Avatar::from_recipe((*recipe).clone())),
            A::Cancel => self.cancel(),

            A::TakeVariation(index) => self.take_variation(index),
            A::MoreVariations => self.more_variations(),
            A::Edit(edits) => self.edit(*edits),
            A::Commit => self.state.history.commit(),
            A::Undo => drop(self.state.history.undo()),
            A::Redo => drop(self.state.history.redo()),
            A::Reset => self.reset(),
            A::Express(preset) => self.express(Expression::of(preset)),
            A::Blendshape(shape, weight) => {
                let mut weights = self.state.expression.weights();
                weights[shape] = weight;
                self.express(weights.into());
            }
            A::Light(light) => self.studio(|studio| studio.light = light),
            A::TurnLight(degrees) => self.studio(|studio| studio.turn_light(degrees)),
            A::Turntable(turning) => self.studio(|studio| studio.turntable = turning),
            A::ResetView => self.studio(CreatorStudio::reset_view),
            A::Compare(comparing) => self.state.comparing = comparing,

            A::KeepIdentity(keep) => self.state.keep_identity = keep,
            A::ChooseSave => self.ask(Purpose::Save),
            A::Save(path) => self.save(path),
            A::ChooseLoad => self.ask(Purpose::Load),
            A::Load(path) => self.load(path),
            A::ChooseExport => self.ask(Purpose::Export),
            A::Export(path) => self.export(path),
            A::CancelExport => self.cancel_export(),
            A::Forget => self.forget(),
            A::Accept => self.accept(),
        }
    }

    fn go_to(&mut self, step: CreatorStep) {
        if self.state.step == CreatorStep::Generate || step == CreatorStep::Generate {
            return;
        }
        let possible = match step {
            CreatorStep::Photo => self.state.agreed && self.settings.photos,
            CreatorStep::Refine | CreatorStep::Finish => self.state.person().is_some(),
            _ => true,
        };
        if possible {
            self.webcam.stop();
            self.state.go(step);
        }
    }

    /// Shows the system's dialog, where what it asks for is possible.
    fn ask(&mut self, purpose: Purpose) {
        let possible = match purpose {
            Purpose::Photo => self.agreed_to_photos(),
            Purpose::Load => self.settings.save && self.state.step != CreatorStep::Generate,
            Purpose::Save => self.settings.save && self.state.person().is_some(),
            Purpose::Export => self.settings.export && self.state.person().is_some(),
        };
        if possible {
            self.dialog.ask(purpose);
        }
    }

    /// Whether photos may be used; tells the player to agree first.
    pub fn agreed_to_photos(&mut self) -> bool {
        if self.settings.photos && !self.state.agreed {
            self.state.tell(Notice::hint(words::AGREE_FIRST, words::AGREE_FIRST_ADVICE));
        }
        self.settings.photos && self.state.agreed
    }

    fn edit(&mut self, edits: CreatorEdits) {
        // An edit of somebody who is not there any more comes from a view that is a frame old.
        if self.state.edits().person == edits.person && self.state.person().is_some() {
            self.state.history.set(edits);
        }
    }

    fn reset(&mut self) {
        self.state.history.commit();
        let plain = self.state.edits().without_changes();
        self.state.history.set(plain);
        self.state.history.commit();
    }

    fn express(&mut self, expression: Expression) {
        self.state.expression = expression.clone();
        if let Some(mut shown) = self.state.avatar.and_then(|avatar| self.expressions.get_mut(avatar).ok()) {
            *shown = expression;
        }
    }

    fn studio(&mut self, change: impl FnOnce(&mut CreatorStudio)) {
        if let Some(studio) = &mut self.studio {
            change(studio);
        }
    }
}
