//! Scaled dot-product attention of packed texts (Vaswani et al. 1706.03762), by the online softmax of Milakov and Gimelshein
//! 1805.02867: o_n = sum over j of p_nj v_j, p_n = softmax over j of scale q_n . k_j, j in the range of tokens that n may see.
//!
//! q, k, v and o are (T, D), each of `heads` heads with its D / heads numbers of every row; `ranges` i32 (T, 2) are those
//! of [`Tensor::token_places`]: [first, end), neither of which falls from a token that sees any to the next such. A token
//! that sees none has o = 0 and no gradient, and nothing of it reaches another. What is not seen has weight 0, but by
//! subgroups of 8 a NaN of one text can reach the few tokens beside it of the next.
//!
//! Nothing of T x T numbers is ever stored: the gradients compute p again from each row's largest score and sum, one
//! kernel by query for dq, one by key for dk and dv, each in ascending order, so that they have the same bits every time
//! (Dao et al. 2205.14135 without the tiles: a text is short).

use super::heads::{Heads, USUAL_KEYS, dot};
use super::places::{seen, span};
use crate::gpu::Kernel;
use crate::ops::common::{expect_f32, expect_inputs, expect_same};
use crate::ops::spec::{Case, Fill, Input, OpSpec};
use crate::tape::{Array, Backward, Lowering, Meta, Op, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../../shaders/tokens/attention.wgsl");
const LANES: &str = include_str!("../../../shaders/tokens/attention_lanes.wgsl");

/// Keys that share one scaling of what was summed before.
const KEYS: usize = 4;

/// o (T, D) and stats (T, heads, 2), from q, k, v (T, D) and ranges (T, 2).
#[derive(Debug, Clone, Copy)]
struct Attention {
    heads: usize,
    scale: f32,
}

/// Rows (T, heads, 4) of (stats, o . do, 0), from o, do (T, D) and stats.
#[derive(Debug, Clone, Copy)]
struct BackwardRows(Attention);

/// dq from q, k, v, ranges, rows and do.
#[derive(Debug, Clone, Copy)]
struct BackwardQueries(Attention);

/// dk and dv from the same.
#[derive(Debug, Clone, Copy)]
struct BackwardKeys(Attention);

impl Attention {
    fn kernel(self, entry: &'static str, source: &'static str) -> Kernel {
        Kernel::new("attention", entry, source).define("KEYS", KEYS).define_f32("SCALE", self.scale)
    }

    fn dispatch(self, to: &mut Lowering<'_>, entry: &'static str, bindings: &[Slot]) -> Result<()> {
        let heads = Heads::of(to.input(0), self.heads);
        let kernel = |eights| self.kernel(entry, if eights { LANES } else { SHADER });
        heads.by_row_or_eights(to, &[heads.each], bindings, kernel)
    }

    /// Calls `f` with the token, the head, the key, p, and dp - o . do of every pair that a gradient sums over.
    fn each_pair(self, inputs: &[Array], mut f: impl FnMut(&Heads, [usize; 3], f64, f64)) {
        let [q, k, v, ranges, rows, dy] = inputs else { return };
        let heads = Heads::of(q.dims(), self.heads);
        for n in 0..heads.tokens {
            for head in 0..self.heads {
                let row = &rows.data[(n * self.heads + head) * 4..][..4];
                for key in span(ranges, n, heads.tokens) {
                    let score = f64::from(self.scale) * dot(heads.row(q, n, head), heads.row(k, key, head));
                    let p = (score - row[0]).exp() * row[1];
                    let dp = dot(heads.row(dy, n, head), heads.row(v, key, head)) - row[2];
                    f(&heads, [n, head, key], p, dp);
                }
            }
        }
    }
}

impl Op for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 4)?;
        expect_f32(self.name(), &inputs[..3])?;
        expect_same(self.name(), &inputs[0].shape, &inputs[1].shape)?;
        expect_same(self.name(), &inputs[0].shape, &inputs[2].shape)?;
        let heads = Heads::new(self.name(), &inputs[0], self.heads)?;
        heads.expect_ranges(self.name(), &inputs[3])?;
        if !self.scale.is_finite() {
            return Err(Error::shape(self.name(), "a finite scale", self.scale.to_string()));
        }
        Ok(vec![inputs[0].clone(), Meta::f32([heads.tokens, self.heads, 2])])
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        let ([q, k, v, ranges], [o, stats]) = (at.inputs, at.outputs) else {
            return Err(Error::misuse(self.name(), "four inputs and two outputs", "others"));
        };
        let (tape, dy) = (q.tape(), at.dy()?);
        let rows = tape.record1(BackwardRows(*self), &[o, dy, stats])?;
        let inputs = [q, k, v, ranges, &rows, dy];
        let mut all = vec![at.needs(0).then(|| tape.record1(BackwardQueries(*self), &inputs)).transpose()?];
        if at.needs(1) || at.needs(2) {
            all.extend(tape.record(BackwardKeys(*self), &inputs)?.into_iter().map(Some));
        }
        all.resize(4, None);
        Ok(all)
    }

    fn keep_f32(&self) -> &[usize] {
        &[1]
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let bindings = [&[0, 1, 2, 3].map(Slot::Input)[..], &[Slot::Output(0), Slot::Output(1)]].concat();
        self.dispatch(to, "forward", &bindings)
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let [q, k, v, ranges] = inputs else { return Vec::new() };
        let heads = Heads::of(q.dims(), self.heads);
        let mut o = Array::zeros(q.shape.clone());
        let mut stats = Array::zeros([heads.tokens, self.heads, 2]);
        for n in 0..heads.tokens {
            let keys = span(ranges, n, heads.tokens);
            for head in (0..self.heads).filter(|_| !keys.is_empty()) {
                let score = |key| f64::from(self.scale) * dot(heads.row(q, n, head), heads.row(k, key, head));
                let scores: Vec<f64> = keys.clone().map(score).collect();
                let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = scores.iter().map(|score| (score - top).exp()).sum();
                for (key, score) in keys.clone().zip(&scores) {
                    heads.add(&mut o, n, head, (score - top).exp() / sum, heads.row(v, key, head));
                }
                stats.data[(n * self.heads + head) * 2..][..2].copy_from_slice(&[top, 1.0 / sum]);
            }
        }
        vec![o, stats]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        4 * USUAL_KEYS * inputs[0].len() as u64
    }
}

