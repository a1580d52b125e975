//! One run of a sweep: its folder, its result, or its result from an earlier time.

use std::path::{Path, PathBuf};
use std::time::Instant;

use sha2::{Digest, Sha256};

use super::entry::Entry;
use super::file::SweepFile;
use super::pair::PairFile;
use crate::cli::run::doctor;
use crate::cli::run::job::{self, Job};
use crate::cli::run::recipe::Recipe;
use crate::cli::run::scheme_runs::{self, SchemeRequest};
use crate::cli::run::schemes::{self, SchemeKind};
use crate::cli::run::teachers::Teachers;
use crate::distill::Objective;
use crate::files::{hash_file, hex, read_text, write_atomic};
use crate::gpu::Gpu;
use crate::models::{Network, cfg_file, saved};
use crate::train::sweep::Outcome;
use crate::train::{Run, TrainConfig};
use crate::{Error, Result};

/// The sweep's file, and where its runs go.
#[derive(Clone, Copy)]
pub struct SweepFolder<'a> {
    pub file: &'a SweepFile,
    pub out: &'a Path,
}

/// A student as its training left it.
struct Trained {
    network: Network,
    /// One a training, the student's own last.
    runs: Vec<Run>,
    note: Option<String>,
}

impl SweepFolder<'_> {
    /// Where a run's files go.
    pub fn folder(&self, pair: &PairFile, entry: &Entry, seed: u64) -> PathBuf {
        let plain = |text: &str| -> String {
            text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect()
        };
        let name = |text: &str| format!("{}-{}", plain(text), short_hash(text));
        let written = match entry.written == entry.label {
            false => format!("{}={}", entry.label, entry.written),
            true => entry.label.clone(),
        };
        self.out.join(name(&pair.name())).join(format!("{}-seed{seed}", name(&written)))
    }

    /// A run's result, where it has one, whichever settings it is of.
    pub fn result(&self, pair: &PairFile, entry: &Entry, seed: u64) -> Result<Option<Outcome>> {
        let path = result_file(&self.folder(pair, entry, seed));
        if !path.exists() {
            return Ok(None);
        }
        let outcome = serde_json::from_str(&read_text(&path)?).map_err(|e| Error::file(&path, e))?;
        Ok(Some(outcome))
    }

    /// What was said of the first run of this entry; `None` where none of its trainings was examined.
    pub fn findings(&self, pair: &PairFile, entry: &Entry) -> Option<Vec<String>> {
        let generations = entry.generations().unwrap_or_default();
        if generations.is_empty() {
            return self.examined(pair, entry, &entry.label);
        }
        let of = |label: String| {
            let found = self.examined(pair, entry, &label)?;
            Some(found.into_iter().map(move |finding| format!("{label}: {finding}")))
        };
        let all: Vec<_> = generations.into_iter().filter_map(|generation| of(generation.label)).collect();
        (!all.is_empty()).then(|| all.into_iter().flatten().collect())
    }

    /// What was said of the training of this label, under the first seed that was examined.
    fn examined(&self, pair: &PairFile, entry: &Entry, label: &str) -> Option<Vec<String>> {
        let folders = self.file.seeds.iter().map(|seed| self.folder(pair, entry, *seed));
        folders.into_iter().find_map(|folder| doctor::kept(&folder, label))
    }

    /// Trains, measures and writes the result, unless it is there.
    pub fn run(&self, gpu: &Gpu, pair: &PairFile, entry: &Entry, seed: u64) -> Result<Outcome> {
        let folder = self.folder(pair, entry, seed);
        let recipe = pair.recipe(self.file, entry, seed, &folder)?;
        // Rows that do not learn from the pair's outputs still see images that are normalised as these say.
        let images = pair.recipe(self.file, &Entry::alone(), seed, &folder)?;
        let outputs = if recipe.teacher_outputs.is_some() { &recipe } else { &images };
        let mut files = pair.files(std::slice::from_ref(entry), used_outputs(outputs, &seed));
        files.extend(recipe.teacher_map.iter().chain(&recipe.init).cloned());
        let key = key(&recipe, &files)?;
        if let Some(outcome) = self.result(pair, entry, seed)? {
            return same_run(outcome, &key, &result_file(&folder));
        }
        let started = Instant::now();
        let mut job = Job::open(gpu.clone(), recipe, true)?;
        let trained = self.train(&mut job, pair, entry)?;
        saved::save(job.out.join("model.safetensors"), &trained.network, &job.metadata())?;
        let outcome = outcome(&job, key, trained, started)?;
        let path = result_file(&folder);
        let text = serde_json::to_string_pretty(&outcome).map_err(|e| Error::file(&path, e))?;
        write_atomic(&path, |w| w.write_all(text.as_bytes()))?;
        Ok(outcome)
    }

    /// All runs of a pair see the same images, as its teacher needs them, whether they learn from it or not.
    fn train(&self, job: &mut Job, pair: &PairFile, entry: &Entry) -> Result<Trained> {
        let (config, kind) = (job.recipe.train_config()?, SchemeKind::of(&job.recipe)?);
        if entry.is_alone() {
            self.normalise(job, pair)?;
            let mut network = job.network()?;
            let (run, _) =
                job.fit(&entry.label, &mut network, &config, job::Supervision::default(), false)?;
            return Ok(Trained { network, runs: vec![run], note: None });
        }
        let objective = schemes::objective(&job.recipe)?;
        if kind == SchemeKind::Offline && !schemes::is_teacherless(&job.recipe, kind, &objective)? {
            return self.offline(job, pair, entry, &objective, &config);
        }
        self.normalise(job, pair)?;
        let examine = |label: &str| self.examined(pair, entry, label).is_none();
        let request =
            SchemeRequest { label: &entry.label, objective: &objective, config: &config, examine: &examine };
        let result = scheme_runs::train(job, kind, request)?;
        result.save(job)?;
        let (network, runs) = result.into_student();
        Ok(Trained { network, runs, note: None })
    }

    fn normalise(&self, job: &mut Job, pair: &PairFile) -> Result<()> {
        let recipe = pair.recipe(self.file, &Entry::alone(), job.recipe.seed(), &job.out)?;
        if recipe.teacher.is_some() || recipe.teacher_outputs.is_some() {
            Teachers::of(&recipe, job, None)?;
        }
        Ok(())
    }

    /// The student of frozen teachers, or of what one wrote to disk.
    fn offline(
        &self,
        job: &mut Job,
        pair: &PairFile,
        entry: &Entry,
        objective: &Objective,
        config: &TrainConfig,
    ) -> Result<Trained> {
        let (source, note) = source(job, objective, config)?;
        if let Some(note) = note.as_ref().filter(|_| !self.is_noted(pair, entry)) {
            log::warn!("{}: {} {note}", pair.name(), entry.label);
        }
        // One seed is as good as another to see what is not meant.
        let examine = self.findings(pair, entry).is_none();
        if examine {
            doctor::before(job, &entry.label, source.live());
        }
        let (mut network, frozen) = (job.network()?, source.upload(job)?);
        let taught = source.supervision(job, objective, &frozen)?;
        let (run, _) = job.fit(&entry.label, &mut network, config, taught, examine)?;
        Ok(Trained { network, runs: vec![run], note })
    }

    /// Whether a run of another seed has said already what is peculiar to these.
    fn is_noted(&self, pair: &PairFile, entry: &Entry) -> bool {
        let results =
            self.file.seeds.iter().filter_map(|seed| self.result(pair, entry, *seed).ok().flatten());
        results.into_iter().any(|outcome| outcome.note.is_some())
    }
}

