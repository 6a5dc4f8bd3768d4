//! The template head, made ready for fitting.

use std::sync::Arc;

use bevy::math::Vec3;

use super::{
    UNKNOWN_IRIS, colour, eye_colour,
    landmarks::LandmarkFitter,
    margin::Margin,
    mouth::{front_of_teeth, light_in_mouth},
    occlusion,
    render::{DEFAULT_ROUGHNESS, Geometry, Gradients, PartLook, Scene, ShLight, Surface, SurfaceMaps, Texels, View},
};
use crate::{
    bundle::{
        Blendshape, ColourSpace, Maps, TemplateEyes, TemplateHead,
        materials::{EYE, MOUTH, SKIN, TEETH},
    },
    diffusion::DecodedMaps,
};

/// Side of the eyes' texture in texels.
const EYE_SIDE: usize = 128;

/// Linear reflectance of teeth.
const ENAMEL: Vec3 = Vec3::new(0.60, 0.53, 0.43);

/// Blendshape and weight of a mouth that lets light in.
const OPENING: (&str, f32) = ("jawOpen", 0.5);

/// Linear reflectance of the mouth's inside.
const FLESH: Vec3 = Vec3::new(0.16, 0.045, 0.04);

/// Details are smaller than twice this share of the maps' side.
const DETAIL: f32 = 0.06;

/// A template head with everything about it that no photo changes.
#[derive(Clone, Debug)]
pub struct FittingHead {
    pub(super) template: Arc<TemplateHead>,
    pub(super) surface: Surface,
    pub(super) geometry: Geometry,
    pub(super) occlusion: Vec<f32>,
    /// Texels of the face's skin, 0 or 1.
    pub(super) mask: Vec<f32>,
    /// Texels that lie on the head, scalp, ears and neck included, 0 or 1.
    pub(super) chart: Vec<f32>,
    margin: Margin,
    pub(super) landmarks: LandmarkFitter,
}

impl FittingHead {
    /// Prepares a template head whose maps have so many texels on each side.
    pub fn new(template: Arc<TemplateHead>, map_size: usize) -> Self {
        let surface = Surface::new(&template);
        let geometry = Geometry::new(&surface, template.positions.clone());
        let looks = looks(&template, UNKNOWN_IRIS);
        // What is to be seen when the lips part gets the light that an open mouth lets in. Teeth are few vertices and small
        // ones, which looks from around tell too coarsely.
        let opening = |shape: &Blendshape| if shape.name == OPENING.0 { OPENING.1 } else { 0.0 };
        let opening: Vec<f32> = template.blendshapes.iter().map(opening).collect();
        let open = geometry.moved(&surface, template.posed(&template.positions, &opening));
        let mut occlusion = occlusion::ambient(&surface, &open, &looks);
        if let Some(front) = front_of_teeth(&template, &template.positions) {
            for part in template.parts.iter().filter(|part| part.material == TEETH) {
                let vertices = part.vertices[0]..part.vertices[0] + part.vertices[1];
                let light = template.positions[vertices.clone()].iter().map(|place| light_in_mouth(*place, front));
                occlusion[vertices].iter_mut().zip(light).for_each(|(occlusion, light)| *occlusion = light);
            }
        }
        let masks = &template.masks;
        let texels = |inside: &dyn Fn(usize) -> bool| -> Vec<f32> {
            let source = |i: usize| (2 * i + 1) * masks.size / (2 * map_size);
            let texel = |index: usize| source(index / map_size) * masks.size + source(index % map_size);
            (0..map_size * map_size).map(|index| f32::from(u8::from(inside(texel(index))))).collect()
        };
        let mask = texels(&|texel| masks.face[texel] && masks.skin[texel]);
        let chart = texels(&|texel| masks.chart[texel]);
        let margin = Margin::new(&masks.inner_chart(map_size), map_size);
        let landmarks = LandmarkFitter::new(&template);
        Self { template, surface, geometry, occlusion, mask, chart, margin, landmarks }
    }

