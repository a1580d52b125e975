//! The tokens of a packed batch that have a label, such as those that a masked language model predicts.
//!
//! `labels` i32 (T), below 0 where there is none. The places of those that have one come first, in order, and as many as fill
//! up to R are -1: [`Tensor::embedding`] then picks their rows, and zeros. Labels beyond R are left out.

use crate::gpu::{Grid, Kernel};
use crate::ops::common::expect_inputs;
use crate::ops::spec::{Case, Fill, Input, OpSpec};
use crate::tape::{Array, DType, Lowering, Meta, Op, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../../shaders/tokens/chosen.wgsl");

/// Invocations of the only workgroup (`@workgroup_size(256)`).
const LANES: usize = 256;

/// Places (R) and their labels (R), from labels (T).
#[derive(Debug, Clone, Copy)]
struct ChosenTokens {
    rows: usize,
}

impl Op for ChosenTokens {
    fn name(&self) -> &'static str {
        "chosen_tokens"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 1)?;
        let labels = &inputs[0];
        let fits = |n: usize| n > 0 && i32::try_from(n).is_ok();
        if labels.dtype != DType::I32 || labels.shape.dims().len() != 1 || !fits(labels.len()) {
            return Err(Error::shape(self.name(), "labels (T) of i32", labels.to_string()));
        }
        if !fits(self.rows) {
            return Err(Error::shape(self.name(), "from 1 to 2^31 - 1 rows", self.rows.to_string()));
        }
        Ok(vec![Meta::i32([self.rows]), Meta::i32([self.rows])])
    }

    fn differentiable(&self) -> bool {
        false
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let tokens = to.input(0)[0];
        let kernel = Kernel::new(self.name(), "forward", SHADER)
            .define("TOKENS", tokens)
            .define("STRETCH", tokens.div_ceil(LANES))
            .define("ROWS", self.rows);
        to.dispatch(kernel, &[Slot::Input(0), Slot::Output(0), Slot::Output(1)], Grid::linear(1));
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let labelled = || inputs[0].data.iter().enumerate().filter(|(_, label)| **label >= 0.0);
        let filled = |found: Vec<f64>| {
            let row = |n: usize| found.get(n).copied().unwrap_or(-1.0);
            Array::new([self.rows], (0..self.rows).map(row).collect())
        };
        let places = labelled().map(|(place, _)| place as f64).collect();
        vec![filled(places), filled(labelled().map(|(_, label)| *label).collect())]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        inputs[0].len() as u64
    }
}

impl Tensor {
    /// Of these labels, i32 (T), the places of those that are not below 0, in order, i32 (R), and the labels themselves, i32 (R);
    /// both -1 where there are fewer than `rows` = R. What is over is left out.
    ///
    /// # Errors
    /// [`Error::Shape`] for labels of another shape or type, and for no rows.
    pub fn chosen_tokens(&self, rows: usize) -> Result<[Tensor; 2]> {
        let made = self.tape().record(ChosenTokens { rows }, &[self])?;
        <[Tensor; 2]>::try_from(made)
            .map_err(|made| Error::misuse("chosen_tokens", "two outputs", made.len().to_string()))
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "chosen_tokens", cases };

fn cases() -> Vec<Case> {
    let case = |tokens: usize, rows: usize, labels: Vec<f64>| {
        let labels = Input { fill: Fill::Values(labels), ..Input::below([tokens], 1) };
        Case::new(ChosenTokens { rows }, vec![labels])
    };
    vec![
        case(1, 1, vec![0.0]),
        case(1, 3, vec![-1.0]),
        case(7, 4, vec![-1.0, 5.0, -1.0, 0.0, -1.0]),
        // None, all, and more than there are rows.
        case(300, 41, vec![-1.0]),
        case(300, 300, vec![2.0]),
        case(257, 47, vec![8.0, -1.0, 30_521.0]),
        // Stretches of which some have none, and labels below -1.
        case(1024, 200, vec![-1.0, -1.0, -1.0, -7.0, -1.0, 4.0, 3.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0]),
        case(70_001, 9_000, vec![-1.0, -1.0, 11.0, -1.0, -1.0, -1.0, -1.0, 2.0]),
    ]
}
