use super::*;
use crate::files::scratch::Scratch;
use crate::files::{Data, Metadata, StoredTensor, write_safetensors};

fn table(words: &[&str], width: usize, values: &[f32]) -> WordVectors {
    WordVectors::new(words.iter().copied().collect(), width, values.to_vec()).unwrap()
}

/// Reads a file of these bytes.
fn of(name: &str, bytes: impl AsRef<[u8]>) -> Result<Read> {
    with(name, bytes, ReadOptions::default())
}

fn with(name: &str, bytes: impl AsRef<[u8]>, options: ReadOptions) -> Result<Read> {
    read(Scratch::new().write(name, bytes), &options)
}

fn first(most: usize) -> ReadOptions {
    ReadOptions { format: None, most_words: Some(most) }
}

#[track_caller]
fn refuses<T: std::fmt::Debug>(result: Result<T>, words: &str) {
    let message = result.unwrap_err().to_string();
    assert!(message.contains(words) && !message.contains('\n'), "{message:?} does not say {words:?}");
}

fn binary(header: &str, rows: &[(&[u8], &[f32])], end: &str) -> Vec<u8> {
    let mut bytes = format!("{header}\n").into_bytes();
    for (word, row) in rows {
        bytes.extend_from_slice(word);
        bytes.push(b' ');
        row.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
        bytes.extend_from_slice(end.as_bytes());
    }
    bytes
}

