//! Matrix products: C = op(A) op(B), batched; and the linear layer y = x W^T + b.
//!
//! A CPU adapter has a wider tile, and B is copied into panels where its rows begin at one place of a memory page, which would
//! otherwise compete for a few sets of each cache.

pub mod fused;

use crate::ops::common::expect_f32;
use crate::ops::costs::{Costs, PanelCosts};
use crate::ops::epilogue::Epilogue;
use crate::ops::shape::strided::{View, copy_between};
use crate::ops::spec::{Case, Input, OpSpec};
use crate::ops::tile::{Bias, Job, Operands, VectorAxis};
use crate::tape::{Array, Backward, Consumer, Fused, Lowering, Meta, Op, Slot, Step, Tensor, Variant};
use crate::{Error, Result};

const LOADER: &str = include_str!("../../../shaders/gemm/gemm.wgsl");

/// Columns of a panel of B: as many as the widest tile of subgroups has.
const PANEL: usize = 64;
/// Where a packed B lies: it is copied before anything else asks for scratch.
const PACKED: Slot = Slot::Scratch(0);

/// C = op(A) op(B), op being the transpose of the last two axes where asked for.
///
/// Inputs: A (.., m, k), B (.., k, n) with equal leading axes, or B with none (shared by every batch); optionally a
/// bias (n). Output (.., m, n).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gemm {
    /// A comes as (.., k, m).
    pub trans_a: bool,
    /// B comes as (.., n, k).
    pub trans_b: bool,
}

/// Sizes of one product.
struct ProductSizes {
    batch: usize,
    m: usize,
    n: usize,
    k: usize,
    shared_b: bool,
    leading: Vec<usize>,
}

impl ProductSizes {
    /// A variant after a copy of B, (batch, k, n), into panels (batch, n / PANEL, k, PANEL).
    fn packed<'a>(&self, variant: Variant<'a>) -> Variant<'a> {
        let (k, n) = (self.k, self.n);
        let batch = if self.shared_b { 1 } else { self.batch };
        let view = View { axes: vec![(batch, k * n), (n / PANEL, PANEL), (k, n), (PANEL, 1)], base: 0 };
        let mut packed = variant.after(move |to| {
            let panels = to.scratch(batch * k * n);
            copy_between(to, "gemm pack", &view, [Slot::Input(1), panels]);
            Ok(())
        });
        packed.name = format!("packed, {}", packed.name);
        packed
    }
}

impl Gemm {
    fn sizes(&self, a: &[usize], b: &[usize]) -> Result<ProductSizes> {
        let fail =
            |expected: &str| Error::shape("gemm", expected, format!("A {a:?} and B {b:?} as {self:?}"));
        let ([lead_a @ .., a0, a1], [lead_b @ .., b0, b1]) = (a, b) else {
            return Err(fail("matrices with at least two axes"));
        };
        let (mut m, k) = if self.trans_a { (*a1, *a0) } else { (*a0, *a1) };
        let (k_b, n) = if self.trans_b { (*b1, *b0) } else { (*b0, *b1) };
        if k != k_b {
            return Err(fail("an inner size that is the same in A and B"));
        }
        let shared_b = lead_b.is_empty() && !lead_a.is_empty();
        if !shared_b && lead_a != lead_b {
            return Err(fail("equal leading axes, or none in B"));
        }
        let mut batch: usize = lead_a.iter().product();
        if shared_b && !self.trans_a {
            // Rows of every batch against one B are simply more rows.
            m *= batch;
            batch = 1;
        }
        Ok(ProductSizes { batch, m, n, k, shared_b: shared_b && batch > 1, leading: lead_a.to_vec() })
    }

