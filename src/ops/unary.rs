//! Element-wise functions of one tensor: y_i = f(x_i), any shape.
//!
//! gelu is the exact form x * Phi(x) (Hendrycks and Gimpel 1606.08415) and its tanh approximation is `GeluTanh`;
//! silu x * sigmoid(x) (1702.03118); mish x * tanh(softplus(x)) (1908.08681); hardswish x * relu6(x + 3) / 6
//! (1905.02244).

use super::common::{elementwise_flat, expect_f32, expect_inputs};
use super::spec::{Case, Fill, Input, OpSpec};
use super::{conv, gemm, norm};
use crate::Result;
use crate::gpu::Kernel;
use crate::tape::{Array, Backward, Fused, Lowering, Meta, Op, Slot, Step, Tensor};

const SHADER: &str = include_str!("../../shaders/unary.wgsl");

/// The functions. The discriminant is `FUNCTION` in shaders/unary.wgsl.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs)]
pub enum Function {
    Relu,
    /// Slope for negative inputs.
    LeakyRelu(f32),
    Relu6,
    Gelu,
    GeluTanh,
    Silu,
    Hardswish,
    Sigmoid,
    Tanh,
    Mish,
    Softplus,
    Exp,
    /// Natural logarithm.
    Log,
    Sqrt,
    Square,
    Abs,
    /// 1 where x is above 0, else 0; no gradient flows through it.
    Positive,
    /// x - ln(1 + x) for x above -1, exact near 0: what a term of a KL divergence is of a relative difference.
    LogGap,
}

/// y = f(x).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unary(pub Function);

/// dx = dy * f'(x).
#[derive(Debug, Clone, Copy)]
struct UnaryBackward(Function);

impl Function {
    fn kernel(self, entry: &'static str) -> Kernel {
        self.define(Kernel::new(self.name(), entry, SHADER))
    }

    /// Tells a kernel which function its `activate` is.
    pub(super) fn define(self, kernel: Kernel) -> Kernel {
        let (index, parameter) = match self {
            Function::Relu => (0, 0.0),
            Function::LeakyRelu(slope) => (1, slope),
            Function::Relu6 => (2, 0.0),
            Function::Gelu => (3, 0.0),
            Function::GeluTanh => (4, 0.0),
            Function::Silu => (5, 0.0),
            Function::Hardswish => (6, 0.0),
            Function::Sigmoid => (7, 0.0),
            Function::Tanh => (8, 0.0),
            Function::Mish => (9, 0.0),
            Function::Softplus => (10, 0.0),
            Function::Exp => (11, 0.0),
            Function::Log => (12, 0.0),
            Function::Sqrt => (13, 0.0),
            Function::Square => (14, 0.0),
            Function::Abs => (15, 0.0),
            Function::Positive => (16, 0.0),
            Function::LogGap => (17, 0.0),
        };
        kernel.define("FUNCTION", index).define_f32("PARAMETER", parameter)
    }

