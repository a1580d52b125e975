//! Max pooling over (N, C, H, W): y = max of each window. Padding never wins; of equal maxima the first does, in row-major
//! order; a NaN in the window wins. The gradient goes to the element that won.
//!
//! A relu before the pooling is done by the same kernel: relu and maximum commute, so the full-size relu and its gradient
//! are never computed.

use crate::gpu::Kernel;
use crate::ops::common::{elementwise, expect_f32, expect_inputs, per_element};
use crate::ops::spec::{Case, Fill, Input, OpSpec};
use crate::ops::unary::{Function, Unary};
use crate::tape::{Array, Backward, Lowering, Meta, Op, Shape, Slot, Step, Tensor};
use crate::{Error, Result};

pub(in crate::ops) const SHADER: &str = include_str!("../../../shaders/pool/pool.wgsl");
const SHADER_2X2: &str = include_str!("../../../shaders/pool/pool_2x2.wgsl");
const SHADER_2X2_NARROW: &str = include_str!("../../../shaders/pool/pool_2x2_narrow.wgsl");

/// Windows of a pooling layer, each as [height, width]. Output sizes are floor((before + in + after - kernel) / stride) + 1,
/// with the padding before and after x.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// Window size.
    pub kernel: [usize; 2],
    /// Distance between windows.
    pub stride: [usize; 2],
    /// Padding above and on the left, at most half the kernel.
    pub padding: [usize; 2],
    /// Padding below and on the right, less than the kernel. So every window has an element of x.
    pub padding_after: [usize; 2],
}

impl Pool {
    /// With the same padding before and after x.
    pub fn new(kernel: [usize; 2], stride: [usize; 2], padding: [usize; 2]) -> Self {
        Self { kernel, stride, padding, padding_after: padding }
    }

    /// The same numbers for height and width, before and after.
    pub fn square(kernel: usize, stride: usize, padding: usize) -> Self {
        Self::new([kernel; 2], [stride; 2], [padding; 2])
    }

    /// Output height and width for x, checked.
    pub(in crate::ops) fn output(&self, op: &str, x: &Meta) -> Result<[usize; 2]> {
        let plane = expect_planes(op, x)?;
        let mut out = [0; 2];
        for a in 0..2 {
            let (kernel, stride) = (self.kernel[a], self.stride[a]);
            let (before, after) = (self.padding[a], self.padding_after[a]);
            let fits = kernel > 0 && stride > 0 && before <= kernel / 2 && after < kernel;
            let padded = if fits { before.saturating_add(after).saturating_add(plane[a]) } else { 0 };
            if !fits || padded < kernel {
                let expected = format!(
                    "kernel and stride of at least 1, padding of at most half the kernel before and of less than it \
                     after, and a kernel that fits {x}"
                );
                return Err(Error::shape(op, expected, format!("{self:?}")));
            }
            out[a] = (padded - kernel) / stride + 1;
        }
        Ok(out)
    }

    /// Elements of x along axis `a` that window `o` covers.
    pub(in crate::ops) fn window(&self, a: usize, o: usize, size: usize) -> std::ops::Range<usize> {
        let start = o * self.stride[a];
        start.saturating_sub(self.padding[a])..(start + self.kernel[a] - self.padding[a]).min(size)
    }

    /// What shaders/pool/pool.wgsl needs to know; x and y are (N, C, H, W).
    pub(in crate::ops) fn define(&self, kernel: Kernel, x: &[usize], y: &[usize]) -> Kernel {
        kernel
            .define("H_IN", x[2])
            .define("W_IN", x[3])
            .define("H_OUT", y[2])
            .define("W_OUT", y[3])
            .define("K_H", self.kernel[0])
            .define("K_W", self.kernel[1])
            .define("STRIDE_H", self.stride[0])
            .define("STRIDE_W", self.stride[1])
            .define("PADDING_H", self.padding[0])
            .define("PADDING_W", self.padding[1])
    }
}

/// Height and width of an (N, C, H, W) tensor.
pub(in crate::ops) fn expect_planes(op: &str, x: &Meta) -> Result<[usize; 2]> {
    match x.shape.dims() {
        &[_, _, h, w] => Ok([h, w]),
        _ => Err(Error::shape(op, "x of shape (N, C, H, W)", x.to_string())),
    }
}

/// Outputs: the maxima, and with `index` the place of each in its (H, W) plane as i32, which the gradient needs.
#[derive(Debug, Clone, Copy)]
pub struct MaxPool2d {
    /// The windows.
    pub pool: Pool,
    /// Whether the places are kept.
    pub index: bool,
    /// The maxima of relu(x). A maximum of zero then has the place -1: no element gets its gradient.
    pub relu: bool,
}

/// dx of [`MaxPool2d`], from dy and the places.
#[derive(Debug, Clone)]
struct MaxPool2dBackward {
    pool: Pool,
    shape: Shape,
}

