//! One op, or its gradient, as work to be timed and checked.

use super::benchmark::{Prepared, Target};
use super::timed_by::TimedBy;
use crate::gpu::Stopwatch;
use crate::ops::conformance::{Allowed, case_step, compare, read, write};
use crate::ops::{self, Fill, Input};
use crate::rng::Stream;
use crate::tape::{Array, Backward, DType, Plan, PlanPart, Step, Tape, Tensor};
use crate::{Error, Result};

/// Values of a large input repeat after this many: a prime, so that rows of usual lengths differ.
const PERIOD: usize = 65_537;
const SEED: u64 = 1;

/// Which part of an op is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// Its outputs.
    Forward,
    /// The gradients of all inputs that ask for one.
    Backward,
    /// The gradient of one input.
    Gradient(usize),
}

/// An op recorded with its inputs; the pass that is timed is `part` of the plan.
pub struct KernelWork {
    tape: Tape,
    plan: Plan,
    part: PlanPart,
    step: Step,
    inputs: Vec<(Tensor, Input)>,
    cotangents: Vec<Tensor>,
    checked: Vec<Tensor>,
    tolerance: f64,
    watch: Stopwatch,
    shape: String,
}

impl KernelWork {
    /// Compiles `case` for `pass`.
    pub fn new(target: &Target, case: &ops::Case, pass: Pass) -> Result<Self> {
        let tape = Tape::new();
        let wanted = |i: usize| match pass {
            Pass::Forward => false,
            Pass::Backward => case.inputs[i].grad,
            Pass::Gradient(which) => which == i,
        };
        let inputs: Vec<Tensor> =
            case.inputs.iter().enumerate().map(|(i, input)| leaf(&tape, i, input, wanted(i))).collect();
        let refs: Vec<&Tensor> = inputs.iter().collect();
        let outputs = tape.scope(FORWARD, || tape.record_shared(case.op.clone(), &refs))?;
        let mut cotangents = Vec::new();
        let mut checked = outputs.clone();
        if pass == Pass::Forward {
            checked.extend(case.op.in_place().iter().map(|&i| inputs[i].clone()));
        } else {
            let at = |i: usize, output: &Tensor| {
                let differentiable = i < case.saved_from && output.meta().dtype == DType::F32;
                differentiable.then(|| tape.input(&format!("gradient {i}"), output.shape().clone()))
            };
            let douts: Vec<Option<Tensor>> = outputs.iter().enumerate().map(|(i, o)| at(i, o)).collect();
            let at = Backward { inputs: &inputs, outputs: &outputs, douts: &douts };
            let gradients = tape.no_grad(|| case.op.backward(&at))?;
            cotangents = douts.into_iter().flatten().collect();
            checked =
                gradients.into_iter().enumerate().filter(|(i, _)| wanted(*i)).filter_map(|g| g.1).collect();
        }
        // Naming the leaves gives a place to those that this pass does not read.
        let kept: Vec<&Tensor> = checked.iter().chain(&inputs).chain(&cotangents).collect();
        let plan = Plan::new(&target.gpu, &tape, &kept)?;
        let scope = format!("{FORWARD}/");
        let part = plan.part(|name| name.starts_with(&scope) == (pass == Pass::Forward));
        let shapes: Vec<String> = case.inputs.iter().map(|i| i.meta.shape.to_string()).collect();
        Ok(Self {
            step: case_step(SEED),
            inputs: inputs.into_iter().zip(case.inputs.iter().cloned()).collect(),
            tolerance: if pass == Pass::Forward { case.tolerance } else { case.gradient_tolerance },
            watch: Stopwatch::new(&target.gpu)?,
            shape: shapes.join(" "),
            tape,
            plan,
            part,
            cotangents,
            checked,
        })
    }

    /// As work to be timed: uploads when first run.
    pub fn prepare(self) -> Prepared {
        let work = std::rc::Rc::new(self);
        let (timed, checked) = (work.clone(), work.clone());
        let mut ready = false;
        let time = move |runs: u32| {
            if !ready {
                timed.upload()?;
                ready = true;
            }
            timed.plan.time_part(&timed.watch, &timed.part, runs)
        };
        Prepared {
            clock: TimedBy::of(work.plan.gpu()),
            shape: work.shape.clone(),
            dispatches: Some(work.part.dispatches()),
            flops: work.part.flops,
            bytes: work.part.bytes,
            images: None,
            time: Box::new(time),
            check: Some(Box::new(move |most| checked.check(most))),
            breakdown: None,
        }
    }

