//! Vectors that are like others: a small space of words that keeps what a large one says of them.
//!
//! The data has `words`, i32, and `vectors`, f32 (D), of the large space; the model gives `numbers` (N, K). A sample may also be
//! several words that belong together, `words` (G) and `vectors` (G, D); N is then those of all. What is compared
//! are the cosines of all pairs of a batch in both spaces, so that D and K may differ: see [`Closeness`]. Measured is
//! the root mean square of the cosines' differences, over the pairs of different words of each batch. (A word's cosine with itself
//! is 1 in both, but for a row of zeros, whose is 0.)

mod closeness;
mod meter;

pub use closeness::Closeness;
use closeness::OUT;

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
    offers: &[Need::Taps, Need::Weights],
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
    if words.dtype != FieldType::I32 || words.shape.len() > 1 {
        return refuse(WORDS, "i32, one number or [G]", words.to_string());
    }
    let vectors = source.field(VECTORS)?;
    match (&vectors.shape[..], vectors.dtype) {
        (&[ref group @ .., width], FieldType::F32) if width > 0 && *group == words.shape => Ok(width),
        _ => refuse(VECTORS, "f32, [D] for each of words", vectors.to_string()),
    }
}

/// Most words of a batch, which are all compared with each other: 64 MiB a space.
pub const MOST_WORDS: usize = 4096;

/// [`products`] in [`Leaves::note`], of the numbers.
const PRODUCTS: &str = "products";

/// 1 for each word of a batch and 0 for what only fills it up, f32 (N).
fn counted(outputs: &Outputs, leaves: &Leaves) -> Result<Tensor> {
    let (samples, n) = (leaves.batch_size(), outputs.get(NUMBERS)?.dims()[0]);
    leaves.mask().reshape([samples, 1])?.broadcast_to([samples, n / samples.max(1)])?.reshape([n])
}

/// Cosines of all pairs of a batch in the small space and in the large one, (N, N) each: of what only fills the batch up, a row
/// is 0 and a column [`OUT`] below 0, in both.
fn products(outputs: &Outputs, leaves: &Leaves) -> Result<[Tensor; 2]> {
    let numbers = outputs.get(NUMBERS)?;
    if let Some(Ok(noted)) = leaves.noted(numbers, PRODUCTS).map(<[Tensor; 2]>::try_from) {
        return Ok(noted);
    }
    let n = numbers.dims()[0];
    if n > MOST_WORDS {
        let message = format!(
            "all words of a batch are compared with each other: expected at most {MOST_WORDS}, got {n}"
        );
        return Err(Error::config("batch_size", message));
    }
    let mask = counted(outputs, leaves)?.reshape([n, 1])?;
    // What rows and columns have beside their vectors: four numbers, as products are fastest for multiples of four.
    let beside =
        |first: &Tensor| Tensor::concat(&[first, &first.tape().constant([n, 3], &vec![0.0; 3 * n])?], 1);
    let (of_rows, of_columns) = (beside(&mask)?, beside(&mask.add_scalar(-1.0)?.scale(OUT)?)?);
    let pairs = |x: &Tensor| {
        let unit = x.normalize()?.mul(&mask.broadcast_to(x.shape().clone())?)?;
        let [rows, columns] = [&of_rows, &of_columns].map(|beside| Tensor::concat(&[&unit, beside], 1));
        rows?.gemm(&columns?, false, true)
    };
    let vectors = leaves.get(VECTORS)?;
    let large = vectors.reshape([n, vectors.meta().len() / n.max(1)])?;
    let found = [pairs(numbers)?, pairs(&large)?.detach()?];
    leaves.note(numbers, PRODUCTS, &found);
    Ok(found)
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
        let words = leaves.get(WORDS)?;
        Ok(Values::one(WORDS, words.reshape([words.meta().len()])?))
    }

    fn loss(&self, outputs: &Outputs, leaves: &Leaves) -> Result<Vec<TaskTerm>> {
        let [small, large] = products(outputs, leaves)?;
        let loss = self.closeness.loss(&small, &large, &counted(outputs, leaves)?)?;
        Ok(vec![TaskTerm { name: self.closeness.name(), loss, weight: 1.0 }])
    }

    /// Numbers of spaces of different widths have nothing in common, one by one.
    fn rows(&self, _: &Outputs, _: &Leaves) -> Result<Option<Rows>> {
        Ok(None)
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