impl Op for BackwardRows {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        Ok(vec![Meta::f32([inputs[0].shape[0], self.0.heads, 4])])
    }

    fn keep_f32(&self) -> &[usize] {
        &[0]
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let bindings = [&[0, 1, 2].map(Slot::Input)[..], &[Slot::Output(0)]].concat();
        let heads = Heads::of(to.input(0), self.0.heads);
        heads.by_row(to, self.0.kernel("backward_rows", SHADER), &[heads.each], &bindings);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let [o, dy, stats] = inputs else { return Vec::new() };
        let heads = Heads::of(o.dims(), self.0.heads);
        let of = |o: &[f64], dy: &[f64], stats: &[f64]| [stats[0], stats[1], dot(o, dy), 0.0];
        let rows = o.data.chunks(heads.each).zip(dy.data.chunks(heads.each)).zip(stats.data.chunks(2));
        let rows = rows.flat_map(|((o, dy), stats)| of(o, dy, stats)).collect();
        vec![Array::new([heads.tokens, heads.heads, 4], rows)]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        2 * inputs[0].len() as u64
    }
}

impl Op for BackwardQueries {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        Ok(vec![inputs[0].clone()])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let bindings = [&[0, 1, 2, 3, 4, 5].map(Slot::Input)[..], &[Slot::Output(0)]].concat();
        self.0.dispatch(to, "backward_queries", &bindings)
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let mut dq = Array::zeros(inputs[0].shape.clone());
        let scale = f64::from(self.0.scale);
        self.0.each_pair(inputs, |heads, [n, head, key], p, dp| {
            heads.add(&mut dq, n, head, p * dp * scale, heads.row(&inputs[1], key, head));
        });
        vec![dq]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        6 * USUAL_KEYS * inputs[0].len() as u64
    }
}

