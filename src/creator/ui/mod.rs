//! The panel: plain values in, actions out. It knows nothing of Bevy's world, so that it can be tested and embedded
//! without one.

mod expression;
mod finish;
mod generate;
mod paths;
mod photo;
mod refine;
mod shortcuts;
pub mod theme;
mod view;
mod welcome;
mod widgets;

use bevy_egui::egui::{
    self, Align, CentralPanel, Frame, Layout, Margin, Panel, RichText, ScrollArea, Sense, Stroke, Ui, WidgetInfo,
    WidgetType, vec2,
};

pub use shortcuts::{Shortcut, shortcuts};
pub use view::{
    CreatorView, FacesView, KeepView, LightView, PhotoView, ProgressView, TraitView, VariationView, WebcamView,
};

use super::{CreatorAction, CreatorStep, words};
use widgets::{Icon, Possible, icon_button};

/// Draws the whole panel into the room that `ui` has, and adds what the player asks for to `actions`.
pub fn panel(ui: &mut Ui, view: &CreatorView, actions: &mut Vec<CreatorAction>) {
    ui.set_style(theme::style());
    shortcuts(ui, view, actions);
    let margin = Margin::symmetric(theme::MARGIN, 0);
    let frame = |margin| Frame::new().fill(theme::BACKGROUND).inner_margin(margin);
    Panel::top("creator header")
        .frame(frame(Margin { top: 16, ..margin }))
        .resizable(false)
        .show_separator_line(false)
        .show(ui, |ui| header(ui, view, actions));
    if !view.notices.is_empty() {
        // They are seen however far the step below is scrolled.
        let height = 0.45 * ui.available_height();
        Panel::top("creator notices")
            .frame(frame(Margin::ZERO))
            .resizable(false)
            .show_separator_line(false)
            .show(ui, |ui| notices(ui, view, height, actions));
    }
    // Before there is an avatar, the first step has nothing to go on to.
    if view.step != CreatorStep::Welcome || view.has_avatar {
        Panel::bottom("creator footer")
            .frame(frame(Margin { top: 10, bottom: 16, ..margin }))
            .resizable(false)
            .show_separator_line(true)
            .show(ui, |ui| footer(ui, view, actions));
    }
    CentralPanel::no_frame().frame(frame(Margin::ZERO)).show(ui, |ui| {
        ScrollArea::vertical()
            .id_salt(view.step)
            .auto_shrink([false, false])
            .content_margin(Margin::symmetric(theme::MARGIN, 12))
            .show(ui, |ui| {
                ui.spacing_mut().item_spacing.y = 12.0;
                match view.step {
                    CreatorStep::Welcome => welcome::show(ui, view, actions),
                    CreatorStep::Photo => photo::show(ui, view, actions),
                    CreatorStep::Generate => generate::show(ui, view),
                    CreatorStep::Refine => refine::show(ui, view, actions),
                    CreatorStep::Finish => finish::show(ui, view, actions),
                }
            });
    });
}

/// What is to be told.
fn notices(ui: &mut Ui, view: &CreatorView, height: f32, actions: &mut Vec<CreatorAction>) {
    let margin = Margin { top: 12, ..Margin::symmetric(theme::MARGIN, 0) };
    ScrollArea::vertical().max_height(height).content_margin(margin).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 8.0;
        for (index, notice) in view.notices.iter().enumerate() {
            if ui.push_id(("notice", index), |ui| widgets::notice(ui, notice)).inner {
                actions.push(CreatorAction::Dismiss(index));
            }
        }
    });
}

/// What leads on, at the bottom of a step.
fn footer(ui: &mut Ui, view: &CreatorView, actions: &mut Vec<CreatorAction>) {
    ui.spacing_mut().item_spacing.y = 8.0;
    match view.step {
        CreatorStep::Welcome => welcome::footer(ui, actions),
        CreatorStep::Photo => photo::footer(ui, view, actions),
        CreatorStep::Generate => generate::footer(ui, view, actions),
        CreatorStep::Refine => refine::footer(ui, view, actions),
        CreatorStep::Finish => finish::footer(ui, view, actions),
    }
}

