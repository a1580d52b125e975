use super::*;
use crate::data::shuffle::permutation;
use crate::rng::Stream;

/// Lengths of n texts as SST-2 has them: about normal in the logarithm, with a long tail.
fn texts(n: usize) -> Vec<u32> {
    let mut stream = Stream::new(3, "texts");
    let mut length = || (20.0 * (0.55 * stream.normal()).exp()).clamp(3.0, 66.0) as u32;
    (0..n).map(|_| length()).collect()
}

fn sums(order: &[u32], lengths: &[u32], batch_size: usize) -> Vec<u64> {
    let sum = |batch: &[u32]| batch.iter().map(|&id| u64::from(lengths[id as usize])).sum();
    order.chunks(batch_size).map(sum).collect()
}

#[test]
fn every_batch_of_every_epoch_has_room_and_no_sample_is_lost() {
    let all: Vec<(Vec<u32>, usize)> = vec![
        (texts(999), 32),
        (texts(64), 16),
        (texts(63), 16),
        (texts(5), 16),
        (texts(41), 1),
        (vec![7; 50], 8),
        (vec![0; 9], 4),
        (vec![500, 3, 3, 3, 3, 3, 3, 3, 3], 4),
        (vec![500, 400, 300, 1, 1, 1, 1], 4),
        (Vec::new(), 4),
        ((0..200).map(|i| i * 3).collect(), 7),
    ];
    for (lengths, batch_size) in all {
        let packing = Packing::new(&lengths, batch_size);
        let n = lengths.len();
        for epoch in 0..40 {
            let shuffled = permutation(n as u32, 5, epoch);
            let order = packing.order(&lengths, &shuffled);
            let sums = sums(&order, &lengths, batch_size);
            assert!(sums.iter().all(|&sum| sum <= packing.capacity()), "{sums:?} {}", packing.capacity());
            let mut ids = order.clone();
            ids.sort_unstable();
            assert_eq!(ids, (0..n as u32).collect::<Vec<_>>());
        }
    }
}

#[test]
fn batches_are_about_full() {
    for (n, batch_size) in [(6920, 32), (6920, 64), (5452, 32), (1024, 32), (600, 64)] {
        let lengths = texts(n);
        let packing = Packing::new(&lengths, batch_size);
        let order = packing.order(&lengths, &permutation(n as u32, 1, 1));
        let full = n / batch_size;
        let values: u64 = sums(&order, &lengths, batch_size)[..full].iter().sum();
        let fill = values as f64 / (full as u64 * packing.capacity()) as f64;
        assert!((0.97..=1.0).contains(&fill), "{n} by {batch_size}: {fill}");
        // Any order would leave more free.
        assert!(consecutive(&lengths, batch_size) > packing.capacity() * 105 / 100);
    }
}

/// As scripts in Python find it from the description above, and their own permutation.
#[test]
fn the_order_is_the_same_everywhere() {
    let lengths: Vec<u32> = (0..75).map(|i| 10 + i * 37 % 11 % 4).collect();
    let packing = Packing::new(&lengths, 8);
    assert_eq!((packing.run, packing.capacity()), (2, 91));
    assert_eq!(packing.order(&lengths, &permutation(75, 3, 1)), PINNED);
}

#[test]
fn whom_a_sample_meets_and_who_is_left_out_change() {
    let lengths = texts(103);
    let packing = Packing::new(&lengths, 10);
    let longest = (0..103).max_by_key(|&id| lengths[id]).unwrap();
    let (mut left_out, mut batch_of_longest, mut met) = ([0i32; 103], [0; 11], [0; 103]);
    for epoch in 0..2000 {
        let order = packing.order(&lengths, &permutation(103, 7, epoch));
        order[100..].iter().for_each(|&id| left_out[id as usize] += 1);
        let at = order.iter().position(|&id| id as usize == longest).unwrap();
        batch_of_longest[at / 10] += 1;
        order[at / 10 * 10..].iter().take(10).for_each(|&id| met[id as usize] += 1);
        // Inside a batch the shuffled order is kept, so the longest is not always the first.
        let shuffled = permutation(103, 7, epoch);
        let place = |id: &u32| shuffled.iter().position(|other| other == id);
        assert!(order.chunks(10).all(|batch| batch.is_sorted_by_key(place)));
    }
    // 2000 * 3 / 103 is 58; five standard deviations are 38.
    assert!(left_out.iter().all(|&times| (times - 58).abs() < 38), "{left_out:?}");
    assert!(batch_of_longest[..10].iter().all(|&times| times > 100), "{batch_of_longest:?}");
    assert!(met.iter().filter(|&&times| times > 20).count() > 50, "{met:?}");
}

#[test]
fn sums_of_neighbours() {
    assert_eq!((consecutive(&[1, 2, 3, 4, 5], 2), consecutive(&[9, 2, 3, 4, 5], 2)), (7, 11));
    assert_eq!((consecutive(&[1, 2, 3, 4, 5], 9), consecutive(&[], 2)), (15, 0));
}

const PINNED: [u32; 75] = [
    65, 36, 60, 1, 69, 29, 2, 21, 16, 57, 6, 68, 49, 17, 55, 10, 27, 47, 30, 13, 61, 25, 0, 54, 26, 38, 32,
    34, 71, 7, 12, 64, 39, 19, 70, 35, 53, 5, 24, 28, 73, 52, 3, 67, 31, 63, 4, 44, 59, 48, 9, 66, 74, 37,
    22, 42, 72, 18, 15, 33, 43, 11, 41, 58, 56, 40, 23, 14, 62, 46, 20, 50, 45, 51, 8,
];
