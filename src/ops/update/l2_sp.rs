//! The gradient of L2-SP (Li, Grandvalet and Davoine 1802.01483), added to a gradient in place:
//! dw += strength * mask * (w - anchor), which is that of strength / 2 * |w - anchor|^2 over the masked weights.
//!
//! All over flat tensors, before the optimizer's update. The strength is read from the step uniform.

use crate::gpu::Kernel;
use crate::ops::common::{elementwise_flat, expect_f32, expect_inputs, expect_same};
use crate::ops::spec::{Case, Fill, Input, OpSpec};
use crate::ops::update::{BLOCK, define_scalar};
use crate::tape::{Array, Lowering, Meta, Op, Scalar, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../../shaders/update/l2_sp.wgsl");

/// Inputs `dw` (overwritten), `w`, `anchor`, of one shape, and `mask`, one factor for [`BLOCK`] elements.
#[derive(Debug, Clone, Copy)]
pub struct L2Sp {
    /// Weight of the regulariser.
    pub strength: Scalar,
}

impl Op for L2Sp {
    fn name(&self) -> &'static str {
        "l2_sp"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 4)?;
        expect_f32(self.name(), inputs)?;
        let dw = &inputs[0].shape;
        expect_same(self.name(), dw, &inputs[1].shape)?;
        expect_same(self.name(), dw, &inputs[2].shape)?;
        let blocks = dw.len().div_ceil(BLOCK);
        if inputs[3].len() != blocks {
            let expected = format!("a mask of {blocks} entries for gradients {dw}");
            return Err(Error::shape(self.name(), expected, inputs[3].to_string()));
        }
        Ok(Vec::new())
    }

    fn differentiable(&self) -> bool {
        false
    }

    fn in_place(&self) -> &[usize] {
        &[0]
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let len = to.input(0).iter().product();
        let kernel = Kernel::new(self.name(), "forward", SHADER).define("BLOCK", BLOCK);
        let kernel = define_scalar(kernel, ["STRENGTH_VEC", "STRENGTH_LANE"], self.strength);
        let bindings = [&[0, 1, 2, 3].map(Slot::Input)[..], &[Slot::Step]].concat();
        elementwise_flat(to, kernel, &bindings, len);
        Ok(())
    }

    fn reference(&self, step: &Step, inputs: &[Array]) -> Vec<Array> {
        let strength = f64::from(step.get(self.strength));
        let [w, anchor, mask] = [1, 2, 3].map(|i| &inputs[i].data);
        let mut dw = inputs[0].clone();
        for (i, dw) in dw.data.iter_mut().enumerate() {
            *dw += strength * mask[i / BLOCK] * (w[i] - anchor[i]);
        }
        vec![dw]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        4 * inputs[0].len() as u64
    }
}

impl Tensor {
    /// self += strength * mask * (w - anchor), in place: `self`, the flat gradient of `w`, must live in a caller's
    /// buffer. `mask` has one factor for [`BLOCK`] elements.
    pub fn l2_sp_in_place(&self, w: &Tensor, anchor: &Tensor, mask: &Tensor, strength: Scalar) -> Result<()> {
        self.tape().record(L2Sp { strength }, &[self, w, anchor, mask]).map(drop)
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "l2_sp", cases };

fn cases() -> Vec<Case> {
    let case = |len: usize, scalar| {
        let mask = Input::filled([len.div_ceil(BLOCK)], Fill::Values(vec![1.0, 0.0, 0.5]));
        let flat = || Input::normal([len]);
        let inputs = [flat(), flat(), flat(), mask].map(Input::no_grad);
        Case::new(L2Sp { strength: Scalar::for_cases(scalar) }, inputs.into())
    };
    vec![
        case(1, 0),
        case(47, 5),
        case(63, 3),
        case(64, 2),
        case(65, 15),
        case(1024, 7),
        case(4096 + 129, 1),
        // Over 65,535 blocks.
        case(65_537 * BLOCK, 4),
    ]
}
