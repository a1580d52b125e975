//! Batch normalisation (Ioffe and Szegedy 1502.03167) of x (N, C, H, W) or (N, C):
//! y = (x - mean_c) / sqrt(var_c + eps) * gamma_c + beta_c.
//!
//! Training takes mean and biased variance from the batch, and moves the running statistics in place:
//! running = (1 - momentum) * running + momentum * batch, with the unbiased variance, as PyTorch does. Evaluation takes
//! the given statistics as constants.
//!
//! Variances are merged from partial moments, so inputs far from zero lose no more than their own rounding.

use std::rc::Rc;

use crate::gpu::{Caps, Grid, Kernel};
use crate::ops::common::{expect_f32, expect_inputs};
use crate::ops::costs::Costs;
use crate::ops::epilogue::Epilogue;
use crate::ops::function::Function;
use crate::ops::norm::batch_backward::{BatchNormBackward, backward};
use crate::ops::spec::{Case, Fill, Input, OpSpec};
use crate::ops::unary::Unary;
use crate::tape::{Array, Backward, Consumer, Fused, Lowering, Meta, Op, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../../shaders/norm/batch_norm.wgsl");

/// y, and the batch's mean and 1 / std (C), from x, gamma, beta, running mean, running variance.
#[derive(Debug, Clone, Copy)]
struct BatchNormTrain {
    momentum: f32,
    eps: f32,
}

/// y from x, gamma, beta, mean, variance.
#[derive(Debug, Clone, Copy)]
pub(in crate::ops) struct BatchNormEval {
    pub eps: f32,
    /// A function of y, in the same kernel; there is no gradient then.
    pub activation: Option<Function>,
}

/// x seen as (n, c, plane).
#[derive(Debug, Clone, Copy)]
pub(in crate::ops) struct Layout {
    n: usize,
    pub c: usize,
    plane: usize,
}

impl Layout {
    pub fn of(dims: &[usize]) -> Self {
        Self { n: dims[0], c: dims[1], plane: dims[2..].iter().product() }
    }

    /// Elements of a channel.
    pub fn count(self) -> usize {
        self.n * self.plane
    }

    fn width(self) -> usize {
        if self.plane.is_multiple_of(4) { 4 } else { 1 }
    }

    /// `Elem`s of a plane that one invocation of an element-wise kernel handles.
    fn span(self) -> usize {
        if (self.plane / self.width()).is_multiple_of(4) { 4 } else { 1 }
    }

    /// Workgroups that share a channel.
    pub fn chunks(self, caps: &Caps) -> usize {
        let costs = &Costs::of(caps).batch_norm;
        if self.c >= costs.whole_channels {
            return 1;
        }
        let elems = self.count() / self.width();
        elems.div_ceil(costs.loads_each).min(costs.workgroups.div_ceil(self.c))
    }

    /// A kernel whose workgroups reduce a channel or a chunk of one.
    pub fn reducing(self, caps: &Caps, entry: &'static str) -> Kernel {
        let costs = &Costs::of(caps).batch_norm;
        let large = self.plane / self.width() >= costs.large_plane;
        self.kernel(caps, entry, costs.workgroup[usize::from(large)])
    }

    /// Dispatches a kernel with an invocation for each span of a plane.
    pub fn elements(
        self,
        to: &mut Lowering<'_>,
        entry: &'static str,
        settings: impl Fn(Kernel) -> Kernel,
        bindings: &[Slot],
    ) {
        let workgroup = Costs::of(to.caps()).batch_norm.element_workgroup;
        let invocations = self.n * self.c * self.plane / self.width() / self.span();
        let kernel = settings(self.kernel(to.caps(), entry, workgroup));
        to.dispatch(kernel, bindings, Grid::linear(invocations.div_ceil(workgroup)));
    }

    fn kernel(self, caps: &Caps, entry: &'static str, workgroup: usize) -> Kernel {
        let (chunks, elems) = (self.chunks(caps), self.count() / self.width());
        Kernel::new("batch_norm", entry, SHADER)
            .define("VECTOR", (self.width() == 4).into())
            .define("SHARED", 1)
            .define("WORKGROUP", workgroup)
            .define("CHANNELS", self.c)
            .define("PLANE", self.plane / self.width())
            .define("PLANES", self.n * self.c)
            .define("ELEMS", elems)
            .define("COUNT", self.count())
            .define("CHUNKS", chunks)
            .define("PER", elems.div_ceil(chunks))
            .define("SPAN", self.span())
    }

    /// Channel of element i.
    pub fn channel(self, i: usize) -> usize {
        i / self.plane % self.c
    }

    /// For each channel the sum of f(i) over its elements.
    pub fn sums(self, f: impl Fn(usize) -> f64) -> Vec<f64> {
        let mut sums = vec![0.0; self.c];
        for i in 0..self.n * self.c * self.plane {
            sums[self.channel(i)] += f(i);
        }
        sums
    }
}

/// Fails unless inputs are x (N, C, ..) and `vectors` tensors (C).
fn expect_layout(op: &str, inputs: &[Meta], vectors: usize) -> Result<Layout> {
    expect_inputs(op, inputs, 1 + vectors)?;
    expect_f32(op, inputs)?;
    let dims = inputs[0].shape.dims();
    if dims.len() < 2 || inputs[0].is_empty() {
        return Err(Error::shape(op, "x (N, C) or (N, C, H, W), not empty", inputs[0].to_string()));
    }
    match inputs[1..].iter().find(|m| m.shape.dims() != [dims[1]]) {
        None => Ok(Layout::of(dims)),
        Some(other) => {
            let expected = format!("gamma, beta, mean and variance [{}] for x {}", dims[1], inputs[0].shape);
            Err(Error::shape(op, expected, other.to_string()))
        }
    }
}

fn expect_eps(op: &str, eps: f32) -> Result<()> {
    if eps > 0.0 && eps.is_finite() {
        return Ok(());
    }
    Err(Error::shape(op, "eps above zero", eps.to_string()))
}

impl Op for BatchNormTrain {
    fn name(&self) -> &'static str {
        "batch_norm_train"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        let layout = expect_layout(self.name(), inputs, 4)?;
        expect_eps(self.name(), self.eps)?;
        if !(0.0..=1.0).contains(&self.momentum) {
            return Err(Error::shape(self.name(), "momentum from 0 to 1", self.momentum.to_string()));
        }
        if layout.count() < 2 {
            let expected = "more than one value a channel, to have a variance (use a larger batch)";
            return Err(Error::shape(self.name(), expected, inputs[0].to_string()));
        }
        Ok(vec![inputs[0].clone(), Meta::f32([layout.c]), Meta::f32([layout.c])])
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        backward(BatchNormBackward { train: true, eps: self.eps }, at, &at.outputs[1], &at.outputs[2])
    }

    fn in_place(&self) -> &[usize] {
        &[3, 4]
    }

    /// With a momentum of 0 the running statistics keep their bits.
    fn recompute_as(&self) -> Option<Rc<dyn Op>> {
        Some(Rc::new(Self { momentum: 0.0, ..*self }))
    }

    fn keep_f32(&self) -> &[usize] {
        &[1, 2]
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let layout = Layout::of(to.input(0));
        let [x, gamma, beta, running_mean, running_var] = [0, 1, 2, 3, 4].map(Slot::Input);
        let [y, mean, rstd] = [0, 1, 2].map(Slot::Output);
        let settings = |kernel: Kernel| {
            kernel
                .define("TRAIN", 1)
                .define("ACTIVATED", 0)
                .define_f32("EPS", self.eps)
                .define_f32("MOMENTUM", self.momentum)
        };
        let caps = &to.caps().clone();
        let reducing = |entry| settings(layout.reducing(caps, entry));
        let channels = Grid::linear(layout.c);
        let chunks = layout.chunks(caps);
        if chunks == 1 {
            let bindings = [x, gamma, beta, running_mean, running_var, y, mean, rstd];
            to.dispatch(reducing("forward_channel"), &bindings, channels);
            return Ok(());
        }
        let partials = to.scratch(4 * layout.c * chunks);
        to.dispatch(reducing("forward_partial"), &[x, partials], Grid::linear(layout.c * chunks));
        let bindings = [partials, running_mean, running_var, mean, rstd];
        to.dispatch(reducing("forward_merge"), &bindings, channels);
        layout.elements(to, "forward_elements", settings, &[x, gamma, beta, mean, rstd, y]);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let x = &inputs[0];
        let layout = Layout::of(x.dims());
        let count = layout.count() as f64;
        let (eps, momentum) = (f64::from(self.eps), f64::from(self.momentum));
        let per_channel = |data: Vec<f64>| Array::new([layout.c], data);
        let mean: Vec<f64> = layout.sums(|i| x.data[i]).iter().map(|s| s / count).collect();
        let squares = layout.sums(|i| (x.data[i] - mean[layout.channel(i)]).powi(2));
        let rstd: Vec<f64> = squares.iter().map(|s| 1.0 / (s / count + eps).sqrt()).collect();
        let moved = |old: &Array, batch: Vec<f64>| {
            let pairs = old.data.iter().zip(batch);
            per_channel(pairs.map(|(old, new)| (1.0 - momentum) * old + momentum * new).collect())
        };
        let running_mean = moved(&inputs[3], mean.clone());
        let running_var = moved(&inputs[4], squares.iter().map(|s| s / (count - 1.0)).collect());
        let y = normalised(inputs, layout, &mean, &rstd);
        vec![y, per_channel(mean), per_channel(rstd), running_mean, running_var]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        7 * inputs[0].len() as u64
    }
}

