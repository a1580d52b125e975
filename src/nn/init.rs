//! Initial values, from the counter-based generator: the same on every adapter.
//!
//! Kaiming: He et al. 1502.01852. Xavier: Glorot and Bengio 2010. The uniform Kaiming with a = sqrt(5) is PyTorch's
//! default for linear and convolution layers; it comes to a bound of 1 / sqrt(fan_in).

use crate::rng::Stream;
use crate::tape::Shape;

/// How a parameter starts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// Every element the same.
    Constant(f32),
    /// Uniform in +-1 / sqrt(fan_in): PyTorch's default for weights and biases. The fan-in is the layer's, as a bias
    /// has none of its own.
    Uniform {
        /// Inputs to one output.
        fan_in: usize,
    },
    /// Normal with variance 2 / fan_in, for relu networks.
    KaimingNormal,
    /// Normal with variance 2 / fan_out.
    KaimingNormalFanOut,
    /// Uniform with variance 2 / (fan_in + fan_out).
    XavierUniform,
    /// Normal with this standard deviation.
    Normal(f32),
    /// `value` at place `at` of every `period` elements, and zeros between.
    Periodic {
        /// Elements from one to the next.
        period: usize,
        /// The first one's place.
        at: usize,
        /// What it is.
        value: f32,
    },
}

impl Init {
    /// Values for the parameter `name` under `seed`.
    pub fn values(self, seed: u64, name: &str, shape: &Shape) -> Vec<f32> {
        let mut random = Stream::new(seed, name);
        let (fan_in, fan_out) = fans(shape);
        let n = shape.len();
        let mut normal = |sd: f64| (0..n).map(|_| (random.normal() * sd) as f32).collect();
        match self {
            Init::Constant(value) => vec![value; n],
            Init::Periodic { period, at, value } => {
                (0..n).map(|i| if i % period.max(1) == at { value } else { 0.0 }).collect()
            }
            Init::KaimingNormal => normal((2.0 / fan_in).sqrt()),
            Init::KaimingNormalFanOut => normal((2.0 / fan_out).sqrt()),
            Init::Normal(sd) => normal(f64::from(sd)),
            Init::Uniform { fan_in } => uniform(&mut random, n, 1.0 / (fan_in.max(1) as f64).sqrt()),
            Init::XavierUniform => uniform(&mut random, n, (6.0 / (fan_in + fan_out)).sqrt()),
        }
    }
}

fn uniform(random: &mut Stream, n: usize, bound: f64) -> Vec<f32> {
    (0..n).map(|_| random.uniform(-bound, bound) as f32).collect()
}

/// Inputs to one output and outputs of one input, of (out, in, taps..) weights.
fn fans(shape: &Shape) -> (f64, f64) {
    let dims = shape.dims();
    let taps: usize = dims.iter().skip(2).product();
    let size = |i: usize| dims.get(i).copied().unwrap_or(1);
    ((size(1) * taps).max(1) as f64, (size(0) * taps).max(1) as f64)
}
