//! Test cases of an op, as data.

use std::rc::Rc;

use crate::rng::Stream;
use crate::tape::{DType, Meta, Op, Shape};

/// An op file's entry in [`super::OPS`].
pub struct OpSpec {
    /// The file's name.
    pub name: &'static str,
    /// Cases over shapes that hurt.
    pub cases: fn() -> Vec<Case>,
}

/// One op with one set of input shapes.
#[derive(Debug, Clone)]
pub struct Case {
    /// The op.
    pub op: Rc<dyn Op>,
    /// Its inputs.
    pub inputs: Vec<Input>,
    /// Allowed forward error: |got - want| <= tolerance * (|want| + rms of the whole tensor).
    pub tolerance: f64,
    /// Allowed gradient error, likewise, against finite differences of the reference.
    pub gradient_tolerance: f64,
    /// Outputs from this one on are kept for the backward rule only: they are checked, but no gradient comes in by them.
    pub saved_from: usize,
}

/// One input of a [`Case`].
#[derive(Debug, Clone)]
pub struct Input {
    /// Shape and element type.
    pub meta: Meta,
    /// What it holds.
    pub fill: Fill,
    /// Whether its gradient is checked.
    pub grad: bool,
}

/// What an input holds.
#[derive(Debug, Clone)]
pub enum Fill {
    /// Standard normal times a factor.
    Normal(f64),
    /// Uniform between two numbers.
    Uniform(f64, f64),
    /// Standard normal times the factor, kept 0.01 away from the points, where the op has a kink.
    Away(f64, &'static [f64]),
    /// All values different by at least 0.01, in random order: for maxima.
    Distinct,
    /// Integers in 0..n.
    Below(usize),
    /// Rows over the last dimension that are positive and sum to one.
    Probabilities,
    /// These numbers, repeated as needed.
    Values(Vec<f64>),
}

impl Case {
    /// A case with the usual tolerances.
    pub fn new(op: impl Op + 'static, inputs: Vec<Input>) -> Self {
        Self { op: Rc::new(op), inputs, tolerance: 2e-5, gradient_tolerance: 1e-4, saved_from: usize::MAX }
    }

    /// The same with another forward tolerance; say why where you use it.
    pub fn tolerance(mut self, forward: f64) -> Self {
        self.tolerance = forward;
        self
    }

    /// The same for an op whose outputs from `first` on are kept for its backward rule only.
    pub fn saved_from(mut self, first: usize) -> Self {
        self.saved_from = first;
        self
    }

    /// `gelu [3, 47]`
    pub fn label(&self) -> String {
        let shapes: Vec<String> = self.inputs.iter().map(|i| i.meta.shape.to_string()).collect();
        format!("{:?} {}", self.op, shapes.join(" "))
    }
}

impl Input {
    /// A standard normal f32 input whose gradient is checked.
    pub fn normal(shape: impl Into<Shape>) -> Self {
        Self { meta: Meta::f32(shape), fill: Fill::Normal(1.0), grad: true }
    }

    /// An f32 input with this fill, whose gradient is checked.
    pub fn filled(shape: impl Into<Shape>, fill: Fill) -> Self {
        Self { meta: Meta::f32(shape), fill, grad: true }
    }

    /// An i32 input of numbers in 0..n.
    pub fn below(shape: impl Into<Shape>, n: usize) -> Self {
        Self { meta: Meta::i32(shape), fill: Fill::Below(n), grad: false }
    }

    /// Without a gradient check.
    pub fn no_grad(mut self) -> Self {
        self.grad = false;
        self
    }

    /// Its values, rounded to the element type.
    pub fn values(&self, random: &mut Stream) -> Vec<f64> {
        let n = self.meta.len();
        let raw: Vec<f64> = match &self.fill {
            Fill::Normal(factor) => (0..n).map(|_| random.normal() * factor).collect(),
            Fill::Uniform(low, high) => (0..n).map(|_| random.uniform(*low, *high)).collect(),
            Fill::Away(factor, points) => (0..n).map(|_| away(random.normal() * factor, points)).collect(),
            Fill::Distinct => {
                let step = 0.01f64.max(4.0 / n.max(1) as f64);
                random.permutation(n).into_iter().map(|i| (i as f64 - n as f64 / 2.0) * step).collect()
            }
            Fill::Below(most) => (0..n).map(|_| random.below(*most) as f64).collect(),
            Fill::Probabilities => {
                let row = self.meta.shape.dims().last().copied().unwrap_or(1).max(1);
                let mut all: Vec<f64> = (0..n).map(|_| (random.normal()).exp()).collect();
                for chunk in all.chunks_mut(row) {
                    let sum: f64 = chunk.iter().sum();
                    chunk.iter_mut().for_each(|x| *x /= sum);
                }
                all
            }
            Fill::Values(values) => values.iter().copied().cycle().take(n).collect(),
        };
        match self.meta.dtype {
            DType::F32 => raw.into_iter().map(|x| f64::from(x as f32)).collect(),
            DType::I32 => raw.into_iter().map(f64::trunc).collect(),
        }
    }
}

fn away(x: f64, points: &[f64]) -> f64 {
    const GAP: f64 = 0.01;
    points.iter().fold(x, |x, p| if (x - p).abs() < GAP { p + GAP.copysign(x - p) } else { x })
}
