//! The two networks, with their inputs and losses, from burn's own layers.

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLoss;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::{log_softmax, relu, softmax};
use burn::tensor::{Device, Int, Tensor, s};
use peer_protocol::{Failure, HARD, RESNET20, TEMPERATURE, Tensors};

use super::upload;

/// A network with the batch that it is trained on.
pub trait Network: Module {
    /// The loss of the batch.
    fn loss(&self) -> Tensor<1>;
}

#[derive(Module, Debug)]
pub struct Batch {
    x: Tensor<4>,
    labels: Tensor<1, Int>,
}

impl Batch {
    fn load(tensors: &Tensors, device: &Device) -> Result<Self, Failure> {
        let labels: Vec<i32> = tensors.labels()?.into_iter().map(i32::from).collect();
        Ok(Self {
            x: upload(tensors, "input.x", device)?,
            labels: Tensor::from_data(labels.as_slice(), device),
        })
    }

    fn cross_entropy(&self, logits: Tensor<2>) -> Tensor<1> {
        CrossEntropyLoss::new(None, &logits.device()).forward(logits, self.labels.clone())
    }
}

#[derive(Module, Debug)]
pub struct Cnn {
    conv1: Conv2d,
    conv2: Conv2d,
    pool: MaxPool2d,
    fc1: Linear,
    fc2: Linear,
    batch: Batch,
    teacher: Tensor<2>,
}

impl Cnn {
    pub fn load(tensors: &Tensors, device: &Device) -> Result<Self, Failure> {
        Ok(Self {
            conv1: conv(tensors, "conv1", 1, true, device)?,
            conv2: conv(tensors, "conv2", 1, true, device)?,
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            fc1: linear(tensors, "fc1", device)?,
            fc2: linear(tensors, "fc2", device)?,
            batch: Batch::load(tensors, device)?,
            teacher: upload(tensors, "input.teacher", device)?,
        })
    }
}

impl Network for Cnn {
    fn loss(&self) -> Tensor<1> {
        let y = self.pool.forward(relu(self.conv1.forward(self.batch.x.clone())));
        let y = self.pool.forward(relu(self.conv2.forward(y)));
        let y = relu(self.fc1.forward(y.flatten::<2>(1, 3)));
        let logits = self.fc2.forward(y);
        let hard = self.batch.cross_entropy(logits.clone());
        let student = log_softmax(logits / TEMPERATURE, 1);
        let teacher = self.teacher.clone() / TEMPERATURE;
        let divergence = softmax(teacher.clone(), 1) * (log_softmax(teacher, 1) - student);
        let soft = divergence.sum_dim(1).mean() * (TEMPERATURE * TEMPERATURE);
        hard * HARD + soft * (1.0 - HARD)
    }
}

#[derive(Module, Debug)]
pub struct ResNet20 {
    conv1: Conv2d,
    bn1: BatchNorm,
    blocks: Vec<Block>,
    linear: Linear,
    batch: Batch,
}

#[derive(Module, Debug)]
struct Block {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    stride: usize,
}

impl ResNet20 {
    pub fn load(tensors: &Tensors, device: &Device) -> Result<Self, Failure> {
        let mut blocks = Vec::new();
        for stage in 1..=RESNET20.len() {
            for block in 0..3 {
                let stride = if stage > 1 && block == 0 { 2 } else { 1 };
                blocks.push(Block::load(tensors, &format!("layer{stage}.{block}"), stride, device)?);
            }
        }
        Ok(Self {
            conv1: conv(tensors, "conv1", 1, false, device)?,
            bn1: batch_norm(tensors, "bn1", device)?,
            blocks,
            linear: linear(tensors, "linear", device)?,
            batch: Batch::load(tensors, device)?,
        })
    }
}

impl Block {
    fn load(tensors: &Tensors, at: &str, stride: usize, device: &Device) -> Result<Self, Failure> {
        Ok(Self {
            conv1: conv(tensors, &format!("{at}.conv1"), stride, false, device)?,
            bn1: batch_norm(tensors, &format!("{at}.bn1"), device)?,
            conv2: conv(tensors, &format!("{at}.conv2"), 1, false, device)?,
            bn2: batch_norm(tensors, &format!("{at}.bn2"), device)?,
            stride,
        })
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = relu(self.bn1.forward(self.conv1.forward(x.clone())));
        let y = self.bn2.forward(self.conv2.forward(y));
        relu(y + self.shortcut(x))
    }

    /// Every other row and column, and as many channels of zeros, half of them in front.
    fn shortcut(&self, x: Tensor<4>) -> Tensor<4> {
        if self.stride == 1 {
            return x;
        }
        let x = x.slice(s![.., .., ..;2, ..;2]);
        let [n, c, h, w] = x.dims();
        let zeros = Tensor::zeros([n, c / 2, h, w], &x.device());
        Tensor::cat(vec![zeros.clone(), x, zeros], 1)
    }
}

impl Network for ResNet20 {
    fn loss(&self) -> Tensor<1> {
        let x = relu(self.bn1.forward(self.conv1.forward(self.batch.x.clone())));
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x));
        let [n, c, h, w] = x.dims();
        let x = x.reshape([n, c, h * w]).mean_dim(2).reshape([n, c]);
        self.batch.cross_entropy(self.linear.forward(x))
    }
}

fn conv(tensors: &Tensors, at: &str, stride: usize, bias: bool, device: &Device) -> Result<Conv2d, Failure> {
    let weight = tensors.get(&format!("{at}.weight"))?;
    let mut layer = Conv2dConfig::new([weight.shape[1], weight.shape[0]], [3, 3])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
        .with_bias(bias)
        .init(device);
    layer.weight = Param::from_tensor(upload(tensors, &format!("{at}.weight"), device)?);
    if bias {
        layer.bias = Some(Param::from_tensor(upload(tensors, &format!("{at}.bias"), device)?));
    }
    Ok(layer)
}

/// burn keeps the weight as (inputs, outputs).
fn linear(tensors: &Tensors, at: &str, device: &Device) -> Result<Linear, Failure> {
    let weight = tensors.get(&format!("{at}.weight"))?;
    let (outputs, inputs) = (weight.shape[0], weight.shape[1]);
    let columns = (0..inputs).flat_map(|i| (0..outputs).map(move |o| weight.data[o * inputs + i]));
    let transposed = burn::tensor::TensorData::new(columns.collect::<Vec<f32>>(), [inputs, outputs]);
    let mut layer = LinearConfig::new(inputs, outputs).init(device);
    layer.weight = Param::from_tensor(Tensor::from_data(transposed, device));
    layer.bias = Some(Param::from_tensor(upload(tensors, &format!("{at}.bias"), device)?));
    Ok(layer)
}

/// Weights are one and biases zero in burn as in the file; so are the running statistics.
fn batch_norm(tensors: &Tensors, at: &str, device: &Device) -> Result<BatchNorm, Failure> {
    let channels = tensors.get(&format!("{at}.weight"))?.data.len();
    Ok(BatchNormConfig::new(channels).init(device))
}
