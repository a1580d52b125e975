//! Times the kernels that training spends its time in, and whole training steps.
//!
//!     cargo bench --bench kernels -- [--repeats N] [part of a name]...
//!
//! `least` is the shortest of all repeats: what other work on the machine disturbs least. LIMBECK_BACKEND and
//! LIMBECK_ADAPTER choose the adapter.

use limbeck::Result;
use limbeck::gpu::{AdapterRequest, Gpu, GpuOptions};
use limbeck::nn::{Conv, DeviceParams, Forward, Linear, ParamBuilder, Params};
use limbeck::ops::conv2d::Conv2d;
use limbeck::ops::cross_entropy::CrossEntropy;
use limbeck::ops::kl_div::KlReduction;
use limbeck::ops::pool::Pool;
use limbeck::optim::{Group, Optimizer, OptimizerConfig};
use limbeck::tape::{NodeTiming, Plan, Step, Tape, Tensor};

type Build = fn(&Gpu) -> Result<(Plan, Step)>;

const CASES: &[(&str, Build)] = &[
    ("gemm 512", |gpu| gemm(gpu, [512; 3], false, false)),
    ("gemm 1024", |gpu| gemm(gpu, [1024; 3], false, false)),
    ("gemm 1024 A^T B", |gpu| gemm(gpu, [1024; 3], true, false)),
    ("gemm 1024 A B^T", |gpu| gemm(gpu, [1024; 3], false, true)),
    ("gemm 64x25088x288", |gpu| gemm(gpu, [64, 25088, 288], false, false)),
    ("linear 64x3136x128", |gpu| linear(gpu, 64, 3136, 128)),
    ("conv 32x32x28 64 3x3", |gpu| conv(gpu, [32, 32, 28, 28], 64)),
    ("conv 64x64x14 128 3x3", |gpu| conv(gpu, [64, 64, 14, 14], 128)),
    ("conv 64x1x28 32 3x3", |gpu| conv(gpu, [64, 1, 28, 28], 32)),
    ("conv 64x3x32 32 3x3", |gpu| conv(gpu, [64, 3, 32, 32], 32)),
    ("step cnn 32-64-fc128", cnn_step),
];

fn main() -> Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let mut repeats = 30;
    if let Some(at) = arguments.iter().position(|a| a == "--repeats") {
        repeats = arguments.get(at + 1).and_then(|n| n.parse().ok()).unwrap_or(repeats);
        arguments.drain(at..arguments.len().min(at + 2));
    }
    let gpu = Gpu::open_blocking(&AdapterRequest::from_env()?, GpuOptions::default())?;
    println!("{} on {} ({})", gpu.caps().name, gpu.caps().backend, gpu.caps().driver);
    println!("{:<22} {:<34} {:>9} {:>9} {:>9}", "case", "op", "least ms", "median ms", "GFLOP/s");
    for (name, build) in CASES.iter().filter(|c| wanted(c.0, &arguments)) {
        let (plan, step) = build(&gpu)?;
        let nodes = plan.profile(&step, repeats)?;
        let whole_step = name.starts_with("step");
        for node in nodes.iter().filter(|n| whole_step || n.name == "gemm" || n.name.starts_with("conv")) {
            print_row(name, node);
        }
        if whole_step {
            print_step(name, &plan, &step, repeats)?;
        }
    }
    Ok(())
}

fn wanted(name: &str, parts: &[String]) -> bool {
    parts.is_empty() || parts.iter().any(|p| name.contains(p.as_str()))
}

fn print_row(case: &str, node: &NodeTiming) {
    let name = format!("{} {}", node.name, node.outputs.split(' ').next().unwrap_or(""));
    let rate = node.flops as f64 * 1e-6 / node.least_ms;
    println!("{case:<22} {name:<34} {:>9.3} {:>9.3} {rate:>9.1}", node.least_ms, node.ms);
}

fn print_step(case: &str, plan: &Plan, step: &Step, repeats: usize) -> Result<()> {
    let (mut whole, mut cpu) = (plan.time_steps(step, repeats * 3)?, plan.time_encoding(step, repeats)?);
    whole.sort_by(f64::total_cmp);
    cpu.sort_by(f64::total_cmp);
    let dispatches = plan.cost().dispatches;
    println!(
        "{case:<22} {:<34} {:>9.3} {:>9.3} {:>9.1}   {dispatches} dispatches, {:.1} us of CPU a dispatch",
        "the whole step",
        whole[0],
        whole[whole.len() / 2],
        plan.cost().flops as f64 * 1e-6 / whole[0],
        cpu[cpu.len() / 2] / dispatches as f64,
    );
    Ok(())
}

