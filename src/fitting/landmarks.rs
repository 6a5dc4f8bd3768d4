//! Camera, head pose, expression and a first shape from the landmarks of a face.
//!
//! The landmarks of the head are linear in shape coefficients and blendshape weights, so that a Levenberg–Marquardt fit
//! of their projections finds all of them together: the most probable ones under Gaussian priors for the coefficients,
//! for the weights, which stay within 0 to 1, and for the distance of the camera. The depth that a landmark network guesses
//! serves as a start alone: on held-out faces its pull turned heads by a sixth too far.

use bevy::math::{Mat3, Quat, Vec2, Vec3};
use nalgebra::{DMatrix, DVector};

use super::{
    Camera, FittingError, HeadPose,
    landmark_state::{DISTANCE, LANDMARK_DEVIATION, RIGID, State, Step},
    similarity::Similarity,
};
use crate::bundle::TemplateHead;

/// Errors beyond so many deviations lose their influence (Geman and McClure).
const OUTLIER: f64 = 4.0;

/// Cosines between the surface and the way to the camera under which a landmark counts least and fully: at the outline
/// the place that is seen slides over the surface.
const FACING: [f32; 2] = [0.0, 0.5];

/// Weight of landmarks that face away.
const LEAST_WEIGHT: f32 = 0.02;

/// What is known of a shape before the landmarks are looked at.
#[derive(Clone, Copy, Debug)]
pub struct ShapePrior<'a> {
    /// Most probable coefficients `[K]`, in standard deviations of the shape basis.
    pub mean: &'a [f32],
    /// How far they may be off, in the same unit.
    pub deviation: f32,
}

/// How a face stands in a photo.
#[derive(Clone, Debug, PartialEq)]
pub struct FaceFit {
    /// The photo's camera.
    pub camera: Camera,
    /// Where the head is.
    pub pose: HeadPose,
    /// Blendshape weights in the template's order, 0 to 1.
    pub expression: Vec<f32>,
    /// Shape coefficients `[K]`, in standard deviations of the shape basis.
    pub shape: Vec<f32>,
    /// Root mean square distance between the landmarks and their projections, by weight, as a share of the face's size
    /// in the photo.
    pub landmark_error: f32,
}

/// Fits a head to landmarks.
#[derive(Clone, Debug)]
pub struct LandmarkFitter {
    mean: Vec<Vec3>,
    /// Normals of the triangles that the landmarks lie on.
    normals: Vec<Vec3>,
    /// `[K][L]`
    shape: Vec<Vec<Vec3>>,
    /// `[E]`, each with the landmarks that move.
    expression: Vec<Vec<(usize, Vec3)>>,
}

impl LandmarkFitter {
    /// Prepares to fit a template head.
    pub fn new(head: &TemplateHead) -> Self {
        let normal = |triangle: u16| {
            let [a, b, c] = head.triangles[usize::from(triangle)].map(|corner| head.positions[usize::from(corner)]);
            (b - a).cross(c - a).normalize_or(Vec3::Z)
        };
        let zeros = vec![Vec3::ZERO; head.positions.len()];
        let moved = |index: usize| {
            let mut weights = vec![0.0; index + 1];
            weights[index] = 1.0;
            let offsets = head.landmark_positions(&head.posed(&zeros, &weights));
            offsets.into_iter().enumerate().filter(|(_, offset)| *offset != Vec3::ZERO).collect()
        };
        Self {
            mean: head.landmark_positions(&head.positions),
            normals: head.landmarks.iter().map(|point| normal(point.triangle)).collect(),
            shape: head.landmark_basis.clone(),
            expression: (0..head.blendshapes.len()).map(moved).collect(),
        }
    }

