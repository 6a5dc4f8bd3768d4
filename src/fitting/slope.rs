//! Derivatives by differences, for tests of gradients.

/// Largest error of a derivative, as a part of the gradient's size.
const TOLERANCE: f64 = 1e-3;

/// The derivative of `value` at 0, of fourth order: from its differences over one `step` to each side, and over two.
fn slope(step: f32, mut value: impl FnMut(f32) -> f64) -> f64 {
    let mut difference = |step: f32| (value(step) - value(-step)) / (2.0 * f64::from(step));
    (4.0 * difference(step) - difference(2.0 * step)) / 3.0
}

/// Asserts that `found`, a part of a gradient of this `size`, is the derivative of `value` at 0.
///
/// # Panics
/// When the error is more than a thousandth of `size`.
#[track_caller]
pub fn assert_slope(what: &str, found: f32, size: f32, step: f32, value: impl FnMut(f32) -> f64) {
    let expected = slope(step, value);
    let error = (f64::from(found) - expected).abs();
    assert!(error <= TOLERANCE * f64::from(size), "{what}: {found} is not {expected}, of a gradient of {size}");
}

#[test]
fn derivatives_are_those_of_analysis() {
    assert!((slope(0.01, |step| (0.7 + f64::from(step)).sin()) - 0.7_f64.cos()).abs() < 1e-8);
}

#[test]
#[should_panic(expected = "sine: 1.002 is not")]
fn a_gradient_that_is_off_is_refused() {
    assert_slope("sine", 1.002, 1.002, 0.01, |step| f64::from(step).sin());
}
