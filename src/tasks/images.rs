//! Images as models read them, from a field of pixels: normalised and, in training, augmented, on the device.

use serde::{Deserialize, Serialize};

use super::{Leaves, Reads};
use crate::data::{FieldType, PIXELS, Source};
use crate::models::{InputSpec, Values};
use crate::nn::Mode;
use crate::ops::augment::{BoxAugment, ImageBatch};
use crate::tape::Tensor;
use crate::{Error, Result};

/// Most channels of the kernel that decodes, normalises and augments at once.
const AUGMENTED_CHANNELS: usize = 4;

/// How training images are augmented.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageConfig {
    /// Black pixels around an image before its random crop; 0 for none.
    pub crop_padding: usize,
    /// Random horizontal flips.
    pub flip: bool,
}

impl ImageConfig {
    /// Whether each epoch sees other views.
    pub fn is_random(&self) -> bool {
        self.crop_padding > 0 || self.flip
    }
}

/// What a model is shown of each sample: a teacher's outputs on disk are valid for the same views only.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Views {
    /// Mean that was subtracted, for each channel; empty where nothing is normalised.
    pub mean: Vec<f32>,
    /// Standard deviation that was divided by, likewise.
    pub std: Vec<f32>,
    /// How training images are augmented.
    pub augmentation: ImageConfig,
    /// How those with boxes are.
    pub boxes: BoxAugment,
}

/// How the field `pixels` becomes images (N, C, H, W).
#[derive(Debug, Clone)]
pub struct Images {
    shape: [usize; 3],
    dtype: FieldType,
    mean: Vec<f32>,
    std: Vec<f32>,
    config: ImageConfig,
}

impl Images {
    /// For the field `pixels` of `source`, (C, H, W). `mean` and `std` (C) are of pixel / 255 for bytes, and of the values
    /// themselves for floats.
    ///
    /// # Errors
    /// [`Error::Config`] where the field is no image, and for settings that do not fit it.
    pub fn new(source: &dyn Source, mean: &[f32], std: &[f32], config: ImageConfig) -> Result<Self> {
        let field = source.field(PIXELS)?;
        let refuse =
            |message: String| Err(Error::config(format!("field {field} of {}", source.name()), message));
        let (Ok(shape), FieldType::U8 | FieldType::F32) =
            (<[usize; 3]>::try_from(&field.shape[..]), field.dtype)
        else {
            return refuse("expected images (channels, height, width), u8 or f32".into());
        };
        if mean.len() != shape[0] || std.len() != shape[0] {
            return refuse(format!(
                "expected a mean and std for each of {} channels, got {mean:?} and {std:?}",
                shape[0]
            ));
        }
        let finite = mean.iter().all(|m| m.is_finite()) && std.iter().all(|s| s.is_finite() && *s > 0.0);
        if !finite {
            return refuse(format!("expected finite means and stds above 0, got {mean:?} and {std:?}"));
        }
        let images = Self { shape, dtype: field.dtype, mean: mean.to_vec(), std: std.to_vec(), config };
        if config.is_random() && !images.is_decoded_at_once() {
            return refuse(format!(
                "crop_padding and flip work on u8 pixels of at most {AUGMENTED_CHANNELS} channels; augment these in the \
                 source's fill"
            ));
        }
        Ok(images)
    }

    /// (x - mean) / std by channel, of x (N, C, H, W).
    fn normalise(&self, x: &Tensor) -> Result<Tensor> {
        let by_channel = |values: Vec<f32>| x.tape().constant([1, values.len(), 1, 1], &values);
        let shift = by_channel(self.mean.iter().map(|mean| -mean).collect())?;
        let factor = by_channel(self.std.iter().map(|std| 1.0 / std).collect())?;
        x.add(&shift.broadcast_to(x.shape().clone())?)?.mul(&factor.broadcast_to(x.shape().clone())?)
    }

    fn is_decoded_at_once(&self) -> bool {
        self.dtype == FieldType::U8 && self.shape[0] <= AUGMENTED_CHANNELS
    }
}

impl Reads for Images {
    fn input(&self) -> InputSpec {
        InputSpec::Image(self.shape)
    }

    fn check(&self, source: &dyn Source) -> Result<()> {
        let field = source.field(PIXELS)?;
        if field.shape == self.shape && field.dtype == self.dtype {
            return Ok(());
        }
        let message = format!("expected {:?} as in the training set, got {field}", self.shape);
        Err(Error::config(format!("data set {}", source.name()), message))
    }

    /// Records the images, (N, C, H, W).
    fn record(&self, leaves: &Leaves, mode: Mode) -> Result<Values> {
        let pixels = leaves.get(PIXELS)?;
        let [c, h, w] = self.shape;
        let images = match self.dtype {
            FieldType::U8 if self.is_decoded_at_once() => {
                let plain = ImageBatch::plain(self.shape, &self.mean, &self.std);
                let ImageConfig { crop_padding, flip } = match mode {
                    Mode::Train => self.config,
                    Mode::Eval => ImageConfig::default(),
                };
                Tensor::image_batch(pixels, leaves.ids(), &ImageBatch { crop_padding, flip, ..plain })?
            }
            FieldType::U8 => {
                let plane = ImageBatch::plain([1, c * h, w], &[0.0], &[1.0]);
                let decoded = Tensor::image_batch(pixels, leaves.ids(), &plane)?;
                self.normalise(&decoded.reshape([leaves.batch_size(), c, h, w])?)?
            }
            _ => self.normalise(pixels)?,
        };
        Ok(Values::images(&images))
    }

    fn views(&self) -> Views {
        Views {
            mean: self.mean.clone(),
            std: self.std.clone(),
            augmentation: self.config,
            boxes: BoxAugment::default(),
        }
    }

    fn identity(&self) -> Vec<(&'static str, String)> {
        vec![
            ("normalisation", format!("{:?} {:?}", self.mean, self.std)),
            ("crop_padding", self.config.crop_padding.to_string()),
            ("flip", self.config.flip.to_string()),
        ]
    }
}
