//! Batches of bytes with boxes: mosaics, scale, shift, mirror and colours for images, the same for the boxes on them.
//!
//! An image is a mosaic by [`BoxAugment::mosaic`]: four quadrants, which meet at a random point between 0.2 and 0.8 of width and
//! height (as in darknet), show the image itself and three others of the batch, in random places. A piece is scaled, mirrored
//! and laid with a corner at that point, or up to `translate` beyond it, so that there is no gap between quadrants.
//! An image that is no mosaic is scaled about its middle and shifted. What lies beside a source is grey, 114/255. Bilinear with
//! the pixels' middles at halves, as OpenCV's `INTER_LINEAR` and PyTorch's `align_corners=False`.
//!
//! A box moves along and is cut where its piece ends. It is dropped, with class [`IGNORE_LABEL`] and all zero, where less is left
//! than two pixels of width or height or a tenth of its area, or more than 100 times as long as wide, which is YOLOv5's rule.
//!
//! Everything follows from the seed, the step's epoch and the sample id, and the sources of a mosaic from the batch besides:
//! a resumed run, which sees the same batches, sees the same; teacher and student share the op's outputs.

use super::colour::recolour;
use super::images::ImageBatch;
use super::settings::BoxAugment;
use super::view::{Choices, LEAST_SHARE, LEAST_SIDE, MOST_ASPECT, VIEW_VEC4S};
use crate::gpu::{Grid, Kernel};
use crate::ops::common::{expect_inputs, per_element};
use crate::ops::costs::Costs;
use crate::ops::labels::IGNORE_LABEL;
use crate::ops::spec::{Case, Fill, Input, OpSpec};
use crate::ops::update::define_scalar;
use crate::tape::{Array, DType, Lowering, Meta, Op, Scalar, Slot, Step, Tensor};
use crate::{Error, Result};

const VIEWS: &str = include_str!("../../../shaders/augment/box_views.wgsl");
const IMAGES: &str = include_str!("../../../shaders/augment/box_images.wgsl");
const PIXELS: &str = include_str!("../../../shaders/augment/box_pixels.wgsl");
const BOXES: &str = include_str!("../../../shaders/augment/boxes.wgsl");
/// `@workgroup_size` of the kernel that chooses views.
const VIEWS_WORKGROUP: usize = 64;
const CHANNELS: usize = 3;
/// A side is shifted by 18 bits, and must not become negative.
const MOST_SIDE: usize = 4096;
/// Places of the batch are drawn from 16 bits.
const MOST_IMAGES: usize = 65_536;

/// Inputs: pixels i32, four u8 of (N, 3, H, W) a little-endian word; sample ids i32 (N); boxes f32 (N, M, 4), centre and
/// sides in shares of the image; their classes i32 (N, M), below 0 for none. Outputs: images f32 (N, 3, H, W), boxes
/// f32 (N, M', 4) and classes i32 (N, M'), M' = 4 M where there may be mosaics, else M.
#[derive(Debug, Clone, PartialEq)]
pub struct BoxBatch {
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
    /// The mean of red, green and blue, of pixels in 0..=1.
    pub mean: [f32; 3],
    /// Their standard deviations, of pixels in 0..=1.
    pub std: [f32; 3],
    /// What happens to images and boxes.
    pub augment: BoxAugment,
    /// Multiplies the chance of a mosaic, so that mosaics may end before the training does without a new plan.
    pub mosaic_share: Option<Scalar>,
}

/// What [`Tensor::augment_boxes`] gives.
#[derive(Debug, Clone)]
pub struct Augmented {
    /// (N, 3, H, W) f32, normalised.
    pub images: Tensor,
    /// (N, M', 4) f32: centre x, centre y, width, height, in shares of the image; zeros where there is none.
    pub boxes: Tensor,
    /// (N, M') i32; [`IGNORE_LABEL`] where there is none.
    pub classes: Tensor,
}

impl BoxBatch {
    /// Images of this height and width as they are, and boxes where they are: for evaluation.
    pub fn plain([height, width]: [usize; 2], mean: [f32; 3], std: [f32; 3]) -> Self {
        Self { height, width, mean, std, augment: BoxAugment::default(), mosaic_share: None }
    }

