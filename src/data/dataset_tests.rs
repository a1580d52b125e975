use super::*;
use crate::data::testing::{class_counts, message, tiny};

#[test]
fn subset_range_and_truncate_keep_images_with_their_labels() {
    let set = tiny(7, 3);
    let part = set.subset(&[6, 0, 6]).unwrap();
    assert_eq!(part.labels, [0, 0, 0]);
    assert_eq!(part.image(0), Some(&[6u8, 100, 200][..]));
    assert_eq!(part.image(3), None);
    assert_eq!(set.range(2..4).unwrap().labels, [2, 0]);
    assert!(message(set.subset(&[7])).contains("index 7"));
    assert!(message(set.range(3..8)).contains("3..8"));
    let mut set = set;
    set.truncate(2);
    assert_eq!((set.len(), set.pixels.len()), (2, 6));
    set.truncate(usize::MAX);
    assert_eq!(set.len(), 2);
    set.check().unwrap();
}

#[test]
fn check_names_what_does_not_fit() {
    let broken = |change: fn(&mut Dataset)| {
        let mut set = tiny(4, 2);
        change(&mut set);
        message(set.check())
    };
    assert!(broken(|s| s.channels = 0).contains("at least 1 channel"));
    assert!(broken(|s| s.channels = 2).contains("2x1x3"));
    assert!(broken(|s| s.height = 0).contains("1x0x3"));
    assert!(broken(|s| s.width = usize::MAX).contains("bytes"));
    assert!(broken(|s| s.pixels.truncate(11)).contains("got 11 bytes"));
    assert!(broken(|s| s.mean.clear()).contains("mean"));
    assert!(broken(|s| s.std[0] = 0.0).contains("above 0"));
    assert!(broken(|s| s.mean[0] = f32::NAN).contains("finite"));
    assert!(broken(|s| s.labels[1] = 2).contains("sample 1 has label 2"));
}

#[test]
fn holdout_is_stratified_deterministic_and_complete() {
    let set = tiny(100, 4);
    let (train, test) = set.split_holdout(0.2, 1).unwrap();
    assert_eq!((train.len(), test.len()), (80, 20));
    assert_eq!(class_counts(&test), [5, 5, 5, 5]);
    assert_eq!((train.split, test.split), (Split::Train, Split::Test));
    let mut firsts: Vec<u8> =
        [&train, &test].iter().flat_map(|d| (0..d.len()).map(|i| d.image(i).unwrap()[0])).collect();
    firsts.sort_unstable();
    assert_eq!(firsts, (0..100).collect::<Vec<u8>>());
    assert_eq!(set.split_holdout(0.2, 1).unwrap(), (train, test.clone()));
    assert_ne!(set.split_holdout(0.2, 2).unwrap().1, test);
}

#[test]
fn holdout_refuses_what_leaves_a_part_empty() {
    let set = tiny(4, 2);
    for fraction in [0.0, 1.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(message(set.split_holdout(fraction, 0)).contains("fraction"), "{fraction}");
    }
    assert!(message(set.split_holdout(0.9, 0)).contains("no samples"));
    assert!(message(tiny(0, 2).split_holdout(0.5, 0)).contains("no samples"));
    assert_eq!(tiny(2, 1).split_holdout(0.5, 0).unwrap().1.len(), 1);
}

#[test]
fn sample_takes_each_class_in_proportion() {
    let set = tiny(90, 3);
    let part = set.sample(10, 5).unwrap();
    assert_eq!(part.len(), 10);
    assert!(class_counts(&part).iter().all(|&c| c == 3 || c == 4));
    assert_eq!(set.sample(1000, 5).unwrap(), set);
    assert!(set.sample(0, 5).unwrap().is_empty());
}

#[test]
fn fingerprint_follows_the_contents_and_not_the_name() {
    let set = tiny(5, 2);
    let mut renamed = set.clone();
    renamed.name = "other".into();
    assert_eq!(set.fingerprint(), renamed.fingerprint());
    assert_eq!(set.fingerprint().len(), 64);
    let mut changed = set.clone();
    changed.pixels[14] ^= 1;
    assert_ne!(set.fingerprint(), changed.fingerprint());
    let mut reshaped = set.clone();
    (reshaped.height, reshaped.width) = (3, 1);
    assert_ne!(set.fingerprint(), reshaped.fingerprint());
}

#[test]
fn statistics_are_per_channel() {
    let mut set = tiny(1, 1);
    (set.channels, set.height, set.width) = (3, 1, 2);
    set.pixels = vec![0, 255, 51, 51, 0, 0];
    let (mean, std) = set.pixel_statistics();
    assert_eq!(mean, [0.5, 0.2, 0.0]);
    assert_eq!(std, [0.5, 1.0, 1.0]);
}
