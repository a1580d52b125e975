//! A JSON file of a folder, whose keys are named in errors.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::files;
use crate::models::arguments::LARGEST;
use crate::{Error, Result};

/// A file that holds an object.
pub(super) struct Json {
    path: PathBuf,
    value: Value,
}

impl Json {
    /// Reads the file.
    pub fn read(path: PathBuf) -> Result<Self> {
        let value: Value = serde_json::from_str(&files::read_text(&path)?)
            .map_err(|e| Error::file(&path, format!("expected JSON: {e}; get the file again")))?;
        Ok(Self { path, value })
    }

    /// [`Json::read`] of a file that need not be there.
    pub fn read_if_there(path: PathBuf) -> Result<Option<Self>> {
        if path.is_file() { Self::read(path).map(Some) } else { Ok(None) }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The entries of a list.
    pub fn list(&self) -> Result<&[Value]> {
        let list = self.value.as_array().map(Vec::as_slice);
        list.ok_or_else(|| Error::file(&self.path, "expected a JSON list; get the file again"))
    }

    /// What is under a key; nothing for null.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.value.get(key).filter(|value| !value.is_null())
    }

    /// The names of all that it has.
    pub fn keys(&self) -> impl Iterator<Item = String> + '_ {
        self.value.as_object().into_iter().flat_map(|all| all.keys().cloned())
    }

    /// A size from 1.
    pub fn size(&self, key: &str) -> Result<usize> {
        self.size_up_to(key, LARGEST)
    }

    /// A size from 1 to so many.
    pub fn size_up_to(&self, key: &str, most: usize) -> Result<usize> {
        let found = self.get(key);
        let size = found.and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
        size.filter(|n| (1..=most).contains(n)).ok_or_else(|| {
            let got = found.map_or("nothing".to_string(), short);
            self.error(format!("{key}: expected a number from 1 to {most}, got {got}"))
        })
    }

    /// A text.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }

    /// Whether a switch is on.
    pub fn is_on(&self, key: &str) -> bool {
        self.get(key).and_then(Value::as_bool) == Some(true)
    }

    /// An error of this file.
    pub fn error(&self, message: String) -> Error {
        Error::file(&self.path, message)
    }
}

/// A value, short enough for a message.
pub(super) fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 60 { text } else { text.chars().take(60).collect::<String>() + ".." }
}
