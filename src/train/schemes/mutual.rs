//! Deep mutual learning (Zhang et al. 1706.00384): two peers learn together on the same images,
//! L_i = CE(z_i, y) + w KL(softmax(z_j) || softmax(z_i)), T = 1, batch means; z_j counts as a constant in L_i.
//!
//! The peers' losses are added: each one's gradient is of its own loss alone, since the divergence passes none to its
//! target. Each has an optimizer of its own, so that neither clips or skips a step for the other.

use crate::gpu::{BufferSlice, Gpu};
use crate::models::{Network, Outputs, Values};
use crate::nn::{DeviceParams, Forward};
use crate::ops::kl_div::KlReduction;
use crate::optim::{Group, Optimizer, OptimizerConfig, OptimizerUpdate};
use crate::tape::{Gradients, Tensor};
use crate::tasks::{Leaves, Need, Task};
use crate::train::step::record::ScaledTerm;
use crate::{Error, Result};

/// The student's peer.
#[derive(Clone, Copy)]
pub(in crate::train) struct Peer<'a> {
    pub network: &'a Network,
    /// Uploaded as trainable.
    pub params: &'a DeviceParams,
    /// Weight of both divergences.
    pub weight: f32,
}

/// A term of what peers learn.
pub(in crate::train) struct MutualTerm {
    pub name: String,
    /// Before weighting, (1).
    pub loss: Tensor,
    pub weight: f32,
    /// Whether it is a term of the peer's own loss, and not of the student's.
    pub of_peer: bool,
    /// Whether it is of the task's loss, whose weight the training's settings multiply.
    pub of_task: bool,
}

/// A peer that is on a tape.
pub(in crate::train) struct Mutual<'a> {
    peer: Peer<'a>,
    forward: Forward<'a>,
    /// All that both learn from each other, and the peer by the task's own loss; weighted, (1).
    pub loss: Tensor,
    /// Each of it.
    pub terms: Vec<MutualTerm>,
}

impl<'a> Mutual<'a> {
    /// Records the peer's pass on the student's inputs, in the student's precision.
    pub fn record(
        task: &dyn Task,
        student: &Forward<'_>,
        own: &[ScaledTerm],
        peer: Peer<'a>,
        outputs: &Outputs,
        inputs: &Values,
        leaves: &Leaves,
    ) -> Result<Self> {
        if !task.spec().offers.contains(&Need::Logits) {
            let message =
                format!("peers compare logits over classes, and the task {} has none", task.spec().name);
            return Err(Error::config("scheme", message));
        }
        let tape = student.tape();
        let forward = Forward::train(tape, peer.params).storing(student.precision());
        let theirs = peer.network.forward(&forward, inputs)?;
        let rows = [task.some_rows(outputs, leaves)?.values, task.some_rows(&theirs, leaves)?.values];
        let [ours, others] = &rows;
        if ours.dims() != others.dims() {
            let expected = format!("a peer of as many classes as the student ({})", ours.dims()[1]);
            return Err(Error::shape("mutual learning", expected, format!("{}", others.dims()[1])));
        }
        let learned = tape.scope("peer", || task.loss(&theirs, leaves))?;
        let toward = tape.scope("dml", || ours.kl_div(others, 1.0, KlReduction::BatchMean))?;
        let back = tape.scope("dml", || others.kl_div(ours, 1.0, KlReduction::BatchMean))?;
        let mut loss = toward.add(&back)?.scale(peer.weight)?;
        let divergence = |name: &str, loss: Tensor, of_peer| MutualTerm {
            name: name.into(),
            loss,
            weight: peer.weight,
            of_peer,
            of_task: false,
        };
        let mut terms = vec![divergence("dml", toward, false)];
        // The peer's terms weigh what the student's do.
        for (theirs, ScaledTerm { term: ours, scalar, .. }) in learned.into_iter().zip(own) {
            loss = loss.add(&theirs.loss.scale_by(*scalar)?)?;
            let name = format!("peer {}", theirs.name);
            let (loss, weight) = (theirs.loss, ours.weight);
            terms.push(MutualTerm { name, loss, weight, of_peer: true, of_task: true });
        }
        terms.push(divergence("peer dml", back, true));
        Ok(Self { peer, forward, loss, terms })
    }

    /// The peer's pass.
    pub fn forward(&self) -> &Forward<'a> {
        &self.forward
    }

    /// Records the peer's own optimizer. `scale` is what the loss was multiplied with.
    pub fn update(
        &self,
        gpu: &Gpu,
        gradients: &Gradients,
        scale: Option<&Tensor>,
        config: OptimizerConfig,
        max_grad_norm: Option<f32>,
    ) -> Result<(Optimizer, OptimizerUpdate)> {
        self.forward.place_gradients(gradients)?;
        let tape = self.forward.tape();
        let groups = [Group::of(self.peer.params, tape)?];
        if let Some(scale) = scale {
            groups[0].gradients.unscale_in_place(scale)?;
        }
        let elements = [groups[0].weights.meta().len()];
        let optimizer = Optimizer::new(gpu, "peer optimizer", config, &elements)?;
        let update = optimizer.record(tape, &groups, max_grad_norm)?;
        Ok((optimizer, update))
    }
}

/// The optimizer's state, where there is a peer.
pub(in crate::train) fn state(of: &Option<(Optimizer, OptimizerUpdate)>) -> Vec<(String, BufferSlice)> {
    of.as_ref().map(|(optimizer, _)| optimizer.state()).unwrap_or_default()
}
