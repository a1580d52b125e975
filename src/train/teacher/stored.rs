//! A teacher whose outputs lie on disk: its logits or maps, and features, are more fields of each sample.
//!
//! The plan then holds no teacher. A method that wants its layers or weights is shown a pass of it that never runs.

use std::sync::Arc;

use super::maps::StoredMap;
use super::outputs::StoredOutputs;
use crate::data::{Field, Row, Source, View};
use crate::distill::Objective;
use crate::models::{Network, Outputs};
use crate::nn::Tap;
use crate::tasks::{Leaves, Task};
use crate::{Error, Result};

/// Outputs of a teacher, and what is learned from them.
pub struct StoredTeacher<'a> {
    /// The file.
    pub outputs: Arc<StoredOutputs>,
    /// The teacher itself, on the host, for methods that read its layers or weights
    /// ([`Method::reads_teacher`](crate::distill::Method::reads_teacher)). It does not run, and no step holds it.
    pub network: Option<&'a Network>,
    /// The methods, and the weight of the task's own loss beside them, which counts in place of the config's.
    pub objective: Objective,
    /// (hint, guided) taps: a tap of the file, the student's layer. Empty for the file's taps, the deepest first, as far
    /// as each method uses them.
    pub taps: Vec<(String, String)>,
}

impl<'a> StoredTeacher<'a> {
    /// A teacher of which only its outputs are at hand, with the taps that each method uses by default.
    pub fn new(outputs: Arc<StoredOutputs>, objective: Objective) -> Self {
        Self { outputs, network: None, objective, taps: Vec::new() }
    }

    /// The teacher with its network on the host.
    pub fn with_network(self, network: Option<&'a Network>) -> Self {
        Self { network, ..self }
    }

    /// The teacher with these tap pairs for every method.
    pub fn with_taps(self, taps: Vec<(String, String)>) -> Self {
        Self { taps, ..self }
    }

    /// Refuses a file that was not made for this training set and these views of it, naming what differs.
    pub(in crate::train) fn check(
        &self,
        task: &dyn Task,
        training: &dyn Source,
        seed: u64,
        epochs: u64,
    ) -> Result<()> {
        let views = task.views();
        self.outputs.fits(training, task.model_config().head.width(), &views)?;
        self.outputs.fits_views(&views, seed, epochs)
    }
}

/// The field of the stored logits.
const LOGITS: &str = "teacher outputs/logits";

/// A data set with a teacher's outputs as more fields of each sample, read from disk by the loader's thread.
pub(in crate::train) struct StoredSource {
    inner: Arc<dyn Source>,
    outputs: Arc<StoredOutputs>,
    fields: Vec<Field>,
}

impl StoredSource {
    /// With all that the file has.
    pub fn new(inner: Arc<dyn Source>, outputs: Arc<StoredOutputs>) -> Result<Self> {
        let info = outputs.info();
        let mut fields = match &info.maps[..] {
            [] => vec![Field::f32(LOGITS, [info.classes])],
            maps => maps.iter().map(|map| Field::f32(map_field(&map.name), map.shape())).collect(),
        };
        for name in &info.taps {
            fields.push(Field::f32(tap_field(name), outputs.tap_shape(name)?));
        }
        Ok(Self { inner, outputs, fields })
    }

    /// With no more than is `wanted`, so that the rest is not read from disk either.
    pub fn reduced(&self, wanted: impl Fn(&str) -> bool) -> Self {
        let fields = self.fields.iter().filter(|field| wanted(&field.name)).cloned().collect();
        Self { inner: self.inner.clone(), outputs: self.outputs.clone(), fields }
    }
}

impl Source for StoredSource {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn len(&self) -> usize {
        self.inner.len()
    }

    fn fields(&self) -> Vec<Field> {
        [self.inner.fields(), self.fields.clone()].concat()
    }

    fn lengths(&self) -> Option<&[u32]> {
        self.inner.lengths()
    }

    fn occurring(&self, field: &str) -> Option<Vec<usize>> {
        self.inner.occurring(field)
    }

    fn fill(&self, id: usize, view: View, row: &mut Row<'_>) -> Result<()> {
        self.inner.fill(id, view, row)?;
        let mut values = Vec::new();
        for field in &self.fields {
            values.clear();
            let map = |map: &&StoredMap| map_field(&map.name) == field.name;
            match (field.name.strip_prefix(TAP), self.outputs.info().maps.iter().find(map)) {
                (Some(tap), _) => self.outputs.read_tap(tap, view.epoch, id, &mut values)?,
                (None, Some(map)) => self.outputs.read_map(map, view.epoch, id, &mut values)?,
                (None, None) => self.outputs.read_logits(view.epoch, id, &mut values)?,
            }
            row.f32(&field.name)?.copy_from_slice(&values);
        }
        Ok(())
    }

    fn fingerprint(&self) -> String {
        self.inner.fingerprint()
    }

    fn is_random(&self) -> bool {
        self.inner.is_random()
    }

    fn threads(&self) -> usize {
        self.inner.threads()
    }

    fn check(&self) -> Result<()> {
        self.inner.check()
    }
}

/// What the fields of taps begin with.
const TAP: &str = "teacher outputs/tap/";

fn tap_field(name: &str) -> String {
    format!("{TAP}{name}")
}

fn map_field(name: &str) -> String {
    format!("teacher outputs/map/{name}")
}

/// What the teacher gave for a batch with such leaves, and its features: maps, or logits (N, C) under the name `output`.
pub(in crate::train) fn stored_leaves(
    stored: &StoredOutputs,
    leaves: &Leaves,
    output: &str,
) -> Result<(Outputs, Vec<Tap>)> {
    let tap = |name: &String| {
        Ok(Tap { name: name.clone(), alias: name.clone(), tensor: leaves.get(&tap_field(name))?.clone() })
    };
    let taps = stored.info().taps.iter().map(tap).collect::<Result<_>>()?;
    let outputs = match &stored.info().maps[..] {
        [] => Outputs::one(output, leaves.get(LOGITS)?.clone()),
        maps => maps.iter().try_fold(Outputs::default(), |outputs, map| {
            let leaf = leaves.get(&map_field(&map.name))?.clone();
            Ok::<_, Error>(outputs.with_boxes(&map.name, leaf, Arc::new(map.head.clone())))
        })?,
    };
    Ok((outputs, taps))
}
