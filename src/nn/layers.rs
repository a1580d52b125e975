//! Layers with parameters. Those without are methods on [`Tensor`], recorded under a name with [`Forward::layer`].

use super::forward::{Forward, Mode};
use super::init::Init;
use super::params::{ParamBuilder, ParamId};
use crate::Result;
use crate::ops::conv2d::Conv2d;
use crate::tape::{Shape, Tensor};

/// y = x W^T + b. Parameters `weight` (c_out, c_in) and `bias` (c_out).
#[derive(Debug, Clone)]
pub struct Linear {
    path: String,
    weight: ParamId,
    bias: Option<ParamId>,
}

impl Linear {
    /// With PyTorch's default initialisation.
    pub fn new(at: ParamBuilder<'_>, c_in: usize, c_out: usize, bias: bool) -> Self {
        let init = Init::Uniform { fan_in: c_in };
        Self::with_init(at, c_in, c_out, init, bias.then_some(init))
    }

    /// Initialised as said; no bias where there is no `bias`.
    pub fn with_init(
        mut at: ParamBuilder<'_>,
        c_in: usize,
        c_out: usize,
        weight: Init,
        bias: Option<Init>,
    ) -> Self {
        let weight = at.weight("weight", [c_out, c_in], weight, true);
        let bias = bias.map(|init| at.weight("bias", [c_out], init, true));
        Self { path: at.path().to_string(), weight, bias }
    }

    /// x (.., c_in) to (.., c_out).
    pub fn forward(&self, fx: &Forward<'_>, x: &Tensor) -> Result<Tensor> {
        fx.layer(&self.path, || {
            let bias = self.bias.map(|id| fx.param(id)).transpose()?;
            let weight = fx.param(self.weight)?;
            match fx.outer(self.weight)? {
                None => x.linear(&weight, bias.as_ref()),
                Some(outer) => x.linear(&weight, None)?.linear(&outer, bias.as_ref()),
            }
        })
    }
}

/// Rows of a table by number. Parameter `weight` (rows, width).
#[derive(Debug, Clone)]
pub struct Embedding {
    path: String,
    weight: ParamId,
}

impl Embedding {
    /// A row of `width` numbers for each of `rows`, normal with a standard deviation of 1, as PyTorch's; weight decay leaves
    /// them alone.
    pub fn new(at: ParamBuilder<'_>, rows: usize, width: usize) -> Self {
        Self::with_init(at, rows, width, Init::Normal(1.0))
    }

    /// [`Embedding::new`], initialised as said.
    pub fn with_init(mut at: ParamBuilder<'_>, rows: usize, width: usize, init: Init) -> Self {
        let weight = at.weight("weight", [rows, width], init, false);
        Self { path: at.path().to_string(), weight }
    }

    /// The table, for layers that read it as well.
    pub fn weight(&self) -> ParamId {
        self.weight
    }

    /// Numbers, i32 (N), to rows (N, width).
    pub fn forward(&self, fx: &Forward<'_>, numbers: &Tensor) -> Result<Tensor> {
        fx.layer(&self.path, || fx.param(self.weight)?.embedding(numbers))
    }
}

/// 2-D convolution. Parameters `weight` (c_out, c_in / groups, k, k) and `bias` (c_out).
#[derive(Debug, Clone)]
pub struct Conv {
    path: String,
    weight: ParamId,
    bias: Option<ParamId>,
    config: Conv2d,
}

impl Conv {
    /// A square kernel, with PyTorch's default initialisation.
    pub fn new(
        at: ParamBuilder<'_>,
        c_in: usize,
        c_out: usize,
        k: usize,
        config: Conv2d,
        bias: bool,
    ) -> Self {
        let init = Init::Uniform { fan_in: c_in / config.groups.max(1) * k * k };
        Self::with_init(at, c_in, c_out, k, config, init, bias.then_some(init))
    }

    /// A square kernel, initialised as said; no bias where there is no `bias`.
    pub fn with_init(
        mut at: ParamBuilder<'_>,
        c_in: usize,
        c_out: usize,
        k: usize,
        config: Conv2d,
        weight: Init,
        bias: Option<Init>,
    ) -> Self {
        let ci_g = c_in / config.groups.max(1);
        let weight = at.weight("weight", [c_out, ci_g, k, k], weight, true);
        let bias = bias.map(|init| at.weight("bias", [c_out], init, true));
        Self { path: at.path().to_string(), weight, bias, config }
    }

