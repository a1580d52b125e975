//! Moves a tensor towards another, in place: x += weight * (target - x), with the weight read from the step uniform.
//!
//! With weight 1 - decay this is the exponential moving average of a model's weights.

use crate::Result;
use crate::gpu::Kernel;
use crate::ops::common::{elementwise_flat, expect_f32, expect_inputs, expect_same};
use crate::ops::spec::{Case, Input, OpSpec};
use crate::ops::update::define_scalar;
use crate::tape::{Array, Lowering, Meta, Op, Scalar, Slot, Step, Tensor};

const SHADER: &str = include_str!("../../../shaders/update/lerp.wgsl");

/// Inputs `x` (overwritten) and `target`, of one shape.
#[derive(Debug, Clone, Copy)]
pub struct Lerp {
    /// How far x moves: 0 not at all, 1 all the way.
    pub weight: Scalar,
}

impl Op for Lerp {
    fn name(&self) -> &'static str {
        "lerp"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 2)?;
        expect_f32(self.name(), inputs)?;
        expect_same(self.name(), &inputs[0].shape, &inputs[1].shape)?;
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
        let kernel = Kernel::new(self.name(), "forward", SHADER);
        let kernel = define_scalar(kernel, ["WEIGHT_VEC", "WEIGHT_LANE"], self.weight);
        elementwise_flat(to, kernel, &[Slot::Input(0), Slot::Input(1), Slot::Step], len);
        Ok(())
    }

    fn reference(&self, step: &Step, inputs: &[Array]) -> Vec<Array> {
        let weight = f64::from(step.get(self.weight));
        let (x, target) = (&inputs[0], &inputs[1]);
        let data = x.data.iter().zip(&target.data).map(|(x, t)| x + weight * (t - x)).collect();
        vec![Array::new(x.shape.clone(), data)]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        3 * inputs[0].len() as u64
    }
}

impl Tensor {
    /// x += weight * (target - x), in place: `self` must live in a caller's buffer.
    pub fn lerp_in_place(&self, target: &Tensor, weight: Scalar) -> Result<()> {
        self.tape().record(Lerp { weight }, &[self, target]).map(drop)
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "lerp", cases };

fn cases() -> Vec<Case> {
    let case = |shape: Vec<usize>, scalar| {
        let inputs = [Input::normal(shape.clone()), Input::normal(shape)].map(Input::no_grad);
        Case::new(Lerp { weight: Scalar::for_cases(scalar) }, inputs.into())
    };
    vec![
        case(vec![1], 0),
        case(vec![47], 5),
        case(vec![3, 7, 5], 2),
        case(vec![1024], 7),
        case(vec![4096 + 64], 1),
    ]
}
