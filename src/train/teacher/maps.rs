//! What a detector gives, on disk: maps off which boxes are read, in place of logits.

use serde::{Deserialize, Serialize};

use crate::ops::boxes::YoloHead;

/// Most classes, rows and columns that a file may claim: hostile numbers must not overflow.
const MOST: usize = 1 << 20;

/// A detector's map on disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredMap {
    /// Its name among the network's outputs.
    pub name: String,
    /// Its height and width.
    pub cells: [usize; 2],
    /// How boxes are read off it.
    pub head: YoloHead,
}

impl StoredMap {
    /// Fails where its numbers are none of a map for so many classes, and says how.
    pub(super) fn check(&self, classes: usize) -> Result<(), String> {
        let Self { name, cells, head } = self;
        let small = |n: usize| (1..=MOST).contains(&n);
        if !small(head.classes) || head.classes != classes || !cells.iter().all(|n| small(*n)) {
            let found = format!("{cells:?} and {}", head.classes);
            return Err(format!(
                "map \"{name}\": expected cells and the file's {classes} classes, found {found}"
            ));
        }
        head.check("teacher outputs").map_err(|e| format!("map \"{name}\": {e}"))
    }

    /// Of a sample: (A (5 + C), H, W).
    pub fn shape(&self) -> [usize; 3] {
        [self.head.channels(), self.cells[0], self.cells[1]]
    }
}

/// The tensor of a map.
pub(in crate::train) fn map_tensor(name: &str) -> String {
    format!("map.{name}")
}
