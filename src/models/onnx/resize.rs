//! Resize: images made larger by whole factors, each pixel repeated, as the necks of detectors do.

use super::array::{Data, OnnxArray};
use super::lower::At;
use crate::Result;
use crate::tape::Tensor;

pub(super) fn resize(at: &At<'_>) -> Result<Tensor> {
    let x = at.tensor(0)?;
    let &[n, c, h, w] = x.dims() else {
        return Err(at.fail(format!("expected images (N, C, H, W), got {}", x.shape())));
    };
    let mode = at.node.text("mode").unwrap_or("nearest");
    if mode != "nearest" || at.node.ints("axes").is_some() {
        return Err(at.fail(format!("expected mode nearest over all axes, got {mode}")));
    }
    let to = match (sizes(at, 3)?, scales(at)?) {
        (Some(sizes), _) => sizes,
        (None, Some(scales)) if scales.len() == 4 => {
            let by = |size: usize, scale: f32| (size as f64 * f64::from(scale)).floor() as usize;
            vec![by(n, scales[0]), by(c, scales[1]), by(h, scales[2]), by(w, scales[3])]
        }
        _ => return Err(at.fail("expected four scales or sizes")),
    };
    let &[to_n, to_c, to_h, to_w] = &to[..] else {
        return Err(at.fail(format!("expected four sizes, got {to:?}")));
    };
    if [to_n, to_c] != [n, c] || !repeats(at, h, to_h) || !repeats(at, w, to_w) {
        return Err(at.fail(format!(
            "{} to {to:?}: expected images enlarged by a whole factor, each pixel repeated",
            x.shape()
        )));
    }
    x.upsample_nearest([to_h, to_w])
}

fn sizes(at: &At<'_>, input: usize) -> Result<Option<Vec<usize>>> {
    let Some(array) = at.known(input)? else { return Ok(None) };
    let sizes = array.as_ints().map_err(|e| at.fail(e))?;
    if sizes.is_empty() {
        return Ok(None);
    }
    let sizes: Option<Vec<usize>> = sizes.iter().map(|&size| usize::try_from(size).ok()).collect();
    sizes.map(Some).ok_or_else(|| at.fail("expected sizes of at least 0"))
}

fn scales(at: &At<'_>) -> Result<Option<Vec<f32>>> {
    let known: Option<&OnnxArray> = at.known(2)?;
    Ok(known.and_then(|array| match &array.data {
        Data::Float(scales) if !scales.is_empty() => Some(scales.clone()),
        _ => None,
    }))
}

/// Whether the pixels of a side become `to` by each being repeated as often.
fn repeats(at: &At<'_>, from: usize, to: usize) -> bool {
    if from == 0 || !to.is_multiple_of(from) || to > 1 << 20 {
        return false;
    }
    let factor = to / from;
    let rounded = at.node.text("nearest_mode").unwrap_or("round_prefer_floor");
    let placed = at.node.text("coordinate_transformation_mode").unwrap_or("half_pixel");
    let source = |pixel: usize| {
        let place = match placed {
            "asymmetric" => pixel as f64 / factor as f64,
            "half_pixel" | "pytorch_half_pixel" => (pixel as f64 + 0.5) / factor as f64 - 0.5,
            _ => return None,
        };
        let nearest = match rounded {
            "floor" => place.floor(),
            "ceil" => place.ceil(),
            "round_prefer_floor" => (place - 0.5).ceil(),
            "round_prefer_ceil" => (place + 0.5).floor(),
            _ => return None,
        };
        Some(nearest.clamp(0.0, from as f64 - 1.0) as usize)
    };
    (0..to).all(|pixel| source(pixel) == Some(pixel / factor))
}
