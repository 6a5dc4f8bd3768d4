//! A portrait studio: light presets, an environment, and a camera that goes around the head.

mod environment;

use bevy::{
    camera::{Exposure, SubCameraView},
    core_pipeline::tonemapping::Tonemapping,
    input::mouse::AccumulatedMouseScroll,
    light::{CascadeShadowConfigBuilder, EnvironmentMapLight},
    prelude::*,
    window::{CursorMoved, PrimaryWindow},
};
use bevy_egui::{PrimaryEguiContext, input::EguiWantsInput};

use super::{CreatorState, LightPreset};
use environment::environment;

/// What the camera looks at: the middle of the face, metres from between the ears.
const FOCUS: Vec3 = Vec3::new(0.0, -0.02, 0.05);
const DISTANCE: f32 = 0.66;
const DISTANCES: (f32, f32) = (0.25, 3.0);
const FIELD_OF_VIEW: f32 = 28.0;

/// Exposure value at which light skin is bright and dark skin is dark.
const EXPOSURE: f32 = 7.6;

/// Brightness of the environment under [`LightPreset::Studio`], in candela per square metre.
const ENVIRONMENT: f32 = 210.0;

const DEGREES_PER_POINT: f32 = 0.3;
const DEGREES_PER_SECOND: f32 = 30.0;
const DEGREES_PER_SECOND_BY_KEYS: f32 = 90.0;

/// Where the studio's camera stands, and how it is lit.
#[derive(Resource, Clone, Copy, Debug, PartialEq, Reflect)]
#[reflect(Resource, Default, Clone, Debug, PartialEq)]
pub struct CreatorStudio {
    /// Degrees around the head, to the person's left.
    pub yaw: f32,
    /// Degrees above the eyes.
    pub pitch: f32,
    /// Metres from the face.
    pub distance: f32,
    /// Degrees by which the lights have gone around the head, -180 to 180; to the person's left.
    pub light_yaw: f32,
    /// How it is lit.
    pub light: LightPreset,
    /// Whether the camera goes around the head by itself.
    pub turntable: bool,
}

impl Default for CreatorStudio {
    fn default() -> Self {
        Self { yaw: 0.0, pitch: 4.0, distance: DISTANCE, light_yaw: 0.0, light: default(), turntable: false }
    }
}

impl CreatorStudio {
    /// Turns the lights around the head, to so many degrees.
    pub fn turn_light(&mut self, degrees: f32) {
        if degrees.is_finite() {
            // 180 stays 180, so that a slider's end holds.
            self.light_yaw = if degrees.abs() <= 180.0 { degrees } else { (degrees + 180.0).rem_euclid(360.0) - 180.0 };
        }
    }

    /// Looks from the front, as in the beginning; the light stays.
    pub fn reset_view(&mut self) {
        let Self { light, light_yaw, .. } = *self;
        *self = Self { light, light_yaw, ..Self::default() };
    }
}

/// The camera of the studio.
#[derive(Component, Clone, Copy, Debug, Default, Reflect)]
#[reflect(Component, Default, Clone, Debug)]
pub struct StudioCamera;

/// A light of the studio.
#[derive(Component, Clone, Copy, Debug, Reflect)]
#[reflect(Component, Clone, Debug)]
enum StudioLight {
    Key,
    Rim,
}

/// Adds a studio around the origin: camera, lights, backdrop, and what the mouse and the arrow keys do in it. A game with a
/// scene of its own does without.
#[derive(Clone, Copy, Debug)]
pub struct CreatorStudioPlugin {
    /// Whether a camera for the primary window is spawned; otherwise spawn [`studio_camera`] with the target you like.
    pub camera: bool,
}

impl Default for CreatorStudioPlugin {
    fn default() -> Self {
        Self { camera: true }
    }
}

impl Plugin for CreatorStudioPlugin {
    fn build(&self, app: &mut App) {
        app.register_type::<CreatorStudio>()
            .init_resource::<CreatorStudio>()
            .insert_resource(ClearColor(Color::srgb(0.19, 0.20, 0.22)))
            .add_systems(Startup, spawn_lights)
            .add_systems(
                Update,
                (
                    turn,
                    (orbit, arrows).run_if(resource_exists::<ButtonInput<KeyCode>>),
                    (place_camera, place_lights).run_if(resource_changed::<CreatorStudio>),
                    look_past_panel,
                )
                    .chain(),
            );
        if self.camera {
            app.add_systems(Startup, |mut commands: Commands, mut images: ResMut<Assets<Image>>| {
                commands.spawn((studio_camera(&mut images), PrimaryEguiContext));
            });
        }
    }
}

