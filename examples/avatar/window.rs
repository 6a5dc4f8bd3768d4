//! The window: orbit camera, keys, and a panel.

use bevy::{
    ecs::query::QueryData,
    input::mouse::{AccumulatedMouseMotion, AccumulatedMouseScroll},
    mesh::morph::MorphWeights,
    prelude::*,
};
use bevy_egui::{
    EguiContexts, EguiPlugin, EguiPrimaryContextPass, EguiTextureHandle, PrimaryEguiContext, egui,
    input::egui_wants_any_pointer_input,
};
use bevy_fitdiff::prelude::*;

use super::{
    photo::{self, PhotoInput},
    scene::{self, Studio},
};

const DEGREES_PER_PIXEL: f32 = 0.3;
const DEGREES_PER_SECOND: f32 = 90.0;

/// Side of the pictures in the panel.
const PICTURE: f32 = 140.0;

/// Height of the list of expressions, which scrolls.
const EXPRESSIONS: f32 = 260.0;

/// Everything that an app with a window needs.
pub fn plugins(app: &mut App) {
    app.add_plugins((
        DefaultPlugins
            .set(AssetPlugin { file_path: concat!(env!("CARGO_MANIFEST_DIR"), "/assets").into(), ..default() })
            .set(WindowPlugin {
                primary_window: Some(Window { title: "bevy_fitdiff: avatar".into(), ..default() }),
                ..default()
            }),
        EguiPlugin::default(),
    ));
}

/// Opens the studio.
pub fn open(app: &mut App) {
    app.add_plugins(photo::plugin)
        .add_systems(Startup, |mut commands: Commands, mut images: ResMut<Assets<Image>>| {
            commands.spawn((scene::camera(&mut images), PrimaryEguiContext));
        })
        .add_systems(Update, (orbit.run_if(not(egui_wants_any_pointer_input)), keys))
        .add_systems(EguiPrimaryContextPass, panel);
}

fn orbit(
    buttons: Res<ButtonInput<MouseButton>>,
    motion: Res<AccumulatedMouseMotion>,
    scroll: Res<AccumulatedMouseScroll>,
    mut studio: ResMut<Studio>,
) {
    if buttons.pressed(MouseButton::Left) && motion.delta != Vec2::ZERO {
        studio.yaw -= motion.delta.x * DEGREES_PER_PIXEL;
        studio.pitch = (studio.pitch + motion.delta.y * DEGREES_PER_PIXEL).clamp(-80.0, 80.0);
    }
    if scroll.delta.y != 0.0 {
        studio.distance = (studio.distance * (1.0 - 0.1 * scroll.delta.y.signum())).clamp(0.25, 3.0);
    }
}

fn keys(
    keys: Res<ButtonInput<KeyCode>>,
    time: Res<Time>,
    mut contexts: EguiContexts,
    mut studio: ResMut<Studio>,
    mut photo: ResMut<PhotoInput>,
    mut avatars: Query<&mut Avatar>,
) -> Result {
    if contexts.ctx_mut()?.egui_wants_keyboard_input() {
        return Ok(());
    }
    let turn = f32::from(keys.pressed(KeyCode::ArrowRight)) - f32::from(keys.pressed(KeyCode::ArrowLeft));
    if turn != 0.0 {
        studio.light += turn * DEGREES_PER_SECOND * time.delta_secs();
    }
    if keys.just_pressed(KeyCode::KeyR) {
        *studio = Studio::default();
    }
    if keys.just_pressed(KeyCode::KeyO) {
        photo.choose();
    }
    for mut avatar in &mut avatars {
        if keys.just_pressed(KeyCode::KeyN) {
            avatar.seed += 1;
        }
        if keys.just_pressed(KeyCode::Space) {
            *avatar = Avatar::random(avatar.seed + 1);
        }
    }
    Ok(())
}

