//! From a tape to a plan.

use std::collections::{BTreeSet, HashMap};

use super::cost::{Cost, node_cost};
use super::fuse::chosen_nodes;
use super::graph::{Inner, Source, TensorId};
use super::lower::{Lowered, lower};
use super::lowering::{Slot, Whole};
use super::plan::{Plan, PlannedNode};
use super::record::Tape;
use super::step::StepUniform;
use super::storage::Storage;
use super::tensor::Tensor;
use super::tune::{race_all, untuned};
use crate::gpu::{BufferSlice, Dispatch, Gpu, Grid, Kernel, Notice, Recording, Tuning, estimate};
use crate::{Error, Result};

impl Plan {
    /// Compiles what `tape` recorded, keeping `outputs` readable. Nodes that neither lead to an output nor write a
    /// caller's buffer are dropped. Blocks; in a browser, where nothing can, it returns what [`Plan::compile`] would wait
    /// for: what is wrong is found by the first read then, and nothing is tuned.
    ///
    /// # Errors
    /// [`Error::Limit`] where a tensor does not fit the adapter, naming it; [`Error::Misuse`] for an output of another tape.
    pub fn new(gpu: &Gpu, tape: &Tape, outputs: &[&Tensor]) -> Result<Self> {
        #[cfg(not(target_arch = "wasm32"))]
        return gpu.block_on(Self::compile(gpu, tape, outputs));
        #[cfg(target_arch = "wasm32")]
        return Self::build(gpu, tape, &kept(tape, outputs)?, None);
    }

    /// [`Plan::new`] for callers that may not block: what the device says of its kernels and buffers may come later
    /// than they are made, and so may what is measured where work is tuned.
    pub async fn compile(gpu: &Gpu, tape: &Tape, outputs: &[&Tensor]) -> Result<Self> {
        if gpu.tuned().mode() == Tuning::Measure {
            let keep = kept(tape, outputs)?;
            let open = untuned(gpu, &tape.inner.borrow(), &keep)?;
            race_all(gpu, open).await?;
        }
        Self::by_variant(gpu, tape, outputs, None).await
    }

    /// [`Plan::compile`] without tuning; with the variant of every node by name, where one is given.
    pub(super) async fn by_variant(
        gpu: &Gpu,
        tape: &Tape,
        outputs: &[&Tensor],
        variant: Option<&str>,
    ) -> Result<Self> {
        let plan = Self::build(gpu, tape, &kept(tape, outputs)?, variant)?;
        gpu.settle().await?;
        Ok(plan)
    }

    fn build(gpu: &Gpu, tape: &Tape, keep: &BTreeSet<TensorId>, variant: Option<&str>) -> Result<Self> {
        let inner = tape.inner.borrow();
        let mut cost = Cost::default();
        let mut lowered: Vec<Lowered<'_>> = chosen_nodes(&inner, keep, !gpu.options().unfused)
            .into_iter()
            .map(|node| lower(gpu, &inner, node, (variant, keep), &mut cost.largest_binding))
            .collect::<Result<_>>()?;
        let storage = Storage::new(gpu, &inner, &lowered, keep, &mut cost)?;
        mark_halves(&mut lowered, &inner, &storage);
        let mut plan = Self {
            gpu: gpu.clone(),
            tape: inner.id,
            scalars: inner.scalars.clone(),
            recording: Recording::new(),
            nodes: Vec::new(),
            step_uniform: gpu.uniform_buffer("step", size_of::<StepUniform>() as u64)?,
            storage: HashMap::new(),
            cost,
        };
        let notice = Notice::new();
        #[cfg(not(target_arch = "wasm32"))]
        gpu.parse_ahead(
            lowered.iter().flat_map(|one| &one.dispatches).map(|dispatch| &dispatch.kernel),
            &notice,
        );
        for (at, one) in lowered.iter().enumerate() {
            plan.record(&inner, &storage, at, one)?;
            notice.after(at + 1, lowered.len(), "ops");
        }
        plan.cost.dispatches = plan.recording.len();
        plan.cost.submits = plan.recording.submits(0..plan.recording.len()).count();
        // Inputs and outputs stay addressable by every handle that names them, aliases included.
        for (index, info) in inner.tensors.iter().enumerate() {
            let id = inner.id(index);
            let readable = keep.contains(&inner.root(id)) || !matches!(info.source, Source::Node(_));
            if let Some(slice) = storage.tensors.get(&inner.root(id)).filter(|_| readable) {
                plan.storage.insert(id, (info.meta.clone(), slice.clone()));
            }
        }
        Ok(plan)
    }

