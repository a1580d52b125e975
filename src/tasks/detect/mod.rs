//! Detection: boxes of classes in an image.
//!
//! The data has the fields of [`data::boxes`](crate::data::boxes); the model reads `images` and gives maps off which
//! [heads](crate::ops::boxes::YoloHead) read boxes. Learned is [`box_loss`]; measured is average precision.

mod found;
mod images;
mod loss;
mod measure;
mod meter;
mod pages;
mod read;

pub use found::{Found, Truth};
pub use images::{found_in, gather};
pub(crate) use loss::binary_cross_entropy;
pub use loss::{BoxLoss, TruthLeaves, box_loss};
pub use measure::{
    ClassPrecision, Confusion, ConfusionCell, CurvePoint, DetectionResult, Gathered, ImageMistakes, MapKind,
    SCORE,
};
pub use pages::sections;
pub use read::Keep;

use serde::{Deserialize, Serialize};

use super::images::Views;
use super::{ImageConfig, Leaves, Meter, Need, Rows, Task, TaskSpec, TaskTerm};
use crate::data::boxes::{BOX_CLASSES, BOX_TRUTHS, BOXES, IMAGE_FRAME};
use crate::data::{Field, FieldType, PIXELS, Source};
use crate::gpu::Gpu;
use crate::models::{Head, InputSpec, ModelConfig, Outputs, Values};
use crate::nn::Mode;
use crate::ops::augment::BoxAugment;
use crate::ops::augment_boxes::BoxBatch;
use crate::ops::boxes::{Nms, NmsKind};
use crate::tape::Tensor;
use crate::{Error, Result};

/// The list entry.
pub const SPEC: TaskSpec = TaskSpec {
    name: "detect",
    about: "boxes of classes in an image: CIoU and binary cross-entropy, average precision",
    offers: &[Need::Boxes, Need::Truths, Need::Taps, Need::Weights],
};

/// What a detection is asked to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DetectConfig {
    /// Weight of 1 - CIoU.
    pub box_weight: f32,
    /// Weight of objectness.
    pub objectness_weight: f32,
    /// Weight of the classes.
    pub class_weight: f32,
    /// Of two boxes of a class that overlap by more than this, the weaker one is left out.
    pub nms: f32,
    /// Overlap is lessened by (d^2 / c^2)^beta, d being the distance of the centres and c the diagonal of the box around both:
    /// 0.6 as in darknet's `greedynms`, or 0 for plain overlap (IoU).
    pub nms_beta: f32,
    /// Boxes of a lower score are not measured.
    pub least_score: f32,
    /// What "average precision" means.
    pub map: MapKind,
    /// How training images are augmented.
    #[serde(flatten)]
    pub augment: BoxAugment,
    /// Epochs after which there are no mosaics any more; never where absent.
    pub mosaic_epochs: Option<u32>,
}

impl Default for DetectConfig {
    fn default() -> Self {
        Self {
            box_weight: 3.0,
            objectness_weight: 1.0,
            class_weight: 1.0,
            nms: 0.45,
            nms_beta: 0.6,
            least_score: 0.005,
            map: MapKind::default(),
            augment: BoxAugment::default(),
            mosaic_epochs: None,
        }
    }
}

impl DetectConfig {
    /// Fails for settings that make no sense, by name.
    fn check(&self) -> Result<()> {
        let weights = [
            ("box_weight", self.box_weight),
            ("objectness_weight", self.objectness_weight),
            ("class_weight", self.class_weight),
        ];
        if let Some((name, weight)) = weights.iter().find(|(_, w)| !(w.is_finite() && *w >= 0.0)) {
            return Err(Error::config(*name, format!("expected 0 or more, got {weight}")));
        }
        for (name, share) in [("nms", self.nms), ("least_score", self.least_score)] {
            if !(0.0..=1.0).contains(&share) {
                return Err(Error::config(name, format!("expected 0 to 1, got {share}")));
            }
        }
        if !(self.nms_beta.is_finite() && self.nms_beta >= 0.0) {
            let message = format!("expected 0.6, or 0 for plain overlap, got {}", self.nms_beta);
            return Err(Error::config("nms_beta", message));
        }
        self.augment.check()
    }

    /// Which boxes are measured.
    pub fn keep(&self) -> Keep {
        let kind = if self.nms_beta > 0.0 { NmsKind::Diou { beta: self.nms_beta } } else { NmsKind::Iou };
        let nms = Nms { overlap: self.nms, threshold: self.least_score, most: MOST_FOUND, kind };
        Keep { score: self.least_score, nms }
    }
}

/// [`BoxLoss::overlap`] in [`Leaves::note`], of the first map.
const OVERLAP: &str = "overlap";

/// Boxes of an image that are measured, at most.
const MOST_FOUND: usize = 1000;

/// Detection of boxes.
#[derive(Debug, Clone)]
pub struct Detect {
    /// The field of pixels (3, H, W), u8 or f32.
    pixels: Field,
    size: [usize; 2],
    classes: Vec<String>,
    config: DetectConfig,
}

impl Detect {
    /// For a source with the fields of [`data::boxes`](crate::data::boxes), of boxes of these classes. Images are read as
    /// pixel / 255 where they are bytes, and as they are where they are floats, which are not augmented.
    ///
    /// # Errors
    /// [`Error::Config`] for a source without these fields, and for settings that make no sense.
    pub fn new(source: &dyn Source, classes: &[String], config: DetectConfig) -> Result<Self> {
        config.check()?;
        let (pixels, size) = check_fields(source)?;
        if pixels.dtype != FieldType::U8 && config.augment != BoxAugment::default() {
            let message = format!("augmentation works on u8 pixels, got {pixels}; leave it out");
            return Err(Error::config(format!("field {PIXELS} of {}", source.name()), message));
        }
        Ok(Self { size, pixels, classes: classes.to_vec(), config })
    }

