//! What `train` and `distill` share: data, output folder, the run itself, and what is left of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

mod outputs;

use super::doctor;
use super::recipe::Recipe;
use super::subject::{self, Subject};
use crate::cli::AdapterFlags;
use crate::cli::out::say;
use crate::cli::progress::Bar;
use crate::data::{Source, Split};
use crate::gpu::Gpu;
use crate::models::saved::{self, ModelMetadata};
use crate::models::{Network, build};
use crate::nn::DeviceParams;
use crate::tape::Cost;
use crate::tasks::{Measured, Metric, Task};
use crate::train::doctor::Finding;
use crate::train::report::{Role, TrainingReport};
use crate::train::schemes::Scheme;
use crate::train::{Checkpoints, Evaluator, Prepared, Run, Teacher, TeacherSource, TrainConfig, Trainer};
use crate::{Error, Result};

/// Flags of `train` and `distill`.
#[derive(Debug, Args)]
pub struct JobFlags {
    /// Settings from a TOML file, named as the flags with _ for -; flags win
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Go on from the checkpoint in --out; gives the bits of an uninterrupted run
    #[arg(long)]
    resume: bool,
    /// Start anew although --out holds a run
    #[arg(long, conflicts_with = "resume")]
    overwrite: bool,
    /// Print the plan and what a step would cost, and stop
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    recipe: Recipe,
}

/// Whom a network learns from, besides labels.
#[derive(Default)]
pub struct Supervision<'a> {
    pub teaching: Option<TeacherSource<'a>>,
    pub scheme: Scheme<'a>,
    /// A network that learns beside it, and the weight of what each learns from the other.
    pub peer: Option<(&'a mut Network, f32)>,
}

impl<'a> From<Teacher<'a>> for Supervision<'a> {
    fn from(teacher: Teacher<'a>) -> Self {
        Self { teaching: Some(teacher.into()), ..Self::default() }
    }
}

/// A run whose step is compiled, and of which nothing is written yet.
pub struct PreparedRun<'a, 'n> {
    prepared: Prepared<'a, 'n>,
    label: String,
    seed: u64,
    examined: bool,
}

impl PreparedRun<'_, '_> {
    /// What a step costs.
    pub fn cost(&self) -> &Cost {
        self.prepared.cost()
    }

    /// What files and tables call it.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// What the doctor found, once.
    pub fn findings(&mut self) -> Result<Vec<Finding>> {
        self.prepared.findings()
    }
}

/// A job with its data loaded.
pub struct Job {
    pub gpu: Gpu,
    pub recipe: Recipe,
    pub subject: Box<dyn Subject>,
    pub out: PathBuf,
    resume: bool,
    overwrite: bool,
    /// Whether the output folder is ready.
    reserved: bool,
    report: TrainingReport,
}

impl Job {
    /// Reads settings and data. A teacher's normalisation, where there is one, is the default.
    pub fn new(adapter: &AdapterFlags, flags: &JobFlags) -> Result<Self> {
        let recipe = flags.recipe.over_file(flags.config.as_deref())?;
        let mut job = Self::open(adapter.open()?, recipe, flags.resume)?;
        job.overwrite = flags.overwrite;
        if !flags.dry_run {
            // Before minutes of compiling.
            job.spare_runs()?;
        }
        if flags.resume && !flags.dry_run && job.existing_outputs().is_empty() {
            log::warn!("{} holds no run to resume: starting one", job.out.display());
        }
        Ok(job)
    }

    /// A job on a device that is open; goes on from a checkpoint where it is to `resume`.
    pub fn open(gpu: Gpu, recipe: Recipe, resume: bool) -> Result<Self> {
        let model = recipe.need(&recipe.model, "model", "cnn:8,16,32")?;
        recipe.train_config()?;
        let subject = subject::open(&recipe)?;
        let recipe = subject::Kind::of(&recipe)?.complete(&recipe, subject.training().len())?;
        let folder = model.replace([':', ',', '/', '\\', '='], "-");
        let out = recipe.out.clone().unwrap_or_else(|| Path::new("runs").join(folder));
        let command = std::env::args().collect::<Vec<_>>().join(" ");
        let report = TrainingReport::begin(&gpu, command);
        Ok(Self { gpu, recipe, subject, out, resume, overwrite: false, reserved: false, report })
    }

