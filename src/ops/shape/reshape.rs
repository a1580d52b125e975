//! The same elements under another shape, at no cost: `reshape` carries the gradient, `detach` stops it.

use crate::ops::common::expect_inputs;
use crate::ops::spec::{Case, Input, OpSpec};
use crate::tape::{Array, Backward, Lowering, Meta, Op, Shape, Step, Tensor};
use crate::{Error, Result};

/// y = x under another shape with as many elements, in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct Reshape {
    /// The new sizes.
    pub shape: Shape,
}

/// y = x, with no gradient.
#[derive(Debug, Clone, Copy)]
pub struct Detach;

impl Op for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 1)?;
        if inputs[0].len() != self.shape.len() {
            let expected = format!("sizes that multiply to {} for {}", inputs[0].len(), inputs[0]);
            return Err(Error::shape(self.name(), expected, self.shape.to_string()));
        }
        Ok(vec![Meta { shape: self.shape.clone(), dtype: inputs[0].dtype }])
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(at.dy()?.reshape(at.inputs[0].shape().clone())?)])
    }

    fn lower(&self, _: &mut Lowering<'_>) -> Result<()> {
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        vec![Array::new(self.shape.clone(), inputs[0].data.clone())]
    }

    fn is_alias(&self) -> bool {
        true
    }
}

impl Op for Detach {
    fn name(&self) -> &'static str {
        "detach"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 1)?;
        Ok(vec![inputs[0].clone()])
    }

    fn differentiable(&self) -> bool {
        false
    }

    fn lower(&self, _: &mut Lowering<'_>) -> Result<()> {
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        vec![inputs[0].clone()]
    }

    fn is_alias(&self) -> bool {
        true
    }
}

impl Tensor {
    /// The same elements under another shape; costs nothing.
    pub fn reshape(&self, shape: impl Into<Shape>) -> Result<Tensor> {
        self.tape().record1(Reshape { shape: shape.into() }, &[self])
    }

    /// The same elements under a shape of (size of axis 0, all the rest): what a linear layer takes.
    pub fn flatten(&self) -> Result<Tensor> {
        let outer = self.dims().first().copied().unwrap_or(1);
        let inner = self.dims().iter().skip(1).product::<usize>();
        self.reshape([outer, inner])
    }

    /// The same values, through which no gradient flows; costs nothing.
    pub fn detach(&self) -> Result<Tensor> {
        self.tape().record1(Detach, &[self])
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "reshape", cases };

fn cases() -> Vec<Case> {
    let reshape = |from: Vec<usize>, to: Vec<usize>| {
        Case::new(Reshape { shape: Shape::new(to) }, vec![Input::normal(from)])
    };
    vec![
        reshape(vec![2, 3, 41], vec![6, 41]),
        reshape(vec![1], vec![1, 1, 1, 1, 1, 1]),
        reshape(vec![47], vec![1, 47]),
        reshape(vec![0, 5], vec![5, 0, 3]),
        Case::new(Reshape { shape: [6].into() }, vec![Input::below([2, 3], 9)]),
        Case::new(Detach, vec![Input::normal([3, 5])]),
    ]
}
