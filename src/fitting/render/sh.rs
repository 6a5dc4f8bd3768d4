//! Light from far away as spherical harmonics of second order: radiance, irradiance, and their gradients.
//!
//! Real, orthonormal harmonics in Cartesian form without the Condon–Shortley phase, in this order:
//!
//! | index | l, m | Y |
//! |---|---|---|
//! | 0 | 0, 0 | 0.282095 |
//! | 1 | 1, −1 | 0.488603 y |
//! | 2 | 1, 0 | 0.488603 z |
//! | 3 | 1, 1 | 0.488603 x |
//! | 4 | 2, −2 | 1.092548 x y |
//! | 5 | 2, −1 | 1.092548 y z |
//! | 6 | 2, 0 | 0.315392 (3 z² − 1) |
//! | 7 | 2, 1 | 1.092548 x z |
//! | 8 | 2, 2 | 0.546274 (x² − y²) |
//!
//! as in Ramamoorthi and Hanrahan, "An efficient representation for irradiance environment maps", SIGGRAPH 2001, whose
//! cosine factors give the irradiance. Axes are those of view space.

use std::f32::consts::PI;

use bevy::math::Vec3;

/// Number of harmonics.
pub const COUNT: usize = 9;

/// Degree l of each harmonic.
const DEGREE: [usize; COUNT] = [0, 1, 1, 1, 2, 2, 2, 2, 2];

/// What the cosine of Lambert's law multiplies each degree with: Â of Ramamoorthi and Hanrahan.
const COSINE: [f32; 3] = [PI, 2.0 * PI / 3.0, PI / 4.0];

/// √(1 / 4π)
const Y0: f32 = 0.282_094_8;
/// √(3 / 4π)
const Y1: f32 = 0.488_602_5;
/// √(15 / 4π)
const Y2: f32 = 1.092_548_4;
/// √(5 / 16π)
const Y20: f32 = 0.315_391_57;
/// √(15 / 16π)
const Y22: f32 = 0.546_274_2;

/// Radiance from all around, linear RGB, in view space: a coefficient of each harmonic.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ShLight(pub [Vec3; COUNT]);

impl ShLight {
    /// The same radiance from everywhere.
    pub fn constant(radiance: Vec3) -> Self {
        let mut light = Self::default();
        light.0[0] = radiance / Y0;
        light
    }

    /// What comes from a direction of unit length; the series may ring below 0.
    pub fn radiance(&self, direction: Vec3) -> Vec3 {
        sum(&self.0, &basis(direction))
    }

    /// What falls on a surface with a normal of unit length, π for a radiance of 1 from everywhere; the series may ring
    /// below 0.
    pub fn irradiance(&self, normal: Vec3) -> Vec3 {
        sum(&self.0, &irradiance_basis(normal))
    }

    /// The series with each degree multiplied by a factor.
    pub(super) fn scaled(&self, factors: [f32; 3]) -> [Vec3; COUNT] {
        std::array::from_fn(|index| factors[DEGREE[index]] * self.0[index])
    }
}

/// The harmonics in a direction of unit length.
#[inline]
pub fn basis(direction: Vec3) -> [f32; COUNT] {
    let Vec3 { x, y, z } = direction;
    [Y0, Y1 * y, Y1 * z, Y1 * x, Y2 * x * y, Y2 * y * z, Y20 * (3.0 * z * z - 1.0), Y2 * x * z, Y22 * (x * x - y * y)]
}

/// The irradiance under each harmonic alone, with its coefficient 1, on a surface with a normal of unit length:
/// irradiance is linear in the coefficients.
pub fn irradiance_basis(normal: Vec3) -> [f32; COUNT] {
    let basis = basis(normal);
    std::array::from_fn(|index| COSINE[DEGREE[index]] * basis[index])
}

/// Derivatives of [`basis`]'s polynomials by the direction. Only the part across the direction has a meaning.
pub fn basis_gradient(direction: Vec3) -> [Vec3; COUNT] {
    let Vec3 { x, y, z } = direction;
    [
        Vec3::ZERO,
        Vec3::Y * Y1,
        Vec3::Z * Y1,
        Vec3::X * Y1,
        Vec3::new(y, x, 0.0) * Y2,
        Vec3::new(0.0, z, y) * Y2,
        Vec3::Z * (6.0 * Y20 * z),
        Vec3::new(z, 0.0, x) * Y2,
        Vec3::new(x, -y, 0.0) * (2.0 * Y22),
    ]
}

/// What a diffuse white surface sends out under each degree, the cosine's factor by π.
pub(super) fn diffuse_factors() -> [f32; 3] {
    COSINE.map(|factor| factor / PI)
}

/// How much of each degree's light a glossy lobe lets through around the mirror direction: `exp(−(σ l)²)`, the
/// microfacet lobe at normal incidence of Ramamoorthi and Hanrahan, "A signal-processing framework for inverse
/// rendering", SIGGRAPH 2001, with the width of the facets' distribution σ = roughness² as Bevy's materials have it.
pub(super) fn lobe_factors(roughness: f32) -> [f32; 3] {
    let width = roughness * roughness;
    [0.0, 1.0, 2.0].map(|degree: f32| (-(width * degree).powi(2)).exp())
}

/// The factor of each harmonic's degree.
pub(super) fn by_harmonic(factors: [f32; 3]) -> [f32; COUNT] {
    DEGREE.map(|degree| factors[degree])
}

/// The series' value from the harmonics' values.
#[inline]
pub(super) fn sum(coefficients: &[Vec3; COUNT], basis: &[f32; COUNT]) -> Vec3 {
    coefficients.iter().zip(basis).fold(Vec3::ZERO, |sum, (&coefficient, &value)| sum + coefficient * value)
}

