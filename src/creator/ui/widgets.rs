//! What the steps of the panel are built of.

use bevy_egui::egui::{
    self, Align, Button, Color32, FontSelection, Frame, Layout, Margin, Response, RichText, Sense, Slider,
    SliderClamping, Stroke, Ui, WidgetInfo, WidgetType, vec2,
};

use super::theme;
use crate::creator::{
    messages::{Notice, Tone},
    words,
};

/// Whether something can be done, or why not.
pub type Possible = Result<(), &'static str>;

/// What is to be done next: a wide button in the accent's colour. Where it cannot be done, the reason stands above it.
pub fn primary(ui: &mut Ui, text: &str, keys: &str, possible: Possible) -> bool {
    if let Err(reason) = possible {
        ui.label(RichText::new(reason).small().color(theme::WEAK));
    }
    let (fill, colour) =
        if possible.is_ok() { (theme::ACCENT, theme::ON_ACCENT) } else { (theme::BUTTON, theme::TEXT) };
    let button = Button::new(RichText::new(text).size(16.0).color(colour)).fill(fill);
    explain(wide(ui, button, 40.0, possible), "", keys, possible).clicked()
}

/// A plain button.
pub fn button(ui: &mut Ui, text: &str, hint: &str, keys: &str, possible: Possible) -> bool {
    let response = ui.add_enabled(possible.is_ok(), Button::new(text));
    explain(response, hint, keys, possible).clicked()
}

/// A plain button as wide as there is room.
pub fn wide_button(ui: &mut Ui, text: &str, hint: &str, keys: &str, possible: Possible) -> bool {
    let response = wide(ui, Button::new(text), theme::BUTTON_HEIGHT, possible);
    explain(response, hint, keys, possible).clicked()
}

/// Adds a button over the whole width, its text in the middle.
fn wide(ui: &mut Ui, button: Button, height: f32, possible: Possible) -> Response {
    let size = vec2(ui.available_width(), height);
    ui.add_enabled_ui(possible.is_ok(), |ui| ui.add_sized(size, button)).inner
}

/// A button for what cannot be taken back.
pub fn danger_button(ui: &mut Ui, text: &str, hint: &str, possible: Possible) -> bool {
    let label = RichText::new(text).color(theme::DANGER);
    let button = Button::new(label).stroke(Stroke::new(1.0, theme::DANGER.gamma_multiply(0.6))).fill(theme::CARD);
    explain(ui.add_enabled(possible.is_ok(), button), hint, "", possible).clicked()
}

fn explain(response: Response, hint: &str, keys: &str, possible: Possible) -> Response {
    let response = match possible {
        Ok(()) if hint.is_empty() && keys.is_empty() => response,
        Ok(()) if hint.is_empty() => response.on_hover_text(keys),
        Ok(()) => response.on_hover_text(words::with_keys(hint, keys)),
        Err(reason) => response.on_disabled_hover_text(reason),
    };
    focus_ring(&response);
    response
}

/// Brings what has the keyboard into view.
pub fn focus_ring(response: &Response) {
    if response.gained_focus() {
        response.scroll_to_me(None);
    }
}

/// Choices of which one is taken, in as many rows as they need. The one that was clicked is returned.
pub fn choices<T: Copy + PartialEq>(ui: &mut Ui, options: &[(T, &str, &str)], chosen: Option<T>) -> Option<T> {
    let mut taken = None;
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(6.0, 6.0);
        for &(option, text, hint) in options {
            let response = ui.add(Button::selectable(chosen == Some(option), text).frame_when_inactive(true));
            focus_ring(&response);
            let response = if hint.is_empty() { response } else { response.on_hover_text(hint) };
            if response.clicked() {
                taken = Some(option);
            }
        }
    });
    taken
}

/// What belongs together, under a title.
pub fn section<R>(ui: &mut Ui, title: &str, content: impl FnOnce(&mut Ui) -> R) -> R {
    card(ui, theme::CARD, Stroke::NONE, |ui| {
        ui.label(RichText::new(title).size(16.0).strong());
        content(ui)
    })
}

/// A card as wide as there is room.
pub fn card<R>(ui: &mut Ui, fill: Color32, line: Stroke, content: impl FnOnce(&mut Ui) -> R) -> R {
    let frame = Frame::new().fill(fill).stroke(line).corner_radius(theme::CARD_CORNERS).inner_margin(Margin::same(14));
    let shown = frame.show(ui, |ui| {
        ui.set_width(ui.available_width());
        content(ui)
    });
    shown.inner
}

