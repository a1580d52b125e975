//! A compiled step: order, memory, pipelines and bind groups, made once and replayed.

use std::collections::{BTreeSet, HashMap};

use super::fuse::{Live, chosen_nodes};
use super::lowering::{Lowering, Slot, Whole};
use super::shape::{DType, Meta};
use super::step::Step;
use super::storage::Storage;
use super::tensor::{Inner, Source, Tape, Tensor, TensorId};
#[cfg(not(target_arch = "wasm32"))]
use super::tune::tune;
use super::variants::{Wanted, work};
use crate::gpu::{Buffer, BufferSlice, Dispatch, Gpu, Grid, Kernel, Readback, Recording, Tuning, estimate};
use crate::{Error, Result};

/// A compiled step. [`Plan::run`] writes one uniform and makes one submit, or a few where the work is long (see
/// [`SubmitLimit`](crate::gpu::SubmitLimit)); nothing is created after [`Plan::new`].
pub struct Plan {
    pub(super) gpu: Gpu,
    pub(super) recording: Recording,
    pub(super) nodes: Vec<PlannedNode>,
    pub(super) step_uniform: Buffer,
    storage: HashMap<TensorId, (Meta, BufferSlice)>,
    cost: Cost,
}

/// What a step costs, known before it runs.
#[derive(Debug, Clone, Default)]
pub struct Cost {
    /// Dispatches a step.
    pub dispatches: usize,
    /// Submits a step.
    pub submits: usize,
    /// Floating-point operations a step.
    pub flops: u64,
    /// Bytes of the buffers that hold intermediates.
    pub planned_bytes: u64,
    /// Bytes that intermediates would take without sharing.
    pub unshared_bytes: u64,
    /// Bytes of inputs and constants.
    pub input_bytes: u64,
    /// Bytes of the callers' buffers (parameters, gradients, optimizer state) that the step uses.
    pub external_bytes: u64,
    /// The largest binding, and what it is.
    pub largest_binding: (u64, String),
    /// The same by node, in order of execution.
    pub nodes: Vec<NodeCost>,
}

/// One node of a [`Cost`].
#[derive(Debug, Clone)]
pub struct NodeCost {
    /// Scope and op.
    pub name: String,
    /// Input shapes.
    pub inputs: String,
    /// Output shapes.
    pub outputs: String,
    /// Which of its variants runs; none where it has one only.
    pub variant: Option<String>,
    /// How many variants there are.
    pub variants: usize,
    /// Dispatches.
    pub dispatches: usize,
    /// Floating-point operations.
    pub flops: u64,
    /// Bytes read and written, each operand once.
    pub bytes: u64,
}

pub(super) struct PlannedNode {
    pub name: String,
    pub commands: std::ops::Range<usize>,
    /// Place in [`Cost::nodes`]; none for an alias.
    pub cost: Option<usize>,
    /// Each with where it lies, and whether it is stored as f16.
    outputs: Vec<(Meta, BufferSlice, bool)>,
    has_effect: bool,
}

/// A live node, lowered.
pub(super) struct Lowered<'a> {
    pub node: Live<'a>,
    pub scratch: Vec<u64>,
    dispatches: Vec<Dispatch<Slot>>,
    variant: Option<String>,
    variants: Vec<String>,
}

impl Plan {
    /// Compiles what `tape` recorded, keeping `outputs` readable. Nodes that neither lead to an output nor write a
    /// caller's buffer are dropped.
    ///
    /// Fails with [`Error::Limit`] where a tensor does not fit the adapter, naming it.
    pub fn new(gpu: &Gpu, tape: &Tape, outputs: &[&Tensor]) -> Result<Self> {
        Self::compile(gpu, tape, outputs, None)
    }

    /// [`Plan::new`] with the variant of every node by name.
    pub(super) fn by_variant(gpu: &Gpu, tape: &Tape, outputs: &[&Tensor], variant: &str) -> Result<Self> {
        Self::compile(gpu, tape, outputs, Some(variant))
    }