/// The studio's camera; insert a render target, or leave it to the primary window.
pub fn studio_camera(images: &mut Assets<Image>) -> impl Bundle {
    (
        StudioCamera,
        Camera3d::default(),
        Projection::Perspective(PerspectiveProjection {
            fov: FIELD_OF_VIEW.to_radians(),
            near: 0.05,
            far: 10.0,
            ..default()
        }),
        Tonemapping::TonyMcMapface,
        Exposure { ev100: EXPOSURE },
        EnvironmentMapLight {
            diffuse_map: images.add(environment(8, 1, true)),
            specular_map: images.add(environment(32, 6, false)),
            intensity: ENVIRONMENT,
            ..default()
        },
        // The environment reaches the camera before the first change of the studio places it.
        Transform::from_xyz(0.0, 0.0, DISTANCE).looking_at(FOCUS, Vec3::Y),
    )
}

/// How a preset lights the studio: place, colour and illuminance (lux) of key and rim light, and what the environment's
/// brightness is multiplied with.
fn lighting(preset: LightPreset) -> ([(Vec3, Color, f32); 2], f32) {
    let white = |red, green, blue| Color::srgb(red, green, blue);
    let key = Vec3::new(0.55, 0.55, 0.9);
    let rim = Vec3::new(-0.7, 0.4, -0.9);
    match preset {
        LightPreset::Studio => ([(key, white(1.0, 0.96, 0.91), 1000.0), (rim, white(0.92, 0.96, 1.0), 250.0)], 1.0),
        LightPreset::Daylight => {
            ([(Vec3::new(0.35, 1.1, 0.75), white(1.0, 0.97, 0.92), 1700.0), (rim, white(0.80, 0.89, 1.0), 320.0)], 1.35)
        }
        LightPreset::Evening => (
            [
                (Vec3::new(1.0, 0.18, 0.45), white(1.0, 0.70, 0.42), 1500.0),
                (Vec3::new(-0.8, 0.5, -0.6), white(0.50, 0.62, 1.0), 380.0),
            ],
            0.42,
        ),
        LightPreset::Drama => {
            ([(Vec3::new(-0.95, 0.65, 0.35), white(1.0, 0.95, 0.90), 1500.0), (rim, white(1.0, 1.0, 1.0), 60.0)], 0.12)
        }
        LightPreset::Neon => (
            [
                (Vec3::new(0.95, 0.25, 0.40), white(1.0, 0.22, 0.62), 1300.0),
                (Vec3::new(-0.95, 0.25, 0.30), white(0.16, 0.58, 1.0), 1300.0),
            ],
            0.25,
        ),
    }
}

fn spawn_lights(mut commands: Commands) {
    let cascade = CascadeShadowConfigBuilder { num_cascades: 1, maximum_distance: 3.0, ..default() }.build();
    for light in [StudioLight::Key, StudioLight::Rim] {
        commands.spawn((
            light,
            DirectionalLight {
                shadow_maps_enabled: true,
                shadow_depth_bias: 0.004,
                shadow_normal_bias: 0.6,
                ..default()
            },
            cascade.clone(),
            Transform::default(),
        ));
    }
}

fn turn(mut studio: ResMut<CreatorStudio>, time: Res<Time>) {
    if studio.turntable {
        studio.yaw = (studio.yaw + DEGREES_PER_SECOND * time.delta_secs()) % 360.0;
    }
}

