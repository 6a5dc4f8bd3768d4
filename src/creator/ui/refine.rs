//! The third step: variations, likeness, shape, skin, eyes, and how the avatar is looked at.

use bevy::color::{Color, ColorToComponents};
use bevy_egui::egui::{
    self, Align2, Button, Color32, Image, Rgba, Sense, Stroke, StrokeKind, Ui, Vec2, WidgetInfo, WidgetType,
    load::SizedTexture, vec2,
};

use super::{
    CreatorView, LightView, Shortcut, VariationView, expression,
    photo::{portrait, quality},
    theme, widgets,
};
use crate::creator::{CreatorAction, CreatorEdits, CreatorStep, LightPreset, TraitGroup, presets::EYE_COLOURS, words};
use widgets::{Icon, Slid};

/// Perceptual roughness of skin, from glossy to matte.
const ROUGHNESS: (f32, f32) = (0.25, 0.8);

/// Side of the photo beside the avatar, in points.
const PORTRAIT: f32 = 112.0;

pub(super) fn show(ui: &mut Ui, view: &CreatorView, actions: &mut Vec<CreatorAction>) {
    if view.progress.working {
        working(ui, view);
    }
    variations(ui, view, actions);
    if view.settings.photos {
        likeness(ui, view, actions);
    }
    let mut edits = view.edits.clone();
    let mut slid = Slid::default();
    let enabled = !view.comparing;
    ui.add_enabled_ui(enabled, |ui| {
        if !view.traits.is_empty() {
            widgets::section(ui, words::SHAPE, |ui| shape(ui, view, &mut edits, &mut slid));
        }
        widgets::section(ui, words::SKIN, |ui| skin(ui, &mut edits, &mut slid));
        widgets::section(ui, words::EYES, |ui| eyes(ui, view.own_iris, &mut edits, &mut slid));
    });
    if slid.changed {
        actions.push(CreatorAction::Edit(Box::new(edits)));
    }
    if slid.done {
        actions.push(CreatorAction::Commit);
    }
    widgets::section(ui, words::EXPRESSION, |ui| expression::show(ui, view, actions));
    if let Some(light) = view.light {
        widgets::section(ui, words::LIGHT, |ui| lighting(ui, light, actions));
        widgets::section(ui, words::VIEW, |ui| look(ui, view, actions));
    } else {
        widgets::section(ui, words::VIEW, |ui| compare(ui, view, actions));
    }
}

pub(super) fn footer(ui: &mut Ui, view: &CreatorView, actions: &mut Vec<CreatorAction>) {
    ui.horizontal(|ui| {
        let possible = if view.can_undo { Ok(()) } else { Err(words::NOTHING_TO_UNDO) };
        if widgets::icon_text_button(ui, Icon::Undo, words::UNDO, &Shortcut::Undo.text(ui), possible) {
            actions.push(CreatorAction::Undo);
        }
        let possible = if view.can_redo { Ok(()) } else { Err(words::NOTHING_TO_REDO) };
        if widgets::icon_text_button(ui, Icon::Redo, words::REDO, &Shortcut::Redo.text(ui), possible) {
            actions.push(CreatorAction::Redo);
        }
        let possible = if view.edited { Ok(()) } else { Err(words::NOTHING_TO_RESET) };
        if widgets::button(ui, words::RESET, words::RESET_HINT, "", possible) {
            actions.push(CreatorAction::Reset);
        }
    });
    if widgets::primary(ui, words::CONTINUE, &Shortcut::Next.text(ui), Ok(())) {
        actions.push(CreatorAction::GoTo(CreatorStep::Finish));
    }
}

/// A thin bar while the shape or a variation is put on.
fn working(ui: &mut Ui, view: &CreatorView) {
    let bar = egui::ProgressBar::new(view.progress.fraction).desired_height(4.0).fill(theme::ACCENT).corner_radius(2);
    ui.add(bar);
    ui.ctx().request_repaint();
}

