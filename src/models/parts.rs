//! What several architectures are made of.

use crate::Result;
use crate::nn::{BatchNorm, Conv, Forward, Init, ParamBuilder};
use crate::ops::conv2d::Conv2d;
use crate::tape::Tensor;

/// A convolution to be made.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConvShape {
    pub c_in: usize,
    pub c_out: usize,
    pub kernel: usize,
    pub stride: usize,
    pub groups: usize,
    pub init: Init,
    /// How its bias starts, where it has one.
    pub bias: Option<Init>,
}

impl ConvShape {
    /// A square kernel with padding that keeps the image's size at stride 1, no bias, and weights after He et al.
    /// 1502.01852 by their outputs, as in RepDistiller.
    pub fn new(c_in: usize, c_out: usize, kernel: usize, stride: usize) -> Self {
        Self { c_in, c_out, kernel, stride, groups: 1, init: Init::KaimingNormalFanOut, bias: None }
    }

    pub fn make(self, at: ParamBuilder<'_>) -> Conv {
        let square = Conv2d::square(self.stride, self.kernel / 2);
        let config = Conv2d { groups: self.groups, ..square };
        Conv::with_init(at, self.c_in, self.c_out, self.kernel, config, self.init, self.bias)
    }
}

/// Convolution, batch norm and perhaps relu: neighbours in a PyTorch `Sequential`, named by their places in it.
pub(super) struct ConvBn {
    conv: Conv,
    bn: BatchNorm,
    relu: Option<String>,
}

impl ConvBn {
    /// At places `first` and `first + 1` of `at`; with `relu`, that at `first + 2`.
    pub fn new(at: &mut ParamBuilder<'_>, first: usize, shape: ConvShape, relu: bool) -> Self {
        let conv = shape.make(at.sub(first));
        let bn = BatchNorm::new(at.sub(first + 1), shape.c_out);
        Self { conv, bn, relu: relu.then(|| at.sub(first + 2).path().to_string()) }
    }

    pub fn forward(&self, fx: &Forward<'_>, x: &Tensor) -> Result<Tensor> {
        let y = self.bn.forward(fx, &self.conv.forward(fx, x)?)?;
        match &self.relu {
            Some(name) => fx.layer(name, || y.relu()),
            None => Ok(y),
        }
    }
}

/// Runs `x` through convolutions in order.
pub(super) fn chain(layers: &[ConvBn], fx: &Forward<'_>, x: &Tensor) -> Result<Tensor> {
    layers.iter().try_fold(x.clone(), |x, layer| layer.forward(fx, &x))
}
