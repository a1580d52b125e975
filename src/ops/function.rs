//! The element-wise functions that ops and epilogues share, with f64 value and derivative.
//!
//! gelu is the exact form x * Phi(x) (Hendrycks and Gimpel 1606.08415) and its tanh approximation is `GeluTanh`;
//! silu x * sigmoid(x) (1702.03118); mish x * tanh(softplus(x)) (1908.08681); hardswish x * relu6(x + 3) / 6
//! (1905.02244).

use crate::gpu::Kernel;

/// The functions. The discriminant is `FUNCTION` in shaders/shared/activation.wgsl.
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
    Heaviside,
    /// x - ln(1 + x) for x above -1, exact near 0: what a term of a KL divergence is of a relative difference.
    XMinusLog1p,
}

impl Function {
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
            Function::Heaviside => (16, 0.0),
            Function::XMinusLog1p => (17, 0.0),
        };
        kernel.define("FUNCTION", index).define_f32("PARAMETER", parameter)
    }

    /// What its ops are called.
    pub(super) fn name(self) -> &'static str {
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
            Function::Heaviside => "heaviside",
            Function::XMinusLog1p => "x_minus_log1p",
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
            Function::Gelu => 0.5 * x * (1.0 + libm::erf(x / std::f64::consts::SQRT_2)),
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
            Function::Heaviside => f64::from(x > 0.0),
            Function::XMinusLog1p => x - x.ln_1p(),
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
            Function::Heaviside => 0.0,
            Function::Log => 1.0 / x,
            Function::Sqrt => 0.5 / x.sqrt(),
            Function::XMinusLog1p => x / (1.0 + x),
            // The smooth ones need no second formula that could be wrong in the same way as the kernel's.
            smooth => (smooth.value(x + h) - smooth.value(x - h)) / (2.0 * h),
        }
    }
}
