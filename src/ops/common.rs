//! Small things that several ops share.

use crate::gpu::{Grid, Kernel};
use crate::tape::{Lowering, Meta, Shape, Slot};
use crate::{Error, Result};

/// Invocations a workgroup of every element-wise kernel (`@workgroup_size(256)` in its WGSL).
const ELEMENTWISE_WORKGROUP: usize = 256;

/// Dispatches an element-wise kernel over `len` elements as vec4. The kernel gets `VEC4S`, the number of vec4 to
/// handle; storage is padded to 16 bytes, so there is no tail case.
pub fn elementwise(to: &mut Lowering<'_>, kernel: Kernel, bindings: &[Slot], len: usize) {
    let vec4s = len.div_ceil(4);
    let grid = Grid::linear(vec4s.div_ceil(ELEMENTWISE_WORKGROUP));
    to.dispatch(kernel.define("VEC4S", vec4s), bindings, grid);
}

/// Dispatches a kernel with one invocation an element (`@workgroup_size(256)`, `LEN` elements).
pub fn per_element(to: &mut Lowering<'_>, kernel: Kernel, bindings: &[Slot], len: usize) {
    let grid = Grid::linear(len.div_ceil(ELEMENTWISE_WORKGROUP));
    to.dispatch(kernel.define("LEN", len), bindings, grid);
}

/// Fails where the number of inputs is not `count`.
pub fn expect_inputs(op: &str, inputs: &[Meta], count: usize) -> Result<()> {
    if inputs.len() == count {
        return Ok(());
    }
    Err(Error::shape(op, format!("{count} inputs"), inputs.len().to_string()))
}

/// Fails where an input is not f32.
pub fn expect_f32(op: &str, inputs: &[Meta]) -> Result<()> {
    match inputs.iter().find(|m| m.dtype != crate::tape::DType::F32) {
        None => Ok(()),
        Some(other) => Err(Error::shape(op, "f32 inputs", other.to_string())),
    }
}

/// Fails where the two shapes differ.
pub fn expect_same(op: &str, a: &Shape, b: &Shape) -> Result<()> {
    if a == b {
        return Ok(());
    }
    Err(Error::shape(op, format!("two operands of equal shape (the first is {a})"), b.to_string()))
}
