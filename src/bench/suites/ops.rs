//! Every op of [`OPS`] at a shape that training uses.
//!
//! A line of the table takes an op from the conformance cases and gives its inputs larger shapes. Ops whose settings hold
//! sizes are recorded instead. An op without a line runs at the largest of its conformance cases, so none is left out.

use super::kernels::case;
use crate::Result;
use crate::bench::case::Case;
use crate::bench::kernel::{Pass, recorded};
use crate::ops::update::BLOCK;
use crate::ops::{Case as OpCase, OPS, OpSpec};
use crate::tape::{Meta, Tape, Tensor};

/// Parameters of a small network, and the blocks of its decay mask.
const N: usize = 1 << 20;
const BLOCKS: usize = N / BLOCK;

/// Op file, part of the op's settings that picks among its cases, and shapes of its inputs.
#[rustfmt::skip]
const RESHAPED: &[(&str, &str, &[&[usize]])] = &[
    ("adam", "decoupled: false", &[&[N], &[N], &[2], &[BLOCKS], &[BLOCKS], &[N], &[N]]),
    ("augment", "crop_padding: 4, flip: true", &[&[64 * 3 * 32 * 32 / 4], &[64]]),
    ("average_pool", "Adaptive([1, 1])", &[&[64, 128, 8, 8]]),
    ("batch_norm", "BatchNormTrain", &[&[64, 64, 16, 16], &[64], &[64], &[64], &[64]]),
    ("batch_norm", "BatchNormEval", &[&[64, 64, 16, 16], &[64], &[64], &[64], &[64]]),
    ("binary", "Add", &[&[64, 64, 16, 16], &[64, 64, 16, 16]]),
    ("binary", "Mul", &[&[64, 64, 16, 16], &[1, 64, 1, 1]]),
    ("concat", "axis: 1", &[&[64, 32, 16, 16], &[64, 32, 16, 16]]),
    ("copy", "Copy", &[&[N]]),
    ("cosine", "", &[&[64, 4096], &[64, 4096]]),
    ("cross_entropy", "label_smoothing: 0.1, ignore_label: 2", &[&[256, 1000], &[256]]),
    ("dropout", "p: 0.25", &[&[N], &[1]]),
    ("gemm", "trans_b: true", &[&[64, 784], &[128, 784], &[128]]),
    ("grad_norm", "", &[&[N], &[BLOCKS]]),
    ("kl_div", "temperature: 4.0", &[&[256, 1000], &[256, 1000]]),
    ("layer_norm", "", &[&[64, 64, 384], &[384], &[384]]),
    ("lerp", "", &[&[N], &[N]]),
    ("metrics", "", &[&[256, 1000], &[256], &[1], &[1], &[4]]),
    ("pool", "kernel: [2, 2], stride: [2, 2], padding: [0, 0] }, index: true, relu: false", &[&[64, 32, 28, 28]]),
    ("l2_sp", "", &[&[N], &[N], &[N], &[BLOCKS]]),
    ("regression", "Mse", &[&[64, 64, 16, 16], &[64, 64, 16, 16]]),
    ("scale", "Factor(-1.25)", &[&[N]]),
    ("sgd", "nesterov: false", &[&[N], &[N], &[2], &[BLOCKS], &[BLOCKS], &[N]]),
    ("softmax", "axis: 1, log: false", &[&[1024, 1000]]),
    ("softmax", "axis: 1, log: true", &[&[1024, 1000]]),
    ("unary", "Relu)", &[&[64, 64, 16, 16]]),
    ("unary", "Gelu)", &[&[64, 64, 16, 16]]),
];

type Record = fn(&Tape) -> Result<Tensor>;

