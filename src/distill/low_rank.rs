//! Low-rank factors of a teacher's matrix: W (m, n) ~ B A with A (r, n) and B (m, r), the best of rank r in the Frobenius
//! norm (Eckart and Young 1936). A linear layer becomes two; a convolution (m, c, k, k), flattened to (m, c k k), becomes
//! one of r filters k x k and one of m filters 1 x 1. The singular values come from a one-sided Jacobi iteration (Hestenes
//! 1958) in f64, and each factor takes their square root.

use std::collections::BTreeMap;

use crate::nn::{Param, Params};
use crate::tape::Shape;
use crate::{Error, Result};

/// How many singular values to keep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rank {
    /// This many.
    Of(usize),
    /// As few as keep the relative error at or below this share, 0 to 1.
    Within(f64),
}

/// Two layers in place of one.
#[derive(Debug, Clone, PartialEq)]
pub struct Factors {
    /// Singular values kept.
    pub rank: usize,
    /// Weight of the first layer: (r, n), or (r, c, k, k).
    pub first: (Shape, Vec<f32>),
    /// Weight of the second: (m, r), or (m, r, 1, 1). The bias belongs to it.
    pub second: (Shape, Vec<f32>),
    /// ||W - B A|| / ||W||, Frobenius.
    pub error: f64,
    /// All singular values of W, the largest first.
    pub singular_values: Vec<f64>,
}

/// Sweeps after which the iteration ends in any case; a dozen are enough in practice.
const MOST_SWEEPS: usize = 60;

/// The factors of a weight (m, n) or (m, c, h, w).
///
/// # Errors
/// [`Error::Shape`] for a tensor of another rank, and [`Error::Config`] for a rank beyond min(m, n) or an error outside
/// 0 to 1.
pub fn low_rank(param: &Param, rank: Rank) -> Result<Factors> {
    let dims = param.shape.dims();
    if !matches!(dims.len(), 2 | 4) || param.values.len() != param.shape.len() || param.values.is_empty() {
        let what = format!("low-rank factors of {}", param.name);
        return Err(Error::shape(what, "a weight (m, n) or (m, c, h, w)", param.shape.to_string()));
    }
    let (m, n) = (dims[0], dims[1..].iter().product::<usize>());
    // Of W or its transpose the one with fewer columns: the work grows with their square.
    let wide = n > m;
    let at = |i: usize, j: usize| f64::from(param.values[i * n + j]);
    let (scaled, unit) = if wide { orthogonal(n, m, |i, j| at(j, i)) } else { orthogonal(m, n, at) };
    let mut order: Vec<(f64, usize)> =
        scaled.iter().map(|column| column.iter().map(|v| v * v).sum::<f64>().sqrt()).zip(0..).collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    order.truncate(m.min(n));
    let values: Vec<f64> = order.iter().map(|(value, _)| *value).collect();
    let rank = kept(&param.name, rank, &values)?;
    let (mut first, mut second) = (vec![0.0; rank * n], vec![0.0; m * rank]);
    for (k, (value, column)) in order.iter().take(rank).enumerate().filter(|(_, (value, _))| *value > 0.0) {
        let root = value.sqrt();
        let (scaled, unit) = (&scaled[*column], &unit[*column]);
        let (inner, outer) = if wide { (scaled, unit) } else { (unit, scaled) };
        let (a, b) = if wide { (1.0 / root, root) } else { (root, 1.0 / root) };
        (0..n).for_each(|j| first[k * n + j] = (inner[j] * a) as f32);
        (0..m).for_each(|i| second[i * rank + k] = (outer[i] * b) as f32);
    }
    let mut sizes = dims.to_vec();
    sizes[0] = rank;
    let outer = if dims.len() == 2 { vec![m, rank] } else { vec![m, rank, 1, 1] };
    Ok(Factors {
        rank,
        first: (sizes.into(), first),
        second: (outer.into(), second),
        error: error_of(&values, rank),
        singular_values: values,
    })
}

