//! Average pooling over (N, C, H, W): y = sum of each window / its count. Windows of fixed size, or PyTorch's adaptive ones
//! from floor(o * in / out) up to ceil((o + 1) * in / out), or the whole plane.

use crate::gpu::Kernel;
use crate::ops::common::{elementwise, expect_f32, expect_inputs, per_element};
use crate::ops::pool::max::{Pool, SHADER, expect_planes};
use crate::ops::shape::reshape::Reshape;
use crate::ops::spec::{Case, Input, OpSpec};
use crate::tape::{Array, Backward, Lowering, Meta, Op, Shape, Slot, Step, Tensor};
use crate::{Error, Result};

const SHADER_PLANES: &str = include_str!("../../../shaders/pool/average_planes.wgsl");

/// What the averages are over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Windows {
    /// Windows of fixed size; whether padding counts in the divisor.
    Fixed(Pool, bool),
    /// As many windows as this, [height, width], of the sizes that fit.
    Adaptive([usize; 2]),
}

/// The mean of each window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AveragePool2d(pub Windows);

/// dx of [`AveragePool2d`], from dy.
#[derive(Debug, Clone)]
struct AveragePool2dBackward {
    windows: Windows,
    shape: Shape,
}

impl Windows {
    fn name(&self) -> &'static str {
        match self {
            Windows::Fixed(..) => "avg_pool2d",
            Windows::Adaptive(_) => "adaptive_avg_pool2d",
        }
    }

    fn output(&self, x: &Meta) -> Result<[usize; 2]> {
        match self {
            Windows::Fixed(pool, _) => pool.output(self.name(), x),
            Windows::Adaptive(size) => {
                let plane = expect_planes(self.name(), x)?;
                if size.contains(&0) || plane.contains(&0) {
                    let got = format!("{size:?} for {x}");
                    return Err(Error::shape(self.name(), "sizes of at least 1", got));
                }
                Ok(*size)
            }
        }
    }

    /// Elements of x along axis `a` that window `o` of `count` covers.
    fn window(&self, a: usize, o: usize, size: usize, count: usize) -> std::ops::Range<usize> {
        match self {
            Windows::Fixed(pool, _) => pool.window(a, o, size),
            Windows::Adaptive(_) => o * size / count..((o + 1) * size).div_ceil(count),
        }
    }

    fn divisor(&self, rows: usize, columns: usize) -> f64 {
        match self {
            Windows::Fixed(pool, true) => (pool.kernel[0] * pool.kernel[1]) as f64,
            _ => (rows * columns) as f64,
        }
    }

    /// Calls `visit(element of x, element of y, divisor)` in the order of the kernel's forward loop.
    fn each(&self, x: &[usize], y: &[usize], mut visit: impl FnMut(usize, usize, f64)) {
        for o in 0..y.iter().product() {
            let (plane, row, column) = (o / (y[2] * y[3]), o / y[3] % y[2], o % y[3]);
            let (rows, columns) = (self.window(0, row, x[2], y[2]), self.window(1, column, x[3], y[3]));
            let divisor = self.divisor(rows.len(), columns.len());
            for h in rows {
                for w in columns.clone() {
                    visit(plane * x[2] * x[3] + h * x[3] + w, o, divisor);
                }
            }
        }
    }

    fn kernel(&self, entry: &'static str, x: &[usize], y: &[usize]) -> Kernel {
        // Adaptive windows ignore kernel, stride and padding, but the file names them.
        let (pool, count) = match self {
            Windows::Fixed(pool, count) => (*pool, *count),
            Windows::Adaptive(_) => (Pool::square(1, 1, 0), false),
        };
        let kernel = Kernel::new(self.name(), entry, SHADER)
            .define("RELU", 0)
            .define("INDEX", 0)
            .define("ADAPTIVE", matches!(self, Windows::Adaptive(_)).into())
            .define("COUNT_PADDING", count.into());
        pool.define(kernel, x, y)
    }

    fn is_global(&self) -> bool {
        *self == Windows::Adaptive([1, 1])
    }
}

impl Op for AveragePool2d {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        expect_inputs(self.name(), inputs, 1)?;
        expect_f32(self.name(), inputs)?;
        let [h, w] = self.0.output(&inputs[0])?;
        Ok(vec![Meta::f32([inputs[0].shape[0], inputs[0].shape[1], h, w])])
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        let x = &at.inputs[0];
        let op = AveragePool2dBackward { windows: self.0, shape: x.shape().clone() };
        Ok(vec![Some(x.tape().record1(op, &[at.dy()?])?)])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let (x, y) = (to.input(0), to.output(0));
        let (len, plane) = (y.iter().product(), x[2] * x[3]);
        let kernel = if self.0.is_global() && plane.is_multiple_of(4) {
            Kernel::new(self.name(), "forward", SHADER_PLANES)
                .define("PLANE", plane)
                .define("WHOLE", 1)
                .define("VEC4S", 0)
                .define("ROWS", len)
        } else {
            self.0.kernel("average_forward", x, y)
        };
        per_element(to, kernel, &[Slot::Input(0), Slot::Output(0)], len);
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let x = &inputs[0];
        let Ok([h, w]) = self.0.output(&Meta::f32(x.shape.clone())) else { return Vec::new() };
        let mut y = Array::zeros([x.dims()[0], x.dims()[1], h, w]);
        let shape = y.shape.clone();
        self.0.each(x.dims(), shape.dims(), |i, o, divisor| y.data[o] += x.data[i] / divisor);
        vec![y]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        inputs[0].len() as u64
    }
}

