use serde_json::Value;

use super::*;
use crate::data::Source;
use crate::data::testing::{Scratch, message};

/// What the Python package makes of texts (tests/fixtures/texttokens.py).
const FIXTURE: &str = include_str!("../../../tests/fixtures/texttokens.json");

fn fixture() -> Vec<(String, Value, Tokenizer)> {
    let all: serde_json::Map<String, Value> = serde_json::from_str(FIXTURE).unwrap();
    let read = |(name, value): (String, Value)| {
        let tokenizer = Tokenizer::parse(&name, value["json"].as_str().unwrap()).unwrap();
        (name, value, tokenizer)
    };
    all.into_iter().map(read).collect()
}

fn word_pieces() -> Tokenizer {
    fixture().into_iter().find(|(name, ..)| name == "word pieces").unwrap().2
}

fn numbers(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

#[test]
fn tokens_and_cuts_are_those_of_the_python_package() {
    for (name, value, tokenizer) in fixture() {
        assert_eq!(tokenizer.vocabulary() as u64, value["vocabulary"].as_u64().unwrap(), "{name}");
        for (text, bare) in value["texts"].as_array().unwrap().iter().zip(value["bare"].as_array().unwrap()) {
            assert_eq!(tokenizer.bare(text.as_str().unwrap()).unwrap(), numbers(bare), "{name}: {text}");
        }
        let cases = value["cases"].as_array().unwrap();
        assert!(cases.len() > 80);
        for case in cases {
            let longest = case["longest"].as_u64().unwrap() as usize;
            let got =
                tokenizer.encode(case["text"].as_str().unwrap(), case["second"].as_str(), longest).unwrap();
            let expected = Encoded { tokens: numbers(&case["ids"]), cut: case["cut"].as_bool().unwrap() };
            assert_eq!(got, expected, "{name}: {case}");
        }
    }
}

#[test]
fn tokens_have_names_and_numbers() {
    let tokenizer = word_pieces();
    assert_eq!((tokenizer.number("[SEP]"), tokenizer.number("absent")), (Some(3), None));
    assert_eq!((tokenizer.token(5).as_deref(), tokenizer.token(32)), (Some("hello"), None));
    assert!(tokenizer.json().contains("\"truncation\":{"));
}

#[test]
fn a_set_has_the_tokens_of_its_texts_in_their_order() {
    let tokenizer = word_pieces();
    let lines: Vec<String> =
        (0..300).map(|i| "hello ".repeat(i % 7) + if i % 2 == 0 { "low" } else { "world" }).collect();
    let texts =
        Texts::new("mine", lines.clone()).with_labels(vec![1; 300], vec!["a".into(), "b".into()]).unwrap();
    let set = TextSet::tokenized(&texts, Split::Train, &tokenizer, 6).unwrap();
    for (at, line) in lines.iter().enumerate() {
        let one = tokenizer.encode(line, None, 6).unwrap();
        let tokens: Vec<u32> = set.tokens(at).unwrap().iter().map(|&token| token as u32).collect();
        assert_eq!((one.tokens, one.cut), (tokens, at % 7 + 1 > 4), "{line}");
    }
    assert_eq!(set.cut(), (0..300).filter(|i| i % 7 + 1 > 4).count());
    assert_eq!((set.vocabulary(), set.longest(), Source::len(&set)), (32, 6, 300));
    let pairs = Texts::new("pairs", vec!["hello".into()]).with_seconds(vec!["low".into()]).unwrap();
    let pairs = pairs.with_scores(vec![2.5]).unwrap();
    let set = TextSet::tokenized(&pairs, Split::Test, &tokenizer, 9).unwrap();
    assert_eq!((set.tokens(0).unwrap(), set.scores().unwrap()), (&[2, 5, 3, 7, 3][..], &[2.5][..]));
}

#[test]
fn a_very_long_line_is_cut() {
    let text = "hello low ".repeat(50_000);
    let encoded = word_pieces().encode(&text, None, 128).unwrap();
    assert_eq!((encoded.tokens.len(), encoded.cut), (128, true));
    assert_eq!((encoded.tokens[0], encoded.tokens[126], encoded.tokens[127]), (2, 7, 3));
    // A word without an end is one unknown token.
    let encoded = word_pieces().encode(&"x".repeat(1_000_000), None, 128).unwrap();
    assert_eq!(encoded.tokens, [2, 1, 3]);
}

#[test]
fn what_is_no_tokenizer_is_refused_with_its_name() {
    let dir = Scratch::new();
    let whole =
        serde_json::from_str::<Value>(FIXTURE).unwrap()["word pieces"]["json"].as_str().unwrap().to_string();
    dir.write("model/tokenizer.json", &whole);
    assert_eq!(Tokenizer::open(dir.file("model")).unwrap().vocabulary(), 32);
    assert_eq!(Tokenizer::open(dir.file("model/tokenizer.json")).unwrap().vocabulary(), 32);
    let empty = r#"{"version":"1.0","model":{"type":"WordPiece","unk_token":"u","continuing_subword_prefix":"","max_input_chars_per_word":9,"vocab":{}}}"#;
    for (text, says) in [
        ("{", "no tokenizer.json that can be used"),
        ("{}", "no tokenizer.json that can be used"),
        ("[1, 2]", "no tokenizer.json that can be used"),
        (empty, "it has 0 tokens"),
        ("", "empty"),
        (&whole.replace(r#""[SEP]":{"id""#, r#""[OTHER]":{"id""#), "no tokenizer.json that can be used"),
        (&whole[..whole.len() / 2], "no tokenizer.json that can be used"),
    ] {
        let path = dir.write("tokenizer.json", text);
        let refused = message(Tokenizer::open(&path));
        assert!(refused.contains(says) && refused.contains("tokenizer.json"), "{refused}");
    }
    assert!(message(Tokenizer::open(dir.file("absent"))).contains("absent"));
    let refused = message(word_pieces().encode("hello low", None, 1));
    assert!(refused.contains("1 tokens a text leave no place for 2"), "{refused}");
}

#[test]
fn other_tokens_are_told_from_other_ways_to_cut() {
    let ours = word_pieces();
    assert_eq!(ours.difference(ours.json()), None);
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut value: Value = serde_json::from_str(ours.json()).unwrap();
        change(&mut value);
        ours.difference(&value.to_string())
    };
    assert_eq!(changed(&|value| value["truncation"] = Value::Null), None);
    assert_eq!(changed(&|value| value["padding"] = Value::Null), None);
    let swapped = changed(&|value| {
        let vocabulary = value["model"]["vocab"].as_object_mut().unwrap();
        let (hello, world) = (vocabulary["hello"].clone(), vocabulary["world"].clone());
        vocabulary.insert("hello".into(), world);
        vocabulary.insert("world".into(), hello);
    });
    let swapped = swapped.unwrap();
    assert!(swapped.contains("token 5 is \"world\" in it, and \"hello\" in this one"), "{swapped}");
    let more = changed(&|value| value["model"]["vocab"]["another"] = 32.into()).unwrap();
    assert_eq!(more, "it has 33 tokens, and this one 32");
    let rules = changed(&|value| value["normalizer"] = Value::Null).unwrap();
    assert!(rules.contains("another normalizer"), "{rules}");
    assert_eq!(ours.difference("{").as_deref(), Some("it can't be read"));
}

#[test]
fn what_was_cut_is_known_of_a_part_of_the_texts() {
    let texts =
        Texts::new("mine", ["hello", "hello hello hello", "low", "low low low"].map(String::from).to_vec());
    let mut set = TextSet::tokenized(&texts, Split::Train, &word_pieces(), 4).unwrap();
    assert_eq!(set.cut(), 2);
    assert_eq!((set.subset(&[0, 1]).unwrap().cut(), set.subset(&[1, 3, 3]).unwrap().cut()), (1, 3));
    set.truncate(1);
    assert_eq!(set.cut(), 0);
}
