//! The work in candle on its CPU back end.

mod models;

use candle_core::{Device, Tensor, Var};
use models::{Cnn, Network, ResNet20};
use peer_protocol::{Failure, LEARNING_RATE, MOMENTUM, Tensors, Work, digest, serve, unknown};

fn main() -> Result<(), Failure> {
    serve("candle 0.11.1, CPU", prepare)
}

fn prepare(name: &str, tensors: &Tensors) -> Result<Box<dyn Work>, Failure> {
    Ok(match name {
        "gemm" => {
            let (a, b) = (upload(tensors, "input.a")?, upload(tensors, "input.b")?);
            Box::new(Kernel { run: move || Ok(vec![a.matmul(&b)?]), last: vec![] })
        }
        "conv" => {
            let (x, w) = (upload(tensors, "input.x")?, upload(tensors, "input.w")?);
            Box::new(Kernel { run: move || Ok(vec![x.conv2d(&w, 1, 1, 1, 1)?]), last: vec![] })
        }
        "conv-train" => {
            let (x, w) = (variable(tensors, "input.x")?, variable(tensors, "input.w")?);
            let dy = upload(tensors, "input.dy")?;
            let run = move || {
                let y = x.as_tensor().conv2d(w.as_tensor(), 1, 1, 1, 1)?;
                let mut gradients = (&y * &dy)?.sum_all()?.backward()?;
                let gradients = [gradients.remove(&x), gradients.remove(&w)];
                Ok([Some(y.detach())].into_iter().chain(gradients).flatten().collect())
            };
            Box::new(Kernel { run, last: vec![] })
        }
        "cnn" => Box::new(Training::new(Cnn::load(tensors)?)),
        "resnet20" => Box::new(Training::new(ResNet20::load(tensors)?)),
        _ => return Err(unknown(name)),
    })
}

fn upload(tensors: &Tensors, name: &str) -> Result<Tensor, Failure> {
    let tensor = tensors.get(name)?;
    Ok(Tensor::from_slice(&tensor.data, tensor.shape.as_slice(), &Device::Cpu)?)
}

fn variable(tensors: &Tensors, name: &str) -> Result<Var, Failure> {
    Ok(Var::from_tensor(&upload(tensors, name)?)?)
}

/// Work without a state.
struct Kernel<F> {
    run: F,
    last: Vec<Tensor>,
}

impl<F: Fn() -> candle_core::Result<Vec<Tensor>>> Work for Kernel<F> {
    fn run(&mut self, times: u32) -> Result<(), Failure> {
        for _ in 0..times {
            self.last = (self.run)()?;
        }
        Ok(())
    }

    fn values(&mut self) -> Result<Vec<f64>, Failure> {
        let mut values = Vec::new();
        for tensor in &self.last {
            values.extend(digest(&tensor.flatten_all()?.to_vec1()?));
        }
        Ok(values)
    }
}

/// A training step. candle's own SGD has no momentum.
struct Training<N> {
    network: N,
    velocities: Vec<Option<Tensor>>,
    loss: f32,
}

impl<N: Network> Training<N> {
    fn new(network: N) -> Self {
        let velocities = vec![None; network.variables().len()];
        Self { network, velocities, loss: f32::NAN }
    }

    fn step(&mut self) -> Result<(), Failure> {
        let loss = self.network.loss()?;
        let gradients = loss.backward()?;
        for (variable, velocity) in self.network.variables().iter().zip(&mut self.velocities) {
            let gradient = gradients.get(variable).ok_or("a variable without a gradient")?;
            let next = match velocity.take() {
                Some(velocity) => ((velocity * MOMENTUM)? + gradient)?,
                None => gradient.clone(),
            };
            variable.set(&(variable.as_tensor() - (&next * LEARNING_RATE)?)?)?;
            *velocity = Some(next.detach());
        }
        self.loss = loss.to_scalar()?;
        Ok(())
    }
}

impl<N: Network> Work for Training<N> {
    fn run(&mut self, times: u32) -> Result<(), Failure> {
        (0..times).try_for_each(|_| self.step())
    }

    fn values(&mut self) -> Result<Vec<f64>, Failure> {
        Ok(vec![f64::from(self.loss)])
    }
}
