//! Files that are damaged in hundreds of ways: errors of one line, and no panics.

use super::*;
use crate::data::testing::Scratch;
use crate::data::{Source, Split};
use crate::rng::Stream;

/// What tends to break readers.
const PIECES: [&[u8]; 24] = [
    b"\0",
    b"\n",
    b"\r",
    b"\r\n",
    b"\t",
    b"\t\t",
    b",",
    b"\"",
    b"\"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"null",
    b":",
    b"-1",
    b"1e999",
    b"NaN",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xc3",
    b"\xed\xa0\x80",
    b"99999999999999999999",
    b"u0000",
];

/// Some bytes changed, cut out, repeated or replaced, and sometimes the end cut off.
fn damage(bytes: &[u8], stream: &mut Stream) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..1 + stream.below(3) {
        let at = stream.below(bytes.len().max(1)).min(bytes.len());
        let end = (at + stream.below(12)).min(bytes.len());
        match stream.below(6) {
            0 if at < end => bytes[at] ^= 1 << stream.below(8),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let part = bytes[at..end].repeat(1 + stream.below(40));
                bytes.splice(at..at, part);
            }
            3 | 4 => drop(bytes.splice(at..end, PIECES[stream.below(PIECES.len())].iter().copied())),
            _ if stream.below(4) == 0 => bytes.truncate(at),
            _ => {}
        }
    }
    bytes
}

fn tokenizers() -> Vec<String> {
    let all: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(include_str!("../../../tests/fixtures/texttokens.json")).unwrap();
    all.values().map(|value| value["json"].as_str().unwrap().to_string()).collect()
}

fn one_line(e: &crate::Error) {
    let message = e.to_string();
    assert!(!message.contains('\n') && message.len() < 1000, "{message}");
}

#[test]
fn damaged_texts() {
    let dir = Scratch::new();
    let tokenizer = Tokenizer::parse("small", tokenizers().remove(0)).unwrap();
    let files: [(&str, &[u8]); 5] = [
        ("a.tsv", b"text\tlabel\nhello, world\t1\nlow \"er\t0\n\xc3\xa9t\xc3\xa9\t1\n"),
        ("a.csv", b"label,text,score\npos,\"hello, \"\"world\"\"\nlow\",1.5\nneg,low,-2\n"),
        ("a.jsonl", b"{\"text\": \"hello \\u00e9\", \"label\": 1}\n{\"text\": \"low\", \"label\": \"x\"}\n"),
        ("a.txt", b"hello world\n\nlow\r\n\xf0\x9f\x99\x82 low\n"),
        ("a.trec", b"DESC:manner How did it start ?\nENTY:cremat What caf\xe9 ?\n"),
    ];
    for (name, whole) in files {
        let (mut stream, mut used) = (Stream::new(7, name), 0);
        for k in 0..500 {
            let damaged = damage(whole, &mut stream);
            let path = dir.write(name, if k == 0 { whole } else { &damaged });
            let mut options = TextOptions { latin1: k % 2 == 0, ..Default::default() };
            if name == "a.trec" {
                options.format = Some(TextFormat::Trec);
            }
            match read(&path, &options)
                .and_then(|texts| TextSet::tokenized(&texts, Split::Test, &tokenizer, 8))
            {
                Ok(set) => {
                    used += 1;
                    assert!(set.len() <= 2000 && set.lengths().unwrap().iter().all(|&length| length <= 8));
                    set.fingerprint();
                }
                Err(e) => one_line(&e),
            }
        }
        assert!((20..500).contains(&used), "{name}: {used} of 500 could be used");
    }
}

#[test]
fn damaged_tokenizers() {
    for (k, whole) in tokenizers().into_iter().enumerate() {
        let (mut stream, mut used) = (Stream::new(k as u64, "tokenizers"), 0);
        for _ in 0..300 {
            let damaged = damage(whole.as_bytes(), &mut stream);
            let Ok(text) = String::from_utf8(damaged) else { continue };
            match Tokenizer::parse("small", text) {
                Ok(tokenizer) => {
                    used += 1;
                    for text in ["", "hello, world\u{0} low", "été 🙂 [SEP]"] {
                        for second in [None, Some("low")] {
                            if let Err(e) = tokenizer.encode(text, second, 6) {
                                one_line(&e);
                            }
                        }
                    }
                }
                Err(e) => one_line(&e),
            }
        }
        assert!((1..300).contains(&used), "{used}");
    }
}
