//! Static models as model2vec 0.10.0 and sentence-transformers 6.2.0 make and write them.

use std::fs;
use std::path::{Path, PathBuf};

use limbeck::files::{NamedTensor, read_safetensors};
use limbeck::sentences::statics::{Recipe, SaveOptions, StaticModel, Store, Trimmed, Vocabulary, build};
use limbeck::sentences::{Rows, Sentences};
use serde_json::Value;

/// Toy tokenizers, how many numbers model2vec kept, and how it stored them.
const CASES: [(&str, usize, Store); 3] =
    [("wordpiece", 8, Store::F16), ("bpe", 5, Store::I8), ("unigram", 12, Store::F32)];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/static_models").join(name)
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn expected() -> Value {
    json(&fixture("expected.json"))
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn sentences(value: &Value) -> Sentences {
    let mut sentences = Sentences::default();
    for ids in value.as_array().unwrap() {
        sentences.push(numbers(ids).into_iter().map(|id| id as u32));
    }
    sentences
}

fn tensor(path: &Path, name: &str) -> NamedTensor {
    let (tensors, _) = read_safetensors(path).unwrap();
    tensors.into_iter().find(|tensor| tensor.name == name).unwrap()
}

fn trimmed(name: &str) -> Trimmed {
    let path = fixture(name).join("teacher.json");
    Vocabulary::trim(&path, &fs::read(&path).unwrap()).unwrap()
}

fn built(name: &str, dims: usize) -> StaticModel {
    let tokens = tensor(&fixture(name).join("tokens.safetensors"), "tokens");
    let tokens = Rows::new(tokens.shape[1], tokens.data).unwrap();
    let rows = build(&tokens, &Recipe::model2vec(dims), None).unwrap();
    StaticModel::new(rows, trimmed(name).vocabulary).unwrap()
}

#[track_caller]
fn near(got: &Rows, want: &Value, most: f64) {
    let want = want.as_array().unwrap();
    assert_eq!(got.len(), want.len());
    for (at, (got, want)) in got.iter().zip(want).enumerate() {
        for (got, want) in got.iter().zip(numbers(want)) {
            assert!((f64::from(*got) - want).abs() <= most, "text {at}: {got}, not {want}");
        }
    }
}

#[test]
fn tokenizers_lose_what_model2vec_takes_away() {
    let expected = expected();
    for (name, ..) in CASES {
        let found = trimmed(name);
        let mut want = json(&fixture(name).join("tokenizer.json"));
        let got: Value = serde_json::from_slice(found.vocabulary.json()).unwrap();
        // model2vec keeps a padding to no length where there was one.
        want["padding"] = Value::Null;
        assert_eq!(got, want, "{name}");
        assert_eq!(found.kept.len(), found.vocabulary.len());
        let of = &expected[name];
        assert_eq!(found.vocabulary.unknown().map(u64::from), of["unknown"].as_u64());
        for (text, cut) in expected["texts"].as_array().unwrap().iter().zip(numbers(&of["cut"])) {
            assert_eq!(
                found.vocabulary.start(text.as_str().unwrap()).chars().count(),
                cut as usize,
                "{name}"
            );
        }
    }
    let wordpiece = trimmed("wordpiece");
    assert_eq!((&*wordpiece.before, &*wordpiece.after), (&[4][..], &[5][..]));
    let bpe = trimmed("bpe");
    assert_eq!((&*bpe.before, &*bpe.after, &bpe.kept[..3]), (&[0][..], &[2][..], &[1, 3, 4][..]));
}

/// What a teacher reads, in the numbers of a static model. Tokens that are left out count as nothing.
#[test]
fn teachers_tokens_are_renumbered() {
    let expected = expected();
    for name in ["wordpiece", "unigram"] {
        let of = &expected[name];
        let found = trimmed(name);
        let got = found.renumber(sentences(&of["teacher_ids"]).iter());
        let unknown = found.vocabulary.unknown();
        for (at, want) in sentences(&of["ids"]).iter().enumerate() {
            let want: Vec<u32> = want.iter().copied().filter(|id| Some(*id) != unknown).collect();
            // The last text has a [MASK] in it, which is a word to the tokenizer that does not know it.
            if name != "wordpiece" || at + 1 < got.len() {
                // Of the long one the characters are cut first, and so a piece.
                let most = if at == 6 { 300 } else { usize::MAX };
                let start = |ids: &[u32]| ids.iter().copied().take(most).collect::<Vec<_>>();
                assert_eq!(start(got.get(at).unwrap()), start(&want), "{name}, text {at}");
            }
        }
    }
}

#[test]
fn rows_are_those_of_model2vec() {
    let expected = expected();
    for (name, dims, store) in CASES {
        let model = built(name, dims);
        let want = tensor(&fixture(name).join("model.safetensors"), "embeddings");
        assert_eq!(want.shape, [model.rows().len(), dims]);
        let largest = model.rows().values().iter().fold(0f32, |most, v| most.max(v.abs()));
        // Half of a last place, and of the f16 that model2vec makes first.
        let (scale, relative, least) = match store {
            Store::F16 => (1.0, 5e-4, 1e-7),
            Store::F32 => (1.0, 1e-5, 1e-6),
            Store::I8 => (largest / 127.0, 0.0, 0.55 * largest / 127.0),
        };
        for (at, (got, want)) in model.rows().values().iter().zip(&want.data).enumerate() {
            let bound = relative * got.abs() + least;
            assert!((got - want * scale).abs() <= bound, "{name}, {at}: {got}, not {}", want * scale);
        }
        let of = &expected[name];
        let most = if store == Store::F32 { 1e-6 } else { 0.02 };
        near(&model.encode_all(&sentences(&of["ids"])).unwrap(), &of["vectors"], most);
    }
}

/// The same files but for the card: settings and modules to the byte, numbers but for a last place.
#[test]
fn folders_are_written_as_model2vec_does() {
    let dir = tempfile::tempdir().unwrap();
    for (name, dims, store) in CASES {
        let options = SaveOptions { store, base_model: Some("toy".into()), sif_coefficient: Some(1e-4) };
        built(name, dims).save_folder(dir.path(), &options).unwrap();
        for file in ["config.json", "modules.json"] {
            let read = |folder: &Path| fs::read_to_string(folder.join(file)).unwrap();
            assert_eq!(read(dir.path()), read(&fixture(name)), "{name}");
        }
        let read = |folder: &Path| fs::read(folder.join("model.safetensors")).unwrap();
        let (got, want) = (read(dir.path()), read(&fixture(name)));
        let head = 8 + u64::from_le_bytes(*want.first_chunk().unwrap()) as usize;
        assert_eq!((got.len(), &got[..head]), (want.len(), &want[..head]), "{name}");
        let size = [(Store::F16, 2), (Store::I8, 1), (Store::F32, 4)]
            .into_iter()
            .find(|(s, _)| *s == store)
            .unwrap()
            .1;
        let same = got[head..].chunks(size).zip(want[head..].chunks(size)).filter(|(a, b)| a == b).count();
        let share = same as f64 / (got[head..].len() / size) as f64;
        // The last bits of f32 are those of another summation.
        assert!(share > 0.98 || store == Store::F32, "{name}: {share}");
        let card = fs::read_to_string(dir.path().join("README.md")).unwrap();
        assert!(card.starts_with("---\nbase_model: \"toy\"\nlibrary_name: model2vec\n"), "{card}");
    }
}

#[test]
fn folders_of_others_are_opened() {
    let expected = expected();
    for (name, most) in [("wordpiece", 1e-3), ("bpe", 1e-6), ("unigram", 1e-6), ("quantized", 1e-3)] {
        let model = StaticModel::open_folder(fixture(name)).unwrap();
        assert!(model.is_normalized());
        let of = &expected[name];
        near(&model.encode_all(&sentences(&of["ids"])).unwrap(), &of["vectors"], most);
    }
    // sentence-transformers counts unknown tokens and does not cut texts at characters, so the fourth and the seventh text differ.
    let all = sentences(&expected["wordpiece"]["ids"]);
    let vectors = expected["sentence_transformers"]["vectors"].as_array().unwrap();
    let nested = tempfile::tempdir().unwrap();
    let root = fixture("sentence_transformers");
    let inner = nested.path().join("0_StaticEmbedding");
    fs::create_dir(&inner).unwrap();
    for file in ["model.safetensors", "tokenizer.json"] {
        fs::copy(root.join(file), inner.join(file)).unwrap();
    }
    for file in ["modules.json", "config_sentence_transformers.json"] {
        fs::copy(root.join(file), nested.path().join(file)).unwrap();
    }
    for folder in [&root, nested.path()] {
        let model = StaticModel::open_folder(folder).unwrap();
        assert!(model.is_normalized());
        for at in [0, 1, 2, 4, 7] {
            let got = model.encode(all.get(at).unwrap()).unwrap();
            let want = numbers(&vectors[at]);
            assert!(
                got.iter().zip(&want).all(|(got, want)| (f64::from(*got) - want).abs() < 1e-6),
                "text {at}"
            );
        }
    }
}

/// From texts to vectors: the tokenizers that are left tokenise as model2vec's.
#[cfg(feature = "text")]
#[test]
fn texts_are_tokenised_as_model2vec_does() {
    use limbeck::data::text::Tokenizer;

    let expected = expected();
    let texts: Vec<&str> =
        expected["texts"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    for (name, dims, _) in CASES {
        let of = &expected[name];
        let built = built(name, dims);
        let opened = StaticModel::open_folder(fixture(name)).unwrap();
        for model in [&built, &opened] {
            let json = String::from_utf8(model.vocabulary().json().to_vec()).unwrap();
            let tokenizer = Tokenizer::parse("tokenizer.json", json).unwrap();
            for (text, want) in texts.iter().zip(sentences(&of["ids"]).iter()) {
                let got = tokenizer.bare(model.vocabulary().start(text)).unwrap();
                assert_eq!(got[..got.len().min(512)], *want, "{name}: {text:.20}");
            }
            let vectors = model.encode_texts(&texts, |text| tokenizer.bare(text)).unwrap();
            near(&vectors, &of["vectors"], 0.02);
            assert_eq!(vectors, model.encode_all(&sentences(&of["ids"])).unwrap());
        }
    }
}
