//! What feature methods share: maps of one size, maps as vectors, sums over pairs of taps, checks of shapes.
//!
//! Everything takes (teacher's, student's), as [`MethodContext::tapped`] gives them.

use super::{MethodContext, sum_of};
use crate::tape::Tensor;
use crate::{Error, Result};

/// Sum of `term(index, teacher, student)` over the pairs of taps.
pub(super) fn sum_over_taps(
    seen: &MethodContext<'_>,
    term: impl Fn(usize, &Tensor, &Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let tapped = seen.tapped()?;
    sum_of(tapped.iter().enumerate().map(|(index, (teacher, student))| term(index, teacher, student)))
}

/// Pools the larger of two maps to the height and width of the smaller one; flat features pass.
pub(super) fn same_size(teacher: &Tensor, student: &Tensor) -> Result<(Tensor, Tensor)> {
    let (&[_, _, h_t, w_t], &[_, _, h_s, w_s]) = (teacher.dims(), student.dims()) else {
        return Ok((teacher.clone(), student.clone()));
    };
    let size = [h_t.min(h_s), w_t.min(w_s)];
    let fit = |t: &Tensor| if t.dims()[2..] == size { Ok(t.clone()) } else { t.adaptive_avg_pool2d(size) };
    Ok((fit(teacher)?, fit(student)?))
}

/// A map (N, C, H, W) in the height and width of another, linear between its pixels.
pub(super) fn resized(map: &Tensor, like: &Tensor) -> Result<Tensor> {
    match (map.dims(), like.dims()) {
        (&[_, _, h, w], &[_, _, h_to, w_to]) if [h, w] != [h_to, w_to] => {
            map.upsample_bilinear([h_to, w_to], false)
        }
        _ => Ok(map.clone()),
    }
}

/// Fails unless both taps of every pair are maps (N, C, H, W).
pub(super) fn expect_maps(method: &str, seen: &MethodContext<'_>) -> Result<()> {
    let mut tapped = seen.tapped()?.into_iter().zip(seen.taps);
    match tapped.find(|((t, s), _)| t.dims().len() != 4 || s.dims().len() != 4) {
        None => Ok(()),
        Some(((t, s), (hint, guided))) => {
            let got = format!("{hint} {} and {guided} {}", t.shape(), s.shape());
            Err(Error::shape(method, "taps of maps (N, C, H, W) in both networks", got))
        }
    }
}

/// [`expect_maps`] for methods that compare places: fails where every map, pooled, is a single pixel, and the
/// loss would be the same for all students.
pub(super) fn expect_places(method: &str, seen: &MethodContext<'_>) -> Result<()> {
    expect_maps(method, seen)?;
    let pixels = |(t, s): &(Tensor, Tensor)| {
        let least = |axis: usize| t.dims()[axis].min(s.dims()[axis]);
        least(2) * least(3)
    };
    if seen.tapped()?.iter().any(|tapped| pixels(tapped) > 1) {
        return Ok(());
    }
    let (hint, guided) = &seen.taps[0];
    let expected = "a map of more than one pixel; name taps of earlier layers";
    Err(Error::shape(method, expected, format!("{hint} and {guided}, of one pixel in common")))
}

/// Each channel of maps over all samples and pixels.
pub(super) struct Moments {
    /// (1, C, 1, 1).
    pub mean: Tensor,
    /// The map less its mean, (N, C, H, W).
    pub centred: Tensor,
    /// Unbiased, (1, C, 1, 1).
    pub deviation: Tensor,
}

impl Moments {
    /// Of f (N, C, H, W).
    ///
    /// # Errors
    /// [`Error::Shape`] for one sample of one pixel, which has no deviation.
    pub fn of(method: &str, f: &Tensor) -> Result<Self> {
        let count: usize = f.dims().iter().product::<usize>() / f.dims()[1].max(1);
        if count < 2 {
            let expected = "more than one sample or pixel of each channel; name taps of earlier layers";
            return Err(Error::shape(method, expected, f.shape().to_string()));
        }
        let mean = f.mean(&[0, 2, 3], true)?;
        let centred = f.sub(&mean)?;
        let variance = centred.square()?.sum(&[0, 2, 3], true)?.scale(1.0 / (count - 1) as f32)?;
        // The root has no derivative at 0. What is added changes no variance that there is, and makes a channel that never
        // changes, as of a relu that is dead, have a gradient.
        let deviation = variance.add_scalar(1e-24)?.sqrt()?;
        Ok(Self { mean, centred, deviation })
    }
}

/// Every pair of taps is two maps or two flat features: nothing else can be compared by channel.
pub(super) fn expect_alike(method: &str, seen: &MethodContext<'_>) -> Result<()> {
    for ((t, s), (hint, guided)) in seen.tapped()?.iter().zip(seen.taps) {
        let got = || format!("{hint} {} and {guided} {}", t.shape(), s.shape());
        let ranks = [t.dims().len(), s.dims().len()];
        if ranks[0] != ranks[1] {
            return Err(Error::shape(method, "two maps or two flat features", got()));
        }
        if ranks[0] != 2 && ranks[0] != 4 {
            return Err(Error::shape(method, "features (N, C) or (N, C, H, W)", got()));
        }
    }
    Ok(())
}

/// C of a feature (N, C) or (N, C, H, W).
pub(super) fn channels(method: &str, feature: &Tensor) -> Result<usize> {
    match *feature.dims() {
        [_, channels] | [_, channels, _, _] => Ok(channels),
        _ => Err(Error::shape(method, "features (N, C) or (N, C, H, W)", feature.shape().to_string())),
    }
}

/// (N, C) of a feature: as it is, or the mean of a map over its pixels, which is what a residual network's
/// classifier sees of its last stage.
pub(super) fn embedding(x: &Tensor) -> Result<Tensor> {
    let axes: Vec<usize> = (2..x.dims().len()).collect();
    if axes.is_empty() { Ok(x.clone()) } else { x.mean(&axes, false) }
}

/// 1 - the cosine of each row of both, (R, 1), of rows (R, D).
pub(super) fn turned(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    // Half the squared distance of unit vectors, which loses nothing where they nearly agree.
    a.normalize()?.sub(&b.normalize()?)?.square()?.sum(&[1], true)?.scale(0.5)
}

/// Fails where a batch has no two samples to relate.
pub(super) fn expect_batch(method: &str, x: &Tensor) -> Result<()> {
    match x.dims() {
        [n, _, ..] if *n >= 2 => Ok(()),
        _ => Err(Error::shape(method, "features of at least two samples", x.shape().to_string())),
    }
}

/// Mean over all elements, as a scalar.
pub(super) fn mean(x: &Tensor) -> Result<Tensor> {
    let axes: Vec<usize> = (0..x.dims().len()).collect();
    x.mean(&axes, false)
}
