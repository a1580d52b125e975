//! A teacher's boxes as truths: what it finds, thinned out, is assigned to the student's rows as labels would be, and counts by
//! the teacher's score.
//!
//! The teacher's boxes of all heads go through non-maximum suppression by class, on the device; those that score more than
//! `threshold`, objectness times the likeliest class, stay, at most 100 an image. Then the detector's own loss: 1 - CIoU of
//! rows that answer for a box, cross-entropy of objectness and classes with the score as target ([`box_loss`]).
//!
//! Any detector teaches so, with other strides and anchors, and unlabelled images do as well as labelled ones: with
//! `pseudo+ce:0` no label is read. What the teacher knows of background cells is lost; [`super::obj_kd`] keeps it.

use crate::Result;
use crate::distill::boxes::{HeadRows, RowWeights, heads, same_classes};
use crate::distill::{
    Family, Knowledge, Loss, MethodContext, MethodSpec, Need, Setting, TapNeed, parameterless,
};
use crate::nn::Forward;
use crate::ops::boxes::{Nms, NmsKind, nms};
use crate::tape::Tensor;
use crate::tasks::detect::{TruthLeaves, box_loss, mean_of_samples};

/// The list entry; weights are those of the task.
pub const SPEC: MethodSpec = MethodSpec {
    name: "pseudo",
    family: Family::Activation,
    knowledge: Knowledge::Response,
    about: "a detector's boxes as truths that count by their score; also for unlabelled images",
    formula: "a detector's loss with the teacher's boxes after non-maximum suppression as truths: 3 (1 - CIoU) + BCE of \
              objectness and classes with the score",
    paper: "self-training as Radosavovic et al. 1712.04440 do; on unlabelled images with ce:0 beside it",
    settings: &[
        Setting::share("threshold", USUAL.threshold, "boxes that score no more teach nothing"),
        Setting::share(
            "overlap",
            USUAL.overlap,
            "of two boxes of a class that overlap by more the weaker one is left out",
        ),
        Setting::count("most", USUAL.most as u32, [1, 1000], "boxes of an image at most"),
        WEIGHTS[0],
        WEIGHTS[1],
        WEIGHTS[2],
    ],
    taps: TapNeed::None,
    reads: &[Need::Boxes],
    weight: 1.0,
    ce_weight: 1.0,
    build: |values| {
        let weights = RowWeights::new("pseudo", values)?;
        let [threshold, overlap] = values.numbers(["threshold", "overlap"])?;
        let nms = Nms { threshold, overlap, most: values.count("most")?, ..USUAL };
        parameterless(Pseudo { nms, weights })
    },
};

const WEIGHTS: [Setting; 3] = RowWeights::settings(3.0);

/// Which of the teacher's boxes teach where nothing is said.
pub(super) const USUAL: Nms = Nms { threshold: 0.3, overlap: 0.45, most: 100, kind: NmsKind::Iou };

#[derive(Debug, Clone)]
pub(super) struct Pseudo {
    pub nms: Nms,
    pub weights: RowWeights,
}

impl Loss for Pseudo {
    fn record(&self, seen: &MethodContext<'_>, _: &Forward<'_>) -> Result<Tensor> {
        let ours = heads("student", seen.student_outputs)?;
        let theirs = heads("teacher", seen.teacher_outputs)?;
        same_classes(&ours, &theirs)?;
        let [mut boxes, mut scores, mut classes] = [const { Vec::new() }; 3];
        for (map, head) in theirs {
            let rows = HeadRows::of(map, head)?;
            scores.push(rows.score()?);
            classes.push(rows.classes.argmax(2)?);
            boxes.push(rows.boxes);
        }
        let all = |parts: &[Tensor]| match parts {
            [one] => Ok(one.clone()),
            several => Tensor::concat(&several.iter().collect::<Vec<_>>(), 1),
        };
        let [boxes, scores, classes] = nms(&all(&boxes)?, &all(&scores)?, &all(&classes)?, &self.nms)?;
        let truths = TruthLeaves { boxes: &boxes, classes: &classes, scores: Some(&scores) };
        let loss = box_loss(seen.student_outputs, &truths)?;
        let parts = [loss.boxes, loss.objectness, loss.classes];
        mean_of_samples(&self.weights.sum(&parts)?, seen.leaves)
    }
}
