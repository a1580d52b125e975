//! Conv blocks and a linear layer, as in the usual distillation sample: conv 3x3, batch norm, relu, max pool 2x2.
//!
//! Names: `conv1`, `bn1`, `relu1`, `pool1`, .., `fc`. An image that is too small for another pool is not pooled.

use super::{Arguments, Built, ModelConfig, ModelSpec, SingleModule};
use crate::Result;
use crate::nn::{BatchNorm, Conv, Forward, Linear, ParamBuilder, Params};
use crate::ops::conv2d::Conv2d;
use crate::ops::pool::Pool;
use crate::tape::Tensor;

/// The list entry.
pub const SPEC: ModelSpec = ModelSpec::new("cnn", "cnn:32,64,128 channels of its conv blocks", build);

struct Cnn {
    blocks: Vec<(Conv, BatchNorm)>,
    fc: Linear,
}

fn build(config: &ModelConfig, arguments: &Arguments) -> Result<Built> {
    let widths = match arguments.numbers() {
        [] => &[32, 64, 128],
        some => some,
    };
    let mut params = Params::outline();
    let mut root = ParamBuilder::new(&mut params);
    let [mut c_in, mut h, mut w] = config.input.image()?;
    let mut blocks = Vec::new();
    for (i, &width) in widths.iter().enumerate() {
        // A bias before batch norm would be subtracted again.
        let conv = Conv::new(root.sub(format!("conv{}", i + 1)), c_in, width, 3, Conv2d::square(1, 1), false);
        blocks.push((conv, BatchNorm::new(root.sub(format!("bn{}", i + 1)), width)));
        c_in = width;
        if h >= 2 && w >= 2 {
            (h, w) = (h / 2, w / 2);
        }
    }
    let fc = Linear::new(root.sub("fc"), c_in * h * w, config.head.row()?, true);
    let stages = (1..=widths.len()).map(|i| format!("pool{i}")).collect();
    let preactivations = (1..=widths.len()).map(|i| format!("bn{i}")).collect();
    let embedding = format!("pool{}", widths.len());
    Ok(Built { params, module: config.single(Cnn { blocks, fc }), stages, preactivations, embedding })
}

impl SingleModule for Cnn {
    fn forward(&self, fx: &Forward<'_>, x: &Tensor) -> Result<Tensor> {
        let pool = Pool::square(2, 2, 0);
        let mut x = x.clone();
        for (i, (conv, bn)) in self.blocks.iter().enumerate() {
            let i = i + 1;
            x = fx.block(|| {
                let y = bn.forward(fx, &conv.forward(fx, &x)?)?;
                let y = fx.layer(&format!("relu{i}"), || y.relu())?;
                let fits = y.dims()[2] >= 2 && y.dims()[3] >= 2;
                fx.layer(&format!("pool{i}"), || if fits { y.max_pool2d(&pool) } else { Ok(y) })
            })?;
        }
        let flat = x.reshape([x.dims()[0], x.dims()[1..].iter().product()])?;
        self.fc.forward(fx, &flat)
    }
}