/// Gives a network of factors the best ones of the teacher's matrices, and everything else as the teacher has
/// it.
///
/// # Errors
/// [`Error::Shape`] where the teacher has no tensor that fits, naming both.
pub(super) fn start(student: &mut Params, teacher: &Params) -> Result<()> {
    let mut values: BTreeMap<String, Vec<f32>> = BTreeMap::new();
    for (inner, outer) in student.factors() {
        let (inner, outer) = (student.get(inner)?, student.get(outer)?);
        let name = inner.name.replace(".inner.weight", ".weight");
        let mut sizes = inner.shape.dims().to_vec();
        sizes[0] = outer.shape[0];
        let found = low_rank(matching(teacher, &name, &sizes)?, Rank::Of(inner.shape[0]))?;
        values.extend([(inner.name.clone(), found.first.1), (outer.name.clone(), found.second.1)]);
    }
    for param in student.iter().filter(|p| !values.contains_key(&p.name)).collect::<Vec<_>>() {
        let found = matching(teacher, &param.name, param.shape.dims())?;
        values.insert(param.name.clone(), found.values.clone());
    }
    for param in student.iter_mut() {
        if let Some(values) = values.remove(&param.name) {
            param.values = values;
        }
    }
    Ok(())
}

/// The teacher's tensor of this name and these sizes.
fn matching<'a>(teacher: &'a Params, name: &str, sizes: &[usize]) -> Result<&'a Param> {
    let found = teacher.find(name);
    found.filter(|p| p.shape.dims() == sizes).ok_or_else(|| {
        let got = found.map_or("none".to_string(), |p| p.shape.to_string());
        Error::shape(
            format!("low-rank factors of the teacher's {name}"),
            format!("a student of the teacher's architecture: {sizes:?}"),
            got,
        )
    })
}

fn kept(name: &str, rank: Rank, values: &[f64]) -> Result<usize> {
    let refuse = |expected: String, got: String| {
        Err(Error::config("rank", format!("{name}: expected {expected}, got {got}")))
    };
    match rank {
        Rank::Of(rank) if (1..=values.len()).contains(&rank) => Ok(rank),
        Rank::Of(rank) => refuse(format!("1 to {}", values.len()), rank.to_string()),
        Rank::Within(error) if (0.0..=1.0).contains(&error) => {
            Ok((1..values.len()).find(|r| error_of(values, *r) <= error).unwrap_or(values.len()))
        }
        Rank::Within(error) => refuse("an error of 0 to 1".into(), error.to_string()),
    }
}

fn error_of(values: &[f64], rank: usize) -> f64 {
    let sum = |part: &[f64]| part.iter().map(|v| v * v).sum::<f64>();
    let all = sum(values);
    if all > 0.0 { (sum(&values[rank..]) / all).sqrt() } else { 0.0 }
}

type Columns = Vec<Vec<f64>>;

/// Columns U S (n of m values) and V (n of n) with W = (U S) V^T, U S orthogonal.
fn orthogonal(m: usize, n: usize, at: impl Fn(usize, usize) -> f64) -> (Columns, Columns) {
    let mut left: Columns = (0..n).map(|j| (0..m).map(|i| at(i, j)).collect()).collect();
    let mut right: Columns = (0..n).map(|j| (0..n).map(|i| f64::from(i == j)).collect()).collect();
    for _ in 0..MOST_SWEEPS {
        let mut turned = false;
        for p in 0..n {
            for q in p + 1..n {
                turned |= turn(&mut left, &mut right, p, q);
            }
        }
        if !turned {
            break;
        }
    }
    (left, right)
}

