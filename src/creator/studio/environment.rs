//! The studio's environment light.

use bevy::{
    asset::RenderAssetUsages,
    prelude::*,
    render::render_resource::{Extent3d, TextureDimension, TextureFormat, TextureViewDescriptor, TextureViewDimension},
};
use half::f16;

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
pub(super) fn environment(side: u32, levels: u32, diffuse: bool) -> Image {
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
