//! VGG (Simonyan and Zisserman 1409.1556) with batch norm and one linear layer, as distillation papers use it on small
//! images. Names and initial weights of HobbitLong/RepDistiller.
//!
//! Taps beside the layers' own names: `block0` before its last relu and `relu0` behind it, to `block4` and `relu4`;
//! `pool0` to `pool2`, `pool3` for images of 64 and more, and `pool4` (N, C), what the classifier sees.

use super::parts::{ConvBn, ConvShape, chain};
use super::{Arguments, Built, ModelConfig, ModelSpec, SingleModule};
use crate::nn::{Forward, Init, Linear, ParamBuilder, Params};
use crate::ops::pool::Pool;
use crate::tape::Tensor;
use crate::{Error, Result};

/// The list entry.
pub const SPEC: ModelSpec = ModelSpec {
    presets: &[("vgg8", &[8]), ("vgg11", &[11]), ("vgg13", &[13]), ("vgg16", &[16]), ("vgg19", &[19])],
    ..ModelSpec::new("vgg", ABOUT, build)
};

const ABOUT: &str =
    "vgg:8 depth (8, 11, 13, 16 or 19), or vgg:8,64,128,256,512,512 with the channels of its blocks";

struct Vgg {
    blocks: Vec<Vec<ConvBn>>,
    classifier: Linear,
    pools: usize,
}

fn build(config: &ModelConfig, arguments: &Arguments) -> Result<Built> {
    let fail = || Error::config("model", format!("expected {}", ABOUT));
    let (depth, widths) = arguments.numbers().split_first().ok_or_else(fail)?;
    let convolutions = convolutions(*depth).ok_or_else(fail)?;
    let widths = match widths {
        [] => &[64, 128, 256, 512, 512],
        five if five.len() == 5 => five,
        _ => return Err(fail()),
    };
    let [mut c_in, h, w] = config.input.image()?;
    if h.min(w) < 8 {
        return Err(Error::config("model", format!("vgg needs images of at least 8x8, these are {h}x{w}")));
    }
    let mut params = Params::outline();
    let mut root = ParamBuilder::new(&mut params);
    let mut blocks = Vec::new();
    for (i, (&width, count)) in widths.iter().zip(convolutions).enumerate() {
        let mut at = root.sub(format!("block{i}"));
        let mut block = Vec::new();
        for j in 0..count {
            let shape = ConvShape { bias: Some(Init::Constant(0.0)), ..ConvShape::new(c_in, width, 3, 1) };
            block.push(ConvBn::new(&mut at, 3 * j, shape, j + 1 < count));
            c_in = width;
        }
        blocks.push(block);
    }
    let bias = Some(Init::Constant(0.0));
    let classifier =
        Linear::with_init(root.sub("classifier"), c_in, config.head.row()?, Init::Normal(0.01), bias);
    let pools = if h.min(w) >= 64 { 4 } else { 3 };
    let stages = (0..5).map(|i| format!("relu{i}")).collect();
    let preactivations = (0..5).map(|i| format!("block{i}")).collect();
    let module = config.single(Vgg { blocks, classifier, pools });
    Ok(Built { params, module, stages, preactivations, embedding: "pool4".into() })
}

/// Convolutions of each block.
fn convolutions(depth: usize) -> Option<[usize; 5]> {
    Some(match depth {
        8 => [1, 1, 1, 1, 1],
        11 => [1, 1, 2, 2, 2],
        13 => [2, 2, 2, 2, 2],
        16 => [2, 2, 3, 3, 3],
        19 => [2, 2, 4, 4, 4],
        _ => return None,
    })
}

impl SingleModule for Vgg {
    fn forward(&self, fx: &Forward<'_>, x: &Tensor) -> Result<Tensor> {
        let halve = Pool::square(2, 2, 0);
        let mut x = x.clone();
        for (i, block) in self.blocks.iter().enumerate() {
            x = fx.block(|| {
                let y = chain(block, fx, &x)?;
                let y = fx.layer(&format!("block{i}"), || Ok(y))?;
                let y = fx.layer(&format!("relu{i}"), || y.relu())?;
                if i < self.pools { fx.layer(&format!("pool{i}"), || y.max_pool2d(&halve)) } else { Ok(y) }
            })?;
        }
        let x = fx.layer("pool4", || x.global_avg_pool())?;
        self.classifier.forward(fx, &x)
    }
}
