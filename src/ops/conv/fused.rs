//! A convolution and what follows it in inference, in one kernel: y = f(norm(conv2d(x, w, b)) + residual).
//!
//! norm is batch norm by given statistics, which the kernel that prepares the weights folds into them: per output channel
//! w' = w * s, b' = beta + (b - mean) * s with s = gamma / sqrt(var + eps). Residual and activation happen as the results
//! are stored. None of the tensors in between exists, so there is no gradient: [`Op::absorb`] offers this form only where
//! none is wanted.

use std::rc::Rc;

use crate::ops::binary::Binary;
use crate::ops::common::expect_inputs;
use crate::ops::conv::conv2d::Conv2d;
use crate::ops::conv::lower::{ConvOperands, Norm};
use crate::ops::epilogue::Epilogue;
use crate::ops::function::Function;
use crate::ops::norm::batch::BatchNormEval;
use crate::ops::spec::{Case, Fill, Input, OpSpec};
use crate::ops::unary::Unary;
use crate::tape::{Array, Consumer, Fused, Lowering, Meta, Op, Slot, Step, Tensor};
use crate::{Error, Result};

/// Inputs: x, w, with `bias` b (c_out), with `norm` gamma, beta, mean and variance (c_out each), with a residual one like y.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FusedConv2d {
    /// The convolution.
    pub conv: Conv2d,
    /// Whether it has a bias.
    pub bias: bool,
    /// The eps of the batch norm behind it, where there is one.
    pub norm: Option<f32>,
    /// What comes then.
    pub epilogue: Epilogue,
}

/// Places of the inputs.
struct Places {
    bias: Option<usize>,
    norm: Option<usize>,
    residual: Option<usize>,
    count: usize,
}

impl FusedConv2d {
    fn places(&self) -> Places {
        let mut count = 2;
        let mut place = |there: bool, inputs: usize| {
            count += if there { inputs } else { 0 };
            there.then(|| count - inputs)
        };
        let (bias, norm) = (place(self.bias, 1), place(self.norm.is_some(), 4));
        let residual = place(self.epilogue.residual, 1);
        Places { bias, norm, residual, count }
    }

    /// x, w and the bias, as [`Conv2d`] takes them.
    fn conv_inputs<T: Clone>(&self, inputs: &[T]) -> Vec<T> {
        inputs[..2 + usize::from(self.bias)].to_vec()
    }
}

impl Op for FusedConv2d {
    fn name(&self) -> &'static str {
        match (self.norm.is_some(), self.epilogue.residual, self.epilogue.activation.is_some()) {
            (false, false, false) => "conv2d",
            (false, false, true) => "conv2d+activation",
            (false, true, false) => "conv2d+add",
            (false, true, true) => "conv2d+add+activation",
            (true, false, false) => "conv2d+norm",
            (true, false, true) => "conv2d+norm+activation",
            (true, true, false) => "conv2d+norm+add",
            (true, true, true) => "conv2d+norm+add+activation",
        }
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        let Places { norm, residual, count, .. } = self.places();
        expect_inputs(self.name(), inputs, count)?;
        let y = self.conv.infer(&self.conv_inputs(inputs))?;
        if let (Some(first), Some(eps)) = (norm, self.norm) {
            let inputs = [&y, &inputs[first..first + 4]].concat();
            BatchNormEval { eps, activation: None }.infer(&inputs)?;
        }
        match residual.map(|i| &inputs[i]).filter(|&residual| *residual != y[0]) {
            Some(other) => {
                let expected = format!("a residual like the output, {}", y[0]);
                Err(Error::shape(self.name(), expected, other.to_string()))
            }
            None => Ok(y),
        }
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let places = self.places();
        let input = |place: Option<usize>| place.map(Slot::Input);
        let at = ConvOperands {
            x: Slot::Input(0),
            w: Slot::Input(1),
            bias: input(places.bias),
            norm: places
                .norm
                .zip(self.norm)
                .map(|(first, eps)| Norm { statistics: [0, 1, 2, 3].map(|i| Slot::Input(first + i)), eps }),
            residual: input(places.residual),
            y: Slot::Output(0),
        };
        self.conv.sizes(to.input(0), to.input(1))?.lower_forward(to, &at, self.epilogue)
    }

    fn reference(&self, step: &Step, inputs: &[Array]) -> Vec<Array> {
        let Places { norm, residual, .. } = self.places();
        let mut y = self.conv.reference(step, &self.conv_inputs(inputs));
        if let (Some(first), Some(eps)) = (norm, self.norm) {
            let inputs = [&y, &inputs[first..first + 4]].concat();
            y = BatchNormEval { eps, activation: None }.reference(step, &inputs);
        }
        let residual = residual.map(|i| &inputs[i]);
        y.into_iter().map(|y| self.epilogue.reference(y, residual)).collect()
    }

    fn absorb(&self, own: &[Tensor], consumer: &Consumer<'_>) -> Option<Fused> {
        if let Some(norm) = consumer.op::<BatchNormEval>() {
            return self.with_norm(own, norm, consumer);
        }
        if consumer.op::<Binary>() == Some(&Binary::Add) {
            return self.with_residual(own, consumer);
        }
        self.with_activation(own, consumer.op::<Unary>()?.0)
    }

    fn flops(&self, inputs: &[Meta], outputs: &[Meta]) -> u64 {
        let epilogue = usize::from(self.epilogue.residual) + usize::from(self.epilogue.activation.is_some());
        self.conv.flops(inputs, outputs) + (epilogue * outputs[0].len()) as u64
    }
}

