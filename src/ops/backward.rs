//! Backward from a loss: the tape's sweep with this crate's `add` for gradients that meet.

use crate::Result;
use crate::tape::{GradOps, Gradients, Tensor};

impl Tensor {
    /// Appends the nodes that compute the gradient of this loss, a tensor of one element, by every leaf that requires
    /// one.
    pub fn backward(&self) -> Result<Gradients> {
        self.tape().backward(self, &GradOps { add: Tensor::add })
    }

    /// The same for `scale` times this loss, with `scale` a tensor like it: loss scaling (Micikevicius et al. 1710.03740).
    pub fn backward_scaled(&self, scale: &Tensor) -> Result<Gradients> {
        self.tape().backward_scaled(self, scale, &GradOps { add: Tensor::add })
    }
}
