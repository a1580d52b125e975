//! Runs an op's cases on a device: forward against the f64 reference, gradients against finite differences of it.

mod compare;
mod half;

use serde::Serialize;

pub(crate) use compare::{Allowed, compare};
pub use half::run_half;

use super::spec::{Case, Input, OpSpec};
use crate::gpu::Gpu;
use crate::rng::Stream;
use crate::tape::{Array, Backward, DType, Plan, Scalar, Step, Tape, Tensor};
use crate::{Error, Result};

/// How a case went.
#[derive(Debug, Clone)]
pub struct ConformanceReport {
    /// The case.
    pub label: String,
    /// Largest forward error, as a share of what is allowed: up to 1 passes.
    pub forward: f64,
    /// Largest gradient error, likewise; absent where no gradient is checked.
    pub gradient: Option<f64>,
    /// Most variants that a node of the case has: the op itself, or a part of its gradient.
    pub variants: usize,
    /// The names of the variants that the nodes of the case took.
    pub taken: Vec<String>,
    /// What failed, in words; empty where the case passes.
    pub failures: Vec<String>,
}

/// How all cases of an op file went.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The op file.
    pub name: &'static str,
    /// Its cases.
    pub cases: usize,
    /// Most variants that a node of a case has.
    pub variants: usize,
    /// Largest forward error of all, as a share of what is allowed: up to 1 passes. JSON has null for one without end.
    pub forward: f64,
    /// Largest gradient error, likewise; absent where no case checks a gradient.
    pub gradient: Option<f64>,
    /// What failed, in words, each with its case; empty where the op conforms.
    pub failures: Vec<String>,
}

/// Runs all cases of an op file. What keeps a case from running is a failure of it; a lost device ends the run.
pub fn check(gpu: &Gpu, spec: &OpSpec, seed: u64) -> Result<Summary> {
    check_by(run, gpu, spec, seed)
}

/// [`check`] with what is f32 stored as f16: see [`run_half`].
pub fn check_half(gpu: &Gpu, spec: &OpSpec, seed: u64) -> Result<Summary> {
    check_by(run_half, gpu, spec, seed)
}

/// Runs one case.
type Run = fn(&Gpu, &Case, u64) -> Result<ConformanceReport>;

fn check_by(run: Run, gpu: &Gpu, spec: &OpSpec, seed: u64) -> Result<Summary> {
    let cases = (spec.cases)();
    let mut all = Summary {
        name: spec.name,
        cases: cases.len(),
        variants: 0,
        forward: 0.0,
        gradient: None,
        failures: Vec::new(),
    };
    for case in &cases {
        match run(gpu, case, seed) {
            Ok(report) => {
                all.variants = all.variants.max(report.variants);
                all.forward = all.forward.max(report.forward);
                all.gradient =
                    report.gradient.map_or(all.gradient, |g| Some(g.max(all.gradient.unwrap_or(0.0))));
                all.failures.extend(report.failures.iter().map(|f| format!("{}: {f}", report.label)));
            }
            Err(error @ Error::DeviceLost(_)) => return Err(error),
            Err(error) => all.failures.push(format!("{}: {error}", case.label())),
        }
    }
    Ok(all)
}

/// The step that cases run with.
pub(crate) fn case_step(seed: u64) -> Step {
    let mut step = Step::new(3, seed);
    for i in 0..16 {
        step.set(Scalar::for_cases(i), (i + 1) as f32 / 20.0);
    }
    step
}