impl Conv2d {
    /// This convolution, of `own`, and what reads it.
    pub(super) fn absorb_into_fused(self, own: &[Tensor], consumer: &Consumer<'_>) -> Option<Fused> {
        let alone =
            FusedConv2d { conv: self, bias: own.len() == 3, norm: None, epilogue: Epilogue::default() };
        alone.absorb(own, consumer)
    }
}

impl FusedConv2d {
    /// Then batch norm, by what else that reads.
    fn with_norm(self, own: &[Tensor], norm: &BatchNormEval, consumer: &Consumer<'_>) -> Option<Fused> {
        let free = self.norm.is_none() && self.epilogue == Epilogue::default();
        let inputs = [own, &consumer.others()].concat();
        // Scaled weights round otherwise than scaled sums.
        let fused = Fused { op: Rc::new(Self { norm: Some(norm.eps), ..self }), inputs, rounds: true };
        (free && consumer.place() == 0).then_some(fused)
    }

    /// Then a tensor of the same shape is added, not the output itself.
    fn with_residual(self, own: &[Tensor], consumer: &Consumer<'_>) -> Option<Fused> {
        let (y, others) = (consumer.between(), consumer.others());
        let other = others.first().filter(|other| other.meta() == y.meta() && other.id() != y.id())?;
        let inputs = [own, std::slice::from_ref(other)].concat();
        let epilogue = Epilogue { residual: true, activation: None };
        let fused = Fused { op: Rc::new(Self { epilogue, ..self }), inputs, rounds: false };
        (self.epilogue == Epilogue::default()).then_some(fused)
    }

    /// Then a function.
    fn with_activation(self, own: &[Tensor], function: Function) -> Option<Fused> {
        let free = Epilogue::takes(function) && self.epilogue.activation.is_none();
        let epilogue = Epilogue { activation: Some(function), ..self.epilogue };
        let fused = Fused { op: Rc::new(Self { epilogue, ..self }), inputs: own.to_vec(), rounds: false };
        free.then_some(fused)
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "conv2d_fused", cases };

fn inputs(op: &FusedConv2d, x: [usize; 4], w: [usize; 4]) -> Vec<Input> {
    let channels = || Input::normal([w[0]]).no_grad();
    let mut inputs = vec![Input::normal(x).no_grad(), Input::normal(w).no_grad()];
    if op.bias {
        inputs.push(channels());
    }
    if op.norm.is_some() {
        let variance = Input::filled([w[0]], Fill::Uniform(0.2, 3.0)).no_grad();
        inputs.extend([channels(), channels(), channels(), variance]);
    }
    if op.epilogue.residual {
        let y = op.conv.sizes(&x, &w).map(|s| s.y()).unwrap_or_default();
        inputs.push(Input::normal(y).no_grad());
    }
    inputs
}

fn cases() -> Vec<Case> {
    let square = Conv2d::square;
    let depthwise = |groups, stride| Conv2d { groups, ..square(stride, 1) };
    let strided = Conv2d { stride: [2, 3], padding: [1, 2], dilation: [2, 1], groups: 1 };
    // Kernels for rows, with vec4 stores and without; tiles, also with a reduction that is split; depthwise.
    let shapes: [(Conv2d, [usize; 4], [usize; 4]); 11] = [
        (Conv2d::default(), [1, 1, 1, 1], [1, 1, 1, 1]),
        (square(1, 1), [8, 16, 8, 8], [16, 16, 3, 3]),
        (square(1, 1), [3, 2, 6, 41], [5, 2, 3, 3]),
        (square(2, 1), [5, 3, 9, 9], [33, 3, 3, 3]),
        (Conv2d { groups: 2, ..square(1, 1) }, [2, 14, 12, 47], [10, 7, 3, 3]),
        (square(2, 0), [3, 8, 8, 8], [16, 8, 1, 1]),
        (Conv2d { groups: 2, ..Conv2d::default() }, [2, 14, 5, 4], [10, 7, 1, 1]),
        (Conv2d::default(), [1, 300, 3, 5], [7, 300, 1, 1]),
        (strided, [2, 3, 13, 11], [4, 3, 3, 2]),
        (depthwise(3, 2), [2, 3, 8, 7], [6, 1, 3, 3]),
        (depthwise(3, 1), [2, 3, 6, 12], [3, 1, 3, 3]),
    ];
    use Function::{Hardswish, LeakyRelu, Relu, Relu6};
    let forms = [
        (false, None, false, Some(Relu)),
        (true, None, false, Some(Relu6)),
        (false, Some(1e-5), false, None),
        (true, Some(1e-3), false, Some(Relu)),
        (false, None, true, None),
        (true, Some(1e-5), true, None),
        (false, Some(1e-5), true, Some(Relu)),
        (true, Some(1e-5), true, Some(Hardswish)),
        (false, Some(1e-5), true, Some(LeakyRelu(0.1))),
    ];
    let mut all = Vec::new();
    for (i, (conv, x, w)) in shapes.into_iter().enumerate() {
        for (j, (bias, norm, residual, activation)) in forms.into_iter().enumerate() {
            // Every shape with five of the forms, every form with more than five shapes: each is a pipeline to compile.
            if (i + j) % 2 == 0 || j == 6 {
                let op = FusedConv2d { conv, bias, norm, epilogue: Epilogue { residual, activation } };
                all.push(Case::new(op, inputs(&op, x, w)));
            }
        }
    }
    all
}