    /// x (N, c_in, H, W) to (N, c_out, H', W').
    pub fn forward(&self, fx: &Forward<'_>, x: &Tensor) -> Result<Tensor> {
        fx.layer(&self.path, || {
            let bias = self.bias.map(|id| fx.param(id)).transpose()?;
            let weight = fx.param(self.weight)?;
            match fx.outer(self.weight)? {
                None => x.conv2d(&weight, bias.as_ref(), self.config),
                Some(outer) => {
                    x.conv2d(&weight, None, self.config)?.conv2d(&outer, bias.as_ref(), Conv2d::default())
                }
            }
        })
    }
}

/// Batch normalisation over (N, H, W) (Ioffe and Szegedy 1502.03167). Parameters `weight`, `bias`; states
/// `running_mean`, `running_var`, all (C). PyTorch's momentum 0.1; eps is 1e-5 unless
/// said.
#[derive(Debug, Clone)]
pub struct BatchNorm {
    path: String,
    weight: ParamId,
    bias: ParamId,
    running_mean: ParamId,
    running_var: ParamId,
    eps: f32,
}

impl BatchNorm {
    const MOMENTUM: f32 = 0.1;
    /// What is added to the variance where nothing else is said: PyTorch's, and darknet's.
    pub const EPS: f32 = 1e-5;

    /// For `c` channels.
    pub fn new(at: ParamBuilder<'_>, c: usize) -> Self {
        Self::with_eps(at, c, Self::EPS)
    }

    /// For `c` channels, with `eps` added to the variance.
    pub fn with_eps(mut at: ParamBuilder<'_>, c: usize, eps: f32) -> Self {
        Self {
            weight: at.weight("weight", [c], Init::Constant(1.0), true),
            bias: at.weight("bias", [c], Init::Constant(0.0), true),
            running_mean: at.state("running_mean", [c], Init::Constant(0.0)),
            running_var: at.state("running_var", [c], Init::Constant(1.0)),
            path: at.path().to_string(),
            eps,
        }
    }

    /// x (N, C, H, W) or (N, C), same shape out.
    pub fn forward(&self, fx: &Forward<'_>, x: &Tensor) -> Result<Tensor> {
        fx.layer(&self.path, || {
            let (gamma, beta) = (fx.param(self.weight)?, fx.param(self.bias)?);
            let (mean, var) = (fx.param(self.running_mean)?, fx.param(self.running_var)?);
            match fx.mode() {
                Mode::Train => {
                    // A frozen network's statistics stay as they are, to the bit.
                    let momentum = if gamma.requires_grad() { Self::MOMENTUM } else { 0.0 };
                    x.batch_norm_train(&gamma, &beta, &mean, &var, momentum, self.eps)
                }
                Mode::Eval => x.batch_norm_eval(&gamma, &beta, &mean, &var, self.eps),
            }
        })
    }
}

/// Layer normalisation over the trailing dimensions (Ba, Kiros and Hinton 1607.06450). Parameters `weight` and `bias`,
/// of the normalised sizes.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    path: String,
    weight: ParamId,
    bias: ParamId,
    eps: f32,
}

impl LayerNorm {
    /// Over trailing dimensions of these sizes, `[d]` for the last one alone. PyTorch's default eps is 1e-5; vision
    /// transformers use 1e-6.
    pub fn new(mut at: ParamBuilder<'_>, sizes: impl Into<Shape>, eps: f32) -> Self {
        let sizes = sizes.into();
        Self {
            weight: at.weight("weight", sizes.clone(), Init::Constant(1.0), true),
            bias: at.weight("bias", sizes, Init::Constant(0.0), true),
            path: at.path().to_string(),
            eps,
        }
    }

    /// x (.., sizes), same shape out.
    pub fn forward(&self, fx: &Forward<'_>, x: &Tensor) -> Result<Tensor> {
        fx.layer(&self.path, || x.layer_norm(&fx.param(self.weight)?, &fx.param(self.bias)?, self.eps))
    }

    /// Of x + residual, two tensors of one shape (.., sizes), in one pass.
    pub fn forward_sum(&self, fx: &Forward<'_>, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        fx.layer(&self.path, || {
            x.add_layer_norm(residual, &fx.param(self.weight)?, &fx.param(self.bias)?, self.eps)
        })
    }
}