/// Values that are neither zero nor denormal.
fn fill(plan: &Plan, tensor: &Tensor) -> Result<()> {
    let values: Vec<f32> = (0..tensor.meta().len()).map(|i| ((i * 37 % 101) as f32 - 50.0) * 0.01).collect();
    plan.write(tensor, &values)
}

fn filled(gpu: &Gpu, tape: &Tape, inputs: &[&Tensor], outputs: &[&Tensor]) -> Result<(Plan, Step)> {
    let plan = Plan::new(gpu, tape, outputs)?;
    inputs.iter().try_for_each(|input| fill(&plan, input))?;
    Ok((plan, Step::new(0, 0)))
}

fn gemm(gpu: &Gpu, [m, n, k]: [usize; 3], trans_a: bool, trans_b: bool) -> Result<(Plan, Step)> {
    let tape = Tape::new();
    let a = tape.input("a", if trans_a { [k, m] } else { [m, k] });
    let b = tape.input("b", if trans_b { [n, k] } else { [k, n] });
    let c = a.gemm(&b, trans_a, trans_b)?;
    filled(gpu, &tape, &[&a, &b], &[&c])
}

fn linear(gpu: &Gpu, batch: usize, c_in: usize, c_out: usize) -> Result<(Plan, Step)> {
    let tape = Tape::new();
    let x = tape.variable("x", [batch, c_in]);
    let w = tape.variable("w", [c_out, c_in]);
    backward(gpu, &tape, &x, &w, x.linear(&w, None)?)
}

fn conv(gpu: &Gpu, x: [usize; 4], c_out: usize) -> Result<(Plan, Step)> {
    let tape = Tape::new();
    let w = tape.variable("w", [c_out, x[1], 3, 3]);
    let x = tape.variable("x", x);
    backward(gpu, &tape, &x, &w, x.conv2d(&w, None, Conv2d::square(1, 1))?)
}

/// Forward, dx and dw.
fn backward(gpu: &Gpu, tape: &Tape, x: &Tensor, w: &Tensor, y: Tensor) -> Result<(Plan, Step)> {
    // A loss of sum(y * t) would add nodes; the gradient of y is given instead.
    let dy = tape.input("dy", y.shape().clone());
    let loss = y.mul(&dy)?.sum(&(0..y.dims().len()).collect::<Vec<_>>(), false)?;
    let gradients = loss.backward()?;
    let wanted: Vec<&Tensor> = [gradients.get(x), gradients.get(w)].into_iter().flatten().collect();
    filled(gpu, tape, &[x, w, &dy], &[&[&y], &wanted[..]].concat())
}

/// conv(1-32)-relu-pool-conv(32-64)-relu-pool-fc128-relu-fc10 with cross entropy, soft targets and SGD.
fn cnn_step(gpu: &Gpu) -> Result<(Plan, Step)> {
    const BATCH: usize = 64;
    let mut params = Params::default();
    let mut root = ParamBuilder::new(&mut params);
    let same = Conv2d::square(1, 1);
    let conv1 = Conv::new(root.sub("conv1"), 1, 32, 3, same, true);
    let conv2 = Conv::new(root.sub("conv2"), 32, 64, 3, same, true);
    let fc1 = Linear::new(root.sub("fc1"), 64 * 7 * 7, 128, true);
    let fc2 = Linear::new(root.sub("fc2"), 128, 10, true);
    params.initialise(1);
    let device = DeviceParams::trainable(gpu, "cnn", &params)?;

    let tape = Tape::new();
    let fx = Forward::train(&tape, &device);
    let x = tape.input("x", [BATCH, 1, 28, 28]);
    let labels = tape.input_i32("labels", [BATCH]);
    let teacher = tape.input("teacher logits", [BATCH, 10]);
    let pool = Pool::square(2, 2, 0);
    let y = conv1.forward(&fx, &x)?.relu()?.max_pool2d(&pool)?;
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
    fill(&plan, &x)?;
    fill(&plan, &teacher)?;
    plan.write(&labels, &(0..BATCH as i32).map(|i| i % 10).collect::<Vec<_>>())?;
    let mut step = Step::new(0, 0);
    // Small, so that many repeats on one batch change little.
    update.set_step(&mut step, 1e-5, 0);
    Ok((plan, step))
}
