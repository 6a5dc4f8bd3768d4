//! The natural logarithm, equal to the last bit on every platform.
//!
//! `f64::ln` calls the platform's C library, and those differ in the last bit, which would make the same seed another
//! face on another system. Addition, multiplication, division and square root are exactly rounded by IEEE 754 and
//! never fused by Rust, so what is made of them alone is the same everywhere.

use std::f64::consts::{LN_2, SQRT_2};

/// Terms of the series: the first one left out is below 2⁻⁵³ of the sum.
const TERMS: u32 = 11;

/// Bits of the mantissa of an `f64`.
const MANTISSA_BITS: u32 = 52;

/// Bits of the exponent of 1.
const EXPONENT_OF_ONE: u64 = 1023;

/// `ln x` of a positive, normal number, within 2 units in the last place of the true value.
///
/// `x = 2ᵉ m` with m between √½ and √2, and `ln m = 2 artanh((m − 1) / (m + 1))` by its power series.
pub(super) fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let mut exponent = (bits >> MANTISSA_BITS) as i32 - EXPONENT_OF_ONE as i32;
    let mantissa_mask = (1 << MANTISSA_BITS) - 1;
    let mut mantissa = f64::from_bits((bits & mantissa_mask) | (EXPONENT_OF_ONE << MANTISSA_BITS));
    if mantissa > SQRT_2 {
        mantissa *= 0.5;
        exponent += 1;
    }
    let argument = (mantissa - 1.0) / (mantissa + 1.0);
    let square = argument * argument;
    let series = (0..TERMS).rev().fold(0.0, |sum, term| sum * square + 1.0 / f64::from(2 * term + 1));
    f64::from(exponent) * LN_2 + 2.0 * argument * series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_agrees_with_the_platforms() {
        let wide = (-1000..1000).map(|exponent| 1.37 * f64::powi(2.0, exponent));
        let near_one = (-1000..1000).map(|step| 1.0 + f64::from(step) * 3e-4);
        for x in wide.chain(near_one) {
            let error = (ln(x) - x.ln()).abs();
            assert!(error <= 4.0 * f64::EPSILON * x.ln().abs(), "ln {x}: {error:e}");
        }
        assert_eq!(ln(1.0), 0.0);
    }
}
