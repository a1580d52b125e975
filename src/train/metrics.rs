//! The metrics log: one JSON object per line, flushed per line, so that a killed run loses at most its last line.
//!
//! A resumed run drops what was logged after the checkpoint it resumes from, and goes on appending.
//!
//! Epochs count from 1, as on the screen. limbeck 0.1.0 counted them from 0 here: a run with a line of epoch 0 is of that
//! kind, is read as if it counted from 1, and is rewritten so where it is resumed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

pub use crate::data::Split;
use crate::files::{self, nan_as_null, read_error};
use crate::platform::Store;
use crate::{Error, Result};

/// One line of the log. Numbers that are not finite are written as `null` and read back as NaN.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricRecord {
    /// Which run this belongs to, such as `kd-seed1`; one log may hold several.
    pub run: String,
    /// The epoch that it is of, counted from 1.
    pub epoch: u64,
    /// Optimizer steps done.
    pub step: u64,
    /// What the numbers were measured on.
    pub split: Split,
    /// Mean total loss.
    #[serde(with = "nan_as_null")]
    pub loss: f64,
    /// What the task measures, each under its own name, such as `rmse`; shares are from 0 to 1.
    #[serde(flatten, deserialize_with = "terms_with_null")]
    pub metrics: BTreeMap<String, f64>,
    /// Learning rate of the last step.
    #[serde(with = "nan_as_null", default = "nan")]
    pub learning_rate: f64,
    /// Throughput since the previous record.
    #[serde(with = "nan_as_null", default = "nan")]
    pub images_per_second: f64,
    /// The parts of the loss, by name, before weighting.
    #[serde(default, deserialize_with = "terms_with_null")]
    pub terms: BTreeMap<String, f64>,
    /// Wall-clock seconds since the run began.
    #[serde(with = "nan_as_null", default = "nan")]
    pub seconds: f64,
    /// The loss scale of mixed precision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<f64>,
    /// Steps of the run so far that changed no weight, because a gradient in mixed precision was not finite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped_steps: Option<u64>,
}

/// A metrics log that is appended to.
#[derive(Debug)]
pub struct MetricsLog {
    store: Arc<dyn Store>,
    name: String,
    run: String,
}

impl MetricsLog {
    /// Continues the log `name` with lines of `run`: drops those after `step`, and a last line that was cut off; other runs'
    /// lines stay as they are. A missing log is started.
    ///
    /// # Errors
    /// [`Error::File`] for a log with lines that are no records, and where it can't be written.
    pub async fn resume(store: Arc<dyn Store>, name: &str, run: &str, step: u64) -> Result<Self> {
        let path = &store.path(name);
        let text = store.get(name).await?.map(|bytes| text(path, bytes)).transpose()?.unwrap_or_default();
        let kept = kept(path, &text, run, step)?;
        store.put(name, kept.as_bytes()).await?;
        Ok(MetricsLog { store, name: name.to_string(), run: run.to_string() })
    }

    /// Appends one record and hands it to the operating system before returning.
    ///
    /// # Errors
    /// [`Error::File`] where it can't be written.
    pub async fn append(&self, record: &MetricRecord) -> Result<()> {
        // The whole line at once: a kill between two writes can't leave half of it.
        let line = to_line(&self.store.path(&self.name), record)? + "\n";
        self.store.append(&self.name, line.as_bytes()).await
    }

    /// The run whose lines are added.
    pub fn run(&self) -> &str {
        &self.run
    }
}

/// The lines of a log that stay where `run` goes on after `step`.
fn kept(path: &Path, text: &str, run: &str, step: u64) -> Result<String> {
    let mut kept = String::with_capacity(text.len());
    let records = parse(path, text)?;
    let old = counts_from_zero(&records, run);
    for (line, mut record) in records {
        if record.run != run {
            kept.push_str(line);
        } else if record.step > step {
            continue;
        } else if old {
            record.epoch += 1;
            kept.push_str(&to_line(path, &record)?);
        } else {
            kept.push_str(line);
        }
        kept.push('\n');
    }
    Ok(kept)
}

/// Reads a log. A last line that was cut off is left out; any other line that is no record is an error. An empty file is a
/// run that was stopped early.
///
/// # Errors
/// [`Error::File`] for a missing file, and for lines that are no records.
pub fn read_metrics(path: impl AsRef<Path>) -> Result<Vec<MetricRecord>> {
    let path = path.as_ref();
    let mut bytes = Vec::new();
    files::open_any(path)?.read_to_end(&mut bytes).map_err(|e| read_error(path, &e))?;
    parse_metrics(path, bytes)
}

