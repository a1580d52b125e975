//! Tensors one after the other along an axis. One dispatch for each input, into its share of y; the gradients are slices.

use crate::gpu::Kernel;
use crate::ops::common::per_element;
use crate::ops::spec::{Case, Fill, Input, OpSpec};
use crate::tape::{Array, Backward, Lowering, Meta, Op, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../../shaders/shape/concat.wgsl");

/// y = inputs one after the other along `axis`; all other sizes are equal. Any element type, the same for all.
#[derive(Debug, Clone, Copy)]
pub struct Concat {
    /// The axis whose sizes add up.
    pub axis: usize,
}

impl Op for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        let first = inputs.first().ok_or_else(|| Error::shape(self.name(), "at least one input", "none"))?;
        let mut sizes = first.shape.dims().to_vec();
        if self.axis >= sizes.len() {
            let expected = format!("an axis below {} for {first}", sizes.len());
            return Err(Error::shape(self.name(), expected, self.axis.to_string()));
        }
        let others = |m: &Meta| -> Vec<usize> {
            let dims = m.shape.dims().iter().enumerate();
            dims.filter(|(a, _)| *a != self.axis).map(|(_, &size)| size).collect()
        };
        for other in &inputs[1..] {
            let fits = other.shape.rank() == sizes.len() && others(other) == others(first);
            if !fits || other.dtype != first.dtype {
                let expected = format!("tensors like {first} in all but axis {}", self.axis);
                return Err(Error::shape(self.name(), expected, other.to_string()));
            }
            sizes[self.axis] += other.shape[self.axis];
        }
        Ok(vec![Meta { shape: sizes.into(), dtype: first.dtype }])
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        let dy = at.dy()?;
        let mut start = 0;
        let mut gradients = Vec::new();
        for (i, input) in at.inputs.iter().enumerate() {
            let len = input.dims()[self.axis];
            gradients.push(at.needs(i).then(|| dy.slice(self.axis, start, len)).transpose()?);
            start += len;
        }
        Ok(gradients)
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let y_row: usize = to.output(0)[self.axis..].iter().product();
        let mut offset = 0;
        for i in 0..to.input_count() {
            let x = to.input(i);
            let (len, x_row): (usize, usize) = (x.iter().product(), x[self.axis..].iter().product());
            if len > 0 {
                let vec4 = [x_row, y_row, offset].iter().all(|n| n % 4 == 0);
                let unit = if vec4 { 4 } else { 1 };
                let kernel = Kernel::new(self.name(), "forward", SHADER)
                    .define("VEC4", vec4.into())
                    .define("X_ROW", x_row / unit)
                    .define("Y_ROW", y_row / unit)
                    .define("OFFSET", offset / unit);
                per_element(to, kernel, &[Slot::Input(i), Slot::Output(0)], len / unit);
            }
            offset += x_row;
        }
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let mut sizes = inputs[0].dims().to_vec();
        sizes[self.axis] = inputs.iter().map(|x| x.dims()[self.axis]).sum();
        let mut data = Vec::new();
        for outer in 0..sizes[..self.axis].iter().product() {
            for x in inputs {
                let row: usize = x.dims()[self.axis..].iter().product();
                data.extend_from_slice(&x.data[outer * row..][..row]);
            }
        }
        vec![Array::new(sizes, data)]
    }
}

impl Tensor {
    /// Tensors one after the other along an axis.
    pub fn concat(tensors: &[&Tensor], axis: usize) -> Result<Tensor> {
        let first = tensors.first().ok_or_else(|| Error::shape("concat", "at least one tensor", "none"))?;
        first.tape().record1(Concat { axis }, tensors)
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "concat", cases };

fn cases() -> Vec<Case> {
    let concat = |axis: usize, shapes: &[&[usize]]| {
        Case::new(Concat { axis }, shapes.iter().map(|&shape| Input::normal(shape)).collect())
    };
    let words = |n| Input { meta: Meta::i32([2, n]), fill: Fill::Below(99), grad: false };
    vec![
        concat(0, &[&[1]]),
        concat(0, &[&[5], &[47], &[1]]),
        concat(1, &[&[3, 8], &[3, 4], &[3, 16]]),
        concat(1, &[&[3, 7], &[3, 41]]),
        concat(1, &[&[3, 700], &[3, 41]]),
        concat(0, &[&[2, 3, 5], &[1, 3, 5]]),
        concat(1, &[&[2, 3, 4, 4], &[2, 5, 4, 4]]),
        concat(2, &[&[2, 3, 4], &[2, 3, 0], &[2, 3, 1]]),
        concat(0, &[&[0, 3], &[0, 3]]),
        Case::new(Concat { axis: 1 }, vec![words(3), words(5)]),
        concat(0, &[[1].as_slice(); 11]),
    ]
}
