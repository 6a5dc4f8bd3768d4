//! What a place on the surface sends to the camera, and its gradient.

use bevy::math::Vec3;

use super::sh::{self, ShLight};

/// Roughness of skin, perceptual as in Bevy's materials.
pub const DEFAULT_ROUGHNESS: f32 = 0.5;

/// How soon, in cosines, Fresnel's rise levels off where a normal begins to look away from the camera.
const TURN: f32 = 0.05;

/// A light, made ready for surfaces of one roughness.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lighting {
    /// Radiance that a white diffuse surface sends out.
    diffuse: [Vec3; sh::COUNT],
    /// Radiance that the glossy lobe gathers around the mirror direction.
    glossy: [Vec3; sh::COUNT],
    /// The factor of each coefficient in the two series.
    diffuse_factors: [f32; sh::COUNT],
    glossy_factors: [f32; sh::COUNT],
    /// How much of Fresnel's rise towards grazing angles a rough surface keeps.
    rise: f32,
}

/// What a place is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Material {
    /// Diffuse albedo.
    pub diffuse: Vec3,
    /// Specular albedo, F0; none for a purely diffuse surface.
    pub specular: Option<f32>,
}

/// The light that a place sends to the camera.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reflection {
    /// Radiance without occlusion.
    pub colour: Vec3,
    normal: Vec3,
    diffuse: Vec3,
    basis: [f32; sh::COUNT],
    material: Material,
    glossy: Option<Glossy>,
}

/// The glossy share of a reflection.
#[derive(Clone, Copy, Debug)]
struct Glossy {
    to_camera: Vec3,
    mirrored: Vec3,
    cosine: f32,
    reflectance: f32,
    radiance: Vec3,
    basis: [f32; sh::COUNT],
}

/// The gradient by what was shaded.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ReflectionGradient {
    pub diffuse: Vec3,
    pub specular: f32,
    /// By the normal in view space; only the part across the normal has a meaning.
    pub normal: Vec3,
}

impl Lighting {
    pub fn new(light: &ShLight, roughness: f32) -> Self {
        let roughness = roughness.clamp(0.0, 1.0);
        let (diffuse, glossy) = (sh::diffuse_factors(), sh::lobe_factors(roughness));
        Self {
            diffuse: light.scaled(diffuse),
            glossy: light.scaled(glossy),
            diffuse_factors: sh::by_harmonic(diffuse),
            glossy_factors: sh::by_harmonic(glossy),
            rise: 1.0 - roughness,
        }
    }

    /// Light from a place with this normal to the camera; both directions in view space and of unit length.
    ///
    /// Diffuse: albedo × irradiance / π. Glossy: `F0 + (1 − F0) (1 − roughness) (1 − cos)⁵`, Schlick's Fresnel term
    /// with the lower rise of rough surfaces (Lagarde, "Adopting a physically based shading model", 2011), × the
    /// radiance of the lobe around the mirror direction. Where a series rings below 0, it counts as 0 and has no
    /// gradient. A normal that looks away counts as seen from the side, with a smooth transition ([`TURN`]).
    #[inline]
    pub fn reflect(&self, material: Material, normal: Vec3, to_camera: Vec3) -> Reflection {
        let basis = sh::basis(normal);
        let diffuse = sh::sum(&self.diffuse, &basis).max(Vec3::ZERO);
        let mut colour = material.diffuse * diffuse;
        let glossy = material.specular.map(|specular| {
            let cosine = normal.dot(to_camera);
            let mirrored = 2.0 * cosine * normal - to_camera;
            let basis = sh::basis(mirrored);
            let radiance = sh::sum(&self.glossy, &basis).max(Vec3::ZERO);
            let reflectance = specular + (1.0 - specular) * self.rise * grazing(cosine).powi(5);
            colour += reflectance * radiance;
            Glossy { to_camera, mirrored, cosine, reflectance, radiance, basis }
        });
        Reflection { colour, normal, diffuse, basis, material, glossy }
    }

