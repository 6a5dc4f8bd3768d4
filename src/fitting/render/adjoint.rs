//! The way back: from the gradient of a loss by a picture's pixels to that by everything that was rendered.

use bevy::math::{DVec3, Vec3};
use rayon::prelude::*;

use super::{
    Scene, Visibility,
    barycentric::corner_gradient,
    sample::{Sampler, TexelGradient},
    sh,
    texture::Footprint,
};
use crate::bundle::{Blendshape, TemplateHead};

/// Samples whose gradients are kept in memory at a time, about.
const SAMPLES_AT_A_TIME: usize = 1 << 17;

/// Parts in which the maps' gradients are collected.
const MAP_PARTS: usize = 8;

/// The gradient of a loss by what was rendered.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients {
    /// By the linear diffuse albedo of each texel.
    pub diffuse: Vec<[f32; 3]>,
    /// By F0 of each texel.
    pub specular: Vec<f32>,
    /// By the normals of the map, which are of any length.
    pub normals: Vec<[f32; 3]>,
    /// By the vertices in head space, per metre: by where the samples meet their triangles, and by the normals.
    pub vertices: Vec<Vec3>,
    /// By a small rotation vector in view space, per radian, which turns the head around its origin after the view's
    /// rotation: `rotation' = exp(ω) · rotation`.
    pub rotation: Vec3,
    /// By the head's origin in view space, per metre.
    pub translation: Vec3,
    /// By the light's coefficients.
    pub light: [Vec3; sh::COUNT],
}

/// What the samples of a row contribute, in their order.
#[derive(Default)]
struct Row {
    texels: Vec<(Footprint, TexelGradient)>,
    corners: Vec<Corners>,
    light: [Vec3; sh::COUNT],
    rotation: Vec3,
}

/// What a sample contributes to the corners of its triangle.
struct Corners {
    triangle: u32,
    ray: Vec3,
    weights: [f32; 3],
    volumes: [f32; 3],
    normal: Vec3,
}

/// The gradient of a loss from `seed`, its gradient by each pixel's colour. See [`Scene::gradients`].
///
/// Samples are shaded again, row by row. What they contribute is then added up in their order by one task for each
/// group of targets, so that the sums do not depend on how many threads there are.
pub(super) fn gradients(scene: &Scene, visibility: &Visibility, seed: &[Vec3]) -> Gradients {
    let sampler = Sampler::new(scene);
    let vertices = scene.surface.vertex_count();
    let texels = scene.maps.diffuse.len();
    let mut gradients = Gradients {
        diffuse: vec![[0.0; 3]; texels],
        specular: vec![0.0; texels],
        normals: vec![[0.0; 3]; texels],
        vertices: vec![Vec3::ZERO; vertices],
        rotation: Vec3::ZERO,
        translation: Vec3::ZERO,
        light: [Vec3::ZERO; sh::COUNT],
    };
    let (mut places, mut normals) = (vec![Vec3::ZERO; vertices], vec![Vec3::ZERO; vertices]);
    let (mut light, mut rotation) = ([DVec3::ZERO; sh::COUNT], DVec3::ZERO);

    let at_a_time = (SAMPLES_AT_A_TIME / visibility.width.max(1)).max(1);
    for first in (0..visibility.height).step_by(at_a_time) {
        let end = visibility.height.min(first + at_a_time);
        let rows: Vec<Row> =
            (first..end).into_par_iter().map(|row| Row::new(&sampler, visibility, seed, row)).collect();
        for row in &rows {
            light.iter_mut().zip(row.light).for_each(|(sum, part)| *sum += part.as_dvec3());
            rotation += row.rotation.as_dvec3();
        }
        rayon::join(
            || add_to_maps(&mut gradients, scene.maps.size, &rows),
            || {
                rayon::join(
                    || add_to_places(&sampler, &mut places, &rows),
                    || add_to_normals(scene, &mut normals, &rows),
                )
            },
        );
    }

    let mut translation = DVec3::ZERO;
    for (gradient, place) in places.iter().zip(&sampler.vertices) {
        translation += gradient.as_dvec3();
        rotation += (*place - scene.view.translation).cross(*gradient).as_dvec3();
    }
    let back = scene.view.rotation.inverse();
    gradients.vertices = places.into_iter().map(|gradient| back * gradient).collect();
    scene.geometry.add_normal_gradient(scene.surface, &normals, &mut gradients.vertices);
    gradients.rotation = rotation.as_vec3();
    gradients.translation = translation.as_vec3();
    gradients.light = light.map(|sum| sum.as_vec3());
    gradients
}

