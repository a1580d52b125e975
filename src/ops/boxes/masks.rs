//! Where in a map truths lie: y (N, 1, H, W) from truths (N, M, 4) and their classes i32 (N, M).
//!
//! | | a cell's value |
//! |---|---|
//! | [`BoxMask::Area`] | 1 by the number of cells that a truth touches, the largest of those that touch this one; 0 where there is none (FGD, Yang et al. 2111.11837) |
//! | [`BoxMask::Anchors`] | 1 where an anchor at this cell's centre overlaps a truth by more than a share of the most that any anchor does, anywhere in the map (Wang et al. 1906.03609); else 0 |
//!
//! A truth touches at least one cell, and none beyond the map. No truth is one whose class is negative, or with a side of zero
//! or less. No gradient flows through it.

use super::geometry::Frame;
use crate::gpu::Kernel;
use crate::ops::common::per_element;
use crate::ops::spec::{Case, Fill, Input, OpSpec};
use crate::tape::{Array, Lowering, Meta, Op, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER: &str = include_str!("../../../shaders/boxes/masks.wgsl");

/// What marks a cell.
#[derive(Debug, Clone, PartialEq)]
pub enum BoxMask {
    /// The smallest truth that touches it.
    Area,
    /// A truth that an anchor at its centre overlaps well.
    Anchors {
        /// Width and height of the anchors, in shares of the input.
        sides: Vec<[f32; 2]>,
        /// Share of a truth's largest overlap with any anchor, from which on it is well.
        share: f32,
    },
}

/// y from truths and classes, for a map of these rows and columns.
#[derive(Debug, Clone)]
struct BoxMasks {
    mask: BoxMask,
    cells: [usize; 2],
}

impl BoxMasks {
    fn kernel(&self, truths: usize) -> Kernel {
        let kernel = |entry| {
            let kernel = Kernel::new("box_masks", entry, SHADER);
            kernel.define("TRUTHS", truths).define("ROWS", self.cells[0]).define("COLUMNS", self.cells[1])
        };
        let (sides, share, entry) = match &self.mask {
            BoxMask::Area => (&[][..], 0.0, "area"),
            BoxMask::Anchors { sides, share } => (&sides[..], *share, "anchors"),
        };
        kernel(entry)
            .define("ANCHORS", sides.len())
            .define_f32("SHARE", share)
            .define_each_f32("ANCHOR_W", sides.iter().map(|side| side[0]))
            .define_each_f32("ANCHOR_H", sides.iter().map(|side| side[1]))
    }

    /// The first and last cell of an axis that a truth touches, in f32 as the kernel does.
    fn touched(&self, truth: &Frame, axis: usize) -> [usize; 2] {
        let cells = self.cells[1 - axis] as f32;
        let (centre, side) = (truth.centre[axis] as f32, truth.sides[axis] as f32);
        let low = ((centre - 0.5 * side) * cells).floor().clamp(0.0, cells - 1.0);
        let high = (((centre + 0.5 * side) * cells).ceil() - 1.0).clamp(low, cells - 1.0);
        [low as usize, high as usize]
    }

    fn area(&self, truth: &Frame, [row, column]: [usize; 2]) -> f64 {
        let [columns, rows] = [0, 1].map(|axis| self.touched(truth, axis));
        let inside = (rows[0]..=rows[1]).contains(&row) && (columns[0]..=columns[1]).contains(&column);
        let count = (rows[1] + 1 - rows[0]) * (columns[1] + 1 - columns[0]);
        if inside { 1.0 / count as f64 } else { 0.0 }
    }

    /// Whether an anchor at the cell overlaps the truth by more than the share of the most in the map.
    fn well(&self, truth: &Frame, [row, column]: [usize; 2], sides: &[[f32; 2]], share: f32) -> f64 {
        let overlap = |[row, column]: [usize; 2]| {
            let place = |cell: usize, cells: usize| (cell as f64 + 0.5) / cells as f64;
            let centre = [place(column, self.cells[1]), place(row, self.cells[0])];
            let each = sides.iter().map(|side| Frame { centre, sides: side.map(f64::from) }.iou(truth));
            each.fold(0.0, f64::max)
        };
        let all = (0..self.cells[0]).flat_map(|row| (0..self.cells[1]).map(move |column| [row, column]));
        let most = all.map(overlap).fold(0.0, f64::max);
        f64::from(overlap([row, column]) > f64::from(share) * most)
    }
}

impl Op for BoxMasks {
    fn name(&self) -> &'static str {
        "box_masks"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        let got = || inputs.iter().map(Meta::to_string).collect::<Vec<_>>().join(", ");
        let fail = |expected: &str, got: String| Err(Error::shape(self.name(), expected, got));
        if self.cells.contains(&0) {
            return fail("at least one cell", format!("{:?}", self.cells));
        }
        if let BoxMask::Anchors { sides, share } = &self.mask {
            let positive = |side: &[f32; 2]| side.iter().all(|side| side.is_finite() && *side > 0.0);
            if sides.is_empty() || !sides.iter().all(positive) || !(0.0..1.0).contains(share) {
                return fail("anchors of positive sides, and a share of 0 to 1", format!("{:?}", self.mask));
            }
        }
        let dims = inputs.first().map_or(&[][..], |truths| truths.shape.dims());
        let &[n, m, 4] = dims else { return fail("truths f32 (N, M, 4)", got()) };
        if inputs != [Meta::f32([n, m, 4]), Meta::i32([n, m])] {
            return fail("truths f32 (N, M, 4) and classes i32 (N, M)", got());
        }
        Ok(vec![Meta::f32([n, 1, self.cells[0], self.cells[1]])])
    }

    fn differentiable(&self) -> bool {
        false
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let kernel = self.kernel(to.input(0)[1]);
        let len = to.output(0).iter().product();
        per_element(to, kernel, &[Slot::Input(0), Slot::Input(1), Slot::Output(0)], len);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let (n, m) = (inputs[0].dims()[0], inputs[0].dims()[1]);
        let [rows, columns] = self.cells;
        let mut y = Array::zeros([n, 1, rows, columns]);
        for (i, y) in y.data.iter_mut().enumerate() {
            let (image, cell) = (i / (rows * columns), [i / columns % rows, i % columns]);
            for t in image * m..(image + 1) * m {
                let truth = Frame::at(&inputs[0].data, t);
                if inputs[1].data[t] < 0.0 || truth.is_empty() {
                    continue;
                }
                let value = match &self.mask {
                    BoxMask::Area => self.area(&truth, cell),
                    BoxMask::Anchors { sides, share } => self.well(&truth, cell, sides, *share),
                };
                *y = y.max(value);
            }
        }
        vec![y]
    }

    /// Weights of few different sizes, which f16 would round.
    fn keep_f32(&self) -> &[usize] {
        &[0]
    }

    fn flops(&self, inputs: &[Meta], outputs: &[Meta]) -> u64 {
        let anchors = match &self.mask {
            BoxMask::Area => 0,
            BoxMask::Anchors { sides, .. } => sides.len(),
        };
        ((10 + 30 * anchors) * outputs[0].len() * inputs[0].shape[1]) as u64
    }
}

