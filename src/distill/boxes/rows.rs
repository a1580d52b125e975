//! What heads say of their boxes, row by row, which of them stand beside another head's, and how much their parts count.

use crate::data::boxes::{BOX_CLASSES, BOXES};
use crate::distill::{MethodContext, Setting, SettingValues, sum_of};
use crate::ops::boxes::YoloHead;
use crate::tape::Tensor;
use crate::{Error, Result};

/// The boxes of a head, R = A H W of them, in the order (anchor, row, column).
pub(in crate::distill) struct HeadRows {
    /// (N, R, 4), in shares of the input.
    pub boxes: Tensor,
    /// Logits (N, R).
    pub objectness: Tensor,
    /// Logits (N, R, C).
    pub classes: Tensor,
}

impl HeadRows {
    /// Those of a map (N, A (5 + C), H, W), of a class at least: without one a box has no score.
    pub fn of(map: &Tensor, head: &YoloHead) -> Result<Self> {
        if head.classes == 0 {
            return Err(Error::shape("rows of boxes", "heads of at least one class", format!("{head:?}")));
        }
        let [objectness, classes] = map.yolo_logits(head)?;
        Ok(Self { boxes: map.yolo_boxes(head)?, objectness, classes })
    }

    /// Those that stand beside another head's.
    pub fn beside(&self, chosen: &Chosen<'_>) -> Result<Self> {
        Ok(Self {
            boxes: chosen.of(&self.boxes)?,
            objectness: chosen.of(&self.objectness)?,
            classes: chosen.of(&self.classes)?,
        })
    }

    /// Probabilities of objectness (N, R).
    pub fn presence(&self) -> Result<Tensor> {
        self.objectness.sigmoid()
    }

    /// Objectness times the probability of the likeliest class, (N, R).
    pub fn score(&self) -> Result<Tensor> {
        self.presence()?.mul(&self.classes.max(&[2], false)?.sigmoid()?)
    }
}

/// For each anchor of another head, cell by cell, one of this head's anchors.
pub(in crate::distill) struct Chosen<'a> {
    /// This head's.
    anchors: usize,
    by: By<'a>,
}

enum By<'a> {
    /// The same in every cell, by their places.
    Place(&'a [usize]),
    /// For each of `others` anchors the one that `hot` (N, A, H W, 1) marks.
    Mark { hot: Tensor, others: usize },
}

impl<'a> Chosen<'a> {
    /// Of a head's `anchors` these, one after the other; one may be there several times.
    pub fn places(anchors: usize, places: &'a [usize]) -> Self {
        Self { anchors, by: By::Place(places) }
    }

    /// The one of the highest objectness of the cell, the first of equals, for each of `others`.
    pub fn surest(rows: &HeadRows, anchors: usize, others: usize) -> Result<Self> {
        let &[n, count] = rows.objectness.dims() else {
            return Err(Error::shape("rows of boxes", "(N, R)", rows.objectness.shape().to_string()));
        };
        let cells = count / anchors.max(1);
        let best = rows.objectness.reshape([n, anchors, cells])?.argmax(1)?.reshape([n * cells])?;
        let hot = best.one_hot(anchors)?.reshape([n, cells, anchors])?.permute(&[0, 2, 1])?;
        let by = By::Mark { hot: hot.reshape([n, anchors, cells, 1])?, others };
        Ok(Self { anchors, by })
    }

    /// Of something of this head's rows, (N, R) or (N, R, K), what stands beside the other head's rows.
    pub fn of(&self, rows: &Tensor) -> Result<Tensor> {
        let &[n, count, ref rest @ ..] = rows.dims() else {
            return Err(Error::shape("rows of boxes", "(N, R, ..)", rows.shape().to_string()));
        };
        let cells = count / self.anchors.max(1);
        let on_map = rows.reshape([n, self.anchors, cells, rest.iter().product()])?;
        let parts = match &self.by {
            By::Place(places) if places.iter().copied().eq(0..self.anchors) => return Ok(rows.clone()),
            By::Place(places) => {
                places.iter().map(|&at| on_map.slice(1, at, 1)).collect::<Result<Vec<_>>>()?
            }
            By::Mark { hot, others } => vec![on_map.mul(hot)?.sum(&[1], true)?; *others],
        };
        let all = match &parts[..] {
            [one] => one.clone(),
            several => Tensor::concat(&several.iter().collect::<Vec<_>>(), 1)?,
        };
        all.reshape([&[n, parts.len() * cells], rest].concat())
    }
}

/// How much boxes, objectness and classes of rows count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::distill) struct RowWeights([f32; 3]);

impl RowWeights {
    /// The settings that say it; boxes count `boxes` where nothing is said, the others 1.
    pub const fn settings(boxes: f32) -> [Setting; 3] {
        [
            Setting::from_zero(Self::NAMES[0], boxes, "weight of the boxes"),
            Setting::from_zero(Self::NAMES[1], 1.0, "weight of objectness"),
            Setting::from_zero(Self::NAMES[2], 1.0, "weight of the classes"),
        ]
    }

    const NAMES: [&str; 3] = ["box-weight", "objectness-weight", "class-weight"];

    /// What the settings of `method` say.
    ///
    /// # Errors
    /// [`Error::Config`] where nothing counts.
    pub fn new(method: &str, values: &SettingValues) -> Result<Self> {
        match values.numbers(Self::NAMES)? {
            [0.0, 0.0, 0.0] => {
                Err(Error::config(method, "its three weights are 0: nothing is left to learn"))
            }
            weights => Ok(Self(weights)),
        }
    }

    /// The weighted sum of losses of boxes, objectness and classes, of one shape.
    pub fn sum(self, parts: &[Tensor; 3]) -> Result<Tensor> {
        let weighted = parts.iter().zip(self.0).filter(|(_, weight)| *weight > 0.0);
        sum_of(weighted.map(|(part, weight)| part.scale(weight)))
    }
}

/// The boxes that are there (N, M, 4) and their classes (N, M), as the step sees them.
///
/// # Errors
/// [`Error::Config`] for data that has none.
pub(in crate::distill) fn truths<'a>(
    method: &str,
    seen: &'a MethodContext<'_>,
) -> Result<(&'a Tensor, &'a Tensor)> {
    let boxes = seen.leaves.get(BOXES).and_then(|boxes| Ok((boxes, seen.leaves.get(BOX_CLASSES)?)));
    boxes.map_err(|error| {
        let message = format!("{method} reads the boxes that are there, and the data has none ({error})");
        Error::config("method", message)
    })
}
