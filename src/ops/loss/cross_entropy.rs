//! Cross entropy from logits (N, C), fused with the log-softmax.
//!
//! Of labels: the mean over rows whose label y is not `ignore_label` of -sum_c t_c log softmax(z)_c, with
//! t = (1 - s) onehot(y) + s / C under label smoothing s (Szegedy et al. 1512.00567). Of target probabilities t (N, C):
//! the mean over all rows of the same sum.
//!
//! Where every label is ignored the loss and its gradient are zero (PyTorch gives NaN). A label that is out of range and
//! not ignored makes the loss, and that row's gradient, NaN.

use crate::gpu::Kernel;
use crate::ops::common::{expect_f32, expect_inputs, expect_same};
use crate::ops::labels::IGNORE_LABEL;
use crate::ops::rows::RowView;
use crate::ops::spec::{Case, Fill, Input, OpSpec};
use crate::tape::{Array, Backward, DType, Lowering, Meta, Op, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../../shaders/loss/cross_entropy.wgsl");

/// Settings of [`Tensor::cross_entropy`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CrossEntropy {
    /// Share of the target spread evenly over all classes, 0 to 1.
    pub label_smoothing: f32,
    /// Rows with this label do not count.
    pub ignore_label: i32,
}

impl Default for CrossEntropy {
    fn default() -> Self {
        Self { label_smoothing: 0.0, ignore_label: IGNORE_LABEL }
    }
}

/// Loss (1), row stats (N, 4) and 1 / counted rows (1), from logits (N, C) and labels (N).
#[derive(Debug, Clone, Copy)]
struct HardCrossEntropy(CrossEntropy);

/// dlogits from logits, labels, row stats, inverse count, dy.
#[derive(Debug, Clone, Copy)]
struct HardBackward(CrossEntropy);

/// Loss (1) and row stats (N, 4), from logits and targets, both (N, C).
#[derive(Debug, Clone, Copy)]
struct SoftCrossEntropy;

/// Gradient of one input of [`SoftCrossEntropy`], from logits, targets, row stats, dy.
#[derive(Debug, Clone, Copy, PartialEq)]
enum SoftBackward {
    Logits,
    Targets,
}

impl CrossEntropy {
    fn kernel(self, entry: &'static str) -> Kernel {
        Kernel::new("cross_entropy", entry, SHADER)
            .define("SOFT", 0)
            .define("COUNTED", 1)
            .define_f32("FACTOR", 1.0)
            .define_f32("SMOOTHING", self.label_smoothing)
            .define_i32("IGNORE", self.ignore_label)
    }

    /// The target of a row with label `label`, or None where the row does not count.
    fn target(self, label: f64, classes: usize) -> Option<Vec<f64>> {
        let smoothing = f64::from(self.label_smoothing);
        let hot = |c: usize| if c as f64 == label { 1.0 - smoothing } else { 0.0 };
        let counts = label != f64::from(self.ignore_label);
        counts.then(|| (0..classes).map(|c| hot(c) + smoothing / classes as f64).collect())
    }
}

impl Op for HardCrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 2)?;
        let (logits, labels) = (&inputs[0], &inputs[1]);
        expect_logits(self.name(), logits)?;
        if labels.dtype != DType::I32 || labels.shape.dims() != [logits.shape[0]] {
            let expected = format!("labels i32 [{}] for logits {}", logits.shape[0], logits.shape);
            return Err(Error::shape(self.name(), expected, labels.to_string()));
        }
        if !(0.0..=1.0).contains(&self.0.label_smoothing) {
            let message = format!("expected 0 to 1, got {}", self.0.label_smoothing);
            return Err(Error::config("label_smoothing", message));
        }
        Ok(vec![Meta::f32([1]), Meta::f32([logits.shape[0], 4]), Meta::f32([1])])
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        let (x, labels) = (&at.inputs[0], &at.inputs[1]);
        let inputs = [x, labels, &at.outputs[1], &at.outputs[2], at.dy()?];
        Ok(vec![Some(x.tape().record1(HardBackward(self.0), &inputs)?), None])
    }

    fn keep_f32(&self) -> &[usize] {
        &[1]
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let bindings = [Slot::Input(0), Slot::Input(1), Slot::Output(1)];
        let results = [Slot::Output(0), Slot::Output(2)];
        RowView::of(to.input(0)).loss(to, &|entry| self.0.kernel(entry), &bindings, &results);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let (logits, labels) = (&inputs[0], &inputs[1]);
        let classes = logits.dims()[1];
        let (mut sum, mut counted, mut stats) = (0.0, 0.0, Vec::new());
        for (z, &label) in logits.data.chunks(classes).zip(&labels.data) {
            let (top, log_sum) = log_sum_exp(z);
            stats.extend([top, log_sum, 0.0, 0.0]);
            if let Some(target) = self.0.target(label, classes) {
                sum += target.iter().zip(z).map(|(t, z)| t * (log_sum - (z - top))).sum::<f64>();
                counted += 1.0;
            }
        }
        let inverse = if counted > 0.0 { 1.0 / counted } else { 0.0 };
        let stats = Array::new([labels.data.len(), 4], stats);
        vec![Array::scalar(sum * inverse), stats, Array::scalar(inverse)]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        5 * inputs[0].len() as u64
    }
}