    fn choices(&self) -> Choices {
        Choices::new([self.width, self.height], self.augment, self.mosaic_share)
    }

    /// Pieces whose boxes an image may show.
    fn pieces(&self) -> usize {
        if self.augment.mosaic > 0.0 { 4 } else { 1 }
    }

    fn check(&self) -> Result<()> {
        self.augment.check()?;
        let sides = 1..=MOST_SIDE;
        let fail = |expected: String| Err(Error::shape("augment_boxes", expected, format!("{self:?}")));
        if !sides.contains(&self.height) || !sides.contains(&self.width) {
            return fail(format!("a height and width from 1 to {MOST_SIDE}"));
        }
        let usable = self.mean.iter().all(|m| m.is_finite());
        if !usable || !self.std.iter().all(|s| s.is_finite() && *s > 0.0) {
            return fail("finite means and positive finite stds".into());
        }
        Ok(())
    }

    /// Images and places for boxes.
    fn sizes(&self, inputs: &[Meta]) -> Result<[usize; 2]> {
        let name = "augment_boxes";
        expect_inputs(name, inputs, 4)?;
        let [pixels, ids, boxes, classes] = [0, 1, 2, 3].map(|i| &inputs[i]);
        let fail = |expected: String, got: &Meta| Err(Error::shape(name, expected, got.to_string()));
        let n = ids.len();
        if ids.dtype != DType::I32 || ids.shape.rank() != 1 || n > MOST_IMAGES {
            return fail(format!("sample ids i32 (N) of at most {MOST_IMAGES} images"), ids);
        }
        let words = (n * CHANNELS * self.height * self.width).div_ceil(4);
        if pixels.dtype != DType::I32 || pixels.len() != words {
            let shape = [n, CHANNELS, self.height, self.width];
            return fail(format!("{words} words i32 of packed pixels for {shape:?}"), pixels);
        }
        let places = match boxes.shape.dims() {
            &[images, places, 4] if boxes.dtype == DType::F32 && images == n && places > 0 => places,
            _ => return fail(format!("boxes f32 ({n}, M, 4) with M of at least 1"), boxes),
        };
        if *classes != Meta::i32([n, places]) {
            return fail(format!("classes {} of the boxes", Meta::i32([n, places])), classes);
        }
        Ok([n, places])
    }

    /// A kernel with what all of them have.
    fn kernel(&self, entry: &'static str, source: &'static str) -> Kernel {
        Kernel::new("augment_boxes", entry, source).define("WIDTH", self.width).define("HEIGHT", self.height)
    }

    /// Pixels of a row that an invocation makes: all of them whole vec4 where rows are.
    fn run(&self, most: usize) -> usize {
        let fits = |run: &usize| *run <= most && self.width.is_multiple_of(*run);
        [32, 16, 8, 4].into_iter().find(fits).unwrap_or(1)
    }

    fn choose(&self, images: usize) -> Kernel {
        let BoxAugment { mosaic, flip, hsv: [hue, saturation, value], .. } = self.augment;
        let (choices, share) = (self.choices(), self.mosaic_share);
        let [least, gains] = choices.gains();
        let [shift_x, shift_y] = choices.shifts();
        let kernel = self
            .kernel("choose", VIEWS)
            .define("BATCH", images.max(1))
            .define_f32("MOSAIC", mosaic)
            .define_f32("FLIP", flip)
            .define_f32("HUE", hue)
            .define_f32("SATURATION", saturation)
            .define_f32("VALUE", value)
            .define_i32("GAIN_LOW", least)
            .define_i32("GAIN_RANGE", gains)
            .define_i32("SHIFT_X", shift_x)
            .define_i32("SHIFT_Y", shift_y)
            .define("SHARE", share.is_some().into());
        match share {
            Some(share) => define_scalar(kernel, ["SHARE_VEC", "SHARE_LANE"], share),
            None => kernel,
        }
    }
}

