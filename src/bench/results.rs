//! What a run found, as a file: rows with all samples, so that another run can be held against them.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::benchmark::{Benchmark, Prepared, Suite};
use super::ceilings::Ceilings;
use super::timed_by::TimedBy;
use crate::gpu::Caps;
use crate::report::stats::{median, quantile};
use crate::{Error, Result, files};

/// The form of the file; a reader refuses others.
pub const FORMAT: u32 = 1;

/// A whole run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// [`FORMAT`].
    pub limbeck_bench: u32,
    /// limbeck's version.
    pub version: String,
    /// When it was run.
    pub date: String,
    /// The command line.
    pub command: String,
    /// One for each adapter.
    pub adapters: Vec<AdapterResults>,
}

/// A run on one adapter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdapterResults {
    /// Its name.
    pub adapter: String,
    /// vulkan, metal, dx12, gl.
    pub backend: String,
    /// Driver and its version.
    pub driver: String,
    /// What it reached in this run.
    pub ceilings: Ceilings,
    /// The cases that were measured.
    pub rows: Vec<Row>,
    /// The cases that were not, and why.
    pub notes: Vec<Note>,
    /// Where the time of some training steps goes.
    pub breakdowns: Vec<Breakdown>,
}

/// A case that has no row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// `suite/group/name`
    pub case: String,
    /// Why it has none.
    pub why: String,
    /// It should have run, but did not.
    pub failed: bool,
}

/// Where the time of one run goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Breakdown {
    /// What ran.
    pub step: String,
    /// Ops and their milliseconds, the longest first.
    pub parts: Vec<(String, f64)>,
}

/// One measured case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its suite.
    pub suite: Suite,
    /// Its group.
    pub group: String,
    /// Its name.
    pub name: String,
    /// Shapes of what it works on.
    pub shape: String,
    /// How its times were taken.
    pub clock: TimedBy,
    /// Runs in each batch; a sample is the time of a batch divided by it.
    pub runs_a_sample: u32,
    /// Milliseconds of one run, one for each batch.
    pub samples_ms: Vec<f64>,
    /// Their median.
    pub median_ms: f64,
    /// Their lower quartile.
    pub q1_ms: f64,
    /// Their upper quartile.
    pub q3_ms: f64,
    /// Dispatches of one run.
    pub dispatches: Option<usize>,
    /// Floating-point operations of one run.
    pub flops: u64,
    /// Bytes that one run reads and writes, each operand once.
    pub bytes: u64,
    /// 10^9 operations a second.
    pub gflops: Option<f64>,
    /// 10^9 bytes a second.
    pub gbs: Option<f64>,
    /// `gflops` in per cent of the adapter's own ceiling.
    pub percent_of_fma: Option<f64>,
    /// `gbs` in per cent of the adapter's own copy. Above 100 where the operands stay in a cache.
    pub percent_of_copy: Option<f64>,
    /// Training steps: images a second.
    #[serde(alias = "images_a_second")]
    pub images_per_second: Option<f64>,
    /// Largest |got - reference| / (|reference| + rms of the reference).
    pub error: Option<f64>,
    /// The error is above what the op's conformance allows.
    pub wrong: bool,
}

impl Results {
    /// Reads a file of `--save`. Fails in words where it is something else, or is damaged.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = files::read_text(path)?;
        let value: serde_json::Value = serde_json::from_str(&text)
            .map_err(|e| Error::file(path, format!("expected JSON of `limbeck bench --save`: {e}")))?;
        match value.get("limbeck_bench").and_then(serde_json::Value::as_u64) {
            Some(format) if format == u64::from(FORMAT) => {}
            Some(other) => {
                let message = format!(
                    "it has form {other}, this limbeck reads {FORMAT}; measure again with `limbeck bench --save`"
                );
                return Err(Error::file(path, message));
            }
            None => {
                let message =
                    "expected a file of `limbeck bench --save`, found other JSON (no limbeck_bench)";
                return Err(Error::file(path, message));
            }
        }
        let results: Results = serde_json::from_value(value)
            .map_err(|e| Error::file(path, format!("a damaged file of `limbeck bench --save`: {e}")))?;
        for row in results.adapters.iter().flat_map(|a| &a.rows) {
            if row.samples_ms.is_empty() || row.samples_ms.iter().any(|ms| !ms.is_finite() || *ms < 0.0) {
                let message =
                    format!("the times of {} are not finite numbers from 0; measure again", row.path());
                return Err(Error::file(path, message));
            }
        }
        Ok(results)
    }

    /// Writes the file, atomically.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(|e| Error::file(path.as_ref(), e))?;
        files::write_atomic(path, |file| file.write_all(text.as_bytes()))
    }

    /// Whether a case failed or computed something wrong.
    pub fn has_failures(&self) -> bool {
        let failed = |a: &AdapterResults| a.notes.iter().any(|n| n.failed) || a.rows.iter().any(|r| r.wrong);
        self.adapters.iter().any(failed)
    }
}

impl AdapterResults {
    /// Without rows.
    pub fn new(caps: &Caps, ceilings: Ceilings) -> Self {
        Self {
            adapter: caps.name.clone(),
            backend: caps.backend.clone(),
            driver: caps.driver.clone(),
            ceilings,
            rows: Vec::new(),
            notes: Vec::new(),
            breakdowns: Vec::new(),
        }
    }

    /// `name (backend)`
    pub fn label(&self) -> String {
        format!("{} ({})", self.adapter, self.backend)
    }
}

impl Row {
    /// The row of measured work: times are those of one run.
    pub fn new(case: &Benchmark, work: &Prepared, runs: u32, times: Vec<f64>, ceilings: &Ceilings) -> Self {
        let median_ms = median(&times).unwrap_or(0.0);
        let rate = |n: u64| (n > 0 && median_ms > 0.0).then(|| n as f64 * 1e-6 / median_ms);
        let (gflops, gbs) = (rate(work.flops), rate(work.bytes));
        // A transfer between host and device is no copy on the device.
        let copied = gbs.filter(|_| case.suite != Suite::Overhead);
        Self {
            suite: case.suite,
            group: case.group.clone(),
            name: case.name.clone(),
            shape: work.shape.clone(),
            clock: work.clock,
            runs_a_sample: runs,
            median_ms,
            q1_ms: quantile(&times, 0.25).unwrap_or(median_ms),
            q3_ms: quantile(&times, 0.75).unwrap_or(median_ms),
            samples_ms: times,
            dispatches: work.dispatches,
            flops: work.flops,
            bytes: work.bytes,
            gflops,
            gbs,
            percent_of_fma: gflops.map(|rate| 100.0 * rate / ceilings.gflops),
            percent_of_copy: copied.map(|rate| 100.0 * rate / ceilings.gbs),
            images_per_second: work.images.filter(|_| median_ms > 0.0).map(|n| n as f64 * 1e3 / median_ms),
            error: None,
            wrong: false,
        }
    }

    /// Notes the largest error against the reference. JSON knows no infinity: one that is not finite is only wrong.
    pub fn set_error(&mut self, error: f64, allowed: f64) {
        self.error = Some(error).filter(|e| e.is_finite());
        self.wrong = self.error.is_none_or(|e| e > allowed);
    }

    /// `suite/group/name`
    pub fn path(&self) -> String {
        format!("{}/{}/{}", self.suite.name(), self.group, self.name)
    }

    /// Half the distance between the quartiles, in per cent of the median.
    pub fn spread_percent(&self) -> f64 {
        if self.median_ms > 0.0 { 50.0 * (self.q3_ms - self.q1_ms) / self.median_ms } else { 0.0 }
    }
}
