//! Element-wise functions of one tensor: y_i = f(x_i), any shape; [`Function`] lists them.

pub use super::function::Function;

use super::common::{elementwise_flat, expect_f32, expect_inputs};
use super::spec::{Case, Fill, Input, OpSpec};
use crate::Result;
use crate::gpu::Kernel;
use crate::tape::{Array, Backward, Lowering, Meta, Op, Slot, Step, Tensor};

const SHADER: &str = include_str!("../../shaders/unary.wgsl");

/// y = f(x).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unary(pub Function);

/// dx = dy * f'(x).
#[derive(Debug, Clone, Copy)]
struct UnaryBackward(Function);

fn kernel(function: Function, entry: &'static str) -> Kernel {
    function.define(Kernel::new(function.name(), entry, SHADER))
}

impl Op for Unary {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 1)?;
        expect_f32(self.name(), inputs)?;
        Ok(vec![inputs[0].clone()])
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        let x = &at.inputs[0];
        Ok(vec![Some(x.tape().record1(UnaryBackward(self.0), &[x, at.dy()?])?)])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let len = to.output(0).iter().product();
        elementwise_flat(to, kernel(self.0, "forward"), &[Slot::Input(0), Slot::Output(0)], len);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        vec![inputs[0].map(|x| self.0.value(x))]
    }

    fn flops(&self, _: &[Meta], outputs: &[Meta]) -> u64 {
        outputs[0].len() as u64
    }
}

impl Op for UnaryBackward {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        Ok(vec![inputs[0].clone()])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let len = to.output(0).iter().product();
        let bindings = [Slot::Input(0), Slot::Input(1), Slot::Output(0)];
        elementwise_flat(to, kernel(self.0, "backward_x"), &bindings, len);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let (x, dy) = (&inputs[0], &inputs[1]);
        let data = x.data.iter().zip(&dy.data).map(|(&x, dy)| dy * self.0.derivative(x)).collect();
        vec![Array::new(x.shape.clone(), data)]
    }

    fn flops(&self, _: &[Meta], outputs: &[Meta]) -> u64 {
        outputs[0].len() as u64
    }
}

/// Methods for the functions without a parameter.
macro_rules! methods {
    ($($name:ident => $function:ident),* $(,)?) => {
        impl Tensor {
            $(
                #[doc = concat!("Element-wise `", stringify!($name), "`; see [`Function::", stringify!($function), "`].")]
                pub fn $name(&self) -> Result<Tensor> {
                    self.unary(Function::$function)
                }
            )*
        }
    };
}

methods! {
    relu => Relu, relu6 => Relu6, gelu => Gelu, gelu_tanh => GeluTanh, silu => Silu, hardswish => Hardswish,
    sigmoid => Sigmoid, tanh => Tanh, mish => Mish, softplus => Softplus, exp => Exp, log => Log, sqrt => Sqrt,
    square => Square, abs => Abs, heaviside => Heaviside, x_minus_log1p => XMinusLog1p,
}

impl Tensor {
    /// max(x, 0) + slope * min(x, 0).
    pub fn leaky_relu(&self, slope: f32) -> Result<Tensor> {
        self.unary(Function::LeakyRelu(slope))
    }

    /// Any [`Function`], element by element.
    pub fn unary(&self, function: Function) -> Result<Tensor> {
        self.tape().record1(Unary(function), &[self])
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "unary", cases };

fn cases() -> Vec<Case> {
    use Function::*;
    let smooth = [Gelu, GeluTanh, Silu, Sigmoid, Tanh, Mish, Softplus, Square];
    let kinked = [Relu, LeakyRelu(0.01), LeakyRelu(0.2), Relu6, Hardswish, Abs, Heaviside];
    let mut all: Vec<Case> = Vec::new();
    for f in smooth {
        all.push(Case::new(Unary(f), vec![Input::filled([3, 47], Fill::Normal(3.0))]));
        // Far out, where exp overflows in careless code.
        all.push(Case::new(
            Unary(f),
            vec![Input::filled([13], Fill::Values(vec![-90.0, -30.0, 0.0, 30.0, 90.0]))],
        ));
    }
    for f in kinked {
        all.push(Case::new(Unary(f), vec![Input::filled([2, 41], Fill::Away(4.0, &[-3.0, 0.0, 3.0, 6.0]))]));
    }
    all.push(Case::new(Unary(Exp), vec![Input::normal([55])]));
    for f in [Log, Sqrt] {
        all.push(Case::new(Unary(f), vec![Input::filled([55], Fill::Uniform(0.1, 9.0))]));
    }
    for size in [1e-3, 0.1, 0.9] {
        all.push(Case::new(Unary(XMinusLog1p), vec![Input::filled([67], Fill::Uniform(-size, size))]));
    }
    all.push(Case::new(Unary(XMinusLog1p), vec![Input::filled([55], Fill::Uniform(0.3, 90.0))]));
    for shape in [vec![1], vec![1, 1, 1, 1], vec![7, 11, 13], vec![257], vec![1024], vec![41, 55], vec![0, 5]]
    {
        all.push(Case::new(Unary(Relu), vec![Input::filled(shape, Fill::Away(1.0, &[0.0]))]));
    }
    all
}
