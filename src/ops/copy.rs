//! y = x in storage of its own: for a leaf or an alias whose values must be in a caller's buffer, and for a value that
//! an in-place op is about to overwrite. Any shape and element type.

use super::common::{elementwise_flat, expect_inputs};
use super::spec::{Case, Input, OpSpec};
use crate::Result;
use crate::gpu::Kernel;
use crate::tape::{Array, Backward, Lowering, Meta, Op, Slot, Step, Tensor};

/// y = x.
#[derive(Debug, Clone, Copy)]
pub struct Copy;

impl Op for Copy {
    fn name(&self) -> &'static str {
        "copy"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 1)?;
        Ok(vec![inputs[0].clone()])
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(at.dy()?.clone())])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let len = to.output(0).iter().product();
        let kernel = Kernel::new(self.name(), "forward", include_str!("../../shaders/copy.wgsl"));
        elementwise_flat(to, kernel, &[Slot::Input(0), Slot::Output(0)], len);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        vec![inputs[0].clone()]
    }
}

impl Tensor {
    /// The same values in new storage.
    pub fn copy(&self) -> Result<Tensor> {
        self.tape().record1(Copy, &[self])
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "copy", cases };

fn cases() -> Vec<Case> {
    let mut all: Vec<Case> = [vec![1], vec![3, 47], vec![1024], vec![1025], vec![5, 0]]
        .into_iter()
        .map(|shape| Case::new(Copy, vec![Input::normal(shape)]))
        .collect();
    all.push(Case::new(Copy, vec![Input::below([7, 11], 1000)]));
    all
}
