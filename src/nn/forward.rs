//! A forward pass being recorded: which parameters, which mode, which taps were seen.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::device::DeviceParams;
use super::params::ParamId;
use crate::tape::{Gradients, Tape, Tensor};
use crate::{Error, Result};

/// Whether layers behave as in training (batch statistics, dropout) or as in inference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Batch statistics, dropout, running statistics updated.
    Train,
    /// Running statistics, no dropout, nothing updated.
    Eval,
}

/// How activations, their gradients and the weights that layers read are stored. Arithmetic, the weights that are
/// trained, statistics and losses are f32 in either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// As f32.
    #[default]
    F32,
    /// As f16 where that is worth it (Micikevicius et al. 1710.03740).
    Mixed,
}

impl Precision {
    /// Whether all is stored as f32.
    pub fn is_f32(&self) -> bool {
        *self == Precision::F32
    }
}

impl std::str::FromStr for Precision {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "f32" => Ok(Precision::F32),
            "mixed" => Ok(Precision::Mixed),
            other => Err(Error::config("precision", format!("expected f32 or mixed, got \"{other}\""))),
        }
    }
}

/// A named intermediate of a forward pass.
#[derive(Debug, Clone)]
pub struct Tap {
    /// The layer's or block's name: `layer1.0.bn2`.
    pub name: String,
    /// A second name that it answers to; the same where there is none.
    pub alias: String,
    /// Its output.
    pub tensor: Tensor,
}

impl Tap {
    /// Names and shapes, for errors: of many the last ones.
    pub fn list(taps: &[Tap]) -> String {
        const MOST: usize = 48;
        let earlier = taps.len().saturating_sub(MOST);
        let last: Vec<String> =
            taps[earlier..].iter().map(|tap| format!("{} {}", tap.name, tap.tensor.shape())).collect();
        let more = if earlier > 0 { format!(", and {earlier} before these") } else { String::new() };
        format!("{}{more}", last.join(", "))
    }
}

/// Records one network's forward pass on a tape.
pub struct Forward<'a> {
    tape: Tape,
    params: &'a DeviceParams,
    mode: Mode,
    requires_grad: bool,
    recompute: bool,
    precision: Precision,
    bound: RefCell<BTreeMap<ParamId, Tensor>>,
    /// Copies of weights that may be stored as f16.
    halves: RefCell<BTreeMap<ParamId, Tensor>>,
    taps: RefCell<Vec<Tap>>,
}

impl<'a> Forward<'a> {
    /// A pass in training: gradients wanted, batch statistics.
    pub fn train(tape: &Tape, params: &'a DeviceParams) -> Self {
        Self::new(tape, params, Mode::Train, true)
    }

    /// A pass of a frozen network: no gradient, running statistics. A teacher, or an evaluation.
    pub fn eval(tape: &Tape, params: &'a DeviceParams) -> Self {
        Self::new(tape, params, Mode::Eval, false)
    }

    /// Any combination: OFD runs its frozen teacher in train mode, fine-tuning trains in eval mode.
    pub fn new(tape: &Tape, params: &'a DeviceParams, mode: Mode, requires_grad: bool) -> Self {
        let (recompute, precision) = Default::default();
        let (bound, halves, taps) = Default::default();
        let tape = tape.clone();
        Self { tape, params, mode, requires_grad, recompute, precision, bound, halves, taps }
    }

    /// This pass with activations and weights in this precision. Mixed needs an adapter with f16.
    pub fn storing(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// Its precision.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Records what this pass's precision is for: all of a network but its losses.
    pub fn in_precision<T>(&self, record: impl FnOnce() -> T) -> T {
        self.tape.half_if(self.precision == Precision::Mixed, record)
    }

    /// This pass with blocks computed a second time in the backward sweep, where `recompute`, instead of kept.
    pub fn recomputing(self, recompute: bool) -> Self {
        Self { recompute, ..self }
    }

    /// Records a block: what [`Forward::recomputing`] computes again as one.
    pub fn block<T>(&self, record: impl FnOnce() -> T) -> T {
        if self.recompute { self.tape.recompute(record) } else { record() }
    }

    /// The tape.
    pub fn tape(&self) -> &Tape {
        &self.tape
    }

    /// The parameters on the device.
    pub fn params(&self) -> &'a DeviceParams {
        self.params
    }

