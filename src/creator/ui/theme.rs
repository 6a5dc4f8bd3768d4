//! Colours, spacing and type of the panel.

use bevy_egui::egui::{
    Color32, CornerRadius, FontFamily, FontId, Margin, Shadow, Stroke, Style, TextStyle, Vec2, Visuals, vec2,
};

/// Width of the panel in points.
pub const WIDTH: f32 = 400.0;

/// Space between the panel's edge and what is in it, in points.
pub const MARGIN: i8 = 20;

/// Behind everything.
pub const BACKGROUND: Color32 = Color32::from_rgb(19, 22, 27);
/// Behind what belongs together.
pub const CARD: Color32 = Color32::from_rgb(27, 31, 38);
/// Behind text that can be edited, and rails.
pub const SUNKEN: Color32 = Color32::from_rgb(13, 15, 19);
/// Lines between.
pub const LINE: Color32 = Color32::from_rgb(44, 50, 60);
/// Buttons.
pub const BUTTON: Color32 = Color32::from_rgb(42, 48, 58);
const BUTTON_HOVERED: Color32 = Color32::from_rgb(54, 62, 74);
const BUTTON_PRESSED: Color32 = Color32::from_rgb(36, 41, 50);
/// Text.
pub const TEXT: Color32 = Color32::from_rgb(222, 227, 233);
/// Text of less weight; at least 4.5 : 1 on [`CARD`].
pub const WEAK: Color32 = Color32::from_rgb(150, 160, 172);
/// What is chosen, and what to do next.
pub const ACCENT: Color32 = Color32::from_rgb(111, 188, 199);
/// Text on [`ACCENT`].
pub const ON_ACCENT: Color32 = Color32::from_rgb(10, 22, 26);
/// Behind what is chosen.
pub const CHOSEN: Color32 = Color32::from_rgb(35, 74, 82);
/// It is done.
pub const GOOD: Color32 = Color32::from_rgb(126, 196, 140);
/// It works, but not well.
pub const WARNING: Color32 = Color32::from_rgb(228, 182, 97);
/// It did not work, or cannot be taken back.
pub const DANGER: Color32 = Color32::from_rgb(235, 124, 116);

/// Corners of cards.
pub const CARD_CORNERS: CornerRadius = CornerRadius::same(8);
/// Corners of buttons.
pub const CORNERS: CornerRadius = CornerRadius::same(6);
/// Height of buttons.
pub const BUTTON_HEIGHT: f32 = 32.0;

/// Small text.
pub fn small() -> FontId {
    FontId::proportional(13.0)
}

/// The style of everything in the panel.
pub fn style() -> Style {
    let mut style = Style { visuals: visuals(), animation_time: 0.12, ..Style::default() };
    style.text_styles = [
        (TextStyle::Small, small()),
        (TextStyle::Body, FontId::proportional(15.0)),
        (TextStyle::Button, FontId::proportional(15.0)),
        (TextStyle::Heading, FontId::proportional(21.0)),
        (TextStyle::Monospace, FontId::new(13.0, FontFamily::Monospace)),
    ]
    .into();
    let spacing = &mut style.spacing;
    spacing.item_spacing = vec2(8.0, 8.0);
    spacing.button_padding = vec2(12.0, 6.0);
    spacing.interact_size = vec2(40.0, BUTTON_HEIGHT);
    spacing.slider_rail_height = 4.0;
    spacing.icon_width = 18.0;
    spacing.icon_width_inner = 10.0;
    spacing.icon_spacing = 8.0;
    spacing.tooltip_width = 320.0;
    spacing.menu_margin = Margin::same(8);
    spacing.scroll.floating = true;
    spacing.scroll.bar_width = 8.0;
    style.interaction.selectable_labels = false;
    style.interaction.tooltip_delay = 0.3;
    style
}