impl Op for BoxBatch {
    fn name(&self) -> &'static str {
        "augment_boxes"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        self.check()?;
        let [n, places] = self.sizes(inputs)?;
        let places = self.pieces() * places;
        let images = Meta::f32([n, CHANNELS, self.height, self.width]);
        Ok(vec![images, Meta::f32([n, places, 4]), Meta::i32([n, places])])
    }

    fn differentiable(&self) -> bool {
        false
    }

    /// Rounded to f16, a box would lie beside what it is of.
    fn keep_f32(&self) -> &[usize] {
        &[1]
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let (n, places) = (to.input(1)[0], to.input(2)[1]);
        let views = to.scratch(n * VIEW_VEC4S * 4);
        let grid = Grid::linear(n.div_ceil(VIEWS_WORKGROUP));
        to.dispatch(self.choose(n), &[Slot::Input(1), views, Slot::Step], grid);

        let plane = self.height * self.width;
        let packed = to.scratch(n * plane);
        let whole = plane.is_multiple_of(4);
        let pack = self.kernel("pack", PIXELS).define("PLANE", plane).define("VECTOR", whole.into());
        per_element(to, pack, &[Slot::Input(0), packed], if whole { n * plane / 4 } else { n * plane });

        let run = self.run(Costs::of(to.caps()).augmented_pixels);
        let images = self
            .kernel("images", IMAGES)
            .define("RUN", run)
            .define("EACH", run.min(4))
            .define("VECTOR", (run >= 4).into())
            .define("MOSAICS", (self.augment.mosaic > 0.0).into())
            .define("RECOLOUR", self.augment.recolours().into())
            .define_each_f32("MEAN", self.mean)
            .define_each_f32("STD", self.std);
        per_element(to, images, &[packed, views, Slot::Output(0)], n * plane / run);

        let boxes = self
            .kernel("move_boxes", BOXES)
            .define("PIECES", self.pieces())
            .define("PLACES", places)
            .define_f32("LEAST_SIDE", LEAST_SIDE)
            .define_f32("LEAST_SHARE", LEAST_SHARE)
            .define_f32("MOST_ASPECT", MOST_ASPECT)
            .define_i32("IGNORED", IGNORE_LABEL);
        let bindings = [Slot::Input(2), Slot::Input(3), views, Slot::Output(1), Slot::Output(2)];
        per_element(to, boxes, &bindings, n * self.pieces() * places);
        Ok(())
    }

    fn reference(&self, step: &Step, inputs: &[Array]) -> Vec<Array> {
        let bytes: Vec<u8> = inputs[0].data.iter().flat_map(|&word| (word as i32).to_le_bytes()).collect();
        let (ids, boxes, classes) = (&inputs[1].data, &inputs[2], &inputs[3].data);
        let (h, w, places) = (self.height, self.width, boxes.dims()[1]);
        let mut images = vec![0.0; ids.len() * CHANNELS * h * w];
        let (mut moved, mut moved_classes) = (Vec::new(), Vec::new());
        for (n, &id) in ids.iter().enumerate() {
            let view = self.choices().view(step, n, id as i32, ids.len());
            for i in 0..h * w {
                let mut rgb = view.pixel(&bytes, [(i % w) as i32, (i / w) as i32], [w, h]);
                if self.augment.recolours() {
                    rgb = recolour(rgb, view.colour.map(f64::from));
                }
                for (c, value) in rgb.into_iter().enumerate() {
                    let normal = (value - f64::from(self.mean[c])) / f64::from(self.std[c]);
                    images[(n * CHANNELS + c) * h * w + i] = normal;
                }
            }
            for i in 0..self.pieces() * places {
                let (q, place) = (i / places, view.pieces[i / places].source * places + i % places);
                let shown = view.moved(q, &boxes.data[4 * place..][..4], [w, h]);
                let shown = shown.filter(|_| classes[place] >= 0.0);
                moved.extend(shown.unwrap_or_default());
                moved_classes.push(shown.map_or(f64::from(IGNORE_LABEL), |_| classes[place]));
            }
        }
        let places = self.pieces() * places;
        vec![
            Array::new([ids.len(), CHANNELS, h, w], images),
            Array::new([ids.len(), places, 4], moved),
            Array::new([ids.len(), places], moved_classes),
        ]
    }

    fn flops(&self, _: &[Meta], outputs: &[Meta]) -> u64 {
        // Three times between two pixels, and normalising; about as much again for other colours.
        let each = if self.augment.recolours() { 24 } else { 12 };
        each * outputs[0].len() as u64
    }
}

