//! Measures the variants of a plan's nodes on this adapter: each is first held against the op's f64 reference, then
//! timed, in turns, so that a busy machine disturbs all alike.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::array::Array;
use super::fuse::chosen_nodes;
use super::graph::{Inner, TensorId};
use super::lower::lower;
use super::op::Op;
use super::plan::Plan;
use super::profile::median;
use super::record::Tape;
use super::shape::{DType, Meta};
use super::step::Step;
use super::stored_input::stored;
use super::tensor::Tensor;
use super::variants::work;
use crate::gpu::{Choice, Choices, Gpu, Stopwatch};
use crate::rng::Stream;
use crate::{Error, Result};

/// Rounds that every variant still in the race runs in.
const ROUNDS: usize = 7;
/// A variant this much slower than the fastest one after the first round is out.
const HOPELESS: f64 = 1.6;
/// The default stays unless another one takes less than this share of its time: clocks and machines are noisy.
const WORTH_IT: f64 = 0.95;
/// Work of more operations is held against the default variant instead of the f64 reference, which would take
/// minutes; conformance holds every variant against the reference at smaller shapes.
const REFERENCE_FLOPS: u64 = 1 << 30;
/// Largest error, as a share of the largest value, of a variant that computes what it should.
const TOLERANCE: f64 = 1e-4;

/// Work that has variants and no choice among them yet, by what its choice is kept under.
pub(super) type Untuned = BTreeMap<String, UntunedWork>;

/// A node's op, the shapes it sees, and which of its inputs are stored as f16.
pub(super) struct UntunedWork {
    op: Rc<dyn Op>,
    inputs: Vec<Meta>,
    halves: Vec<bool>,
    variants: Vec<String>,
}

/// What a plan that keeps `keep` would do and nobody has measured.
pub(super) fn untuned(gpu: &Gpu, inner: &Inner, keep: &BTreeSet<TensorId>) -> Result<Untuned> {
    let known = gpu.tuned().choices();
    let mut open = Untuned::new();
    for node in chosen_nodes(inner, keep, !gpu.options().unfused) {
        let inputs = inner.metas(node.inputs);
        let halves = inner.halves(node.inputs, keep);
        let key = work(node.op.as_ref(), &inputs, &halves);
        if known.contains_key(&key) || open.contains_key(&key) {
            continue;
        }
        let variants = lower(gpu, inner, node, (None, keep), &mut Default::default())?.variants;
        if variants.len() > 1 {
            open.insert(key, UntunedWork { op: node.op.clone(), inputs, halves, variants });
        }
    }
    Ok(open)
}

/// Measures the variants of each piece of work, and keeps the choices.
pub(super) async fn race_all(gpu: &Gpu, open: Untuned) -> Result<()> {
    let all = open.len();
    for (done, (key, work)) in open.into_iter().enumerate() {
        log::info!("tuning {} of {all}: {key}", done + 1);
        let choice = work.race(gpu).await?;
        // At once, so that a tuning that is interrupted goes on where it was.
        gpu.tuned().add(Choices::from([(key, choice)]))?;
    }
    Ok(())
}

/// A variant in the race.
struct Runner {
    name: String,
    plan: Plan,
    samples: Vec<f64>,
}

impl Runner {
    /// The median.
    fn ms(&self) -> f64 {
        median(&self.samples).unwrap_or(f64::INFINITY)
    }
}

impl UntunedWork {
    async fn race(&self, gpu: &Gpu) -> Result<Choice> {
        let (values, mut rejected) = (self.values(), Vec::new());
        let mut want = self.reference(&values);
        let mut runners: Vec<Runner> = Vec::new();
        for name in &self.variants {
            match self.prepare(gpu, name, &values).await {
                Ok((plan, got)) => match mismatch(&got, want.get_or_insert_with(|| got.clone())) {
                    None => runners.push(Runner { name: name.clone(), plan, samples: Vec::new() }),
                    Some(why) => rejected.push(format!("{name}: {why}")),
                },
                Err(error @ Error::DeviceLost(_)) => return Err(error),
                Err(error) => rejected.push(format!("{name}: {error}")),
            }
        }
        for why in &rejected {
            log::warn!("a variant of {} is left out: {why}", self.op.name());
        }
        let default = self.variants[0].clone();
        measure(gpu, &mut runners).await?;
        for runner in &runners {
            log::debug!("{}: {:.3} ms in {} samples", runner.name, runner.ms(), runner.samples.len());
        }
        let default_ms = runners.iter().find(|r| r.name == default).map_or(f64::INFINITY, Runner::ms);
        let best = runners.iter().min_by(|a, b| a.ms().total_cmp(&b.ms()));
        let Some(best) = best else {
            let got = rejected.join("; ");
            let message = format!("no variant computes what it should: {got}");
            return Err(Error::Validation { place: self.op.name().into(), message });
        };
        let (variant, ms) = match best.ms() < WORTH_IT * default_ms {
            true => (best.name.clone(), best.ms()),
            false => (default.clone(), default_ms),
        };
        // JSON has no infinity: a default that was left out counts as fast as the best.
        let default_ms = if default_ms.is_finite() { default_ms } else { ms };
        Ok(Choice { variant, ms, default, default_ms, rejected })
    }

