//! The work in burn on its wgpu back end, with kernel fusion and autotuning as burn's own defaults have them.

mod models;

use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig, momentum::MomentumConfig};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData, module::conv2d};
use models::{Cnn, Network, ResNet20};
use peer_protocol::{Failure, LEARNING_RATE, MOMENTUM, Tensors, Work, digest, serve, unknown};

fn main() -> Result<(), Failure> {
    let (device, setup) = Device::wgpu_options().init_with_setup()?;
    let info = setup.adapter.get_info();
    let about = format!("burn 0.22.1 (wgpu), {} ({} {})", info.name, info.driver, info.driver_info);
    serve(&about, |name, tensors| prepare(name, tensors, &device))
}

fn prepare(name: &str, tensors: &Tensors, device: &Device) -> Result<Box<dyn Work>, Failure> {
    let differentiable = device.clone().autodiff();
    let leaf = |name: &str| Ok::<_, Failure>(upload::<4>(tensors, name, &differentiable)?.require_grad());
    Ok(match name {
        "gemm" => {
            let (a, b) = (upload(tensors, "input.a", device)?, upload(tensors, "input.b", device)?);
            Box::new(Kernel {
                device: device.clone(),
                run: move || vec![flat(Tensor::<2>::matmul(a.clone(), b.clone()))],
                last: vec![],
            })
        }
        "conv" => {
            let (x, w) = (upload(tensors, "input.x", device)?, upload(tensors, "input.w", device)?);
            let run = move || vec![flat(conv2d(x.clone(), w.clone(), None, same()))];
            Box::new(Kernel { device: device.clone(), run, last: vec![] })
        }
        "conv-train" => {
            let (x, w, dy) =
                (leaf("input.x")?, leaf("input.w")?, upload(tensors, "input.dy", &differentiable)?);
            let run = move || {
                let y = conv2d(x.clone(), w.clone(), None, same());
                let mut gradients = (y.clone() * dy.clone()).sum().backward();
                let gradient = |of: &Tensor<4>, from: &mut _| of.grad_remove(from).map(flat);
                let (dx, dw) = (gradient(&x, &mut gradients), gradient(&w, &mut gradients));
                [Some(flat(y.inner())), dx, dw].into_iter().flatten().collect()
            };
            Box::new(Kernel { device: device.clone(), run, last: vec![] })
        }
        "cnn" => Box::new(Training::new(Cnn::load(tensors, &differentiable)?, differentiable)),
        "resnet20" => Box::new(Training::new(ResNet20::load(tensors, &differentiable)?, differentiable)),
        _ => return Err(unknown(name)),
    })
}

/// A tensor of the file on the device.
fn upload<const D: usize>(tensors: &Tensors, name: &str, device: &Device) -> Result<Tensor<D>, Failure> {
    let tensor = tensors.get(name)?;
    Ok(Tensor::from_data(TensorData::new(tensor.data.clone(), tensor.shape.clone()), device))
}

fn flat<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    tensor.flatten(0, D as i32 - 1)
}

/// 3x3 with a border of one.
fn same() -> ConvOptions<2> {
    ConvOptions::new([1, 1], [1, 1], [1, 1], 1)
}

/// Work without a state.
struct Kernel<F> {
    device: Device,
    run: F,
    last: Vec<Tensor<1>>,
}

impl<F: Fn() -> Vec<Tensor<1>>> Work for Kernel<F> {
    fn run(&mut self, times: u32) -> Result<(), Failure> {
        for _ in 0..times {
            self.last = (self.run)();
        }
        Ok(self.device.sync()?)
    }

    fn values(&mut self) -> Result<Vec<f64>, Failure> {
        let mut values = Vec::new();
        for tensor in &self.last {
            values.extend(digest(&tensor.to_data().try_to_vec::<f32>()?));
        }
        Ok(values)
    }
}

/// A training step.
struct Training<N> {
    device: Device,
    network: Option<N>,
    optimizer: ModuleOptimizer,
    loss: Option<Tensor<1>>,
}

impl<N: Network> Training<N> {
    fn new(network: N, device: Device) -> Self {
        let momentum = MomentumConfig::new().with_momentum(MOMENTUM).with_dampening(0.0);
        let optimizer = SgdConfig::new().with_momentum(Some(momentum)).init();
        Self { device, network: Some(network), optimizer, loss: None }
    }
}

impl<N: Network> Work for Training<N> {
    fn run(&mut self, times: u32) -> Result<(), Failure> {
        for _ in 0..times {
            let network = self.network.take().ok_or("the network is gone")?;
            let loss = network.loss();
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            self.network = Some(self.optimizer.step(LEARNING_RATE, network, gradients));
            self.loss = Some(loss.inner());
        }
        Ok(self.device.sync()?)
    }

    fn values(&mut self) -> Result<Vec<f64>, Failure> {
        let loss = self.loss.clone().ok_or("no step was run")?;
        Ok(vec![f64::from(loss.into_scalar::<f32>())])
    }
}