/// Who teaches: the stored outputs where there are some, but for methods that they are not enough for; then
/// the teacher itself where it is there, and why.
fn source(job: &mut Job, objective: &Objective, config: &TrainConfig) -> Result<(Teachers, Option<String>)> {
    let source = Teachers::open(job, Some(objective))?;
    if job.recipe.teacher_outputs.is_none() || job.recipe.teacher.is_none() {
        return Ok((source, None));
    }
    // Outputs of other data, seed or teacher are an error of their file. What is left are the method's own
    // wants.
    let Err(Error::Config { setting: name, message, .. }) =
        job.plan(config, source.supervision(job, objective, &[])?)
    else {
        return Ok((source, None));
    };
    let recipe = Recipe { teacher_outputs: None, teacher_hash: None, ..job.recipe.clone() };
    let live = Teachers::of(&recipe, job, None)?;
    let frozen = live.upload(job)?;
    job.plan(config, live.supervision(job, objective, &frozen)?)?;
    let features = match source.stored().map(|outputs| outputs.info().taps.join(", ")) {
        Some(taps) if !taps.is_empty() => format!("the features {taps}"),
        _ => "no features".into(),
    };
    let why = format!(
        "learns from the teacher itself, not from its stored outputs, which hold {features}: \
         {name}: {message}"
    );
    Ok((live, Some(why)))
}

