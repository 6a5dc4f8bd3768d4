//! A portrait studio: a soft environment, a key light and a rim light, and a camera that goes around the head.

use bevy::{
    asset::RenderAssetUsages,
    camera::Exposure,
    core_pipeline::tonemapping::Tonemapping,
    light::{CascadeShadowConfigBuilder, EnvironmentMapLight},
    prelude::*,
    render::render_resource::{Extent3d, TextureDimension, TextureFormat, TextureViewDescriptor, TextureViewDimension},
};
use half::f16;

/// What the camera looks at: the middle of the face, metres from between the ears.
const FOCUS: Vec3 = Vec3::new(0.0, -0.02, 0.05);
const DISTANCE: f32 = 0.66;
const FIELD_OF_VIEW: f32 = 28.0;

/// Exposure value at which light skin is bright and dark skin is dark.
const EXPOSURE: f32 = 7.6;

/// Side of the environment's sharpest level, in texels.
const ENVIRONMENT_SIDE: u32 = 32;
const ENVIRONMENT_LEVELS: u32 = 6;

/// Where the camera stands, and where the lights do.
#[derive(Resource, Clone, Copy)]
pub struct Studio {
    /// Degrees around the head, to the person's left.
    pub yaw: f32,
    /// Degrees above the eyes.
    pub pitch: f32,
    /// Metres from the face.
    pub distance: f32,
    /// Degrees by which the lights have gone around the head.
    pub light: f32,
}

impl Default for Studio {
    fn default() -> Self {
        Self { yaw: 0.0, pitch: 4.0, distance: DISTANCE, light: 0.0 }
    }
}

/// A light and where it stands when the studio's lights are not turned.
#[derive(Component)]
pub struct StudioLight(Vec3);

#[derive(Component)]
pub struct StudioCamera;

/// Adds the studio to an app.
pub fn plugin(app: &mut App) {
    app.init_resource::<Studio>()
        .insert_resource(ClearColor(Color::srgb(0.19, 0.20, 0.22)))
        .add_systems(Startup, light)
        .add_systems(Update, (place_camera, place_lights).run_if(resource_changed::<Studio>));
}

/// The camera; insert a render target or leave it to the window.
pub fn camera(images: &mut Assets<Image>) -> impl Bundle {
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
            specular_map: images.add(environment(ENVIRONMENT_SIDE, ENVIRONMENT_LEVELS, false)),
            intensity: 210.0,
            ..default()
        },
        // The environment reaches the camera before the first change of the studio places it.
        Transform::from_xyz(0.0, 0.0, DISTANCE).looking_at(FOCUS, Vec3::Y),
    )
}

fn light(mut commands: Commands) {
    let key = Vec3::new(0.55, 0.55, 0.9);
    let rim = Vec3::new(-0.7, 0.4, -0.9);
    let cascade = CascadeShadowConfigBuilder { num_cascades: 1, maximum_distance: 3.0, ..default() }.build();
    commands.spawn((
        StudioLight(key),
        DirectionalLight {
            color: Color::srgb(1.0, 0.96, 0.91),
            illuminance: 1000.0,
            shadow_maps_enabled: true,
            shadow_depth_bias: 0.004,
            shadow_normal_bias: 0.6,
            ..default()
        },
        cascade.clone(),
        Transform::default(),
    ));
    commands.spawn((
        StudioLight(rim),
        DirectionalLight {
            color: Color::srgb(0.92, 0.96, 1.0),
            illuminance: 250.0,
            shadow_maps_enabled: true,
            shadow_depth_bias: 0.004,
            shadow_normal_bias: 0.6,
            ..default()
        },
        cascade,
        Transform::default(),
    ));
}

fn place_camera(studio: Res<Studio>, mut cameras: Query<&mut Transform, With<StudioCamera>>) {
    let turn = Quat::from_euler(EulerRot::YXZ, studio.yaw.to_radians(), -studio.pitch.to_radians(), 0.0);
    for mut camera in &mut cameras {
        *camera = Transform::from_translation(FOCUS + turn * Vec3::Z * studio.distance).looking_at(FOCUS, Vec3::Y);
    }
}

