//! From a node to dispatches.

use super::shape::Meta;
use super::variants::Wanted;
use crate::gpu::{Caps, Dispatch, Grid, Kernel};

/// What a dispatch of a node binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// Input `i` of the node.
    Input(usize),
    /// Output `i` of the node.
    Output(usize),
    /// Scratch memory of the node, from [`Lowering::scratch`].
    Scratch(usize),
    /// The step uniform.
    Step,
    /// A part of an input or output: its first byte, at the device's alignment, and its length in bytes.
    Part(Whole, [u64; 2]),
}

/// What a [`Slot::Part`] is a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whole {
    /// Input `i` of the node.
    Input(usize),
    /// Output `i` of the node.
    Output(usize),
}

/// What an op gets to lower itself: shapes, capabilities, and a place to put dispatches.
pub struct Lowering<'a> {
    caps: &'a Caps,
    inputs: &'a [Meta],
    outputs: &'a [Meta],
    /// Inputs that are stored as f16.
    halves: Vec<bool>,
    pub(super) scratch: Vec<u64>,
    pub(super) dispatches: Vec<Dispatch<Slot>>,
    /// The variant to take, the ones there were, and the one that was taken.
    pub(super) wanted: Wanted,
    pub(super) offered: Vec<String>,
    pub(super) taken: Option<usize>,
}

impl<'a> Lowering<'a> {
    pub(super) fn new(caps: &'a Caps, inputs: &'a [Meta], outputs: &'a [Meta], halves: Vec<bool>) -> Self {
        Self {
            caps,
            inputs,
            outputs,
            halves,
            scratch: Vec::new(),
            dispatches: Vec::new(),
            wanted: Wanted::Place(0),
            offered: Vec::new(),
            taken: None,
        }
    }

    /// What the adapter offers.
    pub fn caps(&self) -> &Caps {
        self.caps
    }

    /// Input `i`'s sizes.
    pub fn input(&self, i: usize) -> &'a [usize] {
        self.inputs[i].shape.dims()
    }

    /// Output `i`'s sizes.
    pub fn output(&self, i: usize) -> &'a [usize] {
        self.outputs[i].shape.dims()
    }

    /// Whether what a slot stands for is an input that is stored as f16. Kernels need not know: they see f32.
    pub fn is_half(&self, slot: Slot) -> bool {
        match slot {
            Slot::Input(i) | Slot::Part(Whole::Input(i), _) => self.halves[i],
            Slot::Part(..) | Slot::Output(_) | Slot::Scratch(_) | Slot::Step => false,
        }
    }

    /// Number of inputs.
    pub fn input_count(&self) -> usize {
        self.inputs.len()
    }

    /// Scratch memory for `elements` f32, private to this node.
    pub fn scratch(&mut self, elements: usize) -> Slot {
        self.scratch.push(Meta::f32([elements]).bytes());
        Slot::Scratch(self.scratch.len() - 1)
    }

    /// Appends a dispatch. `bindings` come in ascending `@binding` order.
    pub fn dispatch(&mut self, kernel: Kernel, bindings: &[Slot], grid: Grid) {
        self.dispatches.push(Dispatch { kernel, bindings: bindings.to_vec(), grid });
    }
}
