//! Which of several equal kernels is the fastest on this adapter: what was measured, kept in a file.
//!
//! A choice is kept by adapter, driver, version and work (op, settings, shapes). Nothing is measured unless it is asked for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use super::caps::Caps;
use super::device::lock;
use crate::Result;
use crate::files::{cache_dir, read_text, write_atomic};

/// Whether work with several variants runs as it was measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tuning {
    /// Every adapter of a kind takes the same variants, whatever was measured.
    #[default]
    Off,
    /// Choices of the file; the default where it has none.
    Cached,
    /// Like `Cached`; what the file has no choice for is measured as a plan is made, and added to it.
    Measure,
}

/// What was measured of one piece of work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// The fastest variant that computes what it should.
    pub variant: String,
    /// Its milliseconds, the median.
    pub ms: f64,
    /// The variant that runs without tuning.
    pub default: String,
    /// Its milliseconds, the median.
    pub default_ms: f64,
    /// Variants that failed or computed something else, and what.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<String>,
}

/// Choices by work, of one adapter.
pub type Choices = BTreeMap<String, Choice>;

/// The file: choices by adapter. Another version of limbeck has other kernels and starts anew.
#[derive(Debug, Default, Serialize, Deserialize)]
struct File {
    limbeck: String,
    adapters: BTreeMap<String, Choices>,
}

/// The choices of an open device.
pub struct Tuned {
    mode: Tuning,
    path: Option<PathBuf>,
    adapter: String,
    choices: Mutex<Choices>,
}

impl Tuned {
    /// Reads the choices for an adapter from `path`, or from the user's cache where none is given. A file that can't be read
    /// is replaced when something is measured.
    pub(super) fn open(mode: Tuning, path: Option<PathBuf>, caps: &Caps) -> Self {
        let mut adapter = format!("{} | {} | {}", caps.name, caps.backend, caps.driver);
        // With cooperative matrices other variants race: the choices without them stay what they are.
        if caps.matrices.is_some() {
            adapter.push_str(" | cooperative matrix");
        }
        let path = path.or_else(|| Some(cache_dir()?.join("tuned.json"))).filter(|_| mode != Tuning::Off);
        let mut file = path.as_deref().map(read).unwrap_or_default();
        let choices = file.adapters.remove(&adapter).unwrap_or_default();
        Self { mode, path, adapter, choices: Mutex::new(choices) }
    }

    /// How the choices are used.
    pub fn mode(&self) -> Tuning {
        self.mode
    }

    /// The file; none where tuning is off, or where no place for it is known.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// All choices.
    pub fn choices(&self) -> Choices {
        lock(&self.choices).clone()
    }

    /// The variant for a piece of work.
    pub(crate) fn variant(&self, work: &str) -> Option<String> {
        lock(&self.choices).get(work).map(|choice| choice.variant.clone())
    }

    /// Adds choices to these and to the file, which other programs may have written to meanwhile.
    pub(crate) fn add(&self, new: Choices) -> Result<()> {
        lock(&self.choices).extend(new);
        let Some(path) = &self.path else { return Ok(()) };
        let mut file = read(path);
        file.limbeck = VERSION.into();
        file.adapters.entry(self.adapter.clone()).or_default().extend(self.choices());
        let text = serde_json::to_string_pretty(&file).map_err(|e| crate::Error::file(path, e))?;
        write_atomic(path, |to| to.write_all(text.as_bytes()))
    }
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The file's choices: none where there is no file, or where it is damaged or of another version.
fn read(path: &Path) -> File {
    if !path.exists() {
        return File::default();
    }
    let parsed = read_text(path)
        .and_then(|text| serde_json::from_str::<File>(&text).map_err(|e| crate::Error::file(path, e)));
    match parsed {
        Ok(file) if file.limbeck == VERSION => file,
        Ok(file) => {
            log::info!("{}: choices of limbeck {} are not used by {VERSION}", path.display(), file.limbeck);
            File::default()
        }
        Err(error) => {
            log::warn!("{error}; the tuned choices in it are lost until `limbeck tune` measures them again");
            File::default()
        }
    }
}