    fn values(&self) -> Vec<Vec<f32>> {
        let mut random = Stream::new(0, "tune");
        let as_stored =
            |half: bool, value: f32| if half { half::f16::from_f32(value).to_f32() } else { value };
        self.inputs
            .iter()
            .zip(&self.halves)
            .map(|(meta, &half)| match meta.dtype {
                // A vector may be a variance.
                DType::F32 if meta.shape.dims().len() == 1 => {
                    (0..meta.len()).map(|_| random.uniform(0.5, 1.5) as f32).collect()
                }
                DType::F32 => (0..meta.len()).map(|_| as_stored(half, random.normal() as f32)).collect(),
                DType::I32 => vec![0.0; meta.len()],
            })
            .collect()
    }

    /// The outputs in f64; none where that would take too long.
    fn reference(&self, values: &[Vec<f32>]) -> Option<Vec<Vec<f64>>> {
        let outputs = self.op.infer(&self.inputs).ok()?;
        if self.op.flops(&self.inputs, &outputs) > REFERENCE_FLOPS {
            return None;
        }
        let array = |(meta, values): (&Meta, &Vec<f32>)| {
            Array::new(meta.shape.clone(), values.iter().map(|&v| f64::from(v)).collect())
        };
        let inputs: Vec<Array> = self.inputs.iter().zip(values).map(array).collect();
        Some(self.op.reference(&Step::new(0, 0), &inputs).into_iter().map(|out| out.data).collect())
    }

    /// A plan of this work alone by one variant, after its first run, and what that gave.
    async fn prepare(&self, gpu: &Gpu, variant: &str, values: &[Vec<f32>]) -> Result<(Plan, Vec<Vec<f64>>)> {
        let tape = Tape::new();
        let inputs: Vec<Tensor> = self
            .inputs
            .iter()
            .map(|meta| match meta.dtype {
                DType::F32 => tape.input("x", meta.shape.clone()),
                DType::I32 => tape.input_i32("x", meta.shape.clone()),
            })
            .collect();
        let stored = inputs.iter().zip(&self.halves).map(|(input, &half)| stored(input, half));
        let stored: Vec<Tensor> = stored.collect::<Result<_>>()?;
        let operands: Vec<&Tensor> = stored.iter().collect();
        let outputs = tape.scope(WORK, || tape.record_shared(self.op.clone(), &operands))?;
        let plan = Plan::by_variant(gpu, &tape, &outputs.iter().collect::<Vec<_>>(), Some(variant)).await?;
        // A name that is not offered here would stand for the default.
        if !plan.cost().nodes.iter().any(|node| node.variant.as_deref() == Some(variant)) {
            let message = format!("its variant {variant} is not the one that was lowered");
            return Err(Error::Validation { place: self.op.name().into(), message });
        }
        for (input, values) in inputs.iter().zip(values).filter(|(input, _)| plan.holds(input)) {
            match input.meta().dtype {
                DType::F32 => plan.write(input, values)?,
                DType::I32 => plan.write(input, &vec![0i32; values.len()])?,
            }
        }
        plan.run(&Step::new(0, 0))?;
        let mut got = Vec::new();
        for output in &outputs {
            got.push(plan.read_f32_async(output).await?.into_iter().map(f64::from).collect());
        }
        Ok((plan, got))
    }
}

/// The scope that what is timed is recorded in: copies that make f16 of inputs do not count.
const WORK: &str = "work";

/// Fills in the samples, round by round.
async fn measure(gpu: &Gpu, runners: &mut [Runner]) -> Result<()> {
    /// A sample takes at least this many milliseconds, which coarse clocks can tell from another.
    const SAMPLE_MS: f64 = 2.0;
    let watch = Stopwatch::new(gpu)?;
    let time = async |plan: &Plan, runs: u32| {
        let work = plan.part(|name| name.starts_with(WORK));
        Ok::<f64, Error>(plan.time_part_async(&watch, &work, runs).await? / f64::from(runs))
    };
    let mut runs = Vec::new();
    for runner in runners.iter() {
        runs.push((SAMPLE_MS / time(&runner.plan, 1).await?.max(1e-3)).ceil().clamp(1.0, 256.0) as u32);
    }
    let mut racing: Vec<usize> = (0..runners.len()).collect();
    for round in 0..ROUNDS {
        for &i in &racing {
            let sample = time(&runners[i].plan, runs[i]).await?;
            runners[i].samples.push(sample);
        }
        if round == 0 {
            let fastest = runners.iter().map(Runner::ms).fold(f64::INFINITY, f64::min);
            // The default is measured to the end: the gain is told against it.
            racing.retain(|&i| i == 0 || runners[i].ms() <= HOPELESS * fastest);
        }
    }
    Ok(())
}

/// What is wrong with a variant's outputs; nothing where they are right.
fn mismatch(got: &[Vec<f64>], want: &[Vec<f64>]) -> Option<String> {
    let sizes = |outputs: &[Vec<f64>]| outputs.iter().map(Vec::len).collect::<Vec<_>>();
    if sizes(got) != sizes(want) {
        return Some(format!("outputs of {:?} elements, expected {:?}", sizes(got), sizes(want)));
    }
    for (output, (got, want)) in got.iter().zip(want).enumerate() {
        let largest = want.iter().fold(0.0f64, |most, w| most.max(w.abs()));
        let allowed = TOLERANCE * largest + f64::MIN_POSITIVE;
        // NaN compares false with everything.
        let right = |(g, w): (&f64, &f64)| (g - w).abs() <= allowed;
        if let Some(at) = got.iter().zip(want).position(|pair| !right(pair)) {
            let (got, want) = (got[at], want[at]);
            return Some(format!(
                "output {output} at {at} is {got:e}, expected {want:e} within {allowed:.1e}"
            ));
        }
    }
    None
}

#[cfg(test)]
#[path = "tune_tests.rs"]
mod tests;
