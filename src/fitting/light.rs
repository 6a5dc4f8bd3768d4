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

/// Weight of the second band's coefficients being zero for each pixel that is passed over, against one that counts: the light
/// there is told by none, and the few that are left would make it up.
const PASSED_OVER: f64 = 0.002;

/// Deviation of the light's colour, as the logarithm of a channel's share, from where most of it comes: sun and sky differ by
/// less. What differs by more has another colour than the head's: a mask, a hand, a flag.
const COLOUR_DEVIATION: f32 = 0.25;

/// Linear values below this one are weighted like it.
const DARK: f32 = 0.02;

/// The light in which a surveyed head looks most like the photo, where `weights` says that both show skin.
///
/// Each channel is a linear least-squares problem of nine unknowns. Errors are weighted as they would be seen in sRGB,
/// and those that stand out lose their influence (Geman and McClure's weights, from a wide scale to a narrow one). So do from
/// the beginning pixels that only light of another colour than the rest's could explain. `photo` is linear RGB, row by row.
pub fn solve(survey: &Survey, photo: &[Vec3], weights: &[f32]) -> ShLight {
    let pixels: Vec<usize> = (0..weights.len()).filter(|&pixel| weights[pixel] > 0.0).collect();
    let agreement = agreement(survey, photo, &pixels);
    let mut light = [Vec3::ZERO; sh::COUNT];
    let mut equations: Vec<Equation> = pixels
        .iter()
        .zip(&agreement)
        .map(|(&pixel, &agreement)| Equation {
            pixel,
            weight: [f64::from(weights[pixel] * agreement); 3],
            passed_over: [f64::from(weights[pixel] * (1.0 - agreement)); 3],
        })
        .collect();
    for round in 0..ROUNDS {
        for channel in 0..3 {
            let solution = solve_channel(survey, photo, &equations, channel);
            light.iter_mut().zip(solution.iter()).for_each(|(light, &value)| light[channel] = value as f32);
        }
        let scale = OUTLIER * (FIRST_OUTLIER - round as f64).max(1.0);
        for (equation, &agreement) in equations.iter_mut().zip(&agreement) {
            let pixel = equation.pixel;
            let rendered: Vec3 =
                survey.response[pixel].iter().zip(light).map(|(&response, light)| response * light).sum();
            let error = colour::to_srgb(rendered.max(Vec3::ZERO)) - colour::to_srgb(photo[pixel]);
            let square = f64::from(error.length_squared()) / (3.0 * scale * scale);
            let inlier = f64::from(agreement) / (1.0 + square).powi(2);
            let seen = rendered
                .to_array()
                .map(|value| f64::from(weights[pixel]) * f64::from(colour::srgb_slope(value.max(DARK))).powi(2));
            equation.weight = seen.map(|weight| inlier * weight);
            equation.passed_over = seen.map(|weight| (1.0 - inlier) * weight);
        }
    }
    ShLight(light)
}

/// What a pixel says of the light.
struct Equation {
    pixel: usize,
    /// How far it counts, by channel.
    weight: [f64; 3],
    /// How much more it would count if the head explained it.
    passed_over: [f64; 3],
}

/// How far the light that each of these pixels needs has the colour that most of them need, 0 to 1.
fn agreement(survey: &Survey, photo: &[Vec3], pixels: &[usize]) -> Vec<f32> {
    let colour = |&pixel: &usize| {
        let ambient = survey.response[pixel][0].max(Vec3::splat(f32::MIN_POSITIVE));
        let light = photo[pixel].max(Vec3::splat(DARK)).map(f32::ln) - ambient.map(f32::ln);
        light - light.element_sum() / 3.0
    };
    let colours: Vec<Vec3> = pixels.iter().map(colour).collect();
    let usual = Vec3::from_array(std::array::from_fn(|channel| {
        let mut values: Vec<f32> = colours.iter().map(|colour| colour[channel]).collect();
        let middle = values.len() / 2;
        if values.is_empty() { 0.0 } else { *values.select_nth_unstable_by(middle, f32::total_cmp).1 }
    }));
    let agreement = |colour: &Vec3| {
        let square = (*colour - usual).length_squared() / (3.0 * COLOUR_DEVIATION * COLOUR_DEVIATION);
        1.0 / (1.0 + square).powi(2)
    };
    colours.iter().map(agreement).collect()
}