    /// Appends the dispatches, with an epilogue that has no residual.
    pub(in crate::ops) fn lower_with(&self, to: &mut Lowering<'_>, epilogue: Epilogue) -> Result<()> {
        let sizes = self.sizes(to.input(0), to.input(1))?;
        if sizes.k == 0 {
            return Err(Error::shape("gemm", "an inner size of at least 1", "0"));
        }
        let has_bias = to.input_count() == 3;
        let along = |k_contiguous: bool, other: usize| match k_contiguous {
            true => VectorAxis::K { vec4: sizes.k.is_multiple_of(4) },
            false => VectorAxis::Other { vec4: other.is_multiple_of(4) },
        };
        let job = |packed: bool| Job {
            name: "gemm",
            loader: LOADER,
            defines: vec![
                ("TRANS_A", self.trans_a as usize),
                ("TRANS_B", self.trans_b as usize),
                ("SHARED_B", sizes.shared_b as usize),
                ("PACKED_B", if packed { PANEL } else { 0 }),
            ],
            m: sizes.m,
            n: sizes.n,
            k: sizes.k,
            batch: sizes.batch,
            a: along(!self.trans_a, sizes.m),
            b: along(self.trans_b, sizes.n),
            out_n4: sizes.n.is_multiple_of(4),
            bias: if has_bias { Bias::Column } else { Bias::None },
            epilogue,
        };
        let bias = has_bias.then_some(Slot::Input(2));
        let (a, c) = (Slot::Input(0), Slot::Output(0));
        let operands = |b| Operands { a, b, bias, residual: None, c };
        let (plain, packed) = ((job(false), operands(Slot::Input(1))), (job(true), operands(PACKED)));
        let mut variants = plain.0.variants(to, &plain.1);
        if let Some(costs) = self.packs(&sizes, to) {
            // Other tiles are no better for packed panels than for B as it lies: one variant is enough.
            let first = packed.0.variants(to, &packed.1).into_iter().next().map(|v| sizes.packed(v));
            let place = if sizes.n.is_multiple_of(costs.page) { 0 } else { variants.len() };
            variants.splice(place..place, first);
        }
        to.lower_by(variants)
    }

    /// Whether it may pay to copy B into panels first, and by what costs.
    fn packs(&self, sizes: &ProductSizes, to: &Lowering<'_>) -> Option<&'static PanelCosts> {
        let costs = Costs::of(to.caps()).panels.as_ref()?;
        let reused = sizes.m >= costs.fewest && sizes.k >= costs.fewest && sizes.n.is_multiple_of(PANEL);
        // The copy moves whole words.
        (reused && !self.trans_b && !to.is_half(Slot::Input(1))).then_some(costs)
    }
}

impl Op for Gemm {
    fn name(&self) -> &'static str {
        "gemm"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_f32("gemm", inputs)?;
        let (a, b) = match inputs {
            [a, b] | [a, b, _] => (a.shape.dims(), b.shape.dims()),
            _ => return Err(Error::shape("gemm", "A, B and optionally a bias", inputs.len().to_string())),
        };
        let sizes = self.sizes(a, b)?;
        if let Some(bias) = inputs.get(2).filter(|bias| bias.shape.dims() != [sizes.n]) {
            return Err(Error::shape("gemm", format!("a bias of shape [{}]", sizes.n), bias.to_string()));
        }
        let mut shape = sizes.leading.clone();
        shape.push(if self.trans_a { a[a.len() - 1] } else { a[a.len() - 2] });
        shape.push(sizes.n);
        Ok(vec![Meta::f32(shape)])
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        let (a, b, dc) = (&at.inputs[0], &at.inputs[1], at.dy()?);
        let folded = fold_rows(a, b, dc, self)?;
        let (a2, dc2) = folded.as_ref().map_or((a, dc), |(a, dc)| (a, dc));
        let da = match (at.needs(0), self.trans_a) {
            (false, _) => None,
            (true, false) => Some(dc.gemm(b, false, !self.trans_b)?),
            (true, true) => Some(b.gemm(dc, self.trans_b, true)?),
        };
        let db = match (at.needs(1), self.trans_b) {
            (false, _) => None,
            (true, false) => Some(a2.gemm(dc2, !self.trans_a, false)?),
            (true, true) => Some(dc2.gemm(a2, true, self.trans_a)?),
        };
        let mut all = vec![da, db];
        if at.inputs.len() == 3 {
            let rows: Vec<usize> = (0..dc.dims().len() - 1).collect();
            all.push(if at.needs(2) { Some(dc.sum(&rows, false)?) } else { None });
        }
        Ok(all)
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        self.lower_with(to, Epilogue::default())
    }

