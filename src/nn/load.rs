//! Values for parameters from tensors of a file, by name.

use std::collections::BTreeMap;

use super::params::{ParamId, Params};
use crate::files::NamedTensor;
use crate::tape::Shape;
use crate::{Error, Result};

/// What a load did not use, find or could not fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Parameters that the file does not have; they keep their values.
    pub missing: Vec<String>,
    /// Tensors of the file that the network does not have.
    pub unexpected: Vec<String>,
    /// Tensors of another shape than their parameters. Where there is one, nothing was loaded.
    pub misshapen: Vec<Misshapen>,
}

/// A tensor that does not have its parameter's shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misshapen {
    /// The parameter.
    pub name: String,
    /// Its shape.
    pub expected: Shape,
    /// The tensor's.
    pub found: Shape,
}

impl LoadReport {
    /// An error unless every tensor found its place.
    pub fn strict(&self, what: &str) -> Result<()> {
        if self.missing.is_empty() && self.unexpected.is_empty() && self.misshapen.is_empty() {
            return Ok(());
        }
        let shape = |t: &Misshapen| format!("{} (expected {}, found {})", t.name, t.expected, t.found);
        let misshapen: Vec<String> = self.misshapen.iter().map(shape).collect();
        let message = format!(
            "the file does not fit this architecture; of another shape: {}; missing: {}; unexpected: {}; choose the \
             architecture and the data set that the file was made with, or rename tensors with a map",
            list(&misshapen),
            list(&self.missing),
            list(&self.unexpected)
        );
        Err(Error::config(what, message))
    }
}

/// What a network took of a file that need not fit it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Started {
    /// Parameters that have values of the file now.
    pub taken: usize,
    /// What was left: where all of it is empty, the file fits.
    pub left: LoadReport,
}

impl Started {
    /// What was taken and what was not, in a sentence; `None` where everything found its place.
    pub fn summary(&self) -> Option<String> {
        let LoadReport { missing, unexpected, misshapen } = &self.left;
        let shape = |t: &Misshapen| format!("{} ({} in the file, {} here)", t.name, t.found, t.expected);
        let misshapen: Vec<String> = misshapen.iter().map(shape).collect();
        let parts = [
            ("keep first values, being of another shape", list(&misshapen), misshapen.len()),
            ("keep first values, not being in the file", list(missing), missing.len()),
            ("are of no use here", list(unexpected), unexpected.len()),
        ];
        let left: Vec<String> = parts
            .into_iter()
            .filter(|(_, _, count)| *count > 0)
            .map(|(what, names, count)| format!("{count} {what}: {names}"))
            .collect();
        (!left.is_empty()).then(|| format!("{} tensors taken; {}", self.taken, left.join("; ")))
    }
}

/// The first few of many names.
fn list(names: &[String]) -> String {
    match names {
        [] => "none".to_string(),
        some if some.len() <= 8 => some.join(", "),
        many => format!("{}, and {} more", many[..8].join(", "), many.len() - 8),
    }
}

/// A tensor's name without what wrappers put in front of it: DataParallel's `module.`, and `_orig_mod.` of
/// `torch.compile`, which may also stand inside.
fn plain_name(name: &str) -> String {
    let mut name = name.replace("_orig_mod.", "");
    while let Some(rest) = name.strip_prefix("module.") {
        name = rest.to_string();
    }
    name
}

impl Params {
    /// Takes values by name. What wrappers put in front of names (`module.`, `_orig_mod.`) and BatchNorm's
    /// `num_batches_tracked` are understood. Where a shape differs nothing changes, and the report says so.
    ///
    /// # Errors
    /// Where two tensors are meant for one parameter.
    pub fn load(&mut self, tensors: &[NamedTensor]) -> Result<LoadReport> {
        let (found, report) = self.places(tensors)?;
        if report.misshapen.is_empty() {
            self.take(found);
        }
        Ok(report)
    }

    /// Takes what fits by name and shape, as [`Params::load`] understands names, and leaves the rest: a detector for other
    /// classes starts so from one of many. `what` is what messages call the file.
    ///
    /// # Errors
    /// Where nothing fits, and where two tensors are meant for one parameter; nothing changed then.
    pub fn load_fitting(&mut self, tensors: &[NamedTensor], what: &str) -> Result<Started> {
        let (mut found, left) = self.places(tensors)?;
        found.retain(|id, tensor| self.entries[id.index].shape.dims() == tensor.shape);
        if found.is_empty() {
            left.strict(what)?;
        }
        let taken = found.len();
        self.take(found);
        Ok(Started { taken, left })
    }

    fn take(&mut self, found: BTreeMap<ParamId, &NamedTensor>) {
        for (id, tensor) in found {
            self.entries[id.index].values.clone_from(&tensor.data);
        }
    }

    /// For whom each tensor is, and what has no place.
    fn places<'t>(
        &self,
        tensors: &'t [NamedTensor],
    ) -> Result<(BTreeMap<ParamId, &'t NamedTensor>, LoadReport)> {
        let mut found: BTreeMap<ParamId, &NamedTensor> = BTreeMap::new();
        let mut report = LoadReport::default();
        for tensor in tensors {
            let plain = plain_name(&tensor.name);
            let name = if self.by_name.contains_key(&tensor.name) { &tensor.name } else { &plain };
            match self.by_name.get(name) {
                Some(id) => {
                    if let Some(other) = found.insert(*id, tensor) {
                        let message = format!("\"{}\" and \"{}\" are both for it", other.name, tensor.name);
                        return Err(Error::config(format!("tensor {name}"), message));
                    }
                }
                None if name.ends_with("num_batches_tracked") => {}
                None => report.unexpected.push(name.clone()),
            }
        }
        // In the network's order, so that the message is the same each time.
        for (index, param) in self.entries.iter().enumerate() {
            match found.get(&self.id_at(index)) {
                None => report.missing.push(param.name.clone()),
                Some(tensor) if tensor.shape != param.shape.dims() => report.misshapen.push(Misshapen {
                    name: param.name.clone(),
                    expected: param.shape.clone(),
                    found: tensor.shape.clone().into(),
                }),
                Some(_) => {}
            }
        }
        Ok((found, report))
    }
}
