//! The light of a photo, in closed form from the pixels of the skin.

use bevy::math::Vec3;
use nalgebra::{SMatrix, SVector};

use super::{
    colour,
    render::{ShLight, Survey, sh},
};

/// Errors beyond this, in sRGB units of 0 to 1, lose their influence: highlights, shadows, hair, glasses.
const OUTLIER: f64 = 0.10;

/// How often weights are adapted to the errors.
const ROUNDS: usize = 8;

/// Weight, against one pixel, of each band's coefficients being zero.
const RIDGE: [f64; 3] = [1e-4, 3.0, 12.0];

/// Errors lose their influence at so many times [`OUTLIER`] in the first round, and at less in each round after it.
const FIRST_OUTLIER: f64 = 5.0;

/// Linear values below this one are weighted like it.
const DARK: f32 = 0.02;

/// The light in which a surveyed head looks most like the photo, where `weights` says that both show skin.
///
/// Each channel is a linear least-squares problem of nine unknowns. Errors are weighted as they would be seen in sRGB,
/// and those that stand out lose their influence (Geman and McClure's weights, from a wide scale to a narrow one).
/// `photo` is linear RGB, row by row.
pub fn solve(survey: &Survey, photo: &[Vec3], weights: &[f32]) -> ShLight {
    let pixels: Vec<usize> = (0..weights.len()).filter(|&pixel| weights[pixel] > 0.0).collect();
    let mut light = [Vec3::ZERO; sh::COUNT];
    let mut robust: Vec<[f64; 3]> = pixels.iter().map(|&pixel| [f64::from(weights[pixel]); 3]).collect();
    for round in 0..ROUNDS {
        for channel in 0..3 {
            let solution = solve_channel(survey, photo, &pixels, &robust, channel);
            light.iter_mut().zip(solution.iter()).for_each(|(light, &value)| light[channel] = value as f32);
        }
        let scale = OUTLIER * (FIRST_OUTLIER - round as f64).max(1.0);
        for (&pixel, robust) in pixels.iter().zip(&mut robust) {
            let rendered: Vec3 =
                survey.response[pixel].iter().zip(light).map(|(&response, light)| response * light).sum();
            let error = colour::to_srgb(rendered.max(Vec3::ZERO)) - colour::to_srgb(photo[pixel]);
            let square = f64::from(error.length_squared()) / (3.0 * scale * scale);
            let weight = f64::from(weights[pixel]) / (1.0 + square).powi(2);
            *robust = rendered.to_array().map(|value| weight * f64::from(colour::srgb_slope(value.max(DARK))).powi(2));
        }
    }
    ShLight(light)
}

fn solve_channel(
    survey: &Survey,
    photo: &[Vec3],
    pixels: &[usize],
    weights: &[[f64; 3]],
    channel: usize,
) -> SVector<f64, { sh::COUNT }> {
    let mut matrix = SMatrix::<f64, { sh::COUNT }, { sh::COUNT }>::zeros();
    let mut vector = SVector::<f64, { sh::COUNT }>::zeros();
    for (&pixel, weights) in pixels.iter().zip(weights) {
        let row = SVector::<f64, { sh::COUNT }>::from_fn(|k, _| survey.response[pixel][k][channel].into());
        matrix.ger(weights[channel], &row, &row, 1.0);
        vector.axpy(weights[channel] * f64::from(photo[pixel][channel]), &row, 1.0);
    }
    let strength = matrix[(0, 0)] / (pixels.len() as f64).max(100.0);
    for k in 0..sh::COUNT {
        matrix[(k, k)] += RIDGE[usize::from(k > 0) + usize::from(k > 3)] * strength + 1e-12;
    }
    matrix.cholesky().map_or(vector * 0.0, |factors| factors.solve(&vector))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ball whose pixels show every direction of a hemisphere once, of an albedo that differs by channel.
    fn ball() -> Survey {
        let side = 40;
        let pixels = (0..side * side).map(|index| {
            let place = |i: usize| (2 * i + 1) as f32 / side as f32 - 1.0;
            let (x, y) = (place(index % side), -place(index / side));
            let square = x * x + y * y;
            let inside = square < 0.95;
            let basis = sh::irradiance_basis(Vec3::new(x, y, (1.0 - square).max(0.0).sqrt()).normalize());
            let albedo = Vec3::new(0.6, 0.4, 0.3) / std::f32::consts::PI;
            (basis.map(|value| if inside { albedo * value } else { Vec3::ZERO }), f32::from(u8::from(inside)))
        });
        let (response, mask) = pixels.unzip();
        Survey { response, mask }
    }

    fn shade(survey: &Survey, light: &ShLight) -> Vec<Vec3> {
        let shade = |response: &[Vec3; sh::COUNT]| response.iter().zip(light.0).map(|(&r, light)| r * light).sum();
        survey.response.iter().map(shade).collect()
    }

    fn light() -> ShLight {
        let mut light = ShLight::constant(Vec3::new(0.9, 0.8, 0.7));
        light.0[1] = Vec3::new(0.3, 0.25, 0.2);
        light.0[2] = Vec3::new(0.2, 0.3, 0.4);
        light.0[3] = Vec3::new(-0.4, -0.3, 0.1);
        light.0[6] = Vec3::new(0.05, 0.1, -0.05);
        light
    }

    /// Largest difference of two pictures where the mask is.
    fn difference(survey: &Survey, a: &[Vec3], b: &[Vec3]) -> f32 {
        let pixels = a.iter().zip(b).zip(&survey.mask).filter(|(_, mask)| **mask > 0.0);
        pixels.map(|((a, b), _)| (*a - *b).abs().max_element()).fold(0.0, f32::max)
    }

    #[test]
    fn a_known_light_is_found_again() {
        let survey = ball();
        let photo = shade(&survey, &light());
        let found = shade(&survey, &solve(&survey, &photo, &survey.mask));
        assert!(difference(&survey, &photo, &found) < 0.01, "{}", difference(&survey, &photo, &found));
    }

    #[test]
    fn hair_shadow_and_highlight_do_not_bend_it() {
        let survey = ball();
        let truth = shade(&survey, &light());
        let mut photo = truth.clone();
        // A fringe over the top eighth, a dark bar over the eyes, and a highlight.
        for (index, pixel) in photo.iter_mut().enumerate() {
            match (index / 40, index % 40) {
                (0..6, _) => *pixel = Vec3::splat(0.01),
                (16..18, 8..32) => *pixel = Vec3::splat(0.02),
                (20..23, 24..27) => *pixel = Vec3::ONE,
                _ => {}
            }
        }
        let found = shade(&survey, &solve(&survey, &photo, &survey.mask));
        assert!(difference(&survey, &truth, &found) < 0.08, "{}", difference(&survey, &truth, &found));
    }

    #[test]
    fn nothing_to_see_gives_no_light() {
        let survey = Survey { response: vec![[Vec3::ZERO; sh::COUNT]; 9], mask: vec![0.0; 9] };
        assert_eq!(solve(&survey, &[Vec3::ONE; 9], &survey.mask), ShLight([Vec3::ZERO; sh::COUNT]));
    }
}
