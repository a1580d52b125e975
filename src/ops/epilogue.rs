//! What a kernel does to its results before it stores them: y = f(result + residual).

use super::function::Function;
use crate::gpu::Kernel;
use crate::tape::Array;

/// Either part may be missing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Epilogue {
    /// Whether a tensor of the output's shape is added.
    pub residual: bool,
    /// A function of the sum.
    pub activation: Option<Function>,
}

impl Epilogue {
    /// Whether a kernel does well to do `function` for each of its unrolled results: those with an exponential would be
    /// long to compile for what they save.
    pub fn takes(function: Function) -> bool {
        use Function::{Hardswish, LeakyRelu, Relu, Relu6};
        matches!(function, Relu | LeakyRelu(_) | Relu6 | Hardswish)
    }

    /// Sets RESIDUAL and ACTIVATED, and which function `activate` is.
    pub fn define(self, kernel: Kernel) -> Kernel {
        let kernel = kernel
            .define("RESIDUAL", self.residual.into())
            .define("ACTIVATED", self.activation.is_some().into());
        self.activation.map_or(kernel.clone(), |function| function.define(kernel))
    }

    /// The same in f64.
    pub fn reference(self, mut result: Array, residual: Option<&Array>) -> Array {
        if let Some(residual) = residual {
            result.data.iter_mut().zip(&residual.data).for_each(|(y, r)| *y += r);
        }
        match self.activation {
            Some(function) => result.map(|x| function.value(x)),
            None => result,
        }
    }
}