/// Text of less weight that wraps.
pub fn weak(ui: &mut Ui, text: &str) -> Response {
    ui.label(RichText::new(text).color(theme::WEAK))
}

/// Small text of less weight that wraps.
pub fn note(ui: &mut Ui, text: &str) -> Response {
    ui.label(RichText::new(text).small().color(theme::WEAK))
}

/// What a slider did in a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slid {
    /// It has another value.
    pub changed: bool,
    /// The change is complete: it was let go, or moved by keys.
    pub done: bool,
}

impl Slid {
    /// What another slider did in the same frame counts as well.
    pub fn add(&mut self, other: Self) {
        self.changed |= other.changed;
        self.done |= other.done;
    }
}

/// A slider under its name, with words at its ends.
pub fn slider(ui: &mut Ui, name: &str, ends: (&str, &str), value: &mut f32, range: (f32, f32)) -> Slid {
    let mut slid = Slid::default();
    ui.vertical(|ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        ui.spacing_mut().interact_size.y = 18.0;
        let width = ui.available_width();
        ui.label(name);
        ui.spacing_mut().slider_width = width;
        // A value that is there is left as it is, whatever the slider makes of it.
        let slider = Slider::new(value, range.0..=range.1).show_value(false).clamping(SliderClamping::Edits);
        let response = ui.add(slider);
        let enabled = ui.is_enabled();
        let position = f64::from(*value);
        response.widget_info(|| WidgetInfo::slider(enabled, position, name));
        focus_ring(&response);
        // Only keys and a click change it without a drag.
        slid.changed = response.changed();
        slid.done = response.drag_stopped() || (response.changed() && !response.dragged());
        if !ends.0.is_empty() || !ends.1.is_empty() {
            ui.horizontal(|ui| {
                note(ui, ends.0);
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| note(ui, ends.1));
            });
        }
    });
    slid
}

/// A round button of one colour.
pub fn swatch(ui: &mut Ui, name: &str, colour: Color32, chosen: bool) -> bool {
    let (rect, response) = ui.allocate_exact_size(vec2(32.0, 32.0), Sense::click());
    let enabled = ui.is_enabled();
    response.widget_info(|| WidgetInfo::selected(WidgetType::Button, enabled, chosen, name));
    focus_ring(&response);
    let painter = ui.painter();
    let alpha = if enabled { 1.0 } else { 0.45 };
    painter.circle(rect.center(), 12.0, colour.gamma_multiply(alpha), Stroke::new(1.0, Color32::from_white_alpha(40)));
    if chosen || response.has_focus() || response.hovered() {
        let ring = if response.has_focus() || chosen { theme::ACCENT } else { theme::WEAK };
        painter.circle_stroke(rect.center(), 15.0, Stroke::new(2.0, ring));
    }
    response.on_hover_text(name).clicked()
}

/// A message that stays as long as what it is about.
pub fn remark(ui: &mut Ui, notice: &Notice) {
    let response =
        ui.label(RichText::new(format!("{} {}", notice.text, notice.advice)).small().color(colour(notice.tone)));
    if let Some(details) = &notice.details {
        response.on_hover_text(details);
    }
}

fn colour(tone: Tone) -> Color32 {
    match tone {
        Tone::Good => theme::GOOD,
        Tone::Hint => theme::ACCENT,
        Tone::Warning => theme::WARNING,
        Tone::Error => theme::DANGER,
    }
}

