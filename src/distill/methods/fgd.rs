//! Focal and global distillation (Yang et al. 2111.11837): features of detectors, of which those on objects, and those that the
//! teacher attends to, count more; and how pixels go together.
//!
//! Of a map f (N, C, H, W), with softmaxes at a temperature T: A(f) = H W softmax(mean_c |f| / T) over pixels, and B(f) = C
//! softmax(mean_hw |f| / T) over channels. M_fg is, in cells that a truth touches, 1 by the cells that the smallest of those
//! truths touches; M_bg is 1 by the number of all other cells. By sample:
//!
//! alpha sum M_fg A(t) B(t) (t - s)^2 + beta sum M_bg A(t) B(t) (t - s)^2 + gamma (sum |A(t) - A(s)| + sum |B(t) - B(s)|) +
//! lambda sum (G_t(t) - G_s(s))^2
//!
//! Each G adds to all pixels one vector a sample, learned: the sum of pixels weighted by a softmax over a 1x1 convolution,
//! through linear to C / 2, layer norm, relu, linear to C, which starts at zero (GcBlock, Cao et al. 1904.11492).
//!
//! The student's map goes through a 1x1 convolution where widths differ; a larger map is pooled to the smaller one's size. The
//! authors' code counts a row and a column more on a truth's far sides. Sums over pixels and channels, which is why the weights
//! are small; they are those for RetinaNet. Summed over the pairs of taps.

use crate::Result;
use crate::distill::boxes::truths;
use crate::distill::regressor::{Regressors, Use};
use crate::distill::{
    Family, Knowledge, Loss, Method, MethodContext, MethodSpec, Need, Setting, TapNeed, features, loss,
};
use crate::nn::{Conv, Forward, Init, LayerNorm, Linear, ParamBuilder};
use crate::ops::boxes::BoxMask;
use crate::ops::conv2d::Conv2d;
use crate::tape::Tensor;

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "fgd",
    family: Family::Feature,
    knowledge: Knowledge::Feature,
    about: "a detector's features, on objects and where the teacher attends; pixels' relations",
    formula: "sum over taps of mean over samples of alpha sum M_fg A_t B_t (t - s)^2 + beta sum M_bg A_t B_t (t - s)^2 \
              + gamma (|A_t - A_s| + |B_t - B_s|) + lambda |G_t(t) - G_s(s)|^2; A, B attention of pixels and channels",
    paper: "Yang et al. 2111.11837",
    settings: &[
        Setting::positive("attention", 0.5, "temperature of both attentions"),
        Setting::from_zero("alpha", 1e-3, "weight of cells that a box touches"),
        Setting::from_zero("beta", 5e-4, "weight of all other cells"),
        Setting::from_zero("gamma", 1e-3, "weight of the attentions' difference"),
        Setting::from_zero("lambda", 5e-6, "weight of the relation of pixels"),
    ],
    taps: TapNeed::Stages,
    reads: &[Need::Taps, Need::Truths],
    weight: 1.0,
    ce_weight: 1.0,
    build: |values| {
        let [temperature, foreground, background] = values.numbers(["attention", "alpha", "beta"])?;
        let [attention, relation] = values.numbers(["gamma", "lambda"])?;
        Ok(Box::new(Fgd { temperature, foreground, background, attention, relation }))
    },
};

/// As in PyTorch's layer norm.
const EPS: f32 = 1e-5;

#[derive(Debug, Clone, Copy)]
struct Fgd {
    temperature: f32,
    foreground: f32,
    background: f32,
    attention: f32,
    relation: f32,
}

impl Method for Fgd {
    fn prepare(&self, seen: &MethodContext<'_>, mut at: ParamBuilder<'_>) -> Result<Box<dyn Loss>> {
        features::expect_places("fgd", seen)?;
        truths("fgd", seen)?;
        let mut relation = |(index, (teacher, _)): (usize, (Tensor, Tensor))| {
            let mut at = at.sub(format!("relation{index}"));
            ["teacher", "student"].map(|side| Relation::new(at.sub(side), teacher.dims()[1]))
        };
        let relations: Vec<_> = seen.tapped()?.into_iter().enumerate().map(&mut relation).collect();
        let regressors = Regressors::new("fgd", seen, at, Use::Auto, true)?;
        let fgd = *self;
        loss(move |seen, own| {
            let (boxes, classes) = truths("fgd", seen)?;
            features::sum_over_taps(seen, |index, teacher, student| {
                let (teacher, student) = regressors.align(own, index, teacher, student)?;
                let cells = [teacher.dims()[2], teacher.dims()[3]];
                let focal = fgd.focal(&teacher, &student, &BoxMask::Area.of(boxes, classes, cells)?)?;
                let [of_teacher, of_student] = &relations[index];
                let related = of_teacher.forward(own, &teacher)?.sub(&of_student.forward(own, &student)?)?;
                let related = by_sample(&related.square()?)?.scale(fgd.relation)?;
                focal.add(&related)
            })
        })
    }
}

