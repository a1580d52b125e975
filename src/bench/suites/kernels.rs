//! Single ops: products and convolutions of the sizes that networks have, what surrounds them, and every other op by the
//! largest case of its conformance test.

use super::super::case::{Case, Suite, Target};
use super::super::kernel::{KernelWork, Pass, recorded};
use crate::Result;
use crate::ops::conv2d::Conv2d;
use crate::ops::cross_entropy::CrossEntropy;
use crate::ops::kl_div::KlReduction;
use crate::ops::pool::Pool;
use crate::ops::{self, Fill, OPS};
use crate::tape::{Tape, Tensor};

/// Sizes of square products.
const GEMM: [usize; 5] = [256, 512, 1024, 2048, 4096];

/// Name, x (N, C, H, W), output channels, kernel size, stride, groups.
type Layer = (&'static str, [usize; 4], usize, usize, usize, usize);

/// The layers that the named networks spend their time in, for batches of 32.
const LAYERS: [Layer; 11] = [
    ("engines compare, N32 C32 28x28 K64", [32, 32, 28, 28], 64, 3, 1, 1),
    ("resnet stem", [32, 3, 32, 32], 16, 3, 1, 1),
    ("resnet stage 1", [32, 16, 32, 32], 16, 3, 1, 1),
    ("resnet stage 2, stride 2", [32, 16, 32, 32], 32, 3, 2, 1),
    ("resnet stage 2", [32, 32, 16, 16], 32, 3, 1, 1),
    ("resnet stage 3", [32, 64, 8, 8], 64, 3, 1, 1),
    ("vgg block 1", [32, 64, 16, 16], 128, 3, 1, 1),
    ("vgg block 3", [32, 256, 4, 4], 512, 3, 1, 1),
    ("mobilenetv2 expansion, 1x1", [32, 24, 16, 16], 144, 1, 1, 1),
    ("mobilenetv2 depthwise", [32, 144, 16, 16], 144, 3, 1, 144),
    ("mobilenetv2 projection, 1x1", [32, 144, 16, 16], 24, 1, 1, 1),
];

type Record = fn(&Tape) -> Result<Tensor>;

/// Group, name, and the op on usual sizes; the last op that is recorded is the one that is timed.
const OTHERS: [(&str, &str, Record); 13] = [
    ("linear", "[64, 3136] to 128", |t| t.input("x", [64, 3136]).linear(&t.input("w", [128, 3136]), None)),
    ("elementwise", "relu", |t| map(t).relu()),
    ("elementwise", "gelu", |t| map(t).gelu()),
    ("elementwise", "add", |t| map(t).add(&map(t))),
    ("pool", "max 2x2", |t| map(t).max_pool2d(&Pool::square(2, 2, 0))),
    ("pool", "global average", |t| map(t).global_avg_pool()),
    ("norm", "batch_norm, eval", |t| {
        let c = || t.input("c", [32]);
        map(t).batch_norm_eval(&c(), &c(), &c(), &c(), 1e-5)
    }),
    ("norm", "layer_norm", |t| {
        let d = || t.input("d", [256]);
        t.input("x", [4096, 256]).layer_norm(&d(), &d(), 1e-5)
    }),
    ("softmax", "[4096, 100]", |t| t.input("x", [4096, 100]).softmax(1)),
    ("reduce", "sum of a map's pixels", |t| map(t).sum(&[2, 3], false)),
    ("loss", "cross_entropy [4096, 100]", |t| {
        t.input("x", [4096, 100]).cross_entropy(&t.input_i32("y", [4096]), &CrossEntropy::default())
    }),
    ("loss", "kl_div [4096, 100]", |t| {
        t.input("s", [4096, 100]).kl_div(&t.input("t", [4096, 100]), 4.0, KlReduction::BatchMean)
    }),
    ("loss", "mse of maps", |t| map(t).mse_loss(&map(t))),
];

fn map(tape: &Tape) -> Tensor {
    tape.input("x", [32, 32, 32, 32])
}

pub fn cases(_: &Target, quick: bool) -> Result<Vec<Case>> {
    let mut all = Vec::new();
    for n in GEMM.into_iter().take(if quick { 2 } else { GEMM.len() }) {
        let make = move || recorded(1, |t| t.input("a", [n, n]).matmul(&t.input("b", [n, n])));
        all.push(case("gemm", n.to_string(), Pass::Forward, make));
    }
    for layer in LAYERS {
        let (name, x, c_out, k, stride, groups) = layer;
        let make = move || {
            let config = Conv2d { groups, ..Conv2d::square(stride, k / 2) };
            let w = [c_out, x[1] / groups, k, k];
            recorded(1, |t| t.input("x", x).conv2d(&t.input("w", w), None, config))
        };
        all.push(case("conv forward", name, Pass::Forward, make));
        all.push(case("conv dx", name, Pass::Gradient(0), make));
        all.push(case("conv dw", name, Pass::Gradient(1), make));
    }
    for (group, name, record) in OTHERS {
        let make = move || {
            let mut case = recorded(100, record)?;
            // A variance has no sign to draw.
            if name.starts_with("batch_norm") {
                case.inputs[4].fill = Fill::Uniform(0.5, 2.0);
            }
            Ok(case)
        };
        all.push(case(group, name, Pass::Forward, make));
        all.push(case(group, format!("{name}, gradient"), Pass::Backward, make));
    }
    for spec in OPS {
        let make = move || largest(spec);
        all.push(case("every op", spec.name, Pass::Forward, make));
    }
    Ok(all)
}

fn case(
    group: &str,
    name: impl Into<String>,
    pass: Pass,
    make: impl Fn() -> Result<ops::Case> + 'static,
) -> Case {
    Case::new(Suite::Kernels, group, name, move |target| {
        Ok(KernelWork::new(target, &make()?, pass)?.prepare())
    })
}

/// The conformance case with the most elements.
fn largest(spec: &ops::OpSpec) -> Result<ops::Case> {
    let elements = |case: &ops::Case| case.inputs.iter().map(|i| i.meta.len()).sum::<usize>();
    let found = (spec.cases)().into_iter().max_by_key(elements);
    found.ok_or_else(|| crate::Error::config("bench", format!("{} has no case", spec.name)))
}
