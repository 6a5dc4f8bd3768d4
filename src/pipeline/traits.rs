//! What can be said of a face's shape in words, and how to change it.
//!
//! A trait is a distance between landmarks along an axis of the head: linear in the shape coefficients, whose standard
//! normal distribution tells how much people differ in it. To change a trait, coefficients move along the most probable
//! direction that changes this one by the wanted amount and the others as little as possible.

use std::ops::RangeInclusive;

use bevy::math::Vec3;
use nalgebra::{DMatrix, DVector, SymmetricEigen};

use crate::bundle::TemplateHead;

/// Furthest that an edit takes a trait from the average, in standard deviations: about one person in 700 lies beyond.
const MAX_DEVIATIONS: f32 = 3.0;

/// How much a standard deviation of another trait counts against one of the whole shape, squared, when a trait is moved.
const OTHER_TRAITS_COST: f64 = 30.0;

/// Number of directions beyond the traits.
const VARIATIONS: usize = 8;

/// Least standard deviation of a trait in metres: what moves less cannot be seen.
const MIN_DEVIATION: f32 = 1e-4;

/// Axes of the template head: X to the person's left, Y up, Z ahead.
#[derive(Clone, Copy)]
enum Axis {
    X,
    Y,
    Z,
}

/// How a trait is measured: along an axis, from the mean of some landmarks to that of others.
struct Measure {
    name: &'static str,
    label: &'static str,
    axis: Axis,
    to: &'static [usize],
    from: &'static [usize],
}

const fn measure(
    name: &'static str,
    label: &'static str,
    axis: Axis,
    to: &'static [usize],
    from: &'static [usize],
) -> Measure {
    Measure { name, label, axis, to, from }
}

/// The traits by the landmarks of the dense face mesh (Kartynnik et al., arXiv 1907.06724), left and right alike.
const MEASURES: [Measure; 22] = [
    measure("face_width", "Face width", Axis::X, &[454, 323], &[234, 93]),
    measure("forehead_height", "Forehead height", Axis::Y, &[10], &[66, 296]),
    measure("forehead_width", "Forehead width", Axis::X, &[284, 251], &[54, 21]),
    measure("brow_height", "Brow height", Axis::Y, &[105, 66, 334, 296], &[33, 133, 362, 263]),
    measure("eye_distance", "Eye distance", Axis::X, &[362, 263], &[133, 33]),
    measure("eye_width", "Eye width", Axis::X, &[263, 133], &[362, 33]),
    measure("eye_opening", "Eye opening", Axis::Y, &[159, 386], &[145, 374]),
    measure("eye_slant", "Eye slant", Axis::Y, &[33, 263], &[133, 362]),
    measure("nose_length", "Nose length", Axis::Y, &[168], &[2]),
    measure("nose_width", "Nose width", Axis::X, &[358], &[129]),
    measure("nose_projection", "Nose projection", Axis::Z, &[1], &[129, 358]),
    measure("nose_bridge", "Nose bridge", Axis::Z, &[6], &[133, 362]),
    measure("nose_tip", "Nose tip height", Axis::Y, &[1], &[2]),
    measure("philtrum_length", "Upper lip length", Axis::Y, &[2], &[0]),
    measure("mouth_width", "Mouth width", Axis::X, &[291], &[61]),
    measure("lip_fullness", "Lip fullness", Axis::Y, &[0, 14], &[13, 17]),
    measure("lip_projection", "Lip projection", Axis::Z, &[0, 17], &[61, 291]),
    measure("chin_height", "Chin height", Axis::Y, &[17], &[152]),
    measure("chin_width", "Chin width", Axis::X, &[378, 379], &[149, 150]),
    measure("chin_projection", "Chin projection", Axis::Z, &[199], &[61, 291]),
    measure("jaw_width", "Jaw width", Axis::X, &[397, 288], &[172, 58]),
    measure("cheek_fullness", "Cheek fullness", Axis::Z, &[50, 205, 280, 425], &[234, 454]),
];

/// A measurable part of a face's shape.
#[derive(Clone, Debug, PartialEq)]
pub struct ShapeTrait {
    name: &'static str,
    label: &'static str,
    mean: f32,
    deviation: f32,
    /// What each coefficient adds, in standard deviations `[K]`.
    functional: Vec<f32>,
    /// What one standard deviation more adds to the coefficients `[K]`.
    direction: Vec<f32>,
}

