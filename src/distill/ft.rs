//! Factor transfer (Kim et al. NeurIPS 2018): a paraphraser P, an autoencoder's inner half, says the teacher's
//! features in fewer channels; a translator T says the student's likewise; the loss is the mean of
//! `|F_t / ||F_t|| - F_s / ||F_s|| |`, one norm a sample, F_t = P(f_t), F_s = T(f_s).
//!
//! P has 3x3 convolutions of C_t to C_t to k to k channels, k = `rate` * C_t, each with leaky relu 0.1, and the
//! mirrored ones lead back. T has the same of C_s to C_s to k to k, with batch norm.
//!
//! `factor=attention` is what a popular benchmark computes instead, and has published numbers for with the
//! weight 200: F is the mean of its squares over channels before it is normalised.
//!
//! The paper trains P on the teacher's features for some epochs before the student. Here P learns beside the
//! student, by the reconstruction's mean square: nothing of the transfer's gradient reaches P, and nothing of
//! the reconstruction's the student; but the factors move in the first epochs. `ft,warmup=0.1` lets both
//! count less until then. `reconstruction` is that loss's share of the term: with the weight 200 and 0.005 it
//! counts once.

use super::{Family, Method, MethodSpec, Pair, Setting, TapNeed, features, sum_of};
use crate::nn::{BatchNorm, Conv, Forward, ParamBuilder};
use crate::ops::conv2d::Conv2d;
use crate::tape::Tensor;
use crate::{Error, Result};

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "ft",
    family: Family::Feature,
    about: "factors of the teacher's features, by a paraphraser that learns beside the student",
    formula: "sum over taps of mean |n(P(f_t)) - n(T(f_s))| + reconstruction * mean (P'(P(f_t)) - f_t)^2",
    paper: "Kim et al. NeurIPS 2018",
    settings: &[
        Setting::choice(
            "factor",
            &["flat", "attention"],
            "whole factors as in the paper, or their squares' mean",
        ),
        Setting::within("rate", 0.5, [0.01, 4.0], "the factors' channels as a share of the teacher's"),
        Setting::from_zero("reconstruction", 0.005, "weight of the paraphraser's own loss within the term"),
    ],
    taps: TapNeed::Last,
    weight: 200.0,
    ce_weight: 1.0,
    build: |values| {
        Box::new(Ft {
            attention: values.choice("factor") == "attention",
            rate: values.number("rate"),
            reconstruction: values.number("reconstruction"),
            pairs: Vec::new(),
        })
    },
};

struct Ft {
    attention: bool,
    rate: f32,
    reconstruction: f32,
    /// Paraphraser, its way back, translator.
    pairs: Vec<[Chain; 3]>,
}

/// 3x3 convolutions, each with leaky relu and perhaps batch norm.
struct Chain {
    layers: Vec<(Conv, Option<BatchNorm>)>,
}

impl Method for Ft {
    fn prepare(&mut self, pair: &Pair<'_>, mut at: ParamBuilder<'_>) -> Result<()> {
        for (index, ((teacher, student), (hint, guided))) in pair.tapped()?.iter().zip(pair.taps).enumerate()
        {
            let (&[_, c_t, _, _], &[_, c_s, _, _]) = (teacher.dims(), student.dims()) else {
                let got = format!("{hint} {:?} and {guided} {:?}", teacher.dims(), student.dims());
                return Err(Error::shape("ft", "maps (N, C, H, W)", got));
            };
            let k = ((c_t as f32 * self.rate) as usize).max(1);
            let mut at = at.sub(format!("pair{index}"));
            self.pairs.push([
                Chain::new(at.sub("paraphraser"), [c_t, c_t, k, k], false),
                Chain::new(at.sub("back"), [k, k, c_t, c_t], false),
                Chain::new(at.sub("translator"), [c_s, c_s, k, k], true),
            ]);
        }
        Ok(())
    }

    fn loss(&self, pair: &Pair<'_>, own: &Forward<'_>) -> Result<Tensor> {
        sum_of(pair.tapped()?.iter().zip(&self.pairs).map(
            |((teacher, student), [paraphraser, back, translator])| {
                let factor = paraphraser.forward(own, teacher)?;
                let reconstruction = back.forward(own, &factor)?.mse_loss(teacher)?;
                let translated = translator.forward(own, student)?;
                let (factor, translated) = features::same_size(&factor.detach()?, &translated)?;
                let transfer = self.normalised(&translated)?.l1_loss(&self.normalised(&factor)?)?;
                transfer.add(&reconstruction.scale(self.reconstruction)?)
            },
        ))
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
