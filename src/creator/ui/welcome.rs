//! The first step: what happens with a photo, and the ways to begin.

use bevy_egui::egui::{RichText, Stroke, Ui};

use super::{CreatorView, Shortcut, paths, theme, widgets};
use crate::creator::{CreatorAction, CreatorStep, words};

pub(super) fn show(ui: &mut Ui, view: &CreatorView, actions: &mut Vec<CreatorAction>) {
    let settings = &view.settings;
    ui.label(RichText::new(words::WELCOME_HEADING).size(18.0));
    if settings.photos {
        widgets::card(ui, theme::CARD, Stroke::new(1.0, theme::LINE), |ui| {
            ui.label(RichText::new(words::CONSENT_HEADING).size(16.0).strong());
            widgets::weak(ui, words::CONSENT);
            ui.add_space(4.0);
            if widgets::primary(ui, words::AGREE, "", Ok(())) {
                actions.extend([CreatorAction::Agree, CreatorAction::GoTo(CreatorStep::Photo)]);
            }
            widgets::note(ui, words::AGREE_HINT);
        });
    }
    widgets::card(ui, theme::CARD, Stroke::NONE, |ui| {
        let keys = Shortcut::Random.text(ui);
        if widgets::wide_button(ui, words::RANDOM, "", &keys, Ok(())) {
            actions.push(CreatorAction::Random);
        }
        widgets::note(ui, words::RANDOM_HINT);
    });
    if settings.save {
        widgets::card(ui, theme::CARD, Stroke::NONE, |ui| {
            let keys = Shortcut::Open.text(ui);
            if widgets::wide_button(ui, words::LOAD, "", &keys, Ok(())) {
                actions.push(CreatorAction::ChooseLoad);
            }
            widgets::note(ui, words::LOAD_HINT);
            if let Some(path) = paths::field(ui, words::LOAD_PATH, words::PATH_TYPED, words::OPEN, Ok(())) {
                actions.push(CreatorAction::Load(path));
            }
        });
    }
}

pub(super) fn footer(ui: &mut Ui, actions: &mut Vec<CreatorAction>) {
    if widgets::primary(ui, words::CONTINUE, "", Ok(())) {
        actions.push(CreatorAction::GoTo(CreatorStep::Refine));
    }
}
