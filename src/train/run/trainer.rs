//! A training run as its caller sees it: what it is given, what it tells, what it returns.

#[cfg(not(target_arch = "wasm32"))]
use std::path::Path;
use std::sync::Arc;

use super::prepared::Prepared;
use super::results::{Epoch, Run};
use super::session::Session;
use crate::Result;
use crate::data::Source;
use crate::gpu::Gpu;
use crate::models::Network;
use crate::optim::LossScaleState;
#[cfg(not(target_arch = "wasm32"))]
use crate::platform::Folder;
use crate::platform::Store;
use crate::tape::Cost;
use crate::tasks::{Metric, Task};
use crate::train::TrainConfig;
use crate::train::metrics::Split;
use crate::train::schemes::Scheme;
use crate::train::teacher::{Teacher, TeacherSource};

/// Where an epoch is.
#[derive(Debug, Clone)]
pub struct Progress {
    /// The running epoch, from 1.
    pub epoch: u64,
    /// Its batches that are done.
    pub batch: usize,
    /// Its batches.
    pub batches: usize,
    /// Mean loss so far.
    pub loss: f64,
    /// The primary metric on the training samples so far.
    pub metric: Metric,
    /// The loss scale of mixed precision.
    pub loss_scale: Option<LossScaleState>,
}

/// Watches a training run.
pub trait Observer {
    /// The step is compiled: what it will cost, and how many steps there will be.
    fn started(&mut self, _cost: &Cost, _steps: u64) {}

    /// Called before every step. False ends training there; with checkpoints on, one is written first.
    fn proceed(&mut self, _step: u64) -> bool {
        true
    }

    /// A few times a second.
    fn progress(&mut self, _progress: &Progress) {}

    /// After every epoch.
    fn epoch(&mut self, _epoch: &Epoch) {}
}

/// An observer that does nothing.
impl Observer for () {}

/// Checkpoints of a run.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    /// Where they are kept.
    pub store: Arc<dyn Store>,
    /// Under which name: each replaces the one before.
    pub name: String,
    /// Also after this many steps, besides after every epoch.
    pub every_steps: Option<u64>,
    /// Go on from the checkpoint where there is one.
    pub resume: bool,
}

impl Checkpoints {
    /// Under a name in a store, after every epoch.
    pub fn new(store: Arc<dyn Store>, name: &str) -> Self {
        Self { store, name: name.to_string(), every_steps: None, resume: false }
    }

    /// In a file, after every epoch.
    ///
    /// # Errors
    /// [`crate::Error::File`] for a path that can't be a file's.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn at(path: impl AsRef<Path>) -> Result<Self> {
        let (folder, name) = Folder::of(path)?;
        Ok(Self::new(Arc::new(folder), &name))
    }
}

/// Where a run's metrics go.
#[derive(Debug, Clone)]
pub(super) struct LogPlace {
    pub store: Arc<dyn Store>,
    pub name: String,
    /// The run's name on each line.
    pub run: String,
}

/// A run to be started with [`Trainer::fit`].
///
/// ```no_run
/// use std::sync::Arc;
///
/// use limbeck::data::digits;
/// use limbeck::gpu::{AdapterRequest, Gpu, GpuOptions};
/// use limbeck::models::build;
/// use limbeck::tasks::{Classify, ClassifyConfig, Task};
/// use limbeck::train::{TrainConfig, Trainer};
///
/// let gpu = Gpu::open_blocking(&AdapterRequest::default(), GpuOptions::default())?;
/// let (training, test) = digits::load(0.2, 0)?;
/// let task = Classify::new(&training, ClassifyConfig::default())?;
/// let mut network = build("cnn:8,16", &task.model_config())?;
/// network.params.initialise(1);
/// let config = TrainConfig { epochs: 1, ..Default::default() };
/// let run = Trainer::new(&gpu, task, &config, &Arc::new(training), &Arc::new(test)).fit(&mut network)?;
/// println!("{}", run.value());
/// # Ok::<(), limbeck::Error>(())
/// ```
pub struct Trainer<'a> {
    pub(super) gpu: &'a Gpu,
    pub(super) config: &'a TrainConfig,
    pub(super) task: Arc<dyn Task>,
    pub(super) training: Arc<dyn Source>,
    pub(super) validation: Arc<dyn Source>,
    /// What the validation set is called in the log.
    pub(super) split: Split,
    /// Names of the classes, where the doctor is to look at the first batches.
    pub(super) examined: Option<Vec<String>>,
    pub(super) teacher: Option<TeacherSource<'a>>,
    pub(super) scheme: Scheme<'a>,
    pub(super) peer: Option<(&'a mut Network, f32)>,
    pub(super) observer: Option<&'a mut dyn Observer>,
    pub(super) checkpoints: Option<Checkpoints>,
    pub(super) log: Option<LogPlace>,
}

