//! Boxes and logits off the map of a YOLO head (Redmon and Farhadi 1804.02767, section 2.1).
//!
//! In cell (j, i) of H x W, for an anchor of p_w by p_h pixels, with s the head's `scale_x_y` and (h, w) the network's input:
//!
//! | | x | width |
//! |---|---|---|
//! | | (i + s sigmoid(t_x) - (s - 1) / 2) / W | p_w exp(t_w) / w |
//! | `squared_sides` | (i + s t_x - (s - 1) / 2) / W | p_w (2 t_w)^2 / w |
//!
//! and y and height likewise. The second row is darknet's `new_coords`, whose t went through a sigmoid in the layer before.

use super::head::YoloHead;
use crate::Result;
use crate::gpu::Kernel;
use crate::ops::common::{expect_f32, expect_inputs, per_element};
use crate::ops::spec::{Case, Fill, Input, OpSpec};
use crate::ops::unary::{Function, Unary};
use crate::tape::{Array, Backward, Lowering, Meta, Op, Slot, Step, Tensor};

const SHADER: &str = include_str!("../../../shaders/boxes/decode.wgsl");

/// exp(t) of a side stays what it is here above it, with no gradient: 22,026 times the anchor, and no infinity.
pub const MOST_GROWTH: f32 = 10.0;

/// How near to 0 and 1 a probability's logit is taken: up to 13.8 either way.
pub const LEAST_PROBABILITY: f32 = 1e-6;

/// Boxes (N, R, 4) from a map (N, A (5 + C), H, W).
#[derive(Debug, Clone)]
struct YoloBoxes(YoloHead);

/// The map's gradient, from the map and dy: zero in the channels of objectness and classes.
#[derive(Debug, Clone)]
struct YoloBoxesBackward(YoloHead);

impl YoloHead {
    /// Width and height of each anchor in shares of the input, for a map of these rows and columns.
    fn sides(&self, cells: [usize; 2]) -> Vec<[f32; 2]> {
        let [h, w] = self.input(cells);
        self.anchors.iter().map(|&[side_w, side_h]| [side_w / w as f32, side_h / h as f32]).collect()
    }

    /// Boxes off a map of these rows and columns, on the host.
    pub fn reader(&self, cells: [usize; 2]) -> BoxReader<'_> {
        BoxReader { head: self, sides: self.sides(cells), cells }
    }

    fn kernel(&self, entry: &'static str, map: &[usize]) -> Kernel {
        let sides = self.sides([map[2], map[3]]);
        Kernel::new("yolo_boxes", entry, SHADER)
            .define("SQUARED", self.squared_sides.into())
            .define("ANCHORS", self.anchors.len())
            .define("CHANNELS", 5 + self.classes)
            .define("ROWS", map[2])
            .define("COLUMNS", map[3])
            .define_f32("SCALE", self.scale_x_y)
            .define_f32("REACH", (self.scale_x_y - 1.0) / 2.0)
            .define_f32("MOST", MOST_GROWTH)
            .define_each_f32("SIDE_W", sides.iter().map(|side| side[0]))
            .define_each_f32("SIDE_H", sides.iter().map(|side| side[1]))
    }

    /// A coordinate of a centre in cell `place` of `count`, and its derivative by t.
    fn centre(&self, t: f64, place: usize, count: usize) -> [f64; 2] {
        let (scale, sigmoid) = (f64::from(self.scale_x_y), 1.0 / (1.0 + (-t).exp()));
        let [inside, slope] =
            if self.squared_sides { [t, 1.0] } else { [sigmoid, sigmoid * (1.0 - sigmoid)] };
        let along = place as f64 + scale * inside - (scale - 1.0) / 2.0;
        [along / count as f64, scale * slope / count as f64]
    }

    /// A side of a box, and its derivative by t, for an anchor with this one.
    fn side(&self, t: f64, anchor: f32) -> [f64; 2] {
        let (anchor, most) = (f64::from(anchor), f64::from(MOST_GROWTH));
        match self.squared_sides {
            true => [anchor * 4.0 * t * t, anchor * 8.0 * t],
            false if t > most => [anchor * most.exp(), 0.0],
            // A NaN stays one.
            false => [anchor * t.exp(); 2],
        }
    }

    /// Calls `visit` for each number of each box: its place among the boxes', that of its t in the map, its value, and its
    /// derivative by t.
    fn each(&self, map: &Array, mut visit: impl FnMut(usize, usize, [f64; 2])) {
        let &[n, _, h, w] = map.dims() else { return };
        let (sides, cells) = (self.sides([h, w]), h * w);
        for row in 0..n * sides.len() * cells {
            let (plane, cell) = (row / cells, row % cells);
            for k in 0..4 {
                let at = (plane * (5 + self.classes) + k) * cells + cell;
                let t = map.data[at];
                let number = match k {
                    0 => self.centre(t, cell % w, w),
                    1 => self.centre(t, cell / w, h),
                    _ => self.side(t, sides[plane % sides.len()][k - 2]),
                };
                visit(4 * row + k, at, number);
            }
        }
    }
}

