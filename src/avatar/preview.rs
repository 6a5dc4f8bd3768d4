//! The picture of a map that is still emerging.

use bevy::{
    asset::RenderAssetUsages,
    image::Image,
    render::render_resource::{Extent3d, TextureDimension, TextureFormat},
};

use crate::pipeline::AvatarMaps;

/// The diffuse albedo as an sRGB image.
pub(super) fn preview_image(maps: &AvatarMaps) -> Image {
    let side = maps.size as u32;
    Image::new(
        Extent3d { width: side, height: side, depth_or_array_layers: 1 },
        TextureDimension::D2,
        maps.diffuse.iter().flat_map(|&[red, green, blue]| [red, green, blue, 255]).collect(),
        TextureFormat::Rgba8UnormSrgb,
        RenderAssetUsages::RENDER_WORLD,
    )
}
