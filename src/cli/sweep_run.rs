//! One run of a sweep: its folder, its result, or its result from an earlier time.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::distill::Source;
use super::doctor;
use super::job::{self, Job};
use super::recipe::Recipe;
use super::schemes;
use super::sweep_file::{Lesson, PairFile, SweepFile};
use crate::files::{read_text, write_atomic};
use crate::gpu::Gpu;
use crate::models::saved;
use crate::train::TrainConfig;
use crate::train::sweep::Outcome;
use crate::{Error, Result, distill};

/// The sweep's file, and where its runs go.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub file: &'a SweepFile,
    pub out: &'a Path,
}

impl Place<'_> {
    /// Where a run's files go.
    pub fn folder(&self, pair: &PairFile, lesson: &Lesson, seed: u64) -> PathBuf {
        let plain = |text: &str| -> String {
            text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect()
        };
        let name = |text: &str| format!("{}-{}", plain(text), short_hash(text));
        let written = match &lesson.methods {
            Some(methods) if *methods != lesson.label => format!("{}={methods}", lesson.label),
            _ => lesson.label.clone(),
        };
        self.out.join(name(&pair.name())).join(format!("{}-seed{seed}", name(&written)))
    }

    /// A run's result, where it has one, whichever settings it is of.
    pub fn result(&self, pair: &PairFile, lesson: &Lesson, seed: u64) -> Result<Option<Outcome>> {
        let path = result_file(&self.folder(pair, lesson, seed));
        if !path.exists() {
            return Ok(None);
        }
        let outcome = serde_json::from_str(&read_text(&path)?).map_err(|e| Error::file(&path, e))?;
        Ok(Some(outcome))
    }

    /// What was said of the first run of these methods; `None` where none was examined.
    pub fn findings(&self, pair: &PairFile, lesson: &Lesson) -> Option<Vec<String>> {
        let folders = self.file.seeds.iter().map(|seed| self.folder(pair, lesson, *seed));
        folders.into_iter().find_map(|folder| doctor::kept(&folder, &lesson.label))
    }

    /// Trains, measures and writes the result, unless it is there. The teacher's accuracy is measured where it is not known.
    pub fn run(
        &self,
        gpu: &Gpu,
        pair: &PairFile,
        lesson: &Lesson,
        seed: u64,
        teacher: Option<f64>,
    ) -> Result<Outcome> {
        let folder = self.folder(pair, lesson, seed);
        let recipe = pair.recipe(self.file, lesson.methods.as_deref(), seed, &folder)?;
        let key = key(&recipe, &pair.teacher)?;
        if let Some(outcome) = self.result(pair, lesson, seed)? {
            return same_run(outcome, &key, &result_file(&folder));
        }
        let mut job = Job::open(gpu.clone(), recipe, true)?;
        let outcome = self.train(&mut job, pair, lesson, key, teacher)?;
        let path = result_file(&folder);
        let text = serde_json::to_string_pretty(&outcome).map_err(|e| Error::file(&path, e))?;
        write_atomic(&path, |w| w.write_all(text.as_bytes()))?;
        Ok(outcome)
    }

    /// Trains the student and saves it.
    fn train(
        &self,
        job: &mut Job,
        pair: &PairFile,
        lesson: &Lesson,
        key: String,
        teacher: Option<f64>,
    ) -> Result<Outcome> {
        let source = Source::open(job, lesson.methods.as_deref())?;
        // One seed is as good as another to see what is not meant.
        let examine = lesson.methods.is_some() && self.findings(pair, lesson).is_none();
        if examine {
            doctor::classes(job, &lesson.label, source.live());
        }
        let (mut student, config) = (job.network()?, config(job, lesson)?);
        let frozen = source.upload(job)?;
        let lessons = |job: &Job| match &lesson.methods {
            None => Ok(job::Lesson::default()),
            Some(methods) => source.lesson(job, methods, &frozen),
        };
        let cost = job.plan(&config, lessons(job)?)?;
        if examine {
            doctor::first_batches(job, &lesson.label, &student, &config, lessons(job)?);
        }
        let taught = lessons(job)?;
        let run = job.fit(&lesson.label, &mut student, &config, taught)?;
        let last =
            if job.recipe.validation.is_none() { run.accuracy() } else { job.test_accuracy(&student)? };
        saved::save(job.out.join("model.safetensors"), &student, &job.facts())?;
        let teacher = match (teacher, source.live().first()) {
            (None, Some((saved, _))) => Some(job.test_accuracy(&saved.network)?),
            (known, _) => known,
        };
        let params = student.params.trainable_elements() as u64;
        Ok(Outcome { teacher, ..Outcome::new(key, last, &run, &cost, params) })
    }
}

fn config(job: &Job, lesson: &Lesson) -> Result<TrainConfig> {
    let alone = job.recipe.train_config()?;
    let Some(methods) = &lesson.methods else { return Ok(alone) };
    let objective = distill::parse(methods, &job.recipe.method_config())?;
    Ok(schemes::taught(job, &objective, &alone))
}

fn result_file(folder: &Path) -> PathBuf {
    folder.join("result.json")
}

fn same_run(outcome: Outcome, key: &str, path: &Path) -> Result<Outcome> {
    if outcome.key == key {
        return Ok(outcome);
    }
    let message = "is of other settings or another teacher; remove its folder, or choose another --out";
    Err(Error::config("sweep", format!("{} {message}", path.display())))
}

/// What a result depends on: every setting but where it goes, and the teacher's bytes.
fn key(recipe: &Recipe, teacher: &Path) -> Result<String> {
    let settings = Recipe { out: None, ..recipe.clone() }.to_toml()?;
    let bytes = std::fs::read(teacher).map_err(|e| Error::file(teacher, e))?;
    let hash = Sha256::new().chain_update(settings).chain_update(bytes).finalize();
    Ok(hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}

/// Tells names apart that are one when written with letters and digits alone.
pub fn short_hash(text: &str) -> String {
    Sha256::digest(text).iter().take(3).map(|byte| format!("{byte:02x}")).collect()
}
