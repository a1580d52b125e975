//! Dispatching kernels that work by row of a (rows, columns) tensor: shaders/shared/rows.wgsl and shaders/loss/row_loss.wgsl.

use super::common::CPU_LANES;
use crate::gpu::{Caps, Grid, Kernel};
use crate::tape::{Lowering, Slot};

/// Invocations of element-wise kernels, and of a workgroup that sums up all rows.
const WIDE: usize = 256;

/// A dense (rows, columns) view.
#[derive(Debug, Clone, Copy)]
pub struct Rows {
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

impl Rows {
    /// A row each index of the first dimension.
    pub fn of(dims: &[usize]) -> Self {
        let rows = dims.first().copied().unwrap_or(1);
        Self { rows, columns: dims.iter().skip(1).product(), strided: false }
    }

    /// One dispatch by row. `base` has its own source and constants; bindings as it uses them.
    pub fn by_row(self, to: &mut Lowering<'_>, base: Kernel, bindings: &[Slot]) {
        let spread = self.spread(to.caps());
        let kernel = self.define(base, &spread).define("LOSS", 0);
        to.dispatch(kernel, bindings, Grid::linear(spread.groups));
    }

    /// One dispatch with an invocation for each `Real` of the tensor.
    pub fn by_real(self, to: &mut Lowering<'_>, base: Kernel, bindings: &[Slot]) {
        self.by_real_of(to, self, base, bindings);
    }

    /// One dispatch with an invocation for each `Real` of `self`; the kernel's constants are those of `tensor`.
    pub fn by_real_of(self, to: &mut Lowering<'_>, tensor: Rows, base: Kernel, bindings: &[Slot]) {
        let groups = (self.rows * self.reals()).div_ceil(WIDE);
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
        let spread = self.spread(to.caps());
        // One workgroup is one core of a CPU: worth the dispatch that it saves where there is little to do.
        const LITTLE: usize = 1 << 16;
        let little = !to.caps().is_cpu || self.rows * self.columns <= LITTLE;
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

    /// `Real`s of a row.
    fn reals(self) -> usize {
        if self.vector() { self.columns / 4 } else { self.columns }
    }

    fn vector(self) -> bool {
        self.columns.is_multiple_of(4) && !self.strided
    }

    /// Short rows go one to an invocation, without barriers; long rows are shared.
    fn spread(self, caps: &Caps) -> Spread {
        const LONG: usize = 4096;
        if caps.is_cpu {
            return self.spread_on_cpu();
        }
        if self.columns <= 32 {
            return Spread { shared: false, workgroup: 64, groups: self.rows.div_ceil(64) };
        }
        Spread { shared: true, workgroup: if self.columns < LONG { 64 } else { WIDE }, groups: self.rows }
    }

    /// Barriers are dear there, and one thread runs a workgroup whatever its size: rows are shared only where
    /// they are too few for all cores, and by no more invocations than run at once.
    fn spread_on_cpu(self) -> Spread {
        const FEW: usize = 64;
        const PLENTY: usize = 1024;
        if self.columns > 512 && self.rows < FEW {
            return Spread { shared: true, workgroup: CPU_LANES, groups: self.rows };
        }
        let workgroup = if self.rows < PLENTY { CPU_LANES } else { 64 };
        Spread { shared: false, workgroup, groups: self.rows.div_ceil(workgroup) }
    }

    fn define(self, base: Kernel, spread: &Spread) -> Kernel {
        base.define("ROWS", self.rows)
            .define("COLUMNS", self.columns)
            .define("REALS", self.reals())
            .define("VECTOR", self.vector().into())
            .define("SHARED", spread.shared.into())
            .define("WORKGROUP", spread.workgroup)
    }
}
