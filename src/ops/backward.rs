//! Backward from a loss: the tape's sweep with this crate's `add` for gradients that meet.

use crate::Result;
use crate::tape::{GradOps, Gradients, Tensor};

impl Tensor {
    /// Appends the nodes that compute the gradient of this loss, a tensor of one element, by every leaf that requires
    /// one.
    pub fn backward(&self) -> Result<Gradients> {
        self.tape().backward(self, &GradOps { add: Tensor::add })
    }
}
