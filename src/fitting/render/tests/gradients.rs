//! Gradients of the whole renderer against central differences of its pictures.

use std::sync::LazyLock;

use super::*;
use crate::fitting::slope::assert_slope;

/// Pixels that see a triangle under a smaller cosine do not count, and neither do those that see one whose corners'
/// normals differ by a smaller cosine. At outlines and in creases a small step takes a sample that keeps to its triangle
/// far along it, and differences say nothing of the derivative.
const LEAST_FACING: f32 = 0.35;
const LEAST_SMOOTHNESS: f32 = 0.85;

/// A step in metres that adds no rounding of its own: a power of two.
const STEP: f32 = 1.0 / 65_536.0;

/// Side of the picture.
const PIXELS: usize = 160;

/// A scene with a fixed visibility and a loss that is linear in the picture.
struct Trial {
    head: TemplateHead,
    stage: Stage,
    visibility: Visibility,
    seed: Vec<Vec3>,
    gradients: Gradients,
}

impl Trial {
    fn new() -> Self {
        let head = template_head();
        let stage = head_on_stage(&head, PIXELS, 2);
        let visibility = stage.scene().visibility();
        let mut noise = Noise(1);
        let seed = smooth_pixels(&stage, &visibility).into_iter().map(|smooth| {
            let seed = Vec3::new(1.0, 0.8, 0.6) + 0.7 * noise.vector();
            if smooth { seed } else { Vec3::ZERO }
        });
        let seed: Vec<Vec3> = seed.collect();
        let gradients = stage.scene().gradients(&visibility, &seed);
        Self { head, stage, visibility, seed, gradients }
    }

    /// The loss of a changed scene, every sample still seeing its triangle.
    fn loss(&self, change: impl FnOnce(&mut Stage)) -> f64 {
        let mut stage = self.stage.clone();
        change(&mut stage);
        let colours = stage.scene().render(&self.visibility).colour;
        colours.iter().zip(&self.seed).map(|(colour, seed)| colour.as_dvec3().dot(seed.as_dvec3())).sum()
    }

    /// Compares a derivative with differences of the loss of scenes that are changed by a multiple of `step`.
    fn check(&self, what: &str, found: f32, step: f32, change: impl Fn(&mut Stage, f32)) {
        self.check_part(what, found, found.abs(), step, change);
    }

    /// The same for a part of a gradient that has this `size` as a whole.
    fn check_part(&self, what: &str, found: f32, size: f32, step: f32, change: impl Fn(&mut Stage, f32)) {
        assert_slope(what, found, size, step, |step| self.loss(|stage| change(stage, step)));
    }

    fn move_vertices(&self, stage: &mut Stage, offset: impl Fn(usize) -> Vec3) {
        let vertices = self.stage.geometry.vertices().iter().enumerate().map(|(index, place)| place + offset(index));
        stage.geometry = self.stage.geometry.moved(&self.stage.surface, vertices.collect());
    }
}

static TRIAL: LazyLock<Trial> = LazyLock::new(Trial::new);

/// Pixels whose samples all see a triangle that faces the camera and is almost flat.
fn smooth_pixels(stage: &Stage, visibility: &Visibility) -> Vec<bool> {
    let view = &stage.view;
    let mut smooth = vec![true; view.width * view.height];
    for (index, &triangle) in visibility.triangles.iter().enumerate().filter(|(_, seen)| **seen != Visibility::NONE) {
        let (column, row) = (index % visibility.width / view.side(), index / visibility.width / view.side());
        let corners = stage.surface.corners(triangle as usize);
        let [a, b, c] = corners.map(|corner| view.to_view(stage.geometry.vertices[corner]));
        let facing = -(b - a).cross(c - a).normalize().dot(a.normalize());
        let [a, b, c] = corners.map(|corner| stage.geometry.normals[corner]);
        let flatness = a.dot(b).min(b.dot(c)).min(c.dot(a));
        smooth[row * view.width + column] &= facing > LEAST_FACING && flatness > LEAST_SMOOTHNESS;
    }
    smooth
}

/// Some of these numbers that are not small: their indices.
fn some_large(sizes: impl Iterator<Item = f32>) -> [usize; 3] {
    let mut sizes: Vec<(usize, f32)> = sizes.enumerate().collect();
    sizes.sort_by(|a, b| b.1.total_cmp(&a.1));
    [10, 100, 1000].map(|place| sizes[place].0)
}

fn dot(gradient: &[Vec3], direction: &[Vec3]) -> f32 {
    gradient.iter().zip(direction).map(|(a, b)| a.as_dvec3().dot(b.as_dvec3())).sum::<f64>() as f32
}

fn product(gradient: &[f32], direction: &[f32]) -> f32 {
    gradient.iter().zip(direction).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>() as f32
}

fn vectors(values: &[[f32; 3]]) -> Vec<Vec3> {
    values.iter().map(|&value| value.into()).collect()
}

/// Moves texels along directions.
fn shift(texels: &mut [[f32; 3]], step: f32, direction: &[Vec3]) {
    for (texel, &way) in texels.iter_mut().zip(direction) {
        *texel = (Vec3::from(*texel) + step * way).into();
    }
}

