//! The gradients of [`crate::ops::norm::batch`]: with u = (x - mean) * rstd, over a channel of m values,
//! dbeta = sum dy, dgamma = sum dy * u, and dx = gamma * rstd * (dy - (dbeta + u * dgamma) / m) in training, where the
//! statistics depend on x; dx = gamma * rstd * dy in evaluation.

use crate::Result;
use crate::gpu::{Grid, Kernel};
use crate::ops::norm::batch::Layout;
use crate::tape::{Array, Backward, Lowering, Meta, Op, Slot, Step, Tensor};

/// dx, dgamma, dbeta from x, gamma, dy, mean, and 1 / std (train) or variance (evaluation).
#[derive(Debug, Clone, Copy)]
pub(in crate::ops) struct BatchNormBackward {
    pub train: bool,
    pub eps: f32,
}

/// The gradients of both forms, recorded as one op.
pub(in crate::ops) fn backward(
    op: BatchNormBackward,
    at: &Backward<'_>,
    mean: &Tensor,
    spread: &Tensor,
) -> Result<Vec<Option<Tensor>>> {
    if !(0..3).any(|i| at.needs(i)) {
        return Ok(vec![None; 5]);
    }
    let inputs = [&at.inputs[0], &at.inputs[1], at.dy()?, mean, spread];
    let made = at.inputs[0].tape().record(op, &inputs)?;
    let mut all: Vec<_> = made.into_iter().enumerate().map(|(i, g)| at.needs(i).then_some(g)).collect();
    all.resize(5, None);
    Ok(all)
}

impl Op for BatchNormBackward {
    fn name(&self) -> &'static str {
        "batch_norm_backward"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        Ok(inputs[..2].iter().chain(&inputs[1..2]).cloned().collect())
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let layout = Layout::of(to.input(0));
        let [x, gamma, dy, mean, spread] = [0, 1, 2, 3, 4].map(Slot::Input);
        let [dx, dgamma, dbeta] = [0, 1, 2].map(Slot::Output);
        let settings = |kernel: Kernel| {
            let kernel = kernel.define("ACTIVATED", 0).define("TRAIN", self.train.into());
            kernel.define_f32("EPS", self.eps).define_f32("MOMENTUM", 0.0)
        };
        let caps = &to.caps().clone();
        let reducing = |entry| settings(layout.reducing(caps, entry));
        let channels = Grid::linear(layout.c);
        let chunks = layout.chunks(caps);
        if chunks == 1 {
            let bindings = [x, gamma, dy, mean, spread, dx, dgamma, dbeta];
            to.dispatch(reducing("backward_channel"), &bindings, channels);
            return Ok(());
        }
        let partials = to.scratch(4 * layout.c * chunks);
        let grid = Grid::linear(layout.c * chunks);
        to.dispatch(reducing("backward_partial"), &[x, dy, mean, spread, partials], grid);
        to.dispatch(reducing("backward_merge"), &[partials, dgamma, dbeta], channels);
        let bindings: &[Slot] = match self.train {
            true => &[x, gamma, dy, mean, spread, dx, dgamma, dbeta],
            false => &[gamma, dy, spread, dx],
        };
        layout.elements(to, "backward_elements", settings, bindings);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let (x, gamma, dy, mean) = (&inputs[0], &inputs[1], &inputs[2], &inputs[3]);
        let layout = Layout::of(x.dims());
        let count = layout.count() as f64;
        let rstd = match self.train {
            true => inputs[4].clone(),
            false => inputs[4].map(|v| 1.0 / (v + f64::from(self.eps)).sqrt()),
        };
        let unit = |i: usize| (x.data[i] - mean.data[layout.channel(i)]) * rstd.data[layout.channel(i)];
        let dbeta = layout.sums(|i| dy.data[i]);
        let dgamma = layout.sums(|i| dy.data[i] * unit(i));
        let dx = (0..x.data.len()).map(|i| {
            let c = layout.channel(i);
            let through_batch = if self.train { (dbeta[c] + unit(i) * dgamma[c]) / count } else { 0.0 };
            gamma.data[c] * rstd.data[c] * (dy.data[i] - through_batch)
        });
        let dx = Array::new(x.shape.clone(), dx.collect());
        vec![dx, Array::new([layout.c], dgamma), Array::new([layout.c], dbeta)]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        9 * inputs[0].len() as u64
    }
}
