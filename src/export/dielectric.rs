//! Reflection at normal incidence (F0) in the terms of glTF.
//!
//! By `KHR_materials_specular` and `KHR_materials_ior`, `F0 = ((ior − 1) / (ior + 1))² · colour · alpha`, where alpha is
//! the specular texture's. How F0 is shared out between index and colour is free, and readers that follow the
//! extensions see no difference. `bevy_gltf` does not: it ignores the index and squares the rest,
//! `F0 = 0.04 (colour · alpha)²`, with `colour · alpha / 2` where there is a texture. So the colour is chosen as Bevy
//! needs it, and the index makes up for it.

use serde_json::{Map, Value, json};

/// F0 of materials without the extensions.
const USUAL_F0: f64 = 0.04;

/// By how much `bevy_pbr` weakens what comes from a specular texture.
const BEVY_TEXTURE_SCALE: f64 = 0.5;

/// The names of the extensions.
pub(super) const SPECULAR: &str = "KHR_materials_specular";
pub(super) const IOR: &str = "KHR_materials_ior";

/// The index of refraction and the factor that together mean an F0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Dielectric {
    ior: f64,
    colour: f64,
}

impl Dielectric {
    /// The same F0 all over, in every reader.
    pub fn uniform(f0: f32) -> Self {
        let f0 = f64::from(f0);
        Self::new(f0, (f0 / USUAL_F0).sqrt())
    }

    /// F0 by a texture: `most` where its alpha is 1. In Bevy it is right where F0 is the `typical` one.
    pub fn textured(most: f32, typical: f32) -> Self {
        let (most, typical) = (f64::from(most), f64::from(typical));
        Self::new(most, most / (typical * USUAL_F0).sqrt() / BEVY_TEXTURE_SCALE)
    }

    fn new(f0: f64, colour: f64) -> Self {
        // Nothing is mirrored.
        if f0 <= 0.0 {
            return Self { ior: 1.0, colour: 0.0 };
        }
        let root = (f0 / colour).sqrt();
        Self { ior: (1.0 + root) / (1.0 - root), colour }
    }

    /// The extensions of a material; none where they would say what goes without saying.
    pub fn extensions(self, texture: Option<usize>) -> Map<String, Value> {
        let usual = texture.is_none() && (self.colour - 1.0).abs() < 1e-6;
        if usual {
            return Map::new();
        }
        let mut specular = json!({ "specularColorFactor": vec![self.colour; 3] });
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
        let Dielectric { ior, colour } = dielectric;
        (((ior - 1.0) / (ior + 1.0)).powi(2) * colour).min(1.0) * alpha
    }

    /// F0 as `bevy_gltf` (specular factor · 0.5) and the fragment shader of `bevy_pbr` (0.16 reflectance²) make it.
    fn in_bevy(dielectric: Dielectric, alpha: Option<f64>) -> f64 {
        let reflectance = 0.5 * dielectric.colour * alpha.map_or(1.0, |alpha| 0.5 * alpha);
        0.16 * reflectance * reflectance
    }

    #[test]
    fn a_uniform_f0_is_the_same_by_the_extensions_and_in_bevy() {
        for f0 in [0.0, 0.0025, 0.02, 0.0207, 0.04, 0.06, 0.5] {
            let dielectric = Dielectric::uniform(f0);
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
        assert!(Dielectric::uniform(0.04).extensions(None).is_empty());
        let extensions = Dielectric::uniform(0.01).extensions(None);
        assert_eq!(extensions.keys().collect::<Vec<_>>(), [IOR, SPECULAR]);
    }
}