#[test]
fn those_by_the_diffuse_map_are_differences() {
    let gradient = vectors(&TRIAL.gradients.diffuse);
    let mut noise = Noise(2);
    let direction: Vec<Vec3> = gradient.iter().map(|_| noise.vector()).collect();
    TRIAL.check("diffuse", dot(&gradient, &direction), 0.05, |stage, step| {
        shift(&mut stage.maps.diffuse, step, &direction);
    });
    for texel in some_large(gradient.iter().map(|texel| texel.length())) {
        for (channel, found) in gradient[texel].to_array().into_iter().enumerate() {
            TRIAL.check("diffuse texel", found, 0.1, |stage, step| {
                stage.maps.diffuse[texel][channel] += step;
            });
        }
    }
}

#[test]
fn those_by_the_specular_map_are_differences() {
    let gradient = &TRIAL.gradients.specular;
    let mut noise = Noise(3);
    let direction: Vec<f32> = gradient.iter().map(|_| noise.next()).collect();
    TRIAL.check("specular", product(gradient, &direction), 0.01, |stage, step| {
        stage.maps.specular.iter_mut().zip(&direction).for_each(|(texel, &way)| *texel += step * way);
    });
    for texel in some_large(gradient.iter().copied()) {
        TRIAL.check("specular texel", gradient[texel], 0.1, |stage, step| stage.maps.specular[texel] += step);
    }
}

#[test]
fn those_by_the_normal_map_are_differences() {
    let gradient = vectors(&TRIAL.gradients.normals);
    let mut noise = Noise(4);
    let direction: Vec<Vec3> = gradient.iter().map(|_| noise.vector()).collect();
    TRIAL.check("normals", dot(&gradient, &direction), 0.01, |stage, step| {
        shift(&mut stage.maps.normals, step, &direction);
    });
    for texel in some_large(gradient.iter().map(|texel| texel.length())) {
        for (channel, found) in gradient[texel].to_array().into_iter().enumerate() {
            TRIAL.check("normal texel", found, 0.02, |stage, step| {
                stage.maps.normals[texel][channel] += step;
            });
        }
    }
}

#[test]
fn those_by_the_vertices_are_differences() {
    let gradient = &TRIAL.gradients.vertices;
    let mut noise = Noise(5);
    // Up the gradient, unevenly: many random signs would leave nothing but rounding.
    let rough: Vec<Vec3> = gradient.iter().map(|way| way.normalize_or_zero() + noise.vector()).collect();
    let wave =
        |place: &Vec3| Vec3::new((31.0 * place.y).sin(), (23.0 * place.z + 1.0).sin(), (27.0 * place.x - 0.5).cos());
    let smooth: Vec<Vec3> = TRIAL.stage.geometry.vertices().iter().map(wave).collect();
    for (what, direction, step) in [("rough", rough, 0.5 * STEP), ("smooth", smooth, STEP)] {
        TRIAL.check(what, dot(gradient, &direction), step, |stage, step| {
            TRIAL.move_vertices(stage, |index| step * direction[index]);
        });
    }
    for vertex in some_large(gradient.iter().map(|gradient| gradient.length())) {
        for axis in Vec3::AXES {
            let (found, size) = (gradient[vertex].dot(axis), gradient[vertex].length());
            TRIAL.check_part("vertex", found, size, STEP, |stage, step| {
                TRIAL.move_vertices(stage, |index| if index == vertex { step * axis } else { Vec3::ZERO });
            });
        }
    }
}

#[test]
fn those_by_the_pose_are_differences() {
    for axis in Vec3::AXES {
        TRIAL.check("rotation", TRIAL.gradients.rotation.dot(axis), 2e-4, |stage, step| {
            stage.view.rotation = Quat::from_scaled_axis(step * axis) * stage.view.rotation;
        });
        TRIAL.check("translation", TRIAL.gradients.translation.dot(axis), STEP, |stage, step| {
            stage.view.translation += step * axis;
        });
    }
}

#[test]
fn those_by_the_light_are_differences() {
    for index in 0..sh::COUNT {
        for axis in Vec3::AXES {
            TRIAL.check("light", TRIAL.gradients.light[index].dot(axis), 0.02, |stage, step| {
                stage.light.0[index] += step * axis;
            });
        }
    }
}

#[test]
fn those_by_the_expression_are_differences() {
    let gradient = expression_gradient(&TRIAL.head, &TRIAL.gradients.vertices);
    let pose = |stage: &mut Stage, weights: &[f32]| {
        let still = vec![Vec3::ZERO; TRIAL.head.positions.len()];
        let offsets = TRIAL.head.posed(&still, weights);
        TRIAL.move_vertices(stage, |index| offsets[index]);
    };
    let mut noise = Noise(6);
    let direction: Vec<f32> = gradient.iter().map(|way| way.signum() + noise.next()).collect();
    TRIAL.check("expression", product(&gradient, &direction), 5e-4, |stage, step| {
        pose(stage, &direction.iter().map(|way| step * way).collect::<Vec<_>>());
    });
    let mut order: Vec<usize> = (0..gradient.len()).collect();
    order.sort_by(|&a, &b| gradient[b].abs().total_cmp(&gradient[a].abs()));
    for &shape in &order[..8] {
        TRIAL.check(&TRIAL.head.blendshapes[shape].name, gradient[shape], 1e-3, |stage, step| {
            let mut weights = vec![0.0; gradient.len()];
            weights[shape] = step;
            pose(stage, &weights);
        });
    }
}
