//! The global L2 norm of gradients: `[norm, flag]`, with flag 1 where the norm is not finite and 0 elsewhere.
//!
//! A flat tensor holds many parameters, and between them what is of no interest and may be anything. So each comes with
//! its extents: for every [`BLOCK`] elements, how many of them, from the first, count.
//!
//! Squares are summed in f32. A norm above about 1.8e19 overflows: it counts as not finite. Elements below about 1e-19
//! add nothing.

use crate::gpu::{Caps, Grid, Kernel};
use crate::ops::common::{flat_ranges, part_of};
use crate::ops::costs::Costs;
use crate::ops::spec::{Case, Fill, Input, OpSpec};
use crate::ops::update::BLOCK;
use crate::tape::{Array, DType, Lowering, Meta, Op, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../../shaders/update/grad_norm.wgsl");

/// Most tensors of one norm, and of one dispatch.
pub const MOST_TENSORS: usize = 3;

/// Invocations a workgroup of the first pass, as in the shader.
const WORKGROUP: usize = 64;

/// Inputs: one to three pairs of an f32 tensor of any shape and its extents (i32). Output: `[2]`.
#[derive(Debug, Clone, Copy)]
pub struct GradNorm;

/// A tensor, or as much of one as a binding holds, with its extents.
struct Chunk {
    tensor: Slot,
    extents: Slot,
    len: usize,
}

fn parts(to: &Lowering<'_>) -> Vec<Chunk> {
    let of = |i: usize| {
        let len = to.input(i).iter().product();
        flat_ranges(to.caps(), len).into_iter().map(move |range| {
            let [tensor, extents] = [i, i + 1].map(|i| part_of(to, Slot::Input(i), len, &range));
            Chunk { tensor, extents, len: range.len() }
        })
    };
    (0..to.input_count()).step_by(2).flat_map(of).collect()
}

fn workgroups(caps: &Caps, parts: &[Chunk]) -> usize {
    let vec4s: usize = parts.iter().map(|part| part.len.div_ceil(4)).sum();
    let costs = &Costs::of(caps).grad_norm;
    vec4s.div_ceil(WORKGROUP * costs.vec4s_each).clamp(1, costs.most_workgroups)
}

impl Op for GradNorm {
    fn name(&self) -> &'static str {
        "grad_norm"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        if inputs.is_empty() || inputs.len() > 2 * MOST_TENSORS || inputs.len() % 2 == 1 {
            let expected = format!("1 to {MOST_TENSORS} tensors, each with its extents");
            return Err(Error::shape(self.name(), expected, format!("{} inputs", inputs.len())));
        }
        for pair in inputs.chunks(2) {
            let extents = Meta::i32([pair[0].len().div_ceil(BLOCK)]);
            if pair[0].dtype != DType::F32 || pair[1] != extents {
                let expected = format!("an f32 tensor and its extents {extents}");
                return Err(Error::shape(self.name(), expected, format!("{} and {}", pair[0], pair[1])));
            }
        }
        Ok(vec![Meta::f32([2])])
    }

    fn differentiable(&self) -> bool {
        false
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let parts = parts(to);
        let batches: Vec<&[Chunk]> = parts.chunks(MOST_TENSORS).collect();
        let workgroups: Vec<usize> = batches.iter().map(|batch| workgroups(to.caps(), batch)).collect();
        let all: usize = workgroups.iter().sum();
        let partials = to.scratch(all);
        let kernel = |entry, batch: &[Chunk], workgroups: usize, from: usize| {
            // Both entry points are in one text, so both need every constant.
            Kernel::new("grad_norm", entry, SHADER)
                .define("CHUNKS", batch.len())
                .define("WORKGROUPS", workgroups)
                .define("FROM", from)
                .define("PARTIALS", all)
                .define("BLOCK", BLOCK)
                .define_each("LEN", batch.iter().map(|part| part.len))
        };
        let mut from = 0;
        for (batch, &workgroups) in batches.iter().zip(&workgroups) {
            let tensors = batch.iter().map(|part| part.tensor);
            let bindings: Vec<Slot> =
                tensors.chain(batch.iter().map(|part| part.extents)).chain([partials]).collect();
            to.dispatch(kernel("partial", batch, workgroups, from), &bindings, Grid::linear(workgroups));
            from += workgroups;
        }
        let last = batches.last().copied().unwrap_or_default();
        to.dispatch(kernel("finish", last, 1, 0), &[partials, Slot::Output(0)], Grid::linear(1));
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let counted = inputs.chunks(2).flat_map(|pair| {
            let counts = |(i, _): &(usize, &f64)| ((i % BLOCK) as f64) < pair[1].data[i / BLOCK];
            pair[0].data.iter().enumerate().filter(counts)
        });
        let norm = counted.map(|(_, x)| x * x).sum::<f64>().sqrt();
        vec![Array::new([2], vec![norm, f64::from(!norm.is_finite())])]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        2 * inputs.iter().map(|m| m.len() as u64).sum::<u64>()
    }
}

impl Tensor {
    /// `[norm, flag]`: the L2 norm of one to three tensors together, each with its extents, i32 (elements /
    /// [`BLOCK`]); and 1 where it is not finite, else 0.
    pub fn grad_norm(tensors: &[(&Tensor, &Tensor)]) -> Result<Tensor> {
        let (first, _) =
            tensors.first().ok_or_else(|| Error::shape("grad_norm", "at least one tensor", "none"))?;
        let inputs: Vec<&Tensor> = tensors.iter().flat_map(|(dw, extents)| [*dw, *extents]).collect();
        first.tape().record1(GradNorm, &inputs)
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "grad_norm", cases };

fn cases() -> Vec<Case> {
    let blocks = |n: usize| n.div_ceil(BLOCK);
    // Extents of 0 to 64 at random.
    let input = |fill, n| [Input::filled([n], fill).no_grad(), Input::below([blocks(n)], BLOCK + 1)];
    let case = |sizes: &[usize]| {
        Case::new(GradNorm, sizes.iter().flat_map(|&n| input(Fill::Normal(1.0), n)).collect())
    };
    let filled = |fill, n| Case::new(GradNorm, input(fill, n).into());
    let mut all: Vec<Case> = [1, 2, 3, 4, 5, 41, 255, 2048, 2049, 100_003].map(|n| case(&[n])).into();
    all.extend([
        case(&[64, 7]),
        case(&[1, 300_000, 3]),
        case(&[47, 0, 4096]),
        // More vec4 than the most workgroups take in one round.
        case(&[8_400_001]),
        filled(Fill::Normal(1e-12), 513),
        filled(Fill::Normal(1e15), 513),
        filled(Fill::Values(vec![0.0]), 64),
    ]);
    all
}