/// Where the pointer is over the panel, the panel has it.
fn orbit(
    buttons: Res<ButtonInput<MouseButton>>,
    mut moves: MessageReader<CursorMoved>,
    scroll: Res<AccumulatedMouseScroll>,
    wanted: Option<Res<EguiWantsInput>>,
    mut studio: ResMut<CreatorStudio>,
    mut dragging: Local<bool>,
) {
    let free = wanted.is_none_or(|wanted| !wanted.wants_any_pointer_input());
    // A drag that began beside the panel goes on over it.
    *dragging = buttons.pressed(MouseButton::Left) && (*dragging || (free && buttons.just_pressed(MouseButton::Left)));
    let moved: Vec2 = moves.read().filter_map(|moved| moved.delta).sum();
    if *dragging && moved != Vec2::ZERO {
        studio.turntable = false;
        studio.yaw -= moved.x * DEGREES_PER_POINT;
        studio.pitch = (studio.pitch + moved.y * DEGREES_PER_POINT).clamp(-80.0, 80.0);
    }
    if free && scroll.delta.y != 0.0 {
        let nearer = 1.0 - 0.1 * scroll.delta.y.signum();
        studio.distance = (studio.distance * nearer).clamp(DISTANCES.0, DISTANCES.1);
    }
}

/// The arrow keys turn the lights where the panel does not want them.
fn arrows(
    keys: Res<ButtonInput<KeyCode>>,
    wanted: Option<Res<EguiWantsInput>>,
    time: Res<Time>,
    mut studio: ResMut<CreatorStudio>,
) {
    if wanted.is_some_and(|wanted| wanted.wants_any_keyboard_input()) {
        return;
    }
    let turn = f32::from(keys.pressed(KeyCode::ArrowRight)) - f32::from(keys.pressed(KeyCode::ArrowLeft));
    if turn != 0.0 {
        let degrees = studio.light_yaw + turn * DEGREES_PER_SECOND_BY_KEYS * time.delta_secs();
        studio.turn_light(degrees);
    }
}

fn place_camera(studio: Res<CreatorStudio>, mut cameras: Query<&mut Transform, With<StudioCamera>>) {
    let turn = Quat::from_euler(EulerRot::YXZ, studio.yaw.to_radians(), -studio.pitch.to_radians(), 0.0);
    for mut camera in &mut cameras {
        *camera = Transform::from_translation(FOCUS + turn * Vec3::Z * studio.distance).looking_at(FOCUS, Vec3::Y);
    }
}

fn place_lights(
    studio: Res<CreatorStudio>,
    mut lights: Query<(&StudioLight, &mut DirectionalLight, &mut Transform)>,
    mut environments: Query<&mut EnvironmentMapLight, With<StudioCamera>>,
) {
    let ([key, rim], environment) = lighting(studio.light);
    let turn = Quat::from_rotation_y(studio.light_yaw.to_radians());
    for (light, mut lamp, mut transform) in &mut lights {
        let (place, colour, illuminance) = match light {
            StudioLight::Key => key,
            StudioLight::Rim => rim,
        };
        (lamp.color, lamp.illuminance) = (colour, illuminance);
        *transform = Transform::from_translation(turn * place).looking_at(Vec3::ZERO, Vec3::Y);
    }
    for mut light in &mut environments {
        light.intensity = ENVIRONMENT * environment;
    }
}

/// Keeps the head in the middle of what the panel leaves free.
fn look_past_panel(
    state: Option<Res<CreatorState>>,
    windows: Query<&Window, With<PrimaryWindow>>,
    mut cameras: Query<&mut Camera, With<StudioCamera>>,
) {
    let covered = state.map_or(0.0, |state| state.covered_width());
    for mut camera in &mut cameras {
        let scale = camera.target_scaling_factor().or_else(|| windows.iter().next().map(Window::scale_factor));
        let covered = (covered * scale.unwrap_or(1.0)).round() as u32;
        let view = camera.physical_target_size().filter(|size| covered > 0 && covered < size.x).map(|size| {
            // The middle of a view that is wider by the panel lies in the middle of the free part of this one.
            SubCameraView { full_size: size + UVec2::new(covered, 0), offset: Vec2::new(covered as f32, 0.0), size }
        });
        if camera.sub_camera_view != view {
            camera.sub_camera_view = view;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lights_go_around_the_head_and_come_back() {
        let mut studio = CreatorStudio::default();
        for (degrees, expected) in
            [(90.0, 90.0), (-180.0, -180.0), (180.0, 180.0), (190.0, -170.0), (-190.0, 170.0), (725.0, 5.0)]
        {
            studio.turn_light(degrees);
            assert_eq!(studio.light_yaw, expected, "{degrees}");
        }
        studio.turn_light(f32::NAN);
        assert_eq!(studio.light_yaw, 5.0);
    }
}
