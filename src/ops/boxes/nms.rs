//! Non-maximum suppression: of boxes that show one thing the one with the highest score stays.
//!
//! Greedy, by class: of what is left the box with the highest score stays, the first row of equals, and takes away every
//! box of its class that overlaps it by more than [`Nms::overlap`]; until nothing is left that scores more than
//! [`Nms::threshold`], or [`Nms::most`] stay. A row whose class is negative is no box. What stays comes in the order of its
//! scores.
//!
//! [`nms`] runs as a kernel, in as many rounds as boxes stay, for some thousands of boxes; [`nms_host`](fn@super::nms_host) on the CPU, by sorting
//! once, for any number.

use super::geometry::Frame;
use crate::gpu::{Grid, Kernel};
use crate::ops::common::expect_inputs;
use crate::ops::spec::{Case, Fill, Input, OpSpec};
use crate::tape::{Array, Lowering, Meta, Op, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../../shaders/boxes/nms.wgsl");

/// What suppression goes by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nms {
    /// Boxes that score no more than this are none.
    pub threshold: f32,
    /// Two boxes of a class that overlap by more than this show one thing; 0 to 1.
    pub overlap: f32,
    /// How many boxes of an image stay at most.
    pub most: usize,
    /// How overlap is measured.
    pub kind: NmsKind,
}

/// How suppression measures overlap.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NmsKind {
    /// Intersection by union.
    Iou,
    /// IoU - (d^2 / c^2)^beta, with d the distance of the centres and c the diagonal of the smallest box around both (Zheng et
    /// al. 1911.08287). darknet's `greedynms` is this with a beta of 0.6.
    Diou {
        /// The exponent, above 0.
        beta: f32,
    },
}

/// Inputs: boxes (N, R, 4), scores (N, R), classes i32 (N, R). Outputs: those that stay (N, K, 4), (N, K), i32 (N, K).
#[derive(Debug, Clone, Copy)]
struct NmsOp(Nms);

/// The boxes that stay of `boxes` (N, R, 4) with `scores` (N, R) and `classes` i32 (N, R), image by image, as [the
/// module](self) says: boxes (N, K, 4), scores (N, K), classes i32 (N, K), where K is [`Nms::most`]. Where fewer stay, zeros
/// and the class -1 follow. No gradient flows through it.
///
/// # Errors
///
/// Where the shapes do not go together, or a setting is out of its range.
pub fn nms(boxes: &Tensor, scores: &Tensor, classes: &Tensor, settings: &Nms) -> Result<[Tensor; 3]> {
    let all = boxes.tape().record(NmsOp(*settings), &[boxes, scores, classes])?;
    <[Tensor; 3]>::try_from(all)
        .map_err(|other| Error::shape("nms", "three outputs", other.len().to_string()))
}

impl Nms {
    /// Fails where a setting is out of its range.
    pub(super) fn check(&self) -> Result<()> {
        let fail = |expected: &str| Err(Error::shape("nms", expected, format!("{self:?}")));
        if !(0.0..=1.0).contains(&self.overlap) || !self.threshold.is_finite() {
            return fail("an overlap of 0 to 1 and a finite threshold");
        }
        if self.most == 0 {
            return fail("room for at least one box");
        }
        match self.kind {
            NmsKind::Diou { beta } if !(beta.is_finite() && beta > 0.0) => fail("a beta above 0"),
            _ => Ok(()),
        }
    }

    /// Whether two boxes show one thing, in f64.
    pub(super) fn is_same(&self, a: &Frame, b: &Frame) -> bool {
        let far = match self.kind {
            NmsKind::Iou => 0.0,
            NmsKind::Diou { beta } => a.distance_share(b).powf(f64::from(beta)),
        };
        let share = a.iou(b);
        share > f64::from(self.overlap) && share - far > f64::from(self.overlap)
    }

    /// The rows that stay, in f64 and by the rule itself, round by round.
    pub(super) fn plainly(&self, boxes: &[f64], scores: &[f64], classes: &[f64]) -> Vec<usize> {
        let mut left: Vec<usize> = (0..scores.len())
            .filter(|&row| scores[row] > f64::from(self.threshold) && classes[row] >= 0.0)
            .collect();
        let mut kept = Vec::new();
        while kept.len() < self.most {
            let best = left.iter().rev().copied().max_by(|&a, &b| scores[a].total_cmp(&scores[b]));
            let Some(best) = best else { break };
            kept.push(best);
            let frame = Frame::at(boxes, best);
            left.retain(|&row| {
                row != best
                    && (classes[row] != classes[best] || !self.is_same(&frame, &Frame::at(boxes, row)))
            });
        }
        kept
    }
}

