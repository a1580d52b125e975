//! Wide residual networks (Zagoruyko and Komodakis 1605.07146): norm and relu come before each convolution. Names and
//! initial weights of HobbitLong/RepDistiller, without its dropout, which is off there.
//!
//! Taps beside the layers' own names, for block `block1.layer.0`: `.relu1` and `.relu2` inside it. `block1.layer.0` is the
//! block's sum, `block1` the stage, `relu` the last map, `avgpool` (N, C) what the classifier sees.

use super::parts::ConvShape;
use super::{Arguments, Built, ModelConfig, ModelSpec, SingleModule};
use crate::nn::{BatchNorm, Conv, Forward, Init, Linear, ParamBuilder, Params};
use crate::tape::Tensor;
use crate::{Error, Result};

/// The list entry.
pub const SPEC: ModelSpec = ModelSpec {
    presets: &[
        ("wrn_16_1", &[16, 1]),
        ("wrn_16_2", &[16, 2]),
        ("wrn_40_1", &[40, 1]),
        ("wrn_40_2", &[40, 2]),
    ],
    ..ModelSpec::new("wrn", ABOUT, build)
};

const ABOUT: &str = "wrn:40,2 depth and widening factor";

struct Wrn {
    conv1: Conv,
    stages: Vec<Vec<Block>>,
    bn1: BatchNorm,
    fc: Linear,
}

struct Block {
    path: String,
    bn1: BatchNorm,
    conv1: Conv,
    bn2: BatchNorm,
    conv2: Conv,
    shortcut: Option<Conv>,
}

fn build(config: &ModelConfig, arguments: &Arguments) -> Result<Built> {
    let &[depth, widen] = arguments.numbers() else {
        return Err(Error::config("model", format!("expected {}", ABOUT)));
    };
    let blocks = match depth.checked_sub(4) {
        Some(layers) if layers > 0 && layers.is_multiple_of(6) => layers / 6,
        _ => {
            let message = format!("depth {depth}: expected 6n + 4, such as 10, 16, 28, 40");
            return Err(Error::config("model", message));
        }
    };
    let mut params = Params::outline();
    let mut root = ParamBuilder::new(&mut params);
    let mut c_in = 16;
    let conv1 = ConvShape::new(config.input.image()?[0], c_in, 3, 1).make(root.sub("conv1"));
    let mut stages = Vec::new();
    for (i, width) in [16 * widen, 32 * widen, 64 * widen].into_iter().enumerate() {
        let mut at = root.sub(format!("block{}", i + 1));
        let mut at = at.sub("layer");
        let mut stage = Vec::new();
        for j in 0..blocks {
            let stride = if i > 0 && j == 0 { 2 } else { 1 };
            stage.push(Block::new(at.sub(j), c_in, width, stride));
            c_in = width;
        }
        stages.push(stage);
    }
    let bn1 = BatchNorm::new(root.sub("bn1"), c_in);
    let (weight, bias) = (Init::Uniform { fan_in: c_in }, Init::Constant(0.0));
    let fc = Linear::with_init(root.sub("fc"), c_in, config.head.row()?, weight, Some(bias));
    let taps = (1..=3).map(|i| format!("block{i}")).collect();
    // A stage ends in a sum; the next one, or the end, begins with norm and relu.
    let preactivations = ["block2.layer.0.bn1", "block3.layer.0.bn1", "bn1"].map(String::from).to_vec();
    let module = config.single(Wrn { conv1, stages, bn1, fc });
    Ok(Built { params, module, stages: taps, preactivations, embedding: "avgpool".into() })
}

impl Block {
    fn new(mut at: ParamBuilder<'_>, c_in: usize, c_out: usize, stride: usize) -> Self {
        Self {
            path: at.path().to_string(),
            bn1: BatchNorm::new(at.sub("bn1"), c_in),
            conv1: ConvShape::new(c_in, c_out, 3, stride).make(at.sub("conv1")),
            bn2: BatchNorm::new(at.sub("bn2"), c_out),
            conv2: ConvShape::new(c_out, c_out, 3, 1).make(at.sub("conv2")),
            shortcut: (c_in != c_out)
                .then(|| ConvShape::new(c_in, c_out, 1, stride).make(at.sub("convShortcut"))),
        }
    }

    fn forward(&self, fx: &Forward<'_>, x: &Tensor) -> Result<Tensor> {
        let path = &self.path;
        let y = self.bn1.forward(fx, x)?;
        let active = fx.layer(&format!("{path}.relu1"), || y.relu())?;
        let y = self.bn2.forward(fx, &self.conv1.forward(fx, &active)?)?;
        let y = fx.layer(&format!("{path}.relu2"), || y.relu())?;
        let y = self.conv2.forward(fx, &y)?;
        // A shortcut that changes the shape starts behind norm and relu, the identity before them.
        let shortcut = match &self.shortcut {
            Some(conv) => conv.forward(fx, &active)?,
            None => x.clone(),
        };
        fx.layer(path, || shortcut.add(&y))
    }
}

impl SingleModule for Wrn {
    fn forward(&self, fx: &Forward<'_>, x: &Tensor) -> Result<Tensor> {
        let mut x = self.conv1.forward(fx, x)?;
        for (i, stage) in self.stages.iter().enumerate() {
            x = stage.iter().try_fold(x, |x, block| fx.block(|| block.forward(fx, &x)))?;
            x = fx.layer(&format!("block{}", i + 1), || Ok(x))?;
        }
        let x = self.bn1.forward(fx, &x)?;
        let x = fx.layer("relu", || x.relu())?;
        let x = fx.layer("avgpool", || x.global_avg_pool())?;
        self.fc.forward(fx, &x)
    }
}
