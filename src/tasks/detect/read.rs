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
pub(super) struct Candidates {
    boxes: Vec<[f32; 4]>,
    scores: Vec<f32>,
    classes: Vec<i32>,
}

/// Candidates of an image that are looked at, those of the highest scores: an untrained network gives hundreds of thousands.
const MOST_CANDIDATES: usize = 10_000;

impl Candidates {
    /// Adds those of a head's map (A (5 + C), H, W) whose score is above `least`. A value that is NaN gives none.
    pub fn add(&mut self, head: &YoloHead, [h, w]: [usize; 2], map: &[f32], least: f32) {
        let (cells, reader) = (h * w, head.reader([h, w]));
        let share = |x: f32| if head.squared_sides { x } else { 1.0 / (1.0 + (-x).exp()) };
        for (anchor, map) in map.chunks_exact((5 + head.classes) * cells).enumerate() {
            let at = |value: usize, cell: usize| map[value * cells + cell];
            for cell in 0..cells {
                let objectness = share(at(4, cell));
                if objectness <= least || objectness.is_nan() {
                    continue;
                }
                let Some(found) = reader.read(anchor, cell, [0, 1, 2, 3].map(|k| at(k, cell))) else {
                    continue;
                };
                if !found.iter().all(|v| v.is_finite()) {
                    continue;
                }
                for class in 0..head.classes {
                    let score = objectness * share(at(5 + class, cell));
                    if score > least {
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
