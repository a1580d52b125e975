//! Single ops: products, the layers of known networks, what surrounds them, and every op at a size that training has.

use super::super::benchmark::{Benchmark, Suite, Target};
use super::super::kernel::{KernelWork, Pass, recorded};
use super::{layers, ops};
use crate::Result;
use crate::ops::Case;
use crate::ops::conv2d::Conv2d;
use crate::ops::cross_entropy::CrossEntropy;
use crate::ops::kl_div::KlReduction;
use crate::tape::{Tape, Tensor};

/// Sizes of square products.
const GEMM: [usize; 5] = [256, 512, 1024, 2048, 4096];

/// (N, C, H, W) and output channels of 3x3 convolutions that engines are compared by.
const CONVOLUTIONS: [([usize; 4], usize); 3] =
    [([32, 32, 28, 28], 64), ([64, 1, 28, 28], 32), ([64, 64, 14, 14], 128)];

type Record = fn(&Tape) -> Result<Tensor>;

/// Group, name, and the op on usual sizes; the last op that is recorded is the one that is timed.
const OTHERS: [(&str, &str, Record); 4] = [
    ("linear", "[64, 3136] to 128", |t| t.input("x", [64, 3136]).linear(&t.input("w", [128, 3136]), None)),
    ("softmax", "[4096, 100]", |t| t.input("x", [4096, 100]).softmax(1)),
    ("loss", "cross_entropy [4096, 100]", |t| {
        t.input("x", [4096, 100]).cross_entropy(&t.input_i32("y", [4096]), &CrossEntropy::default())
    }),
    ("loss", "kl_div [4096, 100]", |t| {
        t.input("s", [4096, 100]).kl_div(&t.input("t", [4096, 100]), 4.0, KlReduction::BatchMean)
    }),
];

/// All of them.
pub fn cases(target: &Target, quick: bool) -> Result<Vec<Benchmark>> {
    let mut all = Vec::new();
    for n in GEMM.into_iter().take(if quick { 2 } else { GEMM.len() }) {
        let make = move || recorded(1, |t| t.input("a", [n, n]).matmul(&t.input("b", [n, n])));
        all.push(case("gemm", n.to_string(), Pass::Forward, make));
    }
    for (x, c_out) in CONVOLUTIONS {
        let make = move || {
            let w = [c_out, x[1], 3, 3];
            recorded(1, |t| t.input("x", x).conv2d(&t.input("w", w), None, Conv2d::square(1, 1)))
        };
        let [n, c, h, w] = x;
        all.extend(passes("conv", &format!("{n}x{c}x{h}x{w} to {c_out} 3x3"), make));
    }
    for (group, name, record) in OTHERS {
        let make = move || recorded(100, record);
        all.push(case(group, name, Pass::Forward, make));
        all.push(case(group, format!("{name}, gradient"), Pass::Backward, make));
    }
    all.extend(ops::cases()?);
    all.extend(layers::cases(target, quick)?);
    Ok(all)
}

/// The case of one pass of an op.
pub fn case(
    group: &str,
    name: impl Into<String>,
    pass: Pass,
    make: impl Fn() -> Result<Case> + 'static,
) -> Benchmark {
    Benchmark::new(Suite::Kernels, group, name, move |target| {
        Ok(KernelWork::new(target, &make()?, pass)?.prepare())
    })
}

/// A layer forward, and the gradients of its input and of its weight, each on its own.
pub fn passes(kind: &str, name: &str, make: impl Fn() -> Result<Case> + Clone + 'static) -> [Benchmark; 3] {
    [
        case(&format!("{kind} forward"), name, Pass::Forward, make.clone()),
        case(&format!("{kind} dx"), name, Pass::Gradient(0), make.clone()),
        case(&format!("{kind} dw"), name, Pass::Gradient(1), make),
    ]
}
