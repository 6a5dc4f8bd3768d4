//! The second step: a photo, and which face of it is meant.

use bevy_egui::egui::{
    self, Align2, Color32, CornerRadius, FontId, Image, Pos2, Rect, RichText, Sense, Shape, Stroke, StrokeKind,
    TextureId, Ui, Vec2, WidgetInfo, WidgetType, load::SizedTexture, pos2, vec2,
};

use super::{CreatorView, FacesView, PhotoView, Shortcut, paths, shortcuts::can_create, theme, widgets};
use crate::{
    creator::{CreatorAction, words},
    pipeline::Guidance,
};

/// Greatest height of a picture in points: the buttons below it are to be seen in a window 720 points high.
const PICTURE_HEIGHT: f32 = 236.0;

pub(super) fn show(ui: &mut Ui, view: &CreatorView, actions: &mut Vec<CreatorAction>) {
    if view.webcam.running {
        return webcam(ui, view, actions);
    }
    let dropping = ui.input(|input| !input.raw.hovered_files.is_empty());
    match &view.photo {
        PhotoView::Shown { texture, size, faces, chosen, warnings } if !dropping => {
            picture(ui, *texture, *size, faces, *chosen, actions);
            faces_line(ui, faces, *chosen, actions);
            warnings.iter().for_each(|warning| widgets::remark(ui, warning));
            let keys = Shortcut::Open.text(ui);
            ui.horizontal_wrapped(|ui| {
                if widgets::button(ui, words::OTHER_PHOTO, "", &keys, Ok(())) {
                    actions.push(CreatorAction::ChoosePhoto);
                }
                if widgets::button(ui, words::REMOVE_PHOTO, "", "", Ok(())) {
                    actions.push(CreatorAction::RemovePhoto);
                }
            });
        }
        photo => {
            ui.label(RichText::new(words::PHOTO_HEADING).size(18.0));
            drop_zone(ui, dropping, matches!(photo, PhotoView::Opening));
            widgets::weak(ui, words::PHOTO_TIPS);
            let keys = Shortcut::Open.text(ui);
            if widgets::wide_button(ui, words::CHOOSE_PHOTO, "", &keys, Ok(())) {
                actions.push(CreatorAction::ChoosePhoto);
            }
        }
    }
    if view.webcam.offered && widgets::wide_button(ui, words::WEBCAM, "", "", Ok(())) {
        actions.push(CreatorAction::StartWebcam);
    }
    if let Some(path) = paths::field(ui, words::PATH, words::PATH_HINT, words::OPEN, Ok(())) {
        actions.push(CreatorAction::OpenPhoto(path));
    }
    widgets::section(ui, words::QUALITY, |ui| quality(ui, view.quality, actions));
    widgets::note(ui, words::PRIVACY_LINE);
}

pub(super) fn footer(ui: &mut Ui, view: &CreatorView, actions: &mut Vec<CreatorAction>) {
    let possible = if view.webcam.running { Err(words::NEED_PHOTO) } else { can_create(view) };
    if widgets::primary(ui, words::CREATE, &Shortcut::Next.text(ui), possible) {
        actions.push(CreatorAction::Generate);
    }
}

/// Choices of how much work is put into likeness.
pub(super) fn quality(ui: &mut Ui, chosen: Guidance, actions: &mut Vec<CreatorAction>) {
    let options = [Guidance::Off, Guidance::Fast, Guidance::Balanced, Guidance::Best].map(|quality| {
        let (name, hint) = words::quality(quality);
        (quality, name, hint)
    });
    if let Some(quality) = widgets::choices(ui, &options, Some(chosen)) {
        actions.push(CreatorAction::Quality(quality));
    }
    widgets::note(ui, words::quality(chosen).1);
}

