//! Tensors that carry their shape, and the description of a network's inputs and outputs.

use std::fmt;

use half::f16;
use serde::{Deserialize, Serialize};

use super::RuntimeError;

/// Element type of a tensor, as ONNX graphs declare it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ElementType {
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 half precision.
    F16,
    /// Signed 64-bit integer.
    I64,
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::I64 => "i64",
        })
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A type that tensors can hold: `f32`, [`half::f16`] or `i64`.
pub trait Element: Copy + Default + Send + Sync + sealed::Sealed + 'static {
    /// The matching ONNX element type.
    const TYPE: ElementType;
    #[doc(hidden)]
    fn wrap(tensor: Tensor<Self>) -> AnyTensor;
    #[doc(hidden)]
    fn unwrap(tensor: AnyTensor) -> Result<Tensor<Self>, AnyTensor>;
}

macro_rules! element {
    ($type:ty, $variant:ident) => {
        impl sealed::Sealed for $type {}
        impl Element for $type {
            const TYPE: ElementType = ElementType::$variant;
            fn wrap(tensor: Tensor<Self>) -> AnyTensor {
                AnyTensor::$variant(tensor)
            }
            fn unwrap(tensor: AnyTensor) -> Result<Tensor<Self>, AnyTensor> {
                match tensor {
                    AnyTensor::$variant(tensor) => Ok(tensor),
                    other => Err(other),
                }
            }
        }
    };
}
element!(f32, F32);
element!(f16, F16);
element!(i64, I64);

/// A dense row-major tensor (the last axis varies fastest) that knows its shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor<T> {
    shape: Vec<usize>,
    data: Vec<T>,
}

impl<T: Element> Tensor<T> {
    /// Wraps `data` in a `shape`.
    ///
    /// # Errors
    /// [`RuntimeError::TensorLength`] when the shape's product is not the number of elements.
    pub fn new(shape: impl Into<Vec<usize>>, data: Vec<T>) -> Result<Self, RuntimeError> {
        let shape = shape.into();
        match element_count(&shape) {
            Some(count) if count == data.len() => Ok(Self { shape, data }),
            _ => Err(RuntimeError::TensorLength { shape, elements: data.len() }),
        }
    }

    /// A tensor filled with zeros.
    ///
    /// # Panics
    /// When the shape's product overflows `usize`.
    pub fn zeros(shape: impl Into<Vec<usize>>) -> Self {
        let shape = shape.into();
        let count = element_count(&shape).expect("a tensor's element count fits usize");
        Self { shape, data: vec![T::default(); count] }
    }

    /// Length of each axis, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements, row-major.
    pub fn data(&self) -> &[T] {
        &self.data
    }

    /// The elements, row-major, to write to.
    pub fn data_mut(&mut self) -> &mut [T] {
        &mut self.data
    }

    /// Gives up the shape and returns the elements.
    pub fn into_data(self) -> Vec<T> {
        self.data
    }
}

impl Tensor<f32> {
    /// Rounds every element to half precision (nearest even).
    pub fn to_f16(&self) -> Tensor<f16> {
        Tensor { shape: self.shape.clone(), data: self.data.iter().copied().map(f16::from_f32).collect() }
    }
}

impl Tensor<f16> {
    /// Widens every element to single precision; exact.
    pub fn to_f32(&self) -> Tensor<f32> {
        Tensor { shape: self.shape.clone(), data: self.data.iter().copied().map(f16::to_f32).collect() }
    }
}

/// A [`Tensor`] whose element type is known at run time only.
#[derive(Clone, Debug, PartialEq)]
pub enum AnyTensor {
    /// Single precision.
    F32(Tensor<f32>),
    /// Half precision.
    F16(Tensor<f16>),
    /// 64-bit integers.
    I64(Tensor<i64>),
}

impl AnyTensor {
    /// Length of each axis, outermost first.
    pub fn shape(&self) -> &[usize] {
        match self {
            Self::F32(tensor) => tensor.shape(),
            Self::F16(tensor) => tensor.shape(),
            Self::I64(tensor) => tensor.shape(),
        }
    }

    /// The element type.
    pub fn element(&self) -> ElementType {
        match self {
            Self::F32(_) => ElementType::F32,
            Self::F16(_) => ElementType::F16,
            Self::I64(_) => ElementType::I64,
        }
    }
}

impl<T: Element> From<Tensor<T>> for AnyTensor {
    fn from(tensor: Tensor<T>) -> Self {
        T::wrap(tensor)
    }
}

/// One input or output of a network: its name, element type and fixed shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorSpec {
    /// Name in the ONNX graph.
    pub name: String,
    /// Element type.
    #[serde(rename = "dtype")]
    pub element: ElementType,
    /// Length of each axis. A symbolic axis of the graph (a batch size, say) is pinned to this length.
    pub shape: Vec<usize>,
    /// What the values mean: layout, colour space, unit, range.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub meaning: String,
}

impl fmt::Display for TensorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.element, self.shape)
    }
}

/// Product of the axes, or `None` when it overflows.
pub(super) fn element_count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |product, &axis| product.checked_mul(axis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_that_does_not_hold_the_data_is_refused() {
        assert!(Tensor::new([2, 3], vec![0.0f32; 6]).is_ok());
        assert!(matches!(Tensor::new([2, 3], vec![0.0f32; 5]), Err(RuntimeError::TensorLength { elements: 5, .. })));
        assert!(Tensor::new([usize::MAX, 2], vec![0.0f32; 2]).is_err());
    }

    #[test]
    fn half_precision_keeps_eleven_bits() {
        let exact = Tensor::new([4], vec![0.5f32, -2.0, 65504.0, 0.000_061_035_156]).unwrap();
        assert_eq!(exact.to_f16().to_f32(), exact);
        // 1 + 2^-11 lies halfway between two halves and rounds to the even one.
        let halfway = Tensor::new([1], vec![1.0 + f32::powi(2.0, -11)]).unwrap();
        assert_eq!(halfway.to_f16().to_f32().data(), [1.0]);
    }
}