    fn compile(gpu: &Gpu, tape: &Tape, outputs: &[&Tensor], variant: Option<&str>) -> Result<Self> {
        let inner = tape.inner.borrow();
        let keep: BTreeSet<TensorId> = outputs.iter().map(|t| inner.root(t.id())).collect();
        let mut cost = Cost::default();
        let live = chosen_nodes(&inner, &keep, !gpu.options().unfused);
        #[cfg(not(target_arch = "wasm32"))]
        if variant.is_none() && gpu.tuned().mode() == Tuning::Measure {
            tune(gpu, &inner, &live, &keep)?;
        }
        let lowered: Vec<Lowered<'_>> = live
            .into_iter()
            .map(|node| lower(gpu, &inner, node, (variant, &keep), &mut cost.largest_binding))
            .collect::<Result<_>>()?;
        let storage = Storage::new(gpu, &inner, &lowered, &keep, &mut cost)?;
        let step_uniform = gpu.uniform_buffer("step", size_of::<Step>() as u64)?;
        let mut plan = Self {
            gpu: gpu.clone(),
            recording: Recording::new(),
            nodes: Vec::new(),
            step_uniform,
            storage: HashMap::new(),
            cost,
        };
        for (at, one) in lowered.iter().enumerate() {
            plan.record(&inner, &storage, at, one)?;
        }
        plan.cost.dispatches = plan.recording.len();
        plan.cost.submits = plan.recording.submits(0..plan.recording.len()).count();
        // Inputs and outputs stay addressable by every handle that names them, aliases included.
        for (index, info) in inner.tensors.iter().enumerate() {
            let id = TensorId(index);
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
            let slots = dispatch.bindings.iter().enumerate();
            let halves = slots.filter(|(_, slot)| storage.is_half(inner, slot, node));
            let mask = halves.fold(0, |mask, (i, _)| mask | 1 << i);
            let bindings = dispatch.bindings.iter().map(resolve).collect();
            Dispatch { kernel: dispatch.kernel.clone().half(mask), bindings, grid: dispatch.grid }
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

    /// What a step costs.
    pub fn cost(&self) -> &Cost {
        &self.cost
    }

    /// The device it runs on.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Whether anything of the plan reads this input, or it is an output: only then it can be written and read.
    pub fn holds(&self, tensor: &Tensor) -> bool {
        self.storage.contains_key(&tensor.id())
    }

    /// Writes an input tensor: exactly as many values as it has elements.
    pub fn write<T: bytemuck::NoUninit>(&self, tensor: &Tensor, values: &[T]) -> Result<()> {
        let (meta, slice) = self.find(tensor)?;
        if size_of_val(values) != meta.len() * 4 {
            let (expected, got) = (format!("{} values for {meta}", meta.len()), values.len().to_string());
            return Err(Error::shape("write", expected, got));
        }
        self.gpu.write(slice, values)
    }

    /// Runs one step: one uniform write, and for each of [`Cost::submits`] one encoder, one pass, one submit. Returns at
    /// once.
    pub fn run(&self, step: &Step) -> Result<()> {
        self.gpu.write(&self.step_uniform.whole(), &[*step])?;
        self.recording.submit(&self.gpu, 0..self.recording.len())
    }

    /// Starts reading an output (or an input, or a caller's tensor) as of the last run.
    pub fn read(&self, tensor: &Tensor) -> Result<Readback> {
        let (meta, slice) = self.find(tensor)?;
        self.gpu.read(&BufferSlice { len: meta.len() as u64 * 4, ..slice.clone() })
    }

    /// [`Plan::read`] for callers that may block, as f32.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn read_f32(&self, tensor: &Tensor) -> Result<Vec<f32>> {
        Ok(bytemuck::pod_collect_to_vec(&self.read(tensor)?.wait()?))
    }

    /// [`Plan::read`] for callers that may not block, as f32.
    pub async fn read_f32_async(&self, tensor: &Tensor) -> Result<Vec<f32>> {
        Ok(bytemuck::pod_collect_to_vec(&self.read(tensor)?.await?))
    }

    /// [`Plan::read`] for callers that may block, as i32.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn read_i32(&self, tensor: &Tensor) -> Result<Vec<i32>> {
        Ok(bytemuck::pod_collect_to_vec(&self.read(tensor)?.wait()?))
    }

    /// [`Plan::read`] for callers that may not block, as i32.
    pub async fn read_i32_async(&self, tensor: &Tensor) -> Result<Vec<i32>> {
        Ok(bytemuck::pod_collect_to_vec(&self.read(tensor)?.await?))
    }

    /// Reruns the step node by node and names the first one whose output holds NaN or infinity. Slow: for error
    /// messages. Optimizer updates are left out.
    pub async fn first_non_finite(&self, step: &Step) -> Result<Option<String>> {
        self.gpu.write(&self.step_uniform.whole(), &[*step])?;
        for node in self.nodes.iter().filter(|n| !(n.has_effect && n.outputs.is_empty())) {
            self.recording.submit(&self.gpu, node.commands.clone())?;
            for (meta, slice, half) in node.outputs.iter().filter(|(m, ..)| m.dtype == DType::F32) {
                let len = meta.len() as u64 * if *half { 2 } else { 4 };
                let bytes = self.gpu.read(&BufferSlice { len, ..slice.clone() })?.await?;
                if !all_finite(&bytes, *half) {
                    return Ok(Some(format!("{} ({meta})", node.name)));
                }
            }
        }
        Ok(None)
    }

    fn find(&self, tensor: &Tensor) -> Result<&(Meta, BufferSlice)> {
        self.storage.get(&tensor.id()).ok_or_else(|| {
            let expected = "an input of the plan, or an output it was made with";
            Error::shape("plan", expected, format!("{tensor:?}"))
        })
    }
}

