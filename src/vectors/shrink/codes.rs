//! Product codes (Jegou et al. 2011): a vector is cut into parts, and of each the nearest of 2^bits centroids is kept, found by
//! k-means (Lloyd 1982). Rows are coded at unit length: what is kept are directions, and so cosines, not lengths.
//!
//! Before rows are cut they are turned to their principal directions, and these are dealt to the parts so that the products of
//! their variances are about equal: what optimised product quantisation does where it may assume normal rows (Ge et al.
//! 2013, eigenvalue allocation). A turn changes no cosine, so it is not stored: the numbers are not those of the wide vectors.

use super::linear;
use crate::platform::parallel::{Cost, in_parallel};
use crate::rng::Stream;
use crate::vectors::WordVectors;
use crate::{Error, Result};

/// Rounds of k-means.
const ROUNDS: usize = 25;
/// Most rows that centroids are found from.
const MOST_ROWS: usize = 65_536;

/// A table in codes.
pub(super) struct Codes {
    /// (words, parts), row by row.
    pub codes: Vec<u8>,
    /// (parts, centroids, width of a part).
    pub centroids: Vec<f32>,
    /// Centroids of a part, and numbers of each.
    pub sizes: [usize; 2],
}

impl Codes {
    /// Cuts rows into `parts` of equal width, each of `bits` bits, 1 to 8.
    pub(super) fn find(vectors: &WordVectors, parts: usize, bits: usize, seed: u64) -> Result<Self> {
        let width = vectors.width();
        if parts == 0 || !width.is_multiple_of(parts) {
            return Err(uneven(parts, width));
        }
        if !(1..=8).contains(&bits) {
            return Err(Error::config("codes", format!("expected 1 to 8 bits a part, got {bits}")));
        }
        let (part, count) = (width / parts, (1usize << bits).min(vectors.len()));
        let turned = linear::cosines(vectors, width)?;
        let dealt = deal(&variances(&turned), parts);
        let cut = |at: usize| -> Vec<f32> {
            let columns = dealt.get(at).map_or(&[][..], Vec::as_slice);
            let rows = turned.values().chunks_exact(width);
            rows.flat_map(|row| columns.iter().filter_map(|column| row.get(*column).copied())).collect()
        };
        let found = |at: usize| {
            let rows = cut(at);
            let centroids = kmeans(&rows, part, count, Stream::new(seed, &format!("codes {at}")));
            let codes: Vec<u8> = rows.chunks_exact(part).map(|row| nearest(row, &centroids) as u8).collect();
            (centroids, codes)
        };
        // A part has nothing to do with the others.
        let all = in_parallel(Cost::Large, &(0..parts).collect::<Vec<_>>(), |at| found(*at));
        let mut codes = vec![0; vectors.len() * parts];
        for (at, (_, of_part)) in all.iter().enumerate() {
            codes.iter_mut().skip(at).step_by(parts).zip(of_part).for_each(|(to, code)| *to = *code);
        }
        let centroids = all.into_iter().flat_map(|(centroids, _)| centroids).collect();
        Ok(Self { codes, centroids, sizes: [count, part] })
    }

    /// The rows that the codes stand for.
    pub(super) fn decode(&self) -> Vec<f32> {
        let [count, part] = self.sizes;
        let parts = self.centroids.len() / (count * part).max(1);
        let centroid = |(i, code): (usize, &u8)| {
            let start = (i % parts * count + usize::from(*code)) * part;
            self.centroids.get(start..start + part).unwrap_or_default()
        };
        self.codes.iter().enumerate().flat_map(centroid).copied().collect()
    }
}

/// Mean squares of the columns.
fn variances(vectors: &WordVectors) -> Vec<f64> {
    let mut squares = vec![0.0; vectors.width()];
    for row in vectors.values().chunks_exact(vectors.width()) {
        squares.iter_mut().zip(row).for_each(|(sum, v)| *sum += f64::from(*v) * f64::from(*v));
    }
    squares.iter().map(|sum| sum / vectors.len() as f64).collect()
}

