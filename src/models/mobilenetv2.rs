//! MobileNetV2 (Sandler et al. 1801.04381) for 32x32 images: the strides of the stem's neighbours are 1. Names and initial
//! weights of HobbitLong/RepDistiller, whose student has expansion 6 and half the channels.
//!
//! Taps beside the layers' own names: `blocks.1.0` a block's output, `blocks.1` a group of blocks, `conv1` and `conv2` the
//! stem and the last map, `avgpool` (N, C) what the classifier sees.

use super::parts::{ConvBn, ConvShape, chain};
use super::{Arguments, Built, ModelConfig, ModelSpec, SingleModule};
use crate::nn::{Forward, Init, Linear, ParamBuilder, Params};
use crate::tape::Tensor;
use crate::{Error, Result};

/// The list entry.
pub const SPEC: ModelSpec = ModelSpec::new("mobilenetv2", ABOUT, build);

const ABOUT: &str = "mobilenetv2:6,50 expansion and percent of the channels; a third number replaces the 1280 of the last map";

/// Channels, blocks, and the first block's stride. The first group is not expanded.
const GROUPS: [(usize, usize, usize); 7] =
    [(16, 1, 1), (24, 2, 1), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1)];

struct MobileNetV2 {
    conv1: ConvBn,
    groups: Vec<Vec<InvertedResidual>>,
    conv2: ConvBn,
    classifier: Linear,
}

/// 1x1 to more channels, depthwise 3x3, 1x1 to fewer without relu.
struct InvertedResidual {
    path: String,
    layers: [ConvBn; 3],
    residual: bool,
}

fn build(config: &ModelConfig, arguments: &Arguments) -> Result<Built> {
    let (expansion, percent, last) = match *arguments.numbers() {
        [] => (6, 50, None),
        [expansion, percent] => (expansion, percent, None),
        [expansion, percent, last] => (expansion, percent, Some(last)),
        _ => return Err(Error::config("model", format!("expected {}", ABOUT))),
    };
    let scaled = |channels: usize| (channels * percent / 100).max(1);
    let mut params = Params::outline();
    let mut root = ParamBuilder::new(&mut params);
    let mut c_in = scaled(32);
    let stem = ConvShape::new(config.input.image()?[0], c_in, 3, 2);
    let conv1 = ConvBn::new(&mut root.sub("conv1"), 0, stem, true);
    let mut groups = Vec::new();
    for (i, (channels, count, stride)) in GROUPS.into_iter().enumerate() {
        let mut at = root.sub("blocks");
        let mut at = at.sub(i);
        let expansion = if i == 0 { 1 } else { expansion };
        let mut group = Vec::new();
        for j in 0..count {
            let stride = if j == 0 { stride } else { 1 };
            group.push(InvertedResidual::new(at.sub(j), [c_in, scaled(channels)], stride, expansion));
            c_in = scaled(channels);
        }
        groups.push(group);
    }
    // Narrower networks keep the paper's 1280.
    let last = last.unwrap_or_else(|| scaled(1280).max(1280));
    let conv2 = ConvBn::new(&mut root.sub("conv2"), 0, ConvShape::new(c_in, last, 1, 1), true);
    let (weight, bias) = (Init::Normal(0.01), Init::Constant(0.0));
    let at = &mut root.sub("classifier");
    let classifier = Linear::with_init(at.sub(0), last, config.head.row()?, weight, Some(bias));
    let stages = [1, 2, 4, 6].map(|i| format!("blocks.{i}")).to_vec();
    let module = config.single(MobileNetV2 { conv1, groups, conv2, classifier });
    // Its blocks end without an activation.
    Ok(Built { params, module, preactivations: stages.clone(), stages, embedding: "avgpool".into() })
}

impl InvertedResidual {
    fn new(mut at: ParamBuilder<'_>, [c_in, c_out]: [usize; 2], stride: usize, expansion: usize) -> Self {
        let path = at.path().to_string();
        let mut at = at.sub("conv");
        let inner = c_in * expansion;
        let depthwise = ConvShape { groups: inner, ..ConvShape::new(inner, inner, 3, stride) };
        let layers = [
            ConvBn::new(&mut at, 0, ConvShape::new(c_in, inner, 1, 1), true),
            ConvBn::new(&mut at, 3, depthwise, true),
            ConvBn::new(&mut at, 6, ConvShape::new(inner, c_out, 1, 1), false),
        ];
        Self { path, layers, residual: stride == 1 && c_in == c_out }
    }

    fn forward(&self, fx: &Forward<'_>, x: &Tensor) -> Result<Tensor> {
        let y = chain(&self.layers, fx, x)?;
        fx.layer(&self.path, || if self.residual { y.add(x) } else { Ok(y) })
    }
}

impl SingleModule for MobileNetV2 {
    fn forward(&self, fx: &Forward<'_>, x: &Tensor) -> Result<Tensor> {
        let x = self.conv1.forward(fx, x)?;
        let mut x = fx.layer("conv1", || Ok(x))?;
        for (i, group) in self.groups.iter().enumerate() {
            x = group.iter().try_fold(x, |x, block| fx.block(|| block.forward(fx, &x)))?;
            x = fx.layer(&format!("blocks.{i}"), || Ok(x))?;
        }
        let x = self.conv2.forward(fx, &x)?;
        let x = fx.layer("conv2", || Ok(x))?;
        let x = fx.layer("avgpool", || x.global_avg_pool())?;
        self.classifier.forward(fx, &x)
    }
}
