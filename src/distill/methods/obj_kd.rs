//! Objectness-scaled distillation of detectors (Mehta and Ozturk 1805.06361): the student learns the teacher's objectness
//! everywhere, its boxes and classes where the teacher sees something.
//!
//! Heads are paired by stride and anchors by shape ([`pairing`]); heads without a partner teach and learn nothing. With
//! `anchors=objectness` all anchors of a cell learn from that of the teacher's which has the highest objectness there. With o, p
//! and b the objectness, class probabilities and decoded box of a row, t the teacher's and s the student's:
//!
//! - objectness: BCE(o_s, o_t), or with `objectness=mse` (o_s - o_t)^2;
//! - classes: o_t * sum over classes of BCE(p_s, p_t);
//! - boxes: o_t * (1 - CIoU(b_s, b_t)).
//!
//! All are sums over rows and means over samples: a mean over rows would drown the few that matter. Boxes are compared as
//! boxes, never by the numbers that they are read off: those mean other things under other anchors and another `scale_x_y`. A
//! temperature T softens both sides of objectness and classes, whose cross-entropies then get a factor T^2.
//!
//! `fm-nms=on` is the paper's suppression on the map: of the teacher's rows of one class, anywhere among all anchors of 3 x 3
//! cells, only the one of the highest objectness keeps it, and the others have 0. An anchor outdoes others whether or not one of
//! the student's is paired with it.
//!
//! `weights=bckd` weights rows by how much the two differ, as Yang et al. 2308.14286 do, in place of o_t: cross-entropies by
//! |o_t - o_s| and o_t |p_t - p_s|, boxes by the largest |o_t p_t - o_s p_s| of the classes. Theirs has no objectness; what
//! stands in its place here is their score. The weights have no gradient.
//!
//! `match=boxes` teaches by boxes in place of rows: as [`super::pseudo`] does with these weights.

use super::pseudo::{Pseudo, USUAL};
use crate::distill::boxes::{Chosen, HeadRows, RowWeights, heads, pairing};
use crate::distill::{
    Family, Knowledge, Loss, MethodContext, MethodSpec, Need, Setting, SettingValues, TapNeed, parameterless,
    sum_of,
};
use crate::nn::Forward;
use crate::tape::Tensor;
use crate::tasks::detect::{binary_cross_entropy, mean_of_samples};
use crate::{Error, Result};

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "obj-kd",
    family: Family::Activation,
    knowledge: Knowledge::Response,
    about: "a detector's objectness everywhere, its boxes and classes where it sees something",
    formula: "mean over samples of sum over rows of BCE(o_s, o_t) + o_t sum_c BCE(p_s, p_t) + o_t (1 - CIoU(b_s, b_t)); \
              heads paired by stride, anchors by shape",
    paper: "Mehta and Ozturk 1805.06361; weights=bckd: Yang et al. 2308.14286",
    settings: &[
        Setting::choice(
            "match",
            &["stride", "boxes"],
            "stride: row by row, heads of one stride; boxes: by the teacher's boxes, as pseudo does, whatever its heads",
        ),
        Setting::choice(
            "anchors",
            &["shape", "objectness"],
            "an anchor learns from the teacher's of the likest shape, or from the one that is surest in the cell",
        )
        .later(),
        Setting::choice("objectness", &["bce", "mse"], "cross-entropy of objectness, or squared difference"),
        Setting::choice(
            "weights",
            &["teacher", "bckd"],
            "teacher: boxes and classes count by the teacher's objectness; bckd: all by how much the two differ",
        ),
        Setting::choice(
            "fm-nms",
            &["off", "on"],
            "on: of neighbouring rows of a class only the teacher's surest one teaches that something is there",
        ),
        Setting::positive("temperature", 1.0, "softens objectness and classes on both sides"),
        WEIGHTS[0],
        WEIGHTS[1],
        WEIGHTS[2],
    ],
    taps: TapNeed::None,
    reads: &[Need::Boxes],
    weight: 1.0,
    ce_weight: 1.0,
    build,
};

const WEIGHTS: [Setting; 3] = RowWeights::settings(1.0);

#[derive(Debug, Clone)]
struct ObjKd {
    by_objectness: bool,
    squared: bool,
    by_difference: bool,
    suppress: bool,
    temperature: f32,
    weights: RowWeights,
}

fn build(values: &SettingValues) -> Result<Box<dyn crate::distill::Method>> {
    let weights = RowWeights::new("obj-kd", values)?;
    let method = ObjKd {
        by_objectness: values.choice("anchors")? == "objectness",
        squared: values.choice("objectness")? == "mse",
        by_difference: values.choice("weights")? == "bckd",
        suppress: values.choice("fm-nms")? == "on",
        temperature: values.number("temperature")?,
        weights,
    };
    if values.choice("match")? == "stride" {
        return parameterless(method);
    }
    let of_rows = [method.by_objectness, method.squared, method.by_difference, method.suppress];
    if of_rows.contains(&true) || method.temperature != 1.0 {
        let message =
            "boxes has no rows to compare; leave out anchors, objectness, weights, fm-nms and temperature";
        return Err(Error::config("match", message));
    }
    parameterless(Pseudo { nms: USUAL, weights })
}

