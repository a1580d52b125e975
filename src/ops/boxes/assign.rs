//! Which truths the boxes of a YOLO head learn, by darknet's rule (Redmon and Farhadi 1804.02767, Bochkovskiy et al.
//! 2004.10934).
//!
//! A truth belongs to the cell that its centre lies in; one on the far edge to the last. Of all anchors of the network that
//! whose shape overlaps the truth's best, at a common centre, learns it, the first one of equals, if it is of this head.
//! Besides it every anchor of this head does that overlaps it by more than [`YoloHead::assign_threshold`]. Of several truths
//! in one place the first gives the box, and all of them their classes. Where no truth is, and the box that was found
//! overlaps one by more than [`YoloHead::ignore_threshold`], objectness does not count.
//!
//! No truth is one whose class is negative, or with a side or a score of zero or less.

use super::decode::head_for_cases;
use super::geometry::Frame;
use super::head::YoloHead;
use super::overlap::boxes_for_cases;
use crate::gpu::Kernel;
use crate::ops::common::per_element;
use crate::ops::spec::{Case, Fill, Input, OpSpec};
use crate::tape::{Array, Lowering, Meta, Op, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../../shaders/boxes/assign.wgsl");

/// What the boxes of a head learn. No gradient flows through it; always f32.
#[derive(Debug, Clone)]
pub struct Assigned {
    /// The truth of each box (N, R, 4); zeros where there is none.
    pub boxes: Tensor,
    /// What a box counts that has a truth (N, R): the score of the truth, 1 for labels; else 0.
    pub positive: Tensor,
    /// What its objectness counts (N, R): 0 where it is ignored, else 1.
    pub objectness_weight: Tensor,
    /// Its classes (N, R, C): of the truths in its place the largest score of each class; else 0.
    pub classes: Tensor,
}

/// Inputs: boxes (N, R, 4), truths (N, M, 4), classes i32 (N, M), and with `scored` scores (N, M). Outputs as [`Assigned`].
#[derive(Debug, Clone)]
struct YoloAssign {
    head: YoloHead,
    /// Rows and columns of cells.
    cells: [usize; 2],
    scored: bool,
}

/// Assigns truths (N, M, 4) to `boxes` (N, R, 4), those of `head` on a map of `cells` (rows, columns), as [the module](self)
/// says. `classes` is i32 (N, M), negative where there is no truth; `scores` (N, M) is how much each truth counts, 1 without.
///
/// # Errors
///
/// Where the shapes do not go together, or the head is none.
pub fn assign(
    boxes: &Tensor,
    truths: &Tensor,
    classes: &Tensor,
    scores: Option<&Tensor>,
    head: &YoloHead,
    cells: [usize; 2],
) -> Result<Assigned> {
    let op = YoloAssign { head: head.clone(), cells, scored: scores.is_some() };
    let inputs: Vec<&Tensor> = [boxes, truths, classes].into_iter().chain(scores).collect();
    match <[Tensor; 4]>::try_from(boxes.tape().record(op, &inputs)?) {
        Ok([boxes, positive, objectness_weight, classes]) => {
            Ok(Assigned { boxes, positive, objectness_weight, classes })
        }
        Err(other) => Err(Error::shape("yolo_assign", "four outputs", other.len().to_string())),
    }
}

impl YoloAssign {
    fn slots(&self) -> usize {
        self.head.anchors.len() * self.cells[0] * self.cells[1]
    }

    fn kernel(&self, entry: &'static str, truths: usize) -> Kernel {
        let head = &self.head;
        let [h, w] = head.input(self.cells);
        Kernel::new(self.name(), entry, SHADER)
            .define("SCORED", self.scored.into())
            .define("TRUTHS", truths)
            .define("CLASSES", head.classes.max(1))
            .define("ROWS", self.cells[0])
            .define("COLUMNS", self.cells[1])
            .define("NET_H", h)
            .define("NET_W", w)
            .define("ANCHORS", head.anchors.len())
            .define("ALL", head.all_anchors.len())
            .define_f32("IGNORE_THRESHOLD", head.ignore_threshold)
            .define_f32("ASSIGN_THRESHOLD", head.assign_threshold)
            .define_each("MASK", head.mask.iter().copied())
            .define_each_f32("ANCHOR_W", head.anchors.iter().map(|side| side[0]))
            .define_each_f32("ANCHOR_H", head.anchors.iter().map(|side| side[1]))
            .define_each_f32("ALL_W", head.all_anchors.iter().map(|side| side[0]))
            .define_each_f32("ALL_H", head.all_anchors.iter().map(|side| side[1]))
    }

    /// The slots within an image that learn a truth.
    fn learners(&self, truth: &Frame) -> Vec<usize> {
        let [rows, columns] = self.cells;
        // In f32, as the kernel does: which side of an edge a centre lies on is a matter of rounding.
        let cell = |centre: f64, cells: usize| {
            let cell = (centre as f32 * cells as f32).floor();
            cell.clamp(0.0, cells as f32 - 1.0) as usize
        };
        let place = cell(truth.centre[1], rows) * columns + cell(truth.centre[0], columns);
        let [h, w] = self.head.input(self.cells);
        let shape = Frame { centre: [0.0; 2], sides: [truth.sides[0] * w as f64, truth.sides[1] * h as f64] };
        let share = |anchor: &[f32; 2]| shape.iou(&Frame { centre: [0.0; 2], sides: anchor.map(f64::from) });
        let shares: Vec<f64> = self.head.all_anchors.iter().map(share).collect();
        let best = (0..shares.len()).rev().max_by(|&a, &b| shares[a].total_cmp(&shares[b]));
        let own = self.head.anchors.iter().zip(&self.head.mask).enumerate();
        let fits = |(anchor, mask): (&[f32; 2], &usize)| {
            Some(*mask) == best || share(anchor) > f64::from(self.head.assign_threshold)
        };
        own.filter(|(_, own)| fits(*own)).map(|(a, _)| a * rows * columns + place).collect()
    }
}

impl Op for YoloAssign {
    fn name(&self) -> &'static str {
        "yolo_assign"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        self.head.check(self.name())?;
        let fail = |expected: String| {
            let got: Vec<String> = inputs.iter().map(Meta::to_string).collect();
            Err(Error::shape(self.name(), expected, got.join(", ")))
        };
        if self.cells.contains(&0) {
            return Err(Error::shape(self.name(), "at least one cell", format!("{:?}", self.cells)));
        }
        let slots = self.slots();
        let n = inputs.first().and_then(|boxes| boxes.shape.dims().first()).copied().unwrap_or(0);
        let m = inputs.get(1).and_then(|truths| truths.shape.dims().get(1)).copied().unwrap_or(0);
        let mut wanted =
            vec![Meta::f32([n, slots, 4]), Meta::f32([n, m, 4]), Meta::i32([n, m]), Meta::f32([n, m])];
        wanted.truncate(3 + usize::from(self.scored));
        if inputs != wanted {
            return fail(format!(
                "boxes f32 (N, {slots}, 4) of {} anchors in {} x {} cells, truths f32 (N, M, 4), classes i32 (N, M){}",
                self.head.anchors.len(),
                self.cells[0],
                self.cells[1],
                if self.scored { ", scores f32 (N, M)" } else { "" }
            ));
        }
        let rows = Meta::f32([n, slots]);
        Ok(vec![Meta::f32([n, slots, 4]), rows.clone(), rows, Meta::f32([n, slots, self.head.classes])])
    }

    fn differentiable(&self) -> bool {
        false
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let truths = to.input(1)[1];
        let mut inputs = vec![Slot::Input(1), Slot::Input(2)];
        if self.scored {
            inputs.push(Slot::Input(3));
        }
        let rows = to.output(1).iter().product();
        let outputs = [Slot::Input(0), Slot::Output(0), Slot::Output(1), Slot::Output(2)];
        per_element(to, self.kernel("slots", truths), &[&inputs[..], &outputs[..]].concat(), rows);
        let labels = [Slot::Output(1), Slot::Output(3)];
        let len = to.output(3).iter().product();
        per_element(to, self.kernel("slot_classes", truths), &[&inputs[..], &labels[..]].concat(), len);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let (n, slots, classes) = (inputs[0].dims()[0], self.slots(), self.head.classes);
        let truths = inputs[1].dims()[1];
        let mut boxes = Array::zeros([n, slots, 4]);
        let [mut positive, mut objectness] = [0.0, 1.0].map(|x| Array::new([n, slots], vec![x; n * slots]));
        let mut labels = Array::zeros([n, slots, classes]);
        for image in 0..n {
            let mut closest = vec![0.0; slots];
            for t in image * truths..(image + 1) * truths {
                let truth = Frame::at(&inputs[1].data, t);
                let (class, score) = (inputs[2].data[t], inputs.get(3).map_or(1.0, |scores| scores.data[t]));
                if class < 0.0 || truth.is_empty() || score <= 0.0 {
                    continue;
                }
                for (slot, closest) in closest.iter_mut().enumerate() {
                    *closest = truth.iou(&Frame::at(&inputs[0].data, image * slots + slot)).max(*closest);
                }
                for slot in self.learners(&truth) {
                    let row = image * slots + slot;
                    if positive.data[row] == 0.0 {
                        positive.data[row] = score;
                        boxes.data[4 * row..4 * row + 4].copy_from_slice(&inputs[1].data[4 * t..4 * t + 4]);
                    }
                    if (class as usize) < classes {
                        let label = &mut labels.data[row * classes + class as usize];
                        *label = label.max(score);
                    }
                }
            }
            for (slot, closest) in closest.into_iter().enumerate() {
                let row = image * slots + slot;
                let near = closest > f64::from(self.head.ignore_threshold);
                objectness.data[row] = f64::from(positive.data[row] > 0.0 || !near);
            }
        }
        vec![boxes, positive, objectness, labels]
    }

    /// Targets, of which a f16 is off by up to half a pixel, and weights.
    fn keep_f32(&self) -> &[usize] {
        &[0, 1, 2, 3]
    }

    fn flops(&self, inputs: &[Meta], outputs: &[Meta]) -> u64 {
        25 * (outputs[1].len() * inputs[1].shape[1]) as u64
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "yolo_assign", cases };

fn cases() -> Vec<Case> {
    let case = |anchors: usize, classes: usize, [n, h, w]: [usize; 3], truths: usize, scored: bool| {
        let head = YoloHead { stride: [9, 8], assign_threshold: 0.5, ..head_for_cases(anchors, classes) };
        let op = YoloAssign { head, cells: [h, w], scored };
        let labels = Input {
            meta: Meta::i32([n, truths]),
            // Padding in between, and a class that is none of the head's.
            fill: Fill::Values(vec![0.0, 2.0, -1.0, 1.0, 1.0, classes as f64, 0.0]),
            grad: false,
        };
        let mut inputs = vec![
            boxes_for_cases(&[n, op.slots(), 4], 0.0).no_grad(),
            boxes_for_cases(&[n, truths, 4], 1.0 / 64.0).no_grad(),
            labels,
        ];
        let scores = Fill::Values(vec![0.25, 1.0, 0.5, 0.0, 0.75]);
        inputs.extend(scored.then(|| Input::filled([n, truths], scores).no_grad()));
        Case::new(op, inputs)
    };
    let mut all = Vec::new();
    for scored in [false, true] {
        all.extend([
            case(1, 1, [1, 1, 1], 1, scored),
            case(3, 3, [2, 7, 5], 11, scored),
            case(2, 47, [3, 4, 5], 30, scored),
            case(3, 2, [2, 13, 11], 41, scored),
            case(5, 3, [1, 3, 3], 0, scored),
            case(2, 3, [0, 3, 3], 5, scored),
            case(1, 0, [2, 2, 3], 5, scored),
        ]);
    }
    // As in training.
    all.push(case(3, 20, [8, 26, 26], 40, false));
    // Without area, on the far edge, beyond it, and before the first cell.
    let mut edges = case(3, 3, [1, 5, 7], 7, false);
    edges.inputs[1].fill = Fill::Values(vec![
        0.5, 0.5, 0.0, 0.4, 0.2, 0.5, 0.4, -0.4, 1.0, 1.0, 0.3, 0.4, 1.5, 0.3, 0.2, 0.25, -0.5, -0.1, 0.4,
        0.3, 0.0, 0.0, 0.5, 0.5, 0.3, 0.7, 0.6, 0.2,
    ]);
    edges.inputs[2].fill = Fill::Values(vec![1.0]);
    all.push(edges);
    all
}