    fn name(self) -> &'static str {
        match self {
            Function::Relu => "relu",
            Function::LeakyRelu(_) => "leaky_relu",
            Function::Relu6 => "relu6",
            Function::Gelu => "gelu",
            Function::GeluTanh => "gelu_tanh",
            Function::Silu => "silu",
            Function::Hardswish => "hardswish",
            Function::Sigmoid => "sigmoid",
            Function::Tanh => "tanh",
            Function::Mish => "mish",
            Function::Softplus => "softplus",
            Function::Exp => "exp",
            Function::Log => "log",
            Function::Sqrt => "sqrt",
            Function::Square => "square",
            Function::Abs => "abs",
            Function::Positive => "positive",
            Function::LogGap => "log_gap",
        }
    }

    /// f(x) in f64.
    pub fn value(self, x: f64) -> f64 {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
        match self {
            Function::Relu => x.max(0.0),
            Function::LeakyRelu(slope) => x.max(0.0) + f64::from(slope) * x.min(0.0),
            Function::Relu6 => x.clamp(0.0, 6.0),
            Function::Gelu => 0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2)),
            Function::GeluTanh => {
                let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
                0.5 * x * (1.0 + inner.tanh())
            }
            Function::Silu => x * sigmoid(x),
            Function::Hardswish => x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
            Function::Sigmoid => sigmoid(x),
            Function::Tanh => x.tanh(),
            Function::Mish => x * softplus(x).tanh(),
            Function::Softplus => softplus(x),
            Function::Exp => x.exp(),
            Function::Log => x.ln(),
            Function::Sqrt => x.sqrt(),
            Function::Square => x * x,
            Function::Abs => x.abs(),
            Function::Positive => f64::from(x > 0.0),
            Function::LogGap => x - x.ln_1p(),
        }
    }

    /// f'(x) in f64; at a kink the value PyTorch takes.
    pub fn derivative(self, x: f64) -> f64 {
        let h = 1e-5 * x.abs().max(1.0);
        match self {
            Function::Relu => f64::from(x > 0.0),
            Function::LeakyRelu(slope) => {
                if x > 0.0 {
                    1.0
                } else {
                    f64::from(slope)
                }
            }
            Function::Relu6 => f64::from(x > 0.0 && x < 6.0),
            Function::Abs => {
                if x == 0.0 {
                    0.0
                } else {
                    x.signum()
                }
            }
            Function::Hardswish if x.abs() == 3.0 => f64::from(x > 0.0),
            Function::Positive => 0.0,
            Function::Log => 1.0 / x,
            Function::Sqrt => 0.5 / x.sqrt(),
            Function::LogGap => x / (1.0 + x),
            // The smooth ones need no second formula that could be wrong in the same way as the kernel's.
            smooth => (smooth.value(x + h) - smooth.value(x - h)) / (2.0 * h),
        }
    }
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
        elementwise_flat(to, self.0.kernel("forward"), &[Slot::Input(0), Slot::Output(0)], len);
        Ok(())
    }

    fn fused(&self, inputs: &[Tensor]) -> Option<Fused> {
        let kinds =
            [conv::fused::with_activation, gemm::fused::with_activation, norm::batch::with_activation];
        kinds.into_iter().find_map(|kind| kind(inputs, self.0))
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
        elementwise_flat(to, self.0.kernel("backward_x"), &bindings, len);
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

/// Error function by its Maclaurin series and, beyond 3, its continued fraction: close to f64 precision.
pub fn erf(x: f64) -> f64 {
    let a = x.abs();
    if a < 3.0 {
        let (mut term, mut sum) = (a, a);
        for n in 1..80 {
            term *= -a * a / n as f64;
            sum += term / (2 * n + 1) as f64;
        }
        return (2.0 / std::f64::consts::PI.sqrt() * sum).copysign(x);
    }
    let fraction = (1..60).rev().fold(0.0, |f, k| k as f64 / 2.0 / (a + f));
    (1.0 - (-a * a).exp() / std::f64::consts::PI.sqrt() / (a + fraction)).copysign(x)
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
    square => Square, abs => Abs, positive => Positive, log_gap => LogGap,
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
    let kinked = [Relu, LeakyRelu(0.01), LeakyRelu(0.2), Relu6, Hardswish, Abs, Positive];
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
        all.push(Case::new(Unary(LogGap), vec![Input::filled([67], Fill::Uniform(-size, size))]));
    }
    all.push(Case::new(Unary(LogGap), vec![Input::filled([55], Fill::Uniform(0.3, 90.0))]));
    for shape in [vec![1], vec![1, 1, 1, 1], vec![7, 11, 13], vec![257], vec![1024], vec![41, 55], vec![0, 5]]
    {
        all.push(Case::new(Unary(Relu), vec![Input::filled(shape, Fill::Away(1.0, &[0.0]))]));
    }
    all
}
