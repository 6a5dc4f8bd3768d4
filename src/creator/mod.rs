//! A character creator that any app can add: from a photo, or from nothing, to an avatar that the player likes.
//!
//! ```no_run
//! use bevy::prelude::*;
//! use bevy_fitdiff::{creator::{AvatarCreated, CreatorPlugin, CreatorStudioPlugin}, prelude::*};
//!
//! App::new()
//!     .add_plugins((DefaultPlugins, FitDiffPlugin::default()))
//!     // The panel, and a studio to look at the avatar in; a game with a scene of its own leaves the studio out.
//!     .add_plugins((CreatorPlugin::default(), CreatorStudioPlugin::default()))
//!     .add_observer(|created: On<AvatarCreated>, mut commands: Commands| {
//!         commands.entity(created.entity).insert(Name::new("player"));
//!     })
//!     .run();
//! ```
//!
//! | | |
//! |---|---|
//! | [`CreatorPlugin`] | the creator |
//! | [`CreatorSettings`] | what is offered, and where dialogs start |
//! | [`CreatorAction`] | what players ask for: messages that the panel sends, and that a game or a script may send |
//! | [`CreatorState`] | where the player is |
//! | [`AvatarCreated`], [`CreatorClosed`] | how it ends |
//! | [`CreatorStudioPlugin`] | camera, lights and what the mouse does |
//! | [`ui`] | the panel as a function of plain values |
//! | [`words`], [`messages`] | all that it says |
//!
//! The panel is drawn into the primary context of bevy_egui, at its right edge; [`CreatorState::covered_width`] tells a
//! camera how much of the window it covers. The avatar is an entity at the origin with [`CreatorAvatar`], until the player
//! accepts it.
//!
//! Photo, identity and variations are held in memory alone, and dropped when the creator is closed, when the avatar is
//! accepted, and by [`CreatorAction::Forget`]. Files are written where the player says, and hold no identity unless the
//! player asks for it.

mod actions;
mod dialog;
mod edits;
mod generate;
mod history;
mod keep;
pub mod messages;
mod panel;
mod photo;
pub mod presets;
mod settings;
mod state;
mod studio;
pub mod ui;
mod variations;
mod webcam;
pub mod words;

use bevy::{prelude::*, window::FileDragAndDrop};
use bevy_egui::{EguiPlugin, EguiPrimaryContextPass};

pub use actions::CreatorAction;
pub use edits::CreatorEdits;
pub use history::History;
pub use messages::{Notice, Tone};
pub use presets::{BlendshapeGroup, LightPreset, TraitGroup};
pub use settings::CreatorSettings;
pub use state::{CreatorAvatar, CreatorState, CreatorStep};
pub use studio::{CreatorStudio, CreatorStudioPlugin, StudioCamera, studio_camera};
pub use webcam::WebcamError;

/// Adds the character creator to an app that has [`FitDiffPlugin`](crate::FitDiffPlugin). bevy_egui's plugin is added where
/// it is missing.
#[derive(Clone, Copy, Debug)]
pub struct CreatorPlugin {
    /// Whether the panel is drawn. Without, an app shows [`CreatorState`] its own way and sends [`CreatorAction`]s itself.
    pub panel: bool,
}

impl Default for CreatorPlugin {
    fn default() -> Self {
        Self { panel: true }
    }
}

/// When the creator works, in [`Update`]: what was asked for before is carried out.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CreatorSystems;

/// The player accepted the avatar: the entity is the game's now. The creator is closed.
#[derive(EntityEvent, Clone, Copy, Debug)]
pub struct AvatarCreated {
    /// The entity with the [`Avatar`](crate::avatar::Avatar).
    pub entity: Entity,
}

/// The player left without an avatar. The creator is closed.
#[derive(Event, Clone, Copy, Debug)]
pub struct CreatorClosed;

impl Plugin for CreatorPlugin {
    fn build(&self, app: &mut App) {
        app.register_type::<CreatorAvatar>()
            .register_type::<CreatorSettings>()
            .init_resource::<CreatorSettings>()
            .init_resource::<CreatorState>()
            .init_resource::<dialog::Dialog>()
            .init_resource::<webcam::Webcam>()
            .add_message::<CreatorAction>()
            // Apps without windows have none of these.
            .add_message::<FileDragAndDrop>()
            .add_observer(generate::ready)
            .add_observer(generate::failed)
            .add_observer(variations::ready)
            .add_observer(variations::failed)
            .add_observer(photo::no_face)
            .add_systems(Startup, open_at_start)
            .add_systems(
                Update,
                (
                    photo::dropped,
                    dialog::answer,
                    webcam::receive,
                    actions::act,
                    photo::take_opened,
                    keep::finish,
                    generate::follow,
                    variations::begin,
                    variations::hang,
                    dialog::show.run_if(dialog::is_wanted),
                )
                    .chain()
                    .in_set(CreatorSystems),
            );
        if self.panel {
            if !app.is_plugin_added::<EguiPlugin>() {
                app.add_plugins(EguiPlugin::default());
            }
            app.add_systems(EguiPrimaryContextPass, panel::draw);
        }
    }
}

fn open_at_start(settings: Res<CreatorSettings>, mut actions: MessageWriter<CreatorAction>) {
    if settings.open_at_start {
        actions.write(CreatorAction::Open);
    }
}
