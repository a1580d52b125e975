//! An input as the op finds it that is tuned: in a plan, only what a node made can be stored as f16.

use super::array::Array;
use super::lowering::{Lowering, Slot};
use super::op::Op;
use super::shape::Meta;
use super::step::Step;
use super::tensor::Tensor;
use crate::Result;
use crate::gpu::{Grid, Kernel};

/// y = x, for y to be stored otherwise.
#[derive(Debug, Clone, Copy)]
struct StoredInput;

/// Invocations of shaders/copy.wgsl.
const WORKGROUP: usize = 256;

impl Op for StoredInput {
    fn name(&self) -> &'static str {
        "copy"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        Ok(inputs.to_vec())
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let vec4s = to.output(0).iter().product::<usize>().div_ceil(4);
        let kernel = Kernel::new(self.name(), "forward", include_str!("../../shaders/copy.wgsl"));
        let grid = Grid::linear(vec4s.div_ceil(WORKGROUP));
        to.dispatch(kernel.define("VEC4S", vec4s), &[Slot::Input(0), Slot::Output(0)], grid);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        inputs.to_vec()
    }
}

/// `input`, stored as f16 where `half`.
pub(super) fn stored(input: &Tensor, half: bool) -> Result<Tensor> {
    if !half {
        return Ok(input.clone());
    }
    let copy = input.tape().record1(StoredInput, &[input])?;
    copy.store_half();
    Ok(copy)
}