/// Runs one case. The seed gives inputs and cotangents.
pub fn run(gpu: &Gpu, case: &Case, seed: u64) -> Result<ConformanceReport> {
    let mut random = Stream::new(seed, &case.label());
    let values: Vec<Vec<f64>> = case.inputs.iter().map(|input| input.values(&mut random)).collect();
    let step = case_step(seed);
    let arrays = arrays(case, &values);
    let want = case.op.reference(&step, &arrays);

    let tape = Tape::new();
    let inputs = leaves(&tape, case);
    let refs: Vec<&Tensor> = inputs.iter().collect();
    let outputs = tape.record_shared(case.op.clone(), &refs)?;
    let cotangents = cotangents(case, &outputs, &mut random);
    let gradients = record_gradients(&tape, case, &inputs, &outputs, &cotangents, Ok)?;

    let mut keep: Vec<&Tensor> = outputs.iter().chain(gradients.iter().flatten()).collect();
    keep.extend(case.op.in_place().iter().map(|&i| &inputs[i]));
    let plan = Plan::new(gpu, &tape, &keep)?;
    for (input, values) in inputs.iter().zip(&values) {
        write(&plan, input, values)?;
    }
    plan.run(&step)?;

    let mut report = ConformanceReport::new(case, &plan);
    let overwritten: Vec<&Tensor> = case.op.in_place().iter().map(|&i| &inputs[i]).collect();
    let produced: Vec<&Tensor> = outputs.iter().chain(overwritten).collect();
    expect_arrays(case.op.name(), produced.len(), want.len())?;
    for (i, (tensor, want)) in produced.iter().zip(&want).enumerate() {
        let got = read(&plan, tensor)?;
        let allowed = Allowed::full(case.tolerance);
        let worst = compare(&got, &want.data, allowed, &format!("output {i}"), &mut report.failures);
        report.forward = report.forward.max(worst);
    }
    for (i, gradient) in gradients.iter().enumerate() {
        let Some(gradient) = gradient else { continue };
        let got = read(&plan, gradient)?;
        let (at, want) = finite_differences(case, &step, &arrays, i, &cotangents, &mut random);
        let got: Vec<f64> = at.iter().map(|&j| got[j]).collect();
        let place = format!("gradient of input {i}");
        let allowed = Allowed::full(case.gradient_tolerance);
        let worst = compare(&got, &want, allowed, &place, &mut report.failures);
        report.gradient(worst);
    }
    Ok(report)
}

impl ConformanceReport {
    fn new(case: &Case, plan: &Plan) -> Self {
        let nodes = &plan.cost().nodes;
        let variants = nodes.iter().map(|node| node.variants).max().unwrap_or(0);
        let taken = nodes.iter().filter_map(|node| node.variant.clone()).collect();
        Self { label: case.label(), forward: 0.0, gradient: None, variants, taken, failures: Vec::new() }
    }

    fn gradient(&mut self, worst: f64) {
        self.gradient = Some(self.gradient.unwrap_or(0.0).max(worst));
    }
}

fn expect_arrays(op: &str, expected: usize, got: usize) -> Result<()> {
    if expected == got {
        return Ok(());
    }
    Err(Error::shape(op, format!("{expected} arrays from the reference"), got.to_string()))
}

fn arrays(case: &Case, values: &[Vec<f64>]) -> Vec<Array> {
    case.inputs.iter().zip(values).map(|(i, v)| Array::new(i.meta.shape.clone(), v.clone())).collect()
}

/// A case's inputs on a tape.
fn leaves(tape: &Tape, case: &Case) -> Vec<Tensor> {
    let leaf = |(i, input): (usize, &Input)| match (input.meta.dtype, input.grad) {
        (DType::I32, _) => tape.input_i32(&format!("input {i}"), input.meta.shape.clone()),
        (_, true) => tape.variable(&format!("input {i}"), input.meta.shape.clone()),
        (_, false) => tape.input(&format!("input {i}"), input.meta.shape.clone()),
    };
    case.inputs.iter().enumerate().map(leaf).collect()
}

fn cotangents(case: &Case, outputs: &[Tensor], random: &mut Stream) -> Vec<Vec<f64>> {
    outputs
        .iter()
        .take(case.saved_from)
        .map(|o| (0..o.meta().len()).map(|_| f64::from(random.normal() as f32)).collect())
        .collect()
}

