//! What keys do.

use bevy_egui::egui::{Key, KeyboardShortcut, Modifiers, Ui};

use super::{CreatorView, PhotoView};
use crate::creator::{CreatorAction, CreatorStep};

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortcut {
    /// Asks for a photo, or on the first step for a saved avatar.
    Open,
    /// Saves the avatar.
    Save,
    /// Exports the avatar.
    Export,
    /// Undoes a change.
    Undo,
    /// Redoes it.
    Redo,
    /// Makes up a person.
    Random,
    /// Cancels, or goes a step back.
    Back,
    /// Does what the large button at the bottom does.
    Next,
}

impl Shortcut {
    const ALL: [Self; 8] =
        // Redo before undo: egui takes the keys of the one for those of the other, which are fewer.
        [Self::Redo, Self::Undo, Self::Open, Self::Save, Self::Export, Self::Random, Self::Back, Self::Next];

    fn keys(self) -> KeyboardShortcut {
        match self {
            Self::Open => KeyboardShortcut::new(Modifiers::COMMAND, Key::O),
            Self::Save => KeyboardShortcut::new(Modifiers::COMMAND, Key::S),
            Self::Export => KeyboardShortcut::new(Modifiers::COMMAND, Key::E),
            Self::Undo => KeyboardShortcut::new(Modifiers::COMMAND, Key::Z),
            Self::Redo => KeyboardShortcut::new(Modifiers::COMMAND.plus(Modifiers::SHIFT), Key::Z),
            Self::Random => KeyboardShortcut::new(Modifiers::COMMAND, Key::R),
            Self::Back => KeyboardShortcut::new(Modifiers::NONE, Key::Escape),
            Self::Next => KeyboardShortcut::new(Modifiers::NONE, Key::Enter),
        }
    }

    /// The keys as this system writes them.
    pub fn text(self, ui: &Ui) -> String {
        ui.ctx().format_shortcut(&self.keys())
    }

    /// What it does on a step; `None` where it does nothing.
    fn action(self, view: &CreatorView) -> Option<CreatorAction> {
        use CreatorStep::{Finish, Generate, Photo, Refine, Welcome};
        let settings = &view.settings;
        match (self, view.step) {
            (Self::Open, Welcome) if settings.save => Some(CreatorAction::ChooseLoad),
            (Self::Open, Photo) => Some(CreatorAction::ChoosePhoto),
            (Self::Open, Refine | Finish) if settings.photos && view.agreed => Some(CreatorAction::ChoosePhoto),
            (Self::Save, Refine | Finish) if settings.save && !view.keep.saving => Some(CreatorAction::ChooseSave),
            (Self::Export, Refine | Finish) if settings.export && view.keep.exporting.is_none() => {
                Some(CreatorAction::ChooseExport)
            }
            (Self::Undo, Refine) if view.can_undo => Some(CreatorAction::Undo),
            (Self::Redo, Refine) if view.can_redo => Some(CreatorAction::Redo),
            (Self::Random, Welcome | Photo | Refine | Finish) => Some(CreatorAction::Random),
            (Self::Back, _) if view.keep.exporting.is_some() => Some(CreatorAction::CancelExport),
            (Self::Back, Generate) => Some(CreatorAction::Cancel),
            (Self::Back, _) if view.webcam.running => Some(CreatorAction::StopWebcam),
            (Self::Back, Photo) => Some(CreatorAction::GoTo(Welcome)),
            (Self::Back, Refine) => Some(CreatorAction::GoTo(if view.from_photo { Photo } else { Welcome })),
            (Self::Back, Finish) => Some(CreatorAction::GoTo(Refine)),
            (Self::Next, Photo) if can_create(view).is_ok() => Some(CreatorAction::Generate),
            (Self::Next, Refine) => Some(CreatorAction::GoTo(Finish)),
            _ => None,
        }
    }
}

/// Whether an avatar can be made from the photo, or why not.
pub(super) fn can_create(view: &CreatorView) -> super::Possible {
    use super::FacesView;
    use crate::creator::words;
    match &view.photo {
        PhotoView::Shown { faces: FacesView::Found(faces), .. } if !faces.is_empty() => Ok(()),
        PhotoView::Shown { faces: FacesView::Looking, .. } => Err(words::NEED_FACES),
        PhotoView::Shown { .. } => Err(words::NEED_FACE),
        PhotoView::Opening => Err(words::OPENING_PHOTO),
        PhotoView::None => Err(words::NEED_PHOTO),
    }
}

/// Takes the keys that were pressed. What is typed into a text, and what keys do to the widget that has them, goes first.
pub fn shortcuts(ui: &mut Ui, view: &CreatorView, actions: &mut Vec<CreatorAction>) {
    let focused = ui.memory(|memory| memory.focused());
    let typing = ui.ctx().text_edit_focused();
    for shortcut in Shortcut::ALL {
        let keys = shortcut.keys();
        let plain = keys.modifiers == Modifiers::NONE;
        if (typing && !matches!(shortcut, Shortcut::Save | Shortcut::Open)) || (plain && focused.is_some()) {
            continue;
        }
        let Some(action) = shortcut.action(view) else { continue };
        if ui.input_mut(|input| input.consume_shortcut(&keys)) {
            actions.push(action);
        }
    }
}