/// What stands where the avatar will be.
pub fn empty_stage(context: &egui::Context, free: egui::Rect) {
    let painter = context.layer_painter(egui::LayerId::background()).with_clip_rect(free);
    let colour = theme::WEAK.gamma_multiply(0.35);
    let (centre, size) = (free.center() - vec2(0.0, 0.05 * free.height()), 0.16 * free.height());
    let outline = egui::epaint::EllipseShape::stroke(centre, vec2(0.74 * size, size), Stroke::new(2.0, colour));
    painter.add(outline);
    let place = centre + vec2(0.0, size + 36.0);
    let font = egui::FontId::proportional(16.0);
    painter.text(place, egui::Align2::CENTER_CENTER, words::EMPTY_STAGE, font, theme::WEAK);
}

/// Title, the way to close, and the steps.
fn header(ui: &mut Ui, view: &CreatorView, actions: &mut Vec<CreatorAction>) {
    ui.horizontal(|ui| {
        ui.label(RichText::new(words::TITLE).heading().color(theme::TEXT));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if icon_button(ui, Icon::Cross, words::CLOSE, 28.0) {
                actions.push(CreatorAction::Close);
            }
        });
    });
    ui.add_space(4.0);
    let steps: Vec<_> = steps(view).collect();
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        let width = (ui.available_width() - 4.0 * (steps.len() as f32 - 1.0)) / steps.len() as f32;
        for (step, name, possible) in steps {
            // The avatar is generated between the photo and what is made of it.
            let current = step == view.step || (view.step == CreatorStep::Generate && step == CreatorStep::Refine);
            if tab(ui, name, current, possible, width) {
                actions.push(CreatorAction::GoTo(step));
            }
        }
    });
}

/// The steps that are offered, and whether they can be gone to.
fn steps(view: &CreatorView) -> impl Iterator<Item = (CreatorStep, &'static str, Possible)> {
    let photo = if view.agreed { Ok(()) } else { Err(words::NO_PHOTO_STEP) };
    let avatar = if view.has_avatar { Ok(()) } else { Err(words::NO_AVATAR_YET) };
    let working = view.progress.working;
    let all = [
        (CreatorStep::Welcome, words::STEP_START, Ok(())),
        (CreatorStep::Photo, words::STEP_PHOTO, photo),
        (CreatorStep::Refine, words::STEP_REFINE, avatar),
        (CreatorStep::Finish, words::STEP_FINISH, avatar),
    ];
    let photos = view.settings.photos;
    all.into_iter()
        .filter(move |(step, ..)| photos || *step != CreatorStep::Photo)
        .map(move |(step, name, possible)| (step, name, if working { Err(words::STILL_WORKING) } else { possible }))
}

fn tab(ui: &mut Ui, name: &str, current: bool, possible: Possible, width: f32) -> bool {
    let enabled = possible.is_ok();
    let sense = if enabled && !current { Sense::click() } else { Sense::hover() };
    let (rect, response) = ui.allocate_exact_size(vec2(width, 34.0), sense);
    response.widget_info(|| WidgetInfo::selected(WidgetType::Button, enabled, current, name));
    let colour = if current {
        theme::ACCENT
    } else if !enabled {
        theme::WEAK.gamma_multiply(0.55)
    } else if response.hovered() || response.has_focus() {
        theme::TEXT
    } else {
        theme::WEAK
    };
    let painter = ui.painter();
    let text = egui::FontId::proportional(14.0);
    painter.text(rect.center() - vec2(0.0, 1.0), egui::Align2::CENTER_CENTER, name, text, colour);
    let line = if current { Stroke::new(2.0, theme::ACCENT) } else { Stroke::new(1.0, theme::LINE) };
    painter.hline(rect.x_range(), rect.bottom() - 1.0, line);
    if response.has_focus() {
        let inside = rect.shrink2(vec2(0.0, 4.0));
        painter.rect_stroke(inside, theme::CORNERS, Stroke::new(2.0, theme::ACCENT), egui::StrokeKind::Inside);
    }
    match possible {
        Ok(()) => response.clicked(),
        Err(reason) => {
            if !current {
                response.on_hover_text(reason);
            }
            false
        }
    }
}