fn outcome(job: &Job, key: String, trained: Trained, started: Instant) -> Result<Outcome> {
    let Some(run) = trained.runs.last() else { return Err(Error::config("scheme", "trained no student")) };
    let last = job.measure_trained(&trained.network, run)?;
    let params = trained.network.params.trainable_elements() as u64;
    let seconds = started.elapsed().as_secs_f64();
    Ok(Outcome { note: trained.note, ..Outcome::new(key, &last, &trained.runs, params, seconds) })
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

/// The seeds whose stored outputs a run depends on: its own, or none.
fn used_outputs<'a>(recipe: &Recipe, seed: &'a u64) -> &'a [u64] {
    if recipe.teacher_outputs.is_some() { std::slice::from_ref(seed) } else { &[] }
}

/// What a result depends on: every setting but where it goes, and the bytes of the teachers' files.
pub fn key(recipe: &Recipe, files: &[PathBuf]) -> Result<String> {
    let settings = Recipe { out: None, ..recipe.clone() }.to_toml()?;
    let mut hash = Sha256::new().chain_update(settings);
    // Weights or layers of a model may lie beside it.
    for path in files.iter().map(saved::files_of).collect::<Result<Vec<_>>>()?.concat() {
        hash_file(&path, &mut hash)?;
    }
    for file in [&recipe.model, &recipe.teacher_model].into_iter().flatten().filter_map(|name| cfg_file(name))
    {
        hash_file(file, &mut hash)?;
    }
    Ok(hex(&hash.finalize()[..16]))
}

/// Tells names apart that are one when written with letters and digits alone.
pub fn short_hash(text: &str) -> String {
    hex(&Sha256::digest(text)[..3])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::scratch::Scratch;

    /// A teacher whose weights lie beside its file is another one where these are others.
    #[test]
    fn a_key_depends_on_weights_beside_a_model() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/onnx");
        let folder = Scratch::new();
        let copy = |name: &str| {
            std::fs::copy(fixtures.join(name), folder.file(name)).unwrap();
            folder.file(name)
        };
        let (model, weights) = (copy("external.onnx"), copy("external.onnx.data"));
        let of = || key(&Recipe::default(), std::slice::from_ref(&model));
        let before = of().unwrap();
        assert_eq!(before, of().unwrap());
        let mut bytes = std::fs::read(&weights).unwrap();
        bytes[0] ^= 1;
        std::fs::write(&weights, bytes).unwrap();
        assert_ne!(before, of().unwrap());
        std::fs::remove_file(&weights).unwrap();
        assert!(of().unwrap_err().to_string().contains("external.onnx"));
    }
}
