//! Learned maps from the student's width to the teacher's: a 1x1 convolution, or a linear layer for flat
//! features. They are the distiller's own, trained with the student and no part of it.

use super::{MethodContext, features};
use crate::Result;
use crate::nn::{Conv, Forward, Linear, ParamBuilder};
use crate::ops::conv2d::Conv2d;
use crate::tape::Tensor;

/// When features go through a regressor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Use {
    /// Where the widths differ.
    #[default]
    Auto,
    /// Also where they are equal.
    Always,
    /// Never.
    Never,
}

/// One layer from one width to another.
pub(super) enum Regressor {
    Conv(Conv),
    Linear(Linear),
}

impl Regressor {
    /// A layer for features shaped as `like`, whose width it does not look at.
    pub fn new(at: ParamBuilder<'_>, like: &Tensor, c_in: usize, c_out: usize, bias: bool) -> Self {
        match like.dims().len() {
            4 => Self::Conv(Conv::new(at, c_in, c_out, 1, Conv2d::default(), bias)),
            _ => Self::Linear(Linear::new(at, c_in, c_out, bias)),
        }
    }

    pub fn forward(&self, own: &Forward<'_>, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Conv(conv) => conv.forward(own, x),
            Self::Linear(linear) => linear.forward(own, x),
        }
    }
}

/// One regressor a pair of taps; `None` where there is none.
pub(super) struct Regressors {
    each: Vec<Option<Regressor>>,
}

impl Regressors {
    /// Those that the pair's taps need, under `regressor0`, `regressor1`, ..
    pub fn new(
        method: &str,
        seen: &MethodContext<'_>,
        mut at: ParamBuilder<'_>,
        when: Use,
        bias: bool,
    ) -> Result<Self> {
        features::expect_alike(method, seen)?;
        let make = |(index, (teacher, student)): (usize, (Tensor, Tensor))| {
            let (c_s, c_t) = (student.dims()[1], teacher.dims()[1]);
            let wanted = when == Use::Always || (when == Use::Auto && c_s != c_t);
            let at = at.sub(format!("regressor{index}"));
            wanted.then(|| Regressor::new(at, &student, c_s, c_t, bias))
        };
        Ok(Self { each: seen.tapped()?.into_iter().enumerate().map(make).collect() })
    }

    /// The pair with number `index`, (teacher's, student's), at one size and, regressed, one width.
    pub fn align(
        &self,
        own: &Forward<'_>,
        index: usize,
        teacher: &Tensor,
        student: &Tensor,
    ) -> Result<(Tensor, Tensor)> {
        let (teacher, student) = features::same_size(teacher, student)?;
        let student = self.widen(own, index, &student)?;
        Ok((teacher, student))
    }

    /// The student's features of the pair with number `index` in the teacher's width.
    pub fn widen(&self, own: &Forward<'_>, index: usize, student: &Tensor) -> Result<Tensor> {
        match self.each.get(index).and_then(Option::as_ref) {
            None => Ok(student.clone()),
            Some(regressor) => regressor.forward(own, student),
        }
    }
}
