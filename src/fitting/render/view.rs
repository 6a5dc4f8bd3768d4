//! Where the head stands before the camera, and which rays the pixels see.

use bevy::math::{Mat3, Quat, Vec2, Vec3};

/// The rays of a grid of pixels: affine in the pixel, so that they describe every perspective camera, and every
/// rotated, scaled or sheared crop of its picture.
///
/// Vectors are in view space and of any length: only their directions matter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rays {
    /// Through the centre of the first pixel; its z is usually −1.
    pub origin: Vec3,
    /// From a pixel to its neighbour on the right.
    pub right: Vec3,
    /// From a pixel to its neighbour below.
    pub down: Vec3,
}

impl Rays {
    /// Those of a perspective camera with square pixels, the axis in the middle; `field_of_view` is the vertical one
    /// from edge to edge, in radians.
    pub fn perspective(field_of_view: f32, width: usize, height: usize) -> Self {
        let pixel = 2.0 * (0.5 * field_of_view).tan() / height as f32;
        let (right, down) = (Vec3::X * pixel, Vec3::NEG_Y * pixel);
        let corner = right * (0.5 - 0.5 * width as f32) + down * (0.5 - 0.5 * height as f32);
        Self { origin: corner + Vec3::NEG_Z, right, down }
    }

    /// The ray through a place in pixels; (0, 0) is the centre of the first pixel.
    pub fn at(&self, x: f32, y: f32) -> Vec3 {
        self.origin + x * self.right + y * self.down
    }

    /// The rays of `samples` × `samples` points in each pixel, on a regular grid.
    pub(super) fn subdivided(&self, samples: usize) -> Self {
        let step = 1.0 / samples as f32;
        let first = 0.5 * step - 0.5;
        Self { origin: self.at(first, first), right: self.right * step, down: self.down * step }
    }

    /// Takes a point of view space to `(x λ, y λ, λ)`, where the ray of pixel (x, y) times λ is the point. `None` when
    /// the rays do not span space.
    pub(super) fn inverse(&self) -> Option<Mat3> {
        let rays = Mat3::from_cols(self.right, self.down, self.origin);
        let inverse = (rays.determinant() != 0.0).then(|| rays.inverse());
        inverse.filter(Mat3::is_finite)
    }
}

/// The head before the camera.
///
/// View space is Bevy's: metres, the camera at the origin, looking to −Z, Y up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// Turns head space into view space.
    pub rotation: Quat,
    /// The head's origin in view space, in metres.
    pub translation: Vec3,
    /// What the pixels see.
    pub rays: Rays,
    /// Pixels in a row.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
    /// Samples along each side of a pixel, at least 1. A pixel is the mean of its samples.
    pub supersampling: usize,
}

impl View {
    /// A point of the head in view space.
    pub fn to_view(&self, point: Vec3) -> Vec3 {
        self.rotation * point + self.translation
    }

    /// Where a point of the head is seen, in pixels; (0, 0) is the centre of the first pixel. `None` when it is not
    /// before the camera.
    pub fn project(&self, point: Vec3) -> Option<Vec2> {
        let place = self.rays.inverse()? * self.to_view(point);
        (place.z > 0.0).then(|| place.truncate() / place.z)
    }

    /// Samples in a row, and rows of samples.
    pub(super) fn samples(&self) -> [usize; 2] {
        [self.width, self.height].map(|side| side * self.side())
    }

    /// Samples along each side of a pixel.
    pub(super) fn side(&self) -> usize {
        self.supersampling.max(1)
    }

    /// Points of the head in view space.
    pub(super) fn all_to_view(&self, points: &[Vec3]) -> Vec<Vec3> {
        let rotation = Mat3::from_quat(self.rotation);
        points.iter().map(|&point| rotation * point + self.translation).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn perspective_rays_reach_the_edges_of_the_field_of_view() {
        let rays = Rays::perspective(0.8, 40, 20);
        let top = rays.at(19.5, -0.5);
        assert!((top / -top.z).distance(Vec3::new(0.0, 0.4_f32.tan(), -1.0)) < 1e-6, "{top}");
        let left = rays.at(-0.5, 9.5);
        assert!((left / -left.z).distance(Vec3::new(-2.0 * 0.4_f32.tan(), 0.0, -1.0)) < 1e-6, "{left}");
    }

    #[test]
    fn a_point_is_seen_where_its_ray_goes_through() {
        // A sheared crop whose rays are not of z −1 either.
        let rays = Rays {
            origin: Vec3::new(-0.2, 0.3, -2.0),
            right: Vec3::new(0.01, 0.003, 0.001),
            down: Vec3::new(0.002, -0.012, -0.002),
        };
        let (rotation, translation) = (Quat::from_rotation_y(0.4), Vec3::new(0.1, 0.0, -0.6));
        let view = View { rotation, translation, rays, width: 50, height: 50, supersampling: 1 };
        let seen = rays.at(12.25, 30.5) * 0.37;
        let place = view.project(rotation.inverse() * (seen - translation)).unwrap();
        assert!(place.distance(Vec2::new(12.25, 30.5)) < 1e-3, "{place}");
        assert_eq!(view.project(Vec3::Z), None, "behind the camera");
    }

    #[test]
    fn samples_lie_evenly_within_their_pixel() {
        let rays = Rays::perspective(0.8, 40, 20);
        let fine = rays.subdivided(4);
        let mean = (0..16).map(|sample| fine.at((4 + sample % 4) as f32, (8 + sample / 4) as f32)).sum::<Vec3>() / 16.0;
        assert!(mean.distance(rays.at(1.0, 2.0)) < 1e-6);
        assert!(fine.at(3.5, 8.0).distance(rays.at(0.5, 1.625)) < 1e-6, "the border between two pixels");
    }
}