/// Op file, bound of its integer inputs, and how it is recorded.
const RECORDED: &[(&str, usize, Record)] = &[
    ("argmax", 0, |tape| tape.input("x", [1024, 1000]).argmax(1)),
    ("broadcast", 0, |tape| tape.input("x", [1, 64, 1, 1]).broadcast_to([64, 64, 16, 16])),
    ("gather", 1000, |tape| tape.input("x", [1024, 1000]).gather(1, &tape.input_i32("index", [1024, 100]))),
    ("gather", 20_000, |tape| tape.input("x", [20_000, 64]).gather(0, &tape.input_i32("index", [256, 64]))),
    ("pad", 0, |tape| tape.input("x", [64, 64, 16, 16]).pad(&[(0, 0), (0, 0), (1, 1), (1, 1)], 0.0)),
    ("permute", 0, |tape| tape.input("x", [1024, 1024]).transpose(0, 1)),
    ("reduce", 0, |tape| tape.input("x", [64, 64, 16, 16]).sum(&[0, 2, 3], false)),
    ("reduce", 0, |tape| tape.input("x", [1024, 1000]).mean(&[1], false)),
    ("slice", 0, |tape| tape.input("x", [64, 64, 16, 16]).slice(1, 16, 32)),
    ("upsample", 0, |tape| tape.input("x", [64, 32, 16, 16]).upsample_nearest([32, 32])),
    ("upsample", 0, |tape| tape.input("x", [64, 32, 16, 16]).upsample_bilinear([32, 32], false)),
];

/// Forward, and all gradients together, of each op.
pub fn cases() -> Result<Vec<Case>> {
    let mut all = Vec::new();
    for spec in OPS {
        for op in of(spec)? {
            let name = format!("{} {}", op.op.name(), shapes(&op));
            let forward = op.clone();
            all.push(case(spec.name, name.clone(), Pass::Forward, move || Ok(forward.clone())));
            if op.op.differentiable() && op.inputs.iter().any(|i| i.grad) {
                all.push(case(
                    spec.name,
                    format!("{name}, gradient"),
                    Pass::Backward,
                    move || Ok(op.clone()),
                ));
            }
        }
    }
    Ok(all)
}

/// Like `64x64x16x16 64`: the first two inputs.
fn shapes(op: &OpCase) -> String {
    let shape = |meta: &Meta| meta.shape.dims().iter().map(usize::to_string).collect::<Vec<_>>().join("x");
    op.inputs.iter().take(2).map(|i| shape(&i.meta)).collect::<Vec<_>>().join(" ")
}

/// The cases of an op file.
fn of(spec: &OpSpec) -> Result<Vec<OpCase>> {
    let conformance = (spec.cases)();
    let mut all = Vec::new();
    for (_, settings, shapes) in RESHAPED.iter().filter(|line| line.0 == spec.name) {
        all.extend(reshaped(&conformance, settings, shapes));
    }
    for (_, below, record) in RECORDED.iter().filter(|line| line.0 == spec.name) {
        all.push(recorded(*below, record)?);
    }
    if all.is_empty() {
        let size = |case: &&OpCase| case.inputs.iter().map(|i| i.meta.len()).sum::<usize>();
        all.extend(conformance.iter().max_by_key(size).cloned());
    }
    Ok(all)
}

/// The first case whose op has the settings and as many inputs, with other shapes.
fn reshaped(cases: &[OpCase], settings: &str, shapes: &[&[usize]]) -> Option<OpCase> {
    let fits =
        |case: &&OpCase| case.inputs.len() == shapes.len() && format!("{:?}", case.op).contains(settings);
    let mut case = cases.iter().find(fits)?.clone();
    for (input, dims) in case.inputs.iter_mut().zip(shapes) {
        input.meta.shape = dims.to_vec().into();
    }
    Some(case)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line that no longer finds its case would drop its op silently to a conformance shape.
    #[test]
    fn every_line_of_the_table_finds_its_op() {
        for (name, settings, shapes) in RESHAPED {
            let spec =
                OPS.iter().find(|spec| spec.name == *name).unwrap_or_else(|| panic!("no op file {name}"));
            let found = reshaped(&(spec.cases)(), settings, shapes);
            let found = found.unwrap_or_else(|| panic!("{name}: no case with \"{settings}\""));
            let metas: Vec<Meta> = found.inputs.iter().map(|i| i.meta.clone()).collect();
            found.op.infer(&metas).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        assert!(RECORDED.iter().all(|(name, ..)| OPS.iter().any(|spec| spec.name == *name)));
    }

    #[test]
    fn every_op_is_there_under_a_name_of_its_own() {
        let all = cases().unwrap();
        let names: std::collections::BTreeSet<String> = all.iter().map(Case::path).collect();
        assert_eq!(names.len(), all.len(), "two cases share a name, and a comparison would mix them up");
        assert!(OPS.iter().all(|spec| all.iter().any(|case| case.group == spec.name)));
    }
}
