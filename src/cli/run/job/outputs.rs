//! The output folder of a job: what it holds, and whether a run may be written there.

use std::path::PathBuf;

use super::Job;
use crate::files::write_atomic;
use crate::{Error, Result};

impl Job {
    /// Makes the output folder ready, unless it holds a run that would be lost. Once for all runs of the job.
    pub fn reserve_outputs(&mut self) -> Result<()> {
        if self.reserved {
            return Ok(());
        }
        self.write_settings()?;
        self.reserved = true;
        Ok(())
    }

    /// Fails where a run would be lost.
    pub(super) fn spare_runs(&self) -> Result<()> {
        if self.resume || self.overwrite || self.existing_outputs().is_empty() {
            return Ok(());
        }
        let message = "holds a run already; pass --resume to go on with it, --overwrite to start anew, or \
                       another --out";
        Err(Error::file(&self.out, message))
    }

    fn write_settings(&self) -> Result<()> {
        self.spare_runs()?;
        let existing = self.existing_outputs();
        if self.overwrite {
            // A checkpoint left here would be taken for one of the new run.
            for path in &existing {
                std::fs::remove_file(path)
                    .map_err(|e| Error::file(path, format!("can't be removed: {e}")))?;
            }
        }
        let settings = self.out.join("config.toml");
        if self.resume && settings.exists() {
            return Ok(());
        }
        let text = self.recipe.to_toml()?;
        write_atomic(settings, |w| w.write_all(text.as_bytes()))
    }

    /// Whether it goes on with the run of this label, which was begun before.
    pub fn resumes(&self, label: &str) -> bool {
        self.resume && self.checkpoint(label).exists()
    }

    pub(super) fn checkpoint(&self, label: &str) -> PathBuf {
        self.out.join(format!("checkpoint-{}.safetensors", file_name(label)))
    }

    /// The files of a run in the output folder that a new run would replace.
    pub(super) fn existing_outputs(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.out).into_iter().flatten().flatten();
        let run = |name: &str| {
            let checkpoint = name.starts_with("checkpoint-") && name.ends_with(".safetensors");
            checkpoint || ["model.safetensors", "model.weights", "metrics.jsonl"].contains(&name)
        };
        entries.filter(|e| e.file_name().to_str().is_some_and(run)).map(|e| e.path()).collect()
    }
}

/// A label as part of a file name on every system.
fn file_name(label: &str) -> String {
    label.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}