    fn record(&mut self, inner: &Inner, storage: &Storage, at: usize, one: &Lowered<'_>) -> Result<()> {
        let node = &one.node;
        let first = self.recording.len();
        let resolve = |slot: &Slot| match slot {
            Slot::Input(i) => storage.of(inner, node.inputs[*i]),
            Slot::Output(i) => storage.of(inner, node.outputs[*i]),
            Slot::Scratch(i) => storage.scratch[at][*i].clone(),
            Slot::Step => self.step_uniform.whole(),
            Slot::Part(whole, [start, len]) => {
                let whole = match whole {
                    Whole::Input(i) => storage.of(inner, node.inputs[*i]),
                    Whole::Output(i) => storage.of(inner, node.outputs[*i]),
                };
                // Parts are counted in bytes of f32.
                let each = if storage.is_half(inner, slot, node) { 2 } else { 1 };
                BufferSlice { offset: whole.offset + start / each, len: len / each, ..whole }
            }
        };
        if self.gpu.options().poison && !node.op.is_alias() {
            let fresh = (0..node.outputs.len()).map(Slot::Output);
            for slot in fresh.chain((0..one.scratch.len()).map(Slot::Scratch)) {
                let target = resolve(&slot);
                self.recording.push(&self.gpu, &poison(target))?;
            }
        }
        let own = self.recording.len();
        let bound = |dispatch: &Dispatch<Slot>| {
            let bindings = dispatch.bindings.iter().map(resolve).collect();
            Dispatch { kernel: dispatch.kernel.clone(), bindings, grid: dispatch.grid }
        };
        let dispatches: Vec<_> = one.dispatches.iter().map(bound).collect();
        let mut cost = node_cost(inner, one, storage);
        self.recording
            .push_op(&self.gpu, &dispatches, estimate(cost.flops, cost.bytes))
            .map_err(|e| located(e, &cost.name))?;
        cost.dispatches = self.recording.len() - own;
        let output = |id: &TensorId| {
            (inner.tensors[id.0].meta.clone(), storage.of(inner, *id), storage.holds_half(inner, *id))
        };
        self.nodes.push(PlannedNode {
            name: cost.name.clone(),
            commands: first..self.recording.len(),
            cost: (!node.op.is_alias()).then_some(self.cost.nodes.len()),
            outputs: node.outputs.iter().map(output).collect(),
            has_effect: !node.op.in_place().is_empty(),
        });
        self.cost.flops += cost.flops;
        if !node.op.is_alias() {
            self.cost.nodes.push(cost);
        }
        Ok(())
    }
}

/// The tensors whose storage a plan keeps for its outputs.
fn kept(tape: &Tape, outputs: &[&Tensor]) -> Result<BTreeSet<TensorId>> {
    if let Some(other) = outputs.iter().find(|output| !output.tape().is(tape)) {
        let got = format!("{other:?} of another one");
        return Err(Error::misuse("plan", "outputs of the tape that it is made of", got));
    }
    let inner = tape.inner.borrow();
    Ok(outputs.iter().map(|output| inner.root(output.id())).collect())
}

/// Has every kernel read and write as f16 what is stored so.
fn mark_halves(lowered: &mut [Lowered<'_>], inner: &Inner, storage: &Storage) {
    for Lowered { node, dispatches, .. } in lowered {
        for dispatch in dispatches {
            let slots = dispatch.bindings.iter().enumerate();
            let halves = slots.filter(|(_, slot)| storage.is_half(inner, slot, node));
            let mask = halves.fold(0, |mask, (i, _)| mask | 1 << i);
            dispatch.kernel = dispatch.kernel.clone().half(mask);
        }
    }
}

fn located(error: Error, node: &str) -> Error {
    match error {
        Error::Validation { place, message } => {
            Error::Validation { place: format!("{node} ({place})"), message }
        }
        other => other,
    }
}

/// Fills `target` with NaN.
fn poison(target: BufferSlice) -> Dispatch<BufferSlice> {
    let words = (target.len / 4) as usize;
    let kernel =
        Kernel::new("poison", "forward", include_str!("../../shaders/poison.wgsl")).define("LEN", words);
    Dispatch { kernel, bindings: vec![target], grid: Grid::linear(words.div_ceil(64)) }
}