/// What [`YoloHead::reader`] gives.
#[derive(Debug)]
pub struct BoxReader<'a> {
    head: &'a YoloHead,
    sides: Vec<[f32; 2]>,
    cells: [usize; 2],
}

impl BoxReader<'_> {
    /// The box (centre x, centre y, width, height, in shares of the input) of a row's first four numbers in the map. `anchor`
    /// is its place among the head's, `cell` that among the map's; none is where either is past the end.
    pub fn read(&self, anchor: usize, cell: usize, t: [f32; 4]) -> Option<[f32; 4]> {
        let (&[side_w, side_h], [h, w]) = (self.sides.get(anchor)?, self.cells);
        let [x, y, wide, high] = t.map(f64::from);
        let found = [
            self.head.centre(x, cell % w.max(1), w),
            self.head.centre(y, cell / w.max(1), h),
            self.head.side(wide, side_w),
            self.head.side(high, side_h),
        ];
        (cell < h * w).then(|| found.map(|[value, _]| value as f32))
    }
}

impl Op for YoloBoxes {
    fn name(&self) -> &'static str {
        "yolo_boxes"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 1)?;
        expect_f32(self.name(), inputs)?;
        let [h, w] = self.0.cells_of(self.name(), &inputs[0])?;
        Ok(vec![Meta::f32([inputs[0].shape[0], self.0.anchors.len() * h * w, 4])])
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        let x = &at.inputs[0];
        Ok(vec![Some(x.tape().record1(YoloBoxesBackward(self.0.clone()), &[x, at.dy()?])?)])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let kernel = self.0.kernel("forward", to.input(0));
        let rows = to.output(0)[0] * to.output(0)[1];
        per_element(to, kernel, &[Slot::Input(0), Slot::Output(0)], rows);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let map = &inputs[0];
        let rows = map.data.len() / (5 + self.0.classes) / map.dims()[0].max(1);
        let mut y = Array::zeros([map.dims()[0], rows, 4]);
        self.0.each(map, |to, _, [value, _]| y.data[to] = value);
        vec![y]
    }

    /// A share of the input in f16 is off by up to half a pixel.
    fn keep_f32(&self) -> &[usize] {
        &[0]
    }

    fn flops(&self, _: &[Meta], outputs: &[Meta]) -> u64 {
        8 * outputs[0].len() as u64
    }
}

impl Op for YoloBoxesBackward {
    fn name(&self) -> &'static str {
        "yolo_boxes"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        Ok(vec![inputs[0].clone()])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let kernel = self.0.kernel("backward_x", to.input(0));
        let len = to.output(0).iter().product();
        per_element(to, kernel, &[Slot::Input(0), Slot::Input(1), Slot::Output(0)], len);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let mut dx = Array::zeros(inputs[0].shape.clone());
        self.0.each(&inputs[0], |from, at, [_, slope]| dx.data[at] = slope * inputs[1].data[from]);
        vec![dx]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        8 * inputs[1].len() as u64
    }
}

impl Tensor {
    /// The boxes (N, R, 4) of this map (N, A (5 + C), H, W) of `head`, as [the module](self) says. Always f32.
    pub fn yolo_boxes(&self, head: &YoloHead) -> Result<Tensor> {
        self.tape().record1(YoloBoxes(head.clone()), &[self])
    }

