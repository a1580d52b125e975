//! Boxes off a network's outputs, on the host.

use crate::ops::boxes::{Nms, YoloHead, nms_host};

use super::Found;
use crate::Result;

/// Which of a network's boxes are kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Keep {
    /// Boxes of a lower score are left out: objectness times the class's probability.
    pub score: f32,
    /// Of two boxes of a class that overlap by more, the one of the lower score is left out.
    pub nms: Nms,
}

/// Boxes of one image before any is left out: (cx, cy, w, h) in shares of the input, scores, classes.
#[derive(Debug, Clone, Default)]
pub struct Candidates {
    boxes: Vec<[f32; 4]>,
    scores: Vec<f32>,
    classes: Vec<i32>,
}

/// Candidates of an image that are looked at, those of the highest scores: an untrained network gives hundreds of thousands.
const MOST_CANDIDATES: usize = 10_000;

impl Candidates {
    /// Adds those of a head's map (A (5 + C), H, W) whose score is above `least`. A value that is NaN gives none.
    pub fn add(&mut self, head: &YoloHead, [h, w]: [usize; 2], map: &[f32], least: f32) {
        let (cells, values) = (h * w, 5 + head.classes);
        let [input_h, input_w] = head.input([h, w]).map(|side| side as f32);
        let share = |x: f32| if head.squared_sides { x } else { sigmoid(x) };
        for (anchor, &[anchor_w, anchor_h]) in head.anchors.iter().enumerate() {
            let at = |value: usize, cell: usize| map[(anchor * values + value) * cells + cell];
            for cell in 0..cells {
                let objectness = share(at(4, cell));
                if objectness <= least || objectness.is_nan() {
                    continue;
                }
                let (row, column) = ((cell / w) as f32, (cell % w) as f32);
                let s = head.scale_x_y;
                let centre = |x: f32| s * share(x) - (s - 1.0) / 2.0;
                let side = |t: f32| if head.squared_sides { (2.0 * t).powi(2) } else { t.min(MOST).exp() };
                let found = [
                    (column + centre(at(0, cell))) / w as f32,
                    (row + centre(at(1, cell))) / h as f32,
                    side(at(2, cell)) * anchor_w / input_w,
                    side(at(3, cell)) * anchor_h / input_h,
                ];
                for class in 0..head.classes {
                    let score = objectness * share(at(5 + class, cell));
                    if score > least && found.iter().all(|v| v.is_finite()) {
                        self.boxes.push(found);
                        self.scores.push(score);
                        self.classes.push(class as i32);
                    }
                }
            }
        }
    }

    /// What is left after non-maximum suppression, the highest score first, in pixels of an image of which the input shows
    /// `frame`: left, top, width, height. Boxes may reach out of the image, as darknet measures them.
    pub fn found(mut self, keep: &Keep, [left, top, width, height]: [f32; 4]) -> Result<Vec<Found>> {
        self.cut();
        let kept = nms_host(&self.boxes, &self.scores, &self.classes, &keep.nms)?;
        let on_image = |place: usize| {
            let [cx, cy, w, h] = self.boxes[place];
            let bounds =
                [left + (cx - w / 2.0) * width, top + (cy - h / 2.0) * height, w * width, h * height];
            Found { bounds, class: self.classes[place] as usize, score: self.scores[place] }
        };
        Ok(kept.into_iter().map(on_image).collect())
    }

    /// Keeps the highest scores, the first of equals.
    fn cut(&mut self) {
        if self.scores.len() <= MOST_CANDIDATES {
            return;
        }
        let mut order: Vec<usize> = (0..self.scores.len()).collect();
        order.sort_by(|&a, &b| self.scores[b].total_cmp(&self.scores[a]));
        order.truncate(MOST_CANDIDATES);
        order.sort_unstable();
        self.boxes = order.iter().map(|&i| self.boxes[i]).collect();
        self.scores = order.iter().map(|&i| self.scores[i]).collect();
        self.classes = order.iter().map(|&i| self.classes[i]).collect();
    }
}

/// e to this is the most by which a side is longer than its anchor's.
const MOST: f32 = 30.0;

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}