/// As many columns for each part, the one of most variance first, each to the part with the smallest product of variances that
/// has room, of equals the one with fewer columns. Variances count from a little below the smallest on, so that none makes a product smaller.
fn deal(variances: &[f64], parts: usize) -> Vec<Vec<usize>> {
    let room = variances.len() / parts;
    let largest = variances.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let least = variances.iter().copied().fold(largest, f64::min).max(1e-9 * largest);
    let mut order: Vec<usize> = (0..variances.len()).collect();
    order.sort_by(|a, b| variances[*b].total_cmp(&variances[*a]).then(a.cmp(b)));
    let mut dealt = vec![Vec::with_capacity(room); parts];
    let mut products = vec![0f64; parts];
    for column in order {
        let free = (0..parts).filter(|part| dealt[*part].len() < room);
        let smallest = free
            .min_by(|a, b| products[*a].total_cmp(&products[*b]).then(dealt[*a].len().cmp(&dealt[*b].len())));
        let Some(part) = smallest else { break };
        products[part] += (variances[column] / least).ln_1p();
        dealt[part].push(column);
    }
    dealt
}

/// What is said of vectors that can't be cut into so many parts.
pub(super) fn uneven(parts: usize, width: usize) -> Error {
    let fit = (1..=width).filter(|n| width.is_multiple_of(*n)).map(|n| n.to_string());
    let message = format!(
        "a vector of {width} numbers can't be cut into {parts} equal parts; take one of {}",
        fit.collect::<Vec<_>>().join(", ")
    );
    Error::config("codes", message)
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// The place of the nearest centroid, the first of equals.
fn nearest(row: &[f32], centroids: &[f32]) -> usize {
    let mut best = (f32::INFINITY, 0);
    for (k, centroid) in centroids.chunks_exact(row.len()).enumerate() {
        let far = distance(row, centroid);
        if far < best.0 {
            best = (far, k);
        }
    }
    best.1
}

/// `count` centroids of rows of `width` numbers, from rows that are drawn without repetition. A centroid that no row is near
/// becomes the row that is farthest from its own.
fn kmeans(rows: &[f32], width: usize, count: usize, mut stream: Stream) -> Vec<f32> {
    let order = stream.permutation(rows.len() / width);
    let row = |at: usize| &rows[at * width..(at + 1) * width];
    let used: Vec<&[f32]> = order.iter().take(MOST_ROWS).map(|at| row(*at)).collect();
    let mut centroids: Vec<f32> = used.iter().take(count).flat_map(|row| row.iter().copied()).collect();
    for _ in 0..ROUNDS {
        let mut sums = vec![0f64; count * width];
        let mut counts = vec![0usize; count];
        let mut far: Vec<(f32, usize)> = Vec::with_capacity(used.len());
        for (n, row) in used.iter().enumerate() {
            let k = nearest(row, &centroids);
            far.push((distance(row, &centroids[k * width..(k + 1) * width]), n));
            counts[k] += 1;
            sums[k * width..(k + 1) * width].iter_mut().zip(*row).for_each(|(s, v)| *s += f64::from(*v));
        }
        far.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut farthest = far.iter();
        for k in 0..count {
            let centroid = &mut centroids[k * width..(k + 1) * width];
            if counts[k] > 0 {
                let sum = &sums[k * width..(k + 1) * width];
                centroid.iter_mut().zip(sum).for_each(|(c, s)| *c = (s / counts[k] as f64) as f32);
            } else if let Some((_, n)) = farthest.next() {
                centroid.copy_from_slice(used[*n]);
            }
        }
    }
    centroids
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(words: usize, width: usize, value: impl Fn(usize) -> f32) -> WordVectors {
        let names: Vec<String> = (0..words).map(|n| n.to_string()).collect();
        let values = (0..words * width).map(value).collect();
        WordVectors::new(names.iter().map(String::as_str).collect(), width, values).unwrap()
    }

    /// Cosines of all pairs of rows.
    fn cosines(values: &[f32], width: usize) -> Vec<f64> {
        let rows: Vec<&[f32]> = values.chunks_exact(width).collect();
        let pairs = rows.iter().flat_map(|a| rows.iter().map(move |b| crate::report::cosine(a, b)));
        pairs.collect()
    }

    /// As many centroids as there are different rows stand for every row as it is.
    #[test]
    fn enough_centroids_lose_nothing() {
        let vectors = table(64, 6, |i| [1.0, -2.0, 0.5, 3.0][(i / 6 % 4 + i % 6) % 4]);
        let codes = Codes::find(&vectors, 2, 3, 0).unwrap();
        assert_eq!((codes.codes.len(), codes.centroids.len(), codes.sizes), (128, 2 * 8 * 3, [8, 3]));
        for (got, want) in cosines(&codes.decode(), 6).iter().zip(cosines(vectors.values(), 6)) {
            assert!((got - want).abs() < 1e-6, "{got} {want}");
        }
    }

    /// How far cosines of rows are from those of the table.
    fn error(vectors: &WordVectors, parts: usize, bits: usize) -> f64 {
        let decoded = Codes::find(vectors, parts, bits, 7).unwrap().decode();
        let (got, want) = (cosines(&decoded, vectors.width()), cosines(vectors.values(), vectors.width()));
        got.iter().zip(&want).map(|(g, w)| (g - w) * (g - w)).sum::<f64>() / got.len() as f64
    }

    #[test]
    fn more_bits_are_nearer() {
        let mut stream = Stream::new(1, "rows");
        let numbers: Vec<f32> = (0..4000).map(|_| stream.normal() as f32).collect();
        let vectors = table(500, 8, |i| numbers[i]);
        let errors: Vec<f64> = [1, 3, 6, 8].map(|bits| error(&vectors, 4, bits)).to_vec();
        assert!(errors.windows(2).all(|pair| pair[1] < 0.8 * pair[0]), "{errors:?}");
        let codes = Codes::find(&vectors, 4, 3, 7).unwrap();
        assert_eq!(codes.codes, Codes::find(&vectors, 4, 3, 7).unwrap().codes);
        // Each code names the centroid that is nearest to what it stands for.
        for (row, code) in codes.decode().chunks_exact(8).zip(codes.codes.chunks_exact(4)) {
            assert_eq!(nearest(&row[..2], &codes.centroids[..16]), usize::from(code[0]));
        }
    }

    /// Variances 64 to 1 in two parts: the two largest don't share one, and products are equal.
    #[test]
    fn parts_get_variances_of_equal_products() {
        assert_eq!(deal(&[1.0, 64.0, 8.0, 8.0], 2), [vec![1, 0], vec![2, 3]]);
        assert_eq!(deal(&[0.0; 4], 2), [vec![0, 2], vec![1, 3]]);
        assert_eq!(deal(&[3.0, 2.0], 1), [vec![0, 1]]);
    }

    /// Rows whose variance is in few directions, which lie across the parts as they are: turned, they lose less than
    /// the same rows with a part of all variance.
    #[test]
    fn a_turn_before_the_cut_loses_less() {
        let mut stream = Stream::new(2, "rows");
        let numbers: Vec<f32> = (0..4000).map(|i| (stream.normal() / (1 + i % 8) as f64) as f32).collect();
        let vectors = table(500, 8, |i| numbers[i]);
        let turned = error(&vectors, 4, 4);
        let cut = |at: usize| -> Vec<f32> {
            vectors.unit().chunks_exact(8).flat_map(|row| row[2 * at..2 * at + 2].to_vec()).collect()
        };
        let mut decoded = vec![0f32; 4000];
        for at in 0..4 {
            let rows = cut(at);
            let centroids = kmeans(&rows, 2, 16, Stream::new(7, "plain"));
            for (row, to) in rows.chunks_exact(2).zip(decoded.chunks_exact_mut(8)) {
                let k = nearest(row, &centroids);
                to[2 * at..2 * at + 2].copy_from_slice(&centroids[2 * k..2 * k + 2]);
            }
        }
        let (got, want) = (cosines(&decoded, 8), cosines(vectors.values(), 8));
        let plain = got.iter().zip(&want).map(|(g, w)| (g - w) * (g - w)).sum::<f64>() / got.len() as f64;
        assert!(turned < 0.9 * plain, "{turned} and {plain}");
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let vectors = table(9, 6, |i| i as f32);
        let message = |parts, bits| Codes::find(&vectors, parts, bits, 0).err().map(|e| e.to_string());
        assert!(message(4, 8).unwrap().contains("one of 1, 2, 3, 6"));
        assert!(message(0, 8).is_some() && message(3, 9).unwrap().contains("1 to 8 bits"));
        assert_eq!(message(3, 8), None);
    }
}
