//! Residual networks for small images (He et al. 1512.03385, section 4.2): a 3x3 stem, stages of two-layer blocks that
//! halve the image from the second stage on, global average pool, linear.
//!
//! They come with two kinds of shortcut where a block changes the shape. Option A takes every other row and column and
//! adds channels of zeros, with the names and initial weights of akamaster/pytorch_resnet_cifar10. Option B is a 1x1
//! convolution and batch norm, with those of HobbitLong/RepDistiller.
//!
//! Taps beside the layers' own names, for block `layer1.0`: `.relu` inside it, `.shortcut` (A) or `.downsample` (B),
//! `.preact` the sum before the last relu. `layer1.0` is the block, `layer1` the stage, `avgpool` (N, C) what the
//! classifier sees.

use super::parts::ConvShape;
use super::{Arguments, Built, ModelConfig, ModelSpec, SingleModule};
use crate::nn::{BatchNorm, Conv, Forward, Init, Linear, ParamBuilder, Params};
use crate::tape::Tensor;
use crate::{Error, Result};

/// The list entry of those with option A.
pub const OPTION_A: ModelSpec = ModelSpec {
    presets: &[
        ("resnet20", &[20]),
        ("resnet32", &[32]),
        ("resnet44", &[44]),
        ("resnet56", &[56]),
        ("resnet110", &[110]),
    ],
    ..ModelSpec::new("resnet", ABOUT_A, build_a)
};

const ABOUT_A: &str = "resnet:20 depth, or resnet:20,16,32,64 with the channels of its stages";

/// The list entry of those with option B.
pub const OPTION_B: ModelSpec = ModelSpec {
    presets: &[
        ("resnet8", &[8]),
        ("resnet14", &[14]),
        ("resnet8x4", &[8, 32, 64, 128, 256]),
        ("resnet32x4", &[32, 32, 64, 128, 256]),
    ],
    ..ModelSpec::new("resnet_b", ABOUT_B, build_b)
};

const ABOUT_B: &str = "resnet_b:8 depth, or resnet_b:8,16,16,32,64 with the channels of stem and stages";

struct ResNet {
    conv1: Conv,
    bn1: BatchNorm,
    stages: Vec<Vec<Block>>,
    classifier: Linear,
}

struct Block {
    path: String,
    conv1: Conv,
    bn1: BatchNorm,
    conv2: Conv,
    bn2: BatchNorm,
    shortcut: Shortcut,
}

enum Shortcut {
    Identity,
    /// Option A: zeros (before, after) the channels.
    Pad {
        stride: usize,
        zeros: (usize, usize),
    },
    /// Option B.
    Project(Conv, BatchNorm),
}

/// Which shortcut, and with it whose names and initial weights.
#[derive(Clone, Copy, PartialEq)]
enum ShortcutKind {
    A,
    B,
}

fn build_a(config: &ModelConfig, arguments: &Arguments) -> Result<Built> {
    let (depth, widths) = split(arguments.numbers(), &[16, 32, 64], ABOUT_A)?;
    if widths.windows(2).any(|pair| pair[1] < pair[0]) {
        let message = format!("{widths:?}: its shortcuts can add channels only; use resnet_b for fewer");
        return Err(Error::config("model", message));
    }
    build(config, depth, widths[0], widths, ShortcutKind::A)
}

fn build_b(config: &ModelConfig, arguments: &Arguments) -> Result<Built> {
    let (depth, widths) = split(arguments.numbers(), &[16, 16, 32, 64], ABOUT_B)?;
    build(config, depth, widths[0], &widths[1..], ShortcutKind::B)
}

/// Depth and widths out of what the user wrote.
fn split<'a>(numbers: &'a [usize], default: &'a [usize], about: &str) -> Result<(usize, &'a [usize])> {
    match numbers {
        [depth] => Ok((*depth, default)),
        [depth, widths @ ..] if widths.len() == default.len() => Ok((*depth, widths)),
        _ => Err(Error::config("model", format!("expected {about}"))),
    }
}