impl Op for BackwardKeys {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        Ok(vec![inputs[0].clone(), inputs[0].clone()])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let bindings =
            [&[0, 1, 2, 3, 4, 5].map(Slot::Input)[..], &[Slot::Output(0), Slot::Output(1)]].concat();
        self.0.dispatch(to, "backward_keys", &bindings)
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let mut dk = Array::zeros(inputs[0].shape.clone());
        let mut dv = dk.clone();
        let scale = f64::from(self.0.scale);
        self.0.each_pair(inputs, |heads, [n, head, key], p, dp| {
            heads.add(&mut dk, key, head, p * dp * scale, heads.row(&inputs[0], n, head));
            heads.add(&mut dv, key, head, p, heads.row(&inputs[5], n, head));
        });
        vec![dk, dv]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        8 * USUAL_KEYS * inputs[0].len() as u64
    }
}

impl Tensor {
    /// The heads of the attention that made this tensor; `None` where something else did.
    pub fn attention_heads(&self) -> Option<usize> {
        self.producer::<Attention>().map(|(op, _)| op.heads)
    }

    /// Attention of these queries (T, D) to keys and values (T, D) in the ranges i32 (T, 2) of [`Tensor::token_places`], by
    /// `heads` heads side by side in a row: (T, D). `scale` is usually 1 / sqrt(D / heads). See [the module](self).
    ///
    /// # Errors
    /// [`Error::Shape`] for operands of other shapes or types, and where D is no multiple of `heads`.
    pub fn attention(
        &self,
        keys: &Tensor,
        values: &Tensor,
        ranges: &Tensor,
        heads: usize,
        scale: f32,
    ) -> Result<Tensor> {
        self.tape().record1(Attention { heads, scale }, &[self, keys, values, ranges])
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "attention", cases };

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    // One and two tokens by turns.
    let short: Vec<usize> = (0..200).map(|text| 1 + text % 2).collect();
    // Texts, tokens, heads and the numbers of each. Where all texts have one token the gradients are nothing but rounding.
    let batches: [(&[usize], usize, usize, usize); 14] = [
        (&[1], 1, 1, 1),
        (&[1, 1, 2, 1, 1], 6, 2, 4),
        (&[0], 3, 1, 4),
        (&[3, 1, 4], 9, 3, 4),
        (&[2, 0, 5, 0, 0], 9, 2, 3),
        (&[5, 6], 11, 3, 26),
        (&[41], 41, 1, 8),
        (&[17, 30, 1], 49, 2, 16),
        (&[7, 9, 2, 13], 33, 3, 32),
        (&[8, 15], 23, 2, 64),
        (&[3, 4], 7, 1, 132),
        (&[41, 47, 1, 55, 113], 259, 5, 4),
        (&[130, 121], 256, 1, 4),
        (&short, 301, 4, 4),
    ];
    for (lengths, tokens, heads, each) in batches {
        let scale = 1.0 / (each as f32).sqrt();
        let x = || Input::normal([tokens, heads * each]);
        for causal in [false, true] {
            let inputs = vec![x(), x(), x(), seen(lengths, tokens, causal)];
            all.push(Case::new(Attention { heads, scale }, inputs).saved_from(1));
        }
    }
    let large = |size: f64| {
        let x = || Input::filled([23, 8], Fill::Normal(size));
        [x(), x(), Input::normal([23, 8])]
    };
    let among = |inputs: [Input; 3]| [&inputs[..], &[seen(&[9, 13], 23, false)]].concat();
    all.push(Case::new(Attention { heads: 2, scale: 1.0 }, among(large(4.0))).saved_from(1));
    // Scores of a thousand and of ten thousand: one key has all the weight, and gradients are nothing but rounding.
    for size in [30.0, 100.0] {
        let inputs = among(large(size).map(Input::no_grad));
        all.push(Case::new(Attention { heads: 2, scale: 1.0 }, inputs).saved_from(1));
    }
    // Scores of ten thousand that are equal: each key has its share.
    let same = || Input::filled([7, 4], Fill::Values(vec![100.0, -50.0, 25.0, 0.0])).no_grad();
    let inputs = vec![same(), same(), Input::normal([7, 4]).no_grad(), seen(&[4, 3], 7, false)];
    all.push(Case::new(Attention { heads: 1, scale: 1.0 }, inputs).saved_from(1));
    all
}
