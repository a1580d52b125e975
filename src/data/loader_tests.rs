use super::*;
use crate::data::testing::{message, tiny};

fn loader(n: usize, config: LoaderConfig) -> Loader {
    Loader::new(Arc::new(tiny(n, 3)), config).unwrap()
}

fn plain(batch_size: usize) -> LoaderConfig {
    LoaderConfig { batch_size, shuffle: false, ..LoaderConfig::default() }
}

#[test]
fn packs_pixels_and_fills_up_the_last_batch() {
    let batches: Vec<Batch> = loader(5, plain(3)).epoch(0).collect();
    assert_eq!(batches.len(), 2);
    // Samples are [i, 100, 200]; nine bytes take three words.
    assert_eq!(
        batches[0].pixels,
        [
            u32::from_le_bytes([0, 100, 200, 1]),
            u32::from_le_bytes([100, 200, 2, 100]),
            u32::from_le_bytes([200, 0, 0, 0])
        ]
    );
    let last = &batches[1];
    assert_eq!((last.index, last.len), (1, 2));
    assert_eq!(last.pixels, [u32::from_le_bytes([3, 100, 200, 4]), u32::from_le_bytes([100, 200, 0, 0]), 0]);
    assert_eq!(last.labels, [0, 1, IGNORE_LABEL]);
    assert_eq!(last.sample_ids, [3, 4, 0]);
}

#[test]
fn drop_last_leaves_out_the_partial_batch() {
    let config = LoaderConfig { drop_last: true, ..plain(3) };
    let loader = loader(8, config.clone());
    assert_eq!((loader.batches(), loader.epoch(0).len()), (2, 2));
    assert!(loader.epoch(0).all(|batch| batch.len == 3));
    assert!(message(Loader::new(Arc::new(tiny(2, 1)), config)).contains("no batch of 3"));
}

#[test]
fn a_shuffled_epoch_visits_each_sample_once_with_its_label_and_pixels() {
    let config = LoaderConfig { batch_size: 16, seed: 9, ..LoaderConfig::default() };
    let loader = loader(100, config);
    let mut seen = vec![0; 100];
    for batch in loader.epoch(4) {
        for (slot, &id) in batch.sample_ids.iter().take(batch.len).enumerate() {
            seen[id as usize] += 1;
            assert_eq!(batch.labels[slot], id as i32 % 3);
            assert_eq!(batch.pixels[slot * 3 / 4].to_le_bytes()[slot * 3 % 4], id as u8);
        }
    }
    assert_eq!(seen, [1; 100]);
    let ids = |epoch| loader.epoch(epoch).flat_map(|b| b.sample_ids).collect::<Vec<_>>();
    assert_eq!(ids(4), ids(4));
    assert_ne!(ids(4), ids(5));
}

#[test]
fn prefetch_does_not_change_the_batches() {
    let batches = |prefetch| {
        let config = LoaderConfig { batch_size: 7, prefetch, ..LoaderConfig::default() };
        loader(50, config).epoch(1).collect::<Vec<_>>()
    };
    assert_eq!(batches(0), batches(1));
    assert_eq!(batches(0), batches(usize::MAX));
}

#[test]
fn resumes_at_any_batch() {
    let loader = loader(50, LoaderConfig { batch_size: 8, ..LoaderConfig::default() });
    let whole: Vec<Batch> = loader.epoch(2).collect();
    for first in 0..whole.len() {
        assert_eq!(loader.epoch_from(2, first).collect::<Vec<_>>(), whole[first..]);
    }
    assert_eq!(loader.epoch_from(2, 7).count(), 0);
    assert_eq!(loader.epoch_from(2, usize::MAX).count(), 0);
}

#[test]
fn dropping_early_stops_the_thread() {
    let loader = loader(250, LoaderConfig { batch_size: 1, prefetch: 1, ..LoaderConfig::default() });
    for taken in [0, 1, 2, 249] {
        let mut batches = loader.epoch(0);
        assert_eq!(batches.by_ref().take(taken).count(), taken);
        drop(batches);
    }
    // Drop joined every thread, so nothing but this handle still holds the data.
    assert_eq!(Arc::strong_count(loader.dataset()), 1);
}

#[test]
fn refuses_what_makes_no_batch() {
    let refused = |n, batch_size| message(Loader::new(Arc::new(tiny(n, 1)), plain(batch_size)));
    assert!(refused(3, 0).contains("at least 1"));
    assert!(refused(3, usize::MAX).contains("at least 1"));
    assert!(refused(0, 1).contains("no batch"));
    let mut broken = tiny(3, 1);
    broken.labels[0] = 9;
    assert!(message(Loader::new(Arc::new(broken), plain(1))).contains("label 9"));
}
