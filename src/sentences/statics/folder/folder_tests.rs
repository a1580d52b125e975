use std::fs;

use super::*;
use crate::files::scratch::Scratch;
use crate::files::{Metadata, StoredTensor, write_safetensors};
use crate::platform::damage::damage;
use crate::rng::Stream;
use crate::sentences::Rows;
use crate::sentences::statics::{StaticModel, Vocabulary};

const JSON: &[u8] = br#"{"model": {"vocab": {"[UNK]": 0, "a": 1, "b": 2}, "unk_token": "[UNK]"}}"#;

fn model() -> StaticModel {
    let rows = Rows::new(2, vec![1.0, -2.0, 3.0, 0.25, -1.27, 4.0]).unwrap();
    StaticModel::new(rows, Vocabulary::read("tokenizer.json", JSON).unwrap()).unwrap()
}

fn message(folder: &Scratch) -> String {
    let message = StaticModel::open_folder(folder.path()).unwrap_err().to_string();
    assert!(!message.contains('\n') && message.len() < 1000, "{message}");
    message
}

#[test]
fn folders_are_read_back() {
    let folder = Scratch::new();
    for normalize in [true, false] {
        let model = model().normalized(normalize);
        for store in [Store::F32, Store::F16, Store::I8] {
            model.save_folder(folder.path(), &SaveOptions { store, ..SaveOptions::default() }).unwrap();
            let found = StaticModel::open_folder(folder.path()).unwrap();
            assert_eq!((found.vocabulary(), found.is_normalized()), (model.vocabulary(), normalize));
            let (scale, bound) = match store {
                Store::F32 => (1.0, 0.0),
                Store::F16 => (1.0, 0.001),
                Store::I8 => (4.0 / 127.0, 0.016),
            };
            for (got, want) in found.rows().values().iter().zip(model.rows().values()) {
                assert!((got * scale - want).abs() <= bound, "{store:?}: {got} {want}");
            }
        }
    }
    let mut all = folder.list();
    all.sort();
    assert_eq!(all, ["README.md", "config.json", "model.safetensors", "modules.json", "tokenizer.json"]);
    let large = Rows::new(1, vec![1.0, 7e4, 0.0]).unwrap();
    let large = StaticModel::new(large, model().vocabulary().clone()).unwrap();
    let refused = large.save_folder(folder.path(), &SaveOptions::default()).unwrap_err().to_string();
    assert!(refused.contains("the largest is 70000; take f32 or i8"), "{refused}");
    // What was there is still whole.
    assert_eq!(StaticModel::open_folder(folder.path()).unwrap().dims(), 2);
}

#[test]
fn folders_that_are_none_are_refused() {
    let folder = Scratch::new();
    assert!(message(&folder).contains("has no model.safetensors"));
    let missing = StaticModel::open_folder(folder.file("x")).unwrap_err().to_string();
    assert!(missing.contains("expected a folder of a static model, found nothing"), "{missing}");
    model().save_folder(folder.path(), &SaveOptions::default()).unwrap();
    let file = StaticModel::open_folder(folder.file("config.json")).unwrap_err().to_string();
    assert!(file.contains("found a file"), "{file}");
    folder.write(CONFIG, "{\"normalize\": 3}");
    assert!(message(&folder).contains("normalize: expected true or false, found 3"));
    folder.write(CONFIG, "{");
    assert!(message(&folder).contains("config.json: expected JSON"));
    fs::remove_file(folder.file(CONFIG)).unwrap();
    assert!(StaticModel::open_folder(folder.path()).unwrap().is_normalized());
    fs::remove_file(folder.file(MODULES)).unwrap();
    assert!(!StaticModel::open_folder(folder.path()).unwrap().is_normalized());
    fs::remove_file(folder.file(TOKENIZER)).unwrap();
    assert!(message(&folder).contains("tokenizer.json: expected a file, found nothing"));
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let folder = Scratch::new();
    folder.write(TOKENIZER, JSON);
    let stored = |name: &'static str, shape: &[usize], values: &[f32]| {
        StoredTensor::new(name, shape.to_vec(), values.to_vec())
    };
    let rows = |count: usize| stored(EMBEDDINGS, &[count, 2], &vec![1.0; 2 * count]);
    let weight = |count: usize| stored(WEIGHT, &[count, 2], &vec![1.0; 2 * count]);
    let write = |tensors: &[StoredTensor<'_>]| {
        write_safetensors(folder.file(TENSORS), tensors, &Metadata::new()).unwrap();
    };
    for (tensors, part) in [
        (
            vec![stored("x", &[1], &[1.0])],
            "expected a tensor \"embeddings\" or \"embedding.weight\", found \"x\"",
        ),
        (vec![stored(EMBEDDINGS, &[6], &[1.0; 6])], "expected two axes (tokens, width), found shape [6]"),
        (vec![stored(EMBEDDINGS, &[3, 0], &[])], "a row of one number at least"),
        (vec![rows(2)], "a row for each of the 3 tokens"),
        (vec![rows(4)], "a row for each of the 3 tokens"),
        (vec![weight(2)], "a row for each of the 3 tokens"),
        (vec![stored(EMBEDDINGS, &[3, 1], &[1.0, f32::NAN, 1.0])], "expected finite values"),
        (vec![rows(3), stored(WEIGHTS, &[2], &[1.0; 2])], "\"weights\": expected one for each of 3 tokens"),
        (vec![rows(2), stored(MAPPING, &[3], &[0.0, 2.0, 1.0])], "token 1 has row 2, and there are 2"),
        (vec![rows(2), stored(MAPPING, &[3], &[0.0, -1.0, 1.0])], "token 1 has row -1"),
        (vec![rows(2), stored(MAPPING, &[3], &[0.0, 0.5, 1.0])], "token 1 has row 0.5"),
        (
            vec![stored(EMBEDDINGS, &[3, 1], &[1e38; 3]), stored(WEIGHTS, &[3], &[9.0; 3])],
            "rows times weights",
        ),
    ] {
        write(&tensors);
        assert!(message(&folder).contains(part), "{part}: {}", message(&folder));
    }
    // A table that is padded, as some are for sentence-transformers.
    write(&[weight(4)]);
    assert_eq!(StaticModel::open_folder(folder.path()).unwrap().rows().len(), 3);
}

#[test]
fn damaged_files() {
    let folder = Scratch::new();
    model().save_folder(folder.path(), &SaveOptions::default()).unwrap();
    for name in [TENSORS, TOKENIZER, CONFIG, MODULES] {
        let whole = fs::read(folder.file(name)).unwrap();
        let (mut stream, mut refused) = (Stream::new(7, name), 0);
        for _ in 0..250 {
            folder.write(name, damage(&whole, &mut stream));
            if let Err(e) = StaticModel::open_folder(folder.path()) {
                let message = e.to_string();
                assert!(!message.contains('\n') && message.len() < 1000, "{message}");
                refused += 1;
            }
        }
        // With a config nothing is asked of the modules.
        assert!(refused > 50 || name == MODULES, "{name}: {refused} of 250 refused");
        for end in 1..whole.len() {
            folder.write(name, &whole[..end]);
            let _ = StaticModel::open_folder(folder.path());
        }
        folder.write(name, &whole);
    }
    assert!(StaticModel::open_folder(folder.path()).is_ok());
}
