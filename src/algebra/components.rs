//! Principal components of rows: their covariance and its directions, in f64 on the host. The same rows give the same bits,
//! however many cores there are.

use super::symmetric;
use crate::platform::parallel::{Cost, in_parallel};

/// Rows whose products are summed before the next ones are read: they stay in a core's cache.
const PANEL: usize = 64;
/// Parts of a covariance that cores take.
const PARTS: usize = 16;
/// Rows that a core projects at once.
const SHARE: usize = 512;

/// The directions of most variance, the first one the most.
pub(crate) struct Components {
    /// Taken off a row before it is projected.
    mean: Vec<f64>,
    /// (width, count): of each number of a row what it adds to each projection.
    directions: Vec<f64>,
    /// Mean squared projections of the rows that these components are of.
    variances: Vec<f64>,
}

/// The mean of rows (rows, width).
pub(crate) fn mean(width: usize, rows: &[f32]) -> Vec<f64> {
    let mut mean = vec![0.0; width];
    for row in rows.chunks_exact(width) {
        mean.iter_mut().zip(row).for_each(|(m, v)| *m += f64::from(*v));
    }
    let count = (rows.len() / width) as f64;
    mean.iter_mut().for_each(|m| *m /= count);
    mean
}

impl Components {
    /// The `count` directions along which rows (rows, width), minus `mean`, have most squared length, after the first `dropped`.
    pub(crate) fn of(rows: &[f32], mean: Vec<f64>, dropped: usize, count: usize) -> Self {
        let width = mean.len();
        let spectrum = symmetric::spectrum(width, covariance(rows, &mean));
        let chosen: Vec<_> = spectrum.iter().skip(dropped).take(count).collect();
        let mut directions = vec![0.0; width * chosen.len()];
        for (k, (_, direction)) in chosen.iter().enumerate() {
            let column = directions.iter_mut().skip(k).step_by(chosen.len());
            column.zip(direction).for_each(|(to, v)| *to = *v);
        }
        let largest = spectrum.first().map_or(0.0, |(largest, _)| *largest);
        let variances = chosen.iter().map(|(variance, _)| without_rounding(*variance, largest)).collect();
        Self { mean, directions, variances }
    }

    /// The same directions for rows that are others: with their mean, and their variances.
    pub(crate) fn seen_by(self, rows: &[f32]) -> Self {
        let moved = Self { mean: mean(self.mean.len(), rows), ..self };
        let mut squares = vec![0.0; moved.len()];
        for row in moved.project(rows, &vec![1.0; moved.len()]).chunks_exact(moved.len()) {
            squares.iter_mut().zip(row).for_each(|(sum, v)| *sum += f64::from(*v) * f64::from(*v));
        }
        let count = (rows.len() / moved.mean.len()) as f64;
        let largest = squares.iter().copied().fold(0.0, f64::max) / count;
        let variances = squares.iter().map(|sum| without_rounding(sum / count, largest)).collect();
        Self { variances, ..moved }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.variances.len()
    }

    /// Mean squared projections of the rows that these components are of, 0 for directions that none of them has.
    pub(crate) fn variances(&self) -> &[f64] {
        &self.variances
    }

    /// Unit directions, one after the other.
    pub(crate) fn directions(&self) -> Vec<Vec<f64>> {
        let of = |k| self.directions.iter().skip(k).step_by(self.len()).copied().collect();
        (0..self.len()).map(of).collect()
    }

    /// Projections (rows, count) of rows minus the mean, each column times its `scale`. A direction points to where the largest
    /// projection is positive.
    pub(crate) fn project(&self, rows: &[f32], scale: &[f64]) -> Vec<f32> {
        let (width, count) = (self.mean.len(), self.len());
        let shares: Vec<&[f32]> = rows.chunks(SHARE * width).collect();
        let projected = in_parallel(Cost::Large, &shares, |rows| {
            let mut values = Vec::with_capacity(rows.len() / width * count);
            let mut sums = vec![0.0; count];
            for row in rows.chunks_exact(width) {
                sums.fill(0.0);
                for ((v, m), along) in row.iter().zip(&self.mean).zip(self.directions.chunks_exact(count)) {
                    let centred = f64::from(*v) - m;
                    sums.iter_mut().zip(along).for_each(|(sum, a)| *sum += centred * a);
                }
                values.extend(sums.iter().zip(scale).map(|(sum, scale)| (sum * scale) as f32));
            }
            values
        });
        let mut values = projected.concat();
        let mut largest = vec![0f32; count];
        for row in values.chunks_exact(count) {
            let larger = |(most, v): (&mut f32, &f32)| *most = if v.abs() > most.abs() { *v } else { *most };
            largest.iter_mut().zip(row).for_each(larger);
        }
        for row in values.chunks_exact_mut(count) {
            row.iter_mut().zip(&largest).filter(|(_, most)| **most < 0.0).for_each(|(v, _)| *v = -*v);
        }
        values
    }
}