    /// What each coefficient of the light adds to a reflection's colour.
    pub fn response(&self, reflection: &Reflection) -> [Vec3; sh::COUNT] {
        let Reflection { basis, material, glossy, .. } = reflection;
        std::array::from_fn(|k| {
            let diffuse = material.diffuse * (self.diffuse_factors[k] * basis[k]);
            diffuse + glossy.map_or(0.0, |glossy| glossy.reflectance * self.glossy_factors[k] * glossy.basis[k])
        })
    }

    /// The gradient from that by the colour, and what the light's coefficients gain.
    #[inline]
    pub fn gradient(&self, reflection: &Reflection, seed: Vec3, light: &mut [Vec3; sh::COUNT]) -> ReflectionGradient {
        let Reflection { normal, diffuse, basis, material, .. } = *reflection;
        let of_diffuse = above_zero(diffuse, seed * material.diffuse);
        add_to_light(light, of_diffuse, &basis, &self.diffuse_factors);
        let mut gradient = ReflectionGradient {
            diffuse: seed * diffuse,
            specular: 0.0,
            normal: sh::direction_gradient(&self.diffuse, normal, of_diffuse),
        };
        let (Some(glossy), Some(specular)) = (&reflection.glossy, material.specular) else { return gradient };
        let Glossy { to_camera, mirrored, cosine, reflectance, radiance, ref basis } = *glossy;
        let of_radiance = above_zero(radiance, seed * reflectance);
        add_to_light(light, of_radiance, basis, &self.glossy_factors);
        let of_mirrored = sh::direction_gradient(&self.glossy, mirrored, of_radiance);
        let grazing = grazing(cosine);
        let of_reflectance = seed.dot(radiance);
        gradient.specular = of_reflectance * (1.0 - self.rise * grazing.powi(5));
        let steepness = 5.0 * grazing.powi(4) * (1.0 - grazing) / rounded(cosine);
        let of_cosine = 2.0 * normal.dot(of_mirrored) - of_reflectance * (1.0 - specular) * self.rise * steepness;
        gradient.normal += 2.0 * cosine * of_mirrored + of_cosine * to_camera;
        gradient
    }
}

/// 1 minus the cosine, and smoothly towards 1 where the cosine falls below 0.
#[inline]
fn grazing(cosine: f32) -> f32 {
    1.0 - 0.5 * (cosine + rounded(cosine))
}

/// The cosine's size, rounded off around 0.
#[inline]
fn rounded(cosine: f32) -> f32 {
    (cosine * cosine + TURN * TURN).sqrt()
}

/// The gradient of channels above 0, where they are not held there.
#[inline]
fn above_zero(value: Vec3, gradient: Vec3) -> Vec3 {
    Vec3::select(value.cmpgt(Vec3::ZERO), gradient, Vec3::ZERO)
}