    /// The logits of this map (N, A (5 + C), H, W) of `head`: objectness (N, R) and classes (N, R, C).
    ///
    /// A head with [`YoloHead::squared_sides`] has probabilities p in its map. Where the map requires a gradient and is known
    /// to be what a sigmoid made, its logits are what that sigmoid took: exact, with a gradient that never vanishes. Else they
    /// are ln(p / (1 - p)), with p at least [`LEAST_PROBABILITY`] away from 0 and 1, and no gradient beyond.
    pub fn yolo_logits(&self, head: &YoloHead) -> Result<[Tensor; 2]> {
        let op = "yolo_logits";
        expect_f32(op, std::slice::from_ref(self.meta()))?;
        let [h, w] = head.cells_of(op, self.meta())?;
        let before = || self.producer_is(&Unary(Function::Sigmoid)).filter(|_| self.requires_grad());
        let (map, is_logit) = match head.squared_sides.then(before).flatten() {
            Some(logits) => (logits, true),
            None => (self.clone(), !head.squared_sides),
        };
        let (n, anchors, classes) = (self.dims()[0], head.anchors.len(), head.classes);
        let rows = anchors * h * w;
        let map = map.reshape([n, anchors, 5 + classes, h * w])?;
        let objectness = map.slice(2, 4, 1)?.reshape([n, rows])?;
        let classes = map.slice(2, 5, classes)?.permute(&[0, 1, 3, 2])?.reshape([n, rows, classes])?;
        if is_logit { Ok([objectness, classes]) } else { Ok([logit(&objectness)?, logit(&classes)?]) }
    }
}

/// ln(p / (1 - p)), away from the ends. What f16 would round to 0 or 1 stays f32.
fn logit(p: &Tensor) -> Result<Tensor> {
    let full = |x: Tensor| {
        x.keep_full();
        x
    };
    // The larger of x and the least.
    let at_least = |x: &Tensor| {
        let above = full(full(x.add_scalar(-LEAST_PROBABILITY)?).relu()?);
        above.add_scalar(LEAST_PROBABILITY).map(full)
    };
    let other = full(full(p.scale(-1.0)?).add_scalar(1.0)?);
    let [log_p, log_other] = [full(at_least(p)?.log()?), full(at_least(&other)?.log()?)];
    log_p.sub(&log_other)
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "yolo_boxes", cases };

/// A head for tests of ops: the last anchors of a network that has one more.
pub(super) fn head_for_cases(anchors: usize, classes: usize) -> YoloHead {
    let all: Vec<[f32; 2]> = (0..=anchors).map(|i| [12.0 + 17.0 * i as f32, 41.0 - 5.0 * i as f32]).collect();
    YoloHead {
        anchors: all[1..].to_vec(),
        all_anchors: all,
        mask: (1..=anchors).collect(),
        classes,
        stride: [16, 8],
        scale_x_y: 1.05,
        squared_sides: false,
        ignore_threshold: 0.3,
        assign_threshold: 1.0,
    }
}

fn cases() -> Vec<Case> {
    let case = |anchors: usize, classes: usize, [n, h, w]: [usize; 3], fill: Fill, squared: bool| {
        let head = YoloHead { squared_sides: squared, ..head_for_cases(anchors, classes) };
        let input = Input::filled([n, head.channels(), h, w], fill);
        let scale_x_y = if squared { 2.0 } else { head.scale_x_y };
        Case::new(YoloBoxes(YoloHead { scale_x_y, ..head }), vec![input])
    };
    let mut all = Vec::new();
    for (anchors, classes, size) in [
        (1, 0, [1, 1, 1]),
        (1, 1, [1, 3, 5]),
        (3, 3, [2, 7, 5]),
        (2, 80, [3, 5, 4]),
        (3, 20, [1, 13, 13]),
        (5, 7, [0, 2, 3]),
        (3, 1, [2, 41, 47]),
    ] {
        all.push(case(anchors, classes, size, Fill::Normal(1.0), false));
        all.push(case(anchors, classes, size, Fill::Uniform(0.01, 0.99), true));
    }
    // Far out, where a sigmoid is flat and exp stops.
    let far = vec![-90.0, -12.0, 30.0, 0.5, 9.5, 90.0, 2.0];
    all.push(case(2, 1, [2, 3, 5], Fill::Values(far), false));
    all
}