impl Tensor {
    /// Images and boxes as [`BoxBatch`] says. `pixels` i32, four u8 of (N, 3, H, W) a word; `ids` i32 (N), the sample ids;
    /// `boxes` f32 (N, M, 4); `classes` i32 (N, M). With settings that change nothing, boxes and classes are given back as
    /// they came.
    ///
    /// # Errors
    /// [`Error::Config`] for a setting out of range, [`Error::Shape`] for inputs that do not fit one another.
    pub fn augment_boxes(
        pixels: &Tensor,
        ids: &Tensor,
        boxes: &Tensor,
        classes: &Tensor,
        batch: &BoxBatch,
    ) -> Result<Augmented> {
        if !batch.augment.is_random() {
            batch.check()?;
            batch.sizes(&[pixels, ids, boxes, classes].map(|tensor| tensor.meta().clone()))?;
            let plain = ImageBatch::plain([CHANNELS, batch.height, batch.width], &batch.mean, &batch.std);
            let images = Tensor::image_batch(pixels, ids, &plain)?;
            return Ok(Augmented { images, boxes: boxes.clone(), classes: classes.clone() });
        }
        let made = pixels.tape().record(batch.clone(), &[pixels, ids, boxes, classes])?;
        match <[Tensor; 3]>::try_from(made) {
            Ok([images, boxes, classes]) => Ok(Augmented { images, boxes, classes }),
            Err(made) => {
                Err(Error::misuse("augment_boxes", "an op with three outputs", made.len().to_string()))
            }
        }
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "augment_boxes", cases };

fn cases() -> Vec<Case> {
    let case = |n: usize, [height, width]: [usize; 2], places: usize, augment: BoxAugment| {
        let (mean, std) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
        let batch = BoxBatch { augment, ..BoxBatch::plain([height, width], mean, std) };
        let words = (n * CHANNELS * height * width).div_ceil(4);
        let any = Fill::Uniform(f64::from(i32::MIN), f64::from(i32::MAX));
        let pixels = Input { meta: Meta::i32([words]), fill: any, grad: false };
        let classes = Fill::Values(vec![3.0, 0.0, -1.0, 79.0, 1.0]);
        let classes = Input { meta: Meta::i32([n, places]), fill: classes, grad: false };
        // Some reach beyond the image, some are too thin to be kept.
        let boxes = Input::filled([n, places, 4], Fill::Uniform(0.0, 0.9)).no_grad();
        (batch, vec![pixels, Input::below([n], 1_000_000), boxes, classes])
    };
    let usual = BoxAugment::usual();
    let half = BoxAugment { mosaic: 0.5, ..usual };
    let moved = BoxAugment { mosaic: 0.0, hsv: [0.0; 3], ..usual };
    let colours = BoxAugment { hsv: [0.5, 1.0, 1.0], ..Default::default() };
    let mut all: Vec<Case> = [
        case(5, [32, 32], 7, half),
        case(3, [23, 37], 7, usual),
        case(1, [40, 24], 1, usual),
        case(3, [17, 28], 1, BoxAugment { flip: 1.0, ..usual }),
        case(4, [20, 21], 7, moved),
        case(4, [64, 96], 41, BoxAugment { scale: 0.9, translate: 0.5, ..moved }),
        case(2, [13, 12], 3, colours),
        case(2, [9, 7], 3, BoxAugment { mosaic: 1.0, ..Default::default() }),
        case(2, [1, 1], 1, usual),
        case(70, [8, 4], 2, BoxAugment { mosaic: 1.0, ..colours }),
        case(0, [16, 16], 5, usual),
        case(1, [1, 4096], 1, BoxAugment { scale: 0.9, ..moved }),
    ]
    .into_iter()
    .map(|(batch, inputs)| Case::new(batch, inputs))
    .collect();
    let (batch, inputs) = case(8, [12, 16], 2, usual);
    let share = Some(Scalar::for_cases(9));
    all.push(Case::new(BoxBatch { mosaic_share: share, ..batch }, inputs));
    all
}
