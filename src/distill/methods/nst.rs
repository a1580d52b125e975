//! Neuron selectivity transfer (Huang and Wang 1707.01219): maximum mean discrepancy between the channels of
//! student and teacher, each channel's map a point of unit length, under the polynomial kernel k(a, b) = (a .
//! b)^2:
//!
//! mean k(t, t) + mean k(s, s) - 2 mean k(s, t), each over the batch and all pairs of channels of a sample.
//! Widths may differ; a larger map is pooled to the smaller one's size. Summed over the pairs of taps.

use crate::Result;
use crate::distill::{
    Family, Knowledge, Loss, MethodContext, MethodSpec, Need, TapNeed, features, parameterless,
};
use crate::nn::Forward;
use crate::tape::Tensor;

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "nst",
    family: Family::Feature,
    knowledge: Knowledge::Feature,
    about: "the distribution of channel maps, by maximum mean discrepancy, polynomial kernel",
    formula: "k(a, b) = (a . b)^2 of unit channel maps; \
              sum over taps of mean k(t, t) + mean k(s, s) - 2 mean k(s, t)",
    paper: "Huang and Wang 1707.01219",
    settings: &[],
    taps: TapNeed::Stages,
    reads: &[Need::Taps],
    weight: 50.0,
    ce_weight: 1.0,
    build: |_| parameterless(Nst),
};

#[derive(Debug, Clone)]
struct Nst;

impl Loss for Nst {
    fn record(&self, seen: &MethodContext<'_>, _: &Forward<'_>) -> Result<Tensor> {
        features::expect_places("nst", seen)?;
        features::sum_over_taps(seen, |_, teacher, student| {
            let (teacher, student) = features::same_size(teacher, student)?;
            let (t, s) = (unit_channels(&teacher)?, unit_channels(&student)?);
            let own = kernel(&t, &t)?.add(&kernel(&s, &s)?)?;
            own.sub(&kernel(&s, &t)?.scale(2.0)?)
        })
    }
}

/// (N, C, H * W) of f (N, C, H, W), every channel of unit length.
fn unit_channels(f: &Tensor) -> Result<Tensor> {
    f.reshape([f.dims()[0], f.dims()[1], f.dims()[2..].iter().product()])?.normalize()
}

/// Mean of the kernel over all pairs of channels.
fn kernel(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    features::mean(&a.gemm(b, false, true)?.square()?)
}