/// All that the panel shows and changes of an avatar.
#[derive(QueryData)]
#[query_data(mutable)]
struct Shown {
    avatar: &'static mut Avatar,
    progress: &'static AvatarProgress,
    look: &'static mut AvatarLook,
    weights: Option<&'static mut MorphWeights>,
    generated: Option<&'static GeneratedAvatar>,
    failure: Option<&'static AvatarFailure>,
}

fn panel(
    mut contexts: EguiContexts,
    mut input: ResMut<PhotoInput>,
    mut studio: ResMut<Studio>,
    mut avatars: Query<Shown>,
) -> Result {
    let Ok(shown) = avatars.single_mut() else { return Ok(()) };
    let ShownItem { mut avatar, progress, mut look, weights, generated, failure } = shown;
    let mut texture = |handle: &Handle<Image>| contexts.add_image(EguiTextureHandle::Weak(handle.id()));
    let photo = input.shown().map(&mut texture);
    let preview = progress.preview.as_ref().map(&mut texture);
    egui::Window::new("Avatar").default_width(300.0).show(contexts.ctx_mut()?, |ui| {
        ui.horizontal(|ui| {
            // Pictures come and go; what is below them stays where the pointer expects it.
            ui.set_min_height(PICTURE);
            for texture in photo.into_iter().chain(preview) {
                ui.add(egui::Image::new((texture, egui::Vec2::splat(PICTURE))).maintain_aspect_ratio(true));
            }
        });
        let text = match progress.remaining {
            Some(left) => format!("{:?}, {:.0} s left", progress.stage, left.as_secs_f32()),
            None => format!("{:?}", progress.stage),
        };
        ui.add(egui::ProgressBar::new(progress.fraction).text(text));
        let failure = failure.map(|failure| failure.to_string());
        if let Some(reason) = input.error.as_ref().or(failure.as_ref()) {
            ui.colored_label(egui::Color32::LIGHT_RED, reason);
        }
        if let Some(hint) = input.hint {
            ui.label(hint);
        }
        for warning in generated.iter().flat_map(|generated| &generated.data.warnings) {
            ui.colored_label(egui::Color32::YELLOW, warning.to_string());
        }
        ui.horizontal(|ui| {
            if ui.button("Open photo… (O)").clicked() {
                input.choose();
            }
            let typed =
                ui.add(egui::TextEdit::singleline(&mut input.path).hint_text("or type its path, or drop it here"));
            if typed.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter)) && !input.path.is_empty() {
                let path = input.path.clone();
                input.open(path.into());
            }
        });
        ui.horizontal(|ui| {
            if ui.button("Variation (N)").clicked() {
                avatar.seed += 1;
            }
            if ui.button("Random person (space)").clicked() {
                *avatar = Avatar::random(avatar.seed + 1);
            }
        });
        let mut light = studio.light;
        if ui.add(egui::Slider::new(&mut light, -180.0..=180.0).text("light")).changed() {
            studio.light = light;
        }
        let mut changed = *look;
        ui.add(egui::Slider::new(&mut changed.skin_roughness, 0.2..=0.9).text("skin roughness"));
        let mut iris = changed.iris.to_linear().to_f32_array_no_alpha();
        if ui.horizontal(|ui| (ui.color_edit_button_rgb(&mut iris), ui.label("iris"))).inner.0.changed() {
            changed.iris = Color::linear_rgb(iris[0], iris[1], iris[2]);
        }
        look.set_if_neq(changed);
        if let (Some(mut weights), Some(generated)) = (weights, generated) {
            ui.collapsing("expression", |ui| {
                egui::ScrollArea::vertical().min_scrolled_height(EXPRESSIONS).max_height(EXPRESSIONS).show(ui, |ui| {
                    for (index, shape) in generated.data.head.blendshapes.iter().enumerate() {
                        let mut weight = weights.weights()[index];
                        if ui.add(egui::Slider::new(&mut weight, 0.0..=1.0).text(&shape.name)).changed() {
                            weights.weights_mut()[index] = weight;
                        }
                    }
                });
            });
        }
    });
    Ok(())
}
