//! Operators that slide a window over images: convolution and pooling, with ONNX's ways to say how the borders are.

use super::lower::At;
use crate::Result;
use crate::ops::conv2d::Conv2d;
use crate::ops::pool::Pool;
use crate::tape::Tensor;

/// Beyond any real stride, padding or window.
pub(super) const MOST: i64 = 1 << 20;

/// A window's settings along height and width.
struct Window {
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    /// Before and after, for each axis.
    pads: [(usize, usize); 2],
    /// What the last windows reach beyond the padding where `ceil_mode` rounds up.
    beyond: [usize; 2],
}

impl Window {
    fn new(at: &At<'_>, x: &Tensor, kernel: [usize; 2]) -> Result<Self> {
        let &[_, _, h, w] = x.dims() else {
            return Err(
                at.fail(format!("expected images (N, C, H, W), got {}: only 2-D is supported", x.shape()))
            );
        };
        let pair = |name: &str| match at.node.ints(name) {
            None => Ok([1, 1]),
            Some(&[a, b]) if (1..MOST).contains(&a) && (1..MOST).contains(&b) => Ok([a as usize, b as usize]),
            Some(other) => Err(at.fail(format!("expected two {name} from 1 to {MOST}, got {other:?}"))),
        };
        let (stride, dilation) = (pair("strides")?, pair("dilations")?);
        let mut window = Self { kernel, stride, dilation, pads: [(0, 0); 2], beyond: [0, 0] };
        if kernel.contains(&0) {
            return Err(at.fail(format!("expected a kernel of at least 1x1, got {kernel:?}")));
        }
        for (axis, size) in [h, w].into_iter().enumerate() {
            window.pads[axis] = window.pads_of(at, axis, size)?;
            if at.node.int("ceil_mode", 0) == 1 {
                window.beyond[axis] = window.beyond_of(axis, size);
            }
        }
        Ok(window)
    }

    /// Elements from the first to the last that a window touches.
    fn reach(&self, axis: usize) -> usize {
        self.dilation[axis].saturating_mul(self.kernel[axis] - 1).saturating_add(1)
    }

    fn pads_of(&self, at: &At<'_>, axis: usize, size: usize) -> Result<(usize, usize)> {
        let same = |upper: bool| {
            let windows = size.div_ceil(self.stride[axis]);
            let total = ((windows.max(1) - 1) * self.stride[axis] + self.reach(axis)).saturating_sub(size);
            if upper { (total / 2, total - total / 2) } else { (total - total / 2, total / 2) }
        };
        match (at.node.text("auto_pad").unwrap_or("NOTSET"), at.node.ints("pads")) {
            ("SAME_UPPER", _) => Ok(same(true)),
            ("SAME_LOWER", _) => Ok(same(false)),
            ("VALID", _) | (_, None) => Ok((0, 0)),
            (_, Some(&[top, left, bottom, right]))
                if [top, left, bottom, right].iter().all(|p| (0..MOST).contains(p)) =>
            {
                Ok([(top as usize, bottom as usize), (left as usize, right as usize)][axis])
            }
            (_, Some(pads)) => Err(at.fail(format!("expected four pads of at least 0, got {pads:?}"))),
        }
    }

    /// With `ceil_mode` a last window counts if it starts on an element or on the padding before.
    fn beyond_of(&self, axis: usize, size: usize) -> usize {
        let ((before, after), stride, reach) = (self.pads[axis], self.stride[axis], self.reach(axis));
        let Some(room) = (size + before + after).checked_sub(reach) else { return 0 };
        let mut last = room.div_ceil(stride) * stride;
        if last >= size + before {
            last -= stride;
        }
        (last + reach).saturating_sub(size + before + after)
    }

    /// The padding, where it is the same on both sides.
    fn symmetric(&self) -> Option<[usize; 2]> {
        let equal = self.pads.iter().all(|(before, after)| before == after) && self.beyond == [0, 0];
        equal.then_some([self.pads[0].0, self.pads[1].0])
    }

    /// x with its borders written out.
    fn padded(&self, x: &Tensor, value: f32) -> Result<Tensor> {
        let side = |axis: usize| (self.pads[axis].0, self.pads[axis].1 + self.beyond[axis]);
        x.pad(&[(0, 0), (0, 0), side(0), side(1)], value)
    }

