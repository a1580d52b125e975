//! The work in limbeck, with its defaults.

mod texts;

use limbeck::bench::CnnStep;
use limbeck::files::NamedTensor;
use limbeck::gpu::{AdapterRequest, Gpu, GpuOptions};
use limbeck::models::{ModelConfig, build};
use limbeck::nn::{DeviceParams, Forward, Params};
use limbeck::ops::conv2d::Conv2d;
use limbeck::ops::cross_entropy::CrossEntropy;
use limbeck::optim::{Group, Optimizer, OptimizerConfig, OptimizerUpdate};
use limbeck::tape::{Plan, Step, Tape, Tensor};
use peer_protocol::{Failure, LEARNING_RATE, MOMENTUM, Tensors, Work, digest, serve, unknown};

/// Steps that are queued before one waits, as in training.
const AHEAD: usize = 2;

fn main() -> Result<(), Failure> {
    let gpu = Gpu::open_blocking(&AdapterRequest::from_env()?, GpuOptions::default())?;
    let caps = gpu.caps();
    let about = format!("{} ({})", caps.name, caps.driver);
    serve(&about, |name, tensors| Ok(Box::new(prepare(name, tensors, &gpu)?)))
}

fn prepare(name: &str, tensors: &Tensors, gpu: &Gpu) -> Result<Planned, Failure> {
    match name {
        "gemm" => {
            let mut from = Inputs::new(tensors);
            let c = from.input("input.a", false)?.matmul(&from.input("input.b", false)?)?;
            from.plan(gpu, vec![c])
        }
        "conv" | "conv-train" => {
            let mut from = Inputs::new(tensors);
            let train = name == "conv-train";
            let (x, w) = (from.input("input.x", train)?, from.input("input.w", train)?);
            let y = x.conv2d(&w, None, Conv2d::square(1, 1))?;
            if !train {
                return from.plan(gpu, vec![y]);
            }
            let dy = from.input("input.dy", false)?;
            let gradients = y.mul(&dy)?.sum(&[0, 1, 2, 3], false)?.backward()?;
            let gradient = |of: &Tensor| gradients.get(of).cloned();
            let outputs = vec![y, gradient(&x)?, gradient(&w)?];
            from.plan(gpu, outputs)
        }
        "cnn" => {
            let cnn = CnnStep::new(gpu, |params| load(params, tensors))?;
            cnn.plan.write(&cnn.images, &tensors.get("input.x")?.data)?;
            cnn.plan.write(&cnn.teacher, &tensors.get("input.teacher")?.data)?;
            cnn.plan.write(&cnn.labels, &labels(tensors)?)?;
            Ok(Planned::new(cnn.plan, vec![cnn.loss], Some((cnn.update, LEARNING_RATE))))
        }
        "resnet20" => resnet20(tensors, gpu),
        "minilm" => texts::vectors(tensors, gpu),
        "encoder-train" => texts::training(tensors, gpu),
        _ => Err(unknown(name)),
    }
}

fn resnet20(tensors: &Tensors, gpu: &Gpu) -> Result<Planned, Failure> {
    let images = tensors.get("input.x")?;
    let [n, c, h, w] = images.shape[..] else { return Err("input.x: expected four dimensions".into()) };
    let mut network = build("resnet20", &ModelConfig::classifier([c, h, w], 10))?;
    load(&mut network.params, tensors)?;
    let params = DeviceParams::trainable(gpu, "resnet20", &network.params)?;
    let tape = Tape::new();
    let fx = Forward::train(&tape, &params);
    let (x, y) = (tape.input("x", [n, c, h, w]), tape.input_i32("labels", [n]));
    let loss = network.predict(&fx, &x)?.cross_entropy(&y, &CrossEntropy::default())?;
    let sgd = OptimizerConfig::Sgd { momentum: MOMENTUM, nesterov: false, weight_decay: 0.0 };
    let update = stepping(gpu, &fx, &loss, sgd)?;
    let plan = Plan::new(gpu, &tape, &[&loss])?;
    plan.write(&x, &images.data)?;
    plan.write(&y, &labels(tensors)?)?;
    Ok(Planned::new(plan, vec![loss], Some((update, LEARNING_RATE))))
}