fn variations(ui: &mut Ui, view: &CreatorView, actions: &mut Vec<CreatorAction>) {
    if view.variations.is_empty() {
        return;
    }
    widgets::section(ui, words::VARIATIONS, |ui| {
        let (hint, more) = if view.from_photo {
            (words::VARIATIONS_HINT, words::MORE_VARIATIONS)
        } else {
            (words::VARIATIONS_RANDOM_HINT, words::MORE_PEOPLE)
        };
        widgets::note(ui, hint);
        let columns = view.variations.len().clamp(3, 4);
        let gap = 8.0;
        let side = ((ui.available_width() - gap * (columns - 1) as f32) / columns as f32).floor();
        for (row, pictures) in view.variations.chunks(columns).enumerate() {
            ui.horizontal(|ui| {
                ui.spacing_mut().item_spacing.x = gap;
                for (column, picture) in pictures.iter().enumerate() {
                    let index = row * columns + column;
                    if variation(ui, index, picture, side) {
                        actions.push(CreatorAction::TakeVariation(index));
                    }
                }
            });
        }
        if widgets::button(ui, more, "", "", Ok(())) {
            actions.push(CreatorAction::MoreVariations);
        }
    });
}

fn variation(ui: &mut Ui, index: usize, view: &VariationView, side: f32) -> bool {
    let sense = if view.picture.is_some() { Sense::click() } else { Sense::hover() };
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(side), sense);
    let (name, enabled) = (words::variation(index), view.picture.is_some());
    response.widget_info(|| WidgetInfo::selected(WidgetType::Button, enabled, view.chosen, &name));
    ui.painter().rect_filled(rect, theme::CORNERS, theme::SUNKEN);
    match view.picture {
        Some(id) => {
            let texture = SizedTexture { id, size: rect.size() };
            Image::from_texture(texture).corner_radius(theme::CORNERS).paint_at(ui, rect);
        }
        None if view.working => {
            let spinner = egui::Rect::from_center_size(rect.center(), Vec2::splat(20.0));
            ui.put(spinner, egui::Spinner::new().size(20.0).color(theme::ACCENT));
        }
        None => {
            let sign = if view.failed { "!" } else { "…" };
            let font = egui::FontId::proportional(18.0);
            ui.painter().text(rect.center(), Align2::CENTER_CENTER, sign, font, theme::WEAK);
        }
    }
    let line = if view.chosen || response.has_focus() {
        Stroke::new(2.0, theme::ACCENT)
    } else if response.hovered() && enabled {
        Stroke::new(2.0, theme::WEAK)
    } else {
        Stroke::new(1.0, theme::LINE)
    };
    ui.painter().rect_stroke(rect, theme::CORNERS, line, StrokeKind::Inside);
    response.clicked()
}

fn likeness(ui: &mut Ui, view: &CreatorView, actions: &mut Vec<CreatorAction>) {
    widgets::section(ui, words::LIKENESS, |ui| {
        if !view.from_photo {
            widgets::note(ui, words::LIKENESS_NO_PHOTO);
            return;
        }
        ui.horizontal_top(|ui| {
            portrait(ui, view, PORTRAIT);
            ui.vertical(|ui| quality(ui, view.quality, actions));
        });
        let possible = if view.progress.working { Err(words::STILL_WORKING) } else { Ok(()) };
        if widgets::button(ui, words::LIKENESS_AGAIN, words::LIKENESS_HINT, "", possible) {
            actions.push(CreatorAction::Generate);
        }
    });
}

fn shape(ui: &mut Ui, view: &CreatorView, edits: &mut CreatorEdits, slid: &mut Slid) {
    let id = ui.make_persistent_id("trait group");
    let present = |group: TraitGroup| view.traits.iter().any(|slider| slider.group == group);
    let groups: Vec<_> = TraitGroup::ALL
        .into_iter()
        .filter(|(group, _)| present(*group))
        .map(|(group, name)| (group, name, ""))
        .collect();
    let first = groups.first().map_or(TraitGroup::Face, |(group, ..)| *group);
    let mut shown = ui.data(|data| data.get_temp::<TraitGroup>(id)).filter(|group| present(*group)).unwrap_or(first);
    if let Some(group) = widgets::choices(ui, &groups, Some(shown)) {
        shown = group;
        ui.data_mut(|data| data.insert_temp(id, group));
    }
    for slider in view.traits.iter().filter(|slider| slider.group == shown) {
        let mut value = edits.shape.get(slider.name);
        let moved = widgets::slider(ui, slider.label, (slider.low, slider.high), &mut value, slider.range);
        if moved.changed {
            edits.shape.set(slider.name, value);
        }
        slid.add(moved);
    }
}

