//! The one place where a network's side of a batch is recorded: step, doctor, evaluation and `teach` all start from it.

use crate::data::{Order, Source};
use crate::gpu::Gpu;
use crate::models::{ModelConfig, Network, Outputs, Values};
use crate::nn::{DeviceParams, Forward, Mode, Precision};
use crate::tape::{Scalar, Tape, Tensor};
use crate::tasks::{Leaves, Task, TaskTerm};
use crate::train::scaled::scaled;
use crate::train::schemes::{Mutual, Peer, Scheme};
use crate::train::teacher::TeacherSource;
use crate::train::teacher::distillation::{Distillation, StudentPass};
use crate::{Error, Result};

/// Whose pass is recorded, and how.
#[derive(Clone, Copy)]
pub struct Pass<'a> {
    pub network: &'a Network,
    /// Its weights on the device.
    pub params: &'a DeviceParams,
    /// How it runs.
    pub mode: Mode,
    /// How its samples are shown: augmented as in training, or as they are.
    pub views: Mode,
    /// Computes blocks a second time in the backward sweep instead of keeping their activations.
    pub recompute: bool,
    pub precision: Precision,
}

impl<'a> Pass<'a> {
    /// A pass that measures: running statistics, samples as they are.
    pub fn eval(network: &'a Network, params: &'a DeviceParams) -> Self {
        let (mode, views) = (Mode::Eval, Mode::Eval);
        Self { network, params, mode, views, recompute: false, precision: Precision::F32 }
    }

    /// A pass that trains.
    pub fn train(network: &'a Network, params: &'a DeviceParams) -> Self {
        let (mode, views) = (Mode::Train, Mode::Train);
        Self { network, params, mode, views, recompute: false, precision: Precision::F32 }
    }
}

/// A batch as it is recorded: its leaves, the network's pass, the task's loss, and whoever teaches.
pub struct BatchRecording<'a> {
    pub network: &'a Network,
    pub leaves: Leaves,
    /// What the model reads.
    pub inputs: Values,
    pub forward: Forward<'a>,
    /// What it gives.
    pub outputs: Outputs,
    /// The terms of the task's own loss.
    pub terms: Vec<ScaledTerm>,
    /// What a teacher adds.
    pub distilled: Option<Distillation>,
    /// What a peer adds.
    pub mutual: Option<Mutual<'a>>,
}

/// A term of the task's loss, and how a step weights it.
pub struct ScaledTerm {
    pub term: TaskTerm,
    /// The loss times `scalar`, (1).
    pub weighted: Tensor,
    pub scalar: Scalar,
}

impl<'a> BatchRecording<'a> {
    /// Records inputs and pass of a batch from `source`.
    pub fn new(task: &dyn Task, source: &dyn Source, batch_size: usize, pass: Pass<'a>) -> Result<Self> {
        task.check(source)?;
        fits(task, pass.network)?;
        let tape = Tape::new();
        // What measures is given samples as they follow each other, or as a training deals them.
        let order = if pass.mode == Mode::Train { Order::Dealt } else { Order::Any };
        let mut leaves = Leaves::new(&tape, batch_size, &source.batch_fields(batch_size, order)?);
        let inputs = task.inputs(&mut leaves, pass.views)?;
        let grad = pass.mode == Mode::Train;
        let forward = Forward::new(&tape, pass.params, pass.mode, grad);
        let forward = forward.recomputing(pass.recompute).storing(pass.precision);
        let outputs = pass.network.forward(&forward, &inputs)?;
        let (terms, distilled, mutual) = (Vec::new(), None, None);
        Ok(Self { network: pass.network, leaves, inputs, forward, outputs, terms, distilled, mutual })
    }

    /// Records the task's own loss.
    pub fn with_loss(mut self, task: &dyn Task) -> Result<Self> {
        for term in task.loss(&self.outputs, &self.leaves)? {
            let (weighted, scalar) = scaled(&term.loss, term.name)?;
            self.terms.push(ScaledTerm { term, weighted, scalar });
        }
        Ok(self)
    }

    /// Records what is learned from a teacher. `samples` is the size of the training set.
    pub fn with_teacher(
        mut self,
        gpu: &Gpu,
        task: &dyn Task,
        (teaching, scheme): (&TeacherSource<'_>, &Scheme<'_>),
        samples: usize,
        seed: u64,
    ) -> Result<Self> {
        let own = |name: &str| self.terms.iter().any(|own| own.term.name == name);
        if let Some(term) = teaching.terms().iter().find(|term| own(term.name)) {
            let message = format!(
                "the loss of the task {} has a term \"{}\" already; name the method's otherwise",
                task.spec().name,
                term.name
            );
            return Err(Error::config("method", message));
        }
        let seen = StudentPass {
            network: self.network,
            forward: &self.forward,
            outputs: &self.outputs,
            inputs: &self.inputs,
            leaves: &self.leaves,
            samples,
        };
        self.distilled = Some(Distillation::record(gpu, task, &seen, teaching, scheme, seed)?);
        Ok(self)
    }

    /// Records a peer on the same inputs.
    pub fn with_peer(mut self, task: &dyn Task, peer: Peer<'a>) -> Result<Self> {
        let (own, outputs) = (&self.terms, &self.outputs);
        let mutual = Mutual::record(task, &self.forward, own, peer, outputs, &self.inputs, &self.leaves)?;
        self.mutual = Some(mutual);
        Ok(self)
    }

    /// Gives the methods' own parameters their first values again, after something ran that changed them.
    pub fn upload_regressors(&self) -> Result<()> {
        let regressors = self.distilled.as_ref().and_then(|distilled| distilled.regressors.as_ref());
        regressors.map_or(Ok(()), |own| own.device.upload(&own.host))
    }

    pub fn tape(&self) -> &Tape {
        self.forward.tape()
    }

    /// The sum of the task's terms by their own weights, (1), whatever weight a training gives it; 0 of a task without any.
    pub fn task_loss(&self) -> Result<Tensor> {
        let mut all = self.terms.iter().map(|ScaledTerm { term, .. }| match term.weight {
            1.0 => Ok(term.loss.clone()),
            weight => term.loss.scale(weight),
        });
        let first = all.next().unwrap_or_else(|| self.tape().constant([1], &[0.0]))?;
        all.try_fold(first, |sum, term| sum.add(&term?))
    }
}

/// Fails for a network that reads or gives something else than the task has.
fn fits(task: &dyn Task, network: &Network) -> Result<()> {
    let (wanted, own) = (task.model_config(), network.config());
    if task.takes(own.head) && own.input.takes(&wanted.input) {
        return Ok(());
    }
    let told = |config: &ModelConfig| {
        let (input, head) = (&config.input, &config.head);
        format!("{} of {input} to {} {}", input.name(), head.width(), head.noun())
    };
    let message = format!(
        "{} takes {}, and the task {} has {}; build it for the task's data",
        network.name,
        told(own),
        task.spec().name,
        told(&wanted)
    );
    Err(Error::config("model", message))
}
