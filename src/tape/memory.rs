//! Which intermediate lives in which buffer.
//!
//! Greedy by size with shared objects: the largest tensor first, into the tightest buffer that is free over its whole
//! lifetime, of equals into the one just left, else into a new one. wgpu tracks usage by buffer, so a buffer holds one live
//! tensor at a time and inputs stay read-only bindings.

/// When a tensor must keep its bytes: from the node that writes it to its last reader, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// Bytes.
    pub bytes: u64,
    /// First node.
    pub first: usize,
    /// Last node.
    pub last: usize,
}

impl Lifetime {
    fn overlaps(&self, other: &Lifetime) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Nodes since a buffer held something: of equal buffers the one just left, so that another stays free for longer.
fn idle(held: &[Lifetime], life: &Lifetime) -> usize {
    held.iter().filter_map(|held| life.first.checked_sub(held.last)).min().unwrap_or(usize::MAX)
}

/// For each lifetime its buffer, and the size of each buffer.
pub fn assign(lifetimes: &[Lifetime]) -> (Vec<usize>, Vec<u64>) {
    let mut order: Vec<usize> = (0..lifetimes.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(lifetimes[i].bytes), lifetimes[i].first));
    let mut buffers: Vec<(u64, Vec<Lifetime>)> = Vec::new();
    let mut place = vec![0; lifetimes.len()];
    for i in order {
        let life = lifetimes[i];
        let free = (0..buffers.len())
            .filter(|&b| buffers[b].1.iter().all(|held| !held.overlaps(&life)))
            .min_by_key(|&b| (buffers[b].0, idle(&buffers[b].1, &life)));
        place[i] = free.unwrap_or_else(|| {
            buffers.push((life.bytes, Vec::new()));
            buffers.len() - 1
        });
        buffers[place[i]].1.push(life);
    }
    (place, buffers.into_iter().map(|(bytes, _)| bytes).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    /// Over random lifetimes: no two live tensors share a buffer, and every tensor fits its buffer.
    #[test]
    fn live_tensors_never_share() {
        for seed in 0..200 {
            let mut random = Stream::new(seed, "memory");
            let lives: Vec<Lifetime> = (0..1 + random.below(60))
                .map(|_| {
                    let first = random.below(50);
                    let (bytes, last) = (16 * (1 + random.below(100) as u64), first + random.below(12));
                    Lifetime { bytes, first, last }
                })
                .collect();
            let (place, sizes) = assign(&lives);
            for (i, a) in lives.iter().enumerate() {
                assert!(sizes[place[i]] >= a.bytes);
                for (j, b) in lives.iter().enumerate().skip(i + 1) {
                    assert!(place[i] != place[j] || !a.overlaps(b), "seed {seed}: {a:?} and {b:?} share");
                }
            }
        }
    }

    #[test]
    fn a_chain_needs_two_buffers() {
        let lives: Vec<_> = (0..10).map(|i| Lifetime { bytes: 64, first: i, last: i + 1 }).collect();
        assert_eq!(assign(&lives).1.len(), 2);
    }
}
