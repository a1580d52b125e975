//! Every op of [`OPS`] at a shape that training uses.
//!
//! A line of the table takes an op from the conformance cases and gives its inputs larger shapes. Ops whose settings hold
//! sizes are recorded instead. An op without a line runs at the largest of its conformance cases, so none is left out.

use std::any::Any;

use super::kernels::case;
use crate::Result;
use crate::bench::benchmark::Benchmark;
use crate::bench::kernel::{Pass, recorded};
use crate::ops::adam::Adam;
use crate::ops::augment::{BoxAugment, ImageBatch};
use crate::ops::augment_boxes::BoxBatch;
use crate::ops::average_pool::{AveragePool2d, Windows};
use crate::ops::boxes::YoloHead;
use crate::ops::concat::Concat;
use crate::ops::dropout::Dropout;
use crate::ops::gemm::Gemm;
use crate::ops::pool::Pool;
use crate::ops::pool::max::MaxPool2d;
use crate::ops::relation::RelationForm;
use crate::ops::sgd::Sgd;
use crate::ops::update::BLOCK;
use crate::ops::{Case, Fill, OPS, OpSpec};
use crate::tape::{DType, Meta, Op, Tape, Tensor};

/// Parameters of a small network, and the blocks of its decay mask.
const N: usize = 1 << 20;
const BLOCKS: usize = N / BLOCK;

/// Which of an op file's cases is meant.
type Pick = fn(&dyn Op) -> bool;

/// Op file, which of its cases, and shapes of the inputs.
#[rustfmt::skip]
const RESHAPED: &[(&str, Pick, &[&[usize]])] = &[
    ("adam", |op| is(op, |adam: &Adam| !adam.decoupled), &[&[N], &[N], &[2], &[BLOCKS], &[BLOCKS], &[N], &[N]]),
    ("augment", |op| is(op, |images: &ImageBatch| images.crop_padding == 4 && images.flip), &[&[64 * 3 * 32 * 32 / 4], &[64]]),
    ("average_pool", |op| is(op, |pool: &AveragePool2d| pool.0 == Windows::Adaptive([1, 1])), &[&[64, 128, 8, 8]]),
    ("batch_norm", |op| op.name() == "batch_norm_train", &[&[64, 64, 16, 16], &[64], &[64], &[64], &[64]]),
    ("batch_norm", |op| op.name() == "batch_norm_eval", &[&[64, 64, 16, 16], &[64], &[64], &[64], &[64]]),
    ("binary", |op| op.name() == "add", &[&[64, 64, 16, 16], &[64, 64, 16, 16]]),
    ("binary", |op| op.name() == "mul", &[&[64, 64, 16, 16], &[1, 64, 1, 1]]),
    ("box_aspect", any, &[&[16, 2535, 4], &[16, 2535, 4]]),
    ("box_overlap", any, &[&[16, 2535, 4], &[16, 2535, 4]]),
    ("concat", |op| is(op, |concat: &Concat| concat.axis == 1), &[&[64, 32, 16, 16], &[64, 32, 16, 16]]),
    ("copy", any, &[&[N]]),
    ("cosine", any, &[&[64, 4096], &[64, 4096]]),
    ("cross_entropy", |op| op.name() == "cross_entropy", &[&[256, 1000], &[256]]),
    ("dropout", |op| is(op, |dropout: &Dropout| dropout.p > 0.0), &[&[N], &[1]]),
    ("gemm", |op| is(op, |gemm: &Gemm| gemm.trans_b), &[&[64, 784], &[128, 784], &[128]]),
    ("gemm", |op| is(op, |gemm: &Gemm| gemm.trans_b), &[&[1024, 384], &[384, 384], &[384]]),
    ("gemm", |op| is(op, |gemm: &Gemm| gemm.trans_b), &[&[1024, 384], &[1536, 384], &[1536]]),
    ("grad_norm", any, &[&[N], &[BLOCKS]]),
    ("kl_div", any, &[&[256, 1000], &[256, 1000]]),
    ("layer_norm", any, &[&[64, 64, 384], &[384], &[384]]),
    ("lerp", any, &[&[N], &[N]]),
    ("metrics", any, &[&[256, 1000], &[256], &[1], &[1], &[4]]),
    ("pool", |op| is(op, |max: &MaxPool2d| max.pool == Pool::square(2, 2, 0) && max.index && !max.relu), &[&[64, 32, 28, 28]]),
    ("l2_sp", any, &[&[N], &[N], &[N], &[BLOCKS]]),
    ("regression", |op| op.name() == "mse_loss", &[&[64, 64, 16, 16], &[64, 64, 16, 16]]),
    ("scale", |op| op.name() == "scale", &[&[N]]),
    ("sgd", |op| is(op, |sgd: &Sgd| !sgd.nesterov), &[&[N], &[N], &[2], &[BLOCKS], &[BLOCKS], &[N]]),
    ("softmax", |op| op.name() == "softmax", &[&[1024, 1000]]),
    ("softmax", |op| op.name() == "log_softmax", &[&[1024, 1000]]),
    ("unary", |op| op.name() == "relu", &[&[64, 64, 16, 16]]),
    ("unary", |op| op.name() == "gelu", &[&[64, 64, 16, 16]]),
];

