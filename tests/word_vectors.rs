//! Files of word vectors as gensim writes them, and measures as scipy, gensim and NumPy compute them.

use std::path::PathBuf;

use limbeck::vectors::WordVectors;
use limbeck::vectors::files::{Format, Read, ReadOptions, read, write};
use limbeck::vectors::measure::{
    Analogies, Answered, NeighbourOptions, SimilarityOptions, WordPairs, nearest, nearest_to,
    neighbours_kept, similarity_error, spearman,
};
use serde_json::Value;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/wordvectors").join(name)
}

fn expected() -> Value {
    serde_json::from_slice(&std::fs::read(fixture("expected.json")).unwrap()).unwrap()
}

/// The table under a key.
fn table(expected: &Value, key: &str) -> WordVectors {
    let values: Vec<f32> =
        expected[key].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect();
    let words = expected["words"].as_array().unwrap();
    let width = values.len() / words.len();
    WordVectors::new(words.iter().map(|word| word.as_str().unwrap()).collect(), width, values).unwrap()
}

fn opened(name: &str) -> Read {
    read(fixture(name), &ReadOptions::default()).unwrap()
}

#[track_caller]
fn near(got: f64, want: &Value, most: f64) {
    let want = want.as_f64().unwrap();
    assert!((got - want).abs() <= most, "{got} instead of {want}");
}

#[test]
fn files_of_gensim_and_safetensors() {
    let expected = expected();
    for (name, format, key) in [
        ("gensim.vec", Format::Vec, "values"),
        ("gensim.bin", Format::Word2vec, "values"),
        ("gensim.glove.txt", Format::Glove, "values"),
        ("half", Format::Safetensors, "half"),
    ] {
        let found = opened(name);
        assert_eq!((found.format, &*found.notes), (format, &[][..]), "{name}");
        assert_eq!(found.vectors, table(&expected, key), "{name}");
    }
}

/// limbeck ends rows of the binary file with a line feed, as word2vec does; gensim leaves it out.
#[test]
fn written_files_are_those_of_gensim() {
    let folder = tempfile::tempdir().unwrap();
    let vectors = table(&expected(), "values");
    let written = |format| {
        let path = folder.path().join("vectors");
        write(&path, &vectors, format).unwrap();
        std::fs::read(path).unwrap()
    };
    let of_gensim = |name| std::fs::read(fixture(name)).unwrap();
    assert!(written(Format::Vec) == of_gensim("gensim.vec"));
    assert!(written(Format::Glove) == of_gensim("gensim.glove.txt"));
    let (ours, theirs) = (written(Format::Word2vec), of_gensim("gensim.bin"));
    assert_eq!(ours.len(), theirs.len() + vectors.len());
}

#[test]
fn similarity_is_that_of_scipy() {
    let expected = expected();
    let pairs = WordPairs::read(fixture("pairs.tsv")).unwrap();
    assert_eq!(pairs.name(), "pairs");
    for (table_key, key) in [("values", "similarity"), ("small", "small_similarity")] {
        let found = spearman(&table(&expected, table_key), &pairs).unwrap();
        near(found.rho, &expected[key]["rho"], 1e-12);
        assert_eq!((found.found, found.pairs), (10, 11));
        assert_eq!(expected[key]["found"], 10);
    }
}

#[test]
fn analogies_and_nearest_words_are_those_of_gensim() {
    let expected = expected();
    let vectors = table(&expected, "values");
    let questions = Analogies::read(fixture("questions.txt")).unwrap();
    let answers = questions.answer(&vectors);
    let number = |value: &Value| value.as_u64().unwrap() as usize;
    let mut whole = [0; 3];
    for (want, (name, got)) in expected["analogies"].as_array().unwrap().iter().zip(&answers.sections) {
        let counts = [1, 2, 3].map(|at| number(&want[at]));
        assert_eq!(name.as_str(), want[0]);
        assert_eq!(*got, Answered { right: counts[0], asked: counts[1], unknown: counts[2] }, "{name}");
        whole = [0, 1, 2].map(|at| whole[at] + counts[at]);
    }
    assert_eq!([answers.whole.right, answers.whole.asked, answers.whole.unknown], whole);
    assert!(whole[0] > 3 && whole[0] < whole[1] && whole[2] == 1, "{whole:?}");

    let word = expected["nearest"]["word"].as_str().unwrap();
    let found = nearest(&vectors, word, 5).unwrap();
    let want = expected["nearest"]["rows"].as_array().unwrap();
    assert_eq!(found.len(), want.len());
    for ((row, cosine), want) in found.iter().zip(want) {
        assert_eq!(*row, number(&want[0]));
        near(*cosine, &want[1], 1e-6);
    }
    let row = vectors.find(word).unwrap();
    let all = nearest_to(&vectors, vectors.row(row).unwrap(), 6).unwrap();
    assert_eq!((all[0].0, &all[1..]), (row, &*found));
}

#[test]
fn what_a_smaller_table_keeps_is_what_numpy_finds() {
    let expected = expected();
    let (large, small) = (table(&expected, "values"), table(&expected, "small"));
    let number = |value: &Value| value.as_u64().unwrap();
    for case in expected["kept"].as_array().unwrap() {
        let (count, queries) = (number(&case["count"]) as usize, number(&case["queries"]) as usize);
        let options = NeighbourOptions { count, queries, seed: number(&case["seed"]) };
        let found = neighbours_kept(&large, &small, &options).unwrap();
        near(found.share, &case["share"], 1e-12);
        assert_eq!((found.count, found.queries, found.words), (count, queries, large.len()));
    }
    for case in expected["error"].as_array().unwrap() {
        let options =
            SimilarityOptions { pairs: number(&case["pairs"]) as usize, seed: number(&case["seed"]) };
        near(similarity_error(&large, &small, &options).unwrap().error, &case["error"], 1e-12);
    }
}
