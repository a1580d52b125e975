//! A teacher, and students that learn alone or from it, over several seeds: what distillation buys, as a report.

use std::sync::Arc;

use super::Evaluator;
use super::Teacher;
use super::TrainConfig;
use super::metrics::Split;
use super::report::{Curve, CurveKind, Report, Role, SummaryRow};
use super::{Epoch, Observer, Run, Trainer};
use crate::Result;
use crate::data::{Dataset, Loader, LoaderConfig};
use crate::distill::{self, MethodConfig};
use crate::gpu::Gpu;
use crate::models::{Network, build};
use crate::nn::DeviceParams;
use crate::platform::SystemTime;
use crate::report::stats::median;
use crate::report::{Environment, timestamp};
use crate::tasks::{Classify, ClassifyConfig, Task};

/// One way to train the student.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// What its row is called.
    pub label: String,
    /// The methods, as in [`distill::parse`]; `None` trains alone.
    pub methods: Option<String>,
}

impl Variant {
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
    training: Arc<Dataset>,
    validation: Arc<Dataset>,
    task: Arc<dyn Task>,
    /// What was seen so far.
    pub report: Report,
}

impl<'a> Comparison<'a> {
    /// On these sets; `title` and `command` head the report.
    ///
    /// # Errors
    /// [`crate::Error::Config`] for data that no classifier can be trained on.
    pub fn new(
        gpu: &'a Gpu,
        (training, validation): (Dataset, Dataset),
        title: &str,
        command: String,
    ) -> Result<Self> {
        let caps = gpu.caps();
        let environment = Environment {
            adapter: caps.name.clone(),
            driver: caps.driver.clone(),
            backend: caps.backend.clone(),
            command,
            date: timestamp(SystemTime::now()),
            version: env!("CARGO_PKG_VERSION").into(),
            extra: Vec::new(),
        };
        let report = Report { title: title.into(), environment, ..Default::default() };
        let task = Arc::new(Classify::new(&training, ClassifyConfig::default())?);
        Ok(Self { gpu, training: Arc::new(training), validation: Arc::new(validation), task, report })
    }

    /// The training set.
    pub fn training(&self) -> &Arc<Dataset> {
        &self.training
    }

    /// The set that is measured on.
    pub fn validation(&self) -> &Arc<Dataset> {
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
        let loader = Loader::new(self.validation.clone(), LoaderConfig::in_order(128))?;
        let (task, source) = (self.task.as_ref(), self.validation.as_ref());
        let mut evaluator = Evaluator::new(self.gpu, task, teacher, &params, 128, source)?;
        let epoch = Epoch { epoch: 1, validation: evaluator.measure(loader.epoch(0))?, ..Epoch::default() };
        self.add_row(
            "teacher",
            teacher,
            Role::Teacher,
            &[Run { epochs: vec![epoch], kept_epoch: 1, ..Run::default() }],
        );
        Ok(())
    }

    /// Trains the student `name` as `variant` says, once for each seed, and returns the last one.
    pub fn student(
        &mut self,
        name: &str,
        variant: &Variant,
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
        let mut curve = |kind, split, value: fn(&Epoch) -> f64| {
            let points = run.epochs.iter().map(|e| (e.epoch as f64, value(e))).collect();
            self.report.curves.push(Curve { label: label.into(), seed: config.seed, kind, split, points });
        };
        curve(CurveKind::Accuracy, Split::Validation, |e| e.validation.value());
        curve(CurveKind::Loss, Split::Train, |e| e.loss);
        Ok(run)
    }

    fn add_row(&mut self, label: &str, network: &Network, role: Role, runs: &[Run]) {
        let stored: usize = network.params.iter().map(|p| p.shape.len()).sum();
        let notes = runs.iter().filter_map(Run::loss_scale_note).map(|note| format!("{label}: {note}."));
        self.report.notes.extend(notes);
        // A teacher that came trained has no time of a step.
        let times: Vec<f64> = runs.iter().map(|r| r.ms_per_step).filter(|&ms| ms > 0.0).collect();
        self.report.rows.push(SummaryRow {
            label: label.into(),
            model: network.name.clone(),
            role,
            params: network.params.trainable_elements() as u64,
            bytes: stored as u64 * 4,
            accuracy: runs.iter().map(Run::value).collect(),
            ms_per_step: median(&times),
        });
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
            "{label}, seed {seed}, epoch {}: loss {:.4}, training {name} {:.4}, validation {name} {:.4}, {:.1} ms a \
             step",
            e.epoch,
            e.loss,
            e.training.value(),
            e.validation.value(),
            e.ms_per_step,
            name = e.validation.primary.name
        );
    }
}
