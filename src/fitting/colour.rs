//! The sRGB transfer curve of IEC 61966-2-1 and its slope, continued beyond 0 to 1.

use bevy::math::Vec3;

/// Linear values below this one are encoded by a straight line.
const LINEAR_TOE: f32 = 0.003_130_8;

/// Linear RGB of an encoded colour.
pub fn to_linear(colour: Vec3) -> Vec3 {
    Vec3::from_array(colour.to_array().map(linear))
}

/// Encoded colour of linear RGB.
pub fn to_srgb(colour: Vec3) -> Vec3 {
    Vec3::from_array(colour.to_array().map(srgb))
}

/// Linear value of an encoded one.
pub fn linear(encoded: f32) -> f32 {
    if encoded <= 12.92 * LINEAR_TOE { encoded / 12.92 } else { ((encoded + 0.055) / 1.055).powf(2.4) }
}

/// The slope of [`linear`] at an encoded value.
pub fn linear_slope(encoded: f32) -> f32 {
    if encoded <= 12.92 * LINEAR_TOE { 1.0 / 12.92 } else { 2.4 / 1.055 * ((encoded + 0.055) / 1.055).powf(1.4) }
}

/// Encoded value of a linear one.
pub fn srgb(linear: f32) -> f32 {
    if linear <= LINEAR_TOE { 12.92 * linear } else { 1.055 * linear.powf(1.0 / 2.4) - 0.055 }
}

/// The slope of [`srgb`] at a linear value.
pub fn srgb_slope(linear: f32) -> f32 {
    if linear <= LINEAR_TOE { 12.92 } else { 1.055 / 2.4 * linear.powf(1.0 / 2.4 - 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fitting::slope::assert_slope;

    #[test]
    fn the_curves_are_inverse_and_their_slopes_those_of_differences() {
        for value in [0.001, 0.01, 0.04, 0.2, 0.5, 0.9, 1.3_f32] {
            assert!((srgb(linear(value)) - value).abs() < 1e-5, "{value}");
            for (curve, slope) in [(linear as fn(f32) -> f32, linear_slope(value)), (srgb, srgb_slope(value))] {
                assert_slope("curve", slope, slope, 5e-3 * value, |step| curve(value + step).into());
            }
        }
        // A value of the standard's table: 50 % grey is 21.4 % of the light.
        assert!((linear(0.5) - 0.214_041).abs() < 1e-5);
    }
}
