//! Factor transfer (Kim et al. NeurIPS 2018): a paraphraser P, an autoencoder's inner half, says the
//! teacher's features in fewer channels; a translator T says the student's likewise; the loss is the mean of
//! `|F_t / ||F_t|| - F_s / ||F_s|| |`, one norm a sample, F_t = P(f_t), F_s = T(f_s).
//!
//! P has 3x3 convolutions of C_t to C_t to k to k channels, k = `rate` * C_t, each with leaky relu 0.1, and
//! the mirrored ones lead back. T has the same of C_s to C_s to k to k, with batch norm.
//!
//! `factor=attention` is what a popular benchmark computes instead, and has published numbers for with the
//! weight 200: F is the mean of its squares over channels before it is normalised.
//!
//! There are two stages. Over the first share `first` of the training P and the way back learn alone, from
//! the mean square of the reconstruction (the student meanwhile from whatever else it has:
//! `ft+ce:1,from=0.125` lets it wait). Then P stands still: the factors are those of a copy that follows P
//! through the first stage and afterwards keeps its bits, which neither momentum nor weight decay reach, and
//! the translator and the student learn from the transfer. The benchmark's first stage is 30 epochs before its
//! 240, here 30 of 240; its loss of P is the paper's |x - P(x)|^2 as a mean. The authors' code has 6 epochs
//! before 164, the mean of |P'(P(f_t)) - f_t|, and the weight 500 of the transfer.
//! `reconstruction` is that loss's share of the term: with the weight 200 and 0.005 it counts once.

use crate::distill::{
    Family, Knowledge, Loss, Method, MethodContext, MethodSpec, Need, Setting, TapNeed, TermSchedule,
    features, sum_of,
};
use crate::nn::{BatchNorm, Conv, Forward, Init, ParamBuilder, ParamId};
use crate::ops::conv2d::Conv2d;
use crate::tape::{Scalar, Tensor};
use crate::{Error, Result};

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "ft",
    family: Family::Feature,
    knowledge: Knowledge::Feature,
    about: "factors of the teacher's features, by a paraphraser that learns first, then frozen",
    formula: "first sum over taps of reconstruction * mean (P'(P(f_t)) - f_t)^2, \
              then sum over taps of mean |n(P(f_t)) - n(T(f_s))|",
    paper: "Kim et al. NeurIPS 2018, with its squared reconstruction loss as a mean. The authors' code takes the \
            mean of |P'(P(f_t)) - f_t| there, and 500 for the weight; 200 and a first stage of 30 epochs are from \
            a popular benchmark",
    settings: &[
        Setting::choice(
            "factor",
            &["flat", "attention"],
            "whole factors as in the paper, or their squares' mean",
        ),
        Setting::within("rate", 0.5, [0.01, 4.0], "the factors' channels as a share of the teacher's"),
        Setting::share("first", 0.125, "share of the training in which the paraphraser learns, alone"),
        Setting::from_zero("reconstruction", 0.005, "weight of the paraphraser's own loss within the term"),
    ],
    taps: TapNeed::Last,
    reads: &[Need::Taps],
    weight: 200.0,
    ce_weight: 1.0,
    build: |values| {
        Ok(Box::new(Ft {
            attention: values.choice("factor")? == "attention",
            rate: values.number("rate")?,
            first: f64::from(values.number("first")?),
            reconstruction: values.number("reconstruction")?,
        }))
    },
};

/// Scalars of the step: 1 in the first stage, and 1 in the second.
const PARAPHRASING: &str = "ft.paraphrasing";
const TRANSFERRING: &str = "ft.transferring";

#[derive(Debug, Clone, Copy)]
struct Ft {
    attention: bool,
    rate: f32,
    first: f64,
    reconstruction: f32,
}

struct Transfers {
    ft: Ft,
    pairs: Vec<Translation>,
}

/// What a pair of taps has.
struct Translation {
    paraphraser: Paraphraser,
    back: Chain,
    translator: Chain,
}

/// 3x3 convolutions, each with leaky relu and perhaps batch norm.
struct Chain {
    layers: Vec<(Conv, Option<BatchNorm>)>,
}

/// 3x3 convolutions, each with leaky relu, and copies of their weights and biases.
struct Paraphraser {
    layers: Vec<[(ParamId, ParamId); 2]>,
}

impl Method for Ft {
    fn prepare(&self, seen: &MethodContext<'_>, mut at: ParamBuilder<'_>) -> Result<Box<dyn Loss>> {
        let mut pairs = Vec::new();
        for (index, ((teacher, student), (hint, guided))) in seen.tapped()?.iter().zip(seen.taps).enumerate()
        {
            let (&[_, c_t, _, _], &[_, c_s, _, _]) = (teacher.dims(), student.dims()) else {
                let got = format!("{hint} {:?} and {guided} {:?}", teacher.dims(), student.dims());
                return Err(Error::shape("ft", "maps (N, C, H, W)", got));
            };
            let k = ((c_t as f32 * self.rate) as usize).max(1);
            let mut at = at.sub(format!("pair{index}"));
            pairs.push(Translation {
                paraphraser: Paraphraser::new(&mut at, [c_t, c_t, k, k]),
                back: Chain::new(at.sub("back"), [k, k, c_t, c_t], false),
                translator: Chain::new(at.sub("translator"), [c_s, c_s, k, k], true),
            });
        }
        Ok(Box::new(Transfers { ft: *self, pairs }))
    }

