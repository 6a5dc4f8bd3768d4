//! Lighter, darker, cooler and warmer skin.

use bevy::{
    color::{Color, ColorToComponents, LinearRgba},
    math::Vec3,
};

use crate::pipeline::AvatarData;

/// Diffuse albedo of skin from the least melanin to the most, linear RGB: volume fractions of melanosomes in the
/// epidermis of 0.02, 0.05, 0.1, 0.2, 0.4, 0.8 and 1.2, with 1 % of blood in the dermis. By the spectral model that the
/// default bundle's training faces are painted with (Jacques, Skin Optics, OMLC 1998; Donner and Jensen, EGSR 2006).
/// The first one is the second one lightened by 15 %: with less melanin the model's skin, and all that was painted on it
/// for another tone, turns lilac.
const TONES: [Vec3; 8] = [
    Vec3::new(0.6046, 0.3973, 0.3115),
    Vec3::new(0.5257, 0.3455, 0.2709),
    Vec3::new(0.4537, 0.2696, 0.1855),
    Vec3::new(0.3667, 0.1976, 0.1223),
    Vec3::new(0.2635, 0.1301, 0.0751),
    Vec3::new(0.1688, 0.0799, 0.0461),
    Vec3::new(0.1004, 0.0490, 0.0306),
    Vec3::new(0.0734, 0.0378, 0.0255),
];

/// What twice the blood adds to the logarithm of the albedo, by the same model at a melanin fraction of 0.1.
const BLOOD: Vec3 = Vec3::new(-0.095, -0.225, -0.205);

/// How often the blood is doubled, or halved, at the end of the slider.
const DOUBLINGS: f32 = 0.7;

/// Most that the slider lightens or darkens, as a factor of luminance: beyond, the lips and brows that were painted for
/// the other tone look wrong.
const MAX_FACTOR: f32 = 2.5;

/// Relative luminance of linear RGB (IEC 61966-2-1).
const LUMINANCE: Vec3 = Vec3::new(0.2126, 0.7152, 0.0722);

/// The tone of an avatar's skin as it was generated, from which a tint can lead to others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SkinTone {
    /// Mean diffuse albedo of the face's skin, linear RGB, 0 to 1.
    pub albedo: Vec3,
}

impl SkinTone {
    /// Measures the tone of an avatar.
    pub fn of(data: &AvatarData) -> Self {
        Self { albedo: data.maps.skin_albedo(&data.head.masks) }
    }

    /// The [`AvatarLook::skin_tint`](super::AvatarLook::skin_tint) for two sliders of −1 to 1, of which 0 leaves the skin
    /// as it is.
    ///
    /// - `lightness`, darker to lighter: more or less melanin. At the ends the skin reflects 2.5 times less or more, or is
    ///   as dark or light as skin gets, whichever comes first.
    /// - `warmth`, cooler to warmer: less or more blood, at the same luminance; paler and olive, or redder.
    pub fn tint(&self, lightness: f32, warmth: f32) -> Color {
        let [lightness, warmth] = [lightness, warmth].map(|slider| if slider.is_nan() { 0.0 } else { slider });
        let from = luminance(self.albedo).max(f32::MIN_POSITIVE);
        let [lightest, darkest] = [TONES[0], TONES[TONES.len() - 1]].map(luminance);
        let room = if lightness < 0.0 { from / darkest } else { lightest / from };
        let to = from * room.clamp(1.0, MAX_FACTOR).powf(lightness.clamp(-1.0, 1.0));
        let melanin = tone(to) / tone(from);
        let blood = (DOUBLINGS * warmth.clamp(-1.0, 1.0) * BLOOD).exp();
        // More blood would darken the skin.
        let skin = melanin * self.albedo;
        let blood = blood * (luminance(skin) / luminance(blood * skin).max(f32::MIN_POSITIVE));
        let tint = if from > f32::MIN_POSITIVE { melanin * blood } else { Vec3::ONE };
        Color::LinearRgba(LinearRgba::from_vec3(tint))
    }
}

/// Albedo of skin of a luminance; beyond the range of skin, the nearest.
fn tone(wanted: f32) -> Vec3 {
    let after = TONES.iter().position(|tone| luminance(*tone) < wanted).unwrap_or(TONES.len() - 1).max(1);
    let [light, dark] = [TONES[after - 1], TONES[after]];
    let [start, end] = [light, dark].map(|tone| luminance(tone).ln());
    let share = ((wanted.ln() - start) / (end - start)).clamp(0.0, 1.0);
    light.map(f32::ln).lerp(dark.map(f32::ln), share).exp()
}

fn luminance(colour: Vec3) -> f32 {
    LUMINANCE.dot(colour)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tinted(albedo: Vec3, lightness: f32, warmth: f32) -> Vec3 {
        albedo * SkinTone { albedo }.tint(lightness, warmth).to_linear().to_vec3()
    }

    #[test]
    fn sliders_in_the_middle_leave_every_skin_as_it_is() {
        for albedo in TONES.into_iter().chain([Vec3::splat(0.9), Vec3::splat(0.01), Vec3::ZERO]) {
            let tint = SkinTone { albedo }.tint(0.0, 0.0).to_linear().to_vec3();
            assert!(tint.distance(Vec3::ONE) < 1e-5, "{albedo}: {tint}");
        }
    }

    #[test]
    fn skin_stays_within_the_tones_of_skin_and_gets_steadily_lighter() {
        let [lightest, darkest] = [TONES[0], TONES[7]].map(luminance);
        for albedo in TONES {
            let steps: Vec<f32> = (-10..=10).map(|step| luminance(tinted(albedo, step as f32 / 10.0, 0.0))).collect();
            assert!(steps.is_sorted(), "{steps:?}");
            assert!(steps[0] > 0.99 * darkest && steps[20] < 1.01 * lightest, "{steps:?}");
            let own = luminance(albedo);
            assert!((steps[20] / own - (lightest / own).min(MAX_FACTOR)).abs() < 0.05, "{steps:?}");
            assert!((own / steps[0] - (own / darkest).min(MAX_FACTOR)).abs() < 0.05, "{steps:?}");
        }
        assert_eq!(SkinTone { albedo: TONES[4] }.tint(5.0, -9.0), SkinTone { albedo: TONES[4] }.tint(1.0, -1.0));
        assert_eq!(
            SkinTone { albedo: TONES[4] }.tint(f32::NAN, f32::NAN),
            SkinTone { albedo: TONES[4] }.tint(0.0, 0.0)
        );
    }

    #[test]
    fn more_melanin_leads_from_one_tone_of_the_model_to_the_next() {
        let room = (luminance(TONES[3]) / luminance(TONES[7])).min(MAX_FACTOR);
        let slider = (luminance(TONES[4]) / luminance(TONES[3])).ln() / room.ln();
        let darker = tinted(TONES[3], slider, 0.0);
        assert!(darker.distance(TONES[4]) < 1e-3, "{darker} is not {}", TONES[4]);
    }

    #[test]
    fn warmer_skin_is_redder_and_as_light() {
        for albedo in TONES {
            let [cool, warm] = [-1.0, 1.0].map(|warmth| tinted(albedo, 0.0, warmth));
            assert!(cool.x / cool.y < albedo.x / albedo.y && warm.x / warm.y > albedo.x / albedo.y);
            assert!((luminance(warm) / luminance(albedo) - 1.0).abs() < 1e-3, "{warm}");
            assert!((luminance(cool) / luminance(albedo) - 1.0).abs() < 1e-3, "{cool}");
        }
    }
}