    /// The mode.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// A parameter, the same tensor each time: weights that two layers share get one gradient. Where it may be stored as
    /// f16 it is a copy of the f32 leaf, made once a step.
    pub fn param(&self, id: ParamId) -> Result<Tensor> {
        let leaf = self.leaf(id)?;
        if !self.tape.would_halve(leaf.meta()) {
            return Ok(leaf);
        }
        if let Some(found) = self.halves.borrow().get(&id) {
            return Ok(found.clone());
        }
        let half = leaf.copy()?;
        self.halves.borrow_mut().insert(id, half.clone());
        Ok(half)
    }

    fn leaf(&self, id: ParamId) -> Result<Tensor> {
        if let Some(found) = self.bound.borrow().get(&id) {
            return Ok(found.clone());
        }
        let leaf = self.params.leaf(&self.tape, id, self.requires_grad)?;
        self.bound.borrow_mut().insert(id, leaf.clone());
        Ok(leaf)
    }

    /// The second factor of a weight that [`Params::factorise`](super::Params::factorise) made two of.
    pub(super) fn outer(&self, id: ParamId) -> Result<Option<Tensor>> {
        self.params.outer(id).map(|outer| self.param(outer)).transpose()
    }

    /// Records a layer under its name and notes its output as a tap.
    pub fn layer(&self, name: &str, record: impl FnOnce() -> Result<Tensor>) -> Result<Tensor> {
        self.layer_as(name, name, record)
    }

    /// [`Forward::layer`] for a layer whose output has a name of its own, as in ONNX: the tap answers to both.
    pub fn layer_as(
        &self,
        name: &str,
        alias: &str,
        record: impl FnOnce() -> Result<Tensor>,
    ) -> Result<Tensor> {
        let tensor = self.tape.scope(&format!("{}/{name}", self.params.name()), record)?;
        let (name, alias) = (name.to_string(), alias.to_string());
        self.taps.borrow_mut().push(Tap { name, alias, tensor: tensor.clone() });
        Ok(tensor)
    }

    /// Dropout under a layer's name: in eval mode `x` itself. Either way the output is a tap.
    pub fn dropout(&self, name: &str, x: &Tensor, p: f32) -> Result<Tensor> {
        self.layer(name, || match self.mode {
            Mode::Train => x.dropout(p),
            Mode::Eval => Ok(x.clone()),
        })
    }

    /// The taps seen so far, in order.
    pub fn taps(&self) -> Vec<Tap> {
        self.taps.borrow().clone()
    }

    /// A tap by name, or an error that lists the ones there are, with shapes.
    pub fn tap(&self, name: &str) -> Result<Tensor> {
        let taps = self.taps.borrow();
        let found =
            taps.iter().find(|tap| tap.name == name).or_else(|| taps.iter().find(|tap| tap.alias == name));
        if let Some(found) = found {
            return Ok(found.tensor.clone());
        }
        Err(Error::config(
            format!("tap \"{name}\" of {}", self.params.name()),
            format!("there are {}", Tap::list(&taps)),
        ))
    }

    /// The parameters bound so far, with their leaves.
    pub fn leaves(&self) -> Vec<(ParamId, Tensor)> {
        self.bound.borrow().iter().map(|(id, leaf)| (*id, leaf.clone())).collect()
    }

    /// Sends the gradient of every parameter of this pass to the network's gradient buffer.
    pub fn place_gradients(&self, gradients: &Gradients) -> Result<()> {
        let bound = self.bound.borrow();
        bound
            .iter()
            .filter(|(_, leaf)| leaf.requires_grad())
            .try_for_each(|(id, leaf)| self.params.place_gradient(*id, leaf, gradients))
    }
}
