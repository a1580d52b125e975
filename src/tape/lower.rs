//! A plan's nodes as dispatches, each by the variant that is asked for.

use std::collections::BTreeSet;

use super::fuse::Live;
use super::graph::{Inner, TensorId};
use super::lowering::{Lowering, Slot, Whole};
use super::variants::{Wanted, work};
use crate::gpu::{Dispatch, Gpu, Tuning};
use crate::{Error, Result};

/// A live node, lowered.
pub(super) struct Lowered<'a> {
    pub node: Live<'a>,
    pub scratch: Vec<u64>,
    pub dispatches: Vec<Dispatch<Slot>>,
    pub variant: Option<String>,
    pub variants: Vec<String>,
}

/// A node's dispatches, by the variant of that name, else by the one that was measured or asked for, else by the default.
/// What is kept is f32.
pub(super) fn lower<'a>(
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