impl Op for AveragePool2dBackward {
    fn name(&self) -> &'static str {
        self.windows.name()
    }

    fn infer(&self, _: &[Meta]) -> Result<Vec<Meta>> {
        Ok(vec![Meta::f32(self.shape.clone())])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let (x, y) = (to.output(0), to.input(0));
        let (len, plane) = (x.iter().product(), x[2] * x[3]);
        let bindings = [Slot::Input(0), Slot::Output(0)];
        if self.windows.is_global() {
            let kernel = Kernel::new(self.name(), "backward_x", SHADER_PLANES)
                .define("PLANE", plane)
                .define("WHOLE", plane.is_multiple_of(4).into())
                .define("LEN", 0)
                .define("ROWS", y.iter().product());
            elementwise(to, kernel, &bindings, len);
        } else {
            per_element(to, self.windows.kernel("average_backward_x", x, y), &bindings, len);
        }
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let dy = &inputs[0];
        let mut dx = Array::zeros(self.shape.clone());
        self.windows.each(self.shape.dims(), dy.dims(), |i, o, divisor| dx.data[i] += dy.data[o] / divisor);
        vec![dx]
    }

    fn flops(&self, _: &[Meta], outputs: &[Meta]) -> u64 {
        outputs[0].len() as u64
    }
}

impl Tensor {
    /// The mean of each window of an (N, C, H, W) tensor; with `count_include_pad` zeros of the padding count in it.
    pub fn avg_pool2d(&self, pool: &Pool, count_include_pad: bool) -> Result<Tensor> {
        self.tape().record1(AveragePool2d(Windows::Fixed(*pool, count_include_pad)), &[self])
    }

    /// (N, C, H, W) to (N, C, `size`), each output the mean of its share of the plane.
    pub fn adaptive_avg_pool2d(&self, size: [usize; 2]) -> Result<Tensor> {
        self.tape().record1(AveragePool2d(Windows::Adaptive(size)), &[self])
    }

    /// The mean of each plane: (N, C, H, W) to (N, C).
    pub fn global_avg_pool(&self) -> Result<Tensor> {
        let y = self.adaptive_avg_pool2d([1, 1])?;
        y.reshape([self.dims()[0], self.dims()[1]])
    }

    /// The maps (N, C, H, W) of which this is [`Tensor::global_avg_pool`], (N, C); `None` for anything else.
    pub fn pooled_from(&self) -> Option<Tensor> {
        let pooled = self.producer_is(&Reshape { shape: self.shape().clone() })?;
        pooled.producer_is(&AveragePool2d(Windows::Adaptive([1, 1])))
    }
}

/// Conformance cases.
pub const SPEC: OpSpec = OpSpec { name: "average_pool", cases };

fn cases() -> Vec<Case> {
    let case = |shape: [usize; 4], windows| Case::new(AveragePool2d(windows), vec![Input::normal(shape)]);
    let adaptive = |shape: [usize; 4], size| case(shape, Windows::Adaptive(size));
    let uneven = Pool::new([3, 2], [1, 2], [1, 0]);
    let mut all = Vec::new();
    for count in [true, false] {
        all.extend([
            case([2, 3, 8, 8], Windows::Fixed(Pool::square(2, 2, 0), count)),
            case([1, 2, 9, 47], Windows::Fixed(Pool::square(3, 2, 1), count)),
            case([1, 2, 6, 41], Windows::Fixed(uneven, count)),
            case([1, 1, 1, 1], Windows::Fixed(Pool::square(1, 1, 0), count)),
            case([1, 1, 7, 7], Windows::Fixed(Pool::square(2, 3, 0), count)),
        ]);
    }
    all.extend([
        adaptive([2, 3, 7, 5], [3, 2]),
        adaptive([1, 2, 3, 4], [5, 7]),
        adaptive([1, 1, 13, 11], [13, 4]),
        adaptive([3, 5, 8, 8], [1, 1]),
        adaptive([3, 5, 7, 7], [1, 1]),
        adaptive([1, 1, 1, 1], [1, 1]),
        adaptive([2, 130, 4, 4], [1, 1]),
    ]);
    all
}