/// The derivative by the direction of the series' value times `seed`: a sum over [`basis_gradient`] without its zeros.
#[inline]
pub(super) fn direction_gradient(coefficients: &[Vec3; COUNT], direction: Vec3, seed: Vec3) -> Vec3 {
    let Vec3 { x, y, z } = direction;
    let [_, by_y, by_z, by_x, by_xy, by_yz, by_zz, by_xz, by_xx] = coefficients.map(|value| value.dot(seed));
    Vec3::new(
        Y1 * by_x + Y2 * (y * by_xy + z * by_xz) + 2.0 * Y22 * x * by_xx,
        Y1 * by_y + Y2 * (x * by_xy + z * by_yz) - 2.0 * Y22 * y * by_xx,
        Y1 * by_z + Y2 * (y * by_yz + x * by_xz) + 6.0 * Y20 * z * by_zz,
    )
}

#[cfg(test)]
mod tests {
    use bevy::math::{DVec3, Mat4};

    use super::*;
    use crate::fitting::slope::assert_slope;

    /// A light that is different in every harmonic and channel.
    fn generic() -> ShLight {
        ShLight(std::array::from_fn(|index| {
            let phase = index as f32;
            Vec3::new((1.3 * phase + 0.7).sin(), (2.1 * phase - 0.4).cos(), (0.9 * phase + 2.0).sin())
        }))
    }

    fn directions() -> impl Iterator<Item = Vec3> {
        (0..20).map(|step| {
            let step = step as f32;
            Vec3::new((2.3 * step).sin(), (1.7 * step + 0.3).cos(), (3.1 * step + 1.0).sin()).normalize()
        })
    }

    /// The integral over the sphere, by Gauss's midpoints in height and azimuth.
    fn integrate(function: impl Fn(Vec3) -> f64) -> f64 {
        let (rows, columns) = (400, 400);
        let mut integral = 0.0;
        for row in 0..rows {
            let height = (f64::from(row) + 0.5) / f64::from(rows) * 2.0 - 1.0;
            for column in 0..columns {
                let azimuth = (f64::from(column) + 0.5) / f64::from(columns) * std::f64::consts::TAU;
                let across = (1.0 - height * height).sqrt();
                let direction = DVec3::new(across * azimuth.cos(), across * azimuth.sin(), height);
                integral += function(direction.as_vec3());
            }
        }
        integral * 4.0 * std::f64::consts::PI / f64::from(rows * columns)
    }

    #[test]
    fn harmonics_are_orthonormal() {
        for a in 0..COUNT {
            for b in 0..=a {
                let product = integrate(|direction| {
                    let basis = basis(direction);
                    f64::from(basis[a]) * f64::from(basis[b])
                });
                let expected = if a == b { 1.0 } else { 0.0 };
                assert!((product - expected).abs() < 1e-4, "{a} {b}: {product}");
            }
        }
    }

    #[test]
    fn irradiance_is_the_integral_of_radiance_over_the_hemisphere() {
        let light = generic();
        for normal in directions().take(6) {
            let integral =
                integrate(|from| f64::from(light.radiance(from).x) * f64::from(normal.dot(from).max(0.0))) as f32;
            assert!((integral - light.irradiance(normal).x).abs() < 2e-3, "{integral} at {normal}");
        }
    }

    #[test]
    fn irradiance_is_the_published_matrix_form() {
        // E = nᵗ M n, equations 11 and 12 of the paper, with its own rounded constants.
        let (c1, c2, c3, c4, c5) = (0.429_043, 0.511_664, 0.743_125, 0.886_227, 0.247_708);
        let light = generic();
        let [l00, l1m1, l10, l11, l2m2, l2m1, l20, l21, l22] = light.0.map(|coefficient| coefficient.y);
        let matrix = Mat4::from_cols_array_2d(&[
            [c1 * l22, c1 * l2m2, c1 * l21, c2 * l11],
            [c1 * l2m2, -c1 * l22, c1 * l2m1, c2 * l1m1],
            [c1 * l21, c1 * l2m1, c3 * l20, c2 * l10],
            [c2 * l11, c2 * l1m1, c2 * l10, c4 * l00 - c5 * l20],
        ]);
        for normal in directions() {
            let place = normal.extend(1.0);
            let expected = place.dot(matrix * place);
            let found = light.irradiance(normal).y;
            assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
        }
    }

    #[test]
    fn gradients_by_direction_are_central_differences() {
        let light = generic();
        let seed = Vec3::new(0.4, -1.1, 0.8);
        for direction in directions() {
            let gradient = direction_gradient(&light.0, direction, seed);
            let terms = basis_gradient(direction).into_iter().zip(light.0);
            let total: Vec3 = terms.map(|(gradient, value)| gradient * value.dot(seed)).sum();
            assert!(gradient.distance(total) < 1e-5, "{gradient} is not {total}");
            for axis in Vec3::AXES {
                assert_slope("direction", gradient.dot(axis), gradient.length(), 1e-2, |offset| {
                    sum(&light.0, &basis(direction + offset * axis)).dot(seed).into()
                });
            }
        }
    }

    #[test]
    fn constant_light_is_the_same_everywhere() {
        let radiance = Vec3::new(0.2, 0.5, 1.5);
        let light = ShLight::constant(radiance);
        for direction in directions() {
            assert!(light.radiance(direction).distance(radiance) < 1e-6);
            assert!(light.irradiance(direction).distance(PI * radiance) < 1e-5);
        }
    }

    #[test]
    fn rougher_lobes_blur_more() {
        assert_eq!(lobe_factors(0.0), [1.0; 3]);
        let [constant, linear, quadratic] = lobe_factors(0.8);
        assert!(constant == 1.0 && linear < 1.0 && quadratic < linear, "{linear} {quadratic}");
    }
}
