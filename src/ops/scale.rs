//! One number for all elements: y = x * factor, y = x + offset, and y = x * s with s a named scalar of the step, which
//! changes without a new plan. Any shape.

use super::common::{elementwise_flat, expect_f32, expect_inputs};
use super::spec::{Case, Input, OpSpec};
use crate::gpu::Kernel;
use crate::tape::{Array, Backward, DType, Lowering, Meta, Op, Scalar, Slot, Step, Tape, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../shaders/scale.wgsl");

/// A number applied to every element.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scale {
    /// y = x * factor.
    Factor(f32),
    /// y = x + offset.
    Offset(f32),
    /// y = x * scalar of the step.
    By(Scalar),
}

impl Op for Scale {
    fn name(&self) -> &'static str {
        match self {
            Scale::Factor(_) => "scale",
            Scale::Offset(_) => "add_scalar",
            Scale::By(_) => "scale_by",
        }
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 1)?;
        expect_f32(self.name(), inputs)?;
        match self {
            Scale::Factor(v) | Scale::Offset(v) if !v.is_finite() => {
                Err(Error::shape(self.name(), "a finite number", v.to_string()))
            }
            _ => Ok(vec![inputs[0].clone()]),
        }
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        let dy = at.dy()?;
        Ok(vec![Some(match self {
            Scale::Factor(factor) => dy.scale(*factor)?,
            Scale::Offset(_) => dy.clone(),
            Scale::By(scalar) => dy.scale_by(*scalar)?,
        })])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let len = to.output(0).iter().product();
        if let Scale::By(scalar) = self {
            let (vec4, component) = scalar.place();
            let kernel = Kernel::new(self.name(), "forward_by_scalar", SHADER)
                .define_f32("FACTOR", 0.0)
                .define_f32("OFFSET", 0.0)
                .define("SCALAR_VEC4", vec4)
                .define("SCALAR_COMPONENT", component);
            elementwise_flat(to, kernel, &[Slot::Input(0), Slot::Step, Slot::Output(0)], len);
            return Ok(());
        }
        let (factor, offset) = match *self {
            Scale::Factor(factor) => (factor, 0.0),
            Scale::Offset(offset) => (1.0, offset),
            Scale::By(_) => (1.0, 0.0),
        };
        let kernel = Kernel::new(self.name(), "forward", SHADER)
            .define_f32("FACTOR", factor)
            .define_f32("OFFSET", offset)
            .define("SCALAR_VEC4", 0)
            .define("SCALAR_COMPONENT", 0);
        elementwise_flat(to, kernel, &[Slot::Input(0), Slot::Output(0)], len);
        Ok(())
    }

    fn reference(&self, step: &Step, inputs: &[Array]) -> Vec<Array> {
        vec![match self {
            Scale::Factor(factor) => inputs[0].map(|x| x * f64::from(*factor)),
            Scale::Offset(offset) => inputs[0].map(|x| x + f64::from(*offset)),
            Scale::By(scalar) => inputs[0].map(|x| x * f64::from(step.get(*scalar))),
        }]
    }

    fn flops(&self, _: &[Meta], outputs: &[Meta]) -> u64 {
        outputs[0].len() as u64
    }
}

impl Tensor {
    /// self * factor. Of a constant number, and by 1, it costs nothing: the gradient of a weighted loss starts like that.
    pub fn scale(&self, factor: f32) -> Result<Tensor> {
        if factor == 1.0 && self.meta().dtype == DType::F32 {
            return Ok(self.clone());
        }
        if let Some(value) = self.constant_number().filter(|_| factor.is_finite()) {
            return self.tape().constant(self.shape().clone(), &[value * factor]);
        }
        self.tape().record1(Scale::Factor(factor), &[self])
    }

    /// self + offset.
    pub fn add_scalar(&self, offset: f32) -> Result<Tensor> {
        self.tape().record1(Scale::Offset(offset), &[self])
    }

    /// self * a scalar that [`Step::set`] gives before each run: a loss weight on a schedule.
    pub fn scale_by(&self, factor: Scalar) -> Result<Tensor> {
        self.tape().record1(Scale::By(factor), &[self])
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "scale", cases };

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for op in [Scale::Factor(-1.25), Scale::Factor(0.0), Scale::Offset(3.5), Scale::Offset(1e-20)] {
        all.extend(
            [vec![1], vec![3, 47], vec![2, 3, 4, 5], vec![1025], vec![0, 5]]
                .map(|shape| Case::new(op, vec![Input::normal(shape)])),
        );
    }
    // The conformance step gives every scalar a value of its own; the sixth is in another vec4 than the first.
    let tape = Tape::new();
    let scalars: Vec<Scalar> = (0..6).filter_map(|i| tape.scalar(&i.to_string()).ok()).collect();
    for scalar in scalars.iter().step_by(5) {
        all.push(Case::new(Scale::By(*scalar), vec![Input::normal([5, 41])]));
    }
    all
}