    /// Uses a teacher's mean and deviation for all images, each where the user gave none.
    pub fn normalise_as(&mut self, mean: &[f32], std: &[f32]) -> Result<()> {
        self.subject.normalise_as(&self.recipe, mean, std)
    }

    /// What is trained for.
    pub fn task(&self) -> Result<Arc<dyn Task>> {
        self.subject.task(&self.recipe)
    }

    /// Steps of a training.
    pub fn steps(&self, config: &TrainConfig) -> u64 {
        config.steps(self.subject.training().len() / config.batch_size)
    }

    /// The network to train, with its initial weights.
    pub fn network(&self) -> Result<Network> {
        let name = self.recipe.need(&self.recipe.model, "model", "cnn:8,16,32")?;
        let mut network = self.fresh(name, 0)?;
        let Some(path) = &self.recipe.init else {
            return match &self.recipe.init_layers {
                None => Ok(network),
                Some(_) => Err(Error::config("init_layers", "these are layers of --init; give its file too")),
            };
        };
        let started = match &self.recipe.init_layers {
            None => saved::start_from(&mut network, path),
            Some(layers) => saved::start_from_layers(&mut network, path, layers),
        };
        if let Some(left) = started?.summary() {
            log::warn!("{}: {left}", path.display());
        }
        Ok(network)
    }

    /// A network with random weights of its own for each `number`; those of 0 are [`Job::network`]'s.
    pub fn fresh(&self, name: &str, number: u64) -> Result<Network> {
        let mut network = build(name, &self.task()?.model_config())?;
        network.params.initialise(self.recipe.seed().wrapping_add(number << 32));
        Ok(network)
    }

    /// What the exported network must be fed.
    pub fn metadata(&self) -> ModelMetadata {
        self.subject.metadata()
    }

    /// Compiles the step for a network of its own. Whatever is wrong with the settings shows here.
    pub fn plan(&self, config: &TrainConfig, supervision: Supervision<'_>) -> Result<()> {
        let (training, (watched, _)) = (self.subject.training(), self.subject.watched());
        let trainer = Trainer::new(&self.gpu, self.task()?, config, &training, &watched);
        trainer.teaching(supervision.teaching).scheme(supervision.scheme).plan(&mut self.network()?)?;
        Ok(())
    }

    /// Compiles the step that trains `network`, with a metrics log and checkpoints named after `label`; nothing is written
    /// yet. With `examine` the first batches are looked at, unless the run is one that goes on.
    pub fn prepare<'a, 'n>(
        &self,
        (gpu, bar): (&'a Gpu, &'a mut Bar),
        network: &'n mut Network,
        config: &'a TrainConfig,
        supervision: Supervision<'a>,
        examine: bool,
    ) -> Result<PreparedRun<'a, 'n>> {
        let label = bar.label().to_string();
        let checkpoints = Checkpoints {
            every_steps: self.recipe.checkpoint_every,
            resume: self.resume,
            ..Checkpoints::at(self.checkpoint(&label))?
        };
        let (training, (watched, split)) = (self.subject.training(), self.subject.watched());
        let mut trainer = Trainer::new(gpu, self.task()?, config, &training, &watched);
        if split == Split::Test {
            trainer = trainer.measuring_test();
        }
        if let Some((peer, weight)) = supervision.peer {
            trainer = trainer.peer(peer, weight);
        }
        if examine && !self.resumes(&label) {
            trainer = trainer.examined(self.subject.classes());
        }
        let prepared = trainer
            .teaching(supervision.teaching)
            .scheme(supervision.scheme)
            .observer(bar)
            .checkpoints(checkpoints)
            .log(self.out.join("metrics.jsonl"), &label)?
            .prepare(network)?;
        Ok(PreparedRun { prepared, label, seed: config.seed, examined: examine })
    }

