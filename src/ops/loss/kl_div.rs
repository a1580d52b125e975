//! The distillation loss T^2 * KL(softmax(z_t / T) || softmax(z_s / T)) from two tensors of logits (N, C), with
//! temperature T (Hinton et al. 1503.02531). Summed over classes; the mean over N, or the legacy mean over N * C.
//!
//! Forward and backward are one kernel each and never store probabilities. The gradient, T * (p_s - p_t) / N * dy, goes
//! to the student only.

use crate::gpu::Kernel;
use crate::ops::common::{expect_f32, expect_inputs, expect_same};
use crate::ops::loss::cross_entropy::{expect_logits, log_sum_exp, softmax};
use crate::ops::rows::RowView;
use crate::ops::spec::{Case, Fill, Input, OpSpec};
use crate::tape::{Array, Backward, Lowering, Meta, Op, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../../shaders/loss/kl_div.wgsl");

/// What the sum over rows and classes is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KlReduction {
    /// N: the mathematical definition, and the papers'.
    #[default]
    BatchMean,
    /// N * C, as `nn.KLDivLoss()`'s default does: only to reproduce numbers that were made with it.
    LegacyMean,
}

/// Loss (1) and row stats (N, 4), from the student's and the teacher's logits.
#[derive(Debug, Clone, Copy)]
struct KlDiv {
    temperature: f32,
    reduction: KlReduction,
}

/// dstudent from both logits, row stats, dy.
#[derive(Debug, Clone, Copy)]
struct KlDivBackward(KlDiv);

impl KlDiv {
    fn divisor(self, dims: &[usize]) -> f64 {
        match self.reduction {
            KlReduction::BatchMean => dims[0] as f64,
            KlReduction::LegacyMean => (dims[0] * dims[1]) as f64,
        }
    }

    fn kernel(self, entry: &'static str, dims: &[usize]) -> Kernel {
        let (t, divisor) = (f64::from(self.temperature), self.divisor(dims));
        Kernel::new("kl_div", entry, SHADER)
            .define("COUNTED", 0)
            .define_f32("INVERSE_TEMPERATURE", (1.0 / t) as f32)
            .define_f32("FACTOR", (t * t / divisor) as f32)
            .define_f32("GRADIENT", (t / divisor) as f32)
    }
}

impl Op for KlDiv {
    fn name(&self) -> &'static str {
        "kl_div"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 2)?;
        expect_f32(self.name(), inputs)?;
        expect_logits(self.name(), &inputs[0])?;
        expect_same(self.name(), &inputs[0].shape, &inputs[1].shape)?;
        // T^2 and 1 / T must be finite f32.
        if !(1e-6..=1e6).contains(&self.temperature) {
            let got = self.temperature.to_string();
            return Err(Error::shape(self.name(), "a temperature from 1e-6 to 1e6", got));
        }
        Ok(vec![Meta::f32([1]), Meta::f32([inputs[0].shape[0], 4])])
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        if !at.needs(0) {
            return Ok(vec![None, None]);
        }
        let (student, teacher) = (&at.inputs[0], &at.inputs[1]);
        let inputs = [student, teacher, &at.outputs[1], at.dy()?];
        Ok(vec![Some(student.tape().record1(KlDivBackward(*self), &inputs)?), None])
    }

    fn keep_f32(&self) -> &[usize] {
        &[1]
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let dims = to.input(0);
        let bindings = [Slot::Input(0), Slot::Input(1), Slot::Output(1)];
        RowView::of(dims).loss(to, &|entry| self.kernel(entry, dims), &bindings, &[Slot::Output(0)]);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let dims = inputs[0].dims();
        let t = f64::from(self.temperature);
        let (mut sum, mut stats) = (0.0, Vec::new());
        for (s, z) in inputs[0].data.chunks(dims[1]).zip(inputs[1].data.chunks(dims[1])) {
            let (s, z) = (cooled(s, t), cooled(z, t));
            let ((top_s, log_s), (top_t, log_t)) = (log_sum_exp(&s), log_sum_exp(&z));
            stats.extend([top_s * t, log_s, top_t * t, log_t]);
            let gap = |(s, z): (&f64, &f64)| (z - top_t - log_t) - (s - top_s - log_s);
            sum += softmax(&z).zip(s.iter().zip(&z)).map(|(p, pair)| p * gap(pair)).sum::<f64>();
        }
        vec![Array::scalar(t * t * sum / self.divisor(dims)), Array::new([dims[0], 4], stats)]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        11 * inputs[0].len() as u64
    }
}

impl Op for KlDivBackward {
    fn name(&self) -> &'static str {
        "kl_div"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        Ok(vec![inputs[0].clone()])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let dims = to.input(0);
        let bindings = [Slot::Input(0), Slot::Input(1), Slot::Input(2), Slot::Input(3), Slot::Output(0)];
        RowView::of(dims).by_elem(to, self.0.kernel("backward_student", dims), &bindings);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let dims = inputs[0].dims();
        let t = f64::from(self.0.temperature);
        let factor = t / self.0.divisor(dims) * inputs[3].data[0];
        let rows = inputs[0].data.chunks(dims[1]).zip(inputs[1].data.chunks(dims[1]));
        let dx = rows.flat_map(|(s, z)| {
            let (s, z) = (cooled(s, t), cooled(z, t));
            softmax(&s).zip(softmax(&z)).map(|(s, t)| (s - t) * factor).collect::<Vec<_>>()
        });
        vec![Array::new(inputs[0].shape.clone(), dx.collect())]
    }

    fn flops(&self, _: &[Meta], outputs: &[Meta]) -> u64 {
        10 * outputs[0].len() as u64
    }
}

fn cooled(z: &[f64], temperature: f64) -> Vec<f64> {
    z.iter().map(|z| z / temperature).collect()
}

impl Tensor {
    /// T^2 * KL(softmax(teacher / T) || softmax(self / T)) for the student's logits `self` (N, C); shape `[1]`. The
    /// teacher gets no gradient.
    pub fn kl_div(
        &self,
        teacher_logits: &Tensor,
        temperature: f32,
        reduction: KlReduction,
    ) -> Result<Tensor> {
        self.tape().record1(KlDiv { temperature, reduction }, &[self, teacher_logits])
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "kl_div", cases };

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    let mut case = |temperature, reduction, shape: [usize; 2], size| {
        let student = Input::filled(shape, Fill::Normal(size));
        let teacher = Input::filled(shape, Fill::Normal(size)).no_grad();
        all.push(Case::new(KlDiv { temperature, reduction }, vec![student, teacher]).saved_from(1));
    };
    for shape in [[1, 10], [64, 10], [65, 47], [257, 100], [3, 1000], [5, 1021], [2, 5003]] {
        case(4.0, KlReduction::BatchMean, shape, 3.0);
        case(1.0, KlReduction::LegacyMean, shape, 20.0);
    }
    all
}
