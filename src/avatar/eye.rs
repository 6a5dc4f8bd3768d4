//! The eyeball's texture: sclera, iris and pupil, painted around the gaze.

use bevy::{color::LinearRgba, image::Image, math::Vec3, render::render_resource::TextureFormat};

use super::texture::{Texels, srgb8};
use crate::{bundle::TemplateEyes, fitting::eye_colour};

/// Side of the texture in texels.
const SIDE: usize = 256;

/// The texture of both eyes; `iris` is the linear reflectance of the iris.
pub(super) fn eye_texture(eyes: &TemplateEyes, iris: LinearRgba) -> Image {
    eye_texels(eyes, iris).into_image(TextureFormat::Rgba8UnormSrgb, srgb8)
}

/// Paints the texture of both eyes, linear; `iris` is the linear reflectance of the iris.
///
/// The texture's centre is the pupil, and the distance from it grows with the angle to the gaze, up to the rim that
/// `eyes` states.
pub(crate) fn eye_texels(eyes: &TemplateEyes, iris: LinearRgba) -> Texels {
    let iris = Vec3::new(iris.red, iris.green, iris.blue);
    let paint = |x: f32, y: f32| {
        let (x, y) = (x - 0.5, 0.5 - y);
        let angle = x.hypot(y) * 2.0 * eyes.texture_rim_radians;
        let colour = eye_colour(eyes, iris, angle, y.atan2(x));
        [colour.x, colour.y, colour.z, 1.0]
    };
    Texels::paint(SIDE, paint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texture_is_painted_around_its_centre() {
        let eyes = TemplateEyes {
            centre: String::new(),
            texture_rim_radians: 1.9,
            iris_radians: 0.4,
            convergence_radians: 0.0,
            look_radians: Default::default(),
        };
        let image = eye_texture(&eyes, LinearRgba::rgb(0.05, 0.1, 0.25));
        let data = image.data.unwrap();
        let texel = |x: usize, y: usize| data[4 * (y * SIDE + x)..][..3].to_vec();
        assert!(texel(SIDE / 2, SIDE / 2).iter().all(|&value| value < 30));
        assert!(texel(4, SIDE / 2).iter().all(|&value| value > 120));
    }
}