impl ShapeTrait {
    /// Its name in files: `nose_length` for instance.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its name for people, in English: `Nose length` for instance.
    pub fn label(&self) -> &'static str {
        self.label
    }

    /// What it measures on the average head, in metres.
    pub fn mean(&self) -> f32 {
        self.mean
    }

    /// How much people differ in it: its standard deviation in metres.
    pub fn deviation(&self) -> f32 {
        self.deviation
    }

    /// How far a shape is from the average, in standard deviations. `shape` are coefficients `[K]`, as
    /// [`AvatarData::shape`](super::AvatarData::shape) gives them.
    pub fn value(&self, shape: &[f32]) -> f32 {
        dot(&self.functional, shape)
    }

    /// What it measures on a shape, in metres.
    pub fn metres(&self, shape: &[f32]) -> f32 {
        self.mean + self.deviation * self.value(shape)
    }
}

/// The traits of a bundle's heads, and the strongest variations beyond them.
///
/// All of it follows from the template head and the landmarks of the dense face mesh. Traits whose landmarks a bundle
/// does not have, or in which its heads do not differ, are left out.
#[derive(Clone, Debug, PartialEq)]
pub struct ShapeTraits {
    traits: Vec<ShapeTrait>,
    /// Unit vectors `[VARIATIONS][K]`, of which none changes a trait.
    variations: Vec<Vec<f32>>,
    coefficients: usize,
}

impl ShapeTraits {
    /// Measures the template head of a bundle.
    pub fn new(head: &TemplateHead) -> Self {
        let coefficients = head.landmark_basis.len();
        let mean = head.landmark_positions(&head.positions);
        let measured: Vec<(&Measure, f32, Vec<f32>)> = MEASURES
            .iter()
            .filter(|measure| measure.to.iter().chain(measure.from).all(|index| *index < mean.len()))
            .map(|measure| {
                let functional: Vec<f32> = head.landmark_basis.iter().map(|moves| measure.of(moves)).collect();
                let deviation = dot(&functional, &functional).sqrt();
                (measure, deviation, functional)
            })
            .filter(|(_, deviation, _)| *deviation >= MIN_DEVIATION)
            .collect();
        let functionals = DMatrix::from_fn(measured.len(), coefficients, |row, column| {
            let (_, deviation, functional) = &measured[row];
            f64::from(functional[column] / deviation)
        });
        let traits = measured.iter().enumerate().map(|(index, (measure, deviation, _))| ShapeTrait {
            name: measure.name,
            label: measure.label,
            mean: measure.of(&mean),
            deviation: *deviation,
            functional: functionals.row(index).iter().map(|value| *value as f32).collect(),
            direction: direction(&functionals, index),
        });
        Self { traits: traits.collect(), variations: variations(head, &functionals), coefficients }
    }

    /// The traits.
    pub fn traits(&self) -> &[ShapeTrait] {
        &self.traits
    }

    /// The names of the traits.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.traits.iter().map(|shape_trait| shape_trait.name)
    }

    /// The number of a trait.
    pub fn index(&self, name: &str) -> Option<usize> {
        self.names().position(|known| known == name)
    }

    /// Number of variations beyond the traits, the strongest first; none of them changes a trait.
    pub fn variations(&self) -> usize {
        self.variations.len()
    }

    /// Number of shape coefficients.
    pub fn coefficients(&self) -> usize {
        self.coefficients
    }

    /// How far trait `index` can be moved from its value in a shape, in standard deviations: to three from the average,
    /// or not further from it where the shape lies beyond.
    ///
    /// # Panics
    /// When there is no such trait, or a shape of another length is given.
    pub fn range(&self, shape: &[f32], index: usize) -> RangeInclusive<f32> {
        room(self.traits[index].value(shape))
    }

    /// How far variation `index` can be moved from its value in a shape; as [`range`](Self::range).
    ///
    /// # Panics
    /// As [`range`](Self::range).
    pub fn variation_range(&self, shape: &[f32], index: usize) -> RangeInclusive<f32> {
        room(dot(&self.variations[index], shape))
    }

    /// A shape with trait `index` moved by so many standard deviations, as far as the face stays plausible.
    ///
    /// # Panics
    /// As [`range`](Self::range).
    pub fn moved(&self, shape: &[f32], index: usize, deviations: f32) -> Vec<f32> {
        self.combined(shape, [(index, deviations)], [])
    }

    /// A shape with several traits and variations moved, each by its number and by so many standard deviations.
    ///
    /// Each is moved within its [`range`](Self::range), and the whole as far as the shape stays within the distance from
    /// the average head (Mahalanobis) at which nearly all heads lie.
    ///
    /// # Panics
    /// As [`range`](Self::range).
    pub fn combined(
        &self,
        shape: &[f32],
        traits: impl IntoIterator<Item = (usize, f32)>,
        variations: impl IntoIterator<Item = (usize, f32)>,
    ) -> Vec<f32> {
        assert_eq!(shape.len(), self.coefficients, "a shape of the same bundle");
        let mut change = vec![0.0; self.coefficients];
        let mut add = |direction: &[f32], range: RangeInclusive<f32>, deviations: f32| {
            let deviations = if deviations.is_nan() { 0.0 } else { deviations };
            let amount = deviations.clamp(*range.start(), *range.end());
            change.iter_mut().zip(direction).for_each(|(sum, value)| *sum += amount * value);
        };
        for (index, deviations) in traits {
            add(&self.traits[index].direction, self.range(shape, index), deviations);
        }
        for (index, deviations) in variations {
            add(&self.variations[index], self.variation_range(shape, index), deviations);
        }
        let part = plausible_part(shape, &change);
        shape.iter().zip(&change).map(|(value, change)| value + part * change).collect()
    }
}