#[test]
fn words_of_a_text_may_have_spaces() {
    let read = of("a.txt", "the 1 -.5\n. . . 2e-1 3\r\n name@domain.com\t4   5 \nété 6 7").unwrap();
    let words = ["the", ". . .", " name@domain.com", "été"];
    assert_eq!(read.vectors, table(&words, 2, &[1.0, -0.5, 0.2, 3.0, 4.0, 5.0, 6.0, 7.0]));
    assert_eq!((read.format, read.notes), (Format::Glove, vec![]));
    // Words that are numbers, and one of nothing.
    let read = of("a.txt", " 1 2\n7 3 4\ninf 5 6\n").unwrap();
    assert_eq!(read.vectors, table(&["", "7", "inf"], 2, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
}

#[test]
fn headers_say_what_comes() {
    let expected = table(&["a", "b"], 3, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    for text in ["2 3\na 1 2 3 \nb 4 5 6 \n", "\u{feff}2 3 \r\n\r\na\t1\t2\t3\nb 4 5 6\n\n\n"] {
        let read = of("a", text).unwrap();
        assert_eq!((read.vectors, read.format), (expected.clone(), Format::Vec), "{text:?}");
    }
    let rows: [(&[u8], &[f32]); 2] = [(b"a", &[1.0, 2.0, 3.0]), (b"b", &[4.0, 5.0, 6.0])];
    for end in ["", "\n"] {
        let read = of("a", binary("2 3", &rows, end)).unwrap();
        assert_eq!((read.vectors, read.format), (expected.clone(), Format::Word2vec), "{end:?}");
    }
}

#[test]
fn what_is_odd_is_said() {
    let read = of("a", "\n \na 1\nb 2\na 3\n\nb 4\n").unwrap();
    assert_eq!(read.vectors, table(&["a", "b"], 1, &[1.0, 2.0]));
    let notes = [
        "passed over 2 rows of words that came before, the first: \"a\", line 5",
        "passed over 3 empty lines, the first: line 1",
    ];
    assert_eq!(read.notes, notes);
    // Two words of which the same can be read.
    let rows: [(&[u8], &[f32]); 4] = [(b"c", &[1.0]), (b"x\xe9", &[2.0]), (b"x\xff", &[3.0]), (b"d", &[4.0])];
    let read = of("a.bin", binary("4 1", &rows, "")).unwrap();
    assert_eq!(read.vectors, table(&["c", "x\u{fffd}", "d"], 1, &[1.0, 2.0, 4.0]));
    let notes = [
        "passed over 1 row of words that came before, the first: \"x\u{fffd}\", row 2",
        "2 words not in UTF-8, what can't be read became \u{fffd}, the first: \"x\u{fffd}\", row 1",
    ];
    assert_eq!(read.notes, notes);
}

#[test]
fn the_first_words_alone_can_be_read() {
    let bytes = binary("3 1", &[(b"a", &[1.0]), (b"a", &[2.0]), (b"b", &[3.0])], "\n");
    // What comes after them is not looked at.
    for text in ["a 1\na 2\nb 3\nc\n", "9 1\na 1\na 2\nb 3\nc d e\n", "2 1\na 1\nb 3\nc 4\n"] {
        let found = with("a", text, first(2)).unwrap_or_else(|e| panic!("{text:?}: {e}"));
        assert_eq!(found.vectors, table(&["a", "b"], 1, &[1.0, 3.0]), "{text:?}");
    }
    assert_eq!(with("a", &bytes, first(1)).unwrap().vectors.len(), 1);
    assert_eq!(with("a", &bytes, first(9)).unwrap().vectors.len(), 2);
    refuses(with("a", &bytes, first(0)), "most_words: expected at least 1");
}

#[test]
fn wrong_lines_are_named() {
    for (text, words) in [
        ("a 1 2\nb 1\n", r#"line 2, "b": expected 2 numbers after the word, as on line 1, found 1"#),
        ("\na 1 2\nb\n", r#"line 3, "b": expected 2 numbers after the word, as on line 2, found 0"#),
        ("a 1 2\nb 1 2 3\n", r#"line 2, "b": expected 2 numbers after the word, as on line 1, found 3"#),
        ("1 2\na 3\n", r#"line 2, "a": expected 2 numbers after the word, as the header says, found 1"#),
        ("a 1 2\n1 2\n", r#"line 2, "1": expected 2 numbers after the word, as on line 1, found 1"#),
        ("a 1 2\nb 1,5 2\n", r#"line 2, "b": number 1 of 2 is "1,5"; expected a number, as on line 1"#),
        ("a 1 2\nb 0x1 2\n", r#"number 1 of 2 is "0x1""#),
        ("a 1 2\nb 1 nan\n", r#"line 2, "b": number 2 of 2 is NaN; expected finite numbers"#),
        ("1 2\na 1e39 3\n", r#"line 2, "a": number 1 of 2 is inf; expected finite"#),
        ("a b\n", r#"line 1: expected a word and its numbers, found "a b""#),
        ("3 1\na 1\nb 2\n\n", "the header says 3 words, the file ends after 2; it is cut off"),
        (
            "1 1\na 1\nb 2\n",
            r#"line 3: expected the end of the file after 1 words, as the header says, found "b""#,
        ),
        ("1000 300\na 1\n", "1000 words of 300 numbers, which take 600000 bytes at least; the file has 13"),
        ("99999999999999999999 99999999999999999999\na 1\n", "bytes at least"),
        ("0 3\n", "the header says 0 words of 3 numbers"),
        ("3 0\na\n", "the header says 3 words of 0 numbers"),
        ("\n\n", "expected words and their vectors, found none"),
        ("", "0 bytes"),
    ] {
        refuses(of("a", text), words);
    }
    refuses(of("a", b"a 1\n\xe9 1\n"), "line 2: expected UTF-8 text, found byte 0xe9");
    let vec = ReadOptions { format: Some(Format::Vec), most_words: None };
    refuses(with("a", "a 1\n", vec), "line 1: expected the numbers of words and of a vector's numbers");
}

#[test]
fn lines_may_be_long() {
    let numbers = " 1.25".repeat(99_999);
    let read = of("a", format!("a{numbers}\nb{numbers}\n")).unwrap();
    assert_eq!((read.vectors.len(), read.vectors.width()), (2, 99_999));
    refuses(
        of("a", format!("a 1 2\nb{numbers}\n")),
        "line 2, \"b\": expected 2 numbers after the word, as on line 1, found 99999",
    );
    let words = " b".repeat(100_000);
    assert_eq!(of("a", format!("a{words} 1\n")).unwrap().vectors.width(), 1);
}

#[test]
fn wrong_rows_are_named() {
    let rows: [(&[u8], &[f32]); 2] = [(b"a", &[1.0, 2.0]), (b"b", &[4.0, f32::NEG_INFINITY])];
    refuses(of("a", binary("2 2", &rows, "")), r#"row 1, "b": number 2 of 2 is -inf"#);
    let rows: [(&[u8], &[f32]); 2] = [(b"a", &[1.0, 2.0]), (b"bbbbbbbb", &[4.0, 5.0])];
    let whole = binary("2 2", &rows, "\n");
    refuses(of("a", &whole[..whole.len() - 2]), r#"the file ends within row 1, "bbbbbbbb"; it is cut off"#);
    refuses(of("a", binary("2 2", &[(&[b'a'; 30], &[1.0, 2.0])], "")), "row 1: expected a word and a space");
    refuses(of("a", binary("1 2", &rows, "")), "expected the end of the file after 1 words");
    refuses(of("a", binary("3 2", &rows, "")), "row 2: expected a word and a space");
    let message = "the header says 9 words of 2 numbers, which take 81 bytes at least; the file has";
    refuses(of("a", binary("9 2", &rows, "")), message);
    let word2vec = ReadOptions { format: Some(Format::Word2vec), most_words: None };
    refuses(with("a", "the 1 2\n", word2vec), "expected a first line with the numbers of words");
}

#[test]
fn files_of_other_kinds_are_refused_by_name() {
    for (bytes, words) in [
        (&b"\x1f\x8b\x08"[..], "packed with gzip; unpack it with `gunzip`"),
        (b"PK\x03\x04", "a zip archive; unpack it"),
        (b"BZh91AY&SY", "packed with bzip2"),
        (b"\xba\x16\x4f\x2f\x0c\0\0\0", "use the .vec"),
        (b"\x80\x04\x95", "save_word2vec_format"),
    ] {
        refuses(of("vectors.bin", bytes), words);
        let vec = ReadOptions { format: Some(Format::Vec), most_words: None };
        refuses(with("a", bytes, vec), words);
    }
    assert_eq!(of("a", "BZh9 1 2\n").unwrap().vectors.find("BZh9"), Some(0));
    refuses(read("no/such/file", &ReadOptions::default()), "expected a file of word vectors, found nothing");
    refuses(read(Scratch::new().path(), &ReadOptions::default()), "a folder with vectors.safetensors in it");
}

#[test]
fn names_of_formats() {
    for format in Format::ALL {
        assert_eq!(format.to_string().parse::<Format>().unwrap(), format);
    }
    refuses(
        "bin".parse::<Format>(),
        "format: expected one of glove, vec, word2vec, safetensors, got \"bin\"",
    );
    let names = ["a.b.VEC", "a.bin", "a.txt", "a.safetensors", "a.npy", "a"].map(Format::of_name);
    let formats = [Format::Vec, Format::Word2vec, Format::Glove, Format::Safetensors].map(Some);
    assert_eq!(names[..4], formats);
    assert_eq!(names[4..], [None, None]);
}

fn tensors(dir: &Scratch, name: &str, shape: &[usize], words: Option<&str>) -> std::path::PathBuf {
    let values: Vec<f32> = (0..shape.iter().product()).map(|k: usize| k as f32).collect();
    let metadata =
        words.map(|words| ("words".to_string(), words.to_string())).into_iter().collect::<Metadata>();
    let tensor = StoredTensor::new(name, shape.to_vec(), Data::from(values));
    write_safetensors(dir.file("vectors.safetensors"), &[tensor], &metadata).unwrap();
    dir.file("vectors.safetensors")
}

#[test]
fn tensors_have_their_words_inside_or_beside() {
    let dir = Scratch::new();
    let expected = table(&["a", "", "c"], 2, &[0.0, 1.0, 2.0, 3.0, 6.0, 7.0]);
    let note = ["passed over 1 row of words that came before, the first: \"a\", row 2"];
    let path = tensors(&dir, "embeddings", &[4, 2], Some(r#"["a", "", "a", "c"]"#));
    let inside = read(&path, &ReadOptions::default()).unwrap();
    assert_eq!(
        (&inside.vectors, inside.format, &*inside.notes),
        (&expected, Format::Safetensors, &note.map(String::from)[..])
    );
    tensors(&dir, "embeddings", &[4, 2], None);
    refuses(
        read(&path, &ReadOptions::default()),
        "has no words: expected metadata \"words\", or a file words.txt",
    );
    dir.write("words.txt", "a\r\n\na\nc\n\n");
    assert_eq!(read(dir.path(), &ReadOptions::default()).unwrap(), inside);
    assert_eq!(read(&path, &first(2)).unwrap().vectors, expected.first(2).unwrap());
    for (words, found) in [("a\nb\nc\n", 3), ("a\nb\nc\nd\n\ne\n", 5)] {
        dir.write("words.txt", words);
        let message = format!("words.txt: the list: expected a word for each of the 4 rows, found {found}");
        refuses(read(&path, &ReadOptions::default()), &message);
    }
}

#[test]
fn tensors_that_are_no_table_are_refused() {
    let dir = Scratch::new();
    let refused = |name: &str, shape: &[usize], words: &str, message: &str| {
        refuses(read(tensors(&dir, name, shape, Some(words)), &ReadOptions::default()), message);
    };
    refused("other", &[1, 1], r#"["a"]"#, "expected a tensor \"embeddings\" (words, width), found \"other\"");
    refused("embeddings", &[1], r#"["a"]"#, "expected two axes (words, width), found shape [1]");
    refused("embeddings", &[1, 0], r#"["a"]"#, "expected a width of 1 at least");
    refused("embeddings", &[0, 1], "[]", "found none");
    refused("embeddings", &[2, 1], r#"["a"]"#, "metadata \"words\": expected a word for each of the 2 rows");
    refused(
        "embeddings",
        &[2, 1],
        r#"["a", 1]"#,
        "metadata \"words\": expected a JSON list of words: invalid type",
    );
}

#[test]
fn what_is_written_is_read_again() {
    let dir = Scratch::new();
    let hard = [1.0, -0.0, 1e-30, -3.4e38, 1.0e-45, 16_777_217.0, 0.1, 1.0 / 3.0];
    let plain = table(&["9", "b", "été", "\u{a0}\u{85}"], 2, &hard);
    let spaces = table(&["9", "b c", "", " d\r"], 2, &hard);
    let all = table(&["a 1", "b\nc", "", "\"\\\0"], 2, &hard);
    for format in Format::ALL {
        for (vectors, which) in [(&plain, 0), (&spaces, 1), (&all, 2)] {
            let holds = match format {
                Format::Glove => which < 2,
                Format::Vec | Format::Word2vec => which < 1,
                Format::Safetensors => true,
            };
            let path = dir.file(&format!("{format}{which}"));
            let written = write(&path, vectors, format);
            assert_eq!((written.is_ok(), path.exists()), (holds, holds), "{format} {which}: {written:?}");
            if holds {
                let found = read(&path, &ReadOptions::default()).unwrap();
                assert_eq!((found.format, found.notes.len()), (format, 0));
                let bits =
                    |vectors: &WordVectors| vectors.values().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                assert_eq!((found.vectors.words(), bits(&found.vectors)), (vectors.words(), bits(vectors)));
            }
        }
    }
    refuses(write(dir.file("x"), &spaces, Format::Vec), r#"format: vec can't hold the word "b c", row 1"#);
    refuses(write(dir.file("x"), &all, Format::Glove), r#"glove can't hold the word "a 1", row 0"#);
    refuses(write(dir.path(), &plain, Format::Vec), "found a directory");
    // A first line that would be taken for a header, and one that begins as no other may.
    write(dir.file("one"), &table(&["5"], 1, &[3.0]), Format::Glove).unwrap();
    assert_eq!(read(dir.file("one"), &ReadOptions::default()).unwrap().format, Format::Glove);
    assert!(expect_writable(&table(&["\u{feff}a"], 1, &[3.0]), Format::Glove).is_err());
}
