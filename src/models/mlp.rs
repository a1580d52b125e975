//! A multi-layer perceptron: linear and relu layers, `fc1`, `relu1`, .., and `fc` for the logits.

use super::{Arguments, Built, InputSpec, ModelConfig, ModelSpec, SingleModule};
use crate::nn::{Forward, Linear, ParamBuilder, Params};
use crate::tape::Tensor;
use crate::{Error, Result};

/// The list entry.
pub const SPEC: ModelSpec = ModelSpec::new("mlp", "mlp:128,64 hidden sizes", build);

struct Mlp {
    hidden: Vec<Linear>,
    fc: Linear,
}

fn build(config: &ModelConfig, arguments: &Arguments) -> Result<Built> {
    let widths = match arguments.numbers() {
        [] => &[128, 64],
        some => some,
    };
    let takes = match config.input {
        InputSpec::Image(_) | InputSpec::Features(_) => None,
        InputSpec::Words(_) => Some("table"),
        InputSpec::Tokens { .. } => Some("bert"),
    };
    if let Some(other) = takes {
        let message = format!("it takes numbers, not {}; {other} takes these", config.input);
        return Err(Error::config("model", message));
    }
    let mut params = Params::outline();
    let mut root = ParamBuilder::new(&mut params);
    let mut c_in = config.input.len();
    let mut hidden = Vec::new();
    for (i, &width) in widths.iter().enumerate() {
        hidden.push(Linear::new(root.sub(format!("fc{}", i + 1)), c_in, width, true));
        c_in = width;
    }
    let fc = Linear::new(root.sub("fc"), c_in, config.head.row()?, true);
    let stages = (1..=widths.len()).map(|i| format!("relu{i}")).collect();
    let preactivations = (1..=widths.len()).map(|i| format!("fc{i}")).collect();
    let embedding = format!("relu{}", widths.len());
    Ok(Built { params, module: config.single(Mlp { hidden, fc }), stages, preactivations, embedding })
}

impl SingleModule for Mlp {
    fn forward(&self, fx: &Forward<'_>, x: &Tensor) -> Result<Tensor> {
        let mut x = x.reshape([x.dims()[0], x.dims()[1..].iter().product()])?;
        for (i, layer) in self.hidden.iter().enumerate() {
            let y = layer.forward(fx, &x)?;
            x = fx.layer(&format!("relu{}", i + 1), || y.relu())?;
        }
        self.fc.forward(fx, &x)
    }
}
