//! The metrics log: one JSON object per line, flushed per line, so that a killed run loses at most its last line.
//!
//! A resumed run drops what was logged after the checkpoint it resumes from, and goes on appending.
//!
//! Epochs count from 1, as on the screen. limbeck 0.1.0 counted them from 0 here: a run with a line of epoch 0 is of that
//! kind, is read as if it counted from 1, and is rewritten so where it is resumed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::files::{self, read_error, write_error};
use crate::{Error, Result};

/// Which part of the data a number was measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// What the optimizer sees.
    Train,
    /// Held out, looked at while training.
    Validation,
    /// Held out, looked at once.
    Test,
}

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
    /// Top-1 accuracy, 0 to 1, where it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
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

/// A metrics log that is open for appending.
#[derive(Debug)]
pub struct MetricsLog {
    file: File,
    path: PathBuf,
}

impl MetricsLog {
    /// Starts a new log, replacing an old one; parent folders are created.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        files::write_atomic(&path, |_| Ok(()))?;
        Self::open(path.as_ref())
    }

    /// Continues a log: drops the lines of `run` after `step`, and a last line that was cut off; other runs' lines
    /// stay as they are. A missing log is started.
    pub fn resume(path: impl AsRef<Path>, run: &str, step: u64) -> Result<Self> {
        let path = path.as_ref();
        let text = read_log(path)?.unwrap_or_default();
        let mut kept = String::with_capacity(text.len());
        let records = parse(path, &text)?;
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
        files::write_atomic(path, |w| w.write_all(kept.as_bytes()))?;
        Self::open(path)
    }

    /// Appends one record and hands it to the operating system before returning.
    pub fn append(&mut self, record: &MetricRecord) -> Result<()> {
        let line = to_line(&self.path, record)? + "\n";
        // One write for the whole line: a kill between two writes can't leave half of it.
        self.file
            .write_all(line.as_bytes())
            .and_then(|()| self.file.flush())
            .map_err(|e| write_error(&self.path, &e))
    }

    /// Where the log is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().append(true).open(path).map_err(|e| write_error(path, &e))?;
        Ok(MetricsLog { file, path: path.to_path_buf() })
    }
}

