//! Correlation congruence (Peng et al. 1904.01802) of features (N, C), what the classifier sees; of a map its
//! mean over pixels. Two different losses go by the name.
//!
//! `paper`, the default: correlations of a batch under a Gaussian RBF kernel of unit features, by its Taylor
//! expansion of order P: K_ij = exp(-2 gamma) sum_p (2 gamma)^p / p! (f_i . f_j)^p for p of 0 to P. The loss
//! is |K_s - K_t|_F^2 / N^2, with gamma 0.4 and P 2. Widths may differ. Its weight is the user's to find: the
//! default is the benchmark's.
//!
//! `code`, the short form in a popular benchmark (RepDistiller, weight 0.02): with learned linear embeddings
//! e of student and teacher, 128 wide, and d = |e_s - e_t|, the mean over i of d_i . d_(i+1), neighbours in
//! the batch. Nothing keeps the embeddings from shrinking.
//!
//! Summed over the pairs of taps.

use crate::Result;
use crate::distill::{
    Family, Knowledge, Loss, Method, MethodContext, MethodSpec, Need, Setting, TapNeed, features,
    parameterless, sum_of,
};
use crate::nn::{Forward, Linear, ParamBuilder};
use crate::tape::Tensor;

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "cc",
    family: Family::Feature,
    knowledge: Knowledge::Relation,
    about: "correlations of a batch, Gaussian kernel; paper and benchmark differ, see form",
    formula: "paper: sum over taps of ||K_s - K_t||_F^2 / N^2, \
              K = exp(-2 gamma) sum_p (2 gamma)^p / p! (f_i . f_j)^p; \
              code: mean_i d_i . d_(i+1), d = |e(f_s) - e(f_t)|",
    paper: "Peng et al. 1904.01802",
    settings: &[
        Setting::choice("form", &["paper", "code"], "the paper's kernel, or RepDistiller's short form"),
        Setting::positive("gamma", 0.4, "of the Gaussian, for the paper's form"),
        Setting::count("order", 2, [1, 10], "of the Taylor expansion, for the paper's form"),
        Setting::count("width", 128, [1, 65_536], "of the embeddings, for the code's form"),
    ],
    taps: TapNeed::Embedding,
    reads: &[Need::Taps],
    weight: 0.02,
    ce_weight: 1.0,
    build: |values| match values.choice("form")? {
        "code" => Ok(Box::new(Neighbours { width: values.count("width")? })),
        _ => parameterless(Kernel { gamma: values.number("gamma")?, order: values.count("order")? }),
    },
};

/// The paper's form.
#[derive(Debug, Clone)]
struct Kernel {
    gamma: f32,
    order: usize,
}

impl Kernel {
    /// K (N, N), less its term of order 0, which is the same for all networks.
    fn correlations(&self, f: &Tensor) -> Result<Tensor> {
        let f = features::embedding(f)?.normalize()?;
        let cosines = f.gemm(&f, false, true)?;
        let twice = 2.0 * f64::from(self.gamma);
        let mut factor = (-twice).exp();
        let (mut power, mut terms) = (cosines.clone(), Vec::new());
        for p in 1..=self.order {
            if p > 1 {
                power = power.mul(&cosines)?;
            }
            factor *= twice / p as f64;
            terms.push(power.scale(factor as f32)?);
        }
        sum_of(terms.into_iter().map(Ok))
    }
}

impl Loss for Kernel {
    fn record(&self, seen: &MethodContext<'_>, _: &Forward<'_>) -> Result<Tensor> {
        features::sum_over_taps(seen, |_, teacher, student| {
            features::expect_batch("cc", student)?;
            self.correlations(student)?.mse_loss(&self.correlations(teacher)?)
        })
    }
}

/// The benchmark's form.
#[derive(Debug)]
struct Neighbours {
    width: usize,
}

/// (teacher's, student's) of each pair of taps.
struct Embeddings(Vec<(Linear, Linear)>);

impl Method for Neighbours {
    fn prepare(&self, seen: &MethodContext<'_>, mut at: ParamBuilder<'_>) -> Result<Box<dyn Loss>> {
        let mut embeddings = Vec::new();
        for (index, (teacher, student)) in seen.tapped()?.iter().enumerate() {
            features::expect_batch("cc", student)?;
            let mut linear = |side: &str, f: &Tensor| {
                Linear::new(at.sub(format!("{side}{index}")), f.dims()[1], self.width, true)
            };
            embeddings.push((linear("teacher", teacher), linear("student", student)));
        }
        Ok(Box::new(Embeddings(embeddings)))
    }
}

impl Loss for Embeddings {
    fn record(&self, seen: &MethodContext<'_>, own: &Forward<'_>) -> Result<Tensor> {
        features::sum_over_taps(seen, |index, teacher, student| {
            let (of_t, of_s) = &self.0[index];
            let e_t = of_t.forward(own, &features::embedding(teacher)?)?;
            let e_s = of_s.forward(own, &features::embedding(student)?)?;
            let d = e_s.sub(&e_t)?.abs()?;
            let n = d.dims()[0];
            let products = d.slice(0, 0, n - 1)?.mul(&d.slice(0, 1, n - 1)?)?;
            features::mean(&products.sum(&[1], false)?)
        })
    }
}
