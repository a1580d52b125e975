//! Cross-head distillation (CrossKD, Wang et al. 2306.11369): what the teacher's head makes of the student's features is
//! compared with what it makes of its own. The labels, which contradict the teacher, then pull at other layers than it does.
//!
//! A head of YOLO ends in one 1x1 convolution. The student's map before its own one goes through a 1x1 convolution where widths
//! differ, each channel is brought to the mean and deviation that the teacher's has over the batch (`align=none` leaves that
//! out), and goes through the teacher's convolution, which does not change. Both sides' rows are the teacher's then: anchors
//! and classes of the student's own heads do not matter, and its strides only in that maps have the same cells.
//!
//! With o, p, b the objectness, class probabilities and decoded boxes of a row, of which ^ marks those of the student's
//! features, a sum over rows, mean over samples, of: |o^ - o|^beta BCE(o^, o); o times the sum over classes of |p^ - p|^beta
//! BCE(p^, p); o max_c p times 1 - GIoU(b^, b). The factors |..|^beta are those of the quality focal loss, through which the
//! gradient flows. The authors' heads have no objectness; where it is low, classes mean nothing.

use crate::distill::boxes::{HeadRows, RowWeights, heads};
use crate::distill::features::Moments;
use crate::distill::regressor::{Regressors, Use};
use crate::distill::{
    Family, Knowledge, Loss, Method, MethodContext, MethodSpec, Need, Setting, TapNeed, TeacherPass,
    features, loss, sum_of,
};
use crate::models::chosen_tap;
use crate::nn::ParamBuilder;
use crate::ops::boxes::{Overlap, YoloHead};
use crate::ops::conv2d::Conv2d;
use crate::ops::unary::Unary;
use crate::tape::Tensor;
use crate::tasks::detect::{binary_cross_entropy, mean_of_samples};
use crate::{Error, Result};

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "crosskd",
    family: Family::Feature,
    knowledge: Knowledge::Response,
    about: "the student's features through the last layer of the teacher's heads, and its own",
    formula: "mean over samples of sum over rows of |o^ - o|^beta BCE(o^, o) + o sum_c |p^ - p|^beta BCE(p^, p) \
              + o max_c p (1 - GIoU(b^, b)); ^ is what the teacher's last convolution makes of the student's map",
    paper: "Wang et al. 2306.11369, for heads with objectness",
    settings: &[
        Setting::count("beta", 1, [0, 2], "power of the difference by which cross-entropies count"),
        Setting::choice(
            "align",
            &["scale", "none"],
            "scale: each channel of the student's map gets the mean and deviation of the teacher's",
        ),
        WEIGHTS[0],
        WEIGHTS[1],
        WEIGHTS[2],
    ],
    taps: TapNeed::Stages,
    reads: &[Need::Boxes, Need::Taps, Need::Weights],
    weight: 1.0,
    ce_weight: 1.0,
    build: |values| {
        let weights = RowWeights::new("crosskd", values)?;
        let (beta, scale) = (values.count("beta")?, values.choice("align")? == "scale");
        Ok(Box::new(CrossKd { focus: Focus { beta, weights }, scale }))
    },
};

const WEIGHTS: [Setting; 3] = RowWeights::settings(1.0);

/// Added to deviations, as the authors do.
const EPS: f32 = 1e-6;

#[derive(Debug)]
struct CrossKd {
    focus: Focus,
    scale: bool,
}

/// How rows are compared.
#[derive(Debug, Clone, Copy)]
struct Focus {
    beta: usize,
    weights: RowWeights,
}

impl Method for CrossKd {
    fn reads_teacher(&self) -> bool {
        true
    }

    fn prepare(&self, seen: &MethodContext<'_>, at: ParamBuilder<'_>) -> Result<Box<dyn Loss>> {
        features::expect_maps("crosskd", seen)?;
        // A bias would go with the mean.
        let regressors = Regressors::new("crosskd", seen, at, Use::Auto, !self.scale)?;
        let (focus, scale) = (self.focus, self.scale);
        loss(move |seen, own| {
            let mut all = Vec::new();
            for (index, ((teacher, student), taps)) in seen.tapped()?.iter().zip(seen.taps).enumerate() {
                let last = LastLayer::of(seen, teacher, taps)?;
                let student = regressors.widen(own, index, student)?;
                let student = if scale { scaled(&student, teacher)? } else { student };
                let ours = HeadRows::of(&last.forward(&student)?, last.head)?;
                let theirs = HeadRows::of(last.map, last.head)?;
                let rows = focus.rows(&ours, &theirs)?.sum(&[1], false)?;
                all.push(mean_of_samples(&rows, seen.leaves));
            }
            sum_of(all.into_iter())
        })
    }
}

