//! Multi-level logit distillation (Jin et al., CVPR 2023): for each temperature of a pool, with p = softmax(z
//! / T), soft targets by sample, the samples' relations p p^T (N, N) and the classes' p^T p (C, C): T^2 *
//! KL(p_t || p_s) + |p_s p_s^T - p_t p_t^T|^2 / N + |p_s^T p_s - p_t^T p_t|^2 / C.
//!
//! The authors' code has two masks, which the paper does not mention: samples whose largest teacher
//! probability is at most the batch's median, and classes whose summed probability is. They multiply a loss
//! that is already a mean, so that all they do is to halve it, about: that is `mask=code`. `mask=rows` does
//! what they were written for, and leaves the other samples and classes out; `mask=none` is the paper's
//! formula.
//!
//! The code also trains on a second, strongly augmented view of each image. Here there is one view.

use super::kd;
use crate::distill::logits::LOGITS;
use crate::distill::{Family, Method, MethodSpec, Pair, Setting, TapNeed, features, sum_of};
use crate::nn::Forward;
use crate::tape::Tensor;
use crate::{Error, Result};

/// The list entry. Pool, masks and weights are those of the authors' code.
pub const SPEC: MethodSpec = MethodSpec {
    name: "mlkd",
    family: Family::Activation,
    about: "soft targets at several temperatures, with the relations of samples and of classes",
    formula: "sum over T of a T^2 * KL(p_t || p_s) + a ||p_s p_s' - p_t p_t'||^2 / N \
              + b ||p_s' p_s - p_t' p_t||^2 / C; a and b the shares of samples and of classes that the teacher is no surer of than the median",
    paper: "Jin et al., CVPR 2023, whose formula has no a and b. Their code adds a strongly augmented view, \
            which is not here",
    settings: &[
        Setting::count("lowest", 2, [1, 100], "lowest temperature of the pool"),
        Setting::count(
            "highest",
            6,
            [1, 100],
            "highest temperature; the pool has every whole number between",
        ),
        Setting::choice(
            "mask",
            &["code", "rows", "none"],
            "what the teacher is surer of than the median: code scales the losses by the share of the others; \
             rows leaves it out; none heeds it",
        ),
        LOGITS,
    ],
    taps: TapNeed::None,
    weight: 0.9,
    ce_weight: 0.1,
    build: |values| {
        Box::new(Mlkd {
            lowest: values.count("lowest"),
            highest: values.count("highest"),
            mask: match values.choice("mask") {
                "rows" => Mask::Rows,
                "none" => Mask::None,
                _ => Mask::Code,
            },
        })
    },
};

struct Mlkd {
    lowest: usize,
    highest: usize,
    mask: Mask,
}

#[derive(Clone, Copy, PartialEq)]
enum Mask {
    Code,
    Rows,
    None,
}

/// 1 for what counts, (N) and (C).
struct Masks {
    samples: Tensor,
    classes: Tensor,
}

impl Method for Mlkd {
    fn loss(&self, pair: &Pair<'_>, _: &Forward<'_>) -> Result<Tensor> {
        if self.highest < self.lowest {
            let message =
                format!("expected at least lowest, {}, for mlkd, got {}", self.lowest, self.highest);
            return Err(Error::config("highest", message));
        }
        let masks = Masks::of(pair.teacher_logits)?;
        let pool = (self.lowest..=self.highest).map(|temperature| temperature as f32);
        sum_of(pool.map(|temperature| match self.mask {
            Mask::Rows => masked_levels(pair, temperature, &masks),
            Mask::Code => {
                let [instances, samples, classes] = levels(pair, temperature)?;
                let scaled = instances.add(&samples)?.mul(&features::mean(&masks.samples)?)?;
                scaled.add(&classes.mul(&features::mean(&masks.classes)?)?)
            }
            Mask::None => sum_of(levels(pair, temperature)?.into_iter().map(Ok)),
        }))
    }
}

impl Masks {
    /// By the teacher's probabilities at temperature 1.
    fn of(teacher: &Tensor) -> Result<Self> {
        let p = teacher.softmax(1)?;
        Ok(Self {
            samples: at_most_median(&p.max(&[1], false)?)?,
            classes: at_most_median(&p.sum(&[0], false)?)?,
        })
    }
}

/// 1 where an element of x (n) is at most the median, which of an even number is between the two in the
/// middle: there at most (n - 1) / 2 elements, rounded down, are less than it.
fn at_most_median(x: &Tensor) -> Result<Tensor> {
    let n = x.dims()[0];
    let less = x.reshape([n, 1])?.sub(&x.reshape([1, n])?)?.positive()?.sum(&[1], false)?;
    less.scale(-1.0)?.add_scalar(((n - 1) / 2) as f32 + 0.5)?.positive()
}

/// Student's and teacher's softened distributions.
fn softened(pair: &Pair<'_>, temperature: f32) -> Result<[Tensor; 2]> {
    let probabilities = |z: &Tensor| z.scale(1.0 / temperature)?.softmax(1);
    Ok([probabilities(pair.student_logits)?, probabilities(pair.teacher_logits)?])
}

/// The three levels at one temperature.
fn levels(pair: &Pair<'_>, temperature: f32) -> Result<[Tensor; 3]> {
    let [student, teacher] = softened(pair, temperature)?;
    let relation = |samples: bool| {
        let [student, teacher] = [gram(&student, samples)?, gram(&teacher, samples)?];
        student.mse_loss(&teacher)?.scale(student.dims()[0] as f32)
    };
    Ok([kd::soft_targets(pair, temperature)?, relation(true)?, relation(false)?])
}

/// p p^T (N, N) of samples, or p^T p (C, C).
fn gram(p: &Tensor, samples: bool) -> Result<Tensor> {
    p.gemm(p, !samples, samples)
}

/// The sum of the three levels over the rows that count.
fn masked_levels(pair: &Pair<'_>, temperature: f32, masks: &Masks) -> Result<Tensor> {
    let [student, teacher] = softened(pair, temperature)?;
    let log = |z: &Tensor| z.scale(1.0 / temperature)?.log_softmax(1);
    let gap = log(pair.teacher_logits)?.sub(&log(pair.student_logits)?)?;
    let divergence = teacher.mul(&gap)?.sum(&[1], false)?.scale(temperature * temperature)?;
    let rows =
        |samples: bool| gram(&student, samples)?.sub(&gram(&teacher, samples)?)?.square()?.sum(&[1], false);
    let instances = features::mean(&divergence.add(&rows(true)?)?.mul(&masks.samples)?)?;
    instances.add(&features::mean(&rows(false)?.mul(&masks.classes)?)?)
}