impl<'a> Trainer<'a> {
    /// Trains for `task` on `training`, and measures on `validation` after every epoch.
    pub fn new<T: Source + ?Sized + 'static, V: Source + ?Sized + 'static>(
        gpu: &'a Gpu,
        task: impl Task + 'static,
        config: &'a TrainConfig,
        training: &Arc<T>,
        validation: &Arc<V>,
    ) -> Self {
        Self {
            gpu,
            config,
            task: Arc::new(task),
            training: Arc::new(training.clone()),
            validation: Arc::new(validation.clone()),
            split: Split::Validation,
            examined: None,
            teacher: None,
            scheme: Scheme::default(),
            peer: None,
            observer: None,
            checkpoints: None,
            log: None,
        }
    }

    /// Says that the set that is measured on is the test set: the log then calls it so.
    pub fn measuring_test(mut self) -> Self {
        self.split = Split::Test;
        self
    }

    /// Has the first batches examined before training begins ([`crate::train::doctor`]), where the network learns from a
    /// teacher or a peer; [`Prepared::findings`] says what was found. `classes` are the classes' names, none where the task
    /// has no classes. What is measured leaves no trace: the run ends in the same bits.
    pub fn examined(mut self, classes: &[String]) -> Self {
        self.examined = Some(classes.to_vec());
        self
    }

    /// Learns from a teacher too, where there is one.
    pub fn teacher(mut self, teacher: impl Into<Option<Teacher<'a>>>) -> Self {
        self.teacher = teacher.into().map(TeacherSource::Live);
        self
    }

    /// [`Trainer::teacher`] for one that may be outputs on disk.
    pub fn teaching(mut self, teaching: impl Into<Option<TeacherSource<'a>>>) -> Self {
        self.teacher = teaching.into();
        self
    }

    /// Several teachers, or one that follows the student.
    pub fn scheme(mut self, scheme: Scheme<'a>) -> Self {
        self.scheme = scheme;
        self
    }

    /// Trains `peer` beside the network, each learning from the other with this weight (deep mutual learning). The
    /// trained weights are left in both.
    pub fn peer(mut self, peer: &'a mut Network, weight: f32) -> Self {
        self.peer = Some((peer, weight));
        self
    }

    /// Tells `observer` how it goes.
    pub fn observer(mut self, observer: &'a mut dyn Observer) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Writes checkpoints.
    pub fn checkpoints(mut self, checkpoints: Checkpoints) -> Self {
        self.checkpoints = Some(checkpoints);
        self
    }

    /// Appends one JSON line an epoch and split to a log in a store, under the name `run`.
    pub fn log_to(mut self, store: Arc<dyn Store>, name: &str, run: &str) -> Self {
        self.log = Some(LogPlace { store, name: name.to_string(), run: run.to_string() });
        self
    }

    /// [`Trainer::log_to`] for a file.
    ///
    /// # Errors
    /// [`crate::Error::File`] for a path that can't be a file's.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn log(self, path: impl AsRef<Path>, run: &str) -> Result<Self> {
        let (folder, name) = Folder::of(path)?;
        Ok(self.log_to(Arc::new(folder), &name, run))
    }

    /// What a step would cost: it is compiled and dropped. Blocks.
    ///
    /// # Errors
    /// Those of [`Trainer::prepare`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn plan(self, network: &mut Network) -> Result<Cost> {
        Ok(self.prepare(network)?.cost().clone())
    }

    /// Records and compiles the step, once. Nothing is trained and nothing is written before [`Prepared::fit`]; `network` is
    /// changed where a method changes its architecture or first weights. Blocks.
    ///
    /// # Errors
    /// [`crate::Error::Config`] for settings that make no sense or do not fit data, networks and teacher; those of
    /// compiling.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn prepare<'n>(self, network: &'n mut Network) -> Result<Prepared<'a, 'n>> {
        let gpu = self.gpu;
        gpu.block_on(self.prepare_async(network))
    }

    /// [`Trainer::prepare`] for callers that may not block.
    ///
    /// # Errors
    /// Those of [`Trainer::prepare`].
    pub async fn prepare_async<'n>(self, network: &'n mut Network) -> Result<Prepared<'a, 'n>> {
        Ok(Prepared(Session::new(self, network).await?))
    }

    /// Trains `network` from its present weights and leaves the trained ones in it. Blocks. Where a method changes the
    /// architecture (simkd, low-rank weights) or begins with the teacher's weights, `network` is changed before the first
    /// step.
    ///
    /// # Errors
    /// [`crate::Error::NonFinite`] where the loss becomes NaN or infinite; the network then has the weights of the last
    /// checkpoint, which stays, or those that the training began with.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn fit(self, network: &mut Network) -> Result<Run> {
        let gpu = self.gpu;
        gpu.block_on(self.fit_async(network))
    }

    /// [`Trainer::fit`] for callers that may not block: it waits for the GPU by giving way, after every step where the GPU
    /// is behind and wherever something is read. Compiling the step at the start, waiting for the loader's threads and
    /// writing files are not awaited.
    ///
    /// # Errors
    /// Those of [`Trainer::fit`].
    pub async fn fit_async(self, network: &mut Network) -> Result<Run> {
        self.prepare_async(network).await?.fit_async().await
    }
}
