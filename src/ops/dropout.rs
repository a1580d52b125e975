//! Inverted dropout (Srivastava et al. 2014): y = x * m / (1 - p), where each m is 0 with probability p and else 1.
//!
//! The mask is a function of the seed, the step's number, a key of the node and the element, so nothing is stored: the
//! gradient draws it again, and a resumed run sees the masks that an uninterrupted one does.

use super::common::{elementwise, expect_f32, expect_inputs};
use super::spec::{Case, Fill, Input, OpSpec};
use crate::gpu::Kernel;
use crate::rng::{pcg, random_bits};
use crate::tape::{Array, Backward, Lowering, Meta, Op, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../shaders/dropout.wgsl");
/// As in the shader.
const DOMAIN: u32 = 0x6472_6f70;

/// Inputs: x, any shape, and the key (1), a whole number below 2^24 that keeps the node's draws apart from those of
/// others. It is no constant of the kernel, so that layers of one shape share a pipeline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// Probability that an element becomes zero, in [0, 1).
    pub p: f32,
}

impl Dropout {
    fn scale(self) -> f64 {
        1.0 / (1.0 - f64::from(self.p))
    }

    /// Draws below this drop their element: p of all 32-bit numbers.
    fn drop_below(self) -> u32 {
        (f64::from(self.p) * 4_294_967_296.0) as u32
    }
}

impl Op for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 2)?;
        expect_f32(self.name(), inputs)?;
        if !(0.0..1.0).contains(&self.p) {
            return Err(Error::shape(self.name(), "a probability p in [0, 1)", self.p.to_string()));
        }
        if inputs[1].len() != 1 {
            return Err(Error::shape(self.name(), "a key of one element", inputs[1].to_string()));
        }
        Ok(vec![inputs[0].clone()])
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        let (dy, key) = (at.dy()?, &at.inputs[1]);
        Ok(vec![Some(dy.tape().record1(*self, &[dy, key])?), None])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let len = to.output(0).iter().product();
        let kernel = Kernel::new(self.name(), "forward", SHADER)
            .define_f32("SCALE", self.scale() as f32)
            .define("DROP_BELOW", self.drop_below() as usize);
        elementwise(to, kernel, &[Slot::Input(0), Slot::Input(1), Slot::Step, Slot::Output(0)], len);
        Ok(())
    }

    fn reference(&self, step: &Step, inputs: &[Array]) -> Vec<Array> {
        let [lo, hi] = step.seed_words();
        let key = [lo, hi ^ DOMAIN, pcg(step.number) ^ inputs[1].data[0] as u32];
        let mut y = inputs[0].clone();
        for (i, y) in y.data.iter_mut().enumerate() {
            let kept = random_bits(key, i as u32) >= self.drop_below();
            *y *= if kept { self.scale() } else { 0.0 };
        }
        vec![y]
    }

    fn flops(&self, _: &[Meta], outputs: &[Meta]) -> u64 {
        outputs[0].len() as u64
    }
}

impl Tensor {
    /// Zeroes each element with probability `p`, in [0, 1), and scales the others by 1 / (1 - p). The mask changes with
    /// the step's number; two dropouts of one tape have different masks.
    pub fn dropout(&self, p: f32) -> Result<Tensor> {
        if p == 0.0 {
            return Ok(self.clone());
        }
        // The place in the tape: no other node's, and the same in every run that records the same step.
        let key = self.tape().constant([1], &[self.tape().len() as f32])?;
        self.tape().record1(Dropout { p }, &[self, &key])
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "dropout", cases };

fn cases() -> Vec<Case> {
    let case = |shape: &[usize], p: f32, key: f64| {
        let key = Input::filled([1], Fill::Values(vec![key])).no_grad();
        Case::new(Dropout { p }, vec![Input::normal(shape), key])
    };
    vec![
        case(&[1], 0.5, 0.0),
        case(&[1], 0.0, 0.0),
        case(&[3, 47], 0.5, 1.0),
        case(&[3, 47], 0.1, 2.0),
        case(&[5, 41], 0.9, 16_777_215.0),
        // Next to 1: nearly every element goes, and those kept are scaled a lot.
        case(&[55], 0.999, 3.0),
        case(&[55], 1.0 - f32::EPSILON / 2.0, 3.0),
        case(&[257], 0.0, 4.0),
        case(&[2, 3, 5, 7], 0.3, 5.0),
        case(&[1023], 0.2, 6.0),
        case(&[4096 + 1], 0.25, 7.0),
        case(&[0, 5], 0.5, 8.0),
    ]
}
