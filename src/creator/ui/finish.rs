//! The last step: save, export, forget, and take the avatar.

use bevy_egui::egui::{Checkbox, ProgressBar, Ui};

use super::{CreatorView, Shortcut, paths, theme, widgets};
use crate::creator::{CreatorAction, words};

pub(super) fn show(ui: &mut Ui, view: &CreatorView, actions: &mut Vec<CreatorAction>) {
    ui.label(bevy_egui::egui::RichText::new(words::FINISH_HEADING).size(18.0));
    if view.settings.save {
        widgets::section(ui, words::SAVE_HEADING, |ui| save(ui, view, actions));
    }
    if view.settings.export {
        widgets::section(ui, words::EXPORT_HEADING, |ui| export(ui, view, actions));
    }
    widgets::section(ui, words::FORGET_HEADING, |ui| {
        widgets::note(ui, words::FORGET_HINT);
        let possible = if view.keep.can_forget { Ok(()) } else { Err(words::NOTHING_TO_FORGET) };
        if widgets::danger_button(ui, words::FORGET, "", possible) {
            actions.push(CreatorAction::Forget);
        }
    });
}

pub(super) fn footer(ui: &mut Ui, view: &CreatorView, actions: &mut Vec<CreatorAction>) {
    let busy = view.keep.saving || view.keep.exporting.is_some();
    let possible = match (busy, view.progress.working) {
        (true, _) => Err(words::BUSY),
        (_, true) => Err(words::STILL_WORKING),
        _ => Ok(()),
    };
    if widgets::primary(ui, words::ACCEPT, "", possible) {
        actions.push(CreatorAction::Accept);
    }
}

fn save(ui: &mut Ui, view: &CreatorView, actions: &mut Vec<CreatorAction>) {
    let keep = &view.keep;
    widgets::note(ui, words::SAVE_HINT);
    let mut identity = keep.keep_identity && keep.has_identity;
    let box_ = ui.add_enabled(keep.has_identity, Checkbox::new(&mut identity, words::KEEP_IDENTITY));
    if box_.on_disabled_hover_text(words::NO_IDENTITY).changed() {
        actions.push(CreatorAction::KeepIdentity(identity));
    }
    widgets::note(ui, if keep.has_identity { words::KEEP_IDENTITY_HINT } else { words::NO_IDENTITY });
    let possible = if keep.saving { Err(words::BUSY) } else { Ok(()) };
    if widgets::wide_button(ui, words::SAVE, "", &Shortcut::Save.text(ui), possible) {
        actions.push(CreatorAction::ChooseSave);
    }
    if let Some(path) = paths::field(ui, words::SAVE_PATH, words::PATH_TYPED, words::SAVE_NOW, possible) {
        actions.push(CreatorAction::Save(path));
    }
}

fn export(ui: &mut Ui, view: &CreatorView, actions: &mut Vec<CreatorAction>) {
    widgets::note(ui, words::EXPORT_HINT);
    if let Some(done) = view.keep.exporting {
        ui.add(ProgressBar::new(done).desired_height(10.0).fill(theme::ACCENT).corner_radius(5));
        if widgets::wide_button(ui, words::CANCEL, "", &Shortcut::Back.text(ui), Ok(())) {
            actions.push(CreatorAction::CancelExport);
        }
        ui.ctx().request_repaint();
        return;
    }
    if widgets::wide_button(ui, words::EXPORT, "", &Shortcut::Export.text(ui), Ok(())) {
        actions.push(CreatorAction::ChooseExport);
    }
    if let Some(path) = paths::field(ui, words::EXPORT_PATH, words::PATH_TYPED, words::EXPORT_NOW, Ok(())) {
        actions.push(CreatorAction::Export(path));
    }
}
