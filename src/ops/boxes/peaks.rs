//! Anchors that no neighbour of their class outdoes: what is left of a teacher's map where each thing is to teach once, by
//! feature-map suppression (Mehta and Ozturk 1805.06361, section 3.3).
//!
//! y is 1 where no other anchor of the cell and of its eight neighbours, all anchors of the map among them, has the same class
//! and a higher score, else 0. Of equal scores the first in memory has it.

use crate::gpu::Kernel;
use crate::ops::common::{expect_inputs, per_element};
use crate::ops::spec::{Case, Fill, Input, OpSpec};
use crate::tape::{Array, Lowering, Meta, Op, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../../shaders/boxes/peaks.wgsl");

/// Inputs: scores (N, A, H, W), classes i32 (N, A, H, W).
#[derive(Debug, Clone, Copy)]
struct ClassPeaks;

impl Op for ClassPeaks {
    fn name(&self) -> &'static str {
        "class_peaks"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 2)?;
        let shape = &inputs[0].shape;
        if shape.rank() != 4 || inputs != [Meta::f32(shape.clone()), Meta::i32(shape.clone())] {
            let got = format!("{} and {}", inputs[0], inputs[1]);
            return Err(Error::shape(
                self.name(),
                "scores f32 (N, A, H, W) and classes i32 of the same shape",
                got,
            ));
        }
        Ok(vec![inputs[0].clone()])
    }

    fn differentiable(&self) -> bool {
        false
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let x = to.input(0);
        // Sizes of zero can't be divisors.
        let kernel = Kernel::new(self.name(), "forward", SHADER)
            .define("ANCHORS", x[1].max(1))
            .define("ROWS", x[2].max(1))
            .define("COLUMNS", x[3].max(1));
        let len = x.iter().product();
        per_element(to, kernel, &[Slot::Input(0), Slot::Input(1), Slot::Output(0)], len);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let (scores, classes) = (&inputs[0], &inputs[1]);
        let &[_, anchors, h, w] = scores.dims() else { return Vec::new() };
        let mut y = Array::new(scores.shape.clone(), vec![1.0; scores.data.len()]);
        let image = anchors * h * w;
        for (i, mark) in y.data.iter_mut().enumerate() {
            let is_rival = |j: usize| {
                let near = (j / w % h).abs_diff(i / w % h) <= 1 && (j % w).abs_diff(i % w) <= 1;
                let wins = scores.data[j] > scores.data[i] || (scores.data[j] == scores.data[i] && j < i);
                near && wins && classes.data[i] == classes.data[j]
            };
            let first = i / image * image;
            if (first..first + image).any(is_rival) {
                *mark = 0.0;
            }
        }
        vec![y]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        (9 * inputs[0].len() * inputs[0].shape[1]) as u64
    }
}

impl Tensor {
    /// 1 where these scores (N, A, H, W) have the highest of their class among all anchors of the cell and its eight
    /// neighbours, else 0; see [the module](self). `classes` is i32 of the same shape. No gradient flows through it.
    pub fn class_peaks(&self, classes: &Tensor) -> Result<Tensor> {
        self.tape().record1(ClassPeaks, &[self, classes])
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "class_peaks", cases };

fn cases() -> Vec<Case> {
    let case = |shape: [usize; 4], classes: usize, fill: Fill| {
        Case::new(ClassPeaks, vec![Input::filled(shape, fill).no_grad(), Input::below(shape, classes)])
    };
    let ties = || Fill::Values(vec![0.5, 0.25, 0.5, 0.75, 0.5]);
    vec![
        case([1, 1, 1, 1], 1, Fill::Distinct),
        case([2, 3, 5, 7], 1, Fill::Distinct),
        case([2, 3, 5, 7], 3, Fill::Distinct),
        case([1, 2, 13, 11], 2, Fill::Distinct),
        case([3, 5, 1, 9], 2, Fill::Distinct),
        case([1, 1, 23, 1], 1, Fill::Distinct),
        case([2, 3, 8, 8], 2, ties()),
        case([2, 1, 4, 6], 1, ties()),
        case([0, 3, 2, 2], 1, ties()),
        case([16, 3, 13, 13], 5, Fill::Uniform(0.0, 1.0)),
    ]
}
