//! The unknowns of a fit to landmarks, and a step of them.

use bevy::math::{Mat3, Quat, Vec2, Vec3};
use nalgebra::{DMatrix, DVector};

use super::landmarks::{FaceFit, ShapePrior};

/// Standard deviation of a landmark, as a share of the face's size in the photo. Neighbours err together: it is larger
/// than what a single one is off.
pub(super) const LANDMARK_DEVIATION: f64 = 0.022;

/// Standard deviation of blendshape weights around 0.
const EXPRESSION_DEVIATION: f64 = 0.25;

/// Most probable distance of the camera in metres, and the deviation of its logarithm.
pub(super) const DISTANCE: (f64, f64) = (0.55, 0.35);

/// How often a step is taken again without the weights that it would take beyond their range.
const BOUND_ROUNDS: usize = 4;

/// Rotation, place and size of the head.
pub(super) const RIGID: usize = 7;

/// A fit on its way.
#[derive(Clone)]
pub(super) struct State {
    pub rotation: Mat3,
    /// Where the head's origin is seen, in metres at its distance.
    pub across: Vec2,
    pub log_distance: f64,
    /// Logarithm of photo pixels per metre at the head.
    pub log_scale: f64,
    pub expression: Vec<f64>,
    pub shape: Vec<f64>,
}

/// The normal equations of a step.
pub(super) struct Step {
    pub matrix: DMatrix<f64>,
    pub gradient: DVector<f64>,
}

impl State {
    pub fn new(fit: &FaceFit) -> Self {
        let distance = f64::from(-fit.pose.translation.z).max(1e-3);
        Self {
            rotation: Mat3::from_quat(fit.pose.rotation),
            across: fit.pose.translation.truncate(),
            log_distance: distance.ln(),
            log_scale: (f64::from(fit.camera.focal) / distance).ln(),
            expression: fit.expression.iter().map(|&weight| weight.into()).collect(),
            shape: fit.shape.iter().map(|&value| value.into()).collect(),
        }
    }

    pub fn view(&self, point: Vec3) -> Vec3 {
        self.rotation * point + self.across.extend(-self.log_distance.exp() as f32)
    }

    pub fn focal(&self) -> f32 {
        (self.log_scale + self.log_distance).exp() as f32
    }

    /// Projection minus landmark in deviations.
    pub fn errors(&self, points: &[Vec3], observed: &[Vec3], face: f64) -> Vec<[f64; 2]> {
        let (focal, unit) = (self.focal(), 1.0 / (LANDMARK_DEVIATION * face));
        let error = |(&point, observed): (&Vec3, &Vec3)| {
            let view = self.view(point);
            let near = focal / (-view.z).max(1e-3);
            [near * view.x - observed.x, -near * view.y - observed.y].map(|error| f64::from(error) * unit)
        };
        points.iter().zip(observed).map(error).collect()
    }

    /// Gradients of x and y (in pixels) with respect to a point in head space.
    pub fn derivatives(&self, point: Vec3) -> [Vec3; 2] {
        let turned = self.rotation.transpose();
        self.view_derivatives(self.view(point)).map(|gradient| turned * gradient)
    }

    /// The same with respect to the point in view space.
    fn view_derivatives(&self, view: Vec3) -> [Vec3; 2] {
        let depth = (-view.z).max(1e-3);
        let near = self.focal() / depth;
        [Vec3::new(near, 0.0, near * view.x / depth), Vec3::new(0.0, -near, -near * view.y / depth)]
    }

    /// Derivatives of x and y (in pixels) with respect to rotation, place, log distance and log scale.
    pub fn rigid_derivatives(&self, point: Vec3) -> [[f64; RIGID]; 2] {
        let (turned, view) = (self.rotation * point, self.view(point));
        let gradients = self.view_derivatives(view);
        let near = self.focal() / (-view.z).max(1e-3);
        let places = [near * view.x, -near * view.y];
        let away = -self.log_distance.exp() as f32;
        std::array::from_fn(|axis| {
            let gradient = gradients[axis];
            let rotation = turned.cross(gradient);
            // The focal length grows with the distance.
            let zoom = gradient.z * away + places[axis];
            [rotation.x, rotation.y, rotation.z, gradient.x, gradient.y, zoom, places[axis]].map(f64::from)
        })
    }

