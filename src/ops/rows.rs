//! Dispatching kernels that work by row of a (rows, columns) tensor: shaders/shared/rows.wgsl and shaders/loss/row_loss.wgsl.

use super::costs::{Costs, RowCosts};
use crate::gpu::{Grid, Kernel};
use crate::tape::{Lowering, Slot};

/// Invocations of element-wise kernels, and of a workgroup that sums up all rows.
const WIDE: usize = 256;

/// A dense (rows, columns) view.
#[derive(Debug, Clone, Copy)]
pub struct RowView {
    pub rows: usize,
    pub columns: usize,
    /// A row's elements are not neighbours in memory.
    pub strided: bool,
}

/// How rows are spread over invocations.
struct Spread {
    shared: bool,
    workgroup: usize,
    groups: usize,
}

impl RowView {
    /// A row each index of the first dimension.
    pub fn of(dims: &[usize]) -> Self {
        let rows = dims.first().copied().unwrap_or(1);
        Self { rows, columns: dims.iter().skip(1).product(), strided: false }
    }

    /// One dispatch by row. `base` has its own source and constants; bindings as it uses them.
    pub fn by_row(self, to: &mut Lowering<'_>, base: Kernel, bindings: &[Slot]) {
        let spread = self.spread(&Costs::of(to.caps()).rows);
        let kernel = self.define(base, &spread).define("LOSS", 0);
        to.dispatch(kernel, bindings, Grid::linear(spread.groups));
    }

    /// One dispatch with an invocation for each `Elem` of the tensor.
    pub fn by_elem(self, to: &mut Lowering<'_>, base: Kernel, bindings: &[Slot]) {
        self.by_elem_of(to, self, base, bindings);
    }

    /// One dispatch with an invocation for each `Elem` of `self`; the kernel's constants are those of `tensor`.
    pub fn by_elem_of(self, to: &mut Lowering<'_>, tensor: RowView, base: Kernel, bindings: &[Slot]) {
        let groups = (self.rows * self.elems()).div_ceil(WIDE);
        let spread = Spread { shared: false, workgroup: WIDE, groups };
        to.dispatch(tensor.define(base, &spread).define("LOSS", 0), bindings, Grid::linear(spread.groups));
    }

    /// The dispatches of a loss. `kernel` gives the kernel for an entry point of row_loss.wgsl, with `FACTOR` and
    /// `COUNTED`; `bindings` are its own, and `results` the loss and, where counted, the inverse count.
    pub fn loss(
        self,
        to: &mut Lowering<'_>,
        kernel: &dyn Fn(&'static str) -> Kernel,
        bindings: &[Slot],
        results: &[Slot],
    ) {
        let costs = &Costs::of(to.caps()).rows;
        let spread = self.spread(costs);
        // One workgroup is one core of a CPU: worth the dispatch that it saves where there is little to do.
        let little = self.rows * self.columns <= costs.single;
        let single = !spread.shared && self.rows <= WIDE && little;
        let with = |entry: &'static str, spread: &Spread| {
            self.define(kernel(entry), spread).define("LOSS", 1).define("SINGLE", single.into())
        };
        let whole = Spread { shared: spread.shared, workgroup: WIDE, groups: 1 };
        if single {
            to.dispatch(with("forward", &whole), &[bindings, results].concat(), Grid::linear(1));
            return;
        }
        let partial = to.scratch(2 * self.rows);
        to.dispatch(with("forward", &spread), &[bindings, &[partial]].concat(), Grid::linear(spread.groups));
        to.dispatch(with("finish", &whole), &[&[partial], results].concat(), Grid::linear(1));
    }

    /// `Elem`s of a row.
    fn elems(self) -> usize {
        if self.vector() { self.columns / 4 } else { self.columns }
    }

    fn vector(self) -> bool {
        self.columns.is_multiple_of(4) && !self.strided
    }

    /// Short rows, and rows in plenty, go one to an invocation, without barriers; the others are shared.
    fn spread(self, costs: &RowCosts) -> Spread {
        if self.columns > costs.shared_columns && self.rows < costs.shared_rows {
            let workgroup = costs.shared_workgroup[usize::from(self.columns >= costs.long)];
            return Spread { shared: true, workgroup, groups: self.rows };
        }
        let workgroup = costs.own_workgroup[usize::from(self.rows >= costs.plenty)];
        Spread { shared: false, workgroup, groups: self.rows.div_ceil(workgroup) }
    }

    fn define(self, base: Kernel, spread: &Spread) -> Kernel {
        base.define("ROWS", self.rows)
            .define("COLUMNS", self.columns)
            .define("ELEMS", self.elems())
            .define("VECTOR", self.vector().into())
            .define("SHARED", spread.shared.into())
            .define("WORKGROUP", spread.workgroup)
    }
}
