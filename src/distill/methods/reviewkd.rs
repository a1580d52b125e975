//! Knowledge review (Chen et al. 2104.09044): every level of the teacher reviews all deeper levels of the
//! student. From the deepest tap to the shallowest, the student's map x passes a 1x1 convolution to `width`
//! channels and batch norm; but at the deepest, it is mixed with the residual of the deeper level, enlarged
//! to x's size (nearest): a = sigmoid(conv1x1([x, residual])), x = a_1 x + a_2 residual. x, at the teacher's
//! size, is the residual for the next level, and a 3x3 convolution to the teacher's channels and batch norm
//! makes it what is compared with the teacher's map.
//!
//! The comparison is the hierarchical context loss: MSE of the maps, and of both pooled to 4x4, 2x2 and 1x1
//! where the map is higher, with factors 1, 1/2, 1/4, 1/8, divided by their sum; summed over levels. Taps are
//! pre-activations and, as the deepest level, the pooled features, which count as maps of 1x1. The weight
//! rises over the first 20 of 240 epochs: `reviewkd,warmup=0.083`. The authors' `width` is 64 for small
//! ResNets, and up to 512 for wide networks: by default that of the student's deepest tap, at most 512.

use crate::distill::{
    Family, Knowledge, Loss, Method, MethodContext, MethodSpec, Need, Setting, TapNeed, sum_of,
};
use crate::nn::{BatchNorm, Conv, Forward, Init, ParamBuilder};
use crate::ops::conv2d::Conv2d;
use crate::tape::Tensor;
use crate::{Error, Result};

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "reviewkd",
    family: Family::Feature,
    knowledge: Knowledge::Feature,
    about: "every level of the teacher reviews the student's deeper levels",
    formula: "sum over taps of HCL(fused_s, f_t), HCL = sum_k 2^-k mean (pool_k(f_s) - pool_k(f_t))^2 / sum_k 2^-k",
    paper: "Chen et al. 2104.09044",
    settings: &[Setting::count("width", 0, [0, 4096], "channels of mixed levels; 0: the student's, to 512")],
    taps: TapNeed::Review,
    reads: &[Need::Taps],
    weight: 5.0,
    ce_weight: 1.0,
    build: |values| Ok(Box::new(ReviewKd { width: values.count("width")? })),
};

#[derive(Debug)]
struct ReviewKd {
    width: usize,
}

/// Like the taps, the deepest last.
struct Levels(Vec<Level>);

struct Level {
    narrow: (Conv, BatchNorm),
    /// None at the deepest level, which has no residual.
    mix: Option<Conv>,
    out: (Conv, BatchNorm),
}

impl Method for ReviewKd {
    fn prepare(&self, seen: &MethodContext<'_>, mut at: ParamBuilder<'_>) -> Result<Box<dyn Loss>> {
        let tapped = maps(seen)?;
        let last = tapped.len() - 1;
        let width = if self.width > 0 { self.width } else { tapped[last].1.dims()[1].min(512) };
        let mut level = |(index, (teacher, student)): (usize, &(Tensor, Tensor))| {
            let at = at.sub(format!("level{index}"));
            Level::new(at, student.dims()[1], width, teacher.dims()[1], index < last)
        };
        Ok(Box::new(Levels(tapped.iter().enumerate().map(&mut level).collect())))
    }
}

impl Loss for Levels {
    fn record(&self, seen: &MethodContext<'_>, own: &Forward<'_>) -> Result<Tensor> {
        let mut residual: Option<Tensor> = None;
        sum_of(maps(seen)?.iter().zip(&self.0).rev().map(|((teacher, student), level)| {
            let mixed = level.mixed(own, student, residual.as_ref())?;
            let mixed = resized(&mixed, [teacher.dims()[2], teacher.dims()[3]])?;
            let (conv, bn) = &level.out;
            let fused = bn.forward(own, &conv.forward(own, &mixed)?)?;
            residual = Some(mixed);
            context_loss(&fused, teacher)
        }))
    }
}

impl Level {
    fn new(mut at: ParamBuilder<'_>, c_s: usize, width: usize, c_t: usize, mixes: bool) -> Self {
        let narrow = conv(at.sub("narrow"), c_s, width, 1);
        let narrow = (narrow, BatchNorm::new(at.sub("narrow_bn"), width));
        let mix = mixes.then(|| Conv::new(at.sub("mix"), 2 * width, 2, 1, Conv2d::default(), true));
        let out = conv(at.sub("out"), width, c_t, 3);
        Self { narrow, mix, out: (out, BatchNorm::new(at.sub("out_bn"), c_t)) }
    }

    /// The student's map in `width` channels, mixed with the deeper level's.
    fn mixed(&self, own: &Forward<'_>, student: &Tensor, residual: Option<&Tensor>) -> Result<Tensor> {
        let x = self.narrow.1.forward(own, &self.narrow.0.forward(own, student)?)?;
        let (Some(mix), Some(residual)) = (&self.mix, residual) else { return Ok(x) };
        let residual = resized(residual, [x.dims()[2], x.dims()[3]])?;
        let shares = mix.forward(own, &Tensor::concat(&[&x, &residual], 1)?)?.sigmoid()?;
        x.mul(&shares.slice(1, 0, 1)?)?.add(&residual.mul(&shares.slice(1, 1, 1)?)?)
    }
}

/// Weights of variance 1 / fan_in, that of the authors' uniform ones.
fn conv(at: ParamBuilder<'_>, c_in: usize, c_out: usize, k: usize) -> Conv {
    let init = Init::Normal(1.0 / ((c_in * k * k) as f32).sqrt());
    Conv::with_init(at, c_in, c_out, k, Conv2d::square(1, k / 2), init, None)
}

/// The taps as maps: (N, C) as (N, C, 1, 1).
fn maps(seen: &MethodContext<'_>) -> Result<Vec<(Tensor, Tensor)>> {
    let map = |tensor: &Tensor, name: &str| match *tensor.dims() {
        [n, c] => tensor.reshape([n, c, 1, 1]),
        [_, _, _, _] => Ok(tensor.clone()),
        _ => Err(Error::shape(
            "reviewkd",
            "taps (N, C) or (N, C, H, W)",
            format!("{name} {:?}", tensor.dims()),
        )),
    };
    let tapped = seen.tapped()?;
    let named = tapped.iter().zip(seen.taps);
    named.map(|((t, s), (hint, guided))| Ok((map(t, hint)?, map(s, guided)?))).collect()
}

fn resized(map: &Tensor, size: [usize; 2]) -> Result<Tensor> {
    if map.dims()[2..] == size { Ok(map.clone()) } else { map.upsample_nearest(size) }
}

/// The hierarchical context loss of two maps of one shape.
fn context_loss(student: &Tensor, teacher: &Tensor) -> Result<Tensor> {
    let levels = [4, 2, 1].into_iter().filter(|level| *level < student.dims()[2]);
    let mut sum = student.mse_loss(teacher)?;
    let (mut factor, mut total) = (1.0, 1.0);
    for level in levels {
        factor /= 2.0;
        total += factor;
        let pool = |map: &Tensor| map.adaptive_avg_pool2d([level, level]);
        sum = sum.add(&pool(student)?.mse_loss(&pool(teacher)?)?.scale(factor)?)?;
    }
    sum.scale(1.0 / total)
}
