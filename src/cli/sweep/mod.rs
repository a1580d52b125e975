//! `limbeck sweep`: methods x seeds x pairs, and what each method is worth.
//!
//! A sweep is `distill` many times: `file` is the TOML, `entry` a row, `run` a folder with key and result, `teacher` what is
//! trained where missing and measured once, `work` the estimate. `cli/run` trains, for both.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Args;

use crate::cli::AdapterFlags;
use crate::cli::out::say;
use crate::files::write_atomic;
use crate::gpu::Gpu;
use crate::report::timestamp;
use crate::train::sweep::{MethodRuns, PairRuns, Sweep};
use crate::{Error, Result};

mod entry;
mod file;
mod list;
mod pair;
mod run;
mod teacher;
mod work;

use entry::Entry;
use file::SweepFile;
use pair::PairFile;
use run::SweepFolder;

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  limbeck sweep sweeps/digits.toml             # seconds on two cores, no download
  limbeck sweep sweeps/cifar100.toml --dry-run # what it would run, and what is done already
  limbeck sweep sweeps/cifar100.toml           # continues where it was stopped";

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

/// Runs what is not done yet; writes results.md and results.html. Fails where a run failed.
pub fn run(adapter: &AdapterFlags, flags: &SweepFlags) -> Result<ExitCode> {
    let file = SweepFile::read(&flags.file)?;
    let stem = flags.file.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let out = flags.out.clone().or_else(|| file.out.clone()).unwrap_or_else(|| Path::new("runs").join(&stem));
    let home = SweepFolder { file: &file, out: &out };
    if flags.dry_run {
        list::list(adapter, home)?;
        return Ok(ExitCode::SUCCESS);
    }
    file.pairs.iter().try_for_each(|pair| teacher::to_come(home, pair))?;
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
        run_pair(&gpu, home, pair, &mut sweep)?;
    }
    say!("{}", sweep.markdown())?;
    say!("wrote {} and {}", out.join("results.md").display(), out.join("results.html").display())?;
    Ok(if sweep.failures() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs one pair's methods; the tables are written after every method, so that a long sweep can be looked at.
fn run_pair(gpu: &Gpu, home: SweepFolder<'_>, pair: &PairFile, sweep: &mut Sweep) -> Result<()> {
    let untaught = go_on(teacher::make(gpu, home, pair), home, pair)?.err();
    if untaught.is_none() {
        match go_on(teacher::teacher_values(gpu, home, pair), home, pair)? {
            Ok(values) => current(sweep)?.teachers = values,
            Err(why) => {
                log::warn!("{}: the teacher was not measured: {why}", pair.name());
                current(sweep)?.notes.push(format!("the teacher was not measured: {why}"));
            }
        }
    }
    for entry in pair.entries(home.file) {
        let runs = run_entry(gpu, home, pair, &entry, untaught.as_deref())?;
        current(sweep)?.methods.push(runs);
        write_tables(sweep, home.out)?;
    }
    Ok(())
}

/// One row: a run for each seed. Nothing runs where the teacher could not be made, which is why all fail.
fn run_entry(
    gpu: &Gpu,
    home: SweepFolder<'_>,
    pair: &PairFile,
    entry: &Entry,
    untaught: Option<&str>,
) -> Result<MethodRuns> {
    let (label, written) = (entry.label.clone(), entry.written.clone());
    let mut runs = MethodRuns { method: label, written, ..Default::default() };
    for &seed in &home.file.seeds {
        say!("{}: {}, seed {seed}", pair.name(), entry.label)?;
        let ran = match untaught {
            None => go_on(home.run(gpu, pair, entry, seed), home, pair)?,
            Some(why) => Err(format!("its teacher: {why}")),
        };
        match ran {
            Ok(outcome) => runs.done.push((seed, outcome)),
            Err(why) => {
                log::warn!("{}: {}, seed {seed} failed: {why}", pair.name(), entry.label);
                runs.failed.push((seed, why));
            }
        }
    }
    runs.findings = home.findings(pair, entry).unwrap_or_default();
    Ok(runs)
}

/// What went wrong with one run, as text for the table. A lost device, a full disk or missing data ends the sweep; what
/// is done is kept. Teachers and outputs that can't be used are their pair's own trouble.
fn go_on<T>(ran: Result<T>, home: SweepFolder<'_>, pair: &PairFile) -> Result<Result<T, String>> {
    let own = |path: &PathBuf| pair.files(&pair.entries(home.file), &home.file.seeds).contains(path);
    match ran {
        Err(error @ Error::DeviceLost { .. }) => Err(error),
        Err(Error::File { path, message, source }) if !own(&path) => {
            Err(Error::File { path, message, source })
        }
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
