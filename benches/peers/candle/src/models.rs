//! The two networks, with their inputs and losses.

use candle_core::{D, Result, Tensor, Var};
use candle_nn::loss::cross_entropy;
use candle_nn::ops::{log_softmax, softmax};
use candle_nn::{BatchNorm, ModuleT};
use peer_protocol::{Failure, HARD, RESNET20, TEMPERATURE, Tensors};

use super::{upload, variable};

/// A network with the batch that it is trained on.
pub trait Network {
    /// The loss of the batch.
    fn loss(&self) -> Result<Tensor>;
    /// What is trained.
    fn variables(&self) -> &[Var];
}

/// Reads layers and collects what is trained.
struct Loader<'a> {
    tensors: &'a Tensors,
    variables: Vec<Var>,
}

impl Loader<'_> {
    fn variable(&mut self, name: String) -> std::result::Result<Tensor, Failure> {
        let variable = variable(self.tensors, &name)?;
        self.variables.push(variable.clone());
        Ok(variable.as_tensor().clone())
    }

    fn layer(&mut self, at: &str) -> std::result::Result<Layer, Failure> {
        Ok(Layer {
            weight: self.variable(format!("{at}.weight"))?,
            bias: self.variable(format!("{at}.bias"))?,
        })
    }

    fn batch_norm(&mut self, at: &str) -> std::result::Result<BatchNorm, Failure> {
        let Layer { weight, bias } = self.layer(at)?;
        let (mean, variance) = (bias.zeros_like()?, weight.ones_like()?);
        Ok(BatchNorm::new(weight.elem_count(), mean, variance, weight, bias, 1e-5)?)
    }

    fn labels(&self) -> std::result::Result<Tensor, Failure> {
        let labels: Vec<u32> = self.tensors.labels()?.into_iter().map(u32::from).collect();
        Ok(Tensor::new(labels, &candle_core::Device::Cpu)?)
    }
}

struct Layer {
    weight: Tensor,
    bias: Tensor,
}

impl Layer {
    fn conv(&self, x: &Tensor) -> Result<Tensor> {
        x.conv2d(&self.weight, 1, 1, 1, 1)?.broadcast_add(&self.bias.reshape((1, (), 1, 1))?)
    }

    fn linear(&self, x: &Tensor) -> Result<Tensor> {
        x.matmul(&self.weight.t()?)?.broadcast_add(&self.bias)
    }
}

pub struct Cnn {
    conv1: Layer,
    conv2: Layer,
    fc1: Layer,
    fc2: Layer,
    x: Tensor,
    labels: Tensor,
    teacher: Tensor,
    variables: Vec<Var>,
}

impl Cnn {
    pub fn load(tensors: &Tensors) -> std::result::Result<Self, Failure> {
        let mut from = Loader { tensors, variables: Vec::new() };
        Ok(Self {
            conv1: from.layer("conv1")?,
            conv2: from.layer("conv2")?,
            fc1: from.layer("fc1")?,
            fc2: from.layer("fc2")?,
            x: upload(tensors, "input.x")?,
            labels: from.labels()?,
            teacher: upload(tensors, "input.teacher")?,
            variables: from.variables,
        })
    }
}

impl Network for Cnn {
    fn loss(&self) -> Result<Tensor> {
        let y = max_pool(&self.conv1.conv(&self.x)?.relu()?)?;
        let y = max_pool(&self.conv2.conv(&y)?.relu()?)?;
        let y = self.fc1.linear(&y.flatten_from(1)?)?.relu()?;
        let logits = self.fc2.linear(&y)?;
        let temperature = f64::from(TEMPERATURE);
        let student = log_softmax(&(&logits / temperature)?, D::Minus1)?;
        let teacher = (&self.teacher / temperature)?;
        let difference = (log_softmax(&teacher, D::Minus1)? - student)?;
        let divergence = (softmax(&teacher, D::Minus1)? * difference)?.sum(1)?.mean_all()?;
        let soft = (divergence * f64::from((1.0 - HARD) * TEMPERATURE * TEMPERATURE))?;
        (cross_entropy(&logits, &self.labels)? * f64::from(HARD))? + soft
    }

    fn variables(&self) -> &[Var] {
        &self.variables
    }
}

/// candle 0.11.1 multiplies the gradient of a window's maximum by the share of the window that equals it: a quarter of
/// what it should be. Four times the value less three times the value as a constant has the right gradient.
fn max_pool(x: &Tensor) -> Result<Tensor> {
    let y = x.max_pool2d(2)?;
    (&y * 4.0)? - (&y.detach() * 3.0)?
}

pub struct ResNet20 {
    conv1: Tensor,
    bn1: BatchNorm,
    blocks: Vec<Block>,
    linear: Layer,
    x: Tensor,
    labels: Tensor,
    variables: Vec<Var>,
}

struct Block {
    conv1: Tensor,
    bn1: BatchNorm,
    conv2: Tensor,
    bn2: BatchNorm,
    stride: usize,
}

impl ResNet20 {
    pub fn load(tensors: &Tensors) -> std::result::Result<Self, Failure> {
        let mut from = Loader { tensors, variables: Vec::new() };
        let mut blocks = Vec::new();
        for stage in 1..=RESNET20.len() {
            for block in 0..3 {
                let at = format!("layer{stage}.{block}");
                blocks.push(Block {
                    conv1: from.variable(format!("{at}.conv1.weight"))?,
                    bn1: from.batch_norm(&format!("{at}.bn1"))?,
                    conv2: from.variable(format!("{at}.conv2.weight"))?,
                    bn2: from.batch_norm(&format!("{at}.bn2"))?,
                    stride: if stage > 1 && block == 0 { 2 } else { 1 },
                });
            }
        }
        Ok(Self {
            conv1: from.variable("conv1.weight".into())?,
            bn1: from.batch_norm("bn1")?,
            blocks,
            linear: from.layer("linear")?,
            x: upload(tensors, "input.x")?,
            labels: from.labels()?,
            variables: from.variables,
        })
    }
}

impl Block {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.bn1.forward_t(&x.conv2d(&self.conv1, 1, self.stride, 1, 1)?, true)?.relu()?;
        let y = self.bn2.forward_t(&y.conv2d(&self.conv2, 1, 1, 1, 1)?, true)?;
        (y + self.shortcut(x)?)?.relu()
    }

    /// Every other row and column, and as many channels of zeros, half of them in front.
    fn shortcut(&self, x: &Tensor) -> Result<Tensor> {
        if self.stride == 1 {
            return Ok(x.clone());
        }
        let (n, c, h, w) = x.dims4()?;
        let pairs = x.contiguous()?.reshape((n * c, h / 2, 2, w / 2, 2))?;
        let x = pairs.narrow(2, 0, 1)?.narrow(4, 0, 1)?.contiguous()?.reshape((n, c, h / 2, w / 2))?;
        x.pad_with_zeros(1, c / 2, c / 2)
    }
}

impl Network for ResNet20 {
    fn loss(&self) -> Result<Tensor> {
        let x = self.bn1.forward_t(&self.x.conv2d(&self.conv1, 1, 1, 1, 1)?, true)?.relu()?;
        let x = self.blocks.iter().try_fold(x, |x, block| block.forward(&x))?;
        cross_entropy(&self.linear.linear(&x.mean((2, 3))?)?, &self.labels)
    }

    fn variables(&self) -> &[Var] {
        &self.variables
    }
}