/// What rounding leaves of a direction that no row has is nothing.
fn without_rounding(variance: f64, largest: f64) -> f64 {
    if variance > largest * 1e-13 { variance } else { 0.0 }
}

/// Mean products (width, width) of the numbers of rows minus `mean`. Every sum goes from the first row to the last.
fn covariance(rows: &[f32], mean: &[f64]) -> Vec<f64> {
    let width = mean.len();
    // Later lines are shorter: each part has some of all lengths.
    let parts: Vec<Vec<usize>> = (0..PARTS.min(width)).map(|k| (k..width).step_by(PARTS).collect()).collect();
    let sums = in_parallel(Cost::Large, &parts, |lines| products(rows, mean, lines));
    let mut squares = vec![0.0; width * width];
    let count = (rows.len() / width) as f64;
    for (&i, line) in parts.iter().flatten().zip(sums.iter().flatten()) {
        for (j, sum) in (i..width).zip(line) {
            squares[i * width + j] = sum / count;
            squares[j * width + i] = sum / count;
        }
    }
    squares
}

/// Of some lines of the covariance the sums, from the diagonal on.
fn products(rows: &[f32], mean: &[f64], lines: &[usize]) -> Vec<Vec<f64>> {
    let width = mean.len();
    let mut sums: Vec<Vec<f64>> = lines.iter().map(|i| vec![0.0; width - i]).collect();
    let mut panel: Vec<f64> = Vec::with_capacity(PANEL * width);
    for rows in rows.chunks(PANEL * width) {
        panel.clear();
        panel.extend(rows.iter().zip(mean.iter().cycle()).map(|(v, m)| f64::from(*v) - m));
        for (&i, line) in lines.iter().zip(&mut sums) {
            let mut four = panel.chunks_exact(4 * width);
            for rows in &mut four {
                let (ab, cd) = rows.split_at(2 * width);
                let ((a, b), (c, d)) = (ab.split_at(width), cd.split_at(width));
                let (a, b, c, d) = (&a[i..], &b[i..], &c[i..], &d[i..]);
                let of = line.iter_mut().zip(a).zip(b).zip(c).zip(d);
                of.for_each(|((((sum, va), vb), vc), vd)| {
                    *sum = (((*sum + a[0] * va) + b[0] * vb) + c[0] * vc) + d[0] * vd;
                });
            }
            for row in four.remainder().chunks_exact(width) {
                let row = &row[i..];
                line.iter_mut().zip(row).for_each(|(sum, v)| *sum += row[0] * v);
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    #[test]
    fn covariances_are_plain_sums() {
        let mut stream = Stream::new(1, "components");
        for (count, width) in [(1, 1), (3, 2), (66, 5), (133, 19)] {
            let rows: Vec<f32> = (0..count * width).map(|_| stream.normal() as f32).collect();
            let mean = mean(width, &rows);
            let got = covariance(&rows, &mean);
            for (i, j) in (0..width).flat_map(|i| (0..width).map(move |j| (i, j))) {
                let mut want = 0.0;
                for row in rows.chunks_exact(width) {
                    want += (f64::from(row[i.min(j)]) - mean[i.min(j)])
                        * (f64::from(row[i.max(j)]) - mean[i.max(j)]);
                }
                assert_eq!(got[i * width + j], want / count as f64, "{count} rows, ({i}, {j})");
            }
        }
    }

    /// A direction that no row has: no variance, and nothing of it in a projection.
    #[test]
    fn what_no_row_has_is_no_component() {
        let rows = [1.0f32, 1.0, 2.0, 2.0, 5.0, 5.0, -3.0, -3.0];
        let components = Components::of(&rows, mean(2, &rows), 0, 2);
        assert_eq!(components.variances()[1], 0.0);
        let projected = components.project(&rows, &[1.0, 1.0]);
        assert!(projected.chunks(2).all(|row| row[1].abs() < 1e-6), "{projected:?}");
        // The largest by its amount is positive.
        assert!(projected[6] > 0.0 && projected[4] < 0.0);
        let second = Components::of(&rows, mean(2, &rows), 1, 2);
        assert_eq!((second.len(), second.directions().len()), (1, 1));
        // The second direction is all that these rows have.
        let others = Components::of(&rows, mean(2, &rows), 0, 2).seen_by(&[1.0, 3.0, 2.0, 2.0]);
        assert!(
            others.variances()[0] == 0.0 && (others.variances()[1] - 0.5).abs() < 1e-6,
            "{:?}",
            others.variances()
        );
        let projected = others.project(&[1.0, 3.0, 2.0, 2.0], &[1.0, 1.0]);
        assert!((projected[1] + projected[3]).abs() < 1e-6 && projected[1].abs() > 0.7, "{projected:?}");
    }
}
