//! Named parameters on the host.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};

use super::init::Init;
use crate::files::NamedTensor;
use crate::tape::Shape;
use crate::{Error, Result};

/// Place of a parameter in its [`Params`], and which those are. Clones of `Params` have the same places.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParamId {
    pub(super) index: usize,
    owner: ParamsId,
}

impl std::fmt::Debug for ParamId {
    /// The place alone: whose it is says nothing outside this process.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ParamId({})", self.index)
    }
}

/// Which [`Params`] something is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ParamsId(u64);

impl Default for ParamsId {
    /// Of none made before.
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl ParamsId {
    /// What lies at `id` in a list of these parameters, which `name` names in errors.
    pub fn look_up<'a, T>(self, all: &'a [T], id: ParamId, name: &str) -> Result<&'a T> {
        let found = all.get(id.index).filter(|_| id.owner == self);
        found.ok_or_else(|| {
            let whose = if id.owner == self { "of a later state of them" } else { "of other parameters" };
            Error::misuse(name, "the id of one of its parameters", format!("number {} {whose}", id.index))
        })
    }
}

/// What a parameter is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamKind {
    /// Trained. `decay`: weight decay applies (not for biases and norm scales where the caller excludes them).
    Weight {
        /// Whether weight decay applies.
        decay: bool,
    },
    /// Kept by the forward pass: running statistics.
    State,
}

/// One named tensor.
#[derive(Debug, Clone)]
pub struct Param {
    /// PyTorch's name: `layer1.0.conv1.weight`.
    pub name: String,
    /// Sizes.
    pub shape: Shape,
    /// What it is for.
    pub kind: ParamKind,
    /// How it starts.
    pub init: Init,
    /// Its values.
    pub values: Vec<f32>,
}

/// The ordered parameters of a network.
#[derive(Debug, Clone, Default)]
pub struct Params {
    owner: ParamsId,
    pub(super) entries: Vec<Param>,
    pub(super) by_name: HashMap<String, ParamId>,
    elements: usize,
    too_large: Option<String>,
    outline: bool,
    outer: BTreeMap<ParamId, ParamId>,
}

/// Elements that all parameters of a network may have: 8 GiB of f32. A mistyped width, or a file that claims one, must
/// be an error before memory is asked for.
const MAX_ELEMENTS: usize = 1 << 31;

impl Params {
    /// Parameters that get no values as they are made, and no memory for them: [`Params::initialise`] or a load gives
    /// them theirs, once it is known that they are wanted.
    pub fn outline() -> Self {
        Self { outline: true, ..Self::default() }
    }

    /// Frees all values: names and shapes stay.
    pub fn free_values(&mut self) {
        self.entries.iter_mut().for_each(|param| param.values = Vec::new());
    }

    /// The parameters, in the order in which they were made.
    pub fn iter(&self) -> impl Iterator<Item = &Param> {
        self.entries.iter()
    }