impl Op for HardBackward {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        Ok(vec![inputs[0].clone()])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let bindings = [0, 1, 2, 3, 4].map(Slot::Input);
        let kernel = self.0.kernel("backward_logits");
        RowView::of(to.input(0)).by_elem(to, kernel, &[&bindings[..], &[Slot::Output(0)]].concat());
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let (logits, labels, inverse, dy) = (&inputs[0], &inputs[1], &inputs[3], &inputs[4]);
        let classes = logits.dims()[1];
        let factor = dy.data[0] * inverse.data[0];
        let mut dx = Vec::with_capacity(logits.data.len());
        for (z, &label) in logits.data.chunks(classes).zip(&labels.data) {
            match self.0.target(label, classes) {
                Some(target) => dx.extend(softmax(z).zip(target).map(|(p, t)| (p - t) * factor)),
                None => dx.extend(vec![0.0; classes]),
            }
        }
        vec![Array::new(logits.shape.clone(), dx)]
    }

    fn flops(&self, _: &[Meta], outputs: &[Meta]) -> u64 {
        5 * outputs[0].len() as u64
    }
}

fn soft_kernel(entry: &'static str) -> Kernel {
    Kernel::new("soft_cross_entropy", entry, SHADER).define("SOFT", 1).define("COUNTED", 0)
}

impl Op for SoftCrossEntropy {
    fn name(&self) -> &'static str {
        "soft_cross_entropy"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 2)?;
        expect_f32(self.name(), inputs)?;
        expect_logits(self.name(), &inputs[0])?;
        expect_same(self.name(), &inputs[0].shape, &inputs[1].shape)?;
        Ok(vec![Meta::f32([1]), Meta::f32([inputs[0].shape[0], 4])])
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        let (x, targets) = (&at.inputs[0], &at.inputs[1]);
        let inputs = [x, targets, &at.outputs[1], at.dy()?];
        let gradient = |i, which| at.needs(i).then(|| x.tape().record1(which, &inputs)).transpose();
        Ok(vec![gradient(0, SoftBackward::Logits)?, gradient(1, SoftBackward::Targets)?])
    }

    fn keep_f32(&self) -> &[usize] {
        &[1]
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let rows = RowView::of(to.input(0));
        let kernel = |entry| soft_kernel(entry).define_f32("FACTOR", 1.0 / rows.rows as f32);
        let bindings = [Slot::Input(0), Slot::Input(1), Slot::Output(1)];
        rows.loss(to, &kernel, &bindings, &[Slot::Output(0)]);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let (rows, classes) = (inputs[0].dims()[0], inputs[0].dims()[1]);
        let (mut sum, mut stats) = (0.0, Vec::new());
        for (z, t) in inputs[0].data.chunks(classes).zip(inputs[1].data.chunks(classes)) {
            let (top, log_sum) = log_sum_exp(z);
            stats.extend([top, log_sum, t.iter().sum(), 0.0]);
            sum += t.iter().zip(z).map(|(t, z)| t * (log_sum - (z - top))).sum::<f64>();
        }
        vec![Array::scalar(sum / rows as f64), Array::new([rows, 4], stats)]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        7 * inputs[0].len() as u64
    }
}