fn solve_channel(
    survey: &Survey,
    photo: &[Vec3],
    equations: &[Equation],
    channel: usize,
) -> SVector<f64, { sh::COUNT }> {
    let mut matrix = SMatrix::<f64, { sh::COUNT }, { sh::COUNT }>::zeros();
    let mut vector = SVector::<f64, { sh::COUNT }>::zeros();
    let mut passed_over = 0.0;
    for &Equation { pixel, weight, passed_over: passed } in equations {
        let row = SVector::<f64, { sh::COUNT }>::from_fn(|k, _| survey.response[pixel][k][channel].into());
        matrix.ger(weight[channel], &row, &row, 1.0);
        vector.axpy(weight[channel] * f64::from(photo[pixel][channel]), &row, 1.0);
        passed_over += passed[channel] * row[0] * row[0];
    }
    let strength = matrix[(0, 0)] / (equations.len() as f64).max(100.0);
    for k in 0..sh::COUNT {
        let band = usize::from(k > 0) + usize::from(k > 3);
        matrix[(k, k)] += RIDGE[band] * strength + 1e-12;
        if band == 2 {
            matrix[(k, k)] += PASSED_OVER * passed_over;
        }
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
    fn a_mask_of_another_colour_is_no_light() {
        let survey = ball();
        let mut lamp = ShLight::constant(Vec3::new(0.9, 0.8, 0.7));
        lamp.0[1] = Vec3::splat(0.2);
        lamp.0[3] = Vec3::new(-0.3, -0.25, -0.2);
        let truth = shade(&survey, &lamp);
        let mut photo = truth.clone();
        photo[24 * 40..].fill(Vec3::new(0.3, 0.45, 0.7));
        let found = shade(&survey, &solve(&survey, &photo, &survey.mask));
        let seen = |picture: &[Vec3]| picture[..24 * 40].to_vec();
        let error = difference(&survey, &seen(&truth), &seen(&found));
        assert!(error < 0.02, "{error}");
        let below = survey.mask.iter().rposition(|&mask| mask > 0.0).expect("a ball");
        assert!(found[below].x > found[below].z, "{}", found[below]);
    }

    #[test]
    fn what_is_passed_over_hardly_makes_the_light_uneven() {
        let survey = ball();
        let mut lamp = ShLight::constant(Vec3::new(0.9, 0.8, 0.7));
        lamp.0[1] = Vec3::splat(0.2);
        // Only the middle of the face is bare; its albedo changes by some percent, which looks like light.
        let place = |i: usize| (2 * i + 1) as f32 / 40.0 - 1.0;
        let bare = |index: usize| place(index % 40).powi(2) + place(index / 40).powi(2) < 0.55;
        let mottled = |index: usize| 1.0 + 0.08 * (4.0 * place(index % 40)).cos() * (3.0 * place(index / 40)).cos();
        let pixel = |(index, truth): (usize, Vec3)| {
            if bare(index) { mottled(index) * truth } else { Vec3::new(0.02, 0.05, 0.3) }
        };
        let photo: Vec<Vec3> = shade(&survey, &lamp).into_iter().enumerate().map(pixel).collect();
        let uneven = |weights: &[f32]| {
            solve(&survey, &photo, weights).0[4..].iter().map(|light| light.length_squared()).sum::<f32>().sqrt()
        };
        let middle: Vec<f32> =
            survey.mask.iter().enumerate().map(|(index, &mask)| if bare(index) { mask } else { 0.0 }).collect();
        let (alone, among_others) = (uneven(&middle), uneven(&survey.mask));
        assert!(alone > 0.1 && among_others < 1.15 * alone, "{alone} alone, {among_others} among others");
    }

    #[test]
    fn nothing_to_see_gives_no_light() {
        let survey = Survey { response: vec![[Vec3::ZERO; sh::COUNT]; 9], mask: vec![0.0; 9] };
        assert_eq!(solve(&survey, &[Vec3::ONE; 9], &survey.mask), ShLight([Vec3::ZERO; sh::COUNT]));
    }
}
