//! Reflection at normal incidence (F0) in the terms of glTF.
//!
//! By `KHR_materials_specular` and `KHR_materials_ior`, `F0 = ((ior − 1) / (ior + 1))² · colour · strength · alpha`, where
//! alpha is the specular texture's; strength and alpha also weaken what is mirrored at grazing angles. How F0 is shared
//! out between index and colour is free, and readers that follow the extensions see no difference. `bevy_gltf` does not:
//! it ignores the index and squares the rest, `F0 = 0.04 (colour · strength · alpha)²`, with half of that product where
//! there is a texture. So the colour is chosen as Bevy needs it, and the index makes up for it.

use serde_json::{Map, Value, json};

/// F0 of materials without the extensions.
const USUAL_F0: f64 = 0.04;

/// By how much `bevy_pbr` weakens what comes from a specular texture.
const BEVY_TEXTURE_SCALE: f64 = 0.5;

/// The names of the extensions.
pub(super) const SPECULAR: &str = "KHR_materials_specular";
pub(super) const IOR: &str = "KHR_materials_ior";

/// The index of refraction and the factors that together mean an F0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Dielectric {
    ior: f64,
    colour: f64,
    strength: f64,
}

impl Dielectric {
    /// The same F0 all over, in every reader; `strength` is the part of its surroundings, above 0, that the surface
    /// mirrors, and goes into its F0 already.
    pub fn uniform(f0: f32, strength: f32) -> Self {
        let (f0, strength) = (f64::from(f0), f64::from(strength));
        Self::new(f0, (f0 / USUAL_F0).sqrt() / strength, strength)
    }

    /// F0 by a texture: `most` where its alpha is 1. In Bevy it is right where F0 is the `typical` one.
    pub fn textured(most: f32, typical: f32) -> Self {
        let (most, typical) = (f64::from(most), f64::from(typical));
        Self::new(most, most / (typical * USUAL_F0).sqrt() / BEVY_TEXTURE_SCALE, 1.0)
    }

    fn new(f0: f64, colour: f64, strength: f64) -> Self {
        // Nothing is mirrored.
        if f0 <= 0.0 {
            return Self { ior: 1.0, colour: 0.0, strength };
        }
        let root = (f0 / colour / strength).sqrt();
        Self { ior: (1.0 + root) / (1.0 - root), colour, strength }
    }

    /// The extensions of a material; none where they would say what goes without saying.
    pub fn extensions(self, texture: Option<usize>) -> Map<String, Value> {
        let is_one = |factor: f64| (factor - 1.0).abs() < 1e-6;
        let usual = texture.is_none() && is_one(self.colour) && is_one(self.strength);
        if usual {
            return Map::new();
        }
        let mut specular = json!({ "specularColorFactor": vec![self.colour; 3] });
        if !is_one(self.strength) {
            specular["specularFactor"] = json!(self.strength);
        }
        if let Some(index) = texture {
            specular["specularTexture"] = json!({ "index": index });
        }
        Map::from_iter([(SPECULAR.to_owned(), specular), (IOR.to_owned(), json!({ "ior": self.ior }))])
    }
}

/// Alpha of the specular texture for an F0; `most` is that of full alpha.
pub(super) fn specular_alpha(f0: f32, most: f32) -> f32 {
    if most > 0.0 { (f0 / most).clamp(0.0, 1.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// F0 by the definition of both extensions.
    fn specified(dielectric: Dielectric, alpha: f64) -> f64 {
        let Dielectric { ior, colour, strength } = dielectric;
        (((ior - 1.0) / (ior + 1.0)).powi(2) * colour).min(1.0) * strength * alpha
    }

    /// F0 as `bevy_gltf` (specular factor · 0.5) and the fragment shader of `bevy_pbr` (0.16 reflectance²) make it.
    fn in_bevy(dielectric: Dielectric, alpha: Option<f64>) -> f64 {
        let reflectance = 0.5 * dielectric.strength * dielectric.colour * alpha.map_or(1.0, |alpha| 0.5 * alpha);
        0.16 * reflectance * reflectance
    }

    #[test]
    fn a_uniform_f0_is_the_same_by_the_extensions_and_in_bevy() {
        let cases = [0.0, 0.0025, 0.02, 0.0207, 0.04, 0.06, 0.5].map(|f0| (f0, 1.0));
        for (f0, strength) in cases.into_iter().chain([(0.0025, 0.0625), (0.01, 0.5)]) {
            let dielectric = Dielectric::uniform(f0, strength);
            let f0 = f64::from(f0);
            assert!((specified(dielectric, 1.0) - f0).abs() < 1e-9, "{f0}: {dielectric:?}");
            assert!((in_bevy(dielectric, None) - f0).abs() < 1e-9, "{f0}: {dielectric:?}");
            assert!(dielectric.ior >= 1.0);
        }
    }

    #[test]
    fn an_f0_by_a_texture_is_exact_by_the_extensions_and_right_in_bevy_where_it_is_typical() {
        for (most, typical) in [(0.06, 0.028), (0.035, 0.028), (0.04, 0.04), (0.16, 0.02)] {
            let dielectric = Dielectric::textured(most, typical);
            for f0 in [0.0, 0.3 * most, typical, most] {
                let alpha = f64::from(specular_alpha(f0, most));
                assert!((specified(dielectric, alpha) - f64::from(f0)).abs() < 1e-7, "{f0} of {most}: {dielectric:?}");
            }
            let alpha = f64::from(specular_alpha(typical, most));
            assert!((in_bevy(dielectric, Some(alpha)) - f64::from(typical)).abs() < 1e-7, "{dielectric:?}");
        }
    }

    #[test]
    fn a_map_that_mirrors_nothing_has_no_alpha() {
        assert_eq!(specular_alpha(0.0, 0.0), 0.0);
        assert_eq!(specified(Dielectric::textured(0.0, 0.0), 0.0), 0.0);
    }

    #[test]
    fn a_usual_material_needs_no_extension() {
        assert!(Dielectric::uniform(0.04, 1.0).extensions(None).is_empty());
        let extensions = Dielectric::uniform(0.01, 1.0).extensions(None);
        assert_eq!(extensions.keys().collect::<Vec<_>>(), [IOR, SPECULAR]);
    }
}
