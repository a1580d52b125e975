//! Deep mutual learning (Zhang et al. 1706.00384): two peers learn together on the same images,
//! L_i = CE(z_i, y) + w KL(softmax(z_j) || softmax(z_i)), T = 1, batch means; z_j counts as a constant in L_i.
//!
//! The peers' losses are added: each one's gradient is of its own loss alone, since the divergence passes none to its
//! target. Each has an optimizer of its own, so that neither clips or skips a step for the other.

use crate::data::IGNORE_LABEL;
use crate::gpu::{BufferSlice, Gpu};
use crate::models::Network;
use crate::nn::{DeviceParams, Forward};
use crate::ops::cross_entropy::CrossEntropy;
use crate::ops::kl_div::KlReduction;
use crate::optim::{Group, Optimizer, OptimizerConfig, OptimizerUpdate};
use crate::tape::{Gradients, Tensor};
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

/// A peer that is on a tape.
pub(in crate::train) struct Mutual<'a> {
    peer: Peer<'a>,
    forward: Forward<'a>,
    /// All that both learn from each other, and the peer from labels; weighted, (1).
    pub loss: Tensor,
    /// Each of it, unweighted, by name.
    pub terms: Vec<(&'static str, Tensor)>,
}

impl<'a> Mutual<'a> {
    /// Records the peer's pass on the student's images (N, C, H, W), in the student's precision.
    pub fn record(
        student: &Forward<'_>,
        peer: Peer<'a>,
        logits: &Tensor,
        images: &Tensor,
        labels: &Tensor,
    ) -> Result<Self> {
        let tape = student.tape();
        let forward = Forward::train(tape, peer.params).storing(student.precision());
        let theirs = peer.network.forward(&forward, images)?;
        if theirs.dims() != logits.dims() {
            let expected = format!("a peer of as many classes as the student ({})", logits.dims()[1]);
            return Err(Error::shape("mutual learning", expected, format!("{}", theirs.dims()[1])));
        }
        let settings = CrossEntropy { ignore_label: IGNORE_LABEL, label_smoothing: 0.0 };
        let ce = tape.scope("peer", || theirs.cross_entropy(labels, &settings))?;
        let toward = tape.scope("dml", || logits.kl_div(&theirs, 1.0, KlReduction::BatchMean))?;
        let back = tape.scope("dml", || theirs.kl_div(logits, 1.0, KlReduction::BatchMean))?;
        let loss = toward.add(&back)?.scale(peer.weight)?.add(&ce)?;
        let terms = vec![("dml", toward), ("peer ce", ce), ("peer dml", back)];
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
