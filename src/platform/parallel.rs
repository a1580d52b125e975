//! Work on many things at once.

/// What one piece of work takes: a thread is started for as many as are worth it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cost {
    /// Microseconds, such as reading a label file or an image's head: as long as many of them take, a thread takes to start.
    Small,
    /// Milliseconds, such as decoding an image.
    Large,
}

/// Applies `work` on every core; the results are in the order of `items`.
pub(crate) fn in_parallel<T: Sync, R: Send>(
    cost: Cost,
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    let share = share(cost, items.len(), cores);
    if share >= items.len() {
        return items.iter().map(work).collect();
    }
    std::thread::scope(|scope| {
        let work = &work;
        let started: Vec<_> = items
            .chunks(share)
            .map(|part| scope.spawn(move || part.iter().map(work).collect::<Vec<R>>()))
            .collect();
        let join = |worker: std::thread::ScopedJoinHandle<'_, Vec<R>>| {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        started.into_iter().flat_map(join).collect()
    })
}

/// How many of `n` items one thread takes.
fn share(cost: Cost, n: usize, cores: usize) -> usize {
    let least = match cost {
        Cost::Small => 32,
        Cost::Large => 1,
    };
    n.div_ceil(cores).max(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_in_parallel_keeps_its_order() {
        let items: Vec<usize> = (0..1000).collect();
        for cost in [Cost::Small, Cost::Large] {
            let doubled = in_parallel(cost, &items, |k| k * 2);
            assert_eq!(doubled, (0..1000).map(|k| k * 2).collect::<Vec<_>>());
            assert!(in_parallel(cost, &items[..0], |k| *k).is_empty());
        }
    }

    #[test]
    fn a_thread_is_worth_its_work() {
        // A contact sheet of 24 images has all cores, 24 label files have one.
        assert_eq!((share(Cost::Large, 24, 8), share(Cost::Small, 24, 8)), (3, 32));
        assert_eq!((share(Cost::Small, 100, 8), share(Cost::Small, 8000, 8)), (32, 1000));
        assert_eq!((share(Cost::Large, 0, 8), share(Cost::Large, 3, 8)), (1, 1));
    }
}