/// [`read_metrics`] for a log that is in memory; `origin` is what messages name.
///
/// # Errors
/// [`Error::File`] for lines that are no records.
pub fn parse_metrics(origin: impl AsRef<Path>, bytes: Vec<u8>) -> Result<Vec<MetricRecord>> {
    let path = origin.as_ref();
    let text = text(path, bytes)?;
    let records = parse(path, &text)?;
    let from_zero: BTreeSet<String> =
        records.iter().filter(|(_, r)| r.epoch == 0).map(|(_, r)| r.run.clone()).collect();
    let from_one =
        |r: MetricRecord| MetricRecord { epoch: r.epoch + u64::from(from_zero.contains(&r.run)), ..r };
    Ok(records.into_iter().map(|(_, record)| from_one(record)).collect())
}

fn counts_from_zero(records: &[(&str, MetricRecord)], run: &str) -> bool {
    records.iter().any(|(_, record)| record.run == run && record.epoch == 0)
}

fn to_line(path: &Path, record: &MetricRecord) -> Result<String> {
    serde_json::to_string(record).map_err(|e| Error::file(path, e))
}

/// The text of a log. A kill may also cut a character of the last line in two: that line is left out as any other cut-off one.
fn text(path: &Path, mut bytes: Vec<u8>) -> Result<String> {
    let cut = std::str::from_utf8(&bytes).map_err(|e| e.valid_up_to()).err();
    if let Some(cut) = cut.filter(|&cut| !bytes[cut..].contains(&b'\n')) {
        bytes.truncate(cut);
    }
    String::from_utf8(bytes).map_err(|e| {
        let offset = e.utf8_error().valid_up_to();
        Error::file(path, format!("expected UTF-8 text, found a byte that is not at offset {offset}"))
    })
}

fn parse<'a>(path: &Path, text: &'a str) -> Result<Vec<(&'a str, MetricRecord)>> {
    let mut records = Vec::new();
    for (index, line) in text.split_inclusive('\n').enumerate() {
        match serde_json::from_str(line) {
            Ok(record) => records.push((line.trim_end(), record)),
            Err(_) if line.trim().is_empty() || !line.ends_with('\n') => {}
            Err(e) => {
                return Err(Error::file(
                    path,
                    format!(
                        "line {}, column {}: expected a metrics record, found something else ({e}); remove the line",
                        index + 1,
                        e.column()
                    ),
                ));
            }
        }
    }
    Ok(records)
}

fn nan() -> f64 {
    f64::NAN
}