    /// Puts the maps' values along the chart's border into the texels beside it, as the avatar's textures do.
    pub(crate) fn fill_margin(&self, maps: &mut SurfaceMaps) {
        self.margin.fill(&mut maps.diffuse);
        self.margin.fill(&mut maps.specular);
        self.margin.fill(&mut maps.normals);
    }

    /// The transpose of [`fill_margin`](Self::fill_margin), for gradients.
    pub(super) fn gather_margin(&self, gradients: &mut Gradients) {
        self.margin.gather(&mut gradients.diffuse);
        self.margin.gather(gradients.specular.as_chunks_mut::<1>().0);
        self.margin.gather(&mut gradients.normals);
    }

    /// The head with this geometry and surface, its parts looking like this, in this light, as it is seen here.
    pub fn scene<'a>(
        &'a self,
        geometry: &'a Geometry,
        maps: &'a SurfaceMaps,
        looks: &'a [PartLook],
        light: ShLight,
        view: View,
    ) -> Scene<'a> {
        Scene {
            surface: &self.surface,
            geometry,
            maps,
            looks,
            occlusion: Some(&self.occlusion),
            light,
            roughness: DEFAULT_ROUGHNESS,
            view,
        }
    }

    /// How the head's parts look, in their order, with irises of this linear reflectance, RGB of 0 to 1.
    pub fn looks(&self, iris: Vec3) -> Vec<PartLook> {
        looks(&self.template, iris)
    }

    /// The template head.
    pub fn template(&self) -> &Arc<TemplateHead> {
        &self.template
    }

    /// Topology and texture layout.
    pub fn surface(&self) -> &Surface {
        &self.surface
    }
}

fn looks(template: &TemplateHead, iris: Vec3) -> Vec<PartLook> {
    let look = |material: &str| match material {
        SKIN => PartLook::Skin,
        EYE => PartLook::Texture(eye_texels(&template.eyes, iris)),
        TEETH => PartLook::Flat(ENAMEL),
        MOUTH => PartLook::Flat(FLESH),
        _ => PartLook::Hidden,
    };
    template.parts.iter().map(|part| look(&part.material)).collect()
}

/// The eyes' texture: its centre is the pupil, and the distance from it grows with the angle to the gaze.
fn eye_texels(eyes: &TemplateEyes, iris: Vec3) -> Texels {
    let paint = |index: usize| {
        let place = |i: usize| (i as f32 + 0.5) / EYE_SIDE as f32 - 0.5;
        let (x, y) = (place(index % EYE_SIDE), -place(index / EYE_SIDE));
        eye_colour(eyes, iris, x.hypot(y) * 2.0 * eyes.texture_rim_radians, y.atan2(x))
    };
    Texels { size: EYE_SIDE, values: (0..EYE_SIDE * EYE_SIDE).map(paint).collect() }
}

/// Decoded maps as the renderer takes them.
pub(super) fn surface_maps(maps: &Maps, decoded: &DecodedMaps) -> SurfaceMaps {
    let [low, high] = maps.specular.range;
    let diffuse = |rgb: [f32; 3]| match maps.diffuse.colour_space {
        ColourSpace::Srgb => rgb.map(|value| colour::linear(value.clamp(0.0, 1.0))),
        ColourSpace::Linear => rgb.map(|value| value.clamp(0.0, 1.0)),
    };
    SurfaceMaps {
        size: decoded.size,
        diffuse: interleaved(&decoded.diffuse).map(diffuse).collect(),
        specular: decoded.specular.iter().map(|f0| f0.clamp(low, high)).collect(),
        normals: interleaved(&decoded.normals).collect(),
    }
}

