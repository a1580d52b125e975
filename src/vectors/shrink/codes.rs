//! Product codes (Jegou et al. 2011): a vector is cut into parts, and of each the nearest of 2^bits centroids is kept, found by
//! k-means (Lloyd 1982). Rows are coded at unit length: what is kept are directions, and so cosines, not lengths.

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
        let unit = vectors.unit();
        let cut = |at: usize| -> Vec<f32> {
            unit.chunks_exact(width).flat_map(|row| row[at * part..(at + 1) * part].iter().copied()).collect()
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

    /// As many centroids as there are different parts stand for every row as it is.
    #[test]
    fn enough_centroids_lose_nothing() {
        let vectors = table(64, 6, |i| [1.0, -2.0, 0.5, 3.0][(i / 6 % 4 + i % 6) % 4]);
        let codes = Codes::find(&vectors, 2, 2, 0).unwrap();
        assert_eq!((codes.codes.len(), codes.centroids.len(), codes.sizes), (128, 2 * 4 * 3, [4, 3]));
        for (got, want) in codes.decode().iter().zip(vectors.unit()) {
            assert!((got - want).abs() < 1e-6, "{got} {want}");
        }
    }

    /// Each round of k-means brings rows nearer to their centroids, and the codes name the nearest ones.
    #[test]
    fn codes_are_the_nearest_centroids() {
        let mut stream = Stream::new(1, "rows");
        let numbers: Vec<f32> = (0..4000).map(|_| stream.normal() as f32).collect();
        let vectors = table(500, 8, |i| numbers[i]);
        let error = |bits: usize| {
            let decoded = Codes::find(&vectors, 4, bits, 7).unwrap().decode();
            distance(&decoded, &vectors.unit()) / 500.0
        };
        let errors: Vec<f32> = [1, 3, 6, 8].map(error).to_vec();
        assert!(errors.windows(2).all(|pair| pair[1] < 0.8 * pair[0]), "{errors:?}");
        let codes = Codes::find(&vectors, 4, 3, 7).unwrap();
        let first = &codes.centroids[..16];
        for (row, code) in vectors.unit().chunks_exact(8).zip(codes.codes.chunks_exact(4)) {
            assert_eq!(nearest(&row[..2], first), usize::from(code[0]));
        }
        assert_eq!(codes.codes, Codes::find(&vectors, 4, 3, 7).unwrap().codes);
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