fn any(_: &dyn Op) -> bool {
    true
}

/// Whether an op is of this type, with settings that hold.
fn is<T: Op>(op: &dyn Op, holds: impl Fn(&T) -> bool) -> bool {
    let op: &dyn Any = op;
    op.downcast_ref().is_some_and(holds)
}

type Record = fn(&Tape) -> Result<Tensor>;

/// Op file, bound of its integer inputs, and how it is recorded.
const RECORDED: &[(&str, usize, Record)] = &[
    ("augment_boxes", 1 << 31, |tape| augmented(tape, [16, 160])),
    ("augment_boxes", 1 << 31, |tape| augmented(tape, [8, 416])),
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
    ("yolo_boxes", 0, |tape| tape.variable("x", [16, 255, 26, 26]).yolo_boxes(&yolo_head())),
];

/// Op file, and how it is recorded: on texts of [`TEXT`] tokens, one behind the other.
const ON_TEXTS: &[(&str, Record)] = &[
    ("attention", |tape| attention(tape, 12, 32)),
    ("attention", |tape| attention(tape, 2, 64)),
    ("relation", |tape| relation(tape, [128, 384], RelationForm::Kl)),
    ("relation", |tape| relation(tape, [128, 384], RelationForm::Mse)),
    ("segment", |tape| tape.input("x", [TOKENS, 384]).segment_mean(&spans(tape))),
    ("segment", |tape| tape.input("x", [TOKENS, 384]).segment_first(&spans(tape))),
    ("token_places", |tape| spans(tape).token_places(TOKENS, false).map(|[ranges, _]| ranges)),
];

/// Tokens of a batch, and of each of its texts.
const TOKENS: usize = 1024;
const TEXT: usize = 32;

fn spans(tape: &Tape) -> Tensor {
    tape.input_i32("spans", [TOKENS / TEXT, 2])
}

fn attention(tape: &Tape, heads: usize, each: usize) -> Result<Tensor> {
    let [q, k, v] = ["q", "k", "v"].map(|name| tape.input(name, [TOKENS, heads * each]));
    q.attention(&k, &v, &tape.input_i32("ranges", [TOKENS, 2]), heads, 1.0 / (each as f32).sqrt())
}

/// A student's queries and keys, and those of a teacher of another width.
fn relation(tape: &Tape, [student, teacher]: [usize; 2], form: RelationForm) -> Result<Tensor> {
    let input = |name, width| tape.input(name, [TOKENS, width]);
    let (a, b, q, k) = (input("a", student), input("b", student), input("q", teacher), input("k", teacher));
    a.relation_loss(&b, &q, &k, &tape.input_i32("ranges", [TOKENS, 2]), 4, form)
}

/// A case whose i32 (rows, 2) are those of texts: ranges, a row for each token, or spans, one for each text.
fn on_texts(mut case: Case) -> Case {
    for input in case.inputs.iter_mut().filter(|input| input.meta.dtype == DType::I32) {
        let rows = input.meta.shape[0];
        let first = |row: usize| row * TOKENS / rows / TEXT * TEXT;
        let texts = (0..rows).flat_map(|row| [first(row) as f64, (first(row) + TEXT) as f64]);
        input.fill = Fill::Values(texts.collect());
    }
    // A teacher has no gradient.
    if case.op.name().starts_with("relation") {
        case.inputs.iter_mut().skip(2).for_each(|input| input.grad = false);
    }
    case
}