/// The gradient by decoded maps, from that by what [`surface_maps`] makes of them.
pub(super) fn decoded_gradient(
    maps: &Maps,
    decoded: &DecodedMaps,
    diffuse: &[[f32; 3]],
    specular: &[f32],
    normals: &[[f32; 3]],
) -> DecodedMaps {
    let [low, high] = maps.specular.range;
    let slope = |value: f32| match maps.diffuse.colour_space {
        _ if !(0.0..=1.0).contains(&value) => 0.0,
        ColourSpace::Srgb => colour::linear_slope(value),
        ColourSpace::Linear => 1.0,
    };
    let clipped = |(&gradient, f0): (&f32, &f32)| if (low..=high).contains(f0) { gradient } else { 0.0 };
    let mut by_diffuse = planes(diffuse);
    by_diffuse.iter_mut().zip(&decoded.diffuse).for_each(|(gradient, &value)| *gradient *= slope(value));
    DecodedMaps {
        size: decoded.size,
        diffuse: by_diffuse,
        specular: specular.iter().zip(&decoded.specular).map(clipped).collect(),
        normals: planes(normals),
    }
}

/// Leaves details alone in a gradient by diffuse albedo: a photo shows the product of light and albedo, and what changes
/// slowly over the face is the light's, or the model's to tell.
pub(super) fn keep_details(gradient: &mut DecodedMaps, mask: &[f32]) {
    let (size, radius) = (gradient.size, (gradient.size as f32 * DETAIL).round() as usize);
    let weights = box_mean(mask, size, radius);
    for channel in gradient.diffuse.chunks_exact_mut(size * size) {
        channel.iter_mut().zip(mask).for_each(|(gradient, mask)| *gradient *= mask);
        let mut mean = box_mean(channel, size, radius);
        mean.iter_mut().zip(&weights).for_each(|(mean, weight)| *mean /= weight.max(1e-6));
        // The transpose of taking the mean away, so that a slow change has no gradient at all.
        mean.iter_mut().zip(mask).for_each(|(mean, mask)| *mean *= mask);
        channel.iter_mut().zip(&mean).for_each(|(gradient, mean)| *gradient -= mean);
    }
}

/// Mean over squares of `2 radius + 1` texels, of texels beyond the border as if they were 0.
fn box_mean(values: &[f32], size: usize, radius: usize) -> Vec<f32> {
    let line = |read: &dyn Fn(usize) -> f32, write: &mut dyn FnMut(usize, f32)| {
        let width = (2 * radius + 1) as f32;
        let mut sum: f32 = (0..radius.min(size)).map(read).sum();
        for place in 0..size {
            sum += if place + radius < size { read(place + radius) } else { 0.0 };
            sum -= if place > radius { read(place - radius - 1) } else { 0.0 };
            write(place, sum / width);
        }
    };
    let mut rows = vec![0.0; values.len()];
    let mut mean = vec![0.0; values.len()];
    for y in 0..size {
        line(&|x| values[y * size + x], &mut |x, value| rows[y * size + x] = value);
    }
    for x in 0..size {
        line(&|y| rows[y * size + x], &mut |y, value| mean[y * size + x] = value);
    }
    mean
}

/// Three channels one after the other, texel by texel.
fn interleaved(planes: &[f32]) -> impl Iterator<Item = [f32; 3]> {
    let count = planes.len() / 3;
    (0..count).map(move |texel| [planes[texel], planes[count + texel], planes[2 * count + texel]])
}

