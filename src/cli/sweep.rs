//! `limbeck sweep`: methods x seeds x pairs, and what each method is worth.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Args;

use super::AdapterFlags;
use super::job::{Job, Lesson};
use super::out::say;
use super::recipe::Recipe;
use super::sweep_file::{PairFile, SweepFile};
use super::sweep_list;
use super::sweep_run::{Place, short_hash};
use crate::files::write_atomic;
use crate::gpu::Gpu;
use crate::models::saved;
use crate::train::report::timestamp;
use crate::train::sweep::{MethodRuns, PairRuns, Sweep};
use crate::{Error, Result};

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  limbeck sweep sweeps/digits.toml             # a few minutes on two cores, no download
  limbeck sweep sweeps/cifar100.toml --dry-run # what it would run, and what is done already
  limbeck sweep sweeps/cifar100.toml           # goes on where it was stopped";

/// Flags of `limbeck sweep`.
#[derive(Debug, Args)]
pub struct SweepFlags {
    /// The sweep: settings, methods, seeds and pairs
    #[arg(value_name = "FILE.toml")]
    file: PathBuf,
    /// Where runs and tables go [default: the file's, or runs/NAME-OF-THE-FILE]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// List the runs, which of them are done and about how long the others will take, and stop
    #[arg(long)]
    dry_run: bool,
}

/// Runs what is not done yet; writes results.md, results.html and results.json. Fails where a run failed.
pub fn run(adapter: &AdapterFlags, flags: &SweepFlags) -> Result<ExitCode> {
    let file = SweepFile::read(&flags.file)?;
    let stem = flags.file.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let out = flags.out.clone().or_else(|| file.out.clone()).unwrap_or_else(|| Path::new("runs").join(&stem));
    let place = Place { file: &file, out: &out };
    if flags.dry_run {
        sweep_list::list(place)?;
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
        run_pair(&gpu, place, pair, &mut sweep)?;
    }
    say!("{}", sweep.markdown())?;
    say!("wrote {} and {}", out.join("results.md").display(), out.join("results.html").display())?;
    Ok(if sweep.failures() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs one pair's methods; the tables are written after every method, so that a long sweep can be looked at.
fn run_pair(gpu: &Gpu, place: Place<'_>, pair: &PairFile, sweep: &mut Sweep) -> Result<()> {
    let untaught = go_on(make_teacher(gpu, place, pair), pair)?.err();
    for lesson in pair.lessons(place.file) {
        let label = &lesson.label;
        let written = lesson.methods.clone().unwrap_or_else(|| label.clone());
        let runs = MethodRuns { method: label.clone(), written, ..Default::default() };
        current(sweep)?.methods.push(runs);
        for &seed in &place.file.seeds {
            say!("{}: {label}, seed {seed}", pair.name())?;
            let ran = match &untaught {
                None => go_on(place.run(gpu, pair, &lesson, seed, current(sweep)?.teacher()), pair)?,
                Some(why) => Err(format!("its teacher: {why}")),
            };
            let Some(runs) = current(sweep)?.methods.last_mut() else { continue };
            match ran {
                Ok(outcome) => runs.done.push((seed, outcome)),
                Err(why) => {
                    log::warn!("{}: {label}, seed {seed} failed: {why}", pair.name());
                    runs.failed.push((seed, why));
                }
            }
        }
        if let Some(runs) = current(sweep)?.methods.last_mut() {
            runs.findings = place.findings(pair, &lesson).unwrap_or_default();
        }
        write_tables(sweep, place.out)?;
    }
    Ok(())
}

/// What went wrong with one run, as text for the table. A lost device, a full disk or missing data ends the sweep; what
/// is done is kept. A teacher that can't be read is its pair's own trouble.
fn go_on<T>(ran: Result<T>, pair: &PairFile) -> Result<Result<T, String>> {
    match ran {
        Err(error @ Error::DeviceLost { .. }) => Err(error),
        Err(Error::File { path, message }) if path != pair.teacher => Err(Error::File { path, message }),
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
fn make_teacher(gpu: &Gpu, place: Place<'_>, pair: &PairFile) -> Result<()> {
    teacher_to_come(pair)?;
    let Some(own) = pair.train_teacher.as_ref().filter(|_| !pair.teacher.exists()) else { return Ok(()) };
    say!("{}: training the teacher", pair.name())?;
    let folder = place.out.join(format!("teacher-{}", short_hash(&pair.name())));
    let settings = Recipe { out: Some(folder), ..pair.settings.over(&place.file.settings)? };
    let recipe = own.over(&settings)?;
    let mut job = Job::open(gpu.clone(), recipe, true)?;
    let config = job.recipe.train_config()?;
    let mut network = job.network()?;
    job.fit("teacher", &mut network, &config, Lesson::default())?;
    saved::save(&pair.teacher, &network, &job.facts())
}