    pub fn prior_cost(&self, prior: ShapePrior) -> f64 {
        let deviation = f64::from(prior.deviation);
        let shape =
            self.shape.iter().zip(prior.mean).map(|(value, &mean)| ((value - f64::from(mean)) / deviation).powi(2));
        let expression = self.expression.iter().map(|weight| (weight / EXPRESSION_DEVIATION).powi(2));
        let distance = ((self.log_distance - DISTANCE.0.ln()) / DISTANCE.1).powi(2);
        shape.sum::<f64>() + expression.sum::<f64>() + distance
    }

    pub fn add_priors(&self, matrix: &mut DMatrix<f64>, gradient: &mut DVector<f64>, prior: ShapePrior) {
        let mut add = |index: usize, error: f64, deviation: f64| {
            matrix[(index, index)] += deviation.powi(-2);
            gradient[index] += error * deviation.powi(-2);
        };
        add(5, self.log_distance - DISTANCE.0.ln(), DISTANCE.1);
        for (index, &weight) in self.expression.iter().enumerate() {
            add(RIGID + index, weight, EXPRESSION_DEVIATION);
        }
        for (index, (&value, &mean)) in self.shape.iter().zip(prior.mean).enumerate() {
            add(RIGID + self.expression.len() + index, value - f64::from(mean), prior.deviation.into());
        }
    }

    /// The state after a damped step, with blendshape weights within their range; `None` when there is none.
    pub fn stepped(&self, step: &Step, damping: f64) -> Option<Self> {
        let size = step.gradient.len();
        let mut fixed = vec![false; size];
        // Weights that a step would take beyond their range stay at its end, and the others step without them.
        for round in 1.. {
            let mut matrix = step.matrix.clone();
            let mut gradient = step.gradient.clone();
            for index in 0..size {
                matrix[(index, index)] *= 1.0 + damping;
            }
            for index in (0..size).filter(|&index| fixed[index]) {
                matrix.row_mut(index).fill(0.0);
                matrix.column_mut(index).fill(0.0);
                matrix[(index, index)] = 1.0;
                gradient[index] = 0.0;
            }
            let change = -matrix.cholesky()?.solve(&gradient);
            let mut stuck = false;
            for (index, &weight) in self.expression.iter().enumerate() {
                let (row, next) = (RIGID + index, weight + change[RIGID + index]);
                if !fixed[row] && ((next < 0.0 && weight <= 0.0) || (next > 1.0 && weight >= 1.0)) {
                    fixed[row] = true;
                    stuck = true;
                }
            }
            if !stuck || round == BOUND_ROUNDS {
                return Some(self.moved(&change));
            }
        }
        None
    }

    pub fn moved(&self, change: &DVector<f64>) -> Self {
        let turn = Vec3::new(change[0] as f32, change[1] as f32, change[2] as f32);
        let expressions = self.expression.len();
        let expression = self.expression.iter().zip(&change.as_slice()[RIGID..]);
        let shape = self.shape.iter().zip(&change.as_slice()[RIGID + expressions..]);
        let rotation = Quat::from_scaled_axis(turn) * Quat::from_mat3(&self.rotation);
        Self {
            rotation: Mat3::from_quat(rotation.normalize()),
            across: self.across + Vec2::new(change[3] as f32, change[4] as f32),
            log_distance: self.log_distance + change[5],
            log_scale: self.log_scale + change[6],
            expression: expression.map(|(weight, change)| (weight + change).clamp(0.0, 1.0)).collect(),
            shape: shape.map(|(value, change)| value + change).collect(),
        }
    }
}
