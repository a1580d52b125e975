//! Packed u8 images to normalised f32 ones: y = (pixel / 255 - mean) / std, after a random crop and a random flip.
//!
//! The crop is torchvision's: `crop_padding` black pixels on each side, then a window of the image's size anywhere in it;
//! the flip mirrors that window, for every second image. The view is a function of the seed, the step's epoch and the
//! sample id, so teacher and student, a resumed run, and a batch in another order all see the same one.

use crate::gpu::Kernel;
use crate::ops::common::{elementwise, expect_inputs};
use crate::ops::spec::{Case, Fill, Input, OpSpec};
use crate::rng;
use crate::tape::{Array, DType, Lowering, Meta, Op, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../../shaders/augment/image_batch.wgsl");
/// As in the shader.
const DOMAIN: u32 = 0x696d_6167;
const MOST_CHANNELS: usize = 4;
/// Most padding: offsets are drawn from 16 bits.
const MOST_PADDING: usize = 1024;

/// Inputs: pixels i32, four u8 of N * C * H * W a little-endian word; sample ids i32 (N). Output: (N, C, H, W) f32.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageBatch {
    /// At most 4.
    pub channels: usize,
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
    /// One mean a channel, of pixels in 0..=1.
    pub mean: Vec<f32>,
    /// One standard deviation a channel, of pixels in 0..=1.
    pub std: Vec<f32>,
    /// Black pixels on each side before the crop; 0 for no crop.
    pub crop_padding: usize,
    /// Whether every second image is mirrored.
    pub flip: bool,
}

impl ImageBatch {
    /// Images of this size as they are, without crop or flip: for evaluation.
    pub fn plain([channels, height, width]: [usize; 3], mean: &[f32], std: &[f32]) -> Self {
        let (mean, std) = (mean.to_vec(), std.to_vec());
        Self { channels, height, width, mean, std, crop_padding: 0, flip: false }
    }

    fn is_random(&self) -> bool {
        self.crop_padding > 0 || self.flip
    }

    /// Rows and columns that the crop starts at in the padded image, and whether it is mirrored.
    fn view(&self, step: &Step, id: i32) -> (usize, usize, bool) {
        let [lo, hi] = step.seed_words();
        let draw = |n: u32| {
            rng::random_bits([lo, hi ^ DOMAIN, id as u32], 3u32.wrapping_mul(step.epoch).wrapping_add(n))
        };
        let offset = |bits: u32| ((bits >> 16) as usize * (2 * self.crop_padding + 1)) >> 16;
        (offset(draw(0)), offset(draw(1)), self.flip && draw(2) >> 31 != 0)
    }

    fn check(&self) -> Result<()> {
        let fail = |expected: &str| Err(Error::shape("image_batch", expected, format!("{self:?}")));
        if self.channels == 0 || self.channels > MOST_CHANNELS || self.height == 0 || self.width == 0 {
            return fail("1 to 4 channels, and height and width of at least 1");
        }
        if self.mean.len() != self.channels || self.std.len() != self.channels {
            return fail("one mean and one std for each channel");
        }
        let usable = |m: &f32, s: &f32| m.is_finite() && s.is_finite() && *s > 0.0;
        if !self.mean.iter().zip(&self.std).all(|(m, s)| usable(m, s)) {
            return fail("finite means and positive finite stds");
        }
        if self.crop_padding > MOST_PADDING {
            return fail("a crop padding of at most 1024");
        }
        Ok(())
    }
}

