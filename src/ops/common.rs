//! Small things that several ops share.

use std::ops::Range;

use crate::gpu::{Caps, Grid, Kernel};
use crate::ops::update::BLOCK;
use crate::tape::{Lowering, Meta, Shape, Slot, Whole};
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

/// [`elementwise`] for kernels that for vec4 i read and write nothing but vec4 i of operands of `len` elements, entry i / 16
/// of operands with one for [`BLOCK`], and others from their start. Where a binding does not hold an operand, in
/// several dispatches over ranges.
pub fn elementwise_flat(to: &mut Lowering<'_>, kernel: Kernel, bindings: &[Slot], len: usize) {
    for range in flat_ranges(to.caps(), len) {
        let bindings: Vec<Slot> = bindings.iter().map(|&slot| part_of(to, slot, len, &range)).collect();
        elementwise(to, kernel.clone(), &bindings, range.len());
    }
}

/// Elements 0..len in ranges that one binding holds: most often one.
pub fn flat_ranges(caps: &Caps, len: usize) -> Vec<Range<usize>> {
    // Where a range starts, also an operand with one entry for a block may be bound, and be stored as f16.
    let align = BLOCK * (caps.storage_alignment as usize / 2).max(1);
    let most = (caps.max_binding_bytes / 4) as usize / align * align;
    let starts = (0..len.max(1)).step_by(most.max(align));
    starts.map(|start| start..(start + most).min(len)).collect()
}

/// The part of an operand that belongs to a range of `len` elements; the operand itself where it has another size.
pub fn part_of(to: &Lowering<'_>, slot: Slot, len: usize, range: &Range<usize>) -> Slot {
    let (whole, elements): (_, usize) = match slot {
        Slot::Input(i) => (Whole::Input(i), to.input(i).iter().product()),
        Slot::Output(i) => (Whole::Output(i), to.output(i).iter().product()),
        other => return other,
    };
    let each = match elements {
        _ if range.len() == len => return slot,
        n if n == len => 1,
        n if n == len.div_ceil(BLOCK) => BLOCK,
        _ => return slot,
    };
    let start = range.start / each * 4;
    let bytes = (range.end.div_ceil(each) * 4 - start).next_multiple_of(16);
    Slot::Part(whole, [start as u64, bytes as u64])
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
