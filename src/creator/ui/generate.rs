//! While an avatar is generated.

use bevy_egui::egui::{
    FontId, Image, ProgressBar, Rect, RichText, Sense, Ui, Vec2, WidgetInfo, WidgetType, load::SizedTexture, vec2,
};

use super::{CreatorView, ProgressView, Shortcut, photo::portrait, theme, widgets};
use crate::creator::{CreatorAction, words};

pub(super) fn show(ui: &mut Ui, view: &CreatorView) {
    let progress = &view.progress;
    ui.label(RichText::new(words::GENERATE_HEADING).size(18.0));
    let gap = 8.0;
    if progress.of_photo {
        let side = ((ui.available_width() - gap) / 2.0).floor();
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = gap;
            portrait(ui, view, side);
            preview(ui, progress, side, side);
        });
    } else {
        let width = ui.available_width();
        preview(ui, progress, width, width.min(300.0));
    }
    ui.add_space(4.0);
    let percent = format!("{:.0} %", 100.0 * progress.fraction);
    ui.horizontal(|ui| {
        ui.label(words::stage(progress.stage));
        ui.with_layout(bevy_egui::egui::Layout::right_to_left(bevy_egui::egui::Align::Center), |ui| {
            ui.label(RichText::new(percent).color(theme::WEAK));
        });
    });
    let bar = ProgressBar::new(progress.fraction).desired_height(10.0).fill(theme::ACCENT).corner_radius(5);
    ui.add(bar).widget_info(|| {
        let mut info = WidgetInfo::labeled(WidgetType::ProgressIndicator, true, words::stage(progress.stage));
        info.value = Some(f64::from(100.0 * progress.fraction));
        info
    });
    // Keeps its line when there is nothing to tell yet.
    widgets::note(ui, &format!("{} ", words::remaining(progress.remaining)));
    ui.ctx().request_repaint();
}

/// The skin as it emerges: a square in the middle of a width.
fn preview(ui: &mut Ui, progress: &ProgressView, width: f32, side: f32) {
    let (room, response) = ui.allocate_exact_size(vec2(width, side), Sense::hover());
    let rect = Rect::from_center_size(room.center(), Vec2::splat(side));
    let name = if progress.preview.is_some() { words::PREVIEW } else { words::PREVIEW_EMPTY };
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Image, true, name));
    ui.painter().rect_filled(rect, theme::CARD_CORNERS, theme::SUNKEN);
    match progress.preview {
        Some(id) => {
            let texture = SizedTexture { id, size: rect.size() };
            Image::from_texture(texture).corner_radius(theme::CARD_CORNERS).paint_at(ui, rect);
        }
        None => {
            let (font, words) = (FontId::proportional(14.0), words::PREVIEW_EMPTY.to_owned());
            let text = ui.painter().layout(words, font, theme::WEAK, side - 24.0);
            ui.painter().galley(rect.center() - 0.5 * text.size(), text, theme::WEAK);
        }
    }
}

pub(super) fn footer(ui: &mut Ui, _view: &CreatorView, actions: &mut Vec<CreatorAction>) {
    let keys = Shortcut::Back.text(ui);
    if widgets::wide_button(ui, words::CANCEL_WORK, "", &keys, Ok(())) {
        actions.push(CreatorAction::Cancel);
    }
}
