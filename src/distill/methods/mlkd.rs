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

use crate::distill::logits::LOGITS;
use crate::distill::{
    Family, Knowledge, LogitRows, Loss, MethodContext, MethodSpec, Need, Setting, TapNeed, features,
    parameterless, sum_of,
};
use crate::nn::Forward;
use crate::ops::kl_div::KlReduction;
use crate::tape::Tensor;
use crate::{Error, Result};

/// The list entry. Pool, masks and weights are those of the authors' code.
pub const SPEC: MethodSpec = MethodSpec {
    name: "mlkd",
    family: Family::Activation,
    knowledge: Knowledge::Relation,
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
            "samples and classes of which the teacher is surer than the median: rows leaves them out; code, as the \
             authors' program, scales all losses by the share of the others; none has no mask",
        ),
        LOGITS,
    ],
    taps: TapNeed::None,
    reads: &[Need::Logits],
    weight: 0.9,
    ce_weight: 0.1,
    build: |values| {
        let (lowest, highest) = (values.count("lowest")?, values.count("highest")?);
        if highest < lowest {
            let message = format!("expected at least lowest, {lowest}, for mlkd, got {highest}");
            return Err(Error::config("highest", message));
        }
        parameterless(Mlkd {
            lowest,
            highest,
            mask: match values.choice("mask")? {
                "rows" => Mask::Rows,
                "none" => Mask::None,
                _ => Mask::Code,
            },
        })
    },
};

#[derive(Debug, Clone)]
struct Mlkd {
    lowest: usize,
    highest: usize,
    mask: Mask,
}

#[derive(Debug, Clone, Copy, PartialEq)]
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

impl Loss for Mlkd {
    fn record(&self, seen: &MethodContext<'_>, _: &Forward<'_>) -> Result<Tensor> {
        let rows = seen.rows()?;
        let masks = Masks::of(rows)?;
        let pool = (self.lowest..=self.highest).map(|temperature| temperature as f32);
        sum_of(pool.map(|temperature| match self.mask {
            Mask::Rows => masked_levels(rows, temperature, &masks),
            Mask::Code => {
                let [instances, samples, classes] = levels(rows, temperature)?;
                let scaled = instances.add(&samples)?.mul(&rows.mean(&masks.samples)?)?;
                scaled.add(&classes.mul(&features::mean(&masks.classes)?)?)
            }
            Mask::None => sum_of(levels(rows, temperature)?.into_iter().map(Ok)),
        }))
    }
}

impl Masks {
    /// By the teacher's probabilities at temperature 1.
    fn of(rows: &LogitRows) -> Result<Self> {
        let p = rows.teacher.softmax(1)?;
        let by_class = by_weight(rows, &p)?.sum(&[0], false)?;
        Ok(Self {
            samples: at_most_median(&p.max(&[1], false)?, rows.weights.as_ref())?,
            classes: at_most_median(&by_class, None)?,
        })
    }
}

/// 1 where an element of x (n) is at most the median, which of an even number is between the two in the middle: there at
/// most (n - 1) / 2 elements are less than it, or that share of the weights.
fn at_most_median(x: &Tensor, weights: Option<&Tensor>) -> Result<Tensor> {
    let n = x.dims()[0];
    let less = x.reshape([n, 1])?.sub(&x.reshape([1, n])?)?.heaviside()?;
    let Some(weights) = weights else {
        return less.sum(&[1], false)?.scale(-1.0)?.add_scalar(((n - 1) / 2) as f32 + 0.5)?.heaviside();
    };
    let less = less.mul(&weights.reshape([1, n])?)?.sum(&[1], false)?;
    // Numbers of whole rows are a half apart at least: a quarter more decides none of them otherwise.
    weights.sum(&[0], false)?.add_scalar(-1.0)?.scale(0.5)?.sub(&less)?.add_scalar(0.25)?.heaviside()
}

/// A value a row and column (R, C), times the row's weight where it has one.
fn by_weight(rows: &LogitRows, x: &Tensor) -> Result<Tensor> {
    match &rows.weights {
        None => Ok(x.clone()),
        Some(weights) => x.mul(&weights.reshape([weights.dims()[0], 1])?),
    }
}

/// Student's and teacher's softened distributions.
fn softened(rows: &LogitRows, temperature: f32) -> Result<[Tensor; 2]> {
    let probabilities = |z: &Tensor| z.scale(1.0 / temperature)?.softmax(1);
    Ok([probabilities(&rows.student)?, probabilities(&rows.teacher)?])
}

/// The three levels at one temperature.
fn levels(rows: &LogitRows, temperature: f32) -> Result<[Tensor; 3]> {
    let [student, teacher] = softened(rows, temperature)?;
    let (samples, classes) = if rows.weights.is_some() {
        let squares = |samples| relations(rows, &student, &teacher, samples);
        (rows.mean(&squares(true)?)?, features::mean(&squares(false)?)?)
    } else {
        let relation = |samples: bool| {
            let [student, teacher] = [gram(&student, samples)?, gram(&teacher, samples)?];
            student.mse_loss(&teacher)?.scale(student.dims()[0] as f32)
        };
        (relation(true)?, relation(false)?)
    };
    Ok([rows.kl_div(temperature, KlReduction::BatchMean)?, samples, classes])
}

/// p p^T (R, R) of samples, or p^T p (C, C).
fn gram(p: &Tensor, samples: bool) -> Result<Tensor> {
    p.gemm(p, !samples, samples)
}

/// By row of the samples' or classes' relations the sum of squared differences, in which a row of logits counts by its
/// weight.
fn relations(rows: &LogitRows, student: &Tensor, teacher: &Tensor, samples: bool) -> Result<Tensor> {
    let relation =
        |p: &Tensor| if samples { gram(p, true) } else { p.gemm(&by_weight(rows, p)?, true, false) };
    let squares = relation(student)?.sub(&relation(teacher)?)?.square()?;
    match &rows.weights {
        Some(weights) if samples => squares.mul(&weights.reshape([1, weights.dims()[0]])?)?.sum(&[1], false),
        _ => squares.sum(&[1], false),
    }
}

/// The sum of the three levels over the rows that count.
fn masked_levels(rows: &LogitRows, temperature: f32, masks: &Masks) -> Result<Tensor> {
    let [student, teacher] = softened(rows, temperature)?;
    let log = |z: &Tensor| z.scale(1.0 / temperature)?.log_softmax(1);
    let gap = log(&rows.teacher)?.sub(&log(&rows.student)?)?;
    let divergence = teacher.mul(&gap)?.sum(&[1], false)?.scale(temperature * temperature)?;
    let relations = |samples| relations(rows, &student, &teacher, samples);
    let instances = rows.mean(&divergence.add(&relations(true)?)?.mul(&masks.samples)?)?;
    instances.add(&features::mean(&relations(false)?.mul(&masks.classes)?)?)
}