    fn scalars(&self) -> Vec<(&'static str, TermSchedule)> {
        let first = TermSchedule { until: self.first, ..TermSchedule::default() };
        let second = TermSchedule { from: self.first, ..TermSchedule::default() };
        vec![(PARAPHRASING, first), (TRANSFERRING, second)]
    }
}

impl Loss for Transfers {
    fn record(&self, seen: &MethodContext<'_>, own: &Forward<'_>) -> Result<Tensor> {
        let tape = own.tape();
        let (paraphrasing, transferring) = (tape.scalar(PARAPHRASING)?, tape.scalar(TRANSFERRING)?);
        sum_of(seen.tapped()?.iter().zip(&self.pairs).map(|((teacher, student), factors)| {
            let factor = factors.paraphraser.forward(own, teacher, LEARNED)?;
            let reconstruction = factors.back.forward(own, &factor)?.mse_loss(teacher)?;
            factors.paraphraser.follow(own, paraphrasing)?;
            let factor = factors.paraphraser.forward(own, teacher, KEPT)?;
            let translated = factors.translator.forward(own, student)?;
            let (factor, translated) = features::same_size(&factor, &translated)?;
            let transfer = self.ft.normalised(&translated)?.l1_loss(&self.ft.normalised(&factor)?)?;
            let reconstruction = reconstruction.scale(self.ft.reconstruction)?.scale_by(paraphrasing)?;
            transfer.scale_by(transferring)?.add(&reconstruction)
        }))
    }
}

impl Ft {
    /// A factor as a vector of length 1 for each sample.
    fn normalised(&self, factor: &Tensor) -> Result<Tensor> {
        let factor = if self.attention { factor.square()?.mean(&[1], false)? } else { factor.clone() };
        factor.flatten()?.normalize()
    }
}

impl Chain {
    fn new(mut at: ParamBuilder<'_>, widths: [usize; 4], norm: bool) -> Self {
        let mut layer = |i: usize| {
            // A bias before batch norm would be subtracted again.
            let conv = Conv::new(at.sub(i), widths[i], widths[i + 1], 3, Conv2d::square(1, 1), !norm);
            (conv, norm.then(|| BatchNorm::new(at.sub(format!("{i}_bn")), widths[i + 1])))
        };
        Self { layers: (0..3).map(&mut layer).collect() }
    }

    fn forward(&self, own: &Forward<'_>, x: &Tensor) -> Result<Tensor> {
        self.layers.iter().try_fold(x.clone(), |x, (conv, bn)| {
            let y = conv.forward(own, &x)?;
            let y = bn.as_ref().map_or(Ok(y.clone()), |bn| bn.forward(own, &y))?;
            y.leaky_relu(0.1)
        })
    }
}

/// Which of a layer's parameters: those that learn, or their copies.
const LEARNED: usize = 0;
const KEPT: usize = 1;

impl Paraphraser {
    /// Parameters under `paraphraser`, copies under `kept`.
    fn new(at: &mut ParamBuilder<'_>, widths: [usize; 4]) -> Self {
        let mut layer = |i: usize| {
            let (c_in, c_out) = (widths[i], widths[i + 1]);
            let (weight, bias, init) = ([c_out, c_in, 3, 3], [c_out], Init::Uniform { fan_in: c_in * 9 });
            let mut learned = at.sub(format!("paraphraser.{i}"));
            let learned =
                (learned.weight("weight", weight, init, true), learned.weight("bias", bias, init, true));
            let mut kept = at.sub(format!("kept.{i}"));
            // Values of its own, so that without a first stage there are factors, too.
            [learned, (kept.state("weight", weight, init), kept.state("bias", bias, init))]
        };
        Self { layers: (0..3).map(&mut layer).collect() }
    }

    /// The factors (N, k, H, W) of a teacher's maps.
    fn forward(&self, own: &Forward<'_>, x: &Tensor, which: usize) -> Result<Tensor> {
        self.layers.iter().try_fold(x.clone(), |x, layer| {
            let (weight, bias) = layer[which];
            x.conv2d(&own.param(weight)?, Some(&own.param(bias)?), Conv2d::square(1, 1))?.leaky_relu(0.1)
        })
    }

    /// Copies what is learned as it is at the start of the step, where the scalar is 1; where it is 0 nothing
    /// changes.
    fn follow(&self, own: &Forward<'_>, scalar: Scalar) -> Result<()> {
        for [learned, kept] in &self.layers {
            for (learned, kept) in [(learned.0, kept.0), (learned.1, kept.1)] {
                own.param(kept)?.lerp_in_place(&own.param(learned)?, scalar)?;
            }
        }
        Ok(())
    }
}
