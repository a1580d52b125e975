//! The step that engines are compared by: conv(1-32)-relu-pool-conv(32-64)-relu-pool-fc128-relu-fc10, 28x28, batch 64,
//! cross-entropy and KL(T = 4) against given teacher logits, SGD.

use super::benchmark::{Prepared, Target};
use super::workload::by_op;
use crate::Result;
use crate::gpu::Gpu;
use crate::nn::{Conv, DeviceParams, Forward, Linear, ParamBuilder, Params};
use crate::ops::conv2d::Conv2d;
use crate::ops::cross_entropy::CrossEntropy;
use crate::ops::kl_div::KlReduction;
use crate::ops::pool::Pool;
use crate::optim::{Group, Optimizer, OptimizerConfig, OptimizerUpdate};
use crate::tape::{Plan, Step, Tape, Tensor};

const BATCH: usize = 64;

/// The step, compiled, and the tensors that an outside measurement fills and reads.
pub struct CnnStep {
    /// The whole step.
    pub plan: Plan,
    /// Images (64, 1, 28, 28).
    pub images: Tensor,
    /// Their classes, of ten, i32.
    pub labels: Tensor,
    /// The teacher's logits (64, 10).
    pub teacher: Tensor,
    /// 0.1 cross-entropy + 0.9 KL.
    pub loss: Tensor,
    /// Sets the learning rate; momentum is 0.9.
    pub update: OptimizerUpdate,
}

/// The step, timed from submit to idle by the wall clock, without uploads.
pub fn prepare(target: &Target) -> Result<Prepared> {
    let cnn = CnnStep::new(&target.gpu, |_| Ok(()))?;
    fill(&cnn.plan, &cnn.images)?;
    fill(&cnn.plan, &cnn.teacher)?;
    cnn.plan.write(&cnn.labels, &(0..BATCH as i32).map(|i| i % 10).collect::<Vec<_>>())?;
    let mut step = Step::new(0, 0);
    // Small, so that many repeats on one batch change little.
    cnn.update.set_step(&mut step, 1e-5, 0);
    let plan = std::rc::Rc::new(cnn.plan);
    let (flops, dispatches) = (plan.cost().flops, plan.cost().dispatches);
    let timed = plan.clone();
    let time = move |runs: u32| Ok(timed.time_steps(&step, runs as usize)?.iter().sum());
    let breakdown = move || Ok(by_op("cnn 32-64-fc128, batch 64".into(), &plan.profile(&step, 5)?));
    Ok(Prepared {
        dispatches: Some(dispatches),
        flops,
        images: Some(BATCH),
        breakdown: Some(Box::new(breakdown)),
        ..Prepared::wall(format!("[{BATCH}, 1, 28, 28]"), time)
    })
}

impl CnnStep {
    /// Compiles the step. `weights` may replace the initial values, which are always the same.
    pub fn new(gpu: &Gpu, weights: impl FnOnce(&mut Params) -> Result<()>) -> Result<Self> {
        let mut params = Params::default();
        let mut root = ParamBuilder::new(&mut params);
        let same = Conv2d::square(1, 1);
        let conv1 = Conv::new(root.sub("conv1"), 1, 32, 3, same, true);
        let conv2 = Conv::new(root.sub("conv2"), 32, 64, 3, same, true);
        let fc1 = Linear::new(root.sub("fc1"), 64 * 7 * 7, 128, true);
        let fc2 = Linear::new(root.sub("fc2"), 128, 10, true);
        params.initialise(1);
        weights(&mut params)?;
        let device = DeviceParams::trainable(gpu, "cnn", &params)?;

        let tape = Tape::new();
        let fx = Forward::train(&tape, &device);
        let images = tape.input("x", [BATCH, 1, 28, 28]);
        let labels = tape.input_i32("labels", [BATCH]);
        let teacher = tape.input("teacher logits", [BATCH, 10]);
        let pool = Pool::square(2, 2, 0);
        let y = conv1.forward(&fx, &images)?.relu()?.max_pool2d(&pool)?;
        let y = conv2.forward(&fx, &y)?.relu()?.max_pool2d(&pool)?;
        let y = fc1.forward(&fx, &y.flatten()?)?.relu()?;
        let logits = fc2.forward(&fx, &y)?;
        let hard = logits.cross_entropy(&labels, &CrossEntropy::default())?.scale(0.1)?;
        let soft = logits.kl_div(&teacher, 4.0, KlReduction::BatchMean)?.scale(0.9)?;
        let loss = hard.add(&soft)?;
        fx.place_gradients(&loss.backward()?)?;
        let group = Group::of(&device, &tape)?;
        let sgd = OptimizerConfig::Sgd { momentum: 0.9, nesterov: false, weight_decay: 0.0 };
        let optimizer = Optimizer::new(gpu, "sgd", sgd, &[group.weights.meta().len()])?;
        let update = optimizer.record(&tape, &[group], None)?;
        let plan = Plan::new(gpu, &tape, &[&loss])?;
        Ok(Self { plan, images, labels, teacher, loss, update })
    }
}

/// Values that are neither zero nor denormal.
fn fill(plan: &Plan, tensor: &Tensor) -> Result<()> {
    let values: Vec<f32> = (0..tensor.meta().len()).map(|i| ((i * 37 % 101) as f32 - 50.0) * 0.01).collect();
    plan.write(tensor, &values)
}