fn terms_with_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, f64>, D::Error> {
    let terms = BTreeMap::<String, Option<f64>>::deserialize(deserializer)?;
    Ok(terms.into_iter().map(|(name, value)| (name, value.unwrap_or(f64::NAN))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::scratch::Scratch;
    use crate::platform::{Folder, Memory, block_on};

    fn record(run: &str, step: u64) -> MetricRecord {
        MetricRecord {
            run: run.into(),
            epoch: step.div_ceil(2),
            step,
            split: Split::Train,
            loss: 0.1 + step as f64,
            metrics: BTreeMap::from([("rmse".into(), 0.5)]),
            learning_rate: 0.05,
            images_per_second: 1000.0,
            terms: BTreeMap::from([("ce".into(), 1.0), ("kd".into(), 2.5)]),
            seconds: 1.25,
            loss_scale: Some(65536.0),
            skipped_steps: Some(3),
        }
    }

    /// Goes on with the log of `run` at a path.
    fn resume(path: &Path, run: &str, step: u64) -> Result<MetricsLog> {
        let (folder, name) = Folder::of(path)?;
        block_on(MetricsLog::resume(Arc::new(folder), &name, run, step))
    }

    fn append(log: &MetricsLog, record: &MetricRecord) {
        block_on(log.append(record)).unwrap();
    }

    fn steps(path: &Path) -> Vec<(String, u64)> {
        read_metrics(path).unwrap().into_iter().map(|r| (r.run, r.step)).collect()
    }

    #[test]
    fn records_survive_the_round_trip() {
        let dir = Scratch::new();
        let path = dir.file("run/metrics.jsonl");
        let log = resume(&path, "a", 0).unwrap();
        assert_eq!(read_metrics(&path).unwrap(), []);
        append(&log, &record("a", 1));
        append(&log, &record("a", 2));
        assert_eq!(read_metrics(&path).unwrap(), [record("a", 1), record("a", 2)]);
        assert_eq!(files::read_text(&path).unwrap().lines().count(), 2);
    }

    #[test]
    fn logs_in_memory_are_those_of_files() {
        let dir = Scratch::new();
        let memory: Arc<dyn Store> = Arc::new(Memory::new());
        for step in [1, 2] {
            append(&resume(&dir.file("m"), "a", 9).unwrap(), &record("a", step));
            let log = block_on(MetricsLog::resume(memory.clone(), "m", "a", 9)).unwrap();
            append(&log, &record("a", step));
        }
        let bytes = block_on(memory.get("m")).unwrap().unwrap();
        assert_eq!(bytes, files::read(dir.file("m")).unwrap());
        assert_eq!(parse_metrics("m", bytes).unwrap(), [record("a", 1), record("a", 2)]);
    }

    #[test]
    fn nonfinite_numbers_are_null() {
        let dir = Scratch::new();
        let path = dir.file("m");
        let log = resume(&path, "a", 0).unwrap();
        let mut bad = record("a", 1);
        bad.loss = f64::INFINITY;
        bad.terms.insert("kd".into(), f64::NAN);
        append(&log, &bad);
        assert!(files::read_text(&path).unwrap().contains(r#""loss":null"#));
        let back = &read_metrics(&path).unwrap()[0];
        assert!(back.loss.is_nan() && back.terms["kd"].is_nan());
    }

    #[test]
    fn resume_drops_later_steps_of_that_run_only() {
        let dir = Scratch::new();
        let path = dir.file("m");
        let log = resume(&path, "a", 0).unwrap();
        for step in 1..=4 {
            append(&log, &record("a", step));
            append(&log, &record("b", step));
        }
        let mut torn = files::read(&path).unwrap();
        torn.extend_from_slice(b"{\"run\":\"a\xc3");
        std::fs::write(&path, torn).unwrap();
        assert_eq!(steps(&path).len(), 8);
        append(&resume(&path, "a", 2).unwrap(), &record("a", 3));
        let a: Vec<_> = steps(&path).into_iter().filter(|(run, _)| run == "a").collect();
        assert_eq!(a, [("a".into(), 1), ("a".into(), 2), ("a".into(), 3)]);
        assert_eq!(steps(&path).len(), 7);
    }

    /// A line as limbeck 0.1.0 wrote it.
    #[test]
    fn old_logs_are_read() {
        let dir = Scratch::new();
        let line = r#"{"run":"kd","epoch":2,"step":20,"split":"test","loss":null,"accuracy":0.75,"learning_rate":0.1,
            "images_per_second":10.0,"terms":{},"seconds":1.0}"#;
        let path = dir.write("m", line.replace('\n', "") + "\n");
        let record = &read_metrics(path).unwrap()[0];
        assert_eq!((record.split, record.metrics["accuracy"]), (Split::Test, 0.75));
        assert!(record.loss.is_nan() && record.metrics.len() == 1, "{record:?}");
    }

    /// A log of limbeck 0.1.0 counts from 0: it reads as one that counts from 1, and goes on as one.
    #[test]
    fn old_logs_are_counted_anew() {
        let dir = Scratch::new();
        let path = dir.file("m");
        let old = |run: &str, epoch: u64| MetricRecord { epoch, ..record(run, epoch + 1) };
        let log = resume(&path, "a", 0).unwrap();
        for epoch in 0..3 {
            append(&log, &old("a", epoch));
            append(&log, &old("b", epoch));
        }
        let epochs = |run: &str| -> Vec<u64> {
            read_metrics(&path).unwrap().iter().filter(|r| r.run == run).map(|r| r.epoch).collect()
        };
        assert_eq!((epochs("a"), epochs("b")), (vec![1, 2, 3], vec![1, 2, 3]));
        let log = resume(&path, "a", 2).unwrap();
        append(&log, &MetricRecord { epoch: 3, ..record("a", 3) });
        assert_eq!((epochs("a"), epochs("b")), (vec![1, 2, 3], vec![1, 2, 3]));
        // The other run's lines are as they were.
        let text = files::read_text(&path).unwrap();
        let zeros = text.lines().filter(|line| line.contains("\"epoch\":0")).collect::<Vec<_>>();
        assert!(zeros.len() == 1 && zeros[0].contains("\"b\""), "{text}");
        resume(&path, "a", 3).unwrap();
        assert_eq!(files::read_text(&path).unwrap(), text);
    }

    #[test]
    fn resume_starts_a_missing_log() {
        let dir = Scratch::new();
        append(&resume(&dir.file("new"), "a", 9).unwrap(), &record("a", 10));
        assert_eq!(steps(&dir.file("new")), [("a".into(), 10)]);
    }

    #[test]
    fn broken_lines_are_named() {
        let dir = Scratch::new();
        let path = dir.file("m");
        std::fs::write(&path, "{}\n").unwrap();
        let message = read_metrics(&path).unwrap_err().to_string();
        assert!(message.contains("line 1") && message.contains("missing field"), "{message}");
        let message = read_metrics(dir.file("none")).unwrap_err().to_string();
        assert!(message.contains("found nothing"), "{message}");
        assert!(resume(&dir.file("folder/.."), "a", 0).is_err());
        std::fs::create_dir(dir.file("folder")).unwrap();
        assert!(resume(&dir.file("folder"), "a", 0).is_err());
    }
}
