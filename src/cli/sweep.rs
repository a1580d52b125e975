//! `limbeck sweep`: methods x seeds x pairs, and what each method is worth.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Args;
use sha2::{Digest, Sha256};

use super::AdapterFlags;
use super::distill::Source;
use super::job::{Job, Lesson};
use super::out::say;
use super::recipe::Recipe;
use super::schemes;
use super::sweep_file::{PairFile, SweepFile};
use crate::files::{read_text, write_atomic};
use crate::gpu::Gpu;
use crate::models::saved;
use crate::train::report::timestamp;
use crate::train::sweep::{MethodRuns, Outcome, PairRuns, Sweep};
use crate::{Error, Result, distill};

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  limbeck sweep sweeps/digits.toml             # a few minutes on two cores, no download
  limbeck sweep sweeps/cifar100.toml --dry-run # what it would run, and what is done already
  limbeck sweep sweeps/cifar100.toml           # goes on where it was stopped";

/// The student without a teacher: every table's first row.
const ALONE: &str = "alone";

/// Flags of `limbeck sweep`.
#[derive(Debug, Args)]
pub struct SweepFlags {
    /// The sweep: settings, methods, seeds and pairs
    #[arg(value_name = "FILE.toml")]
    file: PathBuf,
    /// Where runs and tables go [default: the file's, or runs/NAME-OF-THE-FILE]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// List the runs and which of them are done, and stop
    #[arg(long)]
    dry_run: bool,
}

