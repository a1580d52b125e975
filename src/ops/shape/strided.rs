//! What slice and permute share: y[o] = x[base + sum of o_a * stride_a], one dispatch.

use crate::gpu::Kernel;
use crate::ops::common::{elementwise, per_element};
use crate::tape::{Lowering, Meta, Slot};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../../shaders/shape/strided.wgsl");

/// Most dimensions of a tensor whose elements are moved.
pub const MOST_AXES: usize = 6;

/// Which elements of x an output is made of: sizes of the output with the stride in x of each, outermost first.
pub struct View {
    /// (size, stride) of each axis.
    pub axes: Vec<(usize, usize)>,
    /// Element of x that comes first.
    pub base: usize,
}

impl View {
    /// Fewest axes that say the same, innermost first; at least one.
    fn merged(&self) -> Vec<(usize, usize)> {
        let mut merged: Vec<(usize, usize)> = Vec::new();
        for &(size, stride) in self.axes.iter().rev().filter(|(size, _)| *size != 1) {
            match merged.last_mut() {
                Some(inner) if stride == inner.0 * inner.1 => inner.0 *= size,
                _ => merged.push((size, stride)),
            }
        }
        if merged.is_empty() {
            merged.push((1, 1));
        }
        merged
    }
}

/// Dispatches output 0 = the view of input 0.
pub fn copy_view(to: &mut Lowering<'_>, name: &'static str, view: &View) {
    copy_between(to, name, view, [Slot::Input(0), Slot::Output(0)]);
}

/// Dispatches the second slot = the view of the first.
pub fn copy_between(to: &mut Lowering<'_>, name: &'static str, view: &View, [from, target]: [Slot; 2]) {
    let len = view.axes.iter().map(|(size, _)| size).product();
    let (mut axes, mut base) = (view.merged(), view.base);
    if let Some(other) = transposed(&axes, base) {
        let kernel = blocks(Kernel::new(name, "blocks", SHADER), &axes, base, other);
        return per_element(to, kernel, &[from, target], len / 16);
    }
    let rows = axes[0].0 % 4 == 0;
    let vec4 = rows && axes[0].1 == 1 && base % 4 == 0 && axes[1..].iter().all(|(_, stride)| stride % 4 == 0);
    if vec4 {
        axes[0].0 /= 4;
        axes[1..].iter_mut().for_each(|(_, stride)| *stride /= 4);
        base /= 4;
    }
    let kernel = Kernel::new(name, "forward", SHADER)
        .define("BLOCKS", 0)
        .define("VEC4", vec4.into())
        .define("ROWS", rows.into())
        .define("AXES", axes.len())
        .define("BASE", base)
        .define_each("SIZE", axes.iter().map(|(size, _)| *size))
        .define_each("STRIDE", axes.iter().map(|(_, stride)| *stride));
    elementwise(to, kernel, &[from, target], len);
}

/// The axis whose elements are neighbours in x, where it and y's innermost one can be transposed by whole vec4.
fn transposed(axes: &[(usize, usize)], base: usize) -> Option<usize> {
    let other = axes.iter().position(|&(_, stride)| stride == 1).filter(|&axis| axis > 0)?;
    let whole = |n: usize| n.is_multiple_of(4);
    let strides = axes.iter().enumerate().all(|(axis, &(_, stride))| axis == other || whole(stride));
    (whole(base) && whole(axes[0].0) && whole(axes[other].0) && strides).then_some(other)
}

/// The constants of `blocks` for axis 0 and this other one.
fn blocks(kernel: Kernel, axes: &[(usize, usize)], base: usize, other: usize) -> Kernel {
    let of_block = |a: usize| if a == 0 || a == other { 4 } else { 1 };
    // The stride in y of each axis: all that lies further in.
    let targets: Vec<usize> =
        (0..axes.len()).map(|a| axes[..a].iter().map(|(size, _)| size).product()).collect();
    let each = || axes.iter().enumerate();
    kernel
        .define("BLOCKS", 1)
        .define("VEC4", 1)
        .define("ROWS", 1)
        .define("AXES", axes.len())
        .define("BASE", base / 4)
        .define("STEP_X", axes[0].1 / 4)
        .define("STEP_Y", targets[other] / 4)
        .define_each("SIZE", each().map(|(a, (size, _))| size / of_block(a)))
        .define_each("STRIDE", each().map(|(a, (_, stride))| stride * of_block(a) / 4))
        .define_each("TARGET", each().map(|(a, _)| targets[a] * of_block(a) / 4))
}

/// Fails where a tensor has more than [`MOST_AXES`] dimensions.
pub fn expect_rank(op: &str, x: &Meta) -> Result<()> {
    if x.shape.rank() <= MOST_AXES {
        return Ok(());
    }
    Err(Error::shape(op, format!("at most {MOST_AXES} dimensions"), x.to_string()))
}

/// Index by dimension of flat element `i`, for references.
pub fn unravel(mut i: usize, dims: &[usize]) -> Vec<usize> {
    let mut index = vec![0; dims.len()];
    for (at, &size) in index.iter_mut().zip(dims).rev() {
        *at = i % size;
        i /= size;
    }
    index
}