fn build(
    config: &ModelConfig,
    depth: usize,
    stem: usize,
    widths: &[usize],
    kind: ShortcutKind,
) -> Result<Built> {
    let blocks = match depth.checked_sub(2) {
        Some(layers) if layers > 0 && layers.is_multiple_of(6) => layers / 6,
        _ => {
            let message = format!("depth {depth}: expected 6n + 2, such as 8, 14, 20, 32, 56");
            return Err(Error::config("model", message));
        }
    };
    let mut params = Params::outline();
    let mut root = ParamBuilder::new(&mut params);
    let conv1 = kind.conv(config.input.image()?[0], stem, 3, 1).make(root.sub("conv1"));
    let bn1 = BatchNorm::new(root.sub("bn1"), stem);
    let (mut stages, mut c_in) = (Vec::new(), stem);
    for (i, &width) in widths.iter().enumerate() {
        let mut at = root.sub(format!("layer{}", i + 1));
        let mut stage = Vec::new();
        for j in 0..blocks {
            let stride = if i > 0 && j == 0 { 2 } else { 1 };
            stage.push(Block::new(at.sub(j), c_in, width, stride, kind));
            c_in = width;
        }
        stages.push(stage);
    }
    let bias = Init::Uniform { fan_in: c_in };
    let (name, init) = match kind {
        ShortcutKind::A => ("linear", Init::KaimingNormal),
        ShortcutKind::B => ("fc", bias),
    };
    let classifier = Linear::with_init(root.sub(name), c_in, config.head.row()?, init, Some(bias));
    let taps = (1..=widths.len()).map(|i| format!("layer{i}")).collect();
    let preactivations = (1..=widths.len()).map(|i| format!("layer{i}.{}.preact", blocks - 1)).collect();
    let module = config.single(ResNet { conv1, bn1, stages, classifier });
    Ok(Built { params, module, stages: taps, preactivations, embedding: "avgpool".into() })
}

impl ShortcutKind {
    fn conv(self, c_in: usize, c_out: usize, kernel: usize, stride: usize) -> ConvShape {
        let shape = ConvShape::new(c_in, c_out, kernel, stride);
        match self {
            ShortcutKind::A => ConvShape { init: Init::KaimingNormal, ..shape },
            ShortcutKind::B => shape,
        }
    }
}

impl Block {
    fn new(mut at: ParamBuilder<'_>, c_in: usize, c_out: usize, stride: usize, kind: ShortcutKind) -> Self {
        Self {
            path: at.path().to_string(),
            conv1: kind.conv(c_in, c_out, 3, stride).make(at.sub("conv1")),
            bn1: BatchNorm::new(at.sub("bn1"), c_out),
            conv2: kind.conv(c_out, c_out, 3, 1).make(at.sub("conv2")),
            bn2: BatchNorm::new(at.sub("bn2"), c_out),
            shortcut: Shortcut::new(at, c_in, c_out, stride, kind),
        }
    }

    fn forward(&self, fx: &Forward<'_>, x: &Tensor) -> Result<Tensor> {
        let path = &self.path;
        let y = self.bn1.forward(fx, &self.conv1.forward(fx, x)?)?;
        let y = fx.layer(&format!("{path}.relu"), || y.relu())?;
        let y = self.bn2.forward(fx, &self.conv2.forward(fx, &y)?)?;
        let shortcut = self.shortcut.forward(fx, path, x)?;
        let sum = fx.layer(&format!("{path}.preact"), || y.add(&shortcut))?;
        fx.layer(path, || sum.relu())
    }
}

impl Shortcut {
    fn new(mut at: ParamBuilder<'_>, c_in: usize, c_out: usize, stride: usize, kind: ShortcutKind) -> Self {
        if stride == 1 && c_in == c_out {
            return Self::Identity;
        }
        match kind {
            ShortcutKind::A => {
                let missing = c_out - c_in;
                Self::Pad { stride, zeros: (missing / 2, missing - missing / 2) }
            }
            ShortcutKind::B => {
                let mut at = at.sub("downsample");
                let conv = kind.conv(c_in, c_out, 1, stride).make(at.sub(0));
                Self::Project(conv, BatchNorm::new(at.sub(1), c_out))
            }
        }
    }

    fn forward(&self, fx: &Forward<'_>, path: &str, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Identity => Ok(x.clone()),
            Self::Pad { stride, zeros } => fx.layer(&format!("{path}.shortcut"), || {
                let x = x.slice_every(&[1, 1, *stride, *stride])?;
                x.pad(&[(0, 0), *zeros, (0, 0), (0, 0)], 0.0)
            }),
            Self::Project(conv, bn) => {
                let y = bn.forward(fx, &conv.forward(fx, x)?)?;
                fx.layer(&format!("{path}.downsample"), || Ok(y))
            }
        }
    }
}

impl SingleModule for ResNet {
    fn forward(&self, fx: &Forward<'_>, x: &Tensor) -> Result<Tensor> {
        let x = self.bn1.forward(fx, &self.conv1.forward(fx, x)?)?;
        let mut x = fx.layer("relu", || x.relu())?;
        for (i, stage) in self.stages.iter().enumerate() {
            x = stage.iter().try_fold(x, |x, block| fx.block(|| block.forward(fx, &x)))?;
            x = fx.layer(&format!("layer{}", i + 1), || Ok(x))?;
        }
        let x = fx.layer("avgpool", || x.global_avg_pool())?;
        self.classifier.forward(fx, &x)
    }
}
