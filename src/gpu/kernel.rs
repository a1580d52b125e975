//! Kernels: WGSL parts, constants and an entry point.
//!
//! Shapes are constants of a kernel: a step's shapes are static, so that divisors are compile-time constants, and two layers of
//! equal shape share a pipeline. A kernel knows its workgroup by `flat_workgroup` alone, so that a dispatch can be split.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};

use super::source::{Expander, with_imports};
use crate::{Error, Result};

/// Functions every kernel may call: flat workgroup index, counter-based random numbers, and the step uniform's
/// layout.
const PRELUDE: &str = include_str!("../../shaders/shared/prelude.wgsl");

/// A constant given to a kernel's text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Define {
    /// `const NAME: u32`; a value over 32 bits is refused when the text is made.
    U32(usize),
    /// `const NAME: i32`
    I32(i32),
    /// `const NAME: f32`
    F32(f32),
}

impl Hash for Define {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Define::U32(v) => v.hash(state),
            Define::I32(v) => v.hash(state),
            Define::F32(v) => v.to_bits().hash(state),
        }
    }
}

/// WGSL text with its constants. Bindings are given to a [`super::Dispatch`] in ascending `@binding` order.
#[derive(Debug, Clone, Hash)]
pub struct Kernel {
    name: &'static str,
    entry: &'static str,
    enables: Vec<&'static str>,
    parts: Vec<&'static str>,
    defines: Vec<(Cow<'static, str>, Define)>,
    half: u32,
    first_workgroup: u32,
}

impl Kernel {
    /// A kernel of one WGSL file. `name` is the op's name: it labels the pipeline and every error.
    pub fn new(name: &'static str, entry: &'static str, source: &'static str) -> Self {
        Self {
            name,
            entry,
            enables: Vec::new(),
            parts: vec![source],
            defines: Vec::new(),
            first_workgroup: 0,
            half: 0,
        }
    }

    /// Adds another file's text, where the choice of it is the host's. What a file always needs it imports itself: see
    /// [`super::PARTS`].
    pub fn with(mut self, source: &'static str) -> Self {
        self.parts.push(source);
        self
    }

    /// Adds `enable extension;`, which WGSL wants before all else.
    pub fn enable(mut self, extension: &'static str) -> Self {
        self.enables.push(extension);
        self
    }

    /// Adds `const name: u32 = value;` Values over 32 bits are refused when the pipeline is made.
    pub fn define(mut self, name: impl Into<Cow<'static, str>>, value: usize) -> Self {
        self.defines.push((name.into(), Define::U32(value)));
        self
    }

    /// [`Kernel::define`] for each value, under `name` and its number: `SIZE0`, `SIZE1`, ..
    pub fn define_each(self, name: &str, values: impl IntoIterator<Item = usize>) -> Self {
        let values = values.into_iter().enumerate();
        values.fold(self, |kernel, (i, value)| kernel.define(format!("{name}{i}"), value))
    }

    /// [`Kernel::define_f32`] for each value, under `name` and its number.
    pub fn define_each_f32(self, name: &str, values: impl IntoIterator<Item = f32>) -> Self {
        let values = values.into_iter().enumerate();
        values.fold(self, |kernel, (i, value)| kernel.define_f32(format!("{name}{i}"), value))
    }

    /// Adds `const name: f32 = value;`
    pub fn define_f32(mut self, name: impl Into<Cow<'static, str>>, value: f32) -> Self {
        self.defines.push((name.into(), Define::F32(value)));
        self
    }

    /// Adds `const name: i32 = value;`
    pub fn define_i32(mut self, name: &'static str, value: i32) -> Self {
        self.defines.push((name.into(), Define::I32(value)));
        self
    }

    /// The same with some bindings stored as f16: bit i of `mask` stands for the i-th binding of a [`super::Dispatch`].
    /// The text stays what it is; see [`super::store_as_half`].
    pub fn half(mut self, mask: u32) -> Self {
        self.half = mask;
        self
    }

    /// Which bindings are stored as f16.
    pub fn half_mask(&self) -> u32 {
        self.half
    }

    /// The same kernel for a dispatch whose workgroups count from `first`: a part of a larger one.
    pub(super) fn starting_at(mut self, first: u32) -> Self {
        self.first_workgroup = first;
        self
    }

    /// Whether it knows its workgroup by `flat_workgroup` alone, so that a dispatch of it can be split.
    pub(super) fn splits(&self) -> bool {
        let all = with_imports(&self.parts);
        let text = |wanted: &str| all.iter().any(|part| part.contains(wanted));
        text("flat_workgroup(")
            && !["workgroup.x", "workgroup.y", "global_invocation_id"].iter().any(|w| text(w))
    }

    /// The op's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The entry point.
    pub fn entry(&self) -> &'static str {
        self.entry
    }

    /// `name/entry`, as labels and errors show it; `name/entry:f16` where something is stored as f16.
    pub fn label(&self) -> String {
        let suffix = if self.half == 0 { "" } else { ":f16" };
        format!("{}/{}{suffix}", self.name, self.entry)
    }

    /// One constant's line.
    fn constant(&self, name: &str, value: Define) -> Result<String> {
        match value {
            Define::U32(v) if u32::try_from(v).is_ok() => Ok(format!("const {name}: u32 = {v}u;\n")),
            Define::I32(v) => Ok(format!("const {name}: i32 = i32({v});\n")),
            Define::F32(v) if v.is_finite() => Ok(format!("const {name}: f32 = f32({v:?});\n")),
            Define::U32(v) => {
                let message = format!("constant {name} is {v}; expected at most {}", u32::MAX);
                Err(Error::Validation { place: self.label(), message })
            }
            Define::F32(v) => {
                let message = format!("constant {name} is {v}; WGSL has no such constant");
                Err(Error::Validation { place: self.label(), message })
            }
        }
    }

    /// The whole WGSL text, constants first, before anything of it is stored as f16.
    pub fn source(&self) -> Result<String> {
        let mut text: String = self.enables.iter().map(|name| format!("enable {name};\n")).collect();
        text.push_str(&format!("const FIRST_WORKGROUP: u32 = {}u;\n", self.first_workgroup));
        for (name, value) in &self.defines {
            text.push_str(&self.constant(name, *value)?);
        }
        let lookup = |wanted: &str| {
            self.defines.iter().find_map(|(name, value)| match value {
                Define::U32(v) if *name == wanted => u32::try_from(*v).ok(),
                _ => None,
            })
        };
        let label = self.label();
        let mut expander = Expander::new(&label, &lookup, text);
        for part in std::iter::once(&PRELUDE).chain(&self.parts) {
            expander.add(part)?;
        }
        Ok(expander.finish())
    }
}