/// What a teacher's head ends in.
struct LastLayer<'a> {
    head: &'a YoloHead,
    /// What it gives.
    map: &'a Tensor,
    conv: Conv2d,
    /// Weights, and where there is one a bias.
    params: Vec<Tensor>,
    /// Of heads whose maps hold probabilities.
    activation: Option<Unary>,
}

impl<'a> LastLayer<'a> {
    /// That of the head which reads `tap`, a map with the cells that the student's tap has.
    fn of(seen: &'a MethodContext<'_>, tap: &Tensor, (hint, guided): &(String, String)) -> Result<Self> {
        let refuse = |why: String| Err(Error::config(format!("tap \"{hint}\" of the teacher"), why));
        if !matches!(seen.teacher, TeacherPass::Live { .. }) {
            return refuse(
                "this method runs the last layer of the teacher's heads, which outputs on disk do not hold; give the \
                 teacher itself"
                    .into(),
            );
        }
        let student = seen.student.tap(guided)?;
        if student.dims().get(2..) != tap.dims().get(2..) {
            return refuse(format!(
                "its map is {}, and the student's {guided} {}; both need the same cells, as heads of one stride have",
                tap.shape(),
                student.shape()
            ));
        }
        let mut other_ends = Vec::new();
        for (map, head) in heads("teacher", seen.teacher_outputs)? {
            let activation = map.producer::<Unary>();
            let (activation, before) = match &activation {
                Some((activation, read)) => (Some(*activation), read.first().unwrap_or(map)),
                None => (None, map),
            };
            let Some((conv, read)) = before.producer::<Conv2d>() else {
                other_ends.push(map);
                continue;
            };
            if let Some((_, params)) = read.split_first().filter(|(input, _)| input.id() == tap.id()) {
                return Ok(Self { head, map, conv, params: params.to_vec(), activation });
            }
        }
        if let Some(map) = other_ends.first() {
            return refuse(without_last_layer(seen, map));
        }
        refuse(
            "no head of the teacher reads it: name the map that the convolution before a head's boxes reads, which the \
             stages of a network are"
                .into(),
        )
    }

    /// What the teacher's head says of another map of the same width.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let [weight, bias @ ..] = &self.params[..] else {
            return Err(Error::shape("crosskd", "a convolution with weights", "none"));
        };
        let y = x.conv2d(weight, bias.first(), self.conv)?;
        self.activation.map_or(Ok(y.clone()), |activation| y.unary(activation.0))
    }
}

/// Why a teacher's head that ends in something else can't be run again.
fn without_last_layer(seen: &MethodContext<'_>, map: &Tensor) -> String {
    let named = seen.teacher_outputs.iter().find(|(_, output)| output.id() == map.id());
    let name = named.map_or("its head", |(name, _)| name);
    let chosen = seen.teacher.tap(&chosen_tap(name)).is_ok_and(|tap| tap.id() == map.id());
    let why = if chosen {
        "the teacher's classes were brought to the student's, and the channels that are left of its head's are no layer of \
         its own any more"
    } else {
        "what comes after its last convolution is more than an activation"
    };
    format!(
        "crosskd runs the convolution that a head of the teacher ends in, and that of \"{name}\" can't be run: {why}; obj-kd, \
         pseudo and methods on features do without it"
    )
}

/// f (N, C, H, W) with the means and deviations that the channels of `like` have over the batch.
fn scaled(f: &Tensor, like: &Tensor) -> Result<Tensor> {
    let (own, wanted) = (Moments::of("crosskd", f)?, Moments::of("crosskd", like)?);
    own.centred.div(&own.deviation.add_scalar(EPS)?)?.mul(&wanted.deviation)?.add(&wanted.mean)
}

impl Focus {
    /// What each row adds, (N, R).
    fn rows(&self, student: &HeadRows, teacher: &HeadRows) -> Result<Tensor> {
        let presence = teacher.presence()?;
        let boxes = student.boxes.box_overlap(&teacher.boxes, Overlap::Giou)?.scale(-1.0)?.add_scalar(1.0)?;
        let objectness = self.cross_entropy(&student.objectness, &presence)?;
        let classes = self.cross_entropy(&student.classes, &teacher.classes.sigmoid()?)?;
        let parts = [boxes.mul(&teacher.score()?)?, objectness, classes.sum(&[2], false)?.mul(&presence)?];
        self.weights.sum(&parts)
    }

    /// Cross-entropy of logits with shares, by how much they differ.
    fn cross_entropy(&self, logits: &Tensor, shares: &Tensor) -> Result<Tensor> {
        let entropy = binary_cross_entropy(logits, shares)?;
        let difference = logits.sigmoid()?.sub(shares)?;
        match self.beta {
            0 => Ok(entropy),
            1 => entropy.mul(&difference.abs()?),
            _ => entropy.mul(&difference.square()?),
        }
    }
}
