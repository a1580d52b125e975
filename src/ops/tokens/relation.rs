//! How far the relations of a student's tokens are from those of a teacher's, in packed texts.
//!
//! a_s and b_s are (T, D_s), a_t and b_t (T, D_t), each of `heads` heads with its d = D / heads numbers of every row; the
//! widths need not be equal. Scores s_nj = a_n . b_j / sqrt(d) are of token n and each token j in its range, i32 (T, 2) of
//! [`Tensor::token_places`]; see [`attention`](crate::ops::attention) for what it takes for granted.
//!
//! | form | loss |
//! |---|---|
//! | `Kl` | the mean over texts of 1 / (heads tokens) sum over heads and tokens n of KL(softmax_j of the teacher's s_nj to that of the student's): MiniLM (Wang et al. 2002.10957) with a = queries, b = keys, or both values; MiniLMv2 (2012.15828) with a = b |
//! | `Mse` | the mean over heads and pairs (n, j) of all texts of the squared difference of both s_nj: TinyBERT (Jiao et al. 1909.10351) |
//!
//! A text's tokens are neighbours whose ranges begin at the same token. Where no token sees any, the loss is 0. Gradients
//! are those by a_s and b_s, each added up in ascending order; the teacher has none. Scores are never stored.

use super::heads::{Heads, USUAL_KEYS, dot};
use super::places::{seen, span};
use crate::gpu::{Grid, Kernel};
use crate::ops::common::{expect_f32, expect_inputs, expect_same};
use crate::ops::spec::{Case, Fill, Input, OpSpec};
use crate::tape::{Array, Backward, Lowering, Meta, Op, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../../shaders/tokens/relation.wgsl");
const LANES: &str = include_str!("../../../shaders/tokens/relation_lanes.wgsl");
const SUM: &str = include_str!("../../../shaders/tokens/relation_sum.wgsl");

/// Invocations that add up all rows.
const WIDE: usize = 256;

/// What is compared. See [the module](self).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelationForm {
    /// Distributions over what a token sees, by the divergence of Kullback and Leibler.
    Kl,
    /// Scores before the softmax, by their squared difference.
    Mse,
}

impl RelationForm {
    fn op_name(self) -> &'static str {
        match self {
            RelationForm::Kl => "relation_kl",
            RelationForm::Mse => "relation_mse",
        }
    }
}

/// Loss (1), inverse of the sum of weights (1) and, of `Kl`, stats (T, heads, 4), from a_s, b_s, a_t, b_t and ranges.
#[derive(Debug, Clone, Copy)]
struct Relation {
    heads: usize,
    form: RelationForm,
}

/// da_s or, `by_keys`, db_s: from a_s, b_s, a_t, b_t, ranges, of `Kl` stats, and dy / (sum of weights).
#[derive(Debug, Clone, Copy)]
struct RelationBackward {
    relation: Relation,
    by_keys: bool,
}

/// The heads of the student and of the teacher.
type Both = [Heads; 2];

impl Relation {
    fn both(self, inputs: &[Array]) -> Both {
        [Heads::of(inputs[0].dims(), self.heads), Heads::of(inputs[2].dims(), self.heads)]
    }

    fn dispatch(self, to: &mut Lowering<'_>, entry: &'static str, bindings: &[Slot]) -> Result<()> {
        let heads = [0, 2].map(|i| Heads::of(to.input(i), self.heads));
        let widths = heads.map(|heads| heads.each);
        heads[0].by_row_or_eights(to, &widths, bindings, |eights| {
            Kernel::new(self.form.op_name(), entry, if eights { LANES } else { SHADER })
                .define("KL", (self.form == RelationForm::Kl).into())
                .define_each_f32("SCALE", widths.map(|each| 1.0 / (each as f32).sqrt()))
        })
    }

    /// The student's and the teacher's score of a token and a key.
    fn scores([student, teacher]: &Both, inputs: &[Array], n: usize, head: usize, key: usize) -> [f64; 2] {
        let score = |heads: &Heads, a: &Array, b: &Array| {
            dot(heads.row(a, n, head), heads.row(b, key, head)) / (heads.each as f64).sqrt()
        };
        [score(student, &inputs[0], &inputs[1]), score(teacher, &inputs[2], &inputs[3])]
    }

    /// Calls `f` with each token that sees any, each head, and both scores of each key.
    fn each_row(self, inputs: &[Array], mut f: impl FnMut(usize, usize, &[[f64; 2]])) {
        let both = self.both(inputs);
        for n in 0..both[0].tokens {
            let keys = span(&inputs[4], n, both[0].tokens);
            for head in (0..self.heads).filter(|_| !keys.is_empty()) {
                let scores = |key| Self::scores(&both, inputs, n, head, key);
                f(n, head, &keys.clone().map(scores).collect::<Vec<_>>());
            }
        }
    }
}