    /// Its settings.
    pub fn config(&self) -> &DetectConfig {
        &self.config
    }
}

/// The pixels, and their height and width. Fails where a source lacks a field of boxes, or has one of another form.
fn check_fields(source: &dyn Source) -> Result<(Field, [usize; 2])> {
    let refuse = |expected: &str, field: &Field| {
        let name = format!("field {} of {}", field.name, source.name());
        Err(Error::config(name, format!("expected {expected}, got {field}")))
    };
    let pixels = source.field(PIXELS)?;
    let (FieldType::U8 | FieldType::F32, &[3, height, width]) = (pixels.dtype, &pixels.shape[..]) else {
        return refuse("u8 or f32 [3, height, width]", &pixels);
    };
    let forms: [(&str, FieldType, &[usize], &str); 4] = [
        (BOXES, FieldType::F32, &[4], "f32 [M, 4]"),
        (BOX_CLASSES, FieldType::I32, &[], "i32 [M]"),
        (BOX_TRUTHS, FieldType::F32, &[8], "f32 [M, 8]"),
        (IMAGE_FRAME, FieldType::F32, &[], "f32 [4]"),
    ];
    for (name, dtype, tail, expected) in forms {
        let field = source.field(name)?;
        if field.dtype != dtype || field.shape.get(1..) != Some(tail) {
            return refuse(expected, &field);
        }
    }
    Ok((pixels, [height, width]))
}

/// The boxes that are there, as the step sees them.
pub fn truths(leaves: &Leaves) -> Result<TruthLeaves<'_>> {
    Ok(TruthLeaves { boxes: leaves.get(BOXES)?, classes: leaves.get(BOX_CLASSES)?, scores: None })
}

/// The mean over the batch's samples of `sums` (N), without those that only fill it up, (1).
pub fn mean_of_samples(sums: &Tensor, leaves: &Leaves) -> Result<Tensor> {
    sums.mul(leaves.mask())?.sum(&[0], false)?.div(&leaves.mask().sum(&[0], false)?)
}

impl Task for Detect {
    fn spec(&self) -> &'static TaskSpec {
        &SPEC
    }

    fn model_config(&self) -> ModelConfig {
        ModelConfig {
            input: InputSpec::Image([3, self.size[0], self.size[1]]),
            head: Head::Boxes(self.classes.len()),
        }
    }

    fn check(&self, source: &dyn Source) -> Result<()> {
        let (found, _) = check_fields(source)?;
        if (&found.shape, found.dtype) == (&self.pixels.shape, self.pixels.dtype) {
            return Ok(());
        }
        let message = format!("expected {} as in the training set, got {found}", self.pixels);
        Err(Error::config(format!("data set {}", source.name()), message))
    }

    fn inputs(&self, leaves: &mut Leaves, mode: Mode) -> Result<Values> {
        if self.pixels.dtype == FieldType::F32 {
            return Ok(Values::images(leaves.get(PIXELS)?));
        }
        let augment = match mode {
            Mode::Train => self.config.augment,
            Mode::Eval => BoxAugment::default(),
        };
        let plain = BoxBatch::plain(self.size, [0.0; 3], [1.0; 3]);
        let batch = BoxBatch { augment, mosaic_epochs: self.config.mosaic_epochs, ..plain };
        let [pixels, boxes, classes] = [PIXELS, BOXES, BOX_CLASSES].map(|name| leaves.get(name));
        let shown = Tensor::augment_boxes(pixels?, leaves.ids(), boxes?, classes?, &batch)?;
        leaves.show(BOXES, shown.boxes);
        leaves.show(BOX_CLASSES, shown.classes);
        Ok(Values::images(&shown.images))
    }

    fn loss(&self, outputs: &Outputs, leaves: &Leaves) -> Result<Vec<TaskTerm>> {
        let loss = box_loss(outputs, &truths(leaves)?)?;
        if let Some((map, _)) = outputs.boxes().next() {
            leaves.note(map, OVERLAP, &loss.overlap);
        }
        let term =
            |name, sums: &Tensor, weight| Ok(TaskTerm { name, loss: mean_of_samples(sums, leaves)?, weight });
        Ok(vec![
            term("box", &loss.boxes, self.config.box_weight)?,
            term("objectness", &loss.objectness, self.config.objectness_weight)?,
            term("class", &loss.classes, self.config.class_weight)?,
        ])
    }

    fn rows(&self, _: &Outputs, _: &Leaves) -> Result<Option<Rows>> {
        Ok(None)
    }

    fn meter(&self, gpu: &Gpu) -> Result<Box<dyn Meter>> {
        let meter = meter::BoxMeter::new(gpu, self.config.keep(), self.config.map, &self.classes)?;
        Ok(Box::new(meter))
    }

    fn identity(&self) -> Vec<(&'static str, String)> {
        let DetectConfig { box_weight, objectness_weight, class_weight, augment, mosaic_epochs, .. } =
            &self.config;
        vec![
            ("box weights", format!("{box_weight:?} {objectness_weight:?} {class_weight:?}")),
            ("augmentation", serde_json::json!(augment).to_string()),
            ("mosaic epochs", format!("{mosaic_epochs:?}")),
        ]
    }

    fn views(&self) -> Views {
        Views {
            mean: vec![0.0; 3],
            std: vec![1.0; 3],
            augmentation: ImageConfig::default(),
            boxes: self.config.augment,
        }
    }
}
