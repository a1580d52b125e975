//! The same cases with f32 operands and results stored as f16.
//!
//! Each node is held against its own reference on what it really read: the case's op, the copies that make its operands
//! f16, and every node that its backward rule records. So the rounding of one result is all that storing as f16 may cost,
//! however much a difference further on makes of it.

use std::collections::HashMap;

use super::{
    Allowed, ConformanceReport, arrays, case_step, compare, cotangents, expect_arrays, leaves, read,
    record_gradients, write,
};
use crate::Result;
use crate::gpu::Gpu;
use crate::ops::spec::Case;
use crate::rng::Stream;
use crate::tape::{Array, DType, Plan, RecordedNode, Tape, Tensor, TensorId};

/// The largest number that is an f16.
const LARGEST: f64 = 65_504.0;

/// Runs one case with every f32 that an op reads or writes stored as f16, except what it overwrites in a caller's buffer,
/// statistics ([`crate::tape::Op::keep_f32`]), and what is too large. Needs an adapter with f16.
pub fn run_half(gpu: &Gpu, case: &Case, seed: u64) -> Result<ConformanceReport> {
    let mut random = Stream::new(seed, &case.label());
    let values: Vec<Vec<f64>> = case.inputs.iter().map(|input| input.values(&mut random)).collect();
    let tape = Tape::new();
    let inputs = leaves(&tape, case);
    let operands = operands(case, &inputs, &values)?;
    let refs: Vec<&Tensor> = operands.iter().collect();
    let at = tape.len();
    let outputs = tape.record_shared(case.op.clone(), &refs)?;
    let cotangents = cotangents(case, &outputs, &mut random);
    record_gradients(&tape, case, &operands, &outputs, &cotangents, |full| full.copy())?;
    let nodes = tape.recorded();
    store_half(&nodes);
    keep_too_large(case, &outputs, &values, seed);

    // What a plan keeps is f32, so that f16 are read by way of a copy.
    let shown = nodes.iter().map(|node| node.outputs.iter().map(Tensor::copy).collect());
    let shown: Vec<Vec<Tensor>> = shown.collect::<Result<_>>()?;
    let overwritten: Vec<&Tensor> = case.op.in_place().iter().map(|&i| &inputs[i]).collect();
    let keep: Vec<&Tensor> = shown.iter().flatten().chain(overwritten.iter().copied()).collect();
    let plan = Plan::new(gpu, &tape, &keep)?;
    for (input, values) in inputs.iter().zip(&values) {
        write(&plan, input, values)?;
    }
    let step = case_step(seed);
    plan.run(&step)?;

    let mut report = ConformanceReport::new(case, &plan);
    let leaves = inputs.iter().map(Tensor::id).zip(arrays(case, &values));
    let mut known: HashMap<TensorId, Array> = leaves.collect();
    for (index, (node, shown)) in nodes.iter().zip(&shown).enumerate() {
        let read_by =
            node.inputs.iter().map(|input| value(&plan, &mut known, input)).collect::<Result<Vec<_>>>()?;
        let want = node.op.reference(&step, &read_by);
        let overwritten: &[&Tensor] = if index == at { &overwritten } else { &[] };
        expect_arrays(node.op.name(), shown.len() + overwritten.len(), want.len())?;
        let tolerance = if index > at { case.gradient_tolerance } else { case.tolerance };
        for (i, (tensor, want)) in shown.iter().chain(overwritten.iter().copied()).zip(&want).enumerate() {
            let got = read(&plan, tensor)?;
            let half = node.outputs.get(i).is_some_and(Tensor::is_half);
            let place = format!("{} (node {index}) output {i}", node.op.name());
            let worst = compare(&got, &want.data, Allowed { tolerance, half }, &place, &mut report.failures);
            if index > at {
                report.gradient(worst);
            } else {
                report.forward = report.forward.max(worst);
            }
            if let Some(output) = node.outputs.get(i) {
                known.insert(output.id(), Array::new(output.shape().clone(), got));
            }
        }
    }
    Ok(report)
}

/// What the op reads: a copy of each input, which can be f16, or what it overwrites, and what is too large, itself.
fn operands(case: &Case, inputs: &[Tensor], values: &[Vec<f64>]) -> Result<Vec<Tensor>> {
    let operand = |(i, input): (usize, &Tensor)| {
        let fits = values[i].iter().all(|x| x.abs() < LARGEST);
        let halved = input.meta().dtype == DType::F32 && fits && !case.op.in_place().contains(&i);
        if halved { input.copy() } else { Ok(input.clone()) }
    };
    inputs.iter().enumerate().map(operand).collect()
}

fn store_half(nodes: &[RecordedNode]) {
    for node in nodes {
        let keep_f32 = node.op.keep_f32();
        let halves = node.outputs.iter().enumerate().filter(|(i, _)| !keep_f32.contains(i));
        halves.for_each(|(_, output)| output.store_half());
    }
}

/// Results that no f16 can hold stay f32.
fn keep_too_large(case: &Case, outputs: &[Tensor], values: &[Vec<f64>], seed: u64) {
    let want = case.op.reference(&case_step(seed), &arrays(case, values));
    for (output, want) in outputs.iter().zip(want) {
        if !want.data.iter().all(|x| x.abs() < LARGEST) {
            output.keep_full();
        }
    }
}

/// What a node read: a leaf's value, or what an earlier node left.
fn value(plan: &Plan, known: &mut HashMap<TensorId, Array>, tensor: &Tensor) -> Result<Array> {
    if let Some(found) = known.get(&tensor.id()) {
        return Ok(found.clone());
    }
    let value = Array::new(tensor.shape().clone(), read(plan, tensor)?);
    known.insert(tensor.id(), value.clone());
    Ok(value)
}
