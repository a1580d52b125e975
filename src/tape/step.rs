//! What changes from step to step: one uniform buffer.

use crate::{Error, Result};

/// Most named scalars of one tape.
pub(super) const MOST_SCALARS: usize = 32;

/// A named number that changes every step without a new plan: learning rate, a loss weight on a schedule.
/// Made by [`super::Tape::scalar`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scalar {
    pub(super) index: usize,
}

impl Scalar {
    /// The scalar of a place, for test cases, which have no tape to ask. Conformance sets place `i` to (i + 1) / 20.
    pub const fn for_cases(index: usize) -> Self {
        Self { index: index % MOST_SCALARS }
    }

    /// Index of its `vec4` in `Step.scalars`, and the component.
    pub fn place(&self) -> (usize, usize) {
        (self.index / 4, self.index % 4)
    }
}

/// The values of one step. `#[repr(C)]` as `Step` in shaders/shared/prelude.wgsl; a test holds the two against each other.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Step {
    /// Optimizer step, from 0.
    pub number: u32,
    seed_lo: u32,
    seed_hi: u32,
    /// Epoch, from 0: augmentation is keyed by it.
    pub epoch: u32,
    scalars: [f32; MOST_SCALARS],
}

impl Step {
    /// Step `number` under `seed`.
    pub fn new(number: u32, seed: u64) -> Self {
        Self {
            number,
            seed_lo: seed as u32,
            seed_hi: (seed >> 32) as u32,
            epoch: 0,
            scalars: [0.0; MOST_SCALARS],
        }
    }

    /// The seed's two words, as kernels see them.
    pub fn seed_words(&self) -> [u32; 2] {
        [self.seed_lo, self.seed_hi]
    }

    /// Sets a scalar.
    pub fn set(&mut self, scalar: Scalar, value: f32) {
        self.scalars[scalar.index] = value;
    }

    /// A scalar's value.
    pub fn get(&self, scalar: Scalar) -> f32 {
        self.scalars[scalar.index]
    }
}

/// The scalar for `name`, registering it on first use.
pub(super) fn scalar_for(names: &mut Vec<String>, name: &str) -> Result<Scalar> {
    if let Some(index) = names.iter().position(|n| n == name) {
        return Ok(Scalar { index });
    }
    if names.len() == MOST_SCALARS {
        let got = format!("\"{name}\" after {}", names.join(", "));
        return Err(Error::shape("scalar", format!("at most {MOST_SCALARS} names on a tape"), got));
    }
    names.push(name.to_string());
    Ok(Scalar { index: names.len() - 1 })
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
            std::mem::offset_of!(Step, number),
            std::mem::offset_of!(Step, seed_lo),
            std::mem::offset_of!(Step, seed_hi),
            std::mem::offset_of!(Step, epoch),
            std::mem::offset_of!(Step, scalars),
        ];
        assert_eq!(offsets, ours.map(|o| o as u32));
        assert_eq!(*span as usize, size_of::<Step>());
    }
}