#[inline]
fn add_to_light(light: &mut [Vec3; sh::COUNT], seed: Vec3, basis: &[f32; sh::COUNT], factors: &[f32; sh::COUNT]) {
    for index in 0..sh::COUNT {
        light[index] += seed * (basis[index] * factors[index]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fitting::slope::assert_slope;

    /// A generic light that stays above 0.
    fn light() -> ShLight {
        let mut light = ShLight(std::array::from_fn(|index| {
            let phase = index as f32;
            0.15 * Vec3::new((1.3 * phase + 0.7).sin(), (2.1 * phase - 0.4).cos(), (0.9 * phase + 2.0).sin())
        }));
        light.0[0] = Vec3::new(3.0, 2.5, 2.0);
        light
    }

    #[test]
    fn constant_light_comes_back_as_albedo_and_f0() {
        let radiance = Vec3::new(0.3, 0.8, 1.5);
        let lighting = Lighting::new(&ShLight::constant(radiance), DEFAULT_ROUGHNESS);
        let albedo = Vec3::new(0.7, 0.4, 0.2);
        for normal in [Vec3::Z, Vec3::new(0.6, 0.0, 0.8), Vec3::new(0.0, -0.8, -0.6)] {
            let diffuse = Material { diffuse: albedo, specular: None };
            let colour = lighting.reflect(diffuse, normal, Vec3::Z).colour;
            assert!(colour.distance(albedo * radiance) < 1e-6, "{colour} at {normal}");
            let glossy = Material { diffuse: Vec3::ZERO, specular: Some(0.04) };
            let colour = lighting.reflect(glossy, normal, normal).colour;
            assert!(colour.distance(0.04 * radiance) < 1e-6, "{colour} at {normal}");
        }
    }

    #[test]
    fn fresnel_rises_to_its_full_height_on_smooth_surfaces_alone() {
        let glossy = Material { diffuse: Vec3::ZERO, specular: Some(0.04) };
        let grazing = |roughness: f32| {
            Lighting::new(&ShLight::constant(Vec3::ONE), roughness).reflect(glossy, Vec3::Z, Vec3::X).colour.x
        };
        let near = |found: f32, expected: f32| (found - expected).abs() < 2.5 * TURN * expected;
        assert!(near(grazing(0.0), 1.0), "{}", grazing(0.0));
        assert!(near(grazing(0.5), 0.04 + 0.96 * 0.5), "{}", grazing(0.5));
        assert!((grazing(1.0) - 0.04).abs() < 1e-6);
    }

    #[test]
    fn the_mirror_shows_what_is_on_the_other_side() {
        // Light from the right alone, seen from the left over a surface that faces the camera.
        let mut light = ShLight::constant(Vec3::ONE);
        light.0[3] = Vec3::splat(0.5);
        let (lighting, glossy) = (Lighting::new(&light, 0.0), Material { diffuse: Vec3::ZERO, specular: Some(0.04) });
        let seen = |to_camera: Vec3| lighting.reflect(glossy, Vec3::Z, to_camera).colour.x;
        assert!(seen(Vec3::new(-0.6, 0.0, 0.8)) > 1.3 * seen(Vec3::new(0.6, 0.0, 0.8)));
    }

    #[test]
    fn light_that_rings_below_zero_counts_as_none_and_has_no_gradient() {
        let mut dark = ShLight::constant(Vec3::ONE);
        dark.0[2] = Vec3::splat(-10.0);
        let lighting = Lighting::new(&dark, 0.5);
        let material = Material { diffuse: Vec3::ONE, specular: Some(0.04) };
        let reflection = lighting.reflect(material, Vec3::Z, Vec3::Z);
        assert_eq!(reflection.colour, Vec3::ZERO);
        let mut by_light = [Vec3::ZERO; sh::COUNT];
        let gradient = lighting.gradient(&reflection, Vec3::ONE, &mut by_light);
        assert_eq!((gradient.normal, by_light), (Vec3::ZERO, [Vec3::ZERO; sh::COUNT]));
    }

    #[test]
    fn gradients_are_central_differences() {
        let seed = Vec3::new(0.7, -0.3, 1.2);
        let (normal, to_camera) = (Vec3::new(0.3, -0.5, 0.8).normalize(), Vec3::new(-0.1, 0.2, 1.0).normalize());
        let material = Material { diffuse: Vec3::new(0.6, 0.4, 0.3), specular: Some(0.05) };
        let light = light();
        let value = |light: &ShLight, material: Material, normal: Vec3| -> f64 {
            Lighting::new(light, 0.3).reflect(material, normal.normalize(), to_camera).colour.dot(seed).into()
        };
        let lighting = Lighting::new(&light, 0.3);
        let mut by_light = [Vec3::ZERO; sh::COUNT];
        let gradient = lighting.gradient(&lighting.reflect(material, normal, to_camera), seed, &mut by_light);
        let by_normal = gradient.normal - normal * normal.dot(gradient.normal);
        for axis in Vec3::AXES {
            assert_slope("normal", by_normal.dot(axis), by_normal.length(), 1e-2, |offset| {
                value(&light, material, normal + offset * axis)
            });
            assert_slope("diffuse", gradient.diffuse.dot(axis), gradient.diffuse.length(), 1e-2, |offset| {
                value(&light, Material { diffuse: material.diffuse + offset * axis, ..material }, normal)
            });
            for (index, found) in by_light.iter().enumerate() {
                assert_slope("light", found.dot(axis), found.length(), 0.1, |offset| {
                    let mut light = light;
                    light.0[index] += offset * axis;
                    value(&light, material, normal)
                });
            }
        }
        assert_slope("specular", gradient.specular, gradient.specular.abs(), 1e-2, |offset| {
            value(&light, Material { specular: Some(0.05 + offset), ..material }, normal)
        });
    }
}