    /// Writes all inputs and runs the plan once.
    fn upload(&self) -> Result<Vec<Vec<f64>>> {
        let mut random = Stream::new(SEED, "bench");
        let mut values = Vec::new();
        for (tensor, input) in &self.inputs {
            values.push(values_of(input, &mut random));
            write(&self.plan, tensor, &values[values.len() - 1])?;
        }
        for tensor in &self.cotangents {
            values.push(values_of(&Input::normal(tensor.shape().clone()), &mut random));
            write(&self.plan, tensor, &values[values.len() - 1])?;
        }
        self.plan.run(&self.step)?;
        Ok(values)
    }

    /// The largest error of the pass against the references, and the allowed one.
    fn check(&self, most: u64) -> Result<Option<(f64, f64)>> {
        let elements: usize = self.inputs.iter().map(|(t, _)| t.meta().len()).sum();
        let operations = self.plan.cost().flops.max(4 * elements as u64);
        if operations > most {
            return Ok(None);
        }
        let values = self.upload()?;
        let leaves: Vec<(&Tensor, Array)> = self
            .inputs
            .iter()
            .map(|(tensor, _)| tensor)
            .chain(&self.cotangents)
            .zip(values)
            .map(|(tensor, values)| (tensor, Array::new(tensor.shape().clone(), values)))
            .collect();
        let checked: Vec<&Tensor> = self.checked.iter().collect();
        let mut worst = 0.0f64;
        for (tensor, want) in checked.iter().zip(self.tape.reference(&self.step, &leaves, &checked)?) {
            let got = read(&self.plan, tensor)?;
            worst = worst.max(compare(&got, &want.data, Allowed::full(1.0), "", &mut Vec::new()));
        }
        Ok(Some((worst, self.tolerance)))
    }
}

/// The scope that tells the op from its gradients.
const FORWARD: &str = "forward";

fn leaf(tape: &Tape, i: usize, input: &Input, gradient: bool) -> Tensor {
    let (name, shape) = (format!("input {i}"), input.meta.shape.clone());
    match input.meta.dtype {
        DType::I32 => tape.input_i32(&name, shape),
        DType::F32 if gradient => tape.variable(&name, shape),
        DType::F32 => tape.input(&name, shape),
    }
}

/// The input's values; drawing millions of normal numbers takes longer than the kernel, so those repeat.
fn values_of(input: &Input, random: &mut Stream) -> Vec<f64> {
    let n = input.meta.len();
    if n <= PERIOD || !matches!(input.fill, Fill::Normal(_)) {
        return input.values(random);
    }
    let few = Input::filled([PERIOD], input.fill.clone()).values(random);
    few.iter().copied().cycle().take(n).collect()
}

/// A case of what `record` puts on a tape last: normal numbers, integers `below` a bound, a gradient for each f32 input.
pub fn recorded(below: usize, record: impl Fn(&Tape) -> Result<Tensor>) -> Result<ops::Case> {
    let tape = Tape::new();
    record(&tape)?;
    let (op, metas) = tape
        .ops()
        .pop()
        .ok_or_else(|| Error::shape("bench", "a case that records an op", "one that records none"))?;
    Ok(case_of(op, metas, below))
}

/// A case of an op on a tape.
pub fn case_of(
    op: std::rc::Rc<dyn crate::tape::Op>,
    metas: Vec<crate::tape::Meta>,
    below: usize,
) -> ops::Case {
    let input = |meta: crate::tape::Meta| match meta.dtype {
        DType::F32 => Input::normal(meta.shape),
        DType::I32 => Input::below(meta.shape, below),
    };
    let inputs = metas.into_iter().map(input).collect();
    ops::Case { op, inputs, tolerance: 2e-5, gradient_tolerance: 1e-4, saved_from: 1 }
}
