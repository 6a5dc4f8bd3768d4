//! The colour of the irises of people who do not exist.

use bevy::{
    color::{ColorToComponents, Laba, LinearRgba},
    math::Vec3,
};

use crate::diffusion::NoiseSource;

/// Linear reflectance of human irises, from dark brown over hazel and green to blue and grey.
const COLOURS: [Vec3; 9] = [
    Vec3::new(0.030, 0.014, 0.007),
    Vec3::new(0.055, 0.026, 0.011),
    Vec3::new(0.10, 0.052, 0.021),
    Vec3::new(0.15, 0.095, 0.038),
    Vec3::new(0.12, 0.105, 0.050),
    Vec3::new(0.085, 0.105, 0.068),
    Vec3::new(0.085, 0.125, 0.155),
    Vec3::new(0.115, 0.155, 0.195),
    Vec3::new(0.115, 0.13, 0.14),
];

/// Share of people with light irises at a typology angle of 60°.
const LIGHT: f32 = 0.5;

/// Typology angles, in degrees, from which on and up to which that share grows, with the square of the angle.
const LIGHT_TONES: [f32; 2] = [-40.0, 60.0];

/// Places among the colours up to which other irises go at typology angles of ±60°.
const DARK: [f32; 2] = [0.8, 2.4];

/// The irises of a person of a seed, whose face's skin has this mean albedo, linear RGB: linear
/// reflectance, distributed over skin tones as those of the 4,800
/// synthetic people that readers of photos are trained on, whose colours these are.
pub(super) fn draw(seed: u64, skin: Vec3) -> Vec3 {
    let [kind, place] = NoiseSource::new(seed).uniforms().map(|uniform| uniform as f32);
    let tone = typology_angle(skin);
    let share = ((tone - LIGHT_TONES[0]) / (LIGHT_TONES[1] - LIGHT_TONES[0])).clamp(0.0, 1.0);
    let last = if kind < LIGHT * share * share {
        (COLOURS.len() - 1) as f32
    } else {
        DARK[0] + (DARK[1] - DARK[0]) * (tone / 120.0 + 0.5).clamp(0.0, 1.0)
    };
    let place = place * last;
    let below = (place as usize).min(COLOURS.len() - 2);
    COLOURS[below].lerp(COLOURS[below + 1], place - below as f32)
}

/// Individual typology angle of a skin's linear albedo, in degrees (Chardon et al., 1991): 60 is very light, −60 very dark.
fn typology_angle(skin: Vec3) -> f32 {
    let Laba { lightness, b, .. } = Laba::from(LinearRgba::from_vec3(skin));
    (lightness - 0.5).atan2(b).to_degrees()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Linear skin of typology angles of 57.5°, 20.7°, −13.1° and −70.3°, as `fitdiff.faces.optics.typology_angle` has them.
    const SKINS: [(Vec3, f32); 4] = [
        (Vec3::new(0.62, 0.42, 0.32), 57.54),
        (Vec3::new(0.40, 0.22, 0.14), 20.71),
        (Vec3::new(0.25, 0.13, 0.08), -13.14),
        (Vec3::new(0.06, 0.03, 0.02), -70.31),
    ];

    #[test]
    fn typology_angles_are_those_of_the_training() {
        for (skin, angle) in SKINS {
            assert!((typology_angle(skin) - angle).abs() < 0.2, "{skin}: {} is not {angle}", typology_angle(skin));
        }
    }

    #[test]
    fn light_irises_go_with_skin_tones_as_in_the_training() {
        // Shares of people with irises lighter than brown among the 4,800: 0.32 of very light ones, 0.12 of tan, 0.04 of brown, none of dark.
        for ((skin, _), expected) in SKINS.into_iter().zip([0.32, 0.12, 0.04, 0.0]) {
            let people = 4000;
            let beyond = (0..people).filter(|seed| {
                let iris = draw(*seed, skin);
                assert!(iris.min_element() >= 0.007 && iris.max_element() < 0.2, "{iris}");
                iris.x < 1.73 * iris.y
            });
            let share = beyond.count() as f32 / people as f32;
            assert!((share - expected).abs() < 0.03, "{skin}: {share} is not {expected}");
        }
    }

    #[test]
    fn a_seed_has_one_colour_and_seeds_have_many() {
        let draws = || (0..100).map(|seed| draw(seed, SKINS[0].0));
        assert!(draws().eq(draws()));
        let colours: BTreeSet<[u32; 3]> = draws().map(|iris| iris.to_array().map(f32::to_bits)).collect();
        assert_eq!(colours.len(), 100);
    }
}