impl Op for BatchNormEval {
    fn name(&self) -> &'static str {
        if self.activation.is_some() { "norm+activation" } else { "batch_norm_eval" }
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_layout(self.name(), inputs, 4)?;
        expect_eps(self.name(), self.eps)?;
        Ok(vec![inputs[0].clone()])
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        if self.activation.is_some() {
            return Err(Error::shape(self.name(), "an op with a gradient", "the fused form, which has none"));
        }
        backward(BatchNormBackward { train: false, eps: self.eps }, at, &at.inputs[3], &at.inputs[4])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let layout = Layout::of(to.input(0));
        let settings = |kernel: Kernel| {
            let kernel = kernel.define("TRAIN", 0).define_f32("EPS", self.eps).define_f32("MOMENTUM", 0.0);
            let kernel = kernel.define("ACTIVATED", self.activation.is_some().into());
            self.activation.map_or(kernel.clone(), |function| function.define(kernel))
        };
        let bindings = [&[0, 1, 2, 3, 4].map(Slot::Input)[..], &[Slot::Output(0)]].concat();
        layout.elements(to, "forward_elements", settings, &bindings);
        Ok(())
    }

    fn absorb(&self, own: &[Tensor], consumer: &Consumer<'_>) -> Option<Fused> {
        let &Unary(function) = consumer.op::<Unary>().filter(|unary| Epilogue::takes(unary.0))?;
        let op = Rc::new(BatchNormEval { activation: Some(function), ..*self });
        self.activation.is_none().then(|| Fused { op, inputs: own.to_vec(), rounds: false })
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let rstd = inputs[4].map(|v| 1.0 / (v + f64::from(self.eps)).sqrt());
        let y = normalised(inputs, Layout::of(inputs[0].dims()), &inputs[3].data, &rstd.data);
        vec![match self.activation {
            Some(function) => y.map(|x| function.value(x)),
            None => y,
        }]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        3 * inputs[0].len() as u64
    }
}

