//! Measuring kernels, training steps and overheads on the user's adapter, against what the adapter itself can do.
//!
//! A [`Benchmark`] builds a [`Prepared`] piece of work; [`measure`] times it in batches long enough for the adapter's clock.
//! Kernels are timed by timestamp queries where the adapter has them, everything else by the wall clock; each row says
//! which. The ceilings that rates are set against (f32 multiply-adds, copy bandwidth) are measured first, in the same run.
//! Every kernel's result is held against the f64 references of its ops where that is affordable.
//!
//! Results can be saved, compared with earlier ones and shown as a page: [`Results`], [`compare`], [`html`].

mod bars;
mod benchmark;
mod ceilings;
mod cnn_step;
pub mod compare;
mod csv;
pub mod html;
mod kernel;
pub mod measure;
pub mod results;
mod roofline;
mod suites;
mod timed_by;
mod workload;

pub use benchmark::{Benchmark, Prepared, Suite, Target};
pub use ceilings::Ceilings;
pub use cnn_step::CnnStep;
pub use csv::csv;
pub use kernel::{KernelWork, Pass};
pub use results::{AdapterResults, Breakdown, Note, Results, Row};
pub use suites::cases;
pub use timed_by::TimedBy;
pub use workload::Workload;

use measure::{Effort, Outcome, Rates};

use crate::{Error, Result};

/// What to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which suites.
    pub suites: Vec<Suite>,
    /// Parts of `suite/group/name`; a case runs that holds one of them. Empty: all.
    pub filter: Vec<String>,
    /// Fewer cases, repeats and smaller batches: seconds instead of minutes.
    pub quick: bool,
    /// Samples of each case; the effort's own number when absent.
    pub repeats: Option<usize>,
}

impl Options {
    /// The cases that the options select on this adapter. Fails where they select none.
    pub fn select(&self, target: &Target) -> Result<Vec<Benchmark>> {
        let mut chosen = Vec::new();
        for suite in &self.suites {
            chosen.extend(cases(*suite, target, self.quick)?.into_iter().filter(|case| self.wants(case)));
        }
        if chosen.is_empty() {
            let message = format!("no case has \"{}\" in its name", self.filter.join("\" or \""));
            return Err(Error::config("filter", format!("{message}; run without it to see the names")));
        }
        Ok(chosen)
    }

    fn wants(&self, case: &Benchmark) -> bool {
        let path = case.path();
        self.filter.is_empty() || self.filter.iter().any(|part| path.contains(part.as_str()))
    }
}

/// What [`run`] tells as it goes.
pub enum Event<'a> {
    /// The adapter's ceilings are known.
    Ceilings(&'a Ceilings),
    /// A case was measured.
    Row(&'a Row),
    /// A case was left out, or failed.
    Note(&'a Note),
}

/// Runs the chosen cases on one adapter. A case that can't run there becomes a note; only a lost device ends the run.
pub fn run(
    target: &Target,
    options: &Options,
    observe: &mut dyn FnMut(Event<'_>) -> Result<()>,
) -> Result<AdapterResults> {
    let effort = Effort::new(options.quick, options.repeats);
    let chosen = options.select(target)?;
    let ceilings = Ceilings::measure(&target.gpu, &effort)?;
    observe(Event::Ceilings(&ceilings))?;
    let mut results = AdapterResults::new(target.gpu.caps(), ceilings);
    let mut rates = Rates::new();
    for case in &chosen {
        let outcome = measure::case(case, target, &effort, &results.ceilings, &mut rates);
        let note = match outcome {
            Ok(Outcome::Row(row, breakdown)) => {
                observe(Event::Row(&row))?;
                results.rows.push(*row);
                results.breakdowns.extend(breakdown);
                continue;
            }
            Ok(Outcome::Skipped(why)) => Note { case: case.path(), why, failed: false },
            Err(error @ Error::DeviceLost(_)) => return Err(error),
            Err(error @ (Error::Limit { .. } | Error::OutOfMemory(_))) => {
                Note { case: case.path(), why: error.to_string(), failed: false }
            }
            Err(error) => Note { case: case.path(), why: error.to_string(), failed: true },
        };
        observe(Event::Note(&note))?;
        results.notes.push(note);
    }
    Ok(results)
}
