//! The rows with the largest products, for many queries at once.

use std::thread::{ScopedJoinHandle, available_parallelism, scope};

/// Queries that go through the table together: a row is fetched once for all of them.
const GROUP: usize = 16;
/// Products that are summed side by side, so that the sum does not wait for itself.
const LANES: usize = 16;

/// What rows are multiplied with, and rows that do not count.
#[derive(Debug)]
pub(in crate::vectors) struct Query {
    pub vector: Vec<f32>,
    pub except: Vec<usize>,
}

/// For each query the `count` rows of a table (rows, width) with the largest products, the largest first, of equal ones
/// the lower row. The same on any number of cores.
pub(in crate::vectors) fn best_rows(
    table: &[f32],
    width: usize,
    queries: &[Query],
    count: usize,
) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new(); queries.len()];
    }
    let of = |queries: &[Query]| -> Vec<Vec<usize>> {
        queries.chunks(GROUP).flat_map(|group| best_of_group(table, width, group, count)).collect()
    };
    let cores = available_parallelism().map_or(1, |n| n.get());
    let share = queries.len().div_ceil(cores).max(GROUP);
    if share >= queries.len() {
        return of(queries);
    }
    scope(|scope| {
        let of = &of;
        let started: Vec<_> = queries.chunks(share).map(|part| scope.spawn(move || of(part))).collect();
        let join = |worker: ScopedJoinHandle<'_, Vec<Vec<usize>>>| {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        started.into_iter().flat_map(join).collect()
    })
}

fn best_of_group(table: &[f32], width: usize, group: &[Query], count: usize) -> Vec<Vec<usize>> {
    let mut best: Vec<_> = group.iter().map(|_| Best { count, rows: Vec::new() }).collect();
    for (row, values) in table.chunks_exact(width).enumerate() {
        for (query, best) in group.iter().zip(&mut best) {
            let product = product(&query.vector, values);
            if best.takes(product) && !query.except.contains(&row) {
                best.add(product, row);
            }
        }
    }
    best.into_iter().map(|best| best.rows.into_iter().map(|(_, row)| row).collect()).collect()
}

/// The best rows so far, the best first.
struct Best {
    count: usize,
    rows: Vec<(f32, usize)>,
}

impl Best {
    fn takes(&self, product: f32) -> bool {
        self.rows.len() < self.count || self.rows.last().is_some_and(|(least, _)| product > *least)
    }

    /// Rows come in their order, so that a later one goes behind those that are equal.
    fn add(&mut self, product: f32, row: usize) {
        let at = self.rows.partition_point(|(other, _)| *other >= product);
        self.rows.insert(at, (product, row));
        self.rows.truncate(self.count);
    }
}

fn product(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [0f32; LANES];
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    rest + sums.iter().sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    #[test]
    fn the_best_are_those_of_a_sorted_list() {
        let (rows, width) = (333, 37);
        let mut stream = Stream::new(1, "scan");
        // Few values, so that many products are equal.
        let table: Vec<f32> = (0..rows * width).map(|_| stream.below(3) as f32 - 1.0).collect();
        let query = |_| Query {
            vector: (0..width).map(|_| stream.below(2) as f32).collect(),
            except: vec![stream.below(rows), stream.below(rows)],
        };
        let queries: Vec<Query> = (0..70).map(query).collect();
        for count in [1, 10, 1000] {
            let found = best_rows(&table, width, &queries, count);
            assert_eq!(found.len(), queries.len());
            for (query, found) in queries.iter().zip(found) {
                let product = |row: &usize| -> f32 {
                    query.vector.iter().zip(&table[row * width..]).map(|(a, b)| a * b).sum()
                };
                let mut all: Vec<usize> = (0..rows).filter(|row| !query.except.contains(row)).collect();
                all.sort_by(|a, b| product(b).total_cmp(&product(a)));
                all.truncate(count);
                assert_eq!(found, all);
            }
        }
    }
}