/// (x - mean) * rstd * gamma + beta.
fn normalised(inputs: &[Array], layout: Layout, mean: &[f64], rstd: &[f64]) -> Array {
    let (x, gamma, beta) = (&inputs[0], &inputs[1], &inputs[2]);
    let y = x.data.iter().enumerate().map(|(i, x)| {
        let c = layout.channel(i);
        (x - mean[c]) * rstd[c] * gamma.data[c] + beta.data[c]
    });
    Array::new(x.shape.clone(), y.collect())
}

impl Tensor {
    /// Batch normalisation of (N, C, H, W) or (N, C) by the batch's own statistics. `running_mean` and `running_var` (C)
    /// live in the caller's buffers and are updated in place.
    pub fn batch_norm_train(
        &self,
        gamma: &Tensor,
        beta: &Tensor,
        running_mean: &Tensor,
        running_var: &Tensor,
        momentum: f32,
        eps: f32,
    ) -> Result<Tensor> {
        let op = BatchNormTrain { momentum, eps };
        self.tape().record1(op, &[self, gamma, beta, running_mean, running_var])
    }

    /// Batch normalisation by given statistics (C), which are constants to the gradient.
    pub fn batch_norm_eval(
        &self,
        gamma: &Tensor,
        beta: &Tensor,
        mean: &Tensor,
        var: &Tensor,
        eps: f32,
    ) -> Result<Tensor> {
        self.tape().record1(BatchNormEval { eps, activation: None }, &[self, gamma, beta, mean, var])
    }

