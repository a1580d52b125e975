//! Flow of solution procedure (Yim et al. CVPR 2017): how one layer's channels go with the next one's. G_ij =
//! 1 / (HW) * sum over pixels of f1_i * f2_j, for neighbouring taps f1 (N, C1, H, W) and f2 (N, C2, H, W); L
//! = the distance of the teacher's G and the student's, summed over the neighbours.
//!
//! Paper: `reduction=sum`, 1 / N * sum (G_t - G_s)^2, and the larger of two neighbours max-pooled to the
//! other's size (`pool=max`). Popular code takes the mean over all elements (weight 50) and average pooling;
//! those are the defaults. The paper trains an initial stage with it alone, which is a schedule here:
//! `fsp,until=0.2+ce:1,from=0.2`. Widths of teacher and student must be equal: there is no learned part.

use crate::distill::{
    Family, Knowledge, Loss, MethodContext, MethodSpec, Need, Setting, TapNeed, parameterless, sum_of,
};
use crate::nn::Forward;
use crate::ops::pool::Pool;
use crate::tape::Tensor;
use crate::{Error, Result};

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "fsp",
    family: Family::Feature,
    knowledge: Knowledge::Relation,
    about: "how neighbouring layers' channels go together; for an initial stage and equal widths",
    formula: "sum over neighbouring taps of mean (G_s - G_t)^2, G = 1 / (HW) * f_1 f_2^T",
    paper: "Yim et al. CVPR 2017",
    settings: &[
        Setting::choice("reduction", &["mean", "sum"], "mean over all elements, or the paper's sum a sample"),
        Setting::choice(
            "pool",
            &["average", "max"],
            "how the larger of two neighbours is pooled; the paper: max",
        ),
    ],
    taps: TapNeed::Stages,
    reads: &[Need::Taps],
    weight: 50.0,
    ce_weight: 1.0,
    build: |values| {
        parameterless(Fsp { sum: values.choice("reduction")? == "sum", max: values.choice("pool")? == "max" })
    },
};

#[derive(Debug, Clone)]
struct Fsp {
    sum: bool,
    max: bool,
}

impl Loss for Fsp {
    fn record(&self, seen: &MethodContext<'_>, _: &Forward<'_>) -> Result<Tensor> {
        let tapped = seen.tapped()?;
        for ((teacher, student), (hint, guided)) in tapped.iter().zip(seen.taps) {
            let maps = teacher.dims().len() == 4 && student.dims().len() == 4;
            if !maps || teacher.dims()[1] != student.dims()[1] {
                let got = format!("{hint} {:?} and {guided} {:?}", teacher.dims(), student.dims());
                return Err(Error::shape("fsp", "maps (N, C, H, W) of equal widths in every tap pair", got));
            }
        }
        if tapped.len() < 2 {
            return Err(Error::config("taps", "fsp needs at least two pairs, from input to output"));
        }
        sum_of(tapped.windows(2).map(|pairs| {
            let difference =
                self.matrix(&pairs[0].1, &pairs[1].1)?.sub(&self.matrix(&pairs[0].0, &pairs[1].0)?)?;
            let squares = difference.square()?;
            match self.sum {
                true => squares.sum(&[0, 1, 2], false)?.scale(1.0 / squares.dims()[0] as f32),
                false => squares.mean(&[0, 1, 2], false),
            }
        }))
    }
}

impl Fsp {
    /// G (N, C1, C2) of two neighbours.
    fn matrix(&self, first: &Tensor, second: &Tensor) -> Result<Tensor> {
        let size = [2, 3].map(|axis| first.dims()[axis].min(second.dims()[axis]));
        let flat = |t: &Tensor| {
            let t = self.pooled(t, size)?;
            t.reshape([t.dims()[0], t.dims()[1], size[0] * size[1]])
        };
        flat(first)?.gemm(&flat(second)?, false, true)?.scale(1.0 / (size[0] * size[1]) as f32)
    }

    fn pooled(&self, map: &Tensor, size: [usize; 2]) -> Result<Tensor> {
        let have = [map.dims()[2], map.dims()[3]];
        if have == size {
            return Ok(map.clone());
        }
        if !self.max {
            return map.adaptive_avg_pool2d(size);
        }
        if !have[0].is_multiple_of(size[0]) || !have[1].is_multiple_of(size[1]) {
            let expected = format!("a map of a multiple of {size:?} to max-pool; use pool=average");
            return Err(Error::shape("fsp", expected, format!("{have:?}")));
        }
        let kernel = [have[0] / size[0], have[1] / size[1]];
        map.max_pool2d(&Pool::new(kernel, kernel, [0, 0]))
    }
}
