//! Gradients of conv2d, recorded by its backward rule.

use crate::Result;
use crate::ops::conv::conv2d::{Conv2d, ConvSizes};
use crate::ops::conv::lower;
use crate::ops::conv::rows_dw;
use crate::ops::costs::Costs;
use crate::ops::reduce;
use crate::ops::tile::{Job, Operands, VectorAxis};
use crate::tape::{Array, Lowering, Meta, Op, Slot, Step, Variant};

/// dX from (w, dy); the shape of x is not known from these.
#[derive(Debug, Clone)]
pub struct Conv2dBackwardX {
    pub config: Conv2d,
    pub x: Vec<usize>,
}

/// dW, and with `bias` the bias' gradient, from (x, dy).
#[derive(Debug, Clone)]
pub struct Conv2dBackwardW {
    pub config: Conv2d,
    pub w: Vec<usize>,
    pub bias: bool,
}

impl Op for Conv2dBackwardX {
    fn name(&self) -> &'static str {
        "conv2d_backward_x"
    }

    fn infer(&self, _: &[Meta]) -> Result<Vec<Meta>> {
        Ok(vec![Meta::f32(self.x.clone())])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let s = self.config.sizes(&self.x, to.input(0))?;
        if s.depthwise() {
            return s.lower_depthwise_x(to, [Slot::Input(0), Slot::Input(1), Slot::Output(0)]);
        }
        let pixels = s.h * s.w;
        let job = Job {
            // A kernel of 1x1 lies as (c_out, c_in).
            a: VectorAxis::Other { vec4: s.taps() == 1 && s.ci_g().is_multiple_of(4) },
            out_n4: pixels.is_multiple_of(4),
            ..s.job("BACKWARD_X", s.ci_g(), s.images * pixels, s.co_g() * s.taps())
        };
        let [w, dy, dx] = [Slot::Input(0), Slot::Input(1), Slot::Output(0)];
        let (by_rows, by_tiles) = (lower::ConvOperands::plain(dy, w, dx), Operands::plain(w, dy, dx));
        s.lower_by_rows_or_tiles(to, &s.rows_backward_x(), &by_rows, &job, &by_tiles)
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let (w, dy) = (&inputs[0], &inputs[1]);
        let Ok(s) = self.config.sizes(&self.x, w.dims()) else { return Vec::new() };
        let mut dx = Array::zeros(self.x.clone());
        s.each_product(|xi, wi, yi| dx.data[xi] += w.data[wi] * dy.data[yi]);
        vec![dx]
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        self.config.sizes(&self.x, inputs[0].shape.dims()).map_or(0, |s| s.flops())
    }
}

impl Conv2dBackwardW {
    /// The weights' gradient for the tile engines.
    fn job(&self, s: &ConvSizes) -> Job {
        let pixels = s.out[0] * s.out[1];
        let n = s.ci_g() * s.taps();
        Job {
            a: VectorAxis::K { vec4: pixels.is_multiple_of(4) },
            b: if s.pointwise_vec4() {
                VectorAxis::K { vec4: true }
            } else {
                VectorAxis::Other { vec4: false }
            },
            out_n4: n.is_multiple_of(4),
            ..s.job("BACKWARD_W", s.co_g(), n, s.images * pixels)
        }
    }

    /// Variants that leave the bias' gradient out, each with that behind it.
    fn with_bias_alone<'a>(&'a self, variants: Vec<Variant<'a>>, s: &'a ConvSizes) -> Vec<Variant<'a>> {
        let bias = |to: &mut Lowering<'_>| {
            if self.bias {
                reduce::lower_sum(to, &s.y(), &[0, 2, 3], Slot::Input(1), Slot::Output(1));
            }
            Ok(())
        };
        variants.into_iter().map(|variant| variant.then(bias)).collect()
    }
}

impl Op for Conv2dBackwardW {
    fn name(&self) -> &'static str {
        "conv2d_backward_w"
    }

    fn infer(&self, _: &[Meta]) -> Result<Vec<Meta>> {
        let mut outputs = vec![Meta::f32(self.w.clone())];
        if self.bias {
            outputs.push(Meta::f32([self.w[0]]));
        }
        Ok(outputs)
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let s = self.config.sizes(to.input(0), &self.w)?;
        let [x, dy, dw] = [Slot::Input(0), Slot::Input(1), Slot::Output(0)];
        if s.depthwise() {
            let variants = s.depthwise_w_variants(to.caps(), [x, dy, dw]);
            return to.lower_by(self.with_bias_alone(variants, &s));
        }
        let (rows, job) = (s.rows_forward(), self.job(&s));
        let operands = rows_dw::DwOperands { x, dy, dw, db: self.bias.then_some(Slot::Output(1)) };
        let by_tiles = Operands::plain(dy, x, dw);
        let mut variants = if rows_dw::suits(&rows, to.caps()) {
            rows_dw::variants(&rows, &operands, &Costs::of(to.caps()).conv_rows)
        } else {
            Vec::new()
        };
        variants.extend(self.with_bias_alone(job.variants(to, &by_tiles), &s));
        to.lower_by(variants)
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let (x, dy) = (&inputs[0], &inputs[1]);
        let Ok(s) = self.config.sizes(x.dims(), &self.w) else { return Vec::new() };
        let mut dw = Array::zeros(self.w.clone());
        s.each_product(|xi, wi, yi| dw.data[wi] += x.data[xi] * dy.data[yi]);
        let mut outputs = vec![dw];
        if self.bias {
            let mut db = Array::zeros([s.c_out]);
            let plane = s.out[0] * s.out[1];
            dy.data.iter().enumerate().for_each(|(i, dy)| db.data[i / plane % s.c_out] += dy);
            outputs.push(db);
        }
        outputs
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        self.config.sizes(inputs[0].shape.dims(), &self.w).map_or(0, |s| s.flops())
    }
}
