use super::*;
use crate::data::testing::{Scratch, message};

fn tokenizer() -> Tokenizer {
    let all: serde_json::Value =
        serde_json::from_str(include_str!("../../../tests/fixtures/texttokens.json")).unwrap();
    Tokenizer::parse("small", all["word pieces"]["json"].as_str().unwrap()).unwrap()
}

fn open(name: &str, dir: &Scratch, options: &TextOptions) -> Result<TextSets> {
    load_texts(name, Some(dir.path()), (&tokenizer(), 16), options)
}

#[test]
fn texts_have_the_classes_of_their_training_part() {
    let dir = Scratch::new();
    dir.write("train.tsv", "text\tlabel\nhello\tpos\nlow\tneg\nworld\tmid\n");
    dir.write("test.jsonl", "{\"text\":\"low\",\"label\":\"pos\"}\n");
    let sets = open("texts", &dir, &TextOptions::default()).unwrap();
    assert!(sets.validation.is_none());
    assert_eq!((sets.train.labels().unwrap(), sets.test.labels().unwrap()), (&[2, 1, 0][..], &[2][..]));
    assert_eq!(sets.test.class_names(), ["mid", "neg", "pos"]);
    assert_eq!((sets.test.split(), sets.test.tokens(0).unwrap()), (Split::Test, &[2, 7, 3][..]));
    dir.write("valid.csv", "text,label\nlow,other\n");
    assert!(
        message(open("texts", &dir, &TextOptions::default()))
            .contains("valid.csv: line 2: the label \"other\"")
    );
    dir.write("valid.csv", "text\nlow\n");
    assert!(message(open("texts", &dir, &TextOptions::default())).contains("expected a label of each text"));
}

#[test]
fn reviews() {
    let dir = Scratch::new();
    for part in ["train", "dev", "test"] {
        dir.write(&format!("{part}.tsv"), format!("hello {part}\t1\nlow\t0\n"));
    }
    let sets = open("sst2", &dir, &TextOptions::default()).unwrap();
    assert_eq!(sets.train.class_names(), ["negative", "positive"]);
    assert_eq!(sets.validation.unwrap().labels().unwrap(), [1, 0]);
}

#[test]
fn sentences_are_learned_one_by_one_and_measured_in_pairs() {
    let dir = Scratch::new();
    for part in ["train", "dev", "test"] {
        let rows = "m\tf\t1\t2\t5.000\thello\tlow\nm\tf\t1\t2\t1.500\thello\tworld\tmore\n";
        dir.write(&format!("sts-{part}.csv"), rows);
    }
    let sets = open("stsb", &dir, &TextOptions::default()).unwrap();
    let tokens = |set: &TextSet| (0..set.len()).map(|at| set.tokens(at).unwrap()[1]).collect::<Vec<_>>();
    assert_eq!((tokens(&sets.train), sets.train.scores()), (vec![5, 7, 6], None));
    for set in [&sets.validation.unwrap(), &sets.test] {
        assert_eq!((tokens(set), set.scores()), (vec![5, 7, 5, 6], Some(&[5.0, 5.0, 1.5, 1.5][..])));
    }
    // A user's own: lines to learn from, and a table whose columns are named.
    let dir = Scratch::new();
    dir.write("train.txt", "hello\nlow\nhello\n");
    dir.write("test.csv", "a,b,how\nlow,world,0.5\n");
    let named = TextOptions {
        text: Some("a".into()),
        second: Some("b".into()),
        label: Some("how".into()),
        ..Default::default()
    };
    let sets = open("sentences", &dir, &named).unwrap();
    assert_eq!((tokens(&sets.train), tokens(&sets.test)), (vec![5, 7], vec![7, 6]));
    let one = TextOptions { text: Some("a".into()), ..Default::default() };
    assert!(message(open("sentences", &dir, &one)).contains("expected pairs of sentences and a score"));
}

#[test]
fn what_is_not_there_is_named() {
    let dir = Scratch::new();
    dir.write("train.txt", "hello\n");
    let refused = message(open("sentences", &dir, &TextOptions::default()));
    assert!(refused.contains("expected a file test.tsv, test.csv"), "{refused}");
    let refused = message(open("mnist", &dir, &TextOptions::default()));
    assert!(refused.contains("mnist has images of classes; expected one of"), "{refused}");
    assert!(message(open("sst2", &dir, &TextOptions::default())).contains("train.tsv"));
}