impl Op for ImageBatch {
    fn name(&self) -> &'static str {
        "image_batch"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 2)?;
        self.check()?;
        let (pixels, ids) = (&inputs[0], &inputs[1]);
        if pixels.dtype != DType::I32 || ids.dtype != DType::I32 || ids.shape.rank() != 1 {
            let got = format!("{pixels} and {ids}");
            return Err(Error::shape(self.name(), "packed pixels i32 and sample ids i32 (N)", got));
        }
        let shape = [ids.len(), self.channels, self.height, self.width];
        let words = shape.iter().product::<usize>().div_ceil(4);
        if pixels.len() != words {
            let expected = format!("{words} words of packed pixels for {shape:?}");
            return Err(Error::shape(self.name(), expected, pixels.to_string()));
        }
        Ok(vec![Meta::f32(shape)])
    }

    fn differentiable(&self) -> bool {
        false
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let y = to.output(0);
        let channels = |values: &[f32], rest: f32| {
            let values = values.iter().copied().chain(std::iter::repeat(rest));
            values.take(MOST_CHANNELS).collect::<Vec<f32>>()
        };
        let kernel = Kernel::new(self.name(), "forward", SHADER)
            .define("RANDOM", self.is_random().into())
            .define("WHOLE_WORDS", (!self.is_random() && (self.height * self.width).is_multiple_of(4)).into())
            .define("CHANNELS", self.channels)
            .define("HEIGHT", self.height)
            .define("WIDTH", self.width)
            .define("PLANES", y[0] * y[1])
            .define("CROP_PADDING", self.crop_padding)
            .define("FLIP", self.flip.into())
            .define_each_f32("MEAN", channels(&self.mean, 0.0))
            .define_each_f32("STD", channels(&self.std, 1.0));
        // Without a random view neither ids nor step are read, and what a kernel does not use it does not bind.
        let mut bindings = vec![Slot::Input(0)];
        if self.is_random() {
            bindings.extend([Slot::Input(1), Slot::Output(0), Slot::Step]);
        } else {
            bindings.push(Slot::Output(0));
        }
        elementwise(to, kernel, &bindings, y.iter().product());
        Ok(())
    }

    fn reference(&self, step: &Step, inputs: &[Array]) -> Vec<Array> {
        let bytes: Vec<u8> = inputs[0].data.iter().flat_map(|&word| (word as i32).to_le_bytes()).collect();
        let (c, h, w, pad) = (self.channels, self.height, self.width, self.crop_padding);
        let mut y = Vec::new();
        for (n, &id) in inputs[1].data.iter().enumerate() {
            let (top, left, flip) = self.view(step, id as i32);
            for i in 0..c * h * w {
                let (channel, row, column) = (i / (h * w), i / w % h, i % w);
                let column = if flip { w - 1 - column } else { column };
                let (row, column) = ((row + top).wrapping_sub(pad), (column + left).wrapping_sub(pad));
                let inside = row < h && column < w;
                let pixel = if inside { bytes[((n * c + channel) * h + row) * w + column] } else { 0 };
                let (mean, std) = (f64::from(self.mean[channel]), f64::from(self.std[channel]));
                y.push((f64::from(pixel) / 255.0 - mean) / std);
            }
        }
        vec![Array::new([inputs[1].data.len(), c, h, w], y)]
    }

    fn flops(&self, _: &[Meta], outputs: &[Meta]) -> u64 {
        3 * outputs[0].len() as u64
    }
}

impl Tensor {
    /// Packed u8 images as normalised f32 ones, cropped and flipped as [`ImageBatch`] says. `ids` are the sample ids.
    pub fn image_batch(pixels: &Tensor, ids: &Tensor, images: &ImageBatch) -> Result<Tensor> {
        pixels.tape().record1(images.clone(), &[pixels, ids])
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "augment", cases };

fn cases() -> Vec<Case> {
    let case = |n: usize, shape: [usize; 3], crop_padding: usize, flip: bool| {
        let mean = [0.4914, 0.4822, 0.4465, 0.5];
        let std = [0.247, 0.2435, 0.2616, 0.25];
        let plain = ImageBatch::plain(shape, &mean[..shape[0]], &std[..shape[0]]);
        let words = (n * shape.iter().product::<usize>()).div_ceil(4);
        let any = Fill::Uniform(f64::from(i32::MIN), f64::from(i32::MAX));
        let pixels = Input { meta: Meta::i32([words]), fill: any, grad: false };
        let ids = Input::below([n], 1_000_000);
        Case::new(ImageBatch { crop_padding, flip, ..plain }, vec![pixels, ids])
    };
    vec![
        case(5, [3, 32, 32], 0, false),
        case(3, [3, 5, 7], 0, false),
        case(7, [3, 32, 32], 4, true),
        case(9, [1, 8, 8], 0, true),
        case(9, [1, 8, 8], 2, false),
        case(3, [1, 5, 7], 1, true),
        case(1, [2, 1, 1], 3, true),
        case(2, [4, 3, 41], 5, true),
        case(0, [1, 28, 28], 2, true),
    ]
}
