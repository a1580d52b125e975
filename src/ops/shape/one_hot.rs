//! One-hot rows of labels: `y[i, c] = 1` where `labels[i] = c`, else 0; i32 (N) to f32 (N, C). A label outside 0..C, as
//! of a sample which only fills a batch, gives a row of zeros, so that the row's sum says whether it counts.

use crate::gpu::Kernel;
use crate::ops::common::{expect_inputs, per_element};
use crate::ops::spec::{Case, Fill, Input, OpSpec};
use crate::tape::{Array, DType, Lowering, Meta, Op, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../../shaders/shape/one_hot.wgsl");

/// Rows of this many classes from labels.
#[derive(Debug, Clone, Copy)]
struct OneHot {
    classes: usize,
}

impl Op for OneHot {
    fn name(&self) -> &'static str {
        "one_hot"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 1)?;
        if inputs[0].dtype != DType::I32 || inputs[0].shape.rank() != 1 {
            return Err(Error::shape(self.name(), "labels i32 (N)", inputs[0].to_string()));
        }
        if self.classes == 0 {
            return Err(Error::shape(self.name(), "at least one class", "none"));
        }
        Ok(vec![Meta::f32([inputs[0].shape[0], self.classes])])
    }

    fn differentiable(&self) -> bool {
        false
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let kernel = Kernel::new(self.name(), "forward", SHADER).define("CLASSES", self.classes);
        let len = to.output(0).iter().product();
        per_element(to, kernel, &[Slot::Input(0), Slot::Output(0)], len);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let labels = &inputs[0].data;
        let rows = labels.iter().flat_map(|l| (0..self.classes).map(move |c| f64::from(*l == c as f64)));
        vec![Array::new([labels.len(), self.classes], rows.collect())]
    }
}

impl Tensor {
    /// One-hot rows (N, `classes`) of i32 labels (N); a row of zeros for a label that is no class.
    pub fn one_hot(&self, classes: usize) -> Result<Tensor> {
        self.tape().record1(OneHot { classes }, &[self])
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "one_hot", cases };

fn cases() -> Vec<Case> {
    let case = |n: usize, classes: usize, labels: Input| {
        assert_eq!(labels.meta.len(), n);
        Case::new(OneHot { classes }, vec![labels])
    };
    let mut all: Vec<Case> = [(1, 1), (64, 10), (41, 47), (257, 100), (3, 1021), (17_000, 1000)]
        .map(|(n, classes)| case(n, classes, Input::below([n], classes)))
        .to_vec();
    // Labels that are no class.
    let outside = Input { fill: Fill::Values(vec![-1.0, 0.0, 6.0, 7.0, -100.0]), ..Input::below([5], 1) };
    all.push(case(5, 7, outside));
    all
}