    fn absorb(&self, own: &[Tensor], consumer: &Consumer<'_>) -> Option<Fused> {
        self.with_activation(own, consumer)
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let (a, b) = (&inputs[0], &inputs[1]);
        let Ok(s) = self.sizes(a.dims(), b.dims()) else { return Vec::new() };
        let mut c = vec![0.0; s.batch * s.m * s.n];
        for (batch, out) in c.chunks_mut((s.m * s.n).max(1)).enumerate() {
            let (a, b0) = (&a.data[batch * s.m * s.k..], if s.shared_b { 0 } else { batch * s.k * s.n });
            let b = &b.data[b0..];
            for m in 0..s.m {
                for n in 0..s.n {
                    let dot: f64 = (0..s.k)
                        .map(|k| {
                            let a = if self.trans_a { a[k * s.m + m] } else { a[m * s.k + k] };
                            let b = if self.trans_b { b[n * s.k + k] } else { b[k * s.n + n] };
                            a * b
                        })
                        .sum();
                    out[m * s.n + n] = dot + inputs.get(2).map_or(0.0, |bias| bias.data[n]);
                }
            }
        }
        let metas: Vec<Meta> = inputs.iter().map(|i| Meta::f32(i.shape.clone())).collect();
        let shape = self.infer(&metas).map(|m| m[0].shape.clone()).unwrap_or_default();
        vec![Array::new(shape, c)]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        self.sizes(inputs[0].shape.dims(), inputs[1].shape.dims())
            .map_or(0, |s| 2 * (s.batch * s.m * s.n * s.k) as u64)
    }
}

/// Where one B serves every batch, its gradient is one product over all rows: A and dC with their leading axes folded.
fn fold_rows(a: &Tensor, b: &Tensor, dc: &Tensor, op: &Gemm) -> Result<Option<(Tensor, Tensor)>> {
    if b.dims().len() != 2 || a.dims().len() == 2 {
        return Ok(None);
    }
    if op.trans_a {
        let expected = "leading axes in both operands, or an A that is not transposed";
        return Err(Error::shape("gemm backward", expected, format!("A {:?}, B {:?}", a.dims(), b.dims())));
    }
    let fold = |t: &Tensor| {
        let columns = t.dims()[t.dims().len() - 1];
        t.reshape([t.shape().len() / columns.max(1), columns])
    };
    Ok(Some((fold(a)?, fold(dc)?)))
}

impl Tensor {
    /// op(self) op(other); see [`Gemm`].
    pub fn gemm(&self, other: &Tensor, trans_a: bool, trans_b: bool) -> Result<Tensor> {
        self.tape().record1(Gemm { trans_a, trans_b }, &[self, other])
    }

    /// The plain product self x other.
    pub fn matmul(&self, other: &Tensor) -> Result<Tensor> {
        self.gemm(other, false, false)
    }

    /// y = x W^T + b: x (.., c_in), weight (c_out, c_in), bias (c_out), y (.., c_out).
    pub fn linear(&self, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        let op = Gemm { trans_a: false, trans_b: true };
        match bias {
            Some(bias) => self.tape().record1(op, &[self, weight, bias]),
            None => self.tape().record1(op, &[self, weight]),
        }
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "gemm", cases };

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    let sizes = [(1, 1, 1), (3, 5, 7), (8, 32, 16), (33, 31, 47), (65, 64, 63), (12, 100, 20), (4, 8, 300)];
    for (trans_a, trans_b) in [(false, false), (false, true), (true, false), (true, true)] {
        for (m, n, k) in sizes {
            let a = if trans_a { [k, m] } else { [m, k] };
            let b = if trans_b { [n, k] } else { [k, n] };
            let op = Gemm { trans_a, trans_b };
            all.push(Case::new(op, vec![Input::normal(a), Input::normal(b)]));
        }
        let (a, b) =
            (if trans_a { [3, 6, 9] } else { [3, 9, 6] }, if trans_b { [3, 11, 6] } else { [3, 6, 11] });
        all.push(Case::new(Gemm { trans_a, trans_b }, vec![Input::normal(a), Input::normal(b)]));
    }
    // Large enough for a copy of B into panels, with one panel and several, of one B and of several.
    for (a, b) in [(vec![257, 256], vec![256, 64]), (vec![2, 256, 260], vec![2, 260, 128])] {
        let op = Gemm { trans_a: false, trans_b: false };
        all.push(Case::new(op, vec![Input::normal(a), Input::normal(b)]));
    }
    // The linear layer, also with a long reduction that is split and with leading axes.
    for (x, w) in [(vec![7, 13], [5, 13]), (vec![64, 784], [10, 784]), (vec![2, 3, 20], [12, 20])] {
        let inputs = vec![Input::normal(x), Input::normal(w), Input::normal([w[0]])];
        all.push(Case::new(Gemm { trans_a: false, trans_b: true }, inputs));
    }
    all
}
