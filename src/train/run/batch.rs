//! A batch's leaves on a tape, and how it gets there.

use crate::Result;
use crate::data::{Batch, Dataset};
use crate::ops::augment::ImageBatch;
use crate::tape::{Plan, Tape, Tensor};

/// How images of `data` are decoded, normalised and augmented.
pub(in crate::train) fn views(data: &Dataset, crop_padding: usize, flip: bool) -> ImageBatch {
    let shape = [data.channels, data.height, data.width];
    ImageBatch { crop_padding, flip, ..ImageBatch::plain(shape, &data.mean, &data.std) }
}

/// A batch's leaves and the images decoded from them.
pub(in crate::train) struct Inputs {
    pixels: Tensor,
    pub labels: Tensor,
    pub ids: Tensor,
    /// (N, C, H, W), normalised and augmented.
    pub images: Tensor,
}

impl Inputs {
    pub fn new(tape: &Tape, batch_size: usize, config: &ImageBatch) -> Result<Self> {
        let words = (batch_size * config.channels * config.height * config.width).div_ceil(4);
        let pixels = tape.input_i32("pixels", [words]);
        let labels = tape.input_i32("labels", [batch_size]);
        let ids = tape.input_i32("sample ids", [batch_size]);
        let images = Tensor::image_batch(&pixels, &ids, config)?;
        Ok(Self { pixels, labels, ids, images })
    }

    pub fn write(&self, plan: &Plan, batch: &Batch) -> Result<()> {
        plan.write(&self.pixels, &batch.pixels)?;
        plan.write(&self.labels, &batch.labels)?;
        plan.write(&self.ids, &batch.sample_ids)
    }
}