impl Row {
    fn new(sampler: &Sampler, visibility: &Visibility, seed: &[Vec3], row: usize) -> Self {
        let view = &sampler.scene.view;
        let side = view.side();
        let seed = &seed[row / side * view.width..][..view.width];
        let share = 1.0 / (side * side) as f32;
        let mut result = Self::default();
        let seen = visibility.row(row).iter().filter(|&&triangle| triangle != Visibility::NONE).count();
        result.corners.reserve(seen);
        result.texels.reserve(seen);
        for (column, &triangle) in visibility.row(row).iter().enumerate() {
            let seed = seed[column / side] * share;
            if triangle == Visibility::NONE || seed == Vec3::ZERO {
                continue;
            }
            let ray = sampler.rays.at(column as f32, row as f32);
            let Some(sample) = sampler.shade(ray, triangle as usize) else { continue };
            let gradient = sampler.gradient(&sample, seed, &mut result.light);
            result.rotation += gradient.rotation;
            result.texels.extend(gradient.texel);
            let (weights, volumes, normal) = (gradient.weights, gradient.volumes, gradient.normal);
            result.corners.push(Corners { triangle, ray, weights, volumes, normal });
        }
        result
    }
}

/// Spreads the samples' gradients over the texels that they lie between.
fn add_to_maps(gradients: &mut Gradients, size: usize, rows: &[Row]) {
    if size == 0 {
        return;
    }
    let part = size.div_ceil(MAP_PARTS) * size;
    let maps = gradients.diffuse.par_chunks_mut(part).zip(gradients.specular.par_chunks_mut(part));
    maps.zip(gradients.normals.par_chunks_mut(part)).enumerate().for_each(|(index, ((diffuse, specular), normals))| {
        let first = index * part;
        for (footprint, gradient) in rows.iter().flat_map(|row| &row.texels) {
            let row = footprint.y as usize * size;
            if row + 2 * size <= first || row >= first + diffuse.len() {
                continue;
            }
            for (texel, share) in footprint.texels(size).into_iter().zip(footprint.shares()) {
                let Some(texel) = texel.checked_sub(first).filter(|texel| *texel < diffuse.len()) else { continue };
                specular[texel] += share * gradient.specular;
                for channel in 0..3 {
                    diffuse[texel][channel] += share * gradient.diffuse[channel];
                    normals[texel][channel] += share * gradient.normal[channel];
                }
            }
        }
    });
}

/// Adds the gradients by the corners' places in view space.
fn add_to_places(sampler: &Sampler, places: &mut [Vec3], rows: &[Row]) {
    for sample in rows.iter().flat_map(|row| &row.corners) {
        let corners = sampler.scene.surface.corners(sample.triangle as usize);
        let gradients = corner_gradient(sample.ray, corners.map(|corner| sampler.vertices[corner]), sample.volumes);
        corners.into_iter().zip(gradients).for_each(|(corner, gradient)| places[corner] += gradient);
    }
}

/// Adds the gradients by the corners' normals.
fn add_to_normals(scene: &Scene, normals: &mut [Vec3], rows: &[Row]) {
    for sample in rows.iter().flat_map(|row| &row.corners) {
        let corners = scene.surface.corners(sample.triangle as usize);
        corners.into_iter().zip(sample.weights).for_each(|(corner, weight)| normals[corner] += weight * sample.normal);
    }
}

/// The gradient by the weights of the blendshapes, in their order, from that by the vertices of the posed head.
///
/// # Panics
/// When there are fewer vertices than the template has.
pub fn expression_gradient(head: &TemplateHead, vertices: &[Vec3]) -> Vec<f32> {
    let gradient = |shape: &Blendshape| {
        let moved = shape.vertices.iter().zip(&shape.offsets);
        moved.map(|(&vertex, offset)| f64::from(offset.dot(vertices[usize::from(vertex)]))).sum::<f64>() as f32
    };
    head.blendshapes.iter().map(gradient).collect()
}
