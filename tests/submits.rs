//! Long work goes to the GPU in parts, with the same bits.

mod common;

use limbeck::Result;
use limbeck::gpu::{Gpu, GpuOptions, SubmitLimit};
use limbeck::models::{ModelConfig, build};
use limbeck::nn::{DeviceParams, Forward};
use limbeck::ops::cross_entropy::CrossEntropy;
use limbeck::ops::{Case, OPS};
use limbeck::rng::Stream;
use limbeck::tape::{Backward, Cost, DType, Plan, Step, Tape, Tensor};

fn with(submits: SubmitLimit) -> Gpu {
    common::gpu_with(GpuOptions { submits, ..Default::default() })
}

/// A case with its gradients, compiled.
struct Compiled {
    plan: Plan,
    inputs: Vec<Tensor>,
    kept: Vec<Tensor>,
}

impl Compiled {
    fn new(gpu: &Gpu, case: &Case) -> Result<Self> {
        let tape = Tape::new();
        let leaf = |i: usize| {
            let (name, input) = (format!("input {i}"), &case.inputs[i]);
            match input.meta.dtype {
                DType::I32 => tape.input_i32(&name, input.meta.shape.clone()),
                DType::F32 if input.grad => tape.variable(&name, input.meta.shape.clone()),
                DType::F32 => tape.input(&name, input.meta.shape.clone()),
            }
        };
        let inputs: Vec<Tensor> = (0..case.inputs.len()).map(leaf).collect();
        let outputs = tape.record_shared(case.op.clone(), &inputs.iter().collect::<Vec<_>>())?;
        let mut kept = outputs.clone();
        kept.extend(case.op.in_place().iter().map(|&i| inputs[i].clone()));
        if case.op.differentiable() && inputs.iter().any(Tensor::requires_grad) {
            let cotangent = |(i, output): (usize, &Tensor)| {
                let comes = i < case.saved_from && output.meta().dtype == DType::F32;
                comes.then(|| tape.constant(output.shape().clone(), &values(output, "cotangent"))).transpose()
            };
            let douts = outputs.iter().enumerate().map(cotangent).collect::<Result<Vec<_>>>()?;
            let at = Backward { inputs: &inputs, outputs: &outputs, douts: &douts };
            kept.extend(tape.no_grad(|| case.op.backward(&at))?.into_iter().flatten());
        }
        let plan = Plan::new(gpu, &tape, &kept.iter().collect::<Vec<_>>())?;
        Ok(Self { plan, inputs, kept })
    }

    fn bits(&self, case: &Case) -> Result<Vec<Vec<u32>>> {
        let mut random = Stream::new(5, &case.label());
        for (tensor, input) in self.inputs.iter().zip(&case.inputs) {
            // What nothing reads has no place.
            let values = input.values(&mut random);
            match tensor.meta().dtype {
                _ if !self.plan.holds(tensor) => {}
                DType::F32 => {
                    self.plan.write(tensor, &values.iter().map(|&v| v as f32).collect::<Vec<_>>())?
                }
                DType::I32 => {
                    self.plan.write(tensor, &values.iter().map(|&v| v as i32).collect::<Vec<_>>())?
                }
            }
        }
        self.plan.run(&Step::new(3, 1))?;
        self.kept.iter().map(|tensor| bits(&self.plan, tensor)).collect()
    }
}

fn values(tensor: &Tensor, name: &str) -> Vec<f32> {
    let mut random = Stream::new(9, name);
    (0..tensor.meta().len()).map(|_| random.normal() as f32).collect()
}