/// Runs what is not done yet; writes results.md, results.html and results.json. Fails where a run failed.
pub fn run(adapter: &AdapterFlags, flags: &SweepFlags) -> Result<ExitCode> {
    let file = SweepFile::read(&flags.file)?;
    let stem = flags.file.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let out = flags.out.clone().or_else(|| file.out.clone()).unwrap_or_else(|| Path::new("runs").join(&stem));
    if flags.dry_run {
        list(&file, &out)?;
        return Ok(ExitCode::SUCCESS);
    }
    file.pairs.iter().try_for_each(teacher_to_come)?;
    let gpu = adapter.open()?;
    let caps = gpu.caps();
    let mut sweep = Sweep {
        title: file.title.clone().unwrap_or_else(|| format!("Sweep {stem}")),
        made: format!(
            "{} ({}, {}), limbeck {}, {}",
            caps.name,
            caps.backend,
            caps.driver,
            env!("CARGO_PKG_VERSION"),
            timestamp(SystemTime::now())
        ),
        pairs: Vec::new(),
    };
    for pair in &file.pairs {
        sweep.pairs.push(PairRuns { name: pair.name(), ..Default::default() });
        run_pair(&gpu, &file, pair, &out, &mut sweep)?;
    }
    say!("{}", sweep.markdown())?;
    say!("wrote {} and {}", out.join("results.md").display(), out.join("results.html").display())?;
    Ok(if sweep.failures() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn list(file: &SweepFile, out: &Path) -> Result<()> {
    for pair in &file.pairs {
        for method in methods(file) {
            for seed in &file.seeds {
                let done = folder(out, pair, &method, *seed).join("result.json").exists();
                let state = if done { "done" } else { "to do" };
                say!("{state:<6} {}: {method}, seed {seed}", pair.name())?;
            }
        }
    }
    Ok(())
}

fn methods(file: &SweepFile) -> Vec<String> {
    std::iter::once(ALONE.to_string()).chain(file.methods.iter().cloned()).collect()
}

/// Runs one pair's methods; the tables are written after every run, so that a long sweep can be looked at.
fn run_pair(gpu: &Gpu, file: &SweepFile, pair: &PairFile, out: &Path, sweep: &mut Sweep) -> Result<()> {
    let untaught = go_on(make_teacher(gpu, file, pair, out))?.err();
    for method in methods(file) {
        current(sweep)?.methods.push(MethodRuns { method: method.clone(), ..Default::default() });
        for &seed in &file.seeds {
            say!("{}: {method}, seed {seed}", pair.name())?;
            let ran = match &untaught {
                None => go_on(run_one(gpu, file, pair, out, &method, seed, current(sweep)?))?,
                Some(why) => Err(format!("its teacher: {why}")),
            };
            let Some(runs) = current(sweep)?.methods.last_mut() else { continue };
            match ran {
                Ok(outcome) => runs.done.push((seed, outcome)),
                Err(why) => {
                    log::warn!("{}: {method}, seed {seed} failed: {why}", pair.name());
                    runs.failed.push((seed, why));
                }
            }
        }
        write_tables(sweep, out)?;
    }
    Ok(())
}

/// What went wrong with one run, as text for the table. A lost device or a full disk ends the sweep; what is
/// done is kept.
fn go_on<T>(ran: Result<T>) -> Result<Result<T, String>> {
    match ran {
        Err(error @ (Error::DeviceLost { .. } | Error::File { .. })) => Err(error),
        ran => Ok(ran.map_err(|error| error.to_string())),
    }
}

fn current(sweep: &mut Sweep) -> Result<&mut PairRuns> {
    sweep.pairs.last_mut().ok_or_else(|| Error::config("pair", "the sweep names none"))
}

fn write_tables(sweep: &Sweep, out: &Path) -> Result<()> {
    write_atomic(out.join("results.md"), |w| w.write_all(sweep.markdown().as_bytes()))?;
    write_atomic(out.join("results.html"), |w| w.write_all(sweep.html().as_bytes()))
}

/// Refuses a teacher that is not there and that nothing will make, before other pairs have run for hours.
fn teacher_to_come(pair: &PairFile) -> Result<()> {
    if pair.teacher.exists() || pair.train_teacher.is_some() {
        return Ok(());
    }
    let message = format!(
        "is not there; train it with `limbeck train`, or give {} a [pair.train_teacher] with a model",
        pair.name()
    );
    Err(Error::file(&pair.teacher, message))
}

/// Trains the pair's teacher where its file is missing, on the pair's data, as the sweep says.
fn make_teacher(gpu: &Gpu, file: &SweepFile, pair: &PairFile, out: &Path) -> Result<()> {
    teacher_to_come(pair)?;
    let Some(own) = pair.train_teacher.as_ref().filter(|_| !pair.teacher.exists()) else { return Ok(()) };
    say!("{}: training the teacher", pair.name())?;
    let folder = out.join(format!("teacher-{}", short_hash(&pair.name())));
    let settings = Recipe { out: Some(folder), ..pair.settings.over(&file.settings)? };
    let recipe = own.over(&settings)?;
    let mut job = Job::open(gpu.clone(), recipe, true)?;
    let config = job.recipe.train_config()?;
    let mut network = job.network()?;
    job.fit("teacher", &mut network, &config, Lesson::default())?;
    saved::save(&pair.teacher, &network, &job.facts())
}

/// One run, or its result from an earlier time.
fn run_one(
    gpu: &Gpu,
    file: &SweepFile,
    pair: &PairFile,
    out: &Path,
    method: &str,
    seed: u64,
    so_far: &PairRuns,
) -> Result<Outcome> {
    let folder = folder(out, pair, method, seed);
    let recipe = pair.recipe(file, (method != ALONE).then_some(method), seed, &folder)?;
    let key = key(&recipe, &pair.teacher)?;
    let result = folder.join("result.json");
    if result.exists() {
        return read_result(&result, &key);
    }
    let mut job = Job::open(gpu.clone(), recipe, true)?;
    let source = Source::open(&mut job)?;
    let mut student = job.network()?;
    let alone = job.recipe.train_config()?;
    let frozen = source.upload(&job)?;
    let (config, methods) = match job.recipe.method.clone() {
        None => (alone, None),
        Some(methods) => {
            let objective = distill::parse(&methods, &job.recipe.method_config())?;
            (schemes::taught(&job, &objective, &alone), Some(methods))
        }
    };
    let lesson = |job: &Job| match &methods {
        None => Ok(Lesson::default()),
        Some(methods) => source.lesson(job, methods, &frozen),
    };
    let cost = job.plan(&config, lesson(&job)?)?;
    let lesson = lesson(&job)?;
    let run = job.fit(method, &mut student, &config, lesson)?;
    let last = if job.recipe.validation.is_none() { run.accuracy() } else { job.test_accuracy(&student)? };
    let params = student.params.trainable_elements() as u64;
    let mut outcome = Outcome::new(key, last, &run, &cost, params);
    outcome.teacher = match (so_far.teacher(), source.live().first()) {
        (None, Some((teacher, _))) => Some(job.test_accuracy(&teacher.network)?),
        (known, _) => known,
    };
    saved::save(folder.join("model.safetensors"), &student, &job.facts())?;
    let text = serde_json::to_string_pretty(&outcome).map_err(|e| Error::file(&result, e))?;
    write_atomic(&result, |w| w.write_all(text.as_bytes()))?;
    Ok(outcome)
}

fn read_result(path: &Path, key: &str) -> Result<Outcome> {
    let outcome: Outcome = serde_json::from_str(&read_text(path)?).map_err(|e| Error::file(path, e))?;
    if outcome.key == key {
        return Ok(outcome);
    }
    let message = "is of other settings or another teacher; remove its folder, or choose another --out";
    Err(Error::config("sweep", format!("{} {message}", path.display())))
}

/// Where a run's files go.
fn folder(out: &Path, pair: &PairFile, method: &str, seed: u64) -> PathBuf {
    let plain = |text: &str| -> String {
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect()
    };
    let name = |text: &str| format!("{}-{}", plain(text), short_hash(text));
    out.join(name(&pair.name())).join(format!("{}-seed{seed}", name(method)))
}

/// What a result depends on: every setting but where it goes, and the teacher's bytes.
fn key(recipe: &Recipe, teacher: &Path) -> Result<String> {
    let settings = Recipe { out: None, ..recipe.clone() }.to_toml()?;
    let bytes = std::fs::read(teacher).map_err(|e| Error::file(teacher, e))?;
    let hash = Sha256::new().chain_update(settings).chain_update(bytes).finalize();
    Ok(hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}

fn short_hash(text: &str) -> String {
    Sha256::digest(text).iter().take(3).map(|byte| format!("{byte:02x}")).collect()
}