/// Reads a log. A last line that was cut off is left out; any other line that is no record is an error.
pub fn read_metrics(path: impl AsRef<Path>) -> Result<Vec<MetricRecord>> {
    let path = path.as_ref();
    let Some(text) = read_log(path)? else {
        return Err(read_error(path, &std::io::ErrorKind::NotFound.into()));
    };
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

/// The text of a log: empty for an empty file (a run that was stopped early), `None` for no file.
fn read_log(path: &Path) -> Result<Option<String>> {
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_file() && meta.len() == 0 => Ok(Some(String::new())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        _ => {
            let mut bytes = files::read(path)?;
            // A kill may also cut a character of the last line in two: that line is left out as any other cut-off one.
            let cut = std::str::from_utf8(&bytes).map_err(|e| e.valid_up_to()).err();
            if let Some(cut) = cut.filter(|&cut| !bytes[cut..].contains(&b'\n')) {
                bytes.truncate(cut);
            }
            String::from_utf8(bytes).map(Some).map_err(|e| {
                let offset = e.utf8_error().valid_up_to();
                Error::file(path, format!("expected UTF-8 text, found a byte that is not at offset {offset}"))
            })
        }
    }
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

mod nan_as_null {
    use super::*;

    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        value.is_finite().then_some(*value).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
    }
}

fn terms_with_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, f64>, D::Error> {
    let terms = BTreeMap::<String, Option<f64>>::deserialize(deserializer)?;
    Ok(terms.into_iter().map(|(name, value)| (name, value.unwrap_or(f64::NAN))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests::Scratch;

    fn record(run: &str, step: u64) -> MetricRecord {
        MetricRecord {
            run: run.into(),
            epoch: step.div_ceil(2),
            step,
            split: Split::Train,
            loss: 0.1 + step as f64,
            accuracy: Some(0.5),
            learning_rate: 0.05,
            images_per_second: 1000.0,
            terms: BTreeMap::from([("ce".into(), 1.0), ("kd".into(), 2.5)]),
            seconds: 1.25,
            loss_scale: Some(65536.0),
            skipped_steps: Some(3),
        }
    }

    fn steps(path: &Path) -> Vec<(String, u64)> {
        read_metrics(path).unwrap().into_iter().map(|r| (r.run, r.step)).collect()
    }

    #[test]
    fn records_survive_the_round_trip() {
        let dir = Scratch::new();
        let path = dir.path("run/metrics.jsonl");
        let mut log = MetricsLog::create(&path).unwrap();
        assert_eq!(read_metrics(&path).unwrap(), []);
        log.append(&record("a", 1)).unwrap();
        log.append(&record("a", 2)).unwrap();
        assert_eq!(read_metrics(log.path()).unwrap(), [record("a", 1), record("a", 2)]);
        assert_eq!(files::read_text(&path).unwrap().lines().count(), 2);
    }

    #[test]
    fn nonfinite_numbers_are_null() {
        let dir = Scratch::new();
        let mut log = MetricsLog::create(dir.path("m")).unwrap();
        let mut bad = record("a", 1);
        bad.loss = f64::INFINITY;
        bad.terms.insert("kd".into(), f64::NAN);
        log.append(&bad).unwrap();
        assert!(files::read_text(log.path()).unwrap().contains(r#""loss":null"#));
        let back = &read_metrics(log.path()).unwrap()[0];
        assert!(back.loss.is_nan() && back.terms["kd"].is_nan());
    }

    #[test]
    fn resume_drops_later_steps_of_that_run_only() {
        let dir = Scratch::new();
        let path = dir.path("m");
        let mut log = MetricsLog::create(&path).unwrap();
        for step in 1..=4 {
            log.append(&record("a", step)).unwrap();
            log.append(&record("b", step)).unwrap();
        }
        drop(log);
        let mut torn = files::read(&path).unwrap();
        torn.extend_from_slice(b"{\"run\":\"a\xc3");
        std::fs::write(&path, torn).unwrap();
        assert_eq!(steps(&path).len(), 8);
        MetricsLog::resume(&path, "a", 2).unwrap().append(&record("a", 3)).unwrap();
        let a: Vec<_> = steps(&path).into_iter().filter(|(run, _)| run == "a").collect();
        assert_eq!(a, [("a".into(), 1), ("a".into(), 2), ("a".into(), 3)]);
        assert_eq!(steps(&path).len(), 7);
    }

    /// A log of limbeck 0.1.0 counts from 0: it reads as one that counts from 1, and goes on as one.
    #[test]
    fn old_logs_are_counted_anew() {
        let dir = Scratch::new();
        let path = dir.path("m");
        let old = |run: &str, epoch: u64| MetricRecord { epoch, ..record(run, epoch + 1) };
        let mut log = MetricsLog::create(&path).unwrap();
        for epoch in 0..3 {
            log.append(&old("a", epoch)).unwrap();
            log.append(&old("b", epoch)).unwrap();
        }
        drop(log);
        let epochs = |run: &str| -> Vec<u64> {
            read_metrics(&path).unwrap().iter().filter(|r| r.run == run).map(|r| r.epoch).collect()
        };
        assert_eq!((epochs("a"), epochs("b")), (vec![1, 2, 3], vec![1, 2, 3]));
        let mut log = MetricsLog::resume(&path, "a", 2).unwrap();
        log.append(&MetricRecord { epoch: 3, ..record("a", 3) }).unwrap();
        assert_eq!((epochs("a"), epochs("b")), (vec![1, 2, 3], vec![1, 2, 3]));
        // The other run's lines are as they were.
        let text = files::read_text(&path).unwrap();
        let zeros = text.lines().filter(|line| line.contains("\"epoch\":0")).collect::<Vec<_>>();
        assert!(zeros.len() == 1 && zeros[0].contains("\"b\""), "{text}");
        MetricsLog::resume(&path, "a", 3).unwrap();
        assert_eq!(files::read_text(&path).unwrap(), text);
    }

    #[test]
    fn resume_starts_a_missing_log() {
        let dir = Scratch::new();
        MetricsLog::resume(dir.path("new"), "a", 9).unwrap().append(&record("a", 10)).unwrap();
        assert_eq!(steps(&dir.path("new")), [("a".into(), 10)]);
    }

    #[test]
    fn broken_lines_are_named() {
        let dir = Scratch::new();
        let path = dir.path("m");
        std::fs::write(&path, "{}\n").unwrap();
        let message = read_metrics(&path).unwrap_err().to_string();
        assert!(message.contains("line 1") && message.contains("missing field"), "{message}");
        let message = read_metrics(dir.path("none")).unwrap_err().to_string();
        assert!(message.contains("found nothing"), "{message}");
        assert!(MetricsLog::create(dir.path("")).is_err());
    }
}