/// Every op, each dispatch in two parts that are submits of their own. LIMBECK_OPS=conv2d,pool runs only those op files.
#[test]
fn split_ops_have_the_same_bits() {
    let only = std::env::var("LIMBECK_OPS").ok();
    let (whole, split) = (with(SubmitLimit::ByAdapter), with(SubmitLimit::Parts(2)));
    let (mut failures, mut compared, mut unsplit) = (Vec::new(), 0, Vec::new());
    for spec in OPS {
        if only.as_deref().is_some_and(|names| !names.split(',').any(|n| n == spec.name)) {
            continue;
        }
        let before = compared;
        for case in (spec.cases)() {
            let (a, b) = (Compiled::new(&whole, &case).unwrap(), Compiled::new(&split, &case).unwrap());
            let (one, many) = (a.plan.cost(), b.plan.cost());
            assert_eq!(many.submits, many.dispatches.max(1), "{}", case.label());
            // One workgroup can't be split.
            if many.dispatches > one.dispatches {
                compared += 1;
                if a.bits(&case).unwrap() != b.bits(&case).unwrap() {
                    failures.push(case.label());
                }
            }
        }
        if compared == before {
            unsplit.push(spec.name);
        }
    }
    println!("{compared} cases compared; never split: {unsplit:?}");
    assert!(failures.is_empty(), "{} of {compared} differ:\n{}", failures.len(), failures.join("\n"));
    assert!(compared > 0);
    // reshape does nothing, and chosen_tokens, which counts from one end of a batch to the other, is one workgroup.
    let whole = ["reshape", "chosen_tokens"];
    assert!(unsplit.iter().all(|name| whole.contains(name)), "never split: {unsplit:?}");
}

/// 2 * 512^3 operations and 3 MiB are 5.7 ms by the estimate.
#[test]
fn a_long_dispatch_is_split_by_time() {
    let product = |submits| {
        let gpu = with(submits);
        let tape = Tape::new();
        let (a, b) = (tape.input("a", [512, 512]), tape.input("b", [512, 512]));
        let c = a.matmul(&b).unwrap();
        let plan = Plan::new(&gpu, &tape, &[&c]).unwrap();
        plan.write(&a, &values(&a, "a")).unwrap();
        plan.write(&b, &values(&b, "b")).unwrap();
        plan.run(&Step::new(0, 1)).unwrap();
        let Cost { dispatches, submits, .. } = *plan.cost();
        (bits(&plan, &c).unwrap(), dispatches, submits)
    };
    let (whole, dispatches, submits) = product(SubmitLimit::Seconds(f64::INFINITY));
    assert_eq!((dispatches, submits), (1, 1));
    let (split, dispatches, submits) = product(SubmitLimit::Seconds(2e-3));
    assert_eq!((dispatches, submits), (3, 3));
    assert_eq!(whole, split);
}

/// Reading and writing 2^20 elements is 0.84 ms by the estimate, and an operation each 0.02 ms.
#[test]
fn a_long_step_is_split_between_ops() {
    let gpu = with(SubmitLimit::Seconds(2e-3));
    let tape = Tape::new();
    let x = tape.input("x", [1 << 20]);
    let y = (0..10).try_fold(x.clone(), |x, _| x.abs()).unwrap();
    let plan = Plan::new(&gpu, &tape, &[&y]).unwrap();
    assert_eq!((plan.cost().dispatches, plan.cost().submits), (10, 5));
    plan.write(&x, &values(&x, "x")).unwrap();
    plan.run(&Step::new(0, 1)).unwrap();
    let want: Vec<f32> = values(&x, "x").iter().map(|v| v.abs()).collect();
    assert_eq!(plan.read_f32(&y).unwrap(), want);
}

/// What a GPU may be given at once holds an ordinary step.
#[test]
fn an_ordinary_step_is_one_submit() {
    for submits in [SubmitLimit::ByAdapter, SubmitLimit::Seconds(1.0)] {
        let gpu = with(submits);
        let network = build("cnn:16,32", &ModelConfig::classifier([3, 32, 32], 10)).unwrap();
        let params = DeviceParams::trainable(&gpu, "student", &network.params).unwrap();
        let tape = Tape::new();
        let (x, labels) = (tape.input("x", [128, 3, 32, 32]), tape.input_i32("labels", [128]));
        let fx = Forward::train(&tape, &params);
        let logits = network.predict(&fx, &x).unwrap();
        let loss = logits.cross_entropy(&labels, &CrossEntropy::default()).unwrap();
        fx.place_gradients(&loss.backward().unwrap()).unwrap();
        let plan = Plan::new(&gpu, &tape, &[&loss]).unwrap();
        assert_eq!(plan.cost().submits, 1);
    }
}

/// A tensor of either type, to the bit.
fn bits(plan: &Plan, tensor: &Tensor) -> limbeck::Result<Vec<u32>> {
    match tensor.meta().dtype {
        limbeck::tape::DType::F32 => Ok(plan.read_f32(tensor)?.into_iter().map(f32::to_bits).collect()),
        limbeck::tape::DType::I32 => Ok(plan.read_i32(tensor)?.into_iter().map(|v| v as u32).collect()),
    }
}
