//! The window: orbit camera, keys, dropped photos, and a panel.

use std::path::PathBuf;

use bevy::{
    ecs::query::QueryData,
    input::mouse::{AccumulatedMouseMotion, AccumulatedMouseScroll},
    mesh::morph::MorphWeights,
    prelude::*,
    render::renderer::RenderAdapterInfo,
    tasks::{IoTaskPool, Task, futures::check_ready},
    window::FileDragAndDrop,
};
use bevy_egui::{
    EguiContexts, EguiPlugin, EguiPrimaryContextPass, EguiTextureHandle, PrimaryEguiContext, egui,
    input::egui_wants_any_pointer_input,
};
use bevy_fitdiff::{
    face::{self, PhotoLimits},
    prelude::*,
};
use image::RgbImage;

use super::scene::{self, Studio};

const DEGREES_PER_PIXEL: f32 = 0.3;
const DEGREES_PER_SECOND: f32 = 90.0;

/// What the panel remembers.
#[derive(Resource, Default)]
struct Panel {
    path: String,
    error: Option<String>,
    opening: Option<Task<Result<RgbImage, String>>>,
    /// The photo as a texture, to be shown beside the avatar.
    shown: Option<(Handle<Photo>, Handle<Image>)>,
}

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
    app.init_resource::<Panel>()
        .add_systems(Startup, |mut commands: Commands, mut images: ResMut<Assets<Image>>, adapter: Option<Res<RenderAdapterInfo>>| {
            if adapter.is_none() {
                error!("no graphics adapter was found: install a Vulkan driver (Debian and Ubuntu: mesa-vulkan-drivers)");
            }
            commands.spawn((scene::camera(&mut images), PrimaryEguiContext));
        })
        .add_systems(Update, (orbit.run_if(not(egui_wants_any_pointer_input)), keys, drop_photo, take_photo, show_photo))
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

/// Reads a photo off the main thread.
fn open_photo(panel: &mut Panel, path: PathBuf) {
    panel.error = None;
    panel.opening = Some(IoTaskPool::get().spawn(async move {
        face::open_photo(&path, &PhotoLimits::default()).map_err(|error| format!("{}: {error}", path.display()))
    }));
}

fn drop_photo(mut dropped: MessageReader<FileDragAndDrop>, mut panel: ResMut<Panel>) {
    for event in dropped.read() {
        if let FileDragAndDrop::DroppedFile { path_buf, .. } = event {
            open_photo(&mut panel, path_buf.clone());
        }
    }
}

fn take_photo(mut panel: ResMut<Panel>, mut photos: ResMut<Assets<Photo>>, mut avatars: Query<&mut Avatar>) {
    let Some(result) = panel.opening.as_mut().and_then(check_ready) else { return };
    panel.opening = None;
    match result {
        Ok(photo) => {
            let photo = photos.add(Photo::from(photo));
            for mut avatar in &mut avatars {
                *avatar = Avatar::from_selfie(photo.clone()).with_seed(avatar.seed);
            }
        }
        Err(reason) => panel.error = Some(reason),
    }
}

/// Makes a texture of the photo that the avatar is made from.
fn show_photo(
    mut panel: ResMut<Panel>,
    avatars: Query<&Avatar>,
    photos: Res<Assets<Photo>>,
    mut images: ResMut<Assets<Image>>,
) {
    let wanted = avatars.iter().find_map(|avatar| match &avatar.source {
        AvatarSource::Photos(photos) => photos.first().cloned(),
        _ => None,
    });
    if panel.shown.as_ref().map(|(photo, _)| photo) == wanted.as_ref() {
        return;
    }
    panel.shown = wanted.and_then(|handle| {
        let photo = image::DynamicImage::from((*photos.get(&handle)?.0).clone()).thumbnail(360, 360);
        let texture = Image::from_dynamic(photo, true, bevy::asset::RenderAssetUsages::RENDER_WORLD);
        Some((handle, images.add(texture)))
    });
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
    mut panel: ResMut<Panel>,
    mut studio: ResMut<Studio>,
    mut avatars: Query<Shown>,
) -> Result {
    let Ok(shown) = avatars.single_mut() else { return Ok(()) };
    let ShownItem { mut avatar, progress, mut look, weights, generated, failure } = shown;
    let mut texture = |handle: &Handle<Image>| contexts.add_image(EguiTextureHandle::Weak(handle.id()));
    let photo = panel.shown.as_ref().map(|(_, image)| texture(image));
    let preview = progress.preview.as_ref().map(&mut texture);
    egui::Window::new("Avatar").default_width(300.0).show(contexts.ctx_mut()?, |ui| {
        ui.horizontal(|ui| {
            for texture in photo.into_iter().chain(preview) {
                ui.add(egui::Image::new((texture, egui::vec2(140.0, 140.0))).maintain_aspect_ratio(true));
            }
        });
        let text = match progress.remaining {
            Some(left) => format!("{:?}, {:.0} s left", progress.stage, left.as_secs_f32()),
            None => format!("{:?}", progress.stage),
        };
        ui.add(egui::ProgressBar::new(progress.fraction).text(text));
        if let Some(reason) = panel.error.clone().or_else(|| failure.map(|failure| failure.to_string())) {
            ui.colored_label(egui::Color32::LIGHT_RED, reason);
        }
        for warning in generated.iter().flat_map(|generated| &generated.data.warnings) {
            ui.colored_label(egui::Color32::YELLOW, warning.to_string());
        }
        ui.horizontal(|ui| {
            let typed =
                ui.add(egui::TextEdit::singleline(&mut panel.path).hint_text("path of a photo, or drop one here"));
            let entered = typed.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
            if (ui.button("Open").clicked() || entered) && !panel.path.is_empty() {
                let path = PathBuf::from(panel.path.clone());
                open_photo(&mut panel, path);
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
                egui::ScrollArea::vertical().max_height(260.0).show(ui, |ui| {
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