/// A message; whether it was dismissed.
pub fn notice(ui: &mut Ui, notice: &Notice) -> bool {
    let colour = colour(notice.tone);
    let mut dismissed = false;
    card(ui, theme::CARD, Stroke::new(1.0, colour.gamma_multiply(0.55)), |ui| {
        ui.spacing_mut().item_spacing.y = 4.0;
        ui.horizontal_top(|ui| {
            let cross = 22.0;
            ui.vertical(|ui| {
                ui.set_width(ui.available_width() - cross - ui.spacing().item_spacing.x);
                ui.label(RichText::new(&notice.text).color(colour));
                if !notice.advice.is_empty() {
                    ui.label(&notice.advice);
                }
            });
            dismissed = icon_button(ui, Icon::Cross, words::DISMISS, cross);
        });
        if let Some(details) = &notice.details {
            let id = ui.make_persistent_id(("details", &notice.text));
            let mut open = ui.data(|data| data.get_temp::<bool>(id).unwrap_or_default());
            let text = RichText::new(words::DETAILS).small().color(theme::WEAK).underline();
            let response = ui.add(Button::new(text).frame(false).small().selected(open).fill(Color32::TRANSPARENT));
            if response.on_hover_text(details).clicked() {
                open = !open;
                ui.data_mut(|data| data.insert_temp(id, open));
            }
            if open {
                note(ui, details);
            }
        }
    });
    dismissed
}

/// Drawings that buttons consist of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icon {
    /// To close.
    Cross,
    /// To go back in time.
    Undo,
    /// To go forward again.
    Redo,
}

/// A small button with a drawing; `name` is its tooltip and what screen readers say.
pub fn icon_button(ui: &mut Ui, icon: Icon, name: &str, side: f32) -> bool {
    let (rect, response) = ui.allocate_exact_size(vec2(side, side), Sense::click());
    let enabled = ui.is_enabled();
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Button, enabled, name));
    let colour = if response.hovered() || response.has_focus() { theme::TEXT } else { theme::WEAK };
    if response.has_focus() {
        ui.painter().rect_stroke(rect, theme::CORNERS, Stroke::new(2.0, theme::ACCENT), egui::StrokeKind::Inside);
    }
    draw(ui, icon, rect.shrink(0.28 * side), Stroke::new(1.6, colour));
    response.on_hover_text(name).clicked()
}

/// A plain button with a drawing before its text.
pub fn icon_text_button(ui: &mut Ui, icon: Icon, text: &str, keys: &str, possible: Possible) -> bool {
    let font = FontSelection::Default.resolve(ui.style());
    let room = 18.0;
    let galley = ui.painter().layout_no_wrap(text.to_owned(), font, Color32::PLACEHOLDER);
    let size = vec2(galley.size().x + room + 24.0, theme::BUTTON_HEIGHT);
    let enabled = possible.is_ok() && ui.is_enabled();
    let response = ui.add_enabled_ui(possible.is_ok(), |ui| {
        let (rect, response) = ui.allocate_exact_size(size, Sense::click());
        response.widget_info(|| WidgetInfo::labeled(WidgetType::Button, enabled, text));
        let visuals = *ui.style().interact(&response);
        ui.painter().rect(rect, theme::CORNERS, visuals.weak_bg_fill, visuals.bg_stroke, egui::StrokeKind::Inside);
        let place = egui::Rect::from_center_size(rect.left_center() + vec2(12.0 + 6.0, 0.0), vec2(12.0, 12.0));
        draw(ui, icon, place, Stroke::new(1.6, visuals.text_color()));
        let corner = rect.left_center() + vec2(12.0 + room, -0.5 * galley.size().y);
        ui.painter().galley(corner, galley, visuals.text_color());
        response
    });
    explain(response.inner, "", keys, possible).clicked()
}

fn draw(ui: &Ui, icon: Icon, rect: egui::Rect, stroke: Stroke) {
    let painter = ui.painter();
    match icon {
        Icon::Cross => {
            painter.line_segment([rect.left_top(), rect.right_bottom()], stroke);
            painter.line_segment([rect.right_top(), rect.left_bottom()], stroke);
        }
        Icon::Undo | Icon::Redo => {
            let side = if icon == Icon::Undo { 1.0 } else { -1.0 };
            let (centre, radius) = (rect.center() + vec2(0.0, 1.0), 0.42 * rect.width());
            let point = |degrees: f32| {
                let (sin, cos) = degrees.to_radians().sin_cos();
                centre + radius * vec2(side * cos, -sin)
            };
            let arc: Vec<_> = (-120..=180).step_by(15).map(|degrees| point(degrees as f32)).collect();
            let tip = *arc.last().expect("the arc has points");
            painter.add(egui::Shape::line(arc, stroke));
            painter.line_segment([tip, tip + vec2(-0.28 * side, -0.30) * rect.width()], stroke);
            painter.line_segment([tip, tip + vec2(0.34 * side, -0.16) * rect.width()], stroke);
        }
    }
}
