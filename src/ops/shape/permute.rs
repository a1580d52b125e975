//! Axes in another order: y[.., i_a, ..] has x's axis `axes[a]` as its axis a. The gradient is the inverse permutation.

use crate::ops::common::expect_inputs;
use crate::ops::shape::strided::{View, copy_view, expect_rank, unravel};
use crate::ops::spec::{Case, Fill, Input, OpSpec};
use crate::tape::{Array, Backward, Lowering, Meta, Op, Shape, Step, Tensor};
use crate::{Error, Result};

/// Axis a of y is axis `axes[a]` of x. Any element type.
#[derive(Debug, Clone)]
pub struct Permute {
    /// Every axis of x once.
    pub axes: Vec<usize>,
}

impl Op for Permute {
    fn name(&self) -> &'static str {
        "permute"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 1)?;
        expect_rank(self.name(), &inputs[0])?;
        let dims = inputs[0].shape.dims();
        let mut sorted = self.axes.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..dims.len()) {
            let expected = format!("each axis of {} once", inputs[0]);
            return Err(Error::shape(self.name(), expected, format!("{:?}", self.axes)));
        }
        let sizes: Vec<usize> = self.axes.iter().map(|&a| dims[a]).collect();
        Ok(vec![Meta { shape: sizes.into(), dtype: inputs[0].dtype }])
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        let mut inverse = vec![0; self.axes.len()];
        self.axes.iter().enumerate().for_each(|(a, &from)| inverse[from] = a);
        Ok(vec![Some(at.dy()?.permute(&inverse)?)])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let strides = Shape::from(to.input(0)).strides();
        let axes = self.axes.iter().map(|&a| (to.input(0)[a], strides[a])).collect();
        copy_view(to, self.name(), &View { axes, base: 0 });
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let x = &inputs[0];
        let sizes: Vec<usize> = self.axes.iter().map(|&a| x.dims()[a]).collect();
        let strides = x.shape.strides();
        let mut y = Array::zeros(sizes.clone());
        for (i, value) in y.data.iter_mut().enumerate() {
            let index = unravel(i, &sizes);
            let at: usize = index.iter().zip(&self.axes).map(|(i, &a)| i * strides[a]).sum();
            *value = x.data[at];
        }
        vec![y]
    }
}

impl Tensor {
    /// The axes in this order.
    pub fn permute(&self, axes: &[usize]) -> Result<Tensor> {
        self.tape().record1(Permute { axes: axes.to_vec() }, &[self])
    }

    /// Two axes exchanged.
    pub fn transpose(&self, a: usize, b: usize) -> Result<Tensor> {
        let mut axes: Vec<usize> = (0..self.dims().len()).collect();
        if a >= axes.len() || b >= axes.len() {
            let expected = format!("axes below {} for {}", axes.len(), self.meta());
            return Err(Error::shape("permute", expected, format!("{a} and {b}")));
        }
        axes.swap(a, b);
        self.permute(&axes)
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "permute", cases };

fn cases() -> Vec<Case> {
    let permute = |shape: &[usize], axes: &[usize]| {
        Case::new(Permute { axes: axes.to_vec() }, vec![Input::normal(shape)])
    };
    let words = |shape: [usize; 3]| Input { meta: Meta::i32(shape), fill: Fill::Below(99), grad: false };
    let of_words = |input| Case::new(Permute { axes: vec![2, 0, 1] }, vec![input]);
    vec![
        permute(&[1], &[0]),
        permute(&[7, 41], &[1, 0]),
        permute(&[8, 12], &[1, 0]),
        permute(&[33, 47], &[1, 0]),
        permute(&[3, 5, 8], &[1, 0, 2]),
        permute(&[3, 5, 7], &[1, 0, 2]),
        permute(&[2, 3, 4, 5], &[0, 2, 3, 1]),
        permute(&[2, 3, 4, 5], &[3, 1, 0, 2]),
        permute(&[2, 3, 1, 2, 4, 3], &[5, 0, 4, 2, 1, 3]),
        permute(&[2, 0, 3], &[2, 0, 1]),
        // By blocks of 4 x 4: alone, with axes around them, and of integers.
        permute(&[36, 52], &[1, 0]),
        permute(&[3, 8, 5, 12], &[0, 3, 2, 1]),
        permute(&[8, 12, 3, 4], &[3, 1, 2, 0]),
        of_words(words([3, 5, 4])),
        of_words(words([4, 2, 8])),
    ]
}