/// The tokens of each token's text.
fn text_lengths(ranges: &Array) -> Vec<usize> {
    let tokens = ranges.dims()[0];
    let first: Vec<Option<usize>> = (0..tokens)
        .map(|n| span(ranges, n, tokens))
        .map(|keys| (!keys.is_empty()).then_some(keys.start))
        .collect();
    first.chunk_by(|a, b| a == b).flat_map(|text| vec![text.len(); text.len()]).collect()
}

/// The largest of one side's scores, and the sum of exp(score - largest).
fn softmax_of(scores: &[[f64; 2]], side: usize) -> [f64; 2] {
    let top = scores.iter().map(|both| both[side]).fold(f64::NEG_INFINITY, f64::max);
    [top, scores.iter().map(|both| (both[side] - top).exp()).sum()]
}

impl Op for Relation {
    fn name(&self) -> &'static str {
        self.form.op_name()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 5)?;
        expect_f32(self.name(), &inputs[..4])?;
        expect_same(self.name(), &inputs[0].shape, &inputs[1].shape)?;
        expect_same(self.name(), &inputs[2].shape, &inputs[3].shape)?;
        let [student, teacher] =
            [&inputs[0], &inputs[2]].map(|rows| Heads::new(self.name(), rows, self.heads));
        let (student, teacher) = (student?, teacher?);
        student.expect_ranges(self.name(), &inputs[4])?;
        if student.tokens != teacher.tokens || student.tokens == 0 {
            let expected =
                format!("as many tokens of the teacher as of the student ({}), not none", inputs[0]);
            return Err(Error::shape(self.name(), expected, inputs[2].to_string()));
        }
        let stats = Meta::f32([student.tokens, self.heads, 4]);
        let mut all = vec![Meta::f32([1]), Meta::f32([1])];
        all.extend((self.form == RelationForm::Kl).then_some(stats));
        Ok(all)
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        let factor = at.dy()?.mul(&at.outputs[1])?;
        let inputs: Vec<&Tensor> =
            at.inputs.iter().chain(at.outputs.get(2)).chain(std::iter::once(&factor)).collect();
        let gradient = |i: usize| {
            let op = RelationBackward { relation: *self, by_keys: i == 1 };
            at.needs(i).then(|| factor.tape().record1(op, &inputs)).transpose()
        };
        Ok(vec![gradient(0)?, gradient(1)?, None, None, None])
    }

    fn keep_f32(&self) -> &[usize] {
        &[0, 1, 2]
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let rows = to.input(0)[0] * self.heads;
        let losses = to.scratch(2 * rows);
        let mut bindings = [0, 1, 2, 3, 4].map(Slot::Input).to_vec();
        bindings.extend((self.form == RelationForm::Kl).then_some(Slot::Output(2)));
        bindings.push(losses);
        self.dispatch(to, "forward", &bindings)?;
        let sum = Kernel::new(self.name(), "sum_rows", SUM)
            .define("ROWS", rows)
            .define("COLUMNS", 1)
            .define("VECTOR", 0)
            .define("SHARED", 1)
            .define("WORKGROUP", WIDE);
        to.dispatch(sum, &[losses, Slot::Output(0), Slot::Output(1)], Grid::linear(1));
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let lengths = text_lengths(&inputs[4]);
        let (mut loss, mut weights) = (0.0, 0.0);
        let mut stats = Array::zeros([lengths.len(), self.heads, 4]);
        self.each_row(inputs, |n, head, scores| match self.form {
            RelationForm::Kl => {
                let weight = 1.0 / lengths[n] as f64;
                let [s, t] = [softmax_of(scores, 0), softmax_of(scores, 1)];
                let log_p = |score: f64, [top, sum]: [f64; 2]| score - top - sum.ln();
                let kl = scores
                    .iter()
                    .map(|both| log_p(both[1], t).exp() * (log_p(both[1], t) - log_p(both[0], s)));
                loss += weight * kl.sum::<f64>();
                weights += weight;
                let row = [s[0], weight / s[1], t[0], weight / t[1]];
                stats.data[(n * self.heads + head) * 4..][..4].copy_from_slice(&row);
            }
            RelationForm::Mse => {
                loss += scores.iter().map(|both| (both[0] - both[1]).powi(2)).sum::<f64>();
                weights += scores.len() as f64;
            }
        });
        let inverse = if weights > 0.0 { 1.0 / weights } else { 0.0 };
        let mut all = vec![Array::scalar(loss * inverse), Array::scalar(inverse)];
        all.extend((self.form == RelationForm::Kl).then_some(stats));
        all
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        2 * USUAL_KEYS * (inputs[0].len() + inputs[2].len()) as u64
    }
}