/// Square images of a detector with 50 places for boxes, augmented as is usual.
fn augmented(tape: &Tape, [n, side]: [usize; 2]) -> Result<Tensor> {
    let plain = BoxBatch::plain([side; 2], [0.0; 3], [1.0; 3]);
    let batch = BoxBatch { augment: BoxAugment::usual(), ..plain };
    let pixels = tape.input_i32("pixels", [n * 3 * side * side / 4]);
    let (boxes, classes) = (tape.input("boxes", [n, 50, 4]), tape.input_i32("classes", [n, 50]));
    Ok(Tensor::augment_boxes(&pixels, &tape.input_i32("ids", [n]), &boxes, &classes, &batch)?.images)
}

/// A head for COCO's classes.
fn yolo_head() -> YoloHead {
    let anchors = vec![[23.0, 27.0], [37.0, 58.0], [81.0, 82.0]];
    YoloHead {
        all_anchors: anchors.clone(),
        anchors,
        mask: vec![0, 1, 2],
        classes: 80,
        stride: [16, 16],
        scale_x_y: 1.05,
        squared_sides: false,
        ignore_threshold: 0.7,
        assign_threshold: 0.213,
    }
}

/// Forward, and all gradients together, of each op.
pub fn cases() -> Result<Vec<Benchmark>> {
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
fn shapes(op: &Case) -> String {
    let shape = |meta: &Meta| meta.shape.dims().iter().map(usize::to_string).collect::<Vec<_>>().join("x");
    op.inputs.iter().take(2).map(|i| shape(&i.meta)).collect::<Vec<_>>().join(" ")
}

/// The cases of an op file.
fn of(spec: &OpSpec) -> Result<Vec<Case>> {
    let conformance = (spec.cases)();
    let mut all = Vec::new();
    for (_, pick, shapes) in RESHAPED.iter().filter(|line| line.0 == spec.name) {
        all.extend(reshaped(&conformance, *pick, shapes));
    }
    for (_, below, record) in RECORDED.iter().filter(|line| line.0 == spec.name) {
        all.push(recorded(*below, record)?);
    }
    for (_, record) in ON_TEXTS.iter().filter(|line| line.0 == spec.name) {
        all.push(on_texts(recorded(1, record)?));
    }
    if all.is_empty() {
        let size = |case: &&Case| case.inputs.iter().map(|i| i.meta.len()).sum::<usize>();
        all.extend(conformance.iter().max_by_key(size).cloned());
    }
    Ok(all)
}

/// The first case that is meant and has as many inputs, with other shapes.
fn reshaped(cases: &[Case], pick: Pick, shapes: &[&[usize]]) -> Option<Case> {
    let meant = |case: &&Case| case.inputs.len() == shapes.len() && pick(case.op.as_ref());
    let mut case = cases.iter().find(meant)?.clone();
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
        for (line, (name, pick, shapes)) in RESHAPED.iter().enumerate() {
            let spec =
                OPS.iter().find(|spec| spec.name == *name).unwrap_or_else(|| panic!("no op file {name}"));
            let found = reshaped(&(spec.cases)(), *pick, shapes);
            let found = found.unwrap_or_else(|| panic!("line {line} ({name}) picks none of its cases"));
            let metas: Vec<Meta> = found.inputs.iter().map(|i| i.meta.clone()).collect();
            found.op.infer(&metas).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        let recorded = RECORDED.iter().map(|line| line.0).chain(ON_TEXTS.iter().map(|line| line.0));
        assert!(recorded.into_iter().all(|name| OPS.iter().any(|spec| spec.name == name)));
    }

    #[test]
    fn every_op_is_there_under_a_name_of_its_own() {
        let all = cases().unwrap();
        let names: std::collections::BTreeSet<String> = all.iter().map(Benchmark::path).collect();
        assert_eq!(names.len(), all.len(), "two cases share a name, and a comparison would mix them up");
        assert!(OPS.iter().all(|spec| all.iter().any(|case| case.group == spec.name)));
    }
}