fn place_lights(studio: Res<Studio>, mut lights: Query<(&StudioLight, &mut Transform)>) {
    let turn = Quat::from_rotation_y(studio.light.to_radians());
    for (light, mut place) in &mut lights {
        *place = Transform::from_translation(turn * light.0).looking_at(Vec3::ZERO, Vec3::Y);
    }
}

/// Radiance of the studio from a direction: a grey room with a large soft box on either side. Behind the head it is as
/// dark as the backdrop looks; light from there would but gleam along the outline.
fn radiance(direction: Vec3) -> Vec3 {
    let front = ((direction.z + 0.6) / 1.2).clamp(0.0, 1.0);
    let room = Vec3::new(0.20, 0.18, 0.17).lerp(Vec3::new(0.42, 0.45, 0.50), direction.y * 0.5 + 0.5);
    let room = room * (0.1 + 0.9 * front);
    let lamp = |place: Vec3, size: f32| ((direction.dot(place.normalize()) - 1.0 + size) / size).clamp(0.0, 1.0);
    room + Vec3::new(4.6, 4.4, 4.1) * lamp(Vec3::new(0.8, 0.6, 0.6), 0.14)
        + Vec3::new(1.2, 1.3, 1.4) * lamp(Vec3::new(-0.9, 0.25, 0.5), 0.12)
}

/// A cube map of the studio, filtered for rising roughness level by level, or for diffuse light.
fn environment(side: u32, levels: u32, diffuse: bool) -> Image {
    let mut samples = Vec::new();
    for face in 0..6 {
        for index in 0..24 * 24 {
            let direction = texel_direction(face, index, 24);
            samples.push((direction, radiance(direction)));
        }
    }
    let mut data = Vec::new();
    for face in 0..6 {
        for level in 0..levels {
            let side = side >> level;
            // A Phong lobe as narrow as the GGX lobe of this roughness (Karis, Real Shading in Unreal Engine 4, 2013).
            let roughness = level as f32 / (levels - 1).max(1) as f32;
            let exponent = if diffuse { 1.0 } else { (2.0 / roughness.max(0.1).powi(4) - 2.0).max(1.0) };
            for index in 0..side * side {
                let direction = texel_direction(face, index, side);
                let colour =
                    if level == 0 && !diffuse { radiance(direction) } else { blur(&samples, direction, exponent) };
                data.extend(
                    colour.extend(1.0).to_array().into_iter().flat_map(|value| f16::from_f32(value).to_le_bytes()),
                );
            }
        }
    }
    let size = Extent3d { width: side, height: side, depth_or_array_layers: 6 };
    let format = TextureFormat::Rgba16Float;
    let mut image = Image::new_uninit(size, TextureDimension::D2, format, RenderAssetUsages::RENDER_WORLD);
    image.data = Some(data);
    image.texture_descriptor.mip_level_count = levels;
    image.texture_view_descriptor =
        Some(TextureViewDescriptor { dimension: Some(TextureViewDimension::Cube), ..default() });
    image
}

fn blur(samples: &[(Vec3, Vec3)], direction: Vec3, exponent: f32) -> Vec3 {
    let (mut sum, mut weights) = (Vec3::ZERO, 0.0);
    for (other, colour) in samples {
        let weight = other.dot(direction).max(0.0).powf(exponent);
        sum += *colour * weight;
        weights += weight;
    }
    sum / weights.max(1e-6)
}

/// Direction of a cube map's texel; faces in the order +X −X +Y −Y +Z −Z.
fn texel_direction(face: u32, index: u32, side: u32) -> Vec3 {
    let place = |index: u32| (index as f32 + 0.5) / side as f32 * 2.0 - 1.0;
    let (a, b) = (place(index % side), place(index / side));
    match face {
        0 => Vec3::new(1.0, -b, -a),
        1 => Vec3::new(-1.0, -b, a),
        2 => Vec3::new(a, 1.0, b),
        3 => Vec3::new(a, -1.0, -b),
        4 => Vec3::new(a, -b, 1.0),
        _ => Vec3::new(-a, -b, -1.0),
    }
    .normalize()
}