/// Records the gradients to check: none where the case has none. The backward rule gets each cotangent by way of `given`.
fn record_gradients(
    tape: &Tape,
    case: &Case,
    inputs: &[Tensor],
    outputs: &[Tensor],
    cotangents: &[Vec<f64>],
    given: impl Fn(Tensor) -> Result<Tensor>,
) -> Result<Vec<Option<Tensor>>> {
    if !case.op.differentiable() || case.inputs.iter().all(|i| !i.grad) {
        return Ok(Vec::new());
    }
    let douts = outputs
        .iter()
        .enumerate()
        .map(|(i, output)| {
            let Some(values) = cotangents.get(i).filter(|_| output.meta().dtype == DType::F32) else {
                return Ok(None);
            };
            let values: Vec<f32> = values.iter().map(|&v| v as f32).collect();
            given(tape.constant(output.shape().clone(), &values)?).map(Some)
        })
        .collect::<Result<Vec<_>>>()?;
    let at = Backward { inputs, outputs, douts: &douts };
    let mut gradients = tape.no_grad(|| case.op.backward(&at))?;
    for (i, (gradient, input)) in gradients.iter_mut().zip(&case.inputs).enumerate() {
        if !input.grad {
            *gradient = None;
        } else if gradient.is_none() {
            let got = format!("none for input {i}");
            return Err(Error::shape(case.op.name(), "a gradient for every checked input", got));
        }
    }
    Ok(gradients)
}

/// Central differences of sum(cotangent * reference) by input `which`: every element where that is affordable, else a
/// random sample. Returns the elements and their derivatives.
fn finite_differences(
    case: &Case,
    step: &Step,
    arrays: &[Array],
    which: usize,
    cotangents: &[Vec<f64>],
    random: &mut Stream,
) -> (Vec<usize>, Vec<f64>) {
    const BUDGET: usize = 40_000_000;
    const FEWEST: usize = 12;
    let n = arrays[which].data.len();
    let metas: Vec<_> = case.inputs.iter().map(|i| i.meta.clone()).collect();
    let outputs = case.op.infer(&metas).unwrap_or_default();
    let elements: usize = metas.iter().chain(&outputs).map(|m| m.len()).sum();
    let cost = case.op.flops(&metas, &outputs) as usize + 4 * elements;
    let samples = (BUDGET / cost.max(1)).max(FEWEST);
    let at: Vec<usize> =
        if samples >= n { (0..n).collect() } else { (0..samples).map(|_| random.below(n)).collect() };
    let mut moved = arrays.to_vec();
    let mut value = |j: usize, x: f64| -> f64 {
        moved[which].data[j] = x;
        let outputs = case.op.reference(step, &moved);
        moved[which].data[j] = arrays[which].data[j];
        outputs
            .iter()
            .zip(cotangents)
            .map(|(out, cot)| out.data.iter().zip(cot).map(|(o, c)| o * c).sum::<f64>())
            .sum()
    };
    let derivatives = at
        .iter()
        .map(|&j| {
            let x = arrays[which].data[j];
            let h = 1e-4 * x.abs().max(1.0);
            (value(j, x + h) - value(j, x - h)) / (2.0 * h)
        })
        .collect();
    (at, derivatives)
}

/// Writes values of an input in its element type.
pub(crate) fn write(plan: &Plan, tensor: &Tensor, values: &[f64]) -> Result<()> {
    match tensor.meta().dtype {
        DType::F32 => plan.write(tensor, &values.iter().map(|&v| v as f32).collect::<Vec<_>>()),
        DType::I32 => plan.write(tensor, &values.iter().map(|&v| v as i32).collect::<Vec<_>>()),
    }
}

/// Reads a tensor of either element type.
pub(crate) fn read(plan: &Plan, tensor: &Tensor) -> Result<Vec<f64>> {
    Ok(match tensor.meta().dtype {
        DType::F32 => plan.read_f32(tensor)?.into_iter().map(f64::from).collect(),
        DType::I32 => plan.read_i32(tensor)?.into_iter().map(f64::from).collect(),
    })
}
