//! A teacher, and students that learn alone or from it, over several seeds: what distillation buys, as a report.

use std::sync::Arc;

use super::Evaluator;
use super::Teacher;
use super::TrainConfig;
use super::report::{Role, TrainingReport};
use super::{Epoch, Observer, Run, Trainer};
use crate::Result;
use crate::data::{Dataset, Source, Split};
use crate::distill::{self, MethodConfig};
use crate::gpu::Gpu;
use crate::models::{Network, build};
use crate::nn::DeviceParams;
use crate::tasks::{Classify, ClassifyConfig, Metric, Task};

/// One way to train the student.
#[derive(Debug, Clone, PartialEq)]
pub struct StudentVariant {
    /// What its row is called.
    pub label: String,
    /// The methods, as in [`distill::parse`]; `None` trains alone.
    pub methods: Option<String>,
}

impl StudentVariant {
    /// The student without a teacher.
    pub fn alone() -> Self {
        Self { label: "student alone".into(), methods: None }
    }

    /// The student with these methods, called after them.
    pub fn method(methods: &str) -> Self {
        Self { label: methods.into(), methods: Some(methods.into()) }
    }
}

/// A comparison under way: rows and curves gather in its report.
pub struct Comparison<'a> {
    gpu: &'a Gpu,
    training: Arc<dyn Source>,
    validation: Arc<dyn Source>,
    task: Arc<dyn Task>,
    /// What was seen so far.
    pub report: TrainingReport,
}

impl<'a> Comparison<'a> {
    /// Of classifiers on these sets; `title` and `command` head the report.
    ///
    /// # Errors
    /// [`crate::Error::Config`] for data that no classifier can be trained on.
    pub fn new(
        gpu: &'a Gpu,
        (training, validation): (Dataset, Dataset),
        title: &str,
        command: String,
    ) -> Result<Self> {
        let task = Arc::new(Classify::new(&training, ClassifyConfig::default())?);
        Ok(Self::of(gpu, task, (Arc::new(training), Arc::new(validation)), title, command))
    }

    /// For any task, on a set to learn from and one to measure on.
    pub fn of(
        gpu: &'a Gpu,
        task: Arc<dyn Task>,
        (training, validation): (Arc<dyn Source>, Arc<dyn Source>),
        title: &str,
        command: String,
    ) -> Self {
        let report = TrainingReport { title: title.into(), ..TrainingReport::begin(gpu, command) };
        Self { gpu, training, validation, task, report }
    }

    /// The training set.
    pub fn training(&self) -> &Arc<dyn Source> {
        &self.training
    }

    /// The set that is measured on.
    pub fn validation(&self) -> &Arc<dyn Source> {
        &self.validation
    }

    /// A network for these images and classes.
    pub fn build(&self, name: &str) -> Result<Network> {
        build(name, &self.task.model_config())
    }

    /// Trains the teacher under `config.seed`.
    pub fn teacher(&mut self, name: &str, config: &TrainConfig) -> Result<Network> {
        let mut teacher = self.build(name)?;
        teacher.params.initialise(config.seed);
        let run = self.fit(&mut teacher, "teacher", config, None)?;
        self.add_row("teacher", &teacher, Role::Teacher, &[run]);
        Ok(teacher)
    }

    /// Takes a teacher that is trained already, and measures it.
    pub fn trained_teacher(&mut self, teacher: &Network) -> Result<()> {
        let params = DeviceParams::frozen(self.gpu, "teacher", &teacher.params)?;
        let (task, source) = (self.task.as_ref(), self.validation.as_ref());
        let evaluator = Evaluator::of_all(self.gpu, task, teacher, &params, 128, source);
        let mut evaluator = self.gpu.block_on(evaluator)?;
        let batches = evaluator.loader(&self.validation)?;
        let measured = evaluator.measure(batches.epoch(0))?;
        self.report.add_row("teacher", Role::Teacher, teacher, &[measured.primary], &[]);
        Ok(())
    }

    /// Trains the student `name` as `variant` says, once for each seed, and returns the last one.
    pub fn student(
        &mut self,
        name: &str,
        variant: &StudentVariant,
        teacher: &Network,
        config: &TrainConfig,
        methods: &MethodConfig,
        seeds: &[u64],
    ) -> Result<Network> {
        let frozen = DeviceParams::frozen(self.gpu, "teacher", &teacher.params)?;
        let mut student = self.build(name)?;
        let mut runs = Vec::new();
        for &seed in seeds {
            student.params.initialise(seed);
            let config = TrainConfig { seed, ..config.clone() };
            let mut teaching = None;
            if let Some(text) = &variant.methods {
                let objective = distill::parse(text, methods)?;
                teaching = Some(Teacher::new(teacher, &frozen, objective));
            }
            runs.push(self.fit(&mut student, &variant.label, &config, teaching)?);
        }
        let role = if variant.methods.is_some() { Role::Distilled } else { Role::Baseline };
        self.add_row(&variant.label, &student, role, &runs);
        Ok(student)
    }

    fn fit(
        &mut self,
        network: &mut Network,
        label: &str,
        config: &TrainConfig,
        teacher: Option<Teacher<'_>>,
    ) -> Result<Run> {
        let mut log = Log { label, seed: config.seed };
        let run = Trainer::new(self.gpu, self.task.clone(), config, &self.training, &self.validation)
            .teacher(teacher)
            .observer(&mut log)
            .fit(network)?;
        self.report.add_curves(label, config.seed, Split::Validation, &run);
        Ok(run)
    }

    fn add_row(&mut self, label: &str, network: &Network, role: Role, runs: &[Run]) {
        let metrics: Vec<Metric> =
            runs.iter().filter_map(Run::measured).map(|measured| measured.primary.clone()).collect();
        self.report.add_row(label, role, network, &metrics, &runs.iter().collect::<Vec<_>>());
    }
}

/// Says how each epoch ended, to those who listen.
struct Log<'a> {
    label: &'a str,
    seed: u64,
}

impl Observer for Log<'_> {
    fn epoch(&mut self, e: &Epoch) {
        let (label, seed) = (self.label, self.seed);
        log::info!(
            "{label}, seed {seed}, epoch {}: loss {:.4}, training {} {:.4}, validation {} {:.4}, {:.1} ms a step",
            e.epoch,
            e.loss,
            e.training.primary.name,
            e.training.value(),
            e.validation.primary.name,
            e.validation.value(),
            e.ms_per_step
        );
    }
}