/// Which shader does it.
#[derive(PartialEq)]
enum PoolShader {
    /// shaders/pool/pool_2x2.wgsl
    Vec4,
    /// shaders/pool/pool_2x2_narrow.wgsl
    Vec2,
    /// shaders/pool/pool.wgsl
    Any,
}

impl PoolShader {
    /// For x of shape (N, C, H, W). The backward passes of the first two also want an even height: see there.
    fn of(pool: &Pool, x: &[usize]) -> Self {
        match x[3] {
            w if *pool != Pool::square(2, 2, 0) || !w.is_multiple_of(2) => PoolShader::Any,
            w if w.is_multiple_of(4) => PoolShader::Vec4,
            _ => PoolShader::Vec2,
        }
    }

    fn source(&self) -> &'static str {
        match self {
            PoolShader::Vec4 => SHADER_2X2,
            PoolShader::Vec2 => SHADER_2X2_NARROW,
            PoolShader::Any => SHADER,
        }
    }
}

impl MaxPool2d {
    fn kernel(&self, source: &'static str, x: &[usize], y: &[usize]) -> Kernel {
        let kernel = Kernel::new(self.name(), "max_forward", source)
            .define("INDEX", self.index.into())
            .define("RELU", self.relu.into())
            .define("ADAPTIVE", 0);
        self.pool.define(kernel, x, y)
    }
}

impl Op for MaxPool2d {
    fn name(&self) -> &'static str {
        "max_pool2d"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 1)?;
        expect_f32(self.name(), inputs)?;
        let [h, w] = self.pool.output(self.name(), &inputs[0])?;
        let shape = Shape::new([inputs[0].shape[0], inputs[0].shape[1], h, w]);
        let mut outputs = vec![Meta::f32(shape.clone())];
        if self.index {
            outputs.push(Meta::i32(shape));
        }
        Ok(outputs)
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        let x = &at.inputs[0];
        let Some(index) = at.outputs.get(1) else {
            return Err(Error::shape(self.name(), "MaxPool2d { index: true, .. } for a gradient", "false"));
        };
        let op = MaxPool2dBackward { pool: self.pool, shape: x.shape().clone() };
        Ok(vec![Some(x.tape().record1(op, &[at.dy()?, index])?)])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let (x, y) = (to.input(0), to.output(0));
        let len: usize = y.iter().product();
        let mut bindings = vec![Slot::Input(0), Slot::Output(0)];
        if self.index {
            bindings.push(Slot::Output(1));
        }
        let variant = PoolShader::of(&self.pool, x);
        let kernel = self.kernel(variant.source(), x, y).define("PAIRS", len / 2).define("COUNT_PADDING", 0);
        match variant {
            PoolShader::Vec4 => elementwise(to, kernel, &bindings, len),
            PoolShader::Vec2 => elementwise(to, kernel.define("LEN", len), &bindings, len),
            PoolShader::Any => per_element(to, kernel, &bindings, len),
        }
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let x = &inputs[0];
        let Ok([h_out, w_out]) = self.pool.output(self.name(), &Meta::f32(x.shape.clone())) else {
            return Vec::new();
        };
        let &[n, c, h_in, w_in] = x.dims() else { return Vec::new() };
        let (mut y, mut index) = (Vec::new(), Vec::new());
        for plane in 0..n * c {
            let values = &x.data[plane * h_in * w_in..][..h_in * w_in];
            for o in 0..h_out * w_out {
                let (mut best, mut at) = (f64::NEG_INFINITY, None);
                for h in self.pool.window(0, o / w_out, h_in) {
                    for w in self.pool.window(1, o % w_out, w_in) {
                        let value = values[h * w_in + w];
                        if at.is_none() || value > best || value.is_nan() {
                            (best, at) = (value, Some(h * w_in + w));
                        }
                    }
                }
                let flat = self.relu && best <= 0.0;
                y.push(if flat { 0.0 } else { best });
                index.push(if flat { -1.0 } else { at.unwrap_or_default() as f64 });
            }
        }
        let shape = [n, c, h_out, w_out];
        let mut outputs = vec![Array::new(shape, y)];
        if self.index {
            outputs.push(Array::new(shape, index));
        }
        outputs
    }

    fn flops(&self, _: &[Meta], outputs: &[Meta]) -> u64 {
        (self.pool.kernel[0] * self.pool.kernel[1] * outputs[0].len()) as u64
    }
}