impl Fgd {
    /// All but the relation of pixels, for objects where `mask` (N, 1, H, W) is above 0.
    fn focal(&self, teacher: &Tensor, student: &Tensor, mask: &Tensor) -> Result<Tensor> {
        let [pixels, channels] = self.attentions(teacher)?;
        let [own_pixels, own_channels] = self.attentions(student)?;
        let attended = student.sub(teacher)?.square()?.mul(&channels)?.sum(&[1], true)?.mul(&pixels)?;
        let background = mask.heaviside()?.scale(-1.0)?.add_scalar(1.0)?;
        // max(n, 1): where there is no other cell all are 0.
        let count = background.sum(&[2, 3], true)?.add_scalar(-1.0)?.relu()?.add_scalar(1.0)?;
        let weights = mask.scale(self.foreground)?.add(&background.div(&count)?.scale(self.background)?)?;
        let apart = |a: &Tensor, b: &Tensor| by_sample(&a.sub(b)?.abs()?);
        let attention = apart(&own_pixels, &pixels)?.add(&apart(&own_channels, &channels)?)?;
        by_sample(&attended.mul(&weights)?)?.add(&attention.scale(self.attention)?)
    }

    /// Attention of pixels (N, 1, H, W) and of channels (N, C, 1, 1).
    fn attentions(&self, f: &Tensor) -> Result<[Tensor; 2]> {
        let &[n, c, h, w] = f.dims() else { return Err(not_a_map(f)) };
        let size = f.abs()?;
        let attention = |x: Tensor, count: usize, shape: [usize; 4]| {
            let share = x.reshape([n, count])?.scale(1.0 / self.temperature)?.softmax(1)?;
            share.scale(count as f32)?.reshape(shape)
        };
        let pixels = attention(size.mean(&[1], false)?, h * w, [n, 1, h, w])?;
        Ok([pixels, attention(size.mean(&[2, 3], false)?, c, [n, c, 1, 1])?])
    }
}

/// The mean over samples of sums, (1).
fn by_sample(x: &Tensor) -> Result<Tensor> {
    let axes: Vec<usize> = (0..x.dims().len()).collect();
    x.sum(&axes, false)?.scale(1.0 / x.dims()[0].max(1) as f32)
}

fn not_a_map(f: &Tensor) -> crate::Error {
    crate::Error::shape("fgd", "a map (N, C, H, W)", f.shape().to_string())
}

/// How the pixels of a map of C channels go together: what every pixel gets added.
struct Relation {
    /// Which pixels count.
    attention: Conv,
    down: Linear,
    norm: LayerNorm,
    up: Linear,
}

impl Relation {
    fn new(mut at: ParamBuilder<'_>, c: usize) -> Self {
        let inner = (c / 2).max(1);
        let (normal, zero) = (Init::KaimingNormal, Init::Constant(0.0));
        Self {
            // A bias would be the same for all pixels: the softmax over them does not see it.
            attention: Conv::with_init(at.sub("attention"), c, 1, 1, Conv2d::default(), normal, None),
            down: Linear::new(at.sub("down"), c, inner, true),
            norm: LayerNorm::new(at.sub("norm"), [inner], EPS),
            up: Linear::with_init(at.sub("up"), inner, c, zero, Some(zero)),
        }
    }

    fn forward(&self, own: &Forward<'_>, f: &Tensor) -> Result<Tensor> {
        let &[n, c, h, w] = f.dims() else { return Err(not_a_map(f)) };
        let weights = self.attention.forward(own, f)?.reshape([n, h * w])?.softmax(1)?;
        let context = f.mul(&weights.reshape([n, 1, h, w])?)?.sum(&[2, 3], false)?;
        let hidden = self.norm.forward(own, &self.down.forward(own, &context)?)?.relu()?;
        f.add(&self.up.forward(own, &hidden)?.reshape([n, c, 1, 1])?)
    }
}
