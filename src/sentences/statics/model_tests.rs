use super::*;

fn model() -> StaticModel {
    let json = br#"{"model": {"vocab": {"[UNK]": 0, "a": 1, "b": 2}, "unk_token": "[UNK]"}}"#;
    let rows = Rows::new(2, vec![9.0, 9.0, 3.0, 0.0, 0.0, 4.0]).unwrap();
    StaticModel::new(rows, Vocabulary::read("tokenizer.json", json).unwrap()).unwrap()
}

#[test]
fn a_sentence_is_the_mean_of_its_known_tokens() {
    let model = model();
    assert_eq!(model.encode(&[1, 0, 2]).unwrap(), [0.6, 0.8]);
    let long = model.clone().normalized(false);
    assert_eq!(long.encode(&[1, 0, 2]).unwrap(), [1.5, 2.0]);
    for model in [&model, &long] {
        assert_eq!((model.encode(&[]).unwrap(), model.encode(&[0]).unwrap()), (vec![0.0; 2], vec![0.0; 2]));
        assert!(model.encode(&[3]).unwrap_err().to_string().contains("has token 3, and there are 3"));
    }
    // What is behind the first 512, unknown ones among them, does not count.
    let ids: Vec<u32> = std::iter::repeat_n(0, 511).chain([1, 2]).collect();
    assert_eq!(model.encode(&ids).unwrap(), [1.0, 0.0]);
}

#[test]
fn many_sentences_are_what_each_is() {
    let model = model();
    let mut sentences = Sentences::default();
    for n in 0..1000u32 {
        sentences.push((0..n % 7).map(|k| (n + k) % 3));
    }
    let all = model.encode_all(&sentences).unwrap();
    let texts: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
    let tokens = |text: &str| Ok(sentences.get(text.parse().unwrap()).unwrap().to_vec());
    assert_eq!(model.encode_texts(&texts, tokens).unwrap(), all);
    for (at, ids) in sentences.iter().enumerate() {
        assert_eq!(all.row(at), Some(&*model.encode(ids).unwrap()));
    }
    assert_eq!(model.encode_all(&Sentences::default()).unwrap().len(), 0);
    let fails = model.encode_texts(&["a"], |_| Err(Error::config("tokenizer", "is tired")));
    assert!(fails.unwrap_err().to_string().contains("is tired"));
    sentences.push([7]);
    assert!(model.encode_all(&sentences).is_err());
}

#[test]
fn there_is_a_row_for_each_token() {
    let vocabulary = model().vocabulary().clone();
    let message = StaticModel::new(Rows::new(1, vec![1.0; 2]).unwrap(), vocabulary).unwrap_err().to_string();
    assert!(message.contains("each of 3 tokens, got 2 rows"), "{message}");
}
