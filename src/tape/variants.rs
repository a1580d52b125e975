//! Several ways to lower one node, all with the same result.
//!
//! Variants are named, and the default is the first. [`tune`](super::tune) holds each against the f64 reference and times it;
//! tests run every variant of every case.

use super::lowering::Lowering;
use super::op::Op;
use super::shape::Meta;
use crate::Result;

/// One way to lower a node. Its result depends on nothing but the inputs: no variant may depend on timing.
pub struct Variant<'a> {
    /// Names it in the file of choices.
    pub name: String,
    lower: Lower<'a>,
}

type Lower<'a> = Box<dyn FnOnce(&mut Lowering<'_>) -> Result<()> + 'a>;

impl<'a> Variant<'a> {
    /// A variant that appends its dispatches by `lower`.
    pub fn new(name: impl Into<String>, lower: impl FnOnce(&mut Lowering<'_>) -> Result<()> + 'a) -> Self {
        Self { name: name.into(), lower: Box::new(lower) }
    }

    /// This variant after other dispatches.
    pub fn after(self, first: impl FnOnce(&mut Lowering<'_>) -> Result<()> + 'a) -> Self {
        let Self { name, lower } = self;
        Self::new(name, move |to| {
            first(to)?;
            lower(to)
        })
    }

    /// This variant, and then more dispatches.
    pub fn then(self, more: impl FnOnce(&mut Lowering<'_>) -> Result<()> + 'a) -> Self {
        let Self { name, lower } = self;
        Self::new(name, move |to| {
            lower(to)?;
            more(to)
        })
    }
}

/// The variant to take.
pub(super) enum Wanted {
    /// By its place, or the last one where there are fewer.
    Place(usize),
    /// By name; the default where none has it.
    Name(String),
}

impl Lowering<'_> {
    /// Lowers by the variant that was asked for, or by the first, which is the default. A lowering calls it once at most.
    pub fn lower_by(&mut self, variants: Vec<Variant<'_>>) -> Result<()> {
        let at = match &self.wanted {
            Wanted::Place(place) => (*place).min(variants.len().saturating_sub(1)),
            Wanted::Name(name) => variants.iter().position(|v| v.name == *name).unwrap_or(0),
        };
        self.taken = (variants.len() > 1).then_some(at);
        self.offered = variants.iter().map(|v| v.name.clone()).collect();
        match variants.into_iter().nth(at) {
            Some(variant) => (variant.lower)(self),
            None => Ok(()),
        }
    }
}

/// What a choice is kept under: the op with its settings, the shapes, and which inputs are stored as f16.
pub(super) fn work(op: &dyn Op, inputs: &[Meta], halves: &[bool]) -> String {
    let each = |(meta, half): (&Meta, &bool)| if *half { format!("{meta} as f16") } else { meta.to_string() };
    let inputs: Vec<String> = inputs.iter().zip(halves).map(each).collect();
    format!("{op:?} of {}", inputs.join(", "))
}
