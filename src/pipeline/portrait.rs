//! Pictures of an avatar without a GPU.

use bevy::math::Vec3;
use image::{Rgb, RgbImage};

use super::AvatarData;
use crate::fitting::{
    FittingHead, colour,
    render::{Geometry, ShLight, SurfaceMaps, View},
};

impl AvatarData {
    /// A picture by the software renderer: the head in a light of spherical harmonics, with an expression, before a
    /// background of one sRGB colour. `head` is [`FittingHead::new`] of this avatar's template and map size.
    ///
    /// # Panics
    /// When `head` is that of another template or map size.
    pub fn portrait(
        &self,
        head: &FittingHead,
        view: View,
        light: ShLight,
        expression: &[f32],
        background: [u8; 3],
    ) -> RgbImage {
        let maps = &self.maps;
        let mut maps = SurfaceMaps {
            size: maps.size,
            diffuse: maps.diffuse.iter().map(|rgb| rgb.map(|value| colour::linear(f32::from(value) / 255.0))).collect(),
            specular: maps.specular.clone(),
            normals: maps.normals.clone(),
        };
        head.fill_margin(&mut maps);
        let geometry = Geometry::new(head.surface(), self.head.posed(&self.vertices, expression));
        let looks = head.looks(self.iris());
        let scene = head.scene(&geometry, &maps, &looks, light, view);
        let rendering = scene.render(&scene.visibility());
        let behind = colour::to_linear(Vec3::from(background.map(f32::from)) / 255.0);
        RgbImage::from_fn(view.width as u32, view.height as u32, |x, y| {
            let pixel = y as usize * view.width + x as usize;
            let linear = rendering.colour[pixel] + (1.0 - rendering.coverage[pixel]) * behind;
            Rgb(colour::to_srgb(linear).to_array().map(|value| (value.clamp(0.0, 1.0) * 255.0).round() as u8))
        })
    }
}