impl Op for MaxPool2dBackward {
    fn name(&self) -> &'static str {
        "max_pool2d"
    }

    fn infer(&self, _: &[Meta]) -> Result<Vec<Meta>> {
        Ok(vec![Meta::f32(self.shape.clone())])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let (x, y) = (to.output(0), to.input(0));
        let even = x[2].is_multiple_of(2);
        let variant = if even { PoolShader::of(&self.pool, x) } else { PoolShader::Any };
        let len: usize = y.iter().product();
        let kernel = Kernel::new(self.name(), "max_backward_x", variant.source())
            .define("INDEX", 0)
            .define("RELU", 0)
            .define("ADAPTIVE", 0)
            .define("PAIRS", len / 2)
            .define("COUNT_PADDING", 0);
        let kernel = self.pool.define(kernel, x, y);
        let bindings = [Slot::Input(0), Slot::Input(1), Slot::Output(0)];
        match variant {
            PoolShader::Vec4 => elementwise(to, kernel, &bindings, len),
            PoolShader::Vec2 => elementwise(to, kernel.define("LEN", len), &bindings, len),
            PoolShader::Any => per_element(to, kernel, &bindings, x.iter().product()),
        }
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let (dy, index) = (&inputs[0], &inputs[1]);
        let mut dx = Array::zeros(self.shape.clone());
        let (plane_in, plane_out) = (self.shape[2] * self.shape[3], dy.dims()[2] * dy.dims()[3]);
        let places = dy.data.iter().zip(&index.data).enumerate();
        for (o, (dy, at)) in places.filter(|(_, (_, at))| **at >= 0.0) {
            dx.data[o / plane_out * plane_in + *at as usize] += dy;
        }
        vec![dx]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        inputs[0].len() as u64
    }
}

impl Tensor {
    /// The maximum of each window of an (N, C, H, W) tensor. Of a relu's output it takes the relu's input: the relu runs
    /// only where something else reads it.
    pub fn max_pool2d(&self, pool: &Pool) -> Result<Tensor> {
        let index = self.requires_grad();
        let x = self.producer_is(&Unary(Function::Relu)).filter(|x| x.requires_grad() == index);
        let op = MaxPool2d { pool: *pool, index, relu: x.is_some() };
        self.tape().record1(op, &[x.as_ref().unwrap_or(self)])
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "pool", cases };

fn cases() -> Vec<Case> {
    let case = |shape: [usize; 4], pool: Pool| {
        Case::new(MaxPool2d { pool, index: true, relu: false }, vec![Input::filled(shape, Fill::Distinct)])
    };
    let p2 = Pool::square(2, 2, 0);
    let uneven = Pool::new([3, 2], [1, 2], [1, 0]);
    let after = |kernel, stride, padding_after| Pool { padding_after, ..Pool::square(kernel, stride, 0) };
    // Ties: the place of the first must come out. No gradient by differences there.
    let ties = |shape: [usize; 4], pool: Pool| {
        let fill = Fill::Values(vec![1.0, 1.0, -2.0, 1.0, 0.5, 0.5, 0.5]);
        Case::new(MaxPool2d { pool, index: true, relu: false }, vec![Input::filled(shape, fill).no_grad()])
    };
    // After a relu, no window's maximum may lie at its kink.
    let relu = |shape: [usize; 4], pool: Pool| {
        let fill = Fill::Away(1.0, &[0.0]);
        Case::new(MaxPool2d { pool, index: true, relu: true }, vec![Input::filled(shape, fill)])
    };
    let mut teacher = case([2, 3, 8, 8], p2);
    teacher.op = std::rc::Rc::new(MaxPool2d { pool: p2, index: false, relu: false });
    teacher.inputs[0].grad = false;
    // One invocation an element, so over 65,535 workgroups of 256.
    let mut large = case([1, 1, 4097, 4097], Pool::square(1, 1, 0));
    large.inputs[0] = Input::normal([1, 1, 4097, 4097]).no_grad();
    vec![
        case([2, 3, 8, 8], p2),
        case([1, 1, 2, 4], p2),
        case([1, 3, 6, 4], p2),
        case([3, 1, 14, 28], p2),
        case([1, 3, 2, 12], p2),
        case([2, 2, 7, 8], p2),
        case([2, 2, 7, 5], p2),
        case([1, 1, 2, 2], p2),
        case([2, 3, 14, 14], p2),
        case([2, 1, 7, 6], p2),
        relu([2, 3, 8, 8], p2),
        relu([3, 2, 6, 6], p2),
        relu([2, 2, 7, 5], p2),
        relu([1, 2, 9, 47], Pool::square(3, 2, 1)),
        case([1, 2, 9, 47], Pool::square(3, 2, 1)),
        case([1, 2, 6, 41], uneven),
        case([1, 1, 1, 1], Pool::square(1, 1, 0)),
        case([2, 1, 5, 5], Pool::square(5, 1, 2)),
        case([1, 1, 7, 7], Pool::square(2, 3, 0)),
        case([0, 2, 4, 4], p2),
        // Padded on one side only, as darknet does; on all, by different numbers.
        case([2, 3, 8, 8], after(2, 1, [1, 1])),
        case([1, 2, 7, 13], after(2, 2, [1, 1])),
        case([1, 1, 1, 1], after(2, 1, [1, 1])),
        case([1, 2, 9, 47], Pool { padding: [2, 1], ..after(5, 3, [4, 2]) }),
        relu([1, 2, 6, 5], after(2, 1, [1, 1])),
        ties([2, 1, 5, 9], after(3, 2, [0, 2])),
        ties([2, 1, 6, 8], p2),
        ties([2, 1, 5, 9], Pool::square(3, 2, 1)),
        teacher,
        large,
    ]
}