fn drop_zone(ui: &mut Ui, dropping: bool, opening: bool) {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 150.0), Sense::hover());
    let text = match (opening, dropping) {
        (true, _) => words::OPENING_PHOTO,
        (_, true) => words::DROP_NOW,
        _ => words::DROP_HERE,
    };
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Label, true, text));
    let (fill, line) = if dropping { (theme::CHOSEN, theme::ACCENT) } else { (theme::SUNKEN, theme::WEAK) };
    let painter = ui.painter();
    painter.rect_filled(rect, theme::CARD_CORNERS, fill);
    let corners = [rect.left_top(), rect.right_top(), rect.right_bottom(), rect.left_bottom(), rect.left_top()];
    let inside = rect.shrink(8.0);
    let path = corners.map(|corner| inside.clamp(corner));
    painter.extend(Shape::dashed_line(&path, Stroke::new(1.5, line.gamma_multiply(0.8)), 7.0, 6.0));
    if opening {
        let spinner = Rect::from_center_size(rect.center() - vec2(0.0, 16.0), Vec2::splat(28.0));
        ui.put(spinner, egui::Spinner::new().size(28.0).color(theme::ACCENT));
    } else {
        frame_icon(ui, rect.center() - vec2(0.0, 26.0), if dropping { theme::ACCENT } else { theme::WEAK });
    }
    let painter = ui.painter();
    let place = rect.center() + vec2(0.0, 22.0);
    painter.text(place, Align2::CENTER_CENTER, text, FontId::proportional(16.0), theme::TEXT);
    let place = rect.center() + vec2(0.0, 44.0);
    painter.text(place, Align2::CENTER_CENTER, words::DROP_FORMATS, theme::small(), theme::WEAK);
}

/// A head in a frame.
fn frame_icon(ui: &Ui, centre: Pos2, colour: Color32) {
    let (painter, stroke) = (ui.painter(), Stroke::new(1.8, colour));
    let frame = Rect::from_center_size(centre, vec2(46.0, 46.0));
    painter.rect_stroke(frame, CornerRadius::same(6), stroke, StrokeKind::Inside);
    painter.circle_stroke(centre - vec2(0.0, 6.0), 8.0, stroke);
    let shoulders: Vec<Pos2> = (0..=12)
        .map(|step| {
            let angle = std::f32::consts::PI * (1.0 + step as f32 / 12.0);
            pos2(centre.x + 14.0 * angle.cos(), centre.y + 17.0 + 10.0 * angle.sin())
        })
        .collect();
    painter.add(Shape::line(shoulders, stroke));
}

/// The largest rectangle of the shape of `size` in the width that there is and a height.
fn fitted(ui: &mut Ui, size: Vec2, height: f32, sense: Sense) -> (Rect, egui::Response) {
    let width = ui.available_width();
    let scale = (width / size.x.max(1.0)).min(height / size.y.max(1.0));
    let (room, response) = ui.allocate_exact_size(vec2(width, scale * size.y), sense);
    (Rect::from_center_size(room.center(), scale * size), response)
}

/// The face of the photo that is meant, as a square, to compare the avatar with.
pub(super) fn portrait(ui: &mut Ui, view: &CreatorView, side: f32) {
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(side), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Image, true, words::PHOTO));
    ui.painter().rect_filled(rect, theme::CARD_CORNERS, theme::SUNKEN);
    let PhotoView::Shown { texture: Some(id), size, faces: FacesView::Found(faces), chosen, .. } = &view.photo else {
        return;
    };
    let Some(face) = faces.get(chosen.unwrap_or_default()) else { return };
    // With hair and chin, as far as the photo goes.
    let shown = Vec2::splat((1.5 * face.size().max_elem()).min(size.min_elem()));
    let corner = (face.center() - 0.5 * shown).clamp(Pos2::ZERO, (*size - shown).to_pos2());
    let uv = Rect::from_min_max((corner.to_vec2() / *size).to_pos2(), ((corner.to_vec2() + shown) / *size).to_pos2());
    let image = Image::from_texture(SizedTexture { id: *id, size: rect.size() }).uv(uv);
    image.corner_radius(theme::CARD_CORNERS).paint_at(ui, rect);
}

