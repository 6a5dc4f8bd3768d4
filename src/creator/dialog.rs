//! The system's file dialogs. No system waits for their answer.

use std::path::PathBuf;

use bevy::{
    ecs::system::NonSendMarker,
    prelude::*,
    tasks::{IoTaskPool, Task, futures::check_ready},
};
use rfd::AsyncFileDialog;

use super::{CreatorAction, CreatorSettings, CreatorState, Notice, words};
use crate::save::FILE_EXTENSION;

/// What photos end with; cameras write capitals, and not every dialog overlooks the case.
const PHOTOS: [&str; 8] = ["jpg", "jpeg", "png", "webp", "JPG", "JPEG", "PNG", "WEBP"];

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A photo to open.
    Photo,
    /// An avatar to load.
    Load,
    /// Where to save the avatar.
    Save,
    /// Where to export it.
    Export,
}

/// The dialog: one at a time.
#[derive(Resource, Default)]
pub(super) struct Dialog {
    wanted: Option<Purpose>,
    open: Option<(Purpose, Task<Option<PathBuf>>)>,
}

impl Dialog {
    /// Asks for the dialog, unless one is open.
    pub fn ask(&mut self, purpose: Purpose) {
        if self.open.is_none() {
            self.wanted = Some(purpose);
        }
    }
}

/// Whether a dialog is to be shown.
pub(super) fn is_wanted(dialog: Res<Dialog>) -> bool {
    dialog.wanted.is_some()
}

/// Shows the dialog. macOS wants that from the main thread.
pub(super) fn show(_main_thread: NonSendMarker, mut dialog: ResMut<Dialog>, settings: Res<CreatorSettings>) {
    let Some(purpose) = dialog.wanted.take() else { return };
    let folder = match purpose {
        Purpose::Photo => &settings.photo_folder,
        Purpose::Load | Purpose::Save | Purpose::Export => &settings.avatar_folder,
    };
    let ask = AsyncFileDialog::new();
    let ask = if let Some(folder) = folder { ask.set_directory(folder) } else { ask };
    let saved = format!("avatar.{FILE_EXTENSION}");
    let answer: std::pin::Pin<Box<dyn Future<Output = _> + Send>> = match purpose {
        Purpose::Photo => Box::pin(ask.set_title(words::CHOOSE_PHOTO).add_filter("Photos", &PHOTOS).pick_file()),
        Purpose::Load => Box::pin(ask.set_title(words::LOAD).add_filter("Avatars", &["json"]).pick_file()),
        Purpose::Save => {
            Box::pin(ask.set_title(words::SAVE).add_filter("Avatars", &["json"]).set_file_name(saved).save_file())
        }
        Purpose::Export => {
            Box::pin(ask.set_title(words::EXPORT).add_filter("glTF", &["glb"]).set_file_name("avatar.glb").save_file())
        }
    };
    let task = IoTaskPool::get().spawn(async { answer.await.map(|file| file.path().to_owned()) });
    dialog.open = Some((purpose, task));
}

/// Takes the answer.
pub(super) fn answer(
    mut dialog: ResMut<Dialog>,
    mut state: ResMut<CreatorState>,
    mut actions: MessageWriter<CreatorAction>,
) {
    let Some((purpose, task)) = &mut dialog.open else { return };
    let purpose = *purpose;
    let Some(chosen) = check_ready(task) else { return };
    dialog.open = None;
    let Some(path) = chosen else {
        // A dialog that was cancelled and one that could not be shown end alike.
        state.tell(Notice::hint(words::NOTHING_CHOSEN, words::NO_DIALOG));
        return;
    };
    actions.write(match purpose {
        Purpose::Photo => CreatorAction::OpenPhoto(path),
        Purpose::Load => CreatorAction::Load(path),
        Purpose::Save => CreatorAction::Save(path),
        Purpose::Export => CreatorAction::Export(path),
    });
}
