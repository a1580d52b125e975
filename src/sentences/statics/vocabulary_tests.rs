use super::*;

fn trimmed(value: &Value) -> Trimmed {
    Vocabulary::trim("tokenizer.json", &serde_json::to_vec(value).unwrap()).unwrap()
}

fn after(trimmed: &Trimmed) -> Value {
    serde_json::from_slice(trimmed.vocabulary.json()).unwrap()
}

/// The order of XLM-R: what is unknown has another number afterwards.
#[test]
fn the_unknown_piece_is_renumbered() {
    let value = json!({
        "added_tokens": [{"id": 0, "content": "<s>"}, {"id": 1, "content": "<pad>"}, {"id": 2, "content": "</s>"},
            {"id": 3, "content": "<unk>"}, {"id": 6, "content": "<mask>"}],
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "</s>"}}],
            "special_tokens": {"<s>": {"ids": [0]}, "</s>": {"ids": [2]}}},
        "padding": null,
        "model": {"type": "Unigram", "unk_id": 3, "vocab": [["<s>", 0.0], ["<pad>", 0.0], ["</s>", 0.0], ["<unk>", 0.0],
            ["▁a", -1.5], ["b", -2.25]]},
    });
    let trimmed = trimmed(&value);
    assert_eq!((&*trimmed.kept, &*trimmed.before, &*trimmed.after), (&[1, 3, 4, 5][..], &[0][..], &[2][..]));
    assert_eq!((trimmed.vocabulary.unknown(), trimmed.vocabulary.len()), (Some(1), 4));
    let after = after(&trimmed);
    assert_eq!(after["model"]["vocab"], json!([["<pad>", 0.0], ["<unk>", 0.0], ["▁a", -1.5], ["b", -2.25]]));
    assert_eq!((&after["model"]["unk_id"], &after["post_processor"]), (&json!(1), &Value::Null));
    assert_eq!(after["added_tokens"], json!([{"id": 0, "content": "<pad>"}, {"id": 1, "content": "<unk>"}]));
    let mut sentences = Sentences::default();
    sentences.push([0, 4, 3, 5, 6, 2]);
    sentences.push([0, 2]);
    assert_eq!(trimmed.renumber([&[4i32, -1, 99][..]]).ids(), [2]);
    assert_eq!(trimmed.renumber(sentences.iter()).iter().collect::<Vec<_>>(), [&[2, 3][..], &[]]);
}

/// A merge whose parts or product are gone would be refused by the tokenizers crate.
#[test]
fn merges_of_tokens_that_are_gone_go_too() {
    for merges in
        [json!(["a b", "ab c", "c [unused1]"]), json!([["a", "b"], ["ab", "c"], ["c", "[unused1]"]])]
    {
        let value = json!({
            "added_tokens": [{"id": 5, "content": "ab"}],
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits"}, {"type": "ByteLevel", "add_prefix_space": false}]},
            "model": {"type": "BPE", "vocab": {"a": 0, "[unused1]": 1, "b": 2, "c": 3, "abc": 4, "ab": 5}, "merges": merges},
        });
        let trimmed = trimmed(&value);
        let after = after(&trimmed);
        assert_eq!(after["model"]["vocab"], json!({"a": 0, "b": 1, "c": 2, "abc": 3}));
        assert_eq!((&after["model"]["merges"], trimmed.vocabulary.unknown()), (&json!([]), None));
        assert_eq!(after["pre_tokenizer"]["pretokenizers"][1]["add_prefix_space"], json!(true));
    }
}

#[test]
fn unused_tokens_are_told_by_their_name() {
    for token in ["[unused0]", "[unused994]", "[unused1]x"] {
        assert!(is_unused(token), "{token}");
    }
    for token in ["[unused]", "[unusedx]", "unused1", "x[unused1]", "[unused1", "[unused 1]", ""] {
        assert!(!is_unused(token), "{token}");
    }
}

#[test]
fn long_texts_are_cut_at_characters() {
    let vocabulary = trimmed(&json!({"model": {"vocab": {"ä": 0, "b": 1, "ccccc": 2}}})).vocabulary;
    let text = "ö".repeat(600);
    assert_eq!((vocabulary.start(&text).chars().count(), vocabulary.start("öx")), (512, "öx"));
    // The mean of the two in the middle, rounded down.
    let even = trimmed(&json!({"model": {"vocab": {"a": 0, "bbb": 1, "cccc": 2, "ddddd": 3}}})).vocabulary;
    assert_eq!(even.start(&text.repeat(4)).chars().count(), 512 * 3);
}

#[test]
fn what_is_no_tokenizer_is_refused() {
    let message = |json: &str| {
        let both = [
            Vocabulary::read("t.json", json.as_bytes()).err(),
            Vocabulary::trim("t.json", json.as_bytes()).err(),
        ];
        let [Some(read), Some(trim)] = both else { return String::new() };
        assert_eq!(read.to_string(), trim.to_string());
        read.to_string()
    };
    for (json, part) in [
        ("", "no JSON"),
        ("[]", "has no model.vocab"),
        ("3", "has no model.vocab"),
        ("{\"model\": {\"vocab\": {}}}", "has no tokens"),
        ("{\"model\": {\"vocab\": {\"a\": -1}}}", "\"a\" has no number"),
        ("{\"model\": {\"vocab\": {\"a\": 4294967295}}}", "\"a\" has no number"),
        ("{\"model\": {\"vocab\": {\"a\": 1, \"b\": 1}}}", "same number 1"),
        ("{\"model\": {\"vocab\": [[1.0, \"a\"]]}}", "entry 0 of model.vocab"),
        ("{\"model\": {\"vocab\": {\"a\": 1}}, \"added_tokens\": [{\"id\": 3}]}", "no content"),
    ] {
        assert!(message(json).contains(part), "{json}: {}", message(json));
    }
    let none =
        Vocabulary::trim("t.json", br#"{"model": {"vocab": {"[unused1]": 0}}}"#).unwrap_err().to_string();
    assert!(none.contains("no tokens but special ones"), "{none}");
}
