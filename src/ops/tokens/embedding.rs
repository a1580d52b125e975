//! Rows of a table by number: y_n = W_(id_n), as torch.nn.functional.embedding.
//!
//! W is (V, D), `ids` i32 (T), y (T, D). -1 is no row: y is 0 there, and nothing is learned from it; other numbers outside
//! 0..V give NaN and no gradient, as [`gather`](crate::ops::gather). For dW the tokens are sorted by row, each by counting
//! those before it, and the first token of a row adds up the dy of all of them in ascending order: no atomics, so the
//! same bits every time, and rows that do not occur cost no more than being cleared.

use crate::gpu::Kernel;
use crate::ops::common::{elementwise, expect_inputs, per_element};
use crate::ops::spec::{Case, Fill, Input, OpSpec};
use crate::tape::{Array, Backward, DType, Lowering, Meta, Op, Shape, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../../shaders/tokens/embedding.wgsl");

/// y (T, D) from W (V, D) and ids (T).
#[derive(Debug, Clone, Copy)]
struct Embedding;

/// The tokens (T) sorted by row, from ids (T).
#[derive(Debug, Clone, Copy)]
struct Sort;

/// dW, from dy, ids and the sorted tokens.
#[derive(Debug, Clone)]
struct EmbeddingBackward {
    table: Shape,
}

/// The kernel for a table (V, D), and how many items a row has: single numbers, or vectors of four.
fn kernel(entry: &'static str, table: &[usize], tokens: usize) -> (Kernel, usize) {
    let four = table[1].is_multiple_of(4);
    let width = if four { table[1] / 4 } else { table[1] };
    let kernel = Kernel::new("embedding", entry, SHADER)
        .define("FOUR", four.into())
        .define_i32("ROWS", i32::try_from(table[0]).unwrap_or(i32::MAX))
        .define("WIDTH", width.max(1))
        .define("TOKENS", tokens.max(1));
    (kernel, width)
}

impl Op for Embedding {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 2)?;
        let (table, ids) = (&inputs[0], &inputs[1]);
        let (&[rows, width], &[tokens]) = (table.shape.dims(), ids.shape.dims()) else {
            return Err(Error::shape(
                self.name(),
                "a table (V, D) and numbers (T)",
                format!("{table} and {ids}"),
            ));
        };
        if table.dtype != DType::F32 || ids.dtype != DType::I32 || i32::try_from(rows).is_err() {
            let expected = "a table (V, D) of f32, V below 2^31, and numbers (T) of i32";
            return Err(Error::shape(self.name(), expected, format!("{table} and {ids}")));
        }
        Ok(vec![Meta::f32([tokens, width])])
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        let (table, ids) = (&at.inputs[0], &at.inputs[1]);
        let order = ids.tape().record1(Sort, &[ids])?;
        let op = EmbeddingBackward { table: table.shape().clone() };
        Ok(vec![Some(table.tape().record1(op, &[at.dy()?, ids, &order])?), None])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let tokens = to.input(1)[0];
        let (kernel, width) = kernel("forward", to.input(0), tokens);
        let bindings = [Slot::Input(0), Slot::Input(1), Slot::Output(0)];
        per_element(to, kernel.define("VEC4S", 0), &bindings, tokens * width);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let (table, ids) = (&inputs[0], &inputs[1]);
        let width = table.dims()[1];
        let row = |id: &f64| match *id {
            -1.0 => vec![0.0; width],
            id if id >= 0.0 && id < table.dims()[0] as f64 => {
                table.data[id as usize * width..][..width].to_vec()
            }
            _ => vec![f64::NAN; width],
        };
        vec![Array::new([ids.data.len(), width], ids.data.iter().flat_map(row).collect())]
    }
}

impl Op for Sort {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 1)?;
        Ok(vec![inputs[0].clone()])
    }

    fn differentiable(&self) -> bool {
        false
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let tokens = to.input(0)[0];
        let (kernel, _) = kernel("sort", &[0, 1], tokens);
        per_element(to, kernel.define("VEC4S", 0), &[Slot::Input(0), Slot::Output(0)], tokens);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let ids = &inputs[0];
        let mut order: Vec<usize> = (0..ids.data.len()).collect();
        order.sort_by(|a, b| ids.data[*a].total_cmp(&ids.data[*b]).then(a.cmp(b)));
        vec![Array::new(ids.shape.clone(), order.into_iter().map(|n| n as f64).collect())]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        (inputs[0].len() as u64).saturating_mul(inputs[0].len() as u64)
    }
}

impl Op for EmbeddingBackward {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn infer(&self, _: &[Meta]) -> Result<Vec<Meta>> {
        Ok(vec![Meta::f32(self.table.clone())])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let (tokens, table) = (to.input(1)[0], self.table.dims());
        let clear = kernel("clear", table, tokens).0.define("LEN", 0);
        elementwise(to, clear, &[Slot::Output(0)], self.table.len());
        let (kernel, width) = kernel("backward_table", table, tokens);
        let bindings = [Slot::Input(0), Slot::Input(1), Slot::Input(2), Slot::Output(0)];
        per_element(to, kernel.define("VEC4S", 0), &bindings, tokens * width);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let (dy, ids) = (&inputs[0], &inputs[1]);
        let mut dw = Array::zeros(self.table.clone());
        let width = self.table.dims()[1];
        for (n, id) in
            ids.data.iter().enumerate().filter(|(_, id)| (0.0..self.table.dims()[0] as f64).contains(*id))
        {
            (0..width).for_each(|c| dw.data[*id as usize * width + c] += dy.data[n * width + c]);
        }
        vec![dw]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        inputs[0].len() as u64
    }
}

impl Tensor {
    /// Rows of this table (V, D) by number, i32 (T): (T, D). -1 gives zeros, other numbers out of range NaN.
    ///
    /// # Errors
    /// [`Error::Shape`] for operands of other shapes or types.
    pub fn embedding(&self, ids: &Tensor) -> Result<Tensor> {
        self.tape().record1(Embedding, &[self, ids])
    }
}

/// Conformance cases. That other numbers out of range give NaN is in tests/gather.rs: no tolerance lets NaN pass.
pub const SPEC: OpSpec = OpSpec { name: "embedding", cases };

fn cases() -> Vec<Case> {
    let embedding = |table: [usize; 2], tokens: usize, fill: Fill| {
        let ids = Input { fill, ..Input::below([tokens], 1) };
        Case::new(Embedding, vec![Input::normal(table), ids])
    };
    let below = Fill::Below;
    vec![
        embedding([1, 1], 1, below(1)),
        embedding([5, 3], 41, below(5)),
        embedding([47, 4], 300, below(47)),
        embedding([300, 8], 7, below(300)),
        // All the same row, none at all, and fillers in between.
        embedding([9, 12], 129, Fill::Values(vec![8.0])),
        embedding([9, 5], 13, Fill::Values(vec![-1.0])),
        embedding([50, 16], 257, Fill::Values(vec![49.0, -1.0, 0.0, 7.0, -1.0, 49.0, 3.0])),
        // The same row far apart.
        embedding([600, 1], 601, Fill::Values((0..600).map(f64::from).collect())),
        embedding([40, 384], 64, below(40)),
        embedding([30_522, 2], 33, below(30_522)),
    ]
}
