//! Where a ray meets a triangle: barycentric coordinates that are exact in perspective, and their gradient.

use bevy::math::Vec3;

/// Twice the least area, in square metres, that a triangle shows to a ray and is not passed over.
const LEAST_AREA: f32 = 1e-20;

/// A ray's place in the plane of a triangle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit {
    /// Shares of the corners; their sum is 1. One of them is negative where the ray passes by.
    pub weights: [f32; 3],
    total: f32,
}

impl Hit {
    /// With corners P0, P1, P2 in view space and a ray d from the camera: w0 = d·(P1×P2), w1 = d·(P2×P0),
    /// w2 = d·(P0×P1), weights = w / Σw. `None` when the triangle shows no area to the ray.
    #[inline]
    pub fn new(ray: Vec3, corners: [Vec3; 3]) -> Option<Self> {
        // Any point of the ray may be subtracted from the corners. One close to them saves the digits that the triple
        // products of large vectors lose.
        let near = ray * (corners[0].dot(ray) / ray.length_squared());
        let [a, b, c] = corners.map(|corner| corner - near);
        let volumes = [ray.dot(b.cross(c)), ray.dot(c.cross(a)), ray.dot(a.cross(b))];
        let total: f32 = volumes.iter().sum();
        let weights = volumes.map(|volume| volume / total);
        let usable = total.abs() > LEAST_AREA && weights.iter().all(|weight| weight.is_finite());
        usable.then_some(Self { weights, total })
    }

    /// The mean of three vectors by the weights.
    #[inline]
    pub fn mix(&self, corners: [Vec3; 3]) -> Vec3 {
        let [a, b, c] = self.weights;
        corners[0] * a + corners[1] * b + corners[2] * c
    }

    /// The gradient by the volumes w from that by the weights.
    #[inline]
    pub fn volume_gradient(&self, weights: [f32; 3]) -> [f32; 3] {
        let mean: f32 = weights.iter().zip(self.weights).map(|(gradient, weight)| gradient * weight).sum();
        weights.map(|gradient| (gradient - mean) / self.total)
    }
}

/// The gradient by the corners from that by the volumes w.
#[inline]
pub(super) fn corner_gradient(ray: Vec3, corners: [Vec3; 3], volumes: [f32; 3]) -> [Vec3; 3] {
    let [a, b, c] = corners;
    let [of_a, of_b, of_c] = volumes;
    [ray.cross(of_b * c - of_c * b), ray.cross(of_c * a - of_a * c), ray.cross(of_a * b - of_b * a)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fitting::slope::assert_slope;

    const CORNERS: [Vec3; 3] = [Vec3::new(-0.1, -0.05, -0.5), Vec3::new(0.12, -0.03, -0.8), Vec3::new(0.02, 0.1, -0.4)];

    #[test]
    fn weights_of_a_slanted_triangle_give_the_point_on_the_ray() {
        for weights in [[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [0.1, 0.9, 0.0], [1.2, -0.4, 0.2]] {
            let point = CORNERS[0] * weights[0] + CORNERS[1] * weights[1] + CORNERS[2] * weights[2];
            let hit = Hit::new(point * 2.7, CORNERS).unwrap();
            for (found, expected) in hit.weights.iter().zip(weights) {
                assert!((found - expected).abs() < 1e-5, "{:?} is not {weights:?}", hit.weights);
            }
            assert!(hit.mix(CORNERS).distance(point) < 1e-6);
        }
    }

    #[test]
    fn gradients_by_the_corners_are_central_differences() {
        let ray = Vec3::new(0.02, 0.01, -1.0);
        let seed = [0.7, -0.2, 1.1];
        let hit = Hit::new(ray, CORNERS).unwrap();
        let gradient = corner_gradient(ray, CORNERS, hit.volume_gradient(seed));
        for corner in 0..3 {
            for axis in Vec3::AXES {
                let (found, size) = (gradient[corner].dot(axis), gradient[corner].length());
                assert_slope("corner", found, size, 4e-3, |offset| {
                    let mut corners = CORNERS;
                    corners[corner] += offset * axis;
                    let weights = Hit::new(ray, corners).unwrap().weights;
                    weights.iter().zip(seed).map(|(weight, seed)| f64::from(weight * seed)).sum()
                });
            }
        }
    }

    #[test]
    fn triangles_without_area_are_not_hit() {
        let [a, b, _] = CORNERS;
        assert!(Hit::new(Vec3::NEG_Z, [a, a, b]).is_none());
        assert!(Hit::new(Vec3::NEG_Z, [a, b, 2.0 * b - a]).is_none_or(|hit| hit.weights.iter().all(|w| w.is_finite())));
        assert!(Hit::new(Vec3::NEG_Z, [Vec3::ZERO; 3]).is_none());
        assert!(Hit::new(Vec3::ZERO, CORNERS).is_none());
        assert!(Hit::new(Vec3::NEG_Z, CORNERS.map(|corner| corner * 1e25)).is_none());
    }
}