impl Loss for ObjKd {
    fn record(&self, seen: &MethodContext<'_>, _: &Forward<'_>) -> Result<Tensor> {
        let pairing = pairing(seen.student_outputs, seen.teacher_outputs)?;
        pairing.unmatched.iter().for_each(|what| log::info!("obj-kd: {what}"));
        let ours = heads("student", seen.student_outputs)?;
        let theirs = heads("teacher", seen.teacher_outputs)?;
        sum_of(pairing.pairs.iter().map(|pair| {
            let (map, head) = ours[pair.student];
            let student = HeadRows::of(map, head)?;
            let (map, other) = theirs[pair.teacher];
            let (all, anchors) = (HeadRows::of(map, other)?, other.anchors.len());
            let chosen = match self.by_objectness {
                true => Chosen::surest(&all, anchors, head.anchors.len())?,
                false => Chosen::places(anchors, &pair.anchors),
            };
            // Of all anchors: those that teach nothing have neighbours, too.
            let peaks = || chosen.of(&peaks(&all, anchors, [map.dims()[2], map.dims()[3]])?);
            let peaks = self.suppress.then(peaks).transpose()?;
            let rows = self.rows(&student, &all.beside(&chosen)?, peaks.as_ref())?;
            mean_of_samples(&rows.sum(&[1], false)?, seen.leaves)
        }))
    }
}

impl ObjKd {
    /// What each row of a head adds, (N, R). Where there are `peaks` (N, R), only those keep the teacher's objectness.
    fn rows(&self, student: &HeadRows, teacher: &HeadRows, peaks: Option<&Tensor>) -> Result<Tensor> {
        let masked = |x: Tensor| peaks.map_or(Ok(x.clone()), |peaks| x.mul(peaks));
        let soft = |logits: &Tensor| logits.scale(1.0 / self.temperature);
        let presence = masked(teacher.presence()?)?;
        let wanted = masked(soft(&teacher.objectness)?.sigmoid()?)?;
        let objectness = match self.squared {
            true => soft(&student.objectness)?.sigmoid()?.sub(&wanted)?.square()?,
            false => self.cross_entropy(&soft(&student.objectness)?, &wanted)?,
        };
        let likely = soft(&teacher.classes)?.sigmoid()?;
        let classes = self.cross_entropy(&soft(&student.classes)?, &likely)?;
        let boxes = student.boxes.ciou(&teacher.boxes)?.scale(-1.0)?.add_scalar(1.0)?;
        let parts = match self.by_difference {
            false => [boxes.mul(&presence)?, objectness, classes.sum(&[2], false)?.mul(&presence)?],
            true => {
                let by = Differences::of(student, teacher, &presence)?;
                let classes = classes.mul(&by.classes)?.sum(&[2], false)?.mul(&presence)?;
                [boxes.mul(&by.boxes)?, objectness.mul(&by.objectness)?, classes]
            }
        };
        self.weights.sum(&parts)
    }

    fn cross_entropy(&self, logits: &Tensor, shares: &Tensor) -> Result<Tensor> {
        binary_cross_entropy(logits, shares)?.scale(self.temperature * self.temperature)
    }
}

/// 1 for each row of a head that no neighbour of its class outdoes, else 0, (N, R).
fn peaks(rows: &HeadRows, anchors: usize, [h, w]: [usize; 2]) -> Result<Tensor> {
    let n = rows.objectness.dims()[0];
    let on_map = |x: &Tensor| x.reshape([n, anchors, h, w]);
    let peaks = on_map(&rows.objectness)?.class_peaks(&on_map(&rows.classes.argmax(2)?)?)?;
    peaks.reshape([n, anchors * h * w])
}

/// How far student and teacher are apart, by row; without gradients.
struct Differences {
    /// (N, R).
    boxes: Tensor,
    /// (N, R).
    objectness: Tensor,
    /// (N, R, C).
    classes: Tensor,
}

impl Differences {
    fn of(student: &HeadRows, teacher: &HeadRows, presence: &Tensor) -> Result<Self> {
        let own = student.presence()?.detach()?;
        let (ours, theirs) = (student.classes.sigmoid()?.detach()?, teacher.classes.sigmoid()?);
        let each = |o: &Tensor| o.reshape([o.dims()[0], o.dims()[1], 1]);
        let scores = theirs.mul(&each(presence)?)?.sub(&ours.mul(&each(&own)?)?)?;
        Ok(Self {
            boxes: scores.abs()?.max(&[2], false)?.detach()?,
            objectness: presence.sub(&own)?.abs()?.detach()?,
            classes: theirs.sub(&ours)?.abs()?.detach()?,
        })
    }
}
