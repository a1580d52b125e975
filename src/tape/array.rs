//! Tensors of the CPU references: f64, whatever the element type on the GPU.

use super::shape::Shape;

/// A dense row-major f64 tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Sizes.
    pub shape: Shape,
    /// Elements, row-major.
    pub data: Vec<f64>,
}

impl Array {
    /// From sizes and elements.
    pub fn new(shape: impl Into<Shape>, data: Vec<f64>) -> Self {
        let shape = shape.into();
        debug_assert_eq!(shape.len(), data.len());
        Self { shape, data }
    }

    /// All zero.
    pub fn zeros(shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        let data = vec![0.0; shape.len()];
        Self { shape, data }
    }

    /// One number, shape `[1]`.
    pub fn scalar(value: f64) -> Self {
        Self::new([1], vec![value])
    }

    /// Elementwise.
    pub fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Self { shape: self.shape.clone(), data: self.data.iter().map(|&x| f(x)).collect() }
    }

    /// Sizes.
    pub fn dims(&self) -> &[usize] {
        self.shape.dims()
    }
}
