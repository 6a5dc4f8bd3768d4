//! Steps that are normalised number by number.

/// Decay of the mean gradient and of its mean square.
const DECAY: [f32; 2] = [0.8, 0.95];

/// Adam (Kingma and Ba, arXiv 1412.6980): the step's size does not depend on the gradient's, so that it neither explodes
/// nor stalls.
#[derive(Clone, Debug)]
pub struct Adam {
    mean: Vec<f32>,
    square: Vec<f32>,
    steps: i32,
    shared: f32,
}

impl Adam {
    /// For so many numbers. `shared`, 0 to 1, is the part of the normalisation that all of them share, so that those with
    /// a small gradient move less.
    pub fn new(count: usize, shared: f32) -> Self {
        Self { mean: vec![0.0; count], square: vec![0.0; count], steps: 0, shared }
    }

    /// Moves `values` against their `gradient`, each by about `rate`.
    ///
    /// # Panics
    /// When there are not as many numbers as announced.
    pub fn step(&mut self, values: &mut [f32], gradient: &[f32], rate: f32) {
        assert!(values.len() == self.mean.len() && gradient.len() == self.mean.len(), "numbers of one kind");
        self.steps += 1;
        let [first, second] = DECAY;
        let (correct_mean, correct_square) = (1.0 - first.powi(self.steps), 1.0 - second.powi(self.steps));
        let moments = self.mean.iter_mut().zip(&mut self.square);
        for (&gradient, (mean, square)) in gradient.iter().zip(moments) {
            *mean = first * *mean + (1.0 - first) * gradient;
            *square = second * *square + (1.0 - second) * gradient * gradient;
        }
        let overall = self.square.iter().sum::<f32>() / self.square.len().max(1) as f32;
        for ((value, mean), square) in values.iter_mut().zip(&self.mean).zip(&self.square) {
            let size = ((square + self.shared * (overall - square)) / correct_square).sqrt().max(1e-12);
            *value -= rate * mean / correct_mean / size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_do_not_depend_on_the_gradients_scale() {
        for scale in [1e-6, 1.0, 1e6_f32] {
            let (mut adam, mut values) = (Adam::new(2, 0.5), [1.0, 1.0]);
            adam.step(&mut values, &[2.0 * scale, -2.0 * scale], 0.1);
            assert!((values[0] - 0.9).abs() < 1e-4 && (values[1] - 1.1).abs() < 1e-4, "{values:?}");
        }
        let (mut adam, mut values) = (Adam::new(1, 0.5), [1.0]);
        adam.step(&mut values, &[0.0], 0.1);
        assert_eq!(values, [1.0], "nothing to follow");
    }

    #[test]
    fn an_ill_conditioned_bowl_is_descended() {
        let (mut adam, mut values) = (Adam::new(2, 0.0), [1.0, 1.0]);
        for step in 0..200 {
            let gradient = [values[0], 30.0 * values[1]];
            adam.step(&mut values, &gradient, 0.1 * (1.0 - step as f32 / 200.0));
        }
        assert!(values.iter().all(|value| value.abs() < 0.05), "{values:?}");
    }
}