/// Records the backward sweep and the optimizer's update.
fn stepping(
    gpu: &Gpu,
    fx: &Forward<'_>,
    loss: &Tensor,
    config: OptimizerConfig,
) -> Result<OptimizerUpdate, Failure> {
    fx.place_gradients(&loss.backward()?)?;
    let group = Group::of(fx.params(), fx.tape())?;
    let optimizer = Optimizer::new(gpu, "update", config, &[group.weights.meta().len()])?;
    Ok(optimizer.record(fx.tape(), &[group], None)?)
}

fn labels(tensors: &Tensors) -> Result<Vec<i32>, Failure> {
    Ok(tensors.labels()?.into_iter().map(i32::from).collect())
}

/// The file's weights; it must have all of them.
fn load(params: &mut Params, tensors: &Tensors) -> limbeck::Result<()> {
    let named = |(name, tensor): (&String, &peer_protocol::Tensor)| NamedTensor {
        name: name.clone(),
        shape: tensor.shape.clone(),
        data: tensor.data.clone(),
    };
    let all: Vec<NamedTensor> = tensors.weights().map(named).collect();
    params.load(&all)?.strict("the file of weights")
}

/// A tape whose inputs are in the file.
struct Inputs<'a> {
    tape: Tape,
    tensors: &'a Tensors,
    filled: Vec<(Tensor, &'a [f32])>,
}

impl<'a> Inputs<'a> {
    fn new(tensors: &'a Tensors) -> Self {
        Self { tape: Tape::new(), tensors, filled: Vec::new() }
    }

    fn input(&mut self, name: &str, gradient: bool) -> Result<Tensor, Failure> {
        let values = self.tensors.get(name)?;
        let shape = values.shape.clone();
        let tensor = if gradient { self.tape.variable(name, shape) } else { self.tape.input(name, shape) };
        self.filled.push((tensor.clone(), &values.data));
        Ok(tensor)
    }

    fn plan(self, gpu: &Gpu, outputs: Vec<Tensor>) -> Result<Planned, Failure> {
        let plan = Plan::new(gpu, &self.tape, &outputs.iter().collect::<Vec<_>>())?;
        for (tensor, values) in self.filled {
            plan.write(&tensor, values)?;
        }
        Ok(Planned::new(plan, outputs, None))
    }
}

/// A plan to run.
struct Planned {
    plan: Plan,
    step: Step,
    outputs: Vec<Tensor>,
    /// With its learning rate.
    update: Option<(OptimizerUpdate, f64)>,
}

impl Planned {
    fn new(plan: Plan, outputs: Vec<Tensor>, update: Option<(OptimizerUpdate, f64)>) -> Self {
        Self { plan, step: Step::new(0, 0), outputs, update }
    }
}

impl Work for Planned {
    fn run(&mut self, times: u32) -> Result<(), Failure> {
        for _ in 0..times {
            let number = self.step.number;
            if let Some((update, rate)) = &self.update {
                update.set_step(&mut self.step, *rate, number.into());
            }
            self.plan.run(&self.step)?;
            self.plan.gpu().throttle(AHEAD)?;
            self.step.number = number + 1;
        }
        Ok(self.plan.gpu().wait_idle()?)
    }

    fn values(&mut self) -> Result<Vec<f64>, Failure> {
        let mut values = Vec::new();
        for output in &self.outputs {
            let read = self.plan.read_f32(output)?;
            match read[..] {
                [loss] => values.push(f64::from(loss)),
                _ => values.extend(digest(&read)),
            }
        }
        Ok(values)
    }
}
