//! One picture that shows the photo beside what became of it, by the software renderer.

use std::path::Path;

use bevy::math::{DVec2, Quat, Vec2, Vec3};
use bevy_fitdiff::{
    face::{self, PhotoLimits},
    fitting::{
        FittingHead,
        render::{Rays, ShLight, View},
    },
    pipeline::AvatarData,
};
use image::{
    RgbImage,
    imageops::{self, FilterType},
};

use super::{args::Arguments, common::create_parent};

/// Side of a tile in pixels.
const TILE: u32 = 320;

/// Side of the photo's tile as a multiple of the face's height.
const CROP: f32 = 1.7;

/// Degrees by which the head is turned in the views that the photo does not show.
const TURNS: [f32; 3] = [-50.0, 20.0, 50.0];

const BACKGROUND: [u8; 3] = [70, 74, 80];

/// Writes photo | avatar in the photo's pose and light | neutral avatar | three other views, lit from the other side | maps.
pub fn write(arguments: &Arguments, path: &Path, data: &AvatarData) -> Result<(), String> {
    let (Some(fit), Some(found)) = (&data.fit, &data.face) else {
        return Err("there is nothing to compare: no photo guided the avatar (see --guidance)".into());
    };
    let photo =
        face::open_photo(&arguments.photos()[fit.photo], &PhotoLimits::default()).map_err(|error| error.to_string())?;
    let head = FittingHead::new(data.head.clone(), data.maps.size);

    let bounds = found.detection.bounds;
    let side = (CROP * found.quality.face_height).max(2.0);
    let corner = bounds.center() - 0.5 * side;
    let step = side / TILE as f32;
    let ray = |pixel: Vec2| fit.camera.ray(pixel);
    let origin = ray(corner);
    let rays =
        Rays { origin, right: ray(corner + Vec2::X * step) - origin, down: ray(corner + Vec2::Y * step) - origin };
    let view = |rotation: Quat, translation: Vec3, rays: Rays| View {
        rotation,
        translation,
        rays,
        width: TILE as usize,
        height: TILE as usize,
        supersampling: 2,
    };
    // Dim from behind, as the background is.
    let studio = |side: f32| {
        let mut light = ShLight::constant(Vec3::splat(0.75));
        light.0[1] = Vec3::splat(0.25);
        light.0[2] = Vec3::splat(1.20);
        light.0[3] = Vec3::splat(0.45 * side);
        light
    };
    // The side that the photo's light does not come from.
    let other_side = -fit.light.0[3].element_sum().signum();
    let around = |degrees: f32, side: f32| {
        let rotation = Quat::from_rotation_y(degrees.to_radians());
        let view = view(rotation, Vec3::new(0.0, 0.02, -1.0), Rays::perspective(0.36, TILE as usize, TILE as usize));
        data.portrait(&head, view, studio(side), &[], BACKGROUND)
    };
    let mut tiles = vec![crop(&photo, corner.as_dvec2(), f64::from(step))];
    let posed = view(fit.pose.rotation, fit.pose.translation, rays);
    tiles.push(data.portrait(&head, posed, fit.light, &fit.expression, BACKGROUND));
    tiles.push(around(0.0, 0.0));
    tiles.extend(TURNS.map(|degrees| around(degrees, other_side)));
    let (diffuse, specular, normals) = data.maps.to_images();
    let specular =
        RgbImage::from_fn(specular.width(), specular.height(), |x, y| image::Rgb([specular.get_pixel(x, y)[0]; 3]));
    tiles.extend([diffuse, specular, normals].map(|map| imageops::resize(&map, TILE, TILE, FilterType::Triangle)));

    let mut sheet = RgbImage::new(TILE * tiles.len() as u32, TILE);
    for (index, tile) in tiles.iter().enumerate() {
        imageops::replace(&mut sheet, tile, i64::from(TILE) * index as i64, 0);
    }
    create_parent(path)?;
    sheet.save(path).map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
    println!("confidence {:.2}, landmark error {:.3}", fit.confidence, fit.landmark_error);
    println!("wrote {}", path.display());
    Ok(())
}

/// The photo in a tile's pixels, by the mean of the photo's pixels that each covers.
fn crop(photo: &RgbImage, corner: DVec2, step: f64) -> RgbImage {
    let samples = (step.ceil() as u32).clamp(1, 8);
    RgbImage::from_fn(TILE, TILE, |x, y| {
        let mut sum = [0.0; 3];
        for sample in 0..samples * samples {
            let within = DVec2::new(f64::from(sample % samples), f64::from(sample / samples)) + 0.5;
            let place = corner + step * (DVec2::new(f64::from(x), f64::from(y)) - 0.5 + within / f64::from(samples));
            let (column, row) = (place.x.round(), place.y.round());
            let inside =
                (0.0..f64::from(photo.width())).contains(&column) && (0.0..f64::from(photo.height())).contains(&row);
            if inside {
                let pixel = photo.get_pixel(column as u32, row as u32).0;
                sum.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += f64::from(value));
            }
        }
        image::Rgb(sum.map(|value| (value / f64::from(samples * samples)).round() as u8))
    })
}