    /// Fits the head to `landmarks`: x and y in photo pixels, z in the same unit, smaller towards the camera. `size` is
    /// the photo's, in pixels. It begins at `start`, or where the landmarks' depth puts the mean head.
    ///
    /// # Errors
    /// [`FittingError::Landmarks`] when there are not as many landmarks as the head has, when they are not finite, or
    /// when they all lie in one place.
    pub fn fit(
        &self,
        landmarks: &[Vec3],
        size: (u32, u32),
        prior: ShapePrior,
        start: Option<&FaceFit>,
        iterations: usize,
    ) -> Result<FaceFit, FittingError> {
        let centre = 0.5 * (Vec2::new(size.0 as f32, size.1 as f32) - 1.0);
        let refuse = |reason: String| FittingError::Landmarks { reason };
        if landmarks.len() != self.mean.len() {
            return Err(refuse(format!("{} of {} were found", landmarks.len(), self.mean.len())));
        }
        if !landmarks.iter().all(|point| point.is_finite()) {
            return Err(refuse("they are not finite".into()));
        }
        let observed: Vec<Vec3> = landmarks.iter().map(|point| *point - centre.extend(0.0)).collect();
        let mut state = match start {
            Some(start) => State::new(start),
            None => self.start(&observed, prior).ok_or_else(|| refuse("they lie in one place".into()))?,
        };
        let face = face_size(&observed);
        let mut damping = 1e-3;
        let cost_of = |state: &State| self.cost(state, &self.weights(state), &observed, face, prior);
        let mut cost = cost_of(&state);
        for _ in 0..iterations {
            let step = self.linearise(&state, &observed, face, prior);
            let next = state.stepped(&step, damping);
            let next_cost = next.as_ref().map_or(f64::INFINITY, cost_of);
            if let Some(next) = next.filter(|_| next_cost <= cost) {
                (state, cost) = (next, next_cost);
                damping = (damping * 0.3).max(1e-6);
            } else {
                damping *= 10.0;
            }
        }
        Ok(self.finish(&state, &observed, face, centre))
    }

    /// The mean head, turned and sized as the landmarks are in space.
    fn start(&self, observed: &[Vec3], prior: ShapePrior) -> Option<State> {
        let seen: Vec<Vec3> = observed.iter().copied().map(in_space).collect();
        let Similarity { rotation, scale, translation } = Similarity::between(&self.mean, &seen)?;
        Some(State {
            rotation: Mat3::from_quat(rotation),
            across: (translation / scale).truncate(),
            log_distance: DISTANCE.0.ln(),
            log_scale: f64::from(scale).ln(),
            expression: vec![0.0; self.expression.len()],
            shape: prior.mean.iter().map(|&value| value.into()).collect(),
        })
    }

    /// The landmarks in head space.
    fn landmarks(&self, state: &State) -> Vec<Vec3> {
        let mut points = self.mean.clone();
        for (basis, &coefficient) in self.shape.iter().zip(&state.shape) {
            points.iter_mut().zip(basis).for_each(|(point, &offset)| *point += coefficient as f32 * offset);
        }
        for (moved, &weight) in self.expression.iter().zip(&state.expression) {
            moved.iter().filter(|_| weight != 0.0).for_each(|&(index, offset)| points[index] += weight as f32 * offset);
        }
        points
    }

    /// How far each landmark counts: those that face the camera fully.
    pub(super) fn facing(&self, rotation: Quat) -> Vec<f32> {
        let weight = |normal: &Vec3| {
            let cosine = (rotation * *normal).z;
            let share = ((cosine - FACING[0]) / (FACING[1] - FACING[0])).clamp(0.0, 1.0);
            LEAST_WEIGHT + (1.0 - LEAST_WEIGHT) * share * share * (3.0 - 2.0 * share)
        };
        self.normals.iter().map(weight).collect()
    }

    fn weights(&self, state: &State) -> Vec<f64> {
        self.facing(Quat::from_mat3(&state.rotation)).into_iter().map(f64::from).collect()
    }

    fn cost(&self, state: &State, weights: &[f64], observed: &[Vec3], face: f64, prior: ShapePrior) -> f64 {
        let errors = state.errors(&self.landmarks(state), observed, face);
        let robust = |square: f64| square / (1.0 + square / (OUTLIER * OUTLIER));
        let data: f64 = errors
            .iter()
            .zip(weights)
            .map(|(error, weight)| weight * robust(error[0] * error[0] + error[1] * error[1]))
            .sum();
        data + state.prior_cost(prior)
    }