fn skin(ui: &mut Ui, edits: &mut CreatorEdits, slid: &mut Slid) {
    let tone = (words::TONE_LOW, words::TONE_HIGH);
    slid.add(widgets::slider(ui, words::TONE, tone, &mut edits.lightness, (-1.0, 1.0)));
    let warmth = (words::WARMTH_LOW, words::WARMTH_HIGH);
    slid.add(widgets::slider(ui, words::WARMTH, warmth, &mut edits.warmth, (-1.0, 1.0)));
    let shine = (words::ROUGHNESS_LOW, words::ROUGHNESS_HIGH);
    slid.add(widgets::slider(ui, words::ROUGHNESS, shine, &mut edits.roughness, ROUGHNESS));
}

fn eyes(ui: &mut Ui, own: Color, edits: &mut CreatorEdits, slid: &mut Slid) {
    let linear = edits.iris.unwrap_or(own).to_linear().to_f32_array_no_alpha();
    // As it looks in an eye, where it is lit from all sides.
    let shown = |[red, green, blue]: [f32; 3]| Color32::from(Rgba::from_rgb(1.6 * red, 1.6 * green, 1.6 * blue));
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(5.0, 6.0);
        let of_person = shown(own.to_linear().to_f32_array_no_alpha());
        if widgets::swatch(ui, words::EYES_OWN, of_person, edits.iris.is_none()) {
            edits.iris = None;
            slid.add(Slid { changed: true, done: true });
        }
        for (name, colour) in EYE_COLOURS {
            let near = colour.iter().zip(linear).all(|(a, b)| (a - b).abs() < 1e-4);
            if widgets::swatch(ui, name, shown(colour), near && edits.iris.is_some()) {
                let [red, green, blue] = colour;
                edits.iris = Some(Color::linear_rgb(red, green, blue));
                slid.add(Slid { changed: true, done: true });
            }
        }
    });
    ui.horizontal(|ui| {
        let mut rgb = linear;
        let response = ui.color_edit_button_rgb(&mut rgb);
        response.widget_info(|| WidgetInfo::labeled(WidgetType::ColorButton, true, words::EYES_CUSTOM));
        if response.changed() {
            edits.iris = Some(Color::linear_rgb(rgb[0], rgb[1], rgb[2]));
            let held = ui.input(|input| input.pointer.any_down());
            slid.add(Slid { changed: true, done: !held });
        }
        widgets::weak(ui, words::EYES_CUSTOM);
    });
}

fn lighting(ui: &mut Ui, view: LightView, actions: &mut Vec<CreatorAction>) {
    if let Some(preset) = widgets::choices(ui, &LightPreset::ALL, Some(view.preset)) {
        actions.push(CreatorAction::Light(preset));
    }
    let mut yaw = view.yaw;
    let ends = (words::LIGHT_TURN_LOW, words::LIGHT_TURN_HIGH);
    if widgets::slider(ui, words::LIGHT_TURN, ends, &mut yaw, (-180.0, 180.0)).changed {
        actions.push(CreatorAction::TurnLight(yaw));
    }
}

fn look(ui: &mut Ui, view: &CreatorView, actions: &mut Vec<CreatorAction>) {
    ui.horizontal_wrapped(|ui| {
        let turning = Button::selectable(view.turntable, words::TURNTABLE).frame_when_inactive(true);
        if ui.add(turning).on_hover_text(words::TURNTABLE_HINT).clicked() {
            actions.push(CreatorAction::Turntable(!view.turntable));
        }
        if widgets::button(ui, words::RESET_VIEW, words::RESET_VIEW_HINT, "", Ok(())) {
            actions.push(CreatorAction::ResetView);
        }
    });
    compare(ui, view, actions);
    widgets::note(ui, words::VIEW_HELP);
}

fn compare(ui: &mut Ui, view: &CreatorView, actions: &mut Vec<CreatorAction>) {
    let possible = view.edited || view.comparing;
    let comparing = Button::selectable(view.comparing, words::COMPARE).frame_when_inactive(true);
    let response = ui.add_enabled(possible, comparing).on_hover_text(words::COMPARE_HINT);
    if response.on_disabled_hover_text(words::NOTHING_TO_RESET).clicked() {
        actions.push(CreatorAction::Compare(!view.comparing));
    }
}
