//! Index arithmetic that strided kernels share: which element of one tensor belongs to a flat index of another.
//!
//! A kernel gets the arithmetic as constants, so that every division is by a constant. In WGSL, for the prefix `A`:
//!
//! ```text
//! fn offset_a(i: u32) -> u32 {
//!     var offset = i / A_OUTER_PITCH * A_OUTER_STRIDE;
//! #repeat d A_INNER
//!     offset += i / A_PITCH{d} % A_SIZE{d} * A_STRIDE{d};
//! #end
//!     return offset;
//! }
//! ```

use crate::gpu::Kernel;
use crate::tape::{Array, Shape};
use crate::{Error, Result};

/// Most dimensions of a strided op.
pub const MOST_DIMS: usize = 6;

/// One dimension of an index: `i / pitch % size * stride` is its share of the offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Axis {
    pub pitch: usize,
    pub size: usize,
    pub stride: usize,
}

/// Gives a kernel the arithmetic for indices in 0..len, under names with this prefix. Axes come outermost first.
pub fn define_index(kernel: Kernel, prefix: &str, axes: &[Axis], len: usize) -> Kernel {
    // The outermost dimension needs no remainder, where it is one of those that count.
    let (outer, inner) = match axes.split_first() {
        Some((first, rest)) if first.pitch * first.size == len => ([first.pitch, first.stride], rest),
        _ => ([1, 0], axes),
    };
    let inner = &inner[..inner.len().min(MOST_DIMS)];
    let name = |what: &str| format!("{prefix}_{what}");
    // A size of zero would make the kernel divide by a constant zero, which is no valid WGSL.
    kernel
        .define(name("OUTER_PITCH"), outer[0].max(1))
        .define(name("OUTER_STRIDE"), outer[1])
        .define(name("INNER"), inner.len())
        .define_each(&name("PITCH"), inner.iter().map(|axis| axis.pitch.max(1)))
        .define_each(&name("SIZE"), inner.iter().map(|axis| axis.size.max(1)))
        .define_each(&name("STRIDE"), inner.iter().map(|axis| axis.stride))
}

/// Merges neighbouring dimensions of one kind and drops those of size 1.
pub fn collapse<K: PartialEq>(dims: &[usize], kind: impl Fn(usize) -> K) -> Vec<(usize, K)> {
    let mut out: Vec<(usize, K)> = Vec::new();
    for (d, &size) in dims.iter().enumerate().filter(|&(_, &size)| size != 1) {
        let kind = kind(d);
        match out.last_mut() {
            Some((merged, last)) if *last == kind => *merged *= size,
            _ => out.push((size, kind)),
        }
    }
    out
}

/// Elements between neighbours along each dimension.
pub fn pitches(sizes: impl DoubleEndedIterator<Item = usize>) -> Vec<usize> {
    let mut next = 1;
    let mut out: Vec<usize> = sizes
        .rev()
        .map(|size| {
            let pitch = next;
            next *= size;
            pitch
        })
        .collect();
    out.reverse();
    out
}

/// The shape that two operands broadcast to, by NumPy's rule: aligned at the last dimension, sizes equal or 1.
pub fn broadcast_shapes(op: &str, a: &Shape, b: &Shape) -> Result<Shape> {
    let rank = a.rank().max(b.rank());
    let size = |s: &Shape, d: usize| (d + s.rank()).checked_sub(rank).map_or(1, |d| s[d]);
    let mut dims = Vec::with_capacity(rank);
    for d in 0..rank {
        match (size(a, d), size(b, d)) {
            (x, y) if x == y => dims.push(x),
            (1, other) | (other, 1) => dims.push(other),
            _ => {
                let expected = "operands whose sizes, from the last dimension on, are equal or 1";
                return Err(Error::shape(op, expected, format!("{a} and {b}")));
            }
        }
    }
    if a != b && rank > MOST_DIMS {
        let expected = format!("at most {MOST_DIMS} dimensions where shapes differ");
        return Err(Error::shape(op, expected, format!("{a} and {b}")));
    }
    Ok(Shape::new(dims))
}

/// Dimensions of `to` along which a tensor of shape `from` repeats. `from` must broadcast to `to`.
pub fn broadcast_axes(from: &Shape, to: &Shape) -> Vec<usize> {
    let lead = to.rank().saturating_sub(from.rank());
    (0..to.rank()).filter(|&d| d < lead || (from[d - lead] == 1 && to[d] != 1)).collect()
}

/// For each element of a tensor of sizes `dims`, its index in the tensor that lacks the dimensions `dropped`.
/// For references.
pub fn project(dims: &[usize], dropped: &[usize]) -> Vec<usize> {
    let kept = |d: usize| if dropped.contains(&d) { 1 } else { dims[d] };
    let (pitch, from) = (pitches((0..dims.len()).map(kept)), pitches(dims.iter().copied()));
    (0..dims.iter().product())
        .map(|i| {
            let share = |d: usize| if dropped.contains(&d) { 0 } else { i / from[d] % dims[d] * pitch[d] };
            (0..dims.len()).map(share).sum()
        })
        .collect()
}

/// `x` repeated to `shape`. For references.
pub fn broadcast(x: &Array, shape: &Shape) -> Array {
    let at = project(shape.dims(), &broadcast_axes(&x.shape, shape));
    Array::new(shape.clone(), at.into_iter().map(|i| x.data[i]).collect())
}
