//! Moves a tensor towards another, in place: x += weight * (target - x), with the weight read from the step uniform.
//!
//! With weight 1 - decay this is the exponential moving average of a model's weights. With extents, as [`crate::ops::update`] has
//! them, blocks of which nothing counts stay as they are: where no weight ever changes its average is the weight itself.

use crate::gpu::Kernel;
use crate::ops::common::{elementwise_flat, expect_f32, expect_inputs, expect_same};
use crate::ops::spec::{Case, Fill, Input, OpSpec};
use crate::ops::update::{BLOCK, define_scalar};
use crate::tape::{Array, Lowering, Meta, Op, Scalar, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../../shaders/update/lerp.wgsl");

/// Inputs `x` (overwritten) and `target`, of one shape, and maybe `extents`, i32 (elements / [`BLOCK`]).
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
        expect_inputs(self.name(), inputs, if inputs.len() == 3 { 3 } else { 2 })?;
        expect_f32(self.name(), &inputs[..2])?;
        expect_same(self.name(), &inputs[0].shape, &inputs[1].shape)?;
        let extents = Meta::i32([inputs[0].len().div_ceil(BLOCK)]);
        match inputs.get(2) {
            Some(got) if *got != extents => {
                Err(Error::shape(self.name(), format!("extents {extents}"), got.to_string()))
            }
            _ => Ok(Vec::new()),
        }
    }

    fn differentiable(&self) -> bool {
        false
    }

    fn in_place(&self) -> &[usize] {
        &[0]
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let len = to.input(0).iter().product();
        let inputs = to.input_count();
        let kernel = Kernel::new(self.name(), "forward", SHADER)
            .define("PARTS", usize::from(inputs == 3))
            .define("BLOCK", BLOCK);
        let kernel = define_scalar(kernel, ["WEIGHT_VEC", "WEIGHT_LANE"], self.weight);
        let bindings: Vec<Slot> = (0..inputs).map(Slot::Input).chain([Slot::Step]).collect();
        elementwise_flat(to, kernel, &bindings, len);
        Ok(())
    }

    fn reference(&self, step: &Step, inputs: &[Array]) -> Vec<Array> {
        let weight = f64::from(step.get(self.weight));
        let (x, target) = (&inputs[0], &inputs[1]);
        let moves = |i: usize| inputs.get(2).is_none_or(|extents| extents.data[i / BLOCK] != 0.0);
        let moved = |(i, (x, t)): (usize, (&f64, &f64))| if moves(i) { x + weight * (t - x) } else { *x };
        let data = x.data.iter().zip(&target.data).enumerate().map(moved).collect();
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

    /// [`Tensor::lerp_in_place`] where `extents`, i32 (elements / [`BLOCK`]), are not 0.
    pub fn lerp_parts_in_place(&self, target: &Tensor, extents: &Tensor, weight: Scalar) -> Result<()> {
        self.tape().record(Lerp { weight }, &[self, target, extents]).map(drop)
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "lerp", cases };

fn cases() -> Vec<Case> {
    let case = |shape: Vec<usize>, scalar| {
        let inputs = [Input::normal(shape.clone()), Input::normal(shape)].map(Input::no_grad);
        Case::new(Lerp { weight: Scalar::for_cases(scalar) }, inputs.into())
    };
    let parts = |len: usize, scalar| {
        let [x, target] = [Input::normal([len]), Input::normal([len])].map(Input::no_grad);
        let fill = Fill::Values(vec![64.0, 0.0, 0.0, 3.0]);
        let extents = Input { fill, ..Input::below([len.div_ceil(BLOCK)], 1) };
        Case::new(Lerp { weight: Scalar::for_cases(scalar) }, vec![x, target, extents])
    };
    vec![
        parts(47, 2),
        parts(4096 + 63, 6),
        case(vec![1], 0),
        case(vec![47], 5),
        case(vec![3, 7, 5], 2),
        case(vec![1024], 7),
        case(vec![4096 + 64], 1),
    ]
}
