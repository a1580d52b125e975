use std::sync::Arc;

use super::*;
use crate::data::testing::message;
use crate::data::{IGNORE_LABEL, Loader, LoaderConfig};

/// Text i has i % 5 + 1 tokens, each of them i.
fn set(n: usize) -> TextSet {
    let texts = (0..n as u32).map(|i| vec![i; i as usize % 5 + 1]);
    TextSet::new("mine", Split::Train, [1000, 5], texts).unwrap()
}

fn labelled(n: usize) -> TextSet {
    let labels = (0..n).map(|i| u32::from(i % 4 == 0)).collect();
    set(n).with_labels(labels, vec!["no".into(), "yes".into()]).unwrap()
}

#[test]
fn batches_have_tokens_labels_and_scores() {
    let set = labelled(5).with_scores((0..5).map(|i| i as f32 / 2.0).collect()).unwrap();
    let loader = Loader::new(Arc::new(set), LoaderConfig::in_order(3)).unwrap();
    let batches: Vec<_> = loader.epoch(0).map(Result::unwrap).collect();
    assert_eq!(batches[0].i32(TOKENS).unwrap(), [0, 1, 1, 2, 2, 2, -1, -1, -1]);
    assert_eq!(batches[1].i32(TOKENS).unwrap(), [3, 3, 3, 3, 4, 4, 4, 4, 4]);
    assert_eq!(batches[1].spans, [[0, 4], [4, 9], [9, 9]]);
    assert_eq!(batches[1].i32(LABELS).unwrap(), [0, 1, IGNORE_LABEL]);
    assert_eq!(batches[1].f32(SCORE).unwrap(), [1.5, 2.0, 0.0]);
}

#[test]
fn what_is_not_known_is_no_field() {
    let names = |set: &TextSet| set.fields().iter().map(|field| field.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(&set(3)), ["tokens"]);
    assert_eq!(names(&labelled(3)), ["tokens", "labels"]);
}

#[test]
fn parts_keep_what_belongs_together() {
    let whole = labelled(40).with_scores((0..40).map(|i| i as f32).collect()).unwrap();
    let (train, test) = whole.split_holdout(0.25, 3).unwrap();
    assert_eq!((train.len(), test.len()), (30, 10));
    assert_eq!((train.split(), test.split()), (Split::Train, Split::Test));
    let yes = |set: &TextSet| set.labels().unwrap().iter().filter(|&&label| label == 1).count();
    // A quarter of the ten is 2.5.
    assert!(yes(&train) + yes(&test) == 10 && (2..=3).contains(&yes(&test)));
    for part in [&train, &test, &whole.sample(7, 1).unwrap()] {
        for at in 0..part.len() {
            let id = part.scores().unwrap()[at] as usize;
            assert_eq!(part.tokens(at), whole.tokens(id));
            assert_eq!(part.lengths().unwrap()[at] as usize, id % 5 + 1);
            assert_eq!(part.labels().unwrap()[at], whole.labels().unwrap()[id]);
        }
        assert!(part.scores().unwrap().is_sorted());
    }
    assert_eq!(whole.sample(7, 1).unwrap(), whole.sample(7, 1).unwrap());
    assert_ne!(whole.sample(7, 1).unwrap(), whole.sample(7, 2).unwrap());
    assert_eq!(set(9).sample(4, 0).unwrap().len(), 4);
    let mut first = whole.clone();
    first.truncate(3);
    assert_eq!(first, whole.subset(&[0, 1, 2]).unwrap());
    first.truncate(8);
    assert_eq!(first.len(), 3);
    assert_eq!(
        (first.tokens(2), first.tokens(3), first.tokens(usize::MAX)),
        (Some(&[2, 2, 2][..]), None, None)
    );
    assert!(message(whole.subset(&[40])).contains("index 40 is past the end"));
    assert!(message(whole.split_holdout(1.0, 0)).contains("between 0 and 1"));
}

#[test]
fn equal_contents_have_equal_fingerprints() {
    let of = |texts: &[&[u32]], name: &str| {
        let texts = texts.iter().map(|text| text.to_vec());
        TextSet::new(name, Split::Train, [9, 5], texts).unwrap()
    };
    let a = of(&[&[1, 2], &[3]], "a");
    assert_eq!(a.fingerprint(), of(&[&[1, 2], &[3]], "b").fingerprint());
    // The same tokens, cut elsewhere; other tokens; classes.
    let b = of(&[&[1], &[2, 3]], "a");
    let c = of(&[&[1, 2], &[4]], "a");
    let names = |n: usize| (0..n).map(|i| i.to_string()).collect::<Vec<_>>();
    let d = a.clone().with_labels(vec![0, 1], names(2)).unwrap();
    let e = a.clone().with_labels(vec![1, 0], names(2)).unwrap();
    let f = a.clone().with_scores(vec![0.0, 1.0]).unwrap();
    let mut all: Vec<String> = [&a, &b, &c, &d, &e, &f].map(|set| set.fingerprint()).to_vec();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 6);
}

#[test]
fn what_does_not_fit_is_refused() {
    let new = |texts: Vec<Vec<u32>>| TextSet::new("mine", Split::Train, [10, 3], texts);
    assert!(
        message(new(vec![vec![1], vec![1, 2, 3, 4]]))
            .contains("text 1 of mine: expected at most 3 tokens, got 4")
    );
    assert!(message(new(vec![vec![1, 10]])).contains("text 0 of mine: expected tokens below 10, got 10"));
    let huge = TextSet::new("mine", Split::Train, [usize::MAX, 3], vec![vec![u32::MAX]]);
    assert!(message(huge).contains("got 4294967295"));
    let set = new(vec![vec![1], vec![]]).unwrap();
    let refused = message(set.clone().with_labels(vec![0], vec!["a".into()]));
    assert!(refused.contains("expected as many labels as texts, 2, got 1"), "{refused}");
    let refused = message(set.clone().with_labels(vec![0, 1], vec!["a".into()]));
    assert!(refused.contains("sample 1 has label 1, but there are 1 classes"), "{refused}");
    let refused = message(set.with_scores(vec![0.0, f32::NAN]));
    assert!(refused.contains("sample 1 has the score NaN"), "{refused}");
}
