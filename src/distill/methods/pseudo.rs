//! A teacher's boxes as truths: what it finds, thinned out, is assigned to the student's rows as labels would be, and counts by
//! the teacher's score.
//!
//! The teacher's boxes of all heads go through non-maximum suppression by class, on the device; those that score more than
//! `threshold`, objectness times the likeliest class, stay, at most 100 an image. Then the detector's own loss: 1 - CIoU of
//! rows that answer for a box, cross-entropy of objectness and classes with the score as target ([`box_loss`]).
//!
//! Any detector teaches so, with other strides and anchors, and unlabelled images do as well as labelled ones: with
//! `pseudo+ce:0` no label is read. What the teacher knows of background cells is lost; [`super::obj_kd`] keeps it.

use crate::distill::boxes::{HeadRows, heads, same_classes};
use crate::distill::{
    Family, Knowledge, Loss, MethodContext, MethodSpec, Need, Setting, TapNeed, parameterless, sum_of,
};
use crate::nn::Forward;
use crate::ops::boxes::{Nms, NmsKind, nms};
use crate::tape::Tensor;
use crate::tasks::detect::{TruthLeaves, box_loss, mean_of_samples};
use crate::{Error, Result};

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
        Setting::share("threshold", 0.3, "boxes that score no more teach nothing"),
        Setting::share(
            "overlap",
            0.45,
            "of two boxes of a class that overlap by more the weaker one is left out",
        ),
        Setting::count("most", 100, [1, 1000], "boxes of an image at most"),
        Setting::from_zero("box-weight", 3.0, "weight of the boxes"),
        Setting::from_zero("objectness-weight", 1.0, "weight of objectness"),
        Setting::from_zero("class-weight", 1.0, "weight of the classes"),
    ],
    taps: TapNeed::None,
    reads: &[Need::Boxes],
    weight: 1.0,
    ce_weight: 1.0,
    build: |values| {
        let weights = values.numbers(["box-weight", "objectness-weight", "class-weight"])?;
        if weights == [0.0; 3] {
            return Err(Error::config("pseudo", "its three weights are 0: nothing is left to learn"));
        }
        let [threshold, overlap] = values.numbers(["threshold", "overlap"])?;
        let nms = Nms { threshold, overlap, most: values.count("most")?, kind: NmsKind::Iou };
        parameterless(Pseudo { nms, weights })
    },
};

#[derive(Debug, Clone)]
pub(super) struct Pseudo {
    pub nms: Nms,
    /// Of boxes, objectness and classes.
    pub weights: [f32; 3],
}

impl Default for Pseudo {
    fn default() -> Self {
        let nms = Nms { threshold: 0.3, overlap: 0.45, most: 100, kind: NmsKind::Iou };
        Self { nms, weights: [3.0, 1.0, 1.0] }
    }
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
        let weighted = parts.iter().zip(self.weights).filter(|(_, weight)| *weight > 0.0);
        mean_of_samples(&sum_of(weighted.map(|(part, weight)| part.scale(weight)))?, seen.leaves)
    }
}
