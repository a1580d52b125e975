//! Vectors that are like others: a small space of words that keeps what a large one says of them.
//!
//! The data has `words`, i32, and `vectors`, f32 (D), of the large space; the model gives `numbers` (N, K). What is compared
//! are the cosines of all pairs of a batch in both spaces, so that D and K may differ: see [`Closeness`]. Measured is
//! the root mean square of the cosines' differences, over the pairs of different words of each batch.

mod closeness;
mod meter;

pub use closeness::Closeness;

use super::{Leaves, Meter, Need, Rows, Task, TaskSpec, TaskTerm, Views};
use crate::data::{FieldType, Source};
use crate::gpu::Gpu;
use crate::models::{Head, InputSpec, ModelConfig, NUMBERS, Outputs, Values, WORDS};
use crate::nn::Mode;
use crate::tape::Tensor;
use crate::{Error, Result};

/// The list entry.
pub const SPEC: TaskSpec = TaskSpec {
    name: "vectors",
    about: "vectors of words that are like those of a larger space",
    offers: &[Need::Numbers, Need::Taps, Need::Weights],
};

/// The field of the vectors of the large space, f32 (D).
pub const VECTORS: &str = "vectors";

/// Vectors that are like those of a larger space.
#[derive(Debug, Clone)]
pub struct Vectors {
    words: usize,
    /// Of the large space, and of the small one.
    widths: [usize; 2],
    closeness: Closeness,
}

impl Vectors {
    /// For a source with the fields `words` of 0 to `words` - 1 and `vectors`, of which there are to be ones of `width`
    /// numbers.
    ///
    /// # Errors
    /// [`Error::Config`] for a source without these fields, and for a width or settings that make no sense.
    pub fn new(source: &dyn Source, words: usize, width: usize, closeness: Closeness) -> Result<Self> {
        closeness.check()?;
        if width == 0 {
            return Err(Error::config("width", "expected at least 1 number a vector"));
        }
        Ok(Self { words, widths: [check(source)?, width], closeness })
    }
}

/// Numbers of a vector; fails where a field is none of this task.
fn check(source: &dyn Source) -> Result<usize> {
    let refuse = |field: &str, expected: &str, got: String| {
        Err(Error::config(
            format!("field {field} of {}", source.name()),
            format!("expected {expected}, got {got}"),
        ))
    };
    let words = source.field(WORDS)?;
    if words.dtype != FieldType::I32 || !words.shape.is_empty() {
        return refuse(WORDS, "i32, one number", words.to_string());
    }
    let vectors = source.field(VECTORS)?;
    match (&vectors.shape[..], vectors.dtype) {
        (&[width], FieldType::F32) if width > 0 => Ok(width),
        _ => refuse(VECTORS, "f32 [D]", vectors.to_string()),
    }
}

/// Cosines of all pairs of a batch in the small space and in the large one, (N, N) each.
fn cosines(outputs: &Outputs, leaves: &Leaves) -> Result<[Tensor; 2]> {
    let pairs = |x: &Tensor| {
        let unit = x.normalize()?;
        unit.gemm(&unit, false, true)
    };
    Ok([pairs(outputs.get(NUMBERS)?)?, pairs(leaves.get(VECTORS)?)?.detach()?])
}

impl Task for Vectors {
    fn spec(&self) -> &'static TaskSpec {
        &SPEC
    }

    fn model_config(&self) -> ModelConfig {
        ModelConfig { input: InputSpec::Words(self.words), head: Head::Numbers(self.widths[1]) }
    }

    fn check(&self, source: &dyn Source) -> Result<()> {
        let width = check(source)?;
        if width == self.widths[0] {
            return Ok(());
        }
        let message =
            format!("expected vectors of {} numbers as in the training set, got {width}", self.widths[0]);
        Err(Error::config(format!("data set {}", source.name()), message))
    }

    fn inputs(&self, leaves: &mut Leaves, _: Mode) -> Result<Values> {
        Ok(Values::one(WORDS, leaves.get(WORDS)?.clone()))
    }

    fn loss(&self, outputs: &Outputs, leaves: &Leaves) -> Result<Vec<TaskTerm>> {
        let [small, large] = cosines(outputs, leaves)?;
        let loss = self.closeness.loss(&small, &large, leaves.mask())?;
        Ok(vec![TaskTerm { name: self.closeness.name(), loss, weight: 1.0 }])
    }

    fn rows(&self, outputs: &Outputs, _: &Leaves) -> Result<Option<Rows>> {
        Ok(Some(Rows { values: outputs.get(NUMBERS)?.clone(), labels: None, weights: None }))
    }

    fn meter(&self, gpu: &Gpu) -> Result<Box<dyn Meter>> {
        Ok(Box::new(meter::CosineMeter::new(gpu)?))
    }

    fn identity(&self) -> Vec<(&'static str, String)> {
        vec![("closeness", format!("{:?}", self.closeness))]
    }

    fn views(&self) -> Views {
        Views::default()
    }
}