/// Makes columns p < q of `left` orthogonal; false where they are.
fn turn(left: &mut Columns, right: &mut Columns, p: usize, q: usize) -> bool {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (pp, qq, pq) = (dot(&left[p], &left[p]), dot(&left[q], &left[q]), dot(&left[p], &left[q]));
    if pq.abs() <= 1e-14 * (pp * qq).sqrt() || pq == 0.0 {
        return false;
    }
    let zeta = (qq - pp) / (2.0 * pq);
    let tangent = zeta.signum() / (zeta.abs() + (1.0 + zeta * zeta).sqrt());
    let cosine = 1.0 / (1.0 + tangent * tangent).sqrt();
    let sine = cosine * tangent;
    for columns in [left, right] {
        let (before, after) = columns.split_at_mut(q);
        for (a, b) in before[p].iter_mut().zip(&mut after[0]) {
            (*a, *b) = (cosine * *a - sine * *b, sine * *a + cosine * *b);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Init, ParamBuilder, Params};

    fn weight(shape: &[usize], fill: impl Fn(usize) -> f32) -> Param {
        let mut params = Params::default();
        let id = ParamBuilder::new(&mut params).weight("w", shape.to_vec(), Init::Constant(0.0), true);
        let mut param = params.get(id).unwrap().clone();
        param.values = (0..param.shape.len()).map(fill).collect();
        param
    }

    fn error(param: &Param, found: &Factors) -> f64 {
        let (m, n, r) = (param.shape[0], param.shape.len() / param.shape[0], found.rank);
        let (mut off, mut all) = (0.0, 0.0);
        for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
            let product: f32 = (0..r).map(|k| found.second.1[i * r + k] * found.first.1[k * n + j]).sum();
            let want = param.values[i * n + j];
            off += f64::from(want - product).powi(2);
            all += f64::from(want).powi(2);
        }
        (off / all).sqrt()
    }

    /// The error that is said is that of the product, in every shape; a full rank has none.
    #[test]
    fn the_product_is_as_far_off_as_it_says() {
        for shape in [&[7usize, 5][..], &[4, 9], &[6, 3, 3, 3], &[5, 4, 1, 1]] {
            let param = weight(shape, |i| ((i * 37 % 101) as f32 / 50.0 - 1.0).sin());
            for rank in [1, 2, 4] {
                let found = low_rank(&param, Rank::Of(rank)).unwrap();
                assert!((error(&param, &found) - found.error).abs() < 1e-6, "{shape:?} rank {rank}");
                assert!(found.singular_values.windows(2).all(|pair| pair[0] >= pair[1]));
            }
            let full = low_rank(&param, Rank::Of(4)).unwrap().singular_values.len();
            assert!(error(&param, &low_rank(&param, Rank::Of(full)).unwrap()) < 1e-6);
        }
    }

    /// diag(3, 4) with its rows exchanged: singular values 4 and 3, and 3 / 5 off at rank 1.
    #[test]
    fn a_known_matrix() {
        let found = low_rank(&weight(&[2, 2], |i| [0.0, 3.0, 4.0, 0.0][i]), Rank::Within(0.61)).unwrap();
        assert_eq!(found.rank, 1);
        assert!((found.error - 0.6).abs() < 1e-12, "{}", found.error);
        assert_eq!(found.singular_values, [4.0, 3.0]);
        let conv = low_rank(&weight(&[6, 2, 3, 3], |i| (i % 5) as f32), Rank::Of(3)).unwrap();
        assert_eq!((conv.first.0.dims(), conv.second.0.dims()), (&[3, 2, 3, 3][..], &[6, 3, 1, 1][..]));
    }

    #[test]
    fn what_has_no_such_factors_is_refused() {
        let bias = low_rank(&weight(&[4], |_| 1.0), Rank::Of(1)).unwrap_err().to_string();
        assert!(bias.contains("(m, n) or (m, c, h, w)"), "{bias}");
        let most = low_rank(&weight(&[4, 6], |_| 1.0), Rank::Of(5)).unwrap_err().to_string();
        assert!(most.contains("expected 1 to 4, got 5"), "{most}");
        assert!(low_rank(&weight(&[4, 6], |_| 1.0), Rank::Within(2.0)).is_err());
    }
}