impl BoxMask {
    /// The mask (N, 1, H, W) of `truths` (N, M, 4), in shares of the input, with `classes` i32 (N, M), for a map of `cells`
    /// (rows, columns), as [the module](self) says.
    ///
    /// # Errors
    /// Where the shapes do not go together, and for anchors that are none.
    pub fn of(&self, truths: &Tensor, classes: &Tensor, cells: [usize; 2]) -> Result<Tensor> {
        truths.tape().record1(BoxMasks { mask: self.clone(), cells }, &[truths, classes])
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "box_masks", cases };

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    let sides = |count: usize| (0..count).map(|i| [0.11 + 0.07 * i as f32, 0.31 - 0.05 * i as f32]).collect();
    for (anchors, [n, h, w], truths) in [
        (1, [1, 1, 1], 1),
        (3, [2, 7, 5], 11),
        (2, [3, 4, 41], 30),
        (5, [1, 13, 13], 47),
        (1, [1, 3, 3], 0),
        (2, [0, 3, 3], 5),
    ] {
        for mask in [BoxMask::Area, BoxMask::Anchors { sides: sides(anchors), share: 0.5 }] {
            let labels = Input {
                meta: Meta::i32([n, truths]),
                fill: Fill::Values(vec![0.0, -1.0, 2.0, 1.0]),
                grad: false,
            };
            let boxes = super::overlap::boxes_for_cases(&[n, truths, 4], 1.0 / 64.0).no_grad();
            all.push(Case::new(BoxMasks { mask, cells: [h, w] }, vec![boxes, labels]));
        }
    }
    // Without area, thinner than a cell, on an edge between cells, beyond the map on either side, larger than it.
    let edges = vec![
        0.5, 0.5, 0.0, 0.4, 0.31, 0.52, 0.01, 0.01, 0.5, 0.5, 0.25, 0.25, 1.5, 0.3, 0.2, 0.25, -0.5, -0.1,
        0.4, 0.3, 0.4, 0.6, 3.0, 2.0,
    ];
    for mask in [BoxMask::Area, BoxMask::Anchors { sides: sides(3), share: 0.3 }] {
        let boxes = Input::filled([1, 6, 4], Fill::Values(edges.clone())).no_grad();
        let labels = Input { meta: Meta::i32([1, 6]), fill: Fill::Values(vec![0.0]), grad: false };
        all.push(Case::new(BoxMasks { mask, cells: [4, 8] }, vec![boxes, labels]));
    }
    all
}