fn picture(
    ui: &mut Ui,
    texture: Option<TextureId>,
    size: Vec2,
    faces: &FacesView,
    chosen: Option<usize>,
    actions: &mut Vec<CreatorAction>,
) {
    let (rect, response) = fitted(ui, size, PICTURE_HEIGHT, Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Image, true, words::PHOTO));
    match texture {
        Some(id) => {
            Image::from_texture(SizedTexture { id, size }).corner_radius(theme::CARD_CORNERS).paint_at(ui, rect);
        }
        None => drop(ui.painter().rect_filled(rect, theme::CARD_CORNERS, theme::SUNKEN)),
    }
    let FacesView::Found(found) = faces else { return };
    let scale = rect.width() / size.x.max(1.0);
    for (index, face) in found.iter().enumerate() {
        let place = |point: Pos2| rect.min + scale * (point.to_vec2());
        let outline = Rect::from_min_max(place(face.min), place(face.max)).intersect(rect);
        let meant = found.len() == 1 || chosen == Some(index);
        let mut hovered = false;
        if found.len() > 1 {
            // The buttons below are for the keyboard.
            let response = ui.interact(outline, ui.id().with(("face", index)), Sense::CLICK);
            hovered = response.hovered();
            if response.on_hover_cursor(egui::CursorIcon::PointingHand).clicked() {
                actions.push(CreatorAction::ChooseFace(index));
            }
        }
        let colour = if meant { theme::ACCENT } else { Color32::from_white_alpha(if hovered { 230 } else { 140 }) };
        let painter = ui.painter();
        // Readable on any photo.
        painter.rect_stroke(
            outline,
            CornerRadius::same(4),
            Stroke::new(4.0, Color32::from_black_alpha(110)),
            StrokeKind::Middle,
        );
        painter.rect_stroke(outline, CornerRadius::same(4), Stroke::new(2.0, colour), StrokeKind::Middle);
        if found.len() > 1 {
            let badge = Rect::from_min_size(outline.min - vec2(1.0, 1.0), vec2(18.0, 18.0));
            painter.rect_filled(badge, CornerRadius::same(4), colour);
            let number = (index + 1).to_string();
            painter.text(badge.center(), Align2::CENTER_CENTER, number, theme::small(), theme::ON_ACCENT);
        }
    }
}

fn faces_line(ui: &mut Ui, faces: &FacesView, chosen: Option<usize>, actions: &mut Vec<CreatorAction>) {
    match faces {
        FacesView::Looking => drop(ui.horizontal(|ui| {
            ui.add(egui::Spinner::new().size(16.0).color(theme::ACCENT));
            widgets::weak(ui, words::LOOKING);
        })),
        FacesView::Found(found) if found.len() == 1 => drop(widgets::weak(ui, words::ONE_FACE)),
        FacesView::Found(found) => {
            ui.label(words::WHICH_FACE);
            let names: Vec<String> = (0..found.len()).map(words::face).collect();
            let options: Vec<_> = names.iter().enumerate().map(|(index, name)| (index, name.as_str(), "")).collect();
            if let Some(face) = widgets::choices(ui, &options, chosen) {
                actions.push(CreatorAction::ChooseFace(face));
            }
        }
        // A notice says so.
        FacesView::None => {}
    }
}

fn webcam(ui: &mut Ui, view: &CreatorView, actions: &mut Vec<CreatorAction>) {
    let size = view.webcam.picture.map_or(vec2(4.0, 3.0), |(_, size)| size);
    let (rect, response) = fitted(ui, size, 300.0, Sense::hover());
    let name = if view.webcam.picture.is_some() { words::WEBCAM_PICTURE } else { words::WEBCAM_STARTING };
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Image, true, name));
    match view.webcam.picture {
        Some((id, size)) => {
            // As in a mirror.
            let mirrored = Rect::from_min_max(pos2(1.0, 0.0), pos2(0.0, 1.0));
            let image = Image::from_texture(SizedTexture { id, size }).uv(mirrored);
            image.corner_radius(theme::CARD_CORNERS).paint_at(ui, rect);
        }
        None => {
            ui.painter().rect_filled(rect, theme::CARD_CORNERS, theme::SUNKEN);
            let spinner = Rect::from_center_size(rect.center() - vec2(0.0, 14.0), Vec2::splat(28.0));
            ui.put(spinner, egui::Spinner::new().size(28.0).color(theme::ACCENT));
            let place = rect.center() + vec2(0.0, 22.0);
            ui.painter().text(place, Align2::CENTER_CENTER, name, FontId::proportional(15.0), theme::WEAK);
        }
    }
    let ready = if view.webcam.picture.is_some() { Ok(()) } else { Err(words::WEBCAM_STARTING) };
    if widgets::primary(ui, words::TAKE_PICTURE, "", ready) {
        actions.push(CreatorAction::TakePicture);
    }
    if widgets::wide_button(ui, words::WEBCAM_STOP, "", &Shortcut::Back.text(ui), Ok(())) {
        actions.push(CreatorAction::StopWebcam);
    }
    widgets::note(ui, words::PRIVACY_LINE);
}
