//! What changes from step to step: one uniform buffer.

use super::graph::TapeId;
use crate::{Error, Result};

/// Most named scalars of one tape.
pub(super) const MOST_SCALARS: usize = 32;

/// A named number that changes every step without a new plan: learning rate, a loss weight on a schedule.
/// Made by [`super::Tape::scalar`], and of use on that tape alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Scalar {
    index: usize,
    /// None for test cases, whose scalars go with every tape.
    tape: Option<TapeId>,
}

impl Scalar {
    /// The scalar of a place, for test cases, which have no tape to ask. Conformance sets place `i` to (i + 1) / 20.
    pub const fn for_cases(index: usize) -> Self {
        Self { index: index % MOST_SCALARS, tape: None }
    }

    /// Index of its `vec4` in `Step.scalars`, and the component.
    pub fn place(&self) -> (usize, usize) {
        (self.index / 4, self.index % 4)
    }
}

impl std::fmt::Debug for Scalar {
    /// The place alone: an op's text is what measured variants are kept under, also for another process.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scalar").field("index", &self.index).finish()
    }
}

/// The values of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Optimizer step, from 0.
    pub number: u32,
    /// Epoch, from 0: augmentation is keyed by it.
    pub epoch: u32,
    seed: u64,
    scalars: [f32; MOST_SCALARS],
    /// Whose scalar each place was set as.
    set_by: [Option<TapeId>; MOST_SCALARS],
}

impl Step {
    /// Step `number` under `seed`.
    pub fn new(number: u32, seed: u64) -> Self {
        Self { number, epoch: 0, seed, scalars: [0.0; MOST_SCALARS], set_by: [None; MOST_SCALARS] }
    }

    /// The seed's two words, as kernels see them.
    pub fn seed_words(&self) -> [u32; 2] {
        [self.seed as u32, (self.seed >> 32) as u32]
    }

    /// Sets a scalar. A plan refuses to run a step in which one of its scalars was set last as another tape's.
    pub fn set(&mut self, scalar: Scalar, value: f32) {
        self.scalars[scalar.index] = value;
        self.set_by[scalar.index] = scalar.tape;
    }

    /// A scalar's value.
    pub fn get(&self, scalar: Scalar) -> f32 {
        self.scalars[scalar.index]
    }

    /// What kernels see of it, for a plan of `tape`, whose scalars have these names.
    pub(super) fn uniform(&self, tape: TapeId, names: &[String]) -> Result<StepUniform> {
        let foreign = |(_, by): &(&String, &Option<TapeId>)| by.is_some_and(|by| by != tape);
        if let Some((name, _)) = names.iter().zip(&self.set_by).find(foreign) {
            let got = format!("one in whose place another tape's scalar was set: \"{name}\"");
            return Err(Error::misuse("step", "values for the scalars of the plan's own tape", got));
        }
        let [seed_lo, seed_hi] = self.seed_words();
        Ok(StepUniform { number: self.number, seed_lo, seed_hi, epoch: self.epoch, scalars: self.scalars })
    }
}

/// `Step` in shaders/shared/prelude.wgsl; a test holds the two against each other.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub(super) struct StepUniform {
    number: u32,
    seed_lo: u32,
    seed_hi: u32,
    epoch: u32,
    scalars: [f32; MOST_SCALARS],
}

/// The scalar for `name` on `tape`, registering it on first use.
pub(super) fn scalar_for(names: &mut Vec<String>, tape: TapeId, name: &str) -> Result<Scalar> {
    let tape = Some(tape);
    if let Some(index) = names.iter().position(|n| n == name) {
        return Ok(Scalar { index, tape });
    }
    if names.len() == MOST_SCALARS {
        let got = format!("\"{name}\" after {}", names.join(", "));
        return Err(Error::misuse("scalar", format!("at most {MOST_SCALARS} names on a tape"), got));
    }
    names.push(name.to_string());
    Ok(Scalar { index: names.len() - 1, tape })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The uniform's layout in WGSL, as naga sees it, is the layout of the Rust struct.
    #[test]
    fn layout_matches_the_shader() {
        // The kernel defines it.
        let prelude =
            concat!("const FIRST_WORKGROUP: u32 = 0u;", include_str!("../../shaders/shared/prelude.wgsl"));
        let module = naga::front::wgsl::parse_str(prelude).unwrap();
        let (_, ty) = module.types.iter().find(|(_, t)| t.name.as_deref() == Some("Step")).unwrap();
        let naga::TypeInner::Struct { members, span } = &ty.inner else { panic!("Step is not a struct") };
        let offsets: Vec<u32> = members.iter().map(|m| m.offset).collect();
        let ours = [
            std::mem::offset_of!(StepUniform, number),
            std::mem::offset_of!(StepUniform, seed_lo),
            std::mem::offset_of!(StepUniform, seed_hi),
            std::mem::offset_of!(StepUniform, epoch),
            std::mem::offset_of!(StepUniform, scalars),
        ];
        assert_eq!(offsets, ours.map(|o| o as u32));
        assert_eq!(*span as usize, size_of::<StepUniform>());
    }
}