    /// The parameters, to change their values.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Param> {
        self.entries.iter_mut()
    }

    /// One parameter.
    ///
    /// # Errors
    /// [`Error::Misuse`] for the id of other parameters.
    pub fn get(&self, id: ParamId) -> Result<&Param> {
        self.owner.look_up(&self.entries, id, "params")
    }

    /// Which parameters these are.
    pub(super) fn owner(&self) -> ParamsId {
        self.owner
    }

    pub(super) fn id_at(&self, index: usize) -> ParamId {
        ParamId { index, owner: self.owner }
    }

    /// A parameter's place, by name.
    pub fn id(&self, name: &str) -> Option<ParamId> {
        self.by_name.get(name).copied()
    }

    /// A parameter by name.
    pub fn find(&self, name: &str) -> Option<&Param> {
        self.by_name.get(name).and_then(|id| self.entries.get(id.index))
    }

    /// A parameter by name, to change its values.
    pub fn find_mut(&mut self, name: &str) -> Option<&mut Param> {
        let id = *self.by_name.get(name)?;
        self.entries.get_mut(id.index)
    }

    /// Number of named tensors.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True where there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Trained elements: what "parameters" means in tables.
    pub fn trainable_elements(&self) -> usize {
        self.iter().filter(|p| p.kind != ParamKind::State).map(|p| p.shape.len()).sum()
    }

    /// The first parameter that would make the network larger than any host can hold. It has no values, and the
    /// network is of no use: whoever builds networks from what a user writes asks this.
    pub fn too_large(&self) -> Option<&str> {
        self.too_large.as_deref()
    }

    /// Puts two factors in the place of every weight (m, n) or (m, c, h, w) for which `rank` says one:
    /// `x.inner.weight` (r, n) or (r, c, h, w), and `x.outer.weight` (m, r) or (m, r, 1, 1). Layers then apply
    /// one after the other.
    pub fn factorise(&mut self, rank: impl Fn(&Param) -> Option<usize>) {
        for index in 0..self.entries.len() {
            let id = self.id_at(index);
            let param = &mut self.entries[index];
            let (Some(rank), Some(path)) = (rank(param), param.name.strip_suffix(".weight")) else {
                continue;
            };
            let path = path.to_string();
            let mut dims = param.shape.dims().to_vec();
            let mut outer = vec![1; dims.len()];
            (outer[0], outer[1]) = (dims[0], rank);
            dims[0] = rank;
            self.by_name.remove(&param.name);
            (param.name, param.shape) = (format!("{path}.inner.weight"), dims.into());
            param.values = vec![0.0; if self.outline { 0 } else { param.shape.len() }];
            self.by_name.insert(param.name.clone(), id);
            let mut at = ParamBuilder { params: self, path: format!("{path}.outer") };
            let outer = at.weight("weight", outer, Init::KaimingNormal, true);
            self.outer.insert(id, outer);
        }
    }

    /// Holds parameters still: those whose name `which` picks count as states, which no optimizer reaches.
    pub fn hold(&mut self, which: impl Fn(&str) -> bool) {
        let held = self.entries.iter_mut().filter(|param| which(&param.name));
        held.for_each(|param| param.kind = ParamKind::State);
    }

    /// The weights that are factors: (inner, outer).
    pub fn factors(&self) -> impl Iterator<Item = (ParamId, ParamId)> {
        self.outer.iter().map(|(inner, outer)| (*inner, *outer))
    }

    /// Gives every parameter its initial values under `seed`.
    pub fn initialise(&mut self, seed: u64) {
        for param in &mut self.entries {
            param.values = param.init.values(seed, &param.name, &param.shape);
        }
    }

    /// All tensors, for a file.
    pub fn named(&self) -> Vec<NamedTensor> {
        self.iter()
            .map(|p| NamedTensor {
                name: p.name.clone(),
                shape: p.shape.dims().to_vec(),
                data: p.values.clone(),
            })
            .collect()
    }
}

/// Makes parameters under a path of names.
pub struct ParamBuilder<'a> {
    params: &'a mut Params,
    path: String,
}

impl<'a> ParamBuilder<'a> {
    /// A builder at the root.
    pub fn new(params: &'a mut Params) -> Self {
        Self { params, path: String::new() }
    }

    /// A builder one name deeper: `layer1` then `0` gives `layer1.0`.
    pub fn sub(&mut self, name: impl std::fmt::Display) -> ParamBuilder<'_> {
        let path = self.join(&name.to_string());
        ParamBuilder { params: self.params, path }
    }

    /// The path so far: the name under which a layer taps its output.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// A trained parameter.
    pub fn weight(&mut self, name: &str, shape: impl Into<Shape>, init: Init, decay: bool) -> ParamId {
        self.push(name, shape.into(), ParamKind::Weight { decay }, init)
    }

    /// A running statistic.
    pub fn state(&mut self, name: &str, shape: impl Into<Shape>, init: Init) -> ParamId {
        self.push(name, shape.into(), ParamKind::State, init)
    }

    fn push(&mut self, name: &str, shape: Shape, kind: ParamKind, init: Init) -> ParamId {
        let name = self.join(name);
        let id = self.params.id_at(self.params.entries.len());
        let elements = shape.dims().iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        let elements = elements.filter(|n| *n <= MAX_ELEMENTS - self.params.elements);
        self.params.elements += elements.unwrap_or(0);
        if elements.is_none() && self.params.too_large.is_none() {
            self.params.too_large = Some(format!("{name} {shape}"));
        }
        let values = if elements.is_none() || self.params.outline {
            Vec::new()
        } else {
            init.values(0, &name, &shape)
        };
        self.params.by_name.insert(name.clone(), id);
        self.params.entries.push(Param { name, shape, kind, init, values });
        id
    }

    fn join(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_string() } else { format!("{}.{name}", self.path) }
    }
}
