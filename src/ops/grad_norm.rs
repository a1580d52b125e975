//! The global L2 norm of gradients: `[norm, flag]`, with flag 1 where the norm is not finite and 0 elsewhere.
//!
//! Squares are summed in f32. A norm above about 1.8e19 overflows: it counts as not finite. Elements below about 1e-19
//! add nothing.

use super::common::expect_f32;
use super::spec::{Case, Fill, Input, OpSpec};
use crate::gpu::{Grid, Kernel};
use crate::tape::{Array, Lowering, Meta, Op, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../shaders/grad_norm.wgsl");

/// Most tensors of one norm.
pub const MOST_TENSORS: usize = 4;

const LENGTHS: [&str; MOST_TENSORS] = ["LEN_0", "LEN_1", "LEN_2", "LEN_3"];

/// Invocations a workgroup of the first pass, and vec4 an invocation should have to do where there are enough.
const WORKGROUP: usize = 64;
const VEC4S_EACH: usize = 8;
/// Enough workgroups to fill any GPU, few enough for one workgroup to add their partial sums.
const MOST_WORKGROUPS: usize = 4096;

/// Inputs: one to four f32 tensors of any shape. Output: `[2]`.
#[derive(Debug, Clone, Copy)]
pub struct GradNorm;

impl Op for GradNorm {
    fn name(&self) -> &'static str {
        "grad_norm"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        if inputs.is_empty() || inputs.len() > MOST_TENSORS {
            let expected = format!("1 to {MOST_TENSORS} tensors");
            return Err(Error::shape(self.name(), expected, inputs.len().to_string()));
        }
        expect_f32(self.name(), inputs)?;
        Ok(vec![Meta::f32([2])])
    }

    fn differentiable(&self) -> bool {
        false
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let chunks = to.input_count();
        let lengths: Vec<usize> = (0..chunks).map(|i| to.input(i).iter().product()).collect();
        let vec4s: usize = lengths.iter().map(|len| len.div_ceil(4)).sum();
        let workgroups = vec4s.div_ceil(WORKGROUP * VEC4S_EACH).clamp(1, MOST_WORKGROUPS);
        let partials = to.scratch(workgroups);
        let kernel = |entry| {
            // Both entry points are in one text, so both need every constant.
            let kernel = Kernel::new("grad_norm", entry, SHADER)
                .define("CHUNKS", chunks)
                .define("WORKGROUPS", workgroups);
            LENGTHS.iter().zip(&lengths).fold(kernel, |kernel, (name, &len)| kernel.define(name, len))
        };
        let inputs = (0..chunks).map(Slot::Input).chain([partials]).collect::<Vec<_>>();
        to.dispatch(kernel("partial"), &inputs, Grid::linear(workgroups));
        to.dispatch(kernel("finish"), &[partials, Slot::Output(0)], Grid::linear(1));
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let norm = inputs.iter().flat_map(|a| &a.data).map(|x| x * x).sum::<f64>().sqrt();
        vec![Array::new([2], vec![norm, f64::from(!norm.is_finite())])]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        2 * inputs.iter().map(|m| m.len() as u64).sum::<u64>()
    }
}

impl Tensor {
    /// `[norm, flag]`: the L2 norm of one to four tensors together, and 1 where it is not finite, else 0.
    pub fn grad_norm(tensors: &[&Tensor]) -> Result<Tensor> {
        let first =
            tensors.first().ok_or_else(|| Error::shape("grad_norm", "at least one tensor", "none"))?;
        first.tape().record1(GradNorm, tensors)
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "grad_norm", cases };

fn cases() -> Vec<Case> {
    let case = |shapes: &[usize]| {
        Case::new(GradNorm, shapes.iter().map(|&n| Input::normal([n]).no_grad()).collect())
    };
    let mut all: Vec<Case> = [1, 2, 3, 4, 5, 41, 255, 2048, 2049, 100_003].map(|n| case(&[n])).into();
    all.extend([
        case(&[64, 7]),
        case(&[1, 300_000, 3]),
        case(&[47, 0, 5, 4096]),
        // More vec4 than the most workgroups take in one round.
        case(&[8_400_001]),
        Case::new(GradNorm, vec![Input::filled([513], Fill::Normal(1e-12)).no_grad()]),
        Case::new(GradNorm, vec![Input::filled([513], Fill::Normal(1e15)).no_grad()]),
        Case::new(GradNorm, vec![Input::filled([64], Fill::Values(vec![0.0])).no_grad()]),
    ]);
    all
}
