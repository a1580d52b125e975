//! Draws of yes and no: y (N) is 1 with the chance p and else 0.
//!
//! p (1) is a tensor, so that it may change from step to step. A draw is a function of the seed, the step's number, a key of the
//! node and the element: a resumed run sees the draws of an uninterrupted one. There is no gradient.

use super::common::{expect_f32, expect_inputs, per_element};
use super::spec::{Case, Fill, Input, OpSpec};
use crate::gpu::Kernel;
use crate::rng::{pcg, random_bits, unit};
use crate::tape::{Array, Lowering, Meta, Op, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../shaders/chance.wgsl");
/// As in the shader.
const DOMAIN: u32 = 0x6368_616e;

/// Inputs: p (1), and the key (1), a whole number below 2^24 that keeps the node's draws apart from those of others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Chance {
    /// Draws, N.
    pub draws: usize,
}

impl Op for Chance {
    fn name(&self) -> &'static str {
        "chance"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 2)?;
        expect_f32(self.name(), inputs)?;
        if inputs.iter().any(|input| input.len() != 1) {
            let got = format!("{} and {}", inputs[0], inputs[1]);
            return Err(Error::shape(self.name(), "a chance and a key of one element each", got));
        }
        Ok(vec![Meta::f32([self.draws])])
    }

    fn differentiable(&self) -> bool {
        false
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let bindings = [Slot::Input(0), Slot::Input(1), Slot::Step, Slot::Output(0)];
        per_element(
            to,
            Kernel::new(self.name(), "forward", SHADER).define("VEC4S", 0),
            &bindings,
            self.draws,
        );
        Ok(())
    }

    fn reference(&self, step: &Step, inputs: &[Array]) -> Vec<Array> {
        let [lo, hi] = step.seed_words();
        let key = [lo, hi ^ DOMAIN, pcg(step.number) ^ inputs[1].data[0] as u32];
        let draw = |i: usize| f64::from(unit(random_bits(key, i as u32))) < inputs[0].data[0];
        vec![Array::new([self.draws], (0..self.draws).map(|i| f64::from(draw(i))).collect())]
    }

    fn flops(&self, _: &[Meta], outputs: &[Meta]) -> u64 {
        outputs[0].len() as u64
    }
}

impl Tensor {
    /// `draws` numbers, each of them 1 with the chance that this tensor (1) holds, and else 0. They change with the step's number;
    /// those of two nodes of one tape have nothing to do with each other.
    pub fn chances(&self, draws: usize) -> Result<Tensor> {
        let key = self.tape().constant([1], &[self.tape().len() as f32])?;
        self.tape().record1(Chance { draws }, &[self, &key])
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "chance", cases };

fn cases() -> Vec<Case> {
    let case = |draws: usize, p: f64, key: f64| {
        let one = |value| Input::filled([1], Fill::Values(vec![value])).no_grad();
        Case::new(Chance { draws }, vec![one(p), one(key)])
    };
    vec![
        case(1, 0.5, 0.0),
        case(3, 0.0, 1.0),
        case(47, 1.0, 2.0),
        case(257, 0.25, 16_777_215.0),
        case(1023, 0.75, 3.0),
        case(1023, 0.75, 4.0),
        case(65_535 * 256 + 5, 0.5, 5.0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_draws_as_the_chance_says_and_others_in_each_step() {
        let drawn = |number: u32, key: f64| {
            let inputs = [0.3, key].map(|value| Array::new([1], vec![value]));
            Chance { draws: 10_000 }.reference(&Step::new(number, 7), &inputs).remove(0).data
        };
        let first = drawn(0, 1.0);
        // Five standard deviations are 230 of 10,000.
        assert!((first.iter().sum::<f64>() - 3000.0).abs() < 230.0);
        for other in [drawn(1, 1.0), drawn(0, 2.0)] {
            let both = first.iter().zip(&other).filter(|(a, b)| **a == 1.0 && **b == 1.0).count();
            assert!((both as f64 - 900.0).abs() < 145.0, "{both}");
        }
    }
}
