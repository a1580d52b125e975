//! Files that are damaged in hundreds of ways: errors of one line, no panics, and no more memory than the file has bytes for.

use std::path::Path;

use super::*;
use crate::files::scratch::Scratch;
use crate::platform::damage::damage;
use crate::rng::Stream;

fn table() -> WordVectors {
    let mut stream = Stream::new(5, "damaged");
    let words = ["the", "of", "été", "42", "x-y", "日本", "e.g.", "New"];
    let values = (0..words.len() * 5).map(|_| stream.normal() as f32).collect();
    WordVectors::new(words.into_iter().collect(), 5, values).unwrap()
}

/// Reads a damaged file in every way there is; says whether it could be read as what it was.
fn use_it(path: &Path, format: Format) -> bool {
    let length = std::fs::metadata(path).unwrap().len();
    let mut same = false;
    for given in [None, Some(format), Some(Format::Glove), Some(Format::Word2vec)] {
        for most_words in [None, Some(3)] {
            match read(path, &ReadOptions { format: given, most_words }) {
                Ok(read) => {
                    let values = read.vectors.values();
                    assert!(values.iter().all(|value| value.is_finite()) && values.len() as u64 <= length);
                    assert!(most_words.is_none_or(|most| read.vectors.len() <= most));
                    same |= read.format == format;
                }
                Err(e) => {
                    let message = e.to_string();
                    assert!(!message.contains('\n') && message.len() < 1000, "{message}");
                }
            }
        }
    }
    same
}

#[test]
fn damaged_files() {
    let dir = Scratch::new();
    for format in Format::ALL {
        let name = format!("vectors.{format}");
        let path = dir.file(&name);
        write(&path, &table(), format).unwrap();
        assert!(use_it(&path, format));
        let whole = std::fs::read(&path).unwrap();
        let (mut stream, mut used) = (Stream::new(7, &name), 0);
        for _ in 0..250 {
            dir.write(&name, damage(&whole, &mut stream));
            used += usize::from(use_it(&path, format));
        }
        assert!((1..250).contains(&used), "{name}: {used} of 250 could be used");
        for end in 0..whole.len() {
            dir.write(&name, &whole[..end]);
            use_it(&path, format);
        }
    }
}

#[test]
fn damaged_lists_of_words() {
    let dir = Scratch::new();
    let values = crate::files::StoredTensor::new("embeddings", vec![8, 5], table().values().to_vec());
    let path = dir.file("vectors.safetensors");
    crate::files::write_safetensors(&path, &[values], &Default::default()).unwrap();
    let whole = b"the\nof\n\xc3\xa9t\xc3\xa9\n42\nx-y\nNew York\ne.g.\nNew\n";
    let (mut stream, mut used) = (Stream::new(7, "words"), 0);
    for _ in 0..300 {
        dir.write("words.txt", damage(whole, &mut stream));
        used += usize::from(use_it(&path, Format::Safetensors));
    }
    assert!((1..300).contains(&used), "{used}");
}

/// A header may say anything.
#[test]
fn headers_that_lie() {
    let dir = Scratch::new();
    for words in ["0", "1", "2", "7", "4294967296", "9223372036854775807", "99999999999999999999999"] {
        for width in ["0", "1", "5", "1073741824", "18446744073709551615", "4611686018427387904"] {
            for rest in ["", "a 1\n", "a \0\0\0\0", "a 1 2 3 4 5\nb 1 2 3 4 5\n"] {
                let path = dir.write("a", format!("{words} {width}\n{rest}"));
                use_it(&path, Format::Vec);
                let header = format!(
                    r#"{{"embeddings":{{"dtype":"F32","shape":[{words},{width}],"data_offsets":[0,4]}}}}"#
                );
                let length = (header.len() as u64).to_le_bytes();
                dir.write("a", [&length, header.as_bytes(), rest.as_bytes()].concat());
                use_it(&path, Format::Safetensors);
            }
        }
    }
}
