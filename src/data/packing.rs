//! Which samples share a batch where they are of different lengths, and how much room a batch has.
//!
//! A step is compiled for one number of places T, so the samples of every batch have to fit into it, in every epoch, and what
//! they leave free is computed for nothing. Texts in shuffled order are 10 to 20 % short of the fullest batch. So they are
//! dealt out by length: longest first, each to the batch with the fewest values that has room for one more sample (Graham,
//! "Bounds on multiprocessing timing anomalies", 1969, with as many samples to each batch). That is done once, with the
//! lengths alone; an epoch's order only says which samples of about a length take the places that it has.
//!
//! - Samples are sorted by length, and cut into runs of almost equal lengths, which are mixed: a place may count on the longest
//!   of its run. Runs are as long as is possible for a hundredth of T.
//! - What makes no full batch is one sample out of each of as many equal parts of the sorted list, another one in every epoch:
//!   the last batch, which a training leaves out, is neither of long samples nor of short ones.
//! - Batches follow each other as their first samples do in the shuffled order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A run may cost this part of all values.
const RUN_SHARE: u64 = 100;

/// How samples of these lengths are dealt to batches of one size.
#[derive(Clone, Debug)]
pub(super) struct Packing {
    batch_size: usize,
    /// (full batches * batch_size): the batch to which each place in the list of lengths, longest first, belongs.
    batch_of: Vec<u32>,
    /// Samples in a run.
    run: usize,
    capacity: u64,
}

impl Packing {
    /// Deals samples of these lengths to batches of `batch_size` samples.
    pub fn new(lengths: &[u32], batch_size: usize) -> Self {
        let mut sorted = lengths.to_vec();
        sorted.sort_unstable_by_key(|&length| Reverse(length));
        let total: u64 = sorted.iter().map(|&length| u64::from(length)).sum();
        let spread = sorted.first().zip(sorted.last()).map_or(0, |(most, least)| most - least);
        let run = (total / RUN_SHARE / u64::from(spread).max(1)).clamp(1, 1 << 24) as usize;
        // Whichever samples of their parts are left for the last batch, those that stay are no longer, place by place, than
        // where the shortest of each part is left.
        let mut stay = vec![true; sorted.len()];
        let mut rest = 0;
        for part in parts(sorted.len(), batch_size) {
            stay[part.end - 1] = false;
            rest += u64::from(sorted[part.end - 1]);
        }
        let stayed: Vec<u32> =
            sorted.iter().zip(stay).filter_map(|(&length, stays)| stays.then_some(length)).collect();
        let (batch_of, fullest) = deal(&stayed, run, batch_size);
        Self { batch_size, batch_of, run, capacity: fullest.max(rest) }
    }

    /// Values that no batch is over, T.
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// The samples of an epoch whose shuffled order is `shuffled`: those of the first batch, of the second, ..
    pub fn order(&self, lengths: &[u32], shuffled: &[u32]) -> Vec<u32> {
        let n = shuffled.len();
        let mut place = vec![0u32; n];
        (0u32..).zip(shuffled).for_each(|(at, &id)| place[id as usize] = at);
        let by_place = |ids: &mut [u32]| ids.sort_unstable_by_key(|&id| place[id as usize]);
        let length = |id: u32| u64::from(lengths[id as usize]);
        let mut sorted = shuffled.to_vec();
        sorted.sort_by_key(|&id| Reverse(length(id)));

        let mut left = Vec::new();
        for (part, &number) in parts(n, self.batch_size).zip(shuffled) {
            // The shuffled numbers are random ones below n.
            left.push(part.start + (u64::from(number) * part.len() as u64 / n as u64) as usize);
        }
        let mut rest: u64 = left.iter().map(|&at| length(sorted[at])).sum();
        for (part, at) in parts(n, self.batch_size).zip(&mut left) {
            if rest <= self.capacity {
                break;
            }
            rest -= length(sorted[*at]) - length(sorted[part.end - 1]);
            *at = part.end - 1;
        }
        let mut last: Vec<u32> = left.iter().map(|&at| sorted[at]).collect();
        by_place(&mut last);
        // From behind, so that the places before stay what they are.
        for &at in left.iter().rev() {
            sorted.remove(at);
        }

        sorted.chunks_mut(self.run).for_each(by_place);
        let mut batches = vec![Vec::with_capacity(self.batch_size); n / self.batch_size];
        for (&id, &batch) in sorted.iter().zip(&self.batch_of) {
            batches[batch as usize].push(id);
        }
        batches.iter_mut().for_each(|batch| by_place(batch));
        batches.sort_unstable_by_key(|batch| batch.first().map(|&id| place[id as usize]));
        batches.push(last);
        batches.concat()
    }
}

/// The most values that `batch_size` samples behind each other have, those of each batch in the samples' own order.
pub(super) fn consecutive(lengths: &[u32], batch_size: usize) -> u64 {
    let sum = |batch: &[u32]| batch.iter().map(|&length| u64::from(length)).sum();
    lengths.chunks(batch_size.max(1)).map(sum).max().unwrap_or(0)
}

/// Equal parts of a list of `n`, as many as samples are left when batches are full.
fn parts(n: usize, batch_size: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let parts = n % batch_size;
    let cut = move |part: usize| (part as u128 * n as u128 / parts.max(1) as u128) as usize;
    (0..parts).map(move |part| cut(part)..cut(part + 1))
}

/// The batch of each of these lengths, longest first, where all of a run are as long as its longest; and the sum of the fullest.
fn deal(lengths: &[u32], run: usize, batch_size: usize) -> (Vec<u32>, u64) {
    let batches = (lengths.len() / batch_size) as u32;
    let mut open: BinaryHeap<Reverse<(u64, u32, usize)>> =
        (0..batches).map(|batch| Reverse((0, batch, 0))).collect();
    let (mut batch_of, mut fullest) = (Vec::with_capacity(lengths.len()), 0);
    for run in lengths.chunks(run) {
        for _ in run {
            let Some(Reverse((sum, batch, samples))) = open.pop() else { break };
            let (sum, samples) = (sum + u64::from(run[0]), samples + 1);
            batch_of.push(batch);
            fullest = fullest.max(sum);
            if samples < batch_size {
                open.push(Reverse((sum, batch, samples)));
            }
        }
    }
    (batch_of, fullest)
}

#[cfg(test)]
#[path = "packing_tests.rs"]
mod tests;
