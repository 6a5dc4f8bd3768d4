//! The similarity transform between two sets of points.

use bevy::math::{Mat3, Quat, Vec3};
use nalgebra::Matrix3;

/// Share of the squared distance from the origin below which the spread of points is rounding.
const LEAST_SPREAD: f64 = 1e-10;

/// Rotation, uniform scale and translation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Similarity {
    pub rotation: Quat,
    pub scale: f32,
    pub translation: Vec3,
}

impl Similarity {
    /// The one that brings `from` nearest to `to`, point by point, in the least-squares sense (Umeyama, IEEE PAMI 13(4),
    /// 1991); `None` when either lies in one place or is not finite.
    pub fn between(from: &[Vec3], to: &[Vec3]) -> Option<Self> {
        let count = from.len() as f32;
        let (from_mean, to_mean) = (from.iter().sum::<Vec3>() / count, to.iter().sum::<Vec3>() / count);
        let mut covariance = Matrix3::<f64>::zeros();
        let (mut spreads, mut sizes) = ([0.0_f64; 2], [0.0_f64; 2]);
        for (from, to) in from.iter().zip(to) {
            sizes[0] += from.as_dvec3().length_squared();
            sizes[1] += to.as_dvec3().length_squared();
            let (from, to) = ((*from - from_mean).as_dvec3(), (*to - to_mean).as_dvec3());
            covariance += Matrix3::from_fn(|row, column| to[row] * from[column]);
            spreads[0] += from.length_squared();
            spreads[1] += to.length_squared();
        }
        let spread = |(spread, size): (&f64, &f64)| spread.is_finite() && *spread > LEAST_SPREAD * size;
        if !spreads.iter().zip(&sizes).all(spread) {
            return None;
        }
        let svd = covariance.svd(true, true);
        let (left, right) = (svd.u?, svd.v_t?);
        let mut signs = Matrix3::identity();
        signs[(2, 2)] = (left * right).determinant().signum();
        let turn = left * signs * right;
        let scale = ((Matrix3::from_diagonal(&svd.singular_values) * signs).trace() / spreads[0]) as f32;
        let rotation = Mat3::from_cols_array(&std::array::from_fn(|i| turn[(i % 3, i / 3)] as f32));
        let rotation = Quat::from_mat3(&rotation).normalize();
        (scale.is_finite() && scale > 0.0).then(|| Self {
            rotation,
            scale,
            translation: to_mean - scale * (rotation * from_mean),
        })
    }

    pub fn apply(&self, point: Vec3) -> Vec3 {
        self.scale * (self.rotation * point) + self.translation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points() -> Vec<Vec3> {
        (0..20).map(|i| Vec3::new((i as f32).sin(), (1.7 * i as f32).cos(), (0.6 * i as f32).sin() * 0.3)).collect()
    }

    #[test]
    fn a_similarity_is_found_again() {
        let known = Similarity {
            rotation: Quat::from_scaled_axis(Vec3::new(0.4, -1.1, 0.3)),
            scale: 0.02,
            translation: Vec3::new(3.0, -2.0, 0.5),
        };
        let from = points();
        let to: Vec<Vec3> = from.iter().map(|point| known.apply(*point)).collect();
        let found = Similarity::between(&from, &to).unwrap();
        assert!(found.rotation.angle_between(known.rotation) < 1e-3, "{found:?}");
        assert!((found.scale / known.scale - 1.0).abs() < 1e-4 && found.translation.distance(known.translation) < 1e-4);
    }

    #[test]
    fn a_mirror_image_is_not_mirrored_back() {
        let from = points();
        let to: Vec<Vec3> = from.iter().map(|point| *point * Vec3::new(-1.0, 1.0, 1.0)).collect();
        let found = Similarity::between(&from, &to).unwrap();
        assert!((Mat3::from_quat(found.rotation).determinant() - 1.0).abs() < 1e-4);
    }

    #[test]
    fn points_in_one_place_have_none() {
        for place in [Vec3::ZERO, Vec3::ONE, Vec3::new(311.7, 208.3, -41.1)] {
            assert_eq!(Similarity::between(&[place; 13], &points()[..13]), None, "{place}");
        }
        assert_eq!(Similarity::between(&points()[..5], &[Vec3::NAN; 5]), None);
    }
}