    fn pool(&self, padding: [usize; 2]) -> Pool {
        Pool::new(self.kernel, self.stride, padding)
    }

    /// The padding, where limbeck's pooling takes it: at most half a window.
    fn pool_padding(&self) -> Option<[usize; 2]> {
        self.symmetric().filter(|p| p[0] <= self.kernel[0] / 2 && p[1] <= self.kernel[1] / 2)
    }
}

pub(super) fn conv(at: &At<'_>) -> Result<Tensor> {
    let (x, w) = (at.tensor(0)?, at.tensor(1)?);
    let bias = at.input(2).map(|_| at.tensor(2)).transpose()?;
    let &[_, _, k_h, k_w] = w.dims() else {
        return Err(at.fail(format!("expected weights (c_out, c_in, k_h, k_w), got {}", w.shape())));
    };
    let window = Window::new(at, &x, [k_h, k_w])?;
    let groups = at.node.int("group", 1);
    let groups = usize::try_from(groups)
        .map_err(|_| at.fail(format!("expected groups of at least 1, got {groups}")))?;
    let config = |padding| Conv2d { stride: window.stride, padding, dilation: window.dilation, groups };
    match window.symmetric() {
        Some(padding) => x.conv2d(&w, bias.as_ref(), config(padding)),
        None => window.padded(&x, 0.0)?.conv2d(&w, bias.as_ref(), config([0, 0])),
    }
}

/// The settings of a pooling node.
fn pooling(at: &At<'_>, x: &Tensor) -> Result<Window> {
    let kernel = match at.node.ints("kernel_shape") {
        Some(&[a, b]) if (1..MOST).contains(&a) && (1..MOST).contains(&b) => [a as usize, b as usize],
        other => return Err(at.fail(format!("expected a kernel_shape of two sizes, got {other:?}"))),
    };
    let window = Window::new(at, x, kernel)?;
    if window.dilation != [1, 1] {
        return Err(at.fail(format!("dilations {:?} are not supported; expected 1", window.dilation)));
    }
    Ok(window)
}

pub(super) fn max_pool(at: &At<'_>) -> Result<Tensor> {
    let x = at.tensor(0)?;
    let window = pooling(at, &x)?;
    match window.pool_padding() {
        Some(padding) => x.max_pool2d(&window.pool(padding)),
        // Lower than any activation: padding never wins.
        None => window.padded(&x, f32::MIN)?.max_pool2d(&window.pool([0, 0])),
    }
}

pub(super) fn average_pool(at: &At<'_>) -> Result<Tensor> {
    let x = at.tensor(0)?;
    let window = pooling(at, &x)?;
    let count_pads = at.node.int("count_include_pad", 0) == 1;
    if let Some(padding) = window.pool_padding() {
        return x.avg_pool2d(&window.pool(padding), count_pads);
    }
    // Sums over written-out zeros, and then the right divisor for each window.
    let mean = window.padded(&x, 0.0)?.avg_pool2d(&window.pool([0, 0]), true)?;
    let [rows, columns] = [0, 1].map(|axis| {
        let (size, out) = (x.dims()[2 + axis], mean.dims()[2 + axis]);
        let (before, after) = window.pads[axis];
        let counted = if count_pads { 0..before + size + after } else { before..before + size };
        let count = move |o: usize| {
            let start = o * window.stride[axis];
            (start..start + window.kernel[axis]).filter(|i| counted.contains(i)).count()
        };
        (0..out).map(count).collect::<Vec<_>>()
    });
    let area = (window.kernel[0] * window.kernel[1]) as f32;
    let factors: Vec<f32> =
        rows.iter().flat_map(|r| columns.iter().map(move |c| area / (r * c).max(1) as f32)).collect();
    mean.mul(&at.constant(vec![1, 1, rows.len(), columns.len()], &factors)?)
}

pub(super) fn global_average_pool(at: &At<'_>) -> Result<Tensor> {
    at.tensor(0)?.adaptive_avg_pool2d([1, 1])
}

pub(super) fn global_max_pool(at: &At<'_>) -> Result<Tensor> {
    at.tensor(0)?.max(&[2, 3], true)
}
