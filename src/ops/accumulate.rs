//! Adds a tensor to totals in a caller's buffer, in place: totals += x. What a meter counts over batches.

use super::common::{elementwise_flat, expect_f32, expect_inputs, expect_same};
use super::spec::{Case, Input, OpSpec};
use crate::Result;
use crate::gpu::Kernel;
use crate::tape::{Array, Lowering, Meta, Op, Slot, Step, Tensor};

const SHADER: &str = include_str!("../../shaders/accumulate.wgsl");

/// Inputs `totals` (overwritten) and `x`, of one shape.
#[derive(Debug, Clone, Copy)]
pub struct Accumulate;

impl Op for Accumulate {
    fn name(&self) -> &'static str {
        "accumulate"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 2)?;
        expect_f32(self.name(), inputs)?;
        expect_same(self.name(), &inputs[0].shape, &inputs[1].shape)?;
        Ok(Vec::new())
    }

    fn differentiable(&self) -> bool {
        false
    }

    fn in_place(&self) -> &[usize] {
        &[0]
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let len = to.input(0).iter().product();
        let kernel = Kernel::new(self.name(), "forward", SHADER);
        elementwise_flat(to, kernel, &[Slot::Input(0), Slot::Input(1)], len);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let data = inputs[0].data.iter().zip(&inputs[1].data).map(|(total, x)| total + x).collect();
        vec![Array::new(inputs[0].shape.clone(), data)]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        inputs[0].len() as u64
    }
}

impl Tensor {
    /// totals += x, in place: `self` must live in a caller's buffer.
    pub fn add_in_place(&self, x: &Tensor) -> Result<()> {
        self.tape().record(Accumulate, &[self, x]).map(drop)
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "accumulate", cases };

fn cases() -> Vec<Case> {
    let case = |shape: Vec<usize>| {
        let inputs = [Input::normal(shape.clone()), Input::normal(shape)].map(Input::no_grad);
        Case::new(Accumulate, inputs.into())
    };
    vec![case(vec![1]), case(vec![5]), case(vec![47]), case(vec![3, 7, 5]), case(vec![4096 + 64])]
}
