//! What brings a student's features to the teacher's width where the paper asks for batch norm: a 1x1
//! convolution, or a linear layer for flat features, without bias, then batch norm. (N, c_s, ..) to (N, c_t,
//! ..).

use crate::nn::{BatchNorm, Conv, Forward, Init, Linear, ParamBuilder};
use crate::ops::conv2d::Conv2d;
use crate::tape::Tensor;
use crate::{Error, Result};

/// Parameters `proj.weight` and those of `bn`.
pub(super) struct Connector {
    proj: Projection,
    bn: BatchNorm,
}

enum Projection {
    Conv(Conv),
    Linear(Linear),
}

impl Connector {
    /// For features of these shapes; `method` is named in errors.
    pub fn new(method: &str, mut at: ParamBuilder<'_>, teacher: &Tensor, student: &Tensor) -> Result<Self> {
        let init = Init::KaimingNormalFanOut;
        let (proj, c_t) = match (student.dims(), teacher.dims()) {
            (&[_, c_s, _, _], &[_, c_t, _, _]) => {
                let conv = Conv::with_init(at.sub("proj"), c_s, c_t, 1, Conv2d::default(), init, None);
                (Projection::Conv(conv), c_t)
            }
            (&[_, c_s], &[_, c_t]) => {
                (Projection::Linear(Linear::with_init(at.sub("proj"), c_s, c_t, init, None)), c_t)
            }
            (student, teacher) => {
                let got = format!("teacher {teacher:?}, student {student:?}");
                return Err(Error::shape(method, "two maps or two flat features", got));
            }
        };
        Ok(Self { proj, bn: BatchNorm::new(at.sub("bn"), c_t) })
    }

    /// The student's features in the teacher's width.
    pub fn forward(&self, own: &Forward<'_>, student: &Tensor) -> Result<Tensor> {
        let y = match &self.proj {
            Projection::Conv(conv) => conv.forward(own, student)?,
            Projection::Linear(linear) => linear.forward(own, student)?,
        };
        self.bn.forward(own, &y)
    }
}