    /// The Gauss–Newton step's equations: half the cost's gradient and an approximation of its curvature.
    fn linearise(&self, state: &State, observed: &[Vec3], face: f64, prior: ShapePrior) -> Step {
        let points = self.landmarks(state);
        let errors = state.errors(&points, observed, face);
        let weights = self.weights(state);
        let (expressions, shapes) = (self.expression.len(), self.shape.len());
        let size = RIGID + expressions + shapes;
        let mut rows = DMatrix::<f64>::zeros(size, 2 * points.len());
        let mut residuals = DVector::<f64>::zeros(2 * points.len());
        let unit = 1.0 / (LANDMARK_DEVIATION * face);
        let derivatives: Vec<[Vec3; 2]> = points.iter().map(|&point| state.derivatives(point)).collect();
        let rigid: Vec<[[f64; RIGID]; 2]> = points.iter().map(|&point| state.rigid_derivatives(point)).collect();
        let mut scales = Vec::with_capacity(points.len());
        for (index, error) in errors.iter().enumerate() {
            let square = error[0] * error[0] + error[1] * error[1];
            let scale = weights[index].sqrt() / (1.0 + square / (OUTLIER * OUTLIER));
            for axis in 0..2 {
                let column = 2 * index + axis;
                residuals[column] = scale * error[axis];
                for (row, &value) in rigid[index][axis].iter().enumerate() {
                    rows[(row, column)] = scale * unit * value;
                }
            }
            scales.push(scale * unit);
        }
        let mut fill = |row: usize, index: usize, offset: Vec3| {
            for axis in 0..2 {
                rows[(row, 2 * index + axis)] = scales[index] * f64::from(derivatives[index][axis].dot(offset));
            }
        };
        for (row, moved) in self.expression.iter().enumerate() {
            moved.iter().for_each(|&(index, offset)| fill(RIGID + row, index, offset));
        }
        for (row, basis) in self.shape.iter().enumerate() {
            basis.iter().enumerate().for_each(|(index, &offset)| fill(RIGID + expressions + row, index, offset));
        }
        let mut matrix = &rows * rows.transpose();
        let mut gradient = &rows * residuals;
        state.add_priors(&mut matrix, &mut gradient, prior);
        Step { matrix, gradient }
    }

    fn finish(&self, state: &State, observed: &[Vec3], face: f64, centre: Vec2) -> FaceFit {
        let errors = state.errors(&self.landmarks(state), observed, face);
        let weights = self.weights(state);
        let square = errors.iter().zip(&weights).map(|(e, weight)| weight * (e[0] * e[0] + e[1] * e[1])).sum::<f64>();
        let mean = (square / weights.iter().sum::<f64>()).sqrt() * LANDMARK_DEVIATION;
        let distance = state.log_distance.exp();
        FaceFit {
            camera: Camera { focal: (state.log_scale.exp() * distance) as f32, centre },
            pose: HeadPose {
                rotation: Quat::from_mat3(&state.rotation).normalize(),
                translation: state.across.extend(-distance as f32),
            },
            expression: state.expression.iter().map(|&weight| weight as f32).collect(),
            shape: state.shape.iter().map(|&value| value as f32).collect(),
            landmark_error: mean as f32,
        }
    }
}

/// A landmark of a photo, with y up and z towards the camera.
pub(super) fn in_space(point: Vec3) -> Vec3 {
    Vec3::new(point.x, -point.y, -point.z)
}

/// Root mean square distance of the landmarks from their middle, in pixels.
fn face_size(observed: &[Vec3]) -> f64 {
    let count = observed.len() as f32;
    let mean = observed.iter().map(|point| point.truncate()).sum::<Vec2>() / count;
    let square = observed.iter().map(|point| (point.truncate() - mean).length_squared()).sum::<f32>() / count;
    f64::from(square.sqrt()).max(1e-3)
}

#[cfg(test)]
mod tests {
    use bevy::math::EulerRot;

    use super::*;
    use crate::{bundle::Bundle, fitting::slope::assert_slope};

    const SIZE: (u32, u32) = (640, 480);

    fn head() -> TemplateHead {
        Bundle::open(concat!(env!("CARGO_MANIFEST_DIR"), "/models/base")).unwrap().load_head().unwrap()
    }

    /// A turned head with an expression and a shape of its own.
    fn state(head: &TemplateHead) -> State {
        let mut expression = vec![0.0; head.blendshapes.len()];
        for (name, weight) in
            [("jawOpen", 0.5), ("mouthSmileLeft", 0.6), ("mouthSmileRight", 0.6), ("browInnerUp", 0.4)]
        {
            let index = head.blendshapes.iter().position(|shape| shape.name == name).unwrap();
            expression[index] = weight;
        }
        let shape =
            (0..head.landmark_basis.len()).map(|k| if k < 20 { ((k * 37) % 19) as f64 / 9.0 - 1.0 } else { 0.0 });
        State {
            rotation: Mat3::from_euler(EulerRot::YXZ, 0.3, -0.15, 0.1),
            across: Vec2::new(0.03, -0.02),
            log_distance: 0.6_f64.ln(),
            log_scale: 1500.0_f64.ln(),
            expression,
            shape: shape.collect(),
        }
    }

