//! What a step or a forward pass would cost: compiled, and not run.

use crate::Result;
use crate::cli::out::say;
use crate::gpu::Gpu;
use crate::models::{InputSpec, Network, SPANS, Values};
use crate::nn::{DeviceParams, Forward, Tap};
use crate::tape::{Cost, Plan, Tape, Tensor};
use crate::train::TrainConfig;

/// Prints what a step would cost.
pub fn print_plan(cost: &Cost, config: &TrainConfig, steps: u64) -> Result<()> {
    let mib = |bytes: u64| bytes as f64 / (1 << 20) as f64;
    say!("{:>9}  {:>10}  {:>10}  node", "GFLOP", "MiB moved", "dispatches")?;
    for node in &cost.nodes {
        let (gflop, name) = (node.flops as f64 / 1e9, &node.name);
        say!("{gflop:>9.4}  {:>10.2}  {:>10}  {name} {}", mib(node.bytes), node.dispatches, node.outputs)?;
    }
    say!()?;
    say!("steps                 {steps} of {} samples", config.batch_size)?;
    let submits = match cost.submits {
        1 => "one pass, one submit".to_string(),
        several => format!("{several} submits"),
    };
    say!("dispatches per step   {} in {submits}", cost.dispatches)?;
    say!("work per step         {:.3} GFLOP", cost.flops as f64 / 1e9)?;
    say!(
        "intermediates         {:.1} MiB, {:.1} MiB without sharing memory",
        mib(cost.planned_bytes),
        mib(cost.unshared_bytes)
    )?;
    say!("inputs and constants  {:.1} MiB", mib(cost.input_bytes))?;
    say!("weights and states    {:.1} MiB", mib(cost.external_bytes))?;
    say!("largest binding       {:.1} MiB: {}", mib(cost.largest_binding.0), cost.largest_binding.1)
}

/// The network's name on the tape.
const SCOPE: &str = "(network)";

/// A forward pass of one sample as at inference, compiled but not run; a text is as long as texts may be.
pub fn forward_cost(gpu: &Gpu, network: &Network) -> Result<(Vec<Tap>, Cost)> {
    let longest = match network.input() {
        InputSpec::Tokens { longest, .. } => longest,
        _ => 1,
    };
    cost_of_text(gpu, network, longest)
}

/// [`forward_cost`]; a text has so many tokens.
pub fn cost_of_text(gpu: &Gpu, network: &Network, tokens: usize) -> Result<(Vec<Tap>, Cost)> {
    let params = DeviceParams::frozen(gpu, SCOPE, &network.params)?;
    let tape = Tape::new();
    let fx = Forward::eval(&tape, &params);
    let outputs = network.forward(&fx, &sample(&tape, network.input(), tokens))?;
    let outputs: Vec<&Tensor> = outputs.iter().map(|(_, output)| output).collect();
    let plan = Plan::new(gpu, &tape, &outputs)?;
    Ok((fx.taps(), plan.cost().clone()))
}

/// What a network reads of one sample; a text has so many tokens.
fn sample(tape: &Tape, input: InputSpec, tokens: usize) -> Values {
    match input {
        InputSpec::Image(_) | InputSpec::Features(_) => {
            Values::one(input.name(), tape.input(input.name(), [&[1], input.dims()].concat()))
        }
        InputSpec::Words(_) => Values::one(input.name(), tape.input_i32(input.name(), [1])),
        InputSpec::Tokens { .. } => Values::one(input.name(), tape.input_i32(input.name(), [tokens]))
            .with(SPANS, tape.input_i32(SPANS, [1, 2])),
    }
}
