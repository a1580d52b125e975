//! Masked generative distillation (Yang et al. 2205.01529): of the student's map, brought to the teacher's width, random cells
//! are put out, and from the others a small network G generates the teacher's whole map: sum (G(m r(f_s)) - f_t)^2 / N, with N
//! samples.
//!
//! r is a 1x1 convolution where widths differ, G a 3x3 convolution, relu, and another 3x3 convolution, all of them the
//! method's own. A cell's mask is the same for all channels and drawn anew each step, as that of [dropout](crate::ops::dropout)
//! is, but what is kept is not scaled. A larger map is pooled to the smaller one's size. The loss is a sum over pixels and
//! channels, which is why its weight is 2e-5, the authors' for detectors of one stage; larger maps weigh more. Summed over the
//! pairs of taps.

use crate::Result;
use crate::distill::regressor::{Regressors, Use};
use crate::distill::{
    Family, Knowledge, Loss, Method, MethodContext, MethodSpec, Need, Setting, TapNeed, features, loss,
};
use crate::nn::{Conv, Forward, ParamBuilder};
use crate::ops::conv2d::Conv2d;
use crate::tape::Tensor;

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "mgd",
    family: Family::Feature,
    knowledge: Knowledge::Feature,
    about: "the teacher's map generated from the student's, of which random cells are put out",
    formula: "sum over taps of sum (G(m r(f_s)) - f_t)^2 / N; m is 0 in random cells, G = conv3x3(relu(conv3x3))",
    paper: "Yang et al. 2205.01529",
    // Below 1, where nothing would be left to generate from.
    settings: &[Setting::within("share", 0.65, [0.0, 0.99], "share of the cells that are put out")],
    taps: TapNeed::Stages,
    reads: &[Need::Taps],
    weight: 2e-5,
    ce_weight: 1.0,
    build: |values| Ok(Box::new(Mgd { share: values.number("share")? })),
};

#[derive(Debug)]
struct Mgd {
    share: f32,
}

/// G of one pair of taps.
struct Generator([Conv; 2]);

impl Generator {
    fn new(mut at: ParamBuilder<'_>, width: usize) -> Self {
        let conv = |layer: usize| Conv::new(at.sub(layer), width, width, 3, Conv2d::square(1, 1), true);
        Self([0, 1].map(conv))
    }

    fn forward(&self, own: &Forward<'_>, x: &Tensor) -> Result<Tensor> {
        let hidden = self.0[0].forward(own, x)?.relu()?;
        self.0[1].forward(own, &hidden)
    }
}

impl Method for Mgd {
    fn prepare(&self, seen: &MethodContext<'_>, mut at: ParamBuilder<'_>) -> Result<Box<dyn Loss>> {
        features::expect_maps("mgd", seen)?;
        let tapped = seen.tapped()?;
        let widths = tapped.iter().map(|(teacher, _)| teacher.dims()[1]);
        let generators: Vec<Generator> = widths
            .enumerate()
            .map(|(index, width)| Generator::new(at.sub(format!("generator{index}")), width))
            .collect();
        let regressors = Regressors::new("mgd", seen, at, Use::Auto, true)?;
        let share = self.share;
        loss(move |seen, own| {
            features::sum_over_taps(seen, |index, teacher, student| {
                let (teacher, student) = regressors.align(own, index, teacher, student)?;
                let generated = generators[index].forward(own, &masked(&student, share)?)?;
                let square = generated.sub(&teacher)?.square()?;
                square.sum(&[0, 1, 2, 3], false)?.scale(1.0 / teacher.dims()[0].max(1) as f32)
            })
        })
    }
}

/// f (N, C, H, W) with this share of its cells 0, in all channels.
fn masked(f: &Tensor, share: f32) -> Result<Tensor> {
    if share == 0.0 {
        return Ok(f.clone());
    }
    let [n, h, w] = [f.dims()[0], f.dims()[2], f.dims()[3]];
    let all = f.tape().constant([n, 1, h, w], &vec![1.0; n * h * w])?;
    // Dropout scales what it keeps.
    f.mul(&all.dropout(share)?.heaviside()?)
}
