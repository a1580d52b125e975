//! Families of architectures besides limbeck's own, so that their names open files, resume runs and stand in sweeps.

use std::sync::{PoisonError, RwLock};

use super::{MODELS, ModelSpec};
use crate::{Error, Result};

static REGISTERED: RwLock<Vec<&'static ModelSpec>> = RwLock::new(Vec::new());

/// Makes a family of a program's own known by name for the rest of the process: [`super::build`] builds its members, and
/// [`super::saved::open`] opens files of them.
///
/// # Errors
/// [`Error::Config`] for a name that is taken, that of a preset included.
pub fn register(spec: &'static ModelSpec) -> Result<()> {
    let mut registered = REGISTERED.write().unwrap_or_else(PoisonError::into_inner);
    let names = |spec: &ModelSpec| {
        let presets = spec.presets.iter().map(|(preset, _)| *preset);
        std::iter::once(spec.name).chain(presets).collect::<Vec<_>>()
    };
    let taken: Vec<&str> = MODELS.iter().chain(registered.iter().copied()).flat_map(names).collect();
    if let Some(name) = names(spec).into_iter().find(|name| taken.contains(name)) {
        let message = format!("there is a family or preset called \"{name}\" already; choose another name");
        return Err(Error::config("model", message));
    }
    registered.push(spec);
    Ok(())
}

/// All families, limbeck's own first.
pub(super) fn families() -> Vec<&'static ModelSpec> {
    let registered = REGISTERED.read().unwrap_or_else(PoisonError::into_inner);
    MODELS.iter().chain(registered.iter().copied()).collect()
}
