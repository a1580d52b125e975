//! Where a plan's tensors lie: intermediates in buffers that they share by lifetime, everything else in its own.

use std::collections::{BTreeSet, HashMap};

use super::cost::Cost;
use super::fuse::Live;
use super::graph::{Inner, Source, TensorId};
use super::lower::Lowered;
use super::lowering::{Slot, Whole};
use super::memory::{Lifetime, assign};

use crate::Result;
use crate::gpu::{Buffer, BufferSlice, Gpu};

/// Where every tensor and scratch area of the plan lives.
pub(super) struct Storage {
    pub tensors: HashMap<TensorId, BufferSlice>,
    /// Intermediates that are stored as f16.
    halves: BTreeSet<TensorId>,
    pub scratch: Vec<Vec<BufferSlice>>,
}

impl Storage {
    /// Where a tensor lives, an alias where what it stands for does.
    pub fn of(&self, inner: &Inner, id: TensorId) -> BufferSlice {
        self.tensors[&inner.root(id)].clone()
    }

    /// Whether it is stored as f16.
    pub fn holds_half(&self, inner: &Inner, id: TensorId) -> bool {
        self.halves.contains(&inner.root(id))
    }

    /// Whether what a dispatch of `node` binds is stored as f16.
    pub fn is_half(&self, inner: &Inner, slot: &Slot, node: &Live<'_>) -> bool {
        match *slot {
            Slot::Input(i) | Slot::Part(Whole::Input(i), _) => self.holds_half(inner, node.inputs[i]),
            Slot::Output(i) | Slot::Part(Whole::Output(i), _) => self.holds_half(inner, node.outputs[i]),
            Slot::Scratch(_) | Slot::Step => false,
        }
    }

    /// Gives every intermediate a buffer by its lifetime. Notes what that costs.
    pub fn new(
        gpu: &Gpu,
        inner: &Inner,
        lowered: &[Lowered<'_>],
        keep: &BTreeSet<TensorId>,
        cost: &mut Cost,
    ) -> Result<Self> {
        let mut made = Self { tensors: HashMap::new(), halves: BTreeSet::new(), scratch: Vec::new() };
        made.leaves(gpu, inner, lowered, keep, cost)?;
        // Intermediates: first writer to last reader; kept tensors to the end.
        let mut owners: Vec<TensorId> = Vec::new();
        let mut lives: Vec<Lifetime> = Vec::new();
        let mut index: HashMap<TensorId, usize> = HashMap::new();
        for (at, one) in lowered.iter().enumerate() {
            let node = &one.node;
            for id in node.inputs.iter().chain(node.outputs).map(|&id| inner.root(id)) {
                if made.tensors.contains_key(&id) {
                    continue;
                }
                let slot = *index.entry(id).or_insert_with(|| {
                    owners.push(id);
                    let half = inner.stores_half(id, keep);
                    made.halves.extend(half.then_some(id));
                    let bytes = inner.tensors[id.0].meta.bytes_at(if half { 2 } else { 4 });
                    lives.push(Lifetime { bytes, first: at, last: at });
                    lives.len() - 1
                });
                lives[slot].last = if keep.contains(&id) { usize::MAX } else { at };
            }
        }
        let tensors = lives.len();
        for (at, one) in lowered.iter().enumerate() {
            lives.extend(one.scratch.iter().map(|&bytes| Lifetime { bytes, first: at, last: at }));
        }
        if !made.halves.is_empty() {
            gpu.need_f16()?;
        }
        let (place, sizes) = assign(&lives);
        cost.planned_bytes = sizes.iter().sum();
        cost.unshared_bytes = lives.iter().map(|l| l.bytes).sum();
        let buffers: Vec<Buffer> =
            sizes.iter().map(|&bytes| gpu.buffer("intermediate", bytes)).collect::<Result<_>>()?;
        let slice = |i: usize| BufferSlice { len: lives[i].bytes, ..buffers[place[i]].whole() };
        made.tensors.extend(owners.iter().enumerate().map(|(i, &id)| (id, slice(i))));
        let mut next = tensors;
        for one in lowered {
            made.scratch.push((next..next + one.scratch.len()).map(slice).collect());
            next += one.scratch.len();
        }
        Ok(made)
    }

    /// Inputs and constants get buffers of their own; callers' tensors and placed outputs have one already.
    fn leaves(
        &mut self,
        gpu: &Gpu,
        inner: &Inner,
        lowered: &[Lowered<'_>],
        keep: &BTreeSet<TensorId>,
        cost: &mut Cost,
    ) -> Result<()> {
        let ids: BTreeSet<TensorId> = lowered
            .iter()
            .flat_map(|one| one.node.inputs.iter().chain(one.node.outputs))
            .chain(keep)
            .map(|&id| inner.root(id))
            .collect();
        for id in ids {
            let info = &inner.tensors[id.0];
            let slice = match (&info.source, &info.placed) {
                (Source::Node(_), None) => continue,
                (Source::Node(_), Some(slice)) | (Source::External(_, slice), _) => {
                    cost.external_bytes += slice.len;
                    slice.clone()
                }
                (Source::Input(_) | Source::Constant(_), _) => {
                    cost.input_bytes += info.meta.bytes();
                    gpu.buffer(&inner.describe(id), info.meta.bytes())?.whole()
                }
            };
            if let Source::Constant(bytes) = &info.source {
                gpu.write(&slice, bytes)?;
            }
            self.tensors.insert(id, slice);
        }
        Ok(())
    }
}