/// Texels of three channels, one channel after the other.
fn planes(texels: &[[f32; 3]]) -> Vec<f32> {
    (0..3).flat_map(|channel| texels.iter().map(move |texel| texel[channel])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{bundle::Bundle, fitting::slope::assert_slope};

    #[test]
    fn means_of_boxes_are_those_of_their_texels() {
        let values: Vec<f32> = (0..49).map(|i| ((i * 31) % 17) as f32).collect();
        let mean = box_mean(&values, 7, 2);
        let direct = |x: i32, y: i32| {
            let inside = |i: i32| (0..7).contains(&i);
            let at = |x: i32, y: i32| if inside(x) && inside(y) { values[(y * 7 + x) as usize] } else { 0.0 };
            (-2..=2).flat_map(|v| (-2..=2).map(move |u| (u, v))).map(|(u, v)| at(x + u, y + v)).sum::<f32>() / 25.0
        };
        for (index, mean) in mean.iter().enumerate() {
            assert!((mean - direct(index as i32 % 7, index as i32 / 7)).abs() < 1e-4, "{index}");
        }
    }

    #[test]
    fn gradients_by_decoded_maps_are_those_of_differences() {
        let bundle = Bundle::open(concat!(env!("CARGO_MANIFEST_DIR"), "/models/base")).unwrap();
        let maps = &bundle.manifest().generator.as_ref().unwrap().maps;
        let wave = |i: usize, salt: f32| (i as f32 * 1.7 + salt).sin();
        let values = |count: usize, salt: f32, [low, high]: [f32; 2]| -> Vec<f32> {
            (0..count).map(|i| low + (high - low) * (0.5 + 0.4 * wave(i, salt))).collect()
        };
        let mut decoded = DecodedMaps {
            size: 2,
            diffuse: values(12, 0.0, [0.0, 1.0]),
            specular: values(4, 1.0, maps.specular.range),
            normals: values(12, 2.0, [-1.0, 1.0]),
        };
        // Beyond their ranges.
        (decoded.diffuse[3], decoded.diffuse[7], decoded.specular[2]) = (-0.2, 1.3, 2.0 * maps.specular.range[1]);
        let seeds = |salt: f32| -> Vec<[f32; 3]> {
            (0..4).map(|texel| std::array::from_fn(|channel| wave(3 * texel + channel, salt))).collect()
        };
        let (diffuse, specular, normals) = (seeds(3.0), (0..4).map(|i| wave(i, 4.0)).collect::<Vec<_>>(), seeds(5.0));
        let loss = |decoded: &DecodedMaps| -> f64 {
            let found = surface_maps(maps, decoded);
            let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
            product(found.diffuse.as_flattened(), diffuse.as_flattened())
                + product(&found.specular, &specular)
                + product(found.normals.as_flattened(), normals.as_flattened())
        };
        let gradient = decoded_gradient(maps, &decoded, &diffuse, &specular, &normals);
        let check = |what: &str, found: &[f32], step: f32, of: fn(&mut DecodedMaps) -> &mut Vec<f32>| {
            for (index, &found) in found.iter().enumerate() {
                assert_slope(what, found, found.abs(), step, |step| {
                    let mut decoded = decoded.clone();
                    of(&mut decoded)[index] += step;
                    loss(&decoded)
                });
            }
        };
        check("diffuse", &gradient.diffuse, 0.01, |decoded| &mut decoded.diffuse);
        check("specular", &gradient.specular, 0.002, |decoded| &mut decoded.specular);
        check("normals", &gradient.normals, 0.1, |decoded| &mut decoded.normals);
        assert_eq!([gradient.diffuse[3], gradient.diffuse[7], gradient.specular[2]], [0.0; 3], "held at their ends");
    }

    #[test]
    fn a_slow_change_has_no_gradient_and_a_detail_keeps_its_own() {
        let size = 64;
        let mask: Vec<f32> = (0..size * size).map(|i| f32::from(u8::from(i % size > 7))).collect();
        let mut plane = vec![2.0; size * size];
        plane[32 * size + 32] += 10.0;
        let diffuse = [plane.clone(), plane.clone(), plane].concat();
        let mut gradient = DecodedMaps { size, diffuse, specular: Vec::new(), normals: Vec::new() };
        keep_details(&mut gradient, &mask);
        assert!(gradient.diffuse[40 * size + 50].abs() < 1e-4);
        assert!(gradient.diffuse[32 * size + 32] > 9.0);
        assert_eq!(gradient.diffuse[32 * size + 2], 0.0, "off the mask");
    }
}