    /// Trains what is prepared, and says before what the doctor found: its notes are for the report.
    pub fn train(&mut self, mut run: PreparedRun<'_, '_>) -> Result<(Run, Vec<String>)> {
        self.reserve_outputs()?;
        let mut notes = if run.examined { doctor::first_batches(self, &mut run) } else { Vec::new() };
        let PreparedRun { prepared, label, seed, examined } = run;
        let run = prepared.fit()?;
        if examined {
            notes.extend(doctor::trained(&label, &run));
        }
        let (_, split) = self.subject.watched();
        self.report.add_curves(&label, seed, split, &run);
        Ok((run, notes))
    }

    /// [`Job::prepare`] and [`Job::train`] in one.
    pub fn fit(
        &mut self,
        label: &str,
        network: &mut Network,
        config: &TrainConfig,
        supervision: Supervision<'_>,
        examine: bool,
    ) -> Result<(Run, Vec<String>)> {
        let (gpu, mut bar) = (self.gpu.clone(), Bar::new(label, config.batch_size));
        let prepared = self.prepare((&gpu, &mut bar), network, config, supervision, examine)?;
        self.train(prepared)
    }

    /// What a network is measured at on the test set. Blocks.
    pub fn measure_test(&self, network: &Network) -> Result<Measured> {
        let params = DeviceParams::frozen(&self.gpu, "network", &network.params)?;
        let batch_size = self.recipe.train_config()?.batch_size;
        let task = self.task()?;
        let test = self.subject.test();
        let evaluator = Evaluator::of_all(&self.gpu, &task, network, &params, batch_size, test.as_ref());
        let mut evaluator = self.gpu.block_on(evaluator)?;
        let batches = evaluator.loader(&test)?;
        evaluator.measure(batches.epoch(0))
    }

    /// [`Job::measure_test`] for a network that was just trained: without validation images its last epoch was measured
    /// on the test set.
    pub fn measure_trained(&self, network: &Network, run: &Run) -> Result<Measured> {
        match run.measured() {
            Some(measured) if self.subject.validation().is_none() => Ok(measured.clone()),
            _ => self.measure_test(network),
        }
    }

    /// Adds a row to the table, measured on the test set: at this.
    pub fn row(&mut self, label: &str, role: Role, network: &Network, run: Option<&Run>) -> Result<Metric> {
        let measured = match run {
            Some(run) => self.measure_trained(network, run)?,
            None => self.measure_test(network)?,
        };
        let metric = measured.primary;
        self.report.add_row(label, role, network, std::slice::from_ref(&metric), run.as_slice());
        Ok(metric)
    }

    /// Writes the trained network and the report, and says where.
    pub fn finish(&mut self, network: &Network, title: &str, notes: Vec<String>) -> Result<()> {
        let model = self.out.join("model.safetensors");
        saved::save(&model, network, &self.metadata())?;
        self.report.title = title.into();
        let (training, test) = (self.subject.training(), self.subject.test());
        let samples = subject::Kind::of(&self.recipe)?.samples;
        self.report.subtitle =
            format!("{}: {} training and {} test {samples}", training.name(), training.len(), test.len());
        self.report.notes.extend(notes);
        self.report.sections = self.subject.sections(&self.gpu, network, &self.recipe)?;
        let page = self.out.join("report.html");
        self.report.write_html(&page)?;
        say!("{}", self.report.text())?;
        say!("wrote {} and {}", model.display(), page.display())?;
        self.subject.exports(network).iter().try_for_each(|name| self.export(network, &self.out.join(name)))
    }

    /// Writes a network for other programs. What lies beside it is of the run that is overwritten.
    fn export(&self, network: &Network, file: &Path) -> Result<()> {
        let before = if self.overwrite { saved::files_of(file)? } else { Vec::new() };
        for old in before.iter().filter(|old| old.exists()) {
            std::fs::remove_file(old).map_err(|e| Error::file(old, format!("can't be removed: {e}")))?;
        }
        saved::save(file, network, &self.metadata())?;
        say!("wrote {}, and what other programs need beside it", file.display())
    }
}
