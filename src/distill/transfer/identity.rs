//! Blocks that compute the identity, for students deeper than their teachers (Net2Deeper, Chen et al. 1511.05641).
//!
//! A residual block is one where its last layer adds nothing: that layer's weights are 0, the others start as they are.
//! A plain layer is one with a kernel of 1 in the centre, or the unit matrix, and a BatchNorm of scale sqrt(1 + eps)
//! over mean 0 and variance 1: by running statistics, not by the batch's. A relu behind it changes nothing that was
//! positive.

use crate::nn::{BatchNorm, Param, ParamKind, Params};
use crate::{Error, Result};

/// The values that make `param` part of an identity. `block` is the path of the inserted block that it is of.
pub(super) fn values(student: &Params, param: &Param, block: &str) -> Result<Vec<f32>> {
    let inside: Vec<&Param> = student.iter().filter(|p| within(p, block).is_some()).collect();
    if inside.iter().any(|p| within(p, block).is_some_and(|rest| rest.contains('.'))) {
        return residual(&inside, param, block);
    }
    // `conv3` stands in a network that pools behind each of its layers, `block1.3` in one that does not.
    let plain_number = block.rsplit('.').next().is_some_and(|part| part.parse::<usize>().is_ok());
    match param.shape.dims() {
        [c_out, c_in] if c_out == c_in => Ok(centred(*c_out, 1)),
        [c_out, c_in, h, w] if c_out == c_in && h == w && h % 2 == 1 && plain_number => {
            Ok(centred(*c_out, h * w))
        }
        [_] => Ok(flat(student, param, block)),
        _ => Err(refuse(param, block)),
    }
}

fn within<'a>(param: &'a Param, block: &str) -> Option<&'a str> {
    param.name.strip_prefix(block)?.strip_prefix('.')
}

fn residual(inside: &[&Param], param: &Param, block: &str) -> Result<Vec<f32>> {
    let matrices: Vec<&&Param> = inside.iter().filter(|p| p.shape.rank() >= 2).collect();
    let keeps_width = match (matrices.first(), matrices.last()) {
        (Some(first), Some(last)) => first.shape[1] == last.shape[0],
        _ => false,
    };
    if !keeps_width {
        return Err(refuse(param, block));
    }
    let layer = |p: &Param| p.name.rsplit_once('.').map(|(layer, _)| layer.to_string());
    let last = inside.iter().rfind(|p| p.kind != ParamKind::State).and_then(|p| layer(p));
    let adds = layer(param) == last && param.kind != ParamKind::State;
    Ok(if adds { vec![0.0; param.values.len()] } else { param.values.clone() })
}

/// The kernel (c, c, pixels) with 1 in its centre for c to c, and 0 elsewhere.
fn centred(c: usize, pixels: usize) -> Vec<f32> {
    let mut values = vec![0.0; c * c * pixels];
    for channel in 0..c {
        values[(channel * c + channel) * pixels + pixels / 2] = 1.0;
    }
    values
}

/// A bias, or a part of a BatchNorm.
fn flat(student: &Params, param: &Param, block: &str) -> Vec<f32> {
    let normalises = student.id(&format!("{block}.running_var")).is_some();
    let value = match within(param, block) {
        Some("weight") if normalises => (1.0 + BatchNorm::EPS).sqrt(),
        Some("running_var") => 1.0,
        _ => 0.0,
    };
    vec![value; param.values.len()]
}

fn refuse(param: &Param, block: &str) -> Error {
    let what = format!("weight transfer (layers=deeper) to the student's {} {}", param.name, param.shape);
    let expected = "a block that can be an identity: as many channels out as in, and no pooling behind it";
    Error::shape(what, expected, format!("{block}, which the teacher does not have"))
}
