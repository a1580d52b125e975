//! Adds a step's loss and right predictions to totals in a caller's buffers, so that a training loop reads them back
//! once an epoch and not once a step.
//!
//! A row is right where its label has the largest logit, the first one of equals (as PyTorch's argmax), and right among
//! five where fewer than five classes are ahead of it. A row with a NaN is wrong.

use super::common::expect_inputs;
use super::labels::IGNORE_LABEL;
use super::rows::RowView;
use super::spec::{Case, Fill, Input, OpSpec};
use crate::gpu::Kernel;
use crate::ops::loss::cross_entropy::expect_logits;
use crate::tape::{Array, DType, Lowering, Meta, Op, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../shaders/metrics.wgsl");

/// Inputs: logits (N, C), labels i32 (N), loss (1), and, overwritten, the sum of losses (1) and the [`COUNTS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metrics {
    /// Rows with this label do not count.
    pub ignore_label: i32,
}

/// What the counts hold, in order: exact up to 2^31.
pub const COUNTS: [&str; 4] = ["steps", "counted", "top-1 right", "top-5 right"];

impl Op for Metrics {
    fn name(&self) -> &'static str {
        "metrics"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 5)?;
        expect_logits(self.name(), &inputs[0])?;
        let rows = inputs[0].shape[0];
        let expected = [
            ("labels", Meta::i32([rows])),
            ("a loss", Meta::f32([1])),
            ("a sum of losses", Meta::f32([1])),
            ("counts", Meta::i32([COUNTS.len()])),
        ];
        for ((what, expected), got) in expected.into_iter().zip(&inputs[1..]) {
            if *got != expected {
                return Err(Error::shape(self.name(), format!("{what} {expected}"), got.to_string()));
            }
        }
        Ok(Vec::new())
    }

    fn differentiable(&self) -> bool {
        false
    }

    fn in_place(&self) -> &[usize] {
        &[3, 4]
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let kernel = Kernel::new(self.name(), "forward", SHADER).define_i32("IGNORE", self.ignore_label);
        RowView::of(to.input(0)).by_row(to, kernel, &[0, 1, 2, 3, 4].map(Slot::Input));
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let classes = inputs[0].dims()[1];
        let (mut sum, mut counts) = (inputs[3].clone(), inputs[4].clone());
        sum.data[0] += inputs[2].data[0];
        counts.data[0] += 1.0;
        for (row, &label) in inputs[0].data.chunks(classes).zip(&inputs[1].data) {
            if label == f64::from(self.ignore_label) {
                continue;
            }
            counts.data[1] += 1.0;
            if row.iter().any(|z| z.is_nan()) {
                continue;
            }
            // A stable sort: equal logits stay in order of class.
            let mut order: Vec<usize> = (0..classes).collect();
            order.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
            let place = order.iter().position(|&c| c as f64 == label);
            counts.data[2] += f64::from(place == Some(0));
            counts.data[3] += f64::from(place.is_some_and(|p| p < 5));
        }
        vec![sum, counts]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        3 * inputs[0].len() as u64
    }
}

impl Tensor {
    /// Adds a step's loss (1) to `loss_sum` (1), and what is right of these logits (N, C) to `counts`, i32 (4) as
    /// [`COUNTS`] says; both must live in a caller's buffer. `labels` is i32 (N); [`IGNORE_LABEL`] does not count.
    pub fn accumulate_metrics(
        &self,
        labels: &Tensor,
        loss: &Tensor,
        loss_sum: &Tensor,
        counts: &Tensor,
    ) -> Result<()> {
        let inputs = [self, labels, loss, loss_sum, counts];
        self.tape().record(Metrics { ignore_label: IGNORE_LABEL }, &inputs).map(drop)
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "metrics", cases };

fn cases() -> Vec<Case> {
    // Beyond 2^24, where f32 no longer holds every integer; the tolerance tells neighbours apart.
    let case = |logits: Input, labels: Fill| {
        let n = logits.meta.shape[0];
        let counts = vec![16_777_217.0, 16_777_219.0, 16_777_221.0, 16_777_223.0];
        let inputs = vec![
            logits.no_grad(),
            Input { meta: Meta { shape: [n].into(), dtype: DType::I32 }, fill: labels, grad: false },
            Input::filled([1], Fill::Values(vec![0.25])).no_grad(),
            Input::filled([1], Fill::Values(vec![1024.5])).no_grad(),
            Input { meta: Meta::i32([4]), fill: Fill::Values(counts), grad: false },
        ];
        Case::new(Metrics { ignore_label: IGNORE_LABEL }, inputs).tolerance(1e-9)
    };
    let mut all = Vec::new();
    for [n, c] in [[1, 1], [1, 4], [64, 10], [65, 47], [130, 8], [257, 100], [3, 1000], [5, 1021], [2, 5003]]
    {
        all.push(case(Input::normal([n, c]), Fill::Below(c)));
        // Few distinct logits: ties everywhere, and most labels among the best.
        let tied = Fill::Values(vec![1.0, 3.0, 2.0, 3.0, -1.0, 3.0, 0.0]);
        all.push(case(Input::filled([n, c], tied), Fill::Below(c.min(7))));
        // Ignored labels, and labels that are no class.
        let labels = Fill::Values(vec![0.0, -1.0, c as f64, -7.0, -1.0]);
        all.push(case(Input::filled([n, c], Fill::Values(vec![1.0])), labels));
    }
    // The label is the largest logit of every row, but every third row holds a NaN; 700 is more than one lane reads.
    for c in [10, 12, 700] {
        let mut rows = vec![0.0; 3 * c];
        (0..3).for_each(|r| rows[r * c + 2] = 5.0);
        rows[c - 1] = f64::NAN;
        all.push(case(Input::filled([66, c], Fill::Values(rows.clone())), Fill::Values(vec![2.0])));
        rows[c - 1] = 0.0;
        rows[2] = f64::NAN;
        rows[c + 2] = f64::INFINITY;
        rows[2 * c] = f64::NEG_INFINITY;
        all.push(case(Input::filled([66, c], Fill::Values(rows)), Fill::Values(vec![2.0])));
    }
    // Over 65,535 workgroups: where each has a row of its own, and where 64 rows share one.
    all.push(case(Input::filled([65_541, 33], Fill::Distinct), Fill::Below(5)));
    all.push(case(Input::normal([64 * 65_536 + 1, 1]), Fill::Values(vec![0.0, -1.0, 0.0, 1.0])));
    all
}
