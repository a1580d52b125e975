//! Relational knowledge distillation (Park et al. 1904.05068) of features (N, C), what the classifier sees;
//! of a map its mean over pixels: smooth L1 with beta 1 (Huber) between the teacher's and the student's
//!
//! - distances of all pairs, d_ij = |f_i - f_j| / mean of |f_i - f_j| over i != j; weight 25;
//! - angles of all triplets, a_ijk = e_ij . e_ik with e_ij = (f_j - f_i) / |f_j - f_i|; weight 50.
//!
//! Means are over all N^2 and N^3, those of a sample with itself included, as in the authors' code. Widths
//! may differ. Equal samples have distance 0 and no direction, and get no gradient from their pair. Summed
//! over the pairs of taps.

use crate::distill::{
    Family, Knowledge, Loss, MethodContext, MethodSpec, Need, Setting, TapNeed, features, parameterless,
    sum_of,
};
use crate::nn::Forward;
use crate::tape::Tensor;
use crate::{Error, Result};

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "rkd",
    family: Family::Feature,
    knowledge: Knowledge::Relation,
    about: "distances of pairs and angles of triplets of a batch",
    formula: "distance * huber(d_s, d_t) + angle * huber(a_s, a_t); d = |f_i - f_j| / mean, a = e_ij . e_ik",
    paper: "Park et al. 1904.05068",
    settings: &[
        Setting::from_zero("distance", 25.0, "weight of the distances"),
        Setting::from_zero("angle", 50.0, "weight of the angles"),
    ],
    taps: TapNeed::Embedding,
    reads: &[Need::Taps],
    weight: 1.0,
    ce_weight: 1.0,
    build: |values| {
        let [distance, angle] = values.numbers(["distance", "angle"])?;
        if distance == 0.0 && angle == 0.0 {
            return Err(Error::config("rkd", "distance and angle are both 0; give one of them a weight"));
        }
        parameterless(Rkd { distance, angle })
    },
};

#[derive(Debug, Clone)]
struct Rkd {
    distance: f32,
    angle: f32,
}

impl Loss for Rkd {
    fn record(&self, seen: &MethodContext<'_>, _: &Forward<'_>) -> Result<Tensor> {
        features::sum_over_taps(seen, |_, teacher, student| {
            features::expect_batch("rkd", student)?;
            let (teacher, student) = (features::embedding(teacher)?, features::embedding(student)?);
            let mut terms = Vec::new();
            if self.distance > 0.0 {
                let term = distances(&student)?.smooth_l1_loss(&distances(&teacher)?, 1.0)?;
                terms.push(term.scale(self.distance)?);
            }
            if self.angle > 0.0 {
                let term = angles(&student)?.smooth_l1_loss(&angles(&teacher)?, 1.0)?;
                terms.push(term.scale(self.angle)?);
            }
            sum_of(terms.into_iter().map(Ok))
        })
    }
}

/// Distances (N, N) in units of their mean.
fn distances(f: &Tensor) -> Result<Tensor> {
    let distances = f.pairwise_distance()?;
    let n = f.dims()[0] as f32;
    // The diagonal is 0: the mean over the other pairs is that of all, times N / (N - 1). The offset is lost
    // in any mean that is not 0, and keeps a batch of equal samples from dividing by it.
    let mean = features::mean(&distances)?.scale(n / (n - 1.0))?.add_scalar(1e-12)?;
    distances.div(&mean)
}

/// Angles (N, N, N): of i the cosines between the directions to all j and all k.
fn angles(f: &Tensor) -> Result<Tensor> {
    let (n, c) = (f.dims()[0], f.dims()[1]);
    let directions = f.reshape([1, n, c])?.sub(&f.reshape([n, 1, c])?)?.normalize()?;
    directions.gemm(&directions, false, true)
}
