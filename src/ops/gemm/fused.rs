//! A matrix product and the activation behind it in one kernel, where no gradient is wanted: C = f(op(A) op(B) + bias).

use std::rc::Rc;

use crate::Result;
use crate::ops::epilogue::Epilogue;
use crate::ops::function::Function;
use crate::ops::gemm::Gemm;
use crate::ops::spec::{Case, Input, OpSpec};
use crate::ops::unary::Unary;
use crate::tape::{Array, Consumer, Fused, Lowering, Meta, Op, Step, Tensor};

/// Inputs as of [`Gemm`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FusedGemm {
    /// The product.
    pub gemm: Gemm,
    /// f.
    pub activation: Function,
}

impl FusedGemm {
    fn epilogue(&self) -> Epilogue {
        Epilogue { residual: false, activation: Some(self.activation) }
    }
}

impl Op for FusedGemm {
    fn name(&self) -> &'static str {
        "gemm+activation"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        self.gemm.infer(inputs)
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        self.gemm.lower_with(to, self.epilogue())
    }

    fn reference(&self, step: &Step, inputs: &[Array]) -> Vec<Array> {
        let c = self.gemm.reference(step, inputs);
        c.into_iter().map(|c| self.epilogue().reference(c, None)).collect()
    }

    fn flops(&self, inputs: &[Meta], outputs: &[Meta]) -> u64 {
        self.gemm.flops(inputs, outputs) + outputs[0].len() as u64
    }
}

impl Gemm {
    /// This product and a function of it.
    pub(super) fn with_activation(self, own: &[Tensor], consumer: &Consumer<'_>) -> Option<Fused> {
        let &Unary(activation) = consumer.op::<Unary>().filter(|unary| Epilogue::takes(unary.0))?;
        Some(Fused { op: Rc::new(FusedGemm { gemm: self, activation }), inputs: own.to_vec(), rounds: false })
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "gemm_fused", cases };

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    let sizes = [(1, 1, 1), (33, 31, 47), (65, 64, 63), (4, 8, 300), (64, 10, 784)];
    for (i, (m, n, k)) in sizes.into_iter().enumerate() {
        for trans_b in [false, true] {
            let b = if trans_b { [n, k] } else { [k, n] };
            let mut inputs = vec![Input::normal([m, k]).no_grad(), Input::normal(b).no_grad()];
            if trans_b {
                inputs.push(Input::normal([n]).no_grad());
            }
            let activation = if i % 2 == 0 { Function::Relu } else { Function::Hardswish };
            all.push(Case::new(FusedGemm { gemm: Gemm { trans_a: false, trans_b }, activation }, inputs));
        }
    }
    all
}