fn visuals() -> Visuals {
    let mut visuals = Visuals::dark();
    visuals.panel_fill = BACKGROUND;
    visuals.window_fill = CARD;
    visuals.window_stroke = Stroke::new(1.0, LINE);
    visuals.window_corner_radius = CARD_CORNERS;
    visuals.menu_corner_radius = CARD_CORNERS;
    visuals.popup_shadow = Shadow { offset: [0, 6], blur: 16, spread: 0, color: Color32::from_black_alpha(120) };
    visuals.extreme_bg_color = SUNKEN;
    visuals.faint_bg_color = CARD;
    visuals.hyperlink_color = ACCENT;
    visuals.warn_fg_color = WARNING;
    visuals.error_fg_color = DANGER;
    visuals.weak_text_color = Some(WEAK);
    visuals.selection.bg_fill = CHOSEN;
    visuals.selection.stroke = Stroke::new(1.0, TEXT);
    visuals.slider_trailing_fill = true;
    visuals.handle_shape = bevy_egui::egui::style::HandleShape::Circle;
    visuals.disabled_alpha = 0.45;
    let widgets = &mut visuals.widgets;
    for state in [
        &mut widgets.noninteractive,
        &mut widgets.inactive,
        &mut widgets.hovered,
        &mut widgets.active,
        &mut widgets.open,
    ] {
        state.corner_radius = CORNERS;
        state.expansion = 0.0;
    }
    let set = |state: &mut bevy_egui::egui::style::WidgetVisuals, fill, line, text| {
        (state.bg_fill, state.weak_bg_fill) = (fill, fill);
        (state.bg_stroke, state.fg_stroke) = (line, Stroke::new(1.0, text));
    };
    set(&mut widgets.noninteractive, BACKGROUND, Stroke::new(1.0, LINE), TEXT);
    set(&mut widgets.inactive, BUTTON, Stroke::NONE, TEXT);
    set(&mut widgets.hovered, BUTTON_HOVERED, Stroke::new(1.0, Color32::from_rgb(84, 95, 112)), Color32::WHITE);
    // Also what has the keyboard: its outline is what shows where one is.
    set(&mut widgets.active, BUTTON_PRESSED, Stroke::new(2.0, ACCENT), Color32::WHITE);
    set(&mut widgets.open, BUTTON_PRESSED, Stroke::new(1.0, LINE), TEXT);
    visuals
}

/// How much larger than usual everything is shown in a window of this size in logical pixels, where the game does not
/// say. Grows in steps, so that text is not painted anew with every pixel that a window is dragged.
pub fn automatic_zoom(window: Vec2) -> f32 {
    let fitting = (window.y / 860.0).min(window.x / 1200.0);
    ((fitting * 4.0).floor() / 4.0).clamp(1.0, 3.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contrast of two colours by WCAG 2.
    fn contrast(a: Color32, b: Color32) -> f32 {
        let luminance = |colour: Color32| {
            let linear = |value: u8| bevy_egui::egui::ecolor::linear_f32_from_gamma_u8(value);
            0.2126 * linear(colour.r()) + 0.7152 * linear(colour.g()) + 0.0722 * linear(colour.b())
        };
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn all_text_can_be_read() {
        for (text, behind) in [
            (TEXT, BACKGROUND),
            (TEXT, CARD),
            (TEXT, BUTTON),
            (TEXT, CHOSEN),
            (WEAK, BACKGROUND),
            (WEAK, CARD),
            (ON_ACCENT, ACCENT),
            (WARNING, CARD),
            (DANGER, CARD),
            (GOOD, CARD),
        ] {
            assert!(contrast(text, behind) >= 4.5, "{text:?} on {behind:?}: {}", contrast(text, behind));
        }
    }

    #[test]
    fn text_grows_with_the_window_in_steps() {
        assert_eq!(automatic_zoom(vec2(1280.0, 720.0)), 1.0);
        assert_eq!(automatic_zoom(vec2(1920.0, 1080.0)), 1.25);
        assert_eq!(automatic_zoom(vec2(3840.0, 2160.0)), 2.5);
        assert_eq!(automatic_zoom(vec2(640.0, 2160.0)), 1.0);
    }
}
