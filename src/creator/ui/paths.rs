//! Paths that are typed, for systems without a file dialog and for those who prefer it.

use std::path::PathBuf;

use bevy_egui::egui::{Align, Key, Layout, TextEdit, Ui, WidgetInfo, WidgetType, vec2};

use super::{
    theme,
    widgets::{Possible, button},
};
use crate::creator::words;

/// A text for a path with a button; the path, when the button or Enter is pressed. What is typed is kept while the panel
/// is open.
pub(super) fn field(ui: &mut Ui, name: &str, hint: &str, done: &str, possible: Possible) -> Option<PathBuf> {
    let id = ui.make_persistent_id(name);
    let mut text = ui.data(|data| data.get_temp::<String>(id).unwrap_or_default());
    let mut submitted = false;
    let size = vec2(ui.available_width(), theme::BUTTON_HEIGHT);
    ui.allocate_ui_with_layout(size, Layout::right_to_left(Align::Center), |ui| {
        let ready = if text.trim().is_empty() { Err(words::NO_PATH) } else { possible };
        submitted = button(ui, done, "", "", ready);
        let edit =
            TextEdit::singleline(&mut text).id(id).hint_text(hint).desired_width(f32::INFINITY).margin(vec2(8.0, 6.0));
        let response = ui.add_enabled(
            possible.is_ok(),
            edit.vertical_align(Align::Center).min_size(vec2(0.0, theme::BUTTON_HEIGHT)),
        );
        let (enabled, typed) = (possible.is_ok(), text.clone());
        response.widget_info(|| {
            let mut info = WidgetInfo::labeled(WidgetType::TextEdit, enabled, name);
            info.current_text_value = Some(typed.clone());
            info
        });
        let entered = response.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
        submitted |= entered && ready.is_ok() && !text.trim().is_empty();
        if response.changed() {
            ui.data_mut(|data| data.insert_temp(id, text.clone()));
        }
    });
    submitted.then(|| PathBuf::from(text.trim()))
}