    /// Scale and shift (C) of the batch norm that made this tensor, in either mode; `None` for anything else.
    pub fn normalised_by(&self) -> Option<(Tensor, Tensor)> {
        let train = self.producer::<BatchNormTrain>().map(|(_, inputs)| inputs);
        let inputs = train.or_else(|| Some(self.producer::<BatchNormEval>()?.1))?;
        Some((inputs.get(1)?.clone(), inputs.get(2)?.clone()))
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "batch_norm", cases };

fn inputs(x: Input) -> Vec<Input> {
    let c = x.meta.shape[1];
    let var = Input::filled([c], Fill::Uniform(0.2, 3.0)).no_grad();
    vec![x, Input::normal([c]), Input::normal([c]), Input::normal([c]).no_grad(), var]
}

fn cases() -> Vec<Case> {
    let train = BatchNormTrain { momentum: 0.1, eps: 1e-5 };
    let mut all = Vec::new();
    // One workgroup a channel and several (fewer than four channels), as scalars and as vec4.
    let shapes: [&[usize]; 11] = [
        &[2, 1],
        &[64, 47],
        &[3, 5, 7, 11],
        &[2, 4, 1, 1],
        &[5, 16, 4, 4],
        &[2, 41, 8, 6],
        &[1, 3, 2, 2],
        &[4, 1, 41, 55],
        &[8, 2, 48, 48],
        &[9, 3, 61, 60],
        &[8, 3, 33, 31],
    ];
    for shape in shapes {
        // Two values a channel are +-1 whatever they were: with a small eps dx is the rounding of terms that cancel.
        let two = shape.iter().product::<usize>() == 2 * shape[1];
        let op = BatchNormTrain { eps: if two { 0.5 } else { train.eps }, ..train };
        all.push(Case::new(op, inputs(Input::normal(shape))).saved_from(1));
        let eval = BatchNormEval { eps: 1e-3, activation: None };
        all.push(Case::new(eval, inputs(Input::normal(shape))));
        let relu = BatchNormEval { activation: Some(Function::Relu), ..eval };
        all.push(Case::new(relu, inputs(Input::normal(shape)).into_iter().map(Input::no_grad).collect()));
    }
    // Mean 1000, standard deviation 1: the rounding of x itself is 3e-5.
    for shape in [[16, 5, 8, 8], [8, 2, 64, 64], [9, 1, 61, 61]] {
        let x = Input::filled(shape, Fill::Uniform(998.27, 1001.73)).no_grad();
        all.push(Case::new(train, inputs(x)).saved_from(1).tolerance(2e-4));
    }
    let last = BatchNormTrain { momentum: 1.0, eps: 1e-5 };
    all.push(Case::new(last, inputs(Input::normal([6, 4, 3, 3]))).saved_from(1));
    all
}