impl Op for NmsOp {
    fn name(&self) -> &'static str {
        "nms"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 3)?;
        self.0.check()?;
        let (n, rows) = match *inputs[0].shape.dims() {
            [n, rows, 4] => (n, rows),
            _ => (0, 0),
        };
        if inputs != [Meta::f32([n, rows, 4]), Meta::f32([n, rows]), Meta::i32([n, rows])] {
            let got = format!("{}, {}, {}", inputs[0], inputs[1], inputs[2]);
            let expected = "boxes f32 (N, R, 4), scores f32 (N, R) and classes i32 (N, R)";
            return Err(Error::shape(self.name(), expected, got));
        }
        let most = self.0.most;
        Ok(vec![Meta::f32([n, most, 4]), Meta::f32([n, most]), Meta::i32([n, most])])
    }

    fn differentiable(&self) -> bool {
        false
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let [n, rows] = [to.input(1)[0], to.input(1)[1]];
        let beta = match self.0.kind {
            NmsKind::Iou => None,
            NmsKind::Diou { beta } => Some(beta),
        };
        let kernel = Kernel::new(self.name(), "suppress", SHADER)
            .define("IMAGES", n)
            .define("ROWS", rows)
            .define("MOST", self.0.most)
            .define_f32("THRESHOLD", self.0.threshold)
            .define_f32("OVERLAP", self.0.overlap)
            .define("DISTANCE", beta.is_some().into())
            .define_f32("BETA", beta.unwrap_or(1.0));
        let left = to.scratch(n * rows);
        let [boxes, scores, classes] = [0, 1, 2].map(Slot::Input);
        let [kept, kept_scores, kept_classes] = [0, 1, 2].map(Slot::Output);
        let bindings = [boxes, scores, classes, left, kept, kept_scores, kept_classes];
        to.dispatch(kernel, &bindings, Grid::linear(n));
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let [n, rows] = [inputs[1].dims()[0], inputs[1].dims()[1]];
        let most = self.0.most;
        let mut boxes = Array::zeros([n, most, 4]);
        let [mut scores, mut classes] = [0.0, -1.0].map(|x| Array::new([n, most], vec![x; n * most]));
        for image in 0..n {
            let [b, s, c] = [4, 1, 1].map(|each| image * rows * each..(image + 1) * rows * each);
            let kept = self.0.plainly(&inputs[0].data[b.clone()], &inputs[1].data[s], &inputs[2].data[c]);
            for (k, row) in kept.into_iter().enumerate() {
                let (to, from) = (image * most + k, image * rows + row);
                boxes.data[4 * to..4 * to + 4].copy_from_slice(&inputs[0].data[4 * from..4 * from + 4]);
                scores.data[to] = inputs[1].data[from];
                classes.data[to] = inputs[2].data[from];
            }
        }
        vec![boxes, scores, classes]
    }

    /// What was f32 comes out as it went in.
    fn keep_f32(&self) -> &[usize] {
        &[0, 1, 2]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        (inputs[1].len() * self.0.most) as u64
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "nms", cases };

fn cases() -> Vec<Case> {
    let iou = Nms { threshold: 0.1, overlap: 0.45, most: 20, kind: NmsKind::Iou };
    let diou = Nms { kind: NmsKind::Diou { beta: 0.6 }, ..iou };
    let case = |settings: Nms, [n, rows]: [usize; 2], classes: usize| {
        let inputs = vec![
            Input::filled([n, rows, 4], Fill::Uniform(0.2, 0.6)).no_grad(),
            Input::filled([n, rows], Fill::Uniform(0.0, 1.0)).no_grad(),
            Input::below([n, rows], classes),
        ];
        Case::new(NmsOp(settings), inputs)
    };
    let mut all = Vec::new();
    for settings in [iou, diou] {
        all.extend([
            case(settings, [1, 1], 1),
            case(settings, [2, 255], 1),
            case(settings, [3, 257], 5),
            case(settings, [1, 1021], 3),
            case(settings, [2, 0], 1),
            case(settings, [0, 5], 1),
        ]);
    }
    // More than one invocation's share stays; nothing stays; overlap does not count.
    all.push(case(Nms { most: 300, overlap: 0.7, ..iou }, [2, 1500], 20));
    all.push(case(Nms { threshold: 2.0, ..iou }, [2, 41], 2));
    all.push(case(Nms { overlap: 1.0, ..iou }, [1, 55], 2));
    // As much as a detector finds at 416 pixels.
    all.push(case(Nms { most: 100, ..iou }, [2, 10_647], 80));
    // Equal scores, and rows that are no boxes.
    let mut ties = case(iou, [2, 700], 1);
    ties.inputs[1].fill = Fill::Values(vec![0.5, 0.75, 0.25, 0.75, 0.0]);
    ties.inputs[2].fill = Fill::Values(vec![0.0, -1.0, 1.0]);
    all.push(ties);
    all
}
