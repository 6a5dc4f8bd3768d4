//! The photo's camera, and where the head stands before it.

use bevy::math::{Quat, Vec2, Vec3};

/// A pinhole camera of square pixels and no distortion.
///
/// View space is Bevy's: metres, the camera at the origin, looking to −Z, Y up. Places in the photo are in pixels, x
/// right and y down, the centre of the first pixel at (0, 0).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Camera {
    /// Focal length in pixels of the photo.
    pub focal: f32,
    /// Where the axis meets the photo, in pixels: its middle.
    pub centre: Vec2,
}

impl Camera {
    /// The place of a point in view space in the photo; meaningless for points that are not before the camera.
    pub fn project(&self, point: Vec3) -> Vec2 {
        self.centre + Vec2::new(point.x, -point.y) * (self.focal / -point.z)
    }

    /// A vector in view space from the camera through a place in the photo; its z is −1.
    pub fn ray(&self, pixel: Vec2) -> Vec3 {
        let place = (pixel - self.centre) / self.focal;
        Vec3::new(place.x, -place.y, -1.0)
    }

    /// The vertical field of view of a photo of this height in pixels, in radians: that of a perspective camera which
    /// shows the head where the photo does.
    pub fn vertical_field_of_view(&self, height: u32) -> f32 {
        2.0 * (0.5 * height as f32 / self.focal).atan()
    }
}

/// Takes the head's space to view space: first turned, then moved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeadPose {
    /// The head's turn; none when it looks along the camera's axis into the camera.
    pub rotation: Quat,
    /// The head's origin in view space, in metres.
    pub translation: Vec3,
}

impl HeadPose {
    /// A point of the head in view space.
    pub fn apply(&self, point: Vec3) -> Vec3 {
        self.rotation * point + self.translation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAMERA: Camera = Camera { focal: 800.0, centre: Vec2::new(319.5, 239.5) };

    #[test]
    fn what_is_up_and_to_the_right_is_so_in_the_photo() {
        assert_eq!(CAMERA.project(Vec3::new(0.0, 0.0, -2.0)), CAMERA.centre);
        assert_eq!(CAMERA.project(Vec3::new(0.5, 0.25, -2.0)), CAMERA.centre + Vec2::new(200.0, -100.0));
    }

    #[test]
    fn a_ray_meets_the_points_that_its_pixel_shows() {
        let point = Vec3::new(-0.3, 0.2, -1.7);
        assert!((CAMERA.ray(CAMERA.project(point)) * 1.7 - point).length() < 1e-6);
    }

    #[test]
    fn the_field_of_view_reaches_from_edge_to_edge() {
        let half = 0.5 * CAMERA.vertical_field_of_view(480);
        let top = CAMERA.project(Vec3::new(0.0, half.tan(), -1.0));
        assert!((top.y + 0.5).abs() < 1e-3, "{top}");
    }
}
