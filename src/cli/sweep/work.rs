//! About how many floating-point operations a run takes, from passes that are compiled and not run: 3 times a
//! trained network's forward pass, since its gradients by weights and by inputs cost as much each, and once
//! that of a frozen one.

use std::collections::BTreeMap;

use super::entry::Entry;
use super::pair::PairFile;
use super::run::SweepFolder;
use crate::Result;
use crate::cli::run::cost::forward_cost;
use crate::cli::run::job::Job;
use crate::cli::run::schemes::{self, SchemeKind};
use crate::cli::run::teachers::Teachers;
use crate::gpu::Gpu;

/// A trained network's operations in forward passes.
const TRAINED: f64 = 3.0;

/// What a pair's runs are made of.
pub struct PairWork<'a> {
    home: SweepFolder<'a>,
    pair: &'a PairFile,
    job: Job,
    /// Images of a training, every epoch's.
    images: f64,
    /// Operations of a forward pass of one image, by architecture.
    passes: BTreeMap<String, f64>,
}

impl<'a> PairWork<'a> {
    /// Loads the pair's data.
    pub fn new(gpu: &Gpu, home: SweepFolder<'a>, pair: &'a PairFile) -> Result<Self> {
        let job = Job::open(gpu.clone(), pair.recipe(home.file, &Entry::alone(), 0, home.out)?, true)?;
        let config = job.recipe.train_config()?;
        let steps = config.steps(job.subject.training().len().div_ceil(config.batch_size));
        let images = steps as f64 * config.batch_size as f64;
        Ok(Self { home, pair, job, images, passes: BTreeMap::new() })
    }

    /// Of a run in all its steps.
    pub fn flops(&mut self, entry: &Entry) -> Result<f64> {
        let kind = entry.scheme_kind()?;
        let recipe = self.pair.recipe(self.home.file, entry, 0, self.home.out)?;
        let student = self.pass(None)?;
        let generations = entry.generations()?;
        let an_image = if !generations.is_empty() {
            let mut before = self.teachers(entry, kind)?;
            let mut sum = 0.0;
            for generation in &generations {
                let own = self.pass(generation.model.as_deref())?;
                sum += TRAINED * own + before;
                before = own;
            }
            sum
        } else {
            let peer = recipe.peer.as_deref();
            let beside = match kind {
                SchemeKind::Mutual => TRAINED * self.pass(peer)?,
                SchemeKind::MeanTeacher => student,
                _ => self.teachers(entry, kind)?,
            };
            TRAINED * student + beside
        };
        Ok(self.images * an_image)
    }

    /// A forward pass of one image by all frozen teachers that run in the step.
    fn teachers(&mut self, entry: &Entry, kind: SchemeKind) -> Result<f64> {
        let recipe = self.pair.recipe(self.home.file, entry, 0, self.home.out)?;
        let alone =
            entry.is_alone() || schemes::is_teacherless(&recipe, kind, &schemes::objective(&recipe)?)?;
        if alone || recipe.teacher.is_none() || recipe.teacher_outputs.is_some() {
            return Ok(0.0);
        }
        let trained = self.pair.train_teacher.as_ref().and_then(|own| own.model.clone());
        if let Some(model) = trained.filter(|_| !self.pair.teachers().iter().all(|path| path.exists())) {
            return self.pass(Some(&model));
        }
        let source = Teachers::of(&recipe, &mut self.job, None)?;
        let all = source.live().iter().map(|(teacher, _)| {
            forward_cost(&self.job.gpu, &teacher.network).map(|(_, cost)| cost.flops as f64)
        });
        all.sum()
    }

    /// A forward pass of one image by an architecture, or by the student's.
    fn pass(&mut self, model: Option<&str>) -> Result<f64> {
        let network = match model {
            Some(name) => self.job.fresh(name, 0)?,
            None => self.job.network()?,
        };
        if let Some(flops) = self.passes.get(&network.name) {
            return Ok(*flops);
        }
        let flops = forward_cost(&self.job.gpu, &network)?.1.flops as f64;
        self.passes.insert(network.name, flops);
        Ok(flops)
    }
}