impl Measure {
    /// The measure of landmarks, or of what they are moved by.
    fn of(&self, landmarks: &[Vec3]) -> f32 {
        let mean = |points: &[usize]| {
            let values = points.iter().map(|index| match self.axis {
                Axis::X => landmarks[*index].x,
                Axis::Y => landmarks[*index].y,
                Axis::Z => landmarks[*index].z,
            });
            values.sum::<f32>() / points.len() as f32
        };
        mean(self.to) - mean(self.from)
    }
}

/// The change `d` of whitened coefficients that moves trait `index` by one standard deviation and minimises
/// `|d|² + c Σ (change of another trait)²`: with `M = 1 + c Σ a aᵀ` over the others' functionals, `M⁻¹ a / aᵀ M⁻¹ a`.
fn direction(functionals: &DMatrix<f64>, index: usize) -> Vec<f32> {
    let own: DVector<f64> = functionals.row(index).transpose();
    let others = functionals.clone().remove_row(index);
    let size = own.len();
    let cost = DMatrix::identity(size, size) + OTHER_TRAITS_COST * others.transpose() * others;
    let solved = cost.cholesky().expect("an identity and a square are positive definite").solve(&own);
    let gain = own.dot(&solved);
    solved.iter().map(|value| (value / gain) as f32).collect()
}

/// The directions that move landmarks most among those that change no trait.
fn variations(head: &TemplateHead, functionals: &DMatrix<f64>) -> Vec<Vec<f32>> {
    let size = functionals.ncols();
    // Projects onto what the traits do not tell; singular values of nearly 0 are traits that tell the same.
    let pseudo_inverse = functionals.clone().pseudo_inverse(1e-9).expect("the tolerance is positive");
    let beyond = DMatrix::identity(size, size) - pseudo_inverse * functionals;
    let moves = DMatrix::from_fn(3 * head.landmarks.len(), size, |row, column| {
        f64::from(head.landmark_basis[column][row / 3][row % 3])
    });
    let moves = moves * beyond;
    let eigen = SymmetricEigen::new(moves.transpose() * moves);
    let mut order: Vec<usize> = (0..size).collect();
    order.sort_by(|a, b| eigen.eigenvalues[*b].total_cmp(&eigen.eigenvalues[*a]));
    let count = VARIATIONS.min(size.saturating_sub(functionals.nrows()));
    let unit = |index: usize| {
        let vector = eigen.eigenvectors.column(index);
        // An eigenvector's sign is arbitrary.
        let sign = vector[vector.iamax()].signum();
        vector.iter().map(|value| (sign * value) as f32).collect()
    };
    order.into_iter().take(count).map(unit).collect()
}

/// How far a value can be moved.
fn room(value: f32) -> RangeInclusive<f32> {
    (-MAX_DEVIATIONS - value).min(0.0)..=(MAX_DEVIATIONS - value).max(0.0)
}

/// The largest part of a change, 0 to 1, with which a shape lies no further from the average than nearly all heads do, or
/// than it did before.
fn plausible_part(shape: &[f32], change: &[f32]) -> f32 {
    let [own, mixed, added] = [(shape, shape), (shape, change), (change, change)].map(|(a, b)| f64::from(dot(a, b)));
    // The length of K independent standard normal numbers is about √K ± √½.
    let limit = (shape.len() as f64).sqrt() + 2.0 * 0.5_f64.sqrt();
    let limit = (limit * limit).max(own);
    if own + 2.0 * mixed + added <= limit {
        return 1.0;
    }
    // |shape + t change|² = limit.
    (((mixed * mixed + added * (limit - own)).sqrt() - mixed) / added).clamp(0.0, 1.0) as f32
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "a shape of the same bundle");
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
