//! What is diffused: the latents of the maps and of the shape, together.

use half::f16;

use crate::{
    bundle::Generator,
    runtime::{RuntimeError, Tensor},
};

/// The lengths of joint latents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatentLayout {
    /// Channels, height and width of the reflectance latents.
    pub reflectance: [usize; 3],
    /// Number of shape coefficients.
    pub shape: usize,
}

impl From<&Generator> for LatentLayout {
    fn from(generator: &Generator) -> Self {
        Self { reflectance: generator.reflectance_latent.shape, shape: generator.shape_latent.coefficients }
    }
}

/// Joint latents, clean or noised, or a denoiser's prediction for them. Clean ones of a trained model have zero mean
/// and unit variance up to the bundle's scale.
#[derive(Clone, Debug, PartialEq)]
pub struct Latents {
    reflectance: Tensor<f32>,
    shape: Tensor<f32>,
}

impl Latents {
    /// Wraps reflectance latents `[C, h, w]` (row-major) and shape coefficients `[K]`.
    ///
    /// # Errors
    /// [`RuntimeError::TensorLength`] when the numbers are not as many as the layout says.
    pub fn new(layout: LatentLayout, reflectance: Vec<f32>, shape: Vec<f32>) -> Result<Self, RuntimeError> {
        Ok(Self {
            reflectance: Tensor::new(layout.reflectance, reflectance)?,
            shape: Tensor::new([layout.shape], shape)?,
        })
    }

    /// Latents that are zero.
    pub fn zeros(layout: LatentLayout) -> Self {
        Self { reflectance: Tensor::zeros(layout.reflectance), shape: Tensor::zeros([layout.shape]) }
    }

    /// The lengths.
    pub fn layout(&self) -> LatentLayout {
        let &[channels, height, width] = self.reflectance.shape() else {
            unreachable!("latents are made with a layout")
        };
        LatentLayout { reflectance: [channels, height, width], shape: self.shape.data().len() }
    }

    /// Reflectance latents `[C, h, w]`, row-major.
    pub fn reflectance(&self) -> &[f32] {
        self.reflectance.data()
    }

    /// Reflectance latents to write to.
    pub fn reflectance_mut(&mut self) -> &mut [f32] {
        self.reflectance.data_mut()
    }

    /// Shape coefficients `[K]`.
    pub fn shape(&self) -> &[f32] {
        self.shape.data()
    }

    /// Shape coefficients to write to.
    pub fn shape_mut(&mut self) -> &mut [f32] {
        self.shape.data_mut()
    }

    /// Whether no number is infinite or NaN.
    pub fn is_finite(&self) -> bool {
        self.reflectance().iter().chain(self.shape()).all(|value| value.is_finite())
    }

    /// The same, rounded to half precision: what is beyond its range becomes infinite.
    pub fn to_half_precision(&self) -> Self {
        let mut rounded = self.clone();
        let round = |value: &mut f32| *value = f16::from_f32(*value).to_f32();
        rounded.reflectance_mut().iter_mut().for_each(round);
        rounded.shape_mut().iter_mut().for_each(round);
        rounded
    }

    /// `a x + b y`, rounded once to single precision.
    ///
    /// # Panics
    /// When the layouts of `x` and `y` differ.
    pub fn combine(a: f64, x: &Self, b: f64, y: &Self) -> Self {
        assert_eq!(x.layout(), y.layout(), "latents of one model are combined");
        let mut sum = x.clone();
        let both = |sum: &mut [f32], y: &[f32]| {
            for (x, &y) in sum.iter_mut().zip(y) {
                *x = (a * f64::from(*x) + b * f64::from(y)) as f32;
            }
        };
        both(sum.reflectance_mut(), y.reflectance());
        both(sum.shape_mut(), y.shape());
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: LatentLayout = LatentLayout { reflectance: [1, 2, 2], shape: 2 };

    #[test]
    fn a_combination_is_taken_number_by_number() {
        let x = Latents::new(LAYOUT, vec![1.0, 2.0, 3.0, 4.0], vec![5.0, 6.0]).unwrap();
        let y = Latents::new(LAYOUT, vec![0.5, 0.0, -1.0, 8.0], vec![-2.0, 1.0]).unwrap();
        let sum = Latents::combine(2.0, &x, -1.0, &y);
        assert_eq!(sum.reflectance(), [1.5, 4.0, 7.0, 0.0]);
        assert_eq!(sum.shape(), [12.0, 11.0]);
        assert_eq!(sum.layout(), LAYOUT);
    }

    #[test]
    fn half_precision_keeps_11_bits_and_is_kept_when_rounded_again() {
        let latents = Latents::new(LAYOUT, vec![1.0, 0.1, -2.0 / 3.0, 1e5], vec![0.0, -0.0]).unwrap();
        let half = latents.to_half_precision();
        // 1638 / 2^14 and 1365 / 2^11, the nearest of 11 bits.
        assert_eq!(half.reflectance(), [1.0, 0.099_975_586, -0.666_503_9, f32::INFINITY]);
        assert_eq!(half.to_half_precision(), half);
        assert!(!half.is_finite());
    }

    #[test]
    fn numbers_that_do_not_fill_the_layout_are_refused() {
        let too_few = Latents::new(LAYOUT, vec![0.0; 4], vec![0.0; 1]);
        assert!(matches!(too_few, Err(RuntimeError::TensorLength { elements: 1, .. })));
    }

    #[test]
    fn one_infinite_number_is_noticed() {
        let mut latents = Latents::zeros(LAYOUT);
        assert!(latents.is_finite());
        latents.shape_mut()[1] = f32::INFINITY;
        assert!(!latents.is_finite());
    }
}