    /// What the camera sees of a state, in photo pixels.
    fn observe(fitter: &LandmarkFitter, state: &State) -> Vec<Vec3> {
        let centre = 0.5 * Vec2::new(SIZE.0 as f32 - 1.0, SIZE.1 as f32 - 1.0);
        let camera = Camera { focal: state.focal(), centre };
        let see = |&point: &Vec3| {
            let view = state.view(point);
            camera.project(view).extend(state.log_scale.exp() as f32 * -view.z)
        };
        fitter.landmarks(state).iter().map(see).collect()
    }

    #[test]
    fn a_known_face_is_found_again() {
        let head = head();
        let fitter = LandmarkFitter::new(&head);
        let truth = state(&head);
        let observed = observe(&fitter, &truth);
        let mean = vec![0.0; truth.shape.len()];
        let prior = ShapePrior { mean: &mean, deviation: 1.0 };
        let fit = fitter.fit(&observed, SIZE, prior, None, 30).unwrap();
        assert!(fit.landmark_error < 0.01, "{}", fit.landmark_error);
        let angle = fit.pose.rotation.angle_between(Quat::from_mat3(&truth.rotation)).to_degrees();
        assert!(angle < 2.0, "{angle}°");
        let found = |name: &str| fit.expression[head.blendshapes.iter().position(|shape| shape.name == name).unwrap()];
        assert!((found("jawOpen") - 0.5).abs() < 0.15, "{}", found("jawOpen"));
        assert!(found("mouthSmileLeft") > 0.3 && found("mouthFrownLeft") < 0.15);
        let seen = head.landmark_positions(&head.positions);
        let size = seen.iter().map(|point| point.length()).sum::<f32>() / seen.len() as f32;
        assert!((-fit.pose.translation.z / 0.6 - 1.0).abs() < 0.35, "{} of {size}", fit.pose.translation);
    }

    #[test]
    fn steps_follow_the_gradient_of_the_cost() {
        let head = head();
        let fitter = LandmarkFitter::new(&head);
        let observed = observe(&fitter, &state(&head));
        let centre = 0.5 * Vec2::new(SIZE.0 as f32 - 1.0, SIZE.1 as f32 - 1.0);
        let observed: Vec<Vec3> = observed.iter().map(|point| *point - centre.extend(0.0)).collect();
        let face = face_size(&observed);
        let mean = vec![0.1; head.landmark_basis.len()];
        let prior = ShapePrior { mean: &mean, deviation: 0.8 };
        let mut near = state(&head);
        near.rotation *= Mat3::from_rotation_y(0.03);
        near.across.x += 0.002;
        near.log_distance += 0.05;
        near.shape[3] += 0.4;
        let step = fitter.linearise(&near, &observed, face, prior);
        // How far landmarks count is held in a step.
        let weights = fitter.weights(&near);
        let (size, shapes) = (step.gradient.len(), RIGID + head.blendshapes.len());
        // Rotation, place, distance and size, expression, shape; the least and the largest weights cannot go both ways.
        let moved =
            |index: &usize| !(RIGID..shapes).contains(index) || (0.1..0.9).contains(&near.expression[index - RIGID]);
        for (range, length) in
            [(0..3, 2e-3), (3..5, 2e-4), (5..RIGID, 2e-3), (RIGID..shapes, 2e-2), (shapes..size, 0.1)]
        {
            let part = 2.0 * step.gradient.rows_range(range.clone()).norm() as f32;
            for index in range.filter(moved) {
                assert_slope(&index.to_string(), 2.0 * step.gradient[index] as f32, part, length, |amount| {
                    let mut change = DVector::zeros(size);
                    change[index] = amount.into();
                    fitter.cost(&near.moved(&change), &weights, &observed, face, prior)
                });
            }
        }
    }

    #[test]
    fn landmarks_that_are_no_face_are_refused() {
        let head = head();
        let fitter = LandmarkFitter::new(&head);
        let mean = vec![0.0; head.landmark_basis.len()];
        let prior = ShapePrior { mean: &mean, deviation: 1.0 };
        let count = head.landmarks.len();
        for landmarks in [vec![Vec3::ONE; count - 1], vec![Vec3::ONE; count], vec![Vec3::NAN; count]] {
            let refused = fitter.fit(&landmarks, SIZE, prior, None, 5);
            assert!(matches!(refused, Err(FittingError::Landmarks { .. })), "{refused:?}");
        }
    }
}