impl Op for RelationBackward {
    fn name(&self) -> &'static str {
        self.relation.form.op_name()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        Ok(vec![inputs[0].clone()])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let mut bindings: Vec<Slot> = (0..to.input_count()).map(Slot::Input).collect();
        bindings.push(Slot::Output(0));
        let entry = if self.by_keys { "backward_keys" } else { "backward_queries" };
        self.relation.dispatch(to, entry, &bindings)
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let [student, _] = self.relation.both(inputs);
        let factor = inputs[inputs.len() - 1].data[0] / (student.each as f64).sqrt();
        let mut gradient = Array::zeros(inputs[0].shape.clone());
        self.relation.each_row(inputs, |n, head, scores| {
            let row = (n * self.relation.heads + head) * 4;
            for (key, &[s, t]) in span(&inputs[4], n, student.tokens).zip(scores) {
                let d = match self.relation.form {
                    RelationForm::Kl => {
                        let saved = &inputs[5].data[row..row + 4];
                        (s - saved[0]).exp() * saved[1] - (t - saved[2]).exp() * saved[3]
                    }
                    RelationForm::Mse => 2.0 * (s - t),
                };
                if self.by_keys {
                    student.add(&mut gradient, key, head, d * factor, student.row(&inputs[0], n, head));
                } else {
                    student.add(&mut gradient, n, head, d * factor, student.row(&inputs[1], key, head));
                }
            }
        });
        vec![gradient]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        2 * USUAL_KEYS * (2 * inputs[0].len() + inputs[2].len()) as u64
    }
}

impl Tensor {
    /// How far the relations of these student's rows a (T, D_s) to `b` (T, D_s) are from those of a teacher's `teacher_a` to
    /// `teacher_b`, both (T, D_t), in the ranges i32 (T, 2) of [`Tensor::token_places`], by `heads` heads side by side in a
    /// row; shape `[1]`. The teacher's rows get no gradient. See [the module](self).
    ///
    /// # Errors
    /// [`Error::Shape`] for operands of other shapes or types, and where a width is no multiple of `heads`.
    pub fn relation_loss(
        &self,
        b: &Tensor,
        teacher_a: &Tensor,
        teacher_b: &Tensor,
        ranges: &Tensor,
        heads: usize,
        form: RelationForm,
    ) -> Result<Tensor> {
        self.tape().record1(Relation { heads, form }, &[self, b, teacher_a, teacher_b, ranges])
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "relation", cases };

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    // One and two tokens by turns.
    let short: Vec<usize> = (0..200).map(|text| 1 + text % 2).collect();
    // Texts, tokens, heads, and the numbers of each of the student and of the teacher.
    let batches: [(&[usize], usize, usize, [usize; 2]); 11] = [
        (&[1], 1, 1, [1, 1]),
        (&[1, 1, 2], 5, 2, [4, 8]),
        (&[0], 3, 1, [4, 4]),
        (&[3, 1, 4], 9, 3, [4, 12]),
        (&[2, 0, 5, 0, 0], 9, 2, [3, 4]),
        (&[5, 6], 11, 3, [26, 64]),
        (&[17, 30, 1], 49, 2, [16, 8]),
        (&[7, 9, 2, 13], 33, 2, [32, 32]),
        (&[41, 47, 1, 55, 113], 259, 5, [4, 4]),
        (&[130, 121], 251, 1, [4, 20]),
        (&short, 301, 4, [4, 4]),
    ];
    for (lengths, tokens, heads, [student, teacher]) in batches {
        let s = || Input::normal([tokens, heads * student]);
        let t = || Input::normal([tokens, heads * teacher]).no_grad();
        for form in [RelationForm::Kl, RelationForm::Mse] {
            for causal in [false, true] {
                let inputs = vec![s(), s(), t(), t(), seen(lengths, tokens, causal)];
                all.push(Case::new(Relation { heads, form }, inputs).saved_from(1));
            }
        }
    }
    // Equal rows: nothing is lost. That nothing is learned from them is in tests/relations.rs.
    for form in [RelationForm::Kl, RelationForm::Mse] {
        let rows = || Input::filled([17, 12], Fill::Values(vec![1.5, -0.25, 0.75, 2.0, -1.0])).no_grad();
        let inputs = vec![rows(), rows(), rows(), rows(), seen(&[9, 7], 17, false)];
        all.push(Case::new(Relation { heads: 3, form }, inputs).saved_from(1));
    }
    all
}