/// A node's dispatches, by the variant of that name, else by the one that was measured or asked for, else by the default.
/// What is kept is f32.
fn lower<'a>(
    gpu: &Gpu,
    inner: &Inner,
    node: Live<'a>,
    (variant, keep): (Option<&str>, &BTreeSet<TensorId>),
    largest: &mut (u64, String),
) -> Result<Lowered<'a>> {
    let (inputs, outputs) = (inner.metas(node.inputs), inner.metas(node.outputs));
    let halves = inner.halves(node.inputs, keep);
    let mut to = Lowering::new(gpu.caps(), &inputs, &outputs, halves.clone());
    to.wanted = match (variant, gpu.options().variant) {
        (Some(name), _) => Wanted::Name(name.into()),
        (None, Some(place)) => Wanted::Place(place),
        (None, None) if gpu.tuned().mode() == Tuning::Off => Wanted::Place(0),
        (None, None) => {
            let key = work(node.op.as_ref(), &inputs, &halves);
            gpu.tuned().variant(&key).map_or(Wanted::Place(0), Wanted::Name)
        }
    };
    // An op without an element has nothing to do.
    if !node.op.is_alias() && (outputs.is_empty() || outputs.iter().any(|m| !m.is_empty())) {
        node.op.lower(&mut to)?;
    }
    check_bindings(gpu, (inner, keep), &node, &to, largest)?;
    let variant = to.taken.and_then(|at| to.offered.get(at).cloned());
    Ok(Lowered { node, scratch: to.scratch, dispatches: to.dispatches, variant, variants: to.offered })
}

/// The variants that a node offers, the default first.
pub(super) fn offered(
    gpu: &Gpu,
    inner: &Inner,
    node: Live<'_>,
    keep: &BTreeSet<TensorId>,
) -> Result<Vec<String>> {
    Ok(lower(gpu, inner, node, (None, keep), &mut Default::default())?.variants)
}

/// What a node costs, its dispatches not counted yet.
fn node_cost(inner: &Inner, one: &Lowered<'_>, storage: &Storage) -> NodeCost {
    let node = &one.node;
    let (ins, outs) = (inner.metas(node.inputs), inner.metas(node.outputs));
    let each = |id: TensorId| if storage.holds_half(inner, id) { 2 } else { 4 };
    let bytes = |id: &TensorId| inner.tensors[id.0].meta.len() as u64 * each(*id);
    let shapes = |metas: &[Meta]| metas.iter().map(|m| m.shape.to_string()).collect::<Vec<_>>().join(" ");
    NodeCost {
        name: node.describe(),
        inputs: shapes(&ins),
        outputs: shapes(&outs),
        variant: one.variant.clone(),
        variants: one.variants.len(),
        dispatches: 0,
        flops: node.op.flops(&ins, &outs),
        bytes: node.inputs.iter().chain(node.outputs).map(bytes).sum(),
    }
}

fn all_finite(bytes: &[u8], half: bool) -> bool {
    if half {
        bytes.chunks_exact(2).all(|b| half::f16::from_le_bytes([b[0], b[1]]).is_finite())
    } else {
        bytes.chunks_exact(4).all(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]).is_finite())
    }
}

/// Refuses what one binding does not hold, before any memory is asked for. Notes the largest binding.
fn check_bindings(
    gpu: &Gpu,
    (inner, keep): (&Inner, &BTreeSet<TensorId>),
    node: &Live<'_>,
    lowered: &Lowering<'_>,
    largest: &mut (u64, String),
) -> Result<()> {
    let limit = gpu.caps().max_binding_bytes;
    let each = |id: TensorId| if inner.stores_half(id, keep) { 2 } else { 4 };
    let bytes = |id: TensorId| inner.tensors[id.0].meta.bytes_at(each(id));
    for slot in lowered.dispatches.iter().flat_map(|dispatch| &dispatch.bindings) {
        let (needed, tensor) = match *slot {
            Slot::Input(i) => (bytes(node.inputs[i]), Some(node.inputs[i])),
            Slot::Output(i) => (bytes(node.outputs[i]), Some(node.outputs[i])),
            Slot::Part(Whole::Input(i), [_, len]) => (len / 4 * each(node.inputs[i]), Some(node.inputs[i])),
            Slot::Part(Whole::Output(i), [_, len]) => {
                (len / 4 * each(node.outputs[i]), Some(node.outputs[i]))
            }
            Slot::Scratch(i) => (lowered.scratch[i], None),
            Slot::Step => continue,
        };
        let what = || tensor.map_or("working memory".to_string(), |id| inner.describe(id));
        if needed > limit {
            let shapes: Vec<_> = node.outputs.iter().map(|id| inner.tensors[id.0].meta.to_string()).collect();
            let what =
                format!("the binding of {} for {} {}, in bytes,", what(), node.describe(), shapes.join(" "));
            let hint =
                "use a smaller batch, image or layer, or an adapter that binds more (limbeck adapters)";
            return Err(Error::Limit { what, needed, limit, hint: hint.into() });
        }
        if needed > largest.0 {
            *largest = (needed, what());
        }
    }
    Ok(())
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