impl Op for SoftBackward {
    fn name(&self) -> &'static str {
        "soft_cross_entropy"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        Ok(vec![inputs[0].clone()])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let [x, targets, stats, dy, dx] =
            [Slot::Input(0), Slot::Input(1), Slot::Input(2), Slot::Input(3), Slot::Output(0)];
        let rows = RowView::of(to.input(0));
        match self {
            Self::Logits => {
                rows.by_elem(to, soft_kernel("backward_logits"), &[x, targets, stats, dy, dx]);
            }
            Self::Targets => rows.by_elem(to, soft_kernel("backward_targets"), &[x, stats, dy, dx]),
        }
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let (rows, classes) = (inputs[0].dims()[0], inputs[0].dims()[1]);
        let factor = inputs[3].data[0] / rows as f64;
        let mut gradient = Vec::with_capacity(rows * classes);
        for (z, t) in inputs[0].data.chunks(classes).zip(inputs[1].data.chunks(classes)) {
            let weight: f64 = t.iter().sum();
            gradient.extend(softmax(z).zip(t).map(|(p, t)| match self {
                Self::Logits => (p * weight - t) * factor,
                Self::Targets => -p.ln() * factor,
            }));
        }
        vec![Array::new(inputs[0].shape.clone(), gradient)]
    }

    fn flops(&self, _: &[Meta], outputs: &[Meta]) -> u64 {
        5 * outputs[0].len() as u64
    }
}

/// max z and log sum exp(z - max).
pub(in crate::ops) fn log_sum_exp(z: &[f64]) -> (f64, f64) {
    let top = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (top, z.iter().map(|z| (z - top).exp()).sum::<f64>().ln())
}

/// softmax(z), element by element.
pub(in crate::ops) fn softmax(z: &[f64]) -> impl Iterator<Item = f64> {
    let (top, log_sum) = log_sum_exp(z);
    z.iter().map(move |z| (z - top - log_sum).exp())
}

/// Fails unless `logits` is f32 (N, C) with at least one row and one class.
pub(in crate::ops) fn expect_logits(op: &str, logits: &Meta) -> Result<()> {
    if logits.dtype == DType::F32 && logits.shape.rank() == 2 && !logits.is_empty() {
        return Ok(());
    }
    Err(Error::shape(op, "logits f32 (N, C), not empty", logits.to_string()))
}

impl Tensor {
    /// Mean cross entropy of logits (N, C) against i32 `labels` (N); shape `[1]`. See [`CrossEntropy`].
    pub fn cross_entropy(&self, labels: &Tensor, settings: &CrossEntropy) -> Result<Tensor> {
        self.tape().record1(HardCrossEntropy(*settings), &[self, labels])
    }

    /// Mean over rows of -sum targets * log softmax(self), for target probabilities (N, C); shape `[1]`.
    pub fn soft_cross_entropy(&self, targets: &Tensor) -> Result<Tensor> {
        self.tape().record1(SoftCrossEntropy, &[self, targets])
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "cross_entropy", cases };

fn cases() -> Vec<Case> {
    let plain = CrossEntropy::default();
    let smooth = CrossEntropy { label_smoothing: 0.1, ..plain };
    let ignoring = |label_smoothing, ignore_label| CrossEntropy { label_smoothing, ignore_label };
    let labels = |n: usize, values: Vec<f64>| Input { fill: Fill::Values(values), ..Input::below([n], 1) };
    let mut all = Vec::new();
    let mut hard = |settings, logits: Input, labels: Input| {
        all.push(Case::new(HardCrossEntropy(settings), vec![logits, labels]).saved_from(1));
    };
    // Rows of one invocation, of a workgroup of 64, both as scalars and as vec4; more rows than one workgroup takes.
    for [n, c] in
        [[1, 1], [1, 10], [64, 10], [65, 47], [257, 100], [100, 700], [3, 1000], [5, 1021], [2, 5003]]
    {
        hard(plain, Input::normal([n, c]), Input::below([n], c));
        hard(smooth, Input::filled([n, c], Fill::Normal(20.0)), Input::below([n], c));
    }
    for c in [41, 1000] {
        hard(ignoring(0.1, 2), Input::normal([70, c]), Input::below([70], 4));
        hard(ignoring(0.0, IGNORE_LABEL), Input::normal([3, c]), labels(3, vec![-1.0, 0.0, 40.0]));
        hard(ignoring(0.1, IGNORE_LABEL), Input::normal([3, c]), labels(3, vec![-1.0]));
    }
    for [n, c] in [[1, 1], [64, 10], [300, 12], [3, 1000], [2, 1021]] {
        let targets = Input::filled([n, c], Fill::Probabilities);
        all.push(Case::new(SoftCrossEntropy, vec![Input::normal([n, c]), targets]).saved_from(1));
        // Targets that do not sum to one.
        let targets = Input::filled([n, c], Fill::Uniform(0.0, 1.0));
        let logits = Input::filled([n, c], Fill::Normal(20.0));
        all.push(Case::new(SoftCrossEntropy, vec![logits, targets]).saved_from(1));
    }
    all
}
