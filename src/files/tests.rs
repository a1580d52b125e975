use std::fs;
use std::io;
use std::path::Path;

use safetensors::SafeTensors;

use super::scratch::Scratch;
use super::*;

#[track_caller]
fn refuses<T: std::fmt::Debug>(result: Result<T>, words: &[&str]) {
    let message = result.unwrap_err().to_string();
    for word in words {
        assert!(message.contains(word), "{message:?} does not say {word:?}");
    }
}

/// A file from a header text and data bytes, with a correct length field.
fn raw(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

fn decode(bytes: &[u8]) -> Result<(Vec<NamedTensor>, Metadata)> {
    decode_safetensors("w.safetensors", bytes, ReadOptions::default())
}

#[test]
fn atomic_write_creates_folders_and_replaces() {
    let dir = Scratch::new();
    let path = dir.file("a/b/c.txt");
    write_atomic(&path, |w| w.write_all(b"one")).unwrap();
    write_atomic(&path, |w| w.write_all(b"two")).unwrap();
    assert_eq!(read_text(&path).unwrap(), "two");
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn failed_write_keeps_the_old_file_and_leaves_nothing() {
    let dir = Scratch::new();
    let path = dir.file("x");
    write_atomic(&path, |w| w.write_all(b"old")).unwrap();
    let failed = write_atomic(&path, |w| {
        w.write_all(b"new")?;
        Err(io::Error::new(ErrorKind::StorageFull, "disk full"))
    });
    refuses(failed, &["x: can't be written: disk full", "free some space"]);
    let panicked = std::panic::catch_unwind(|| write_atomic(&path, |_| panic!("in the closure")));
    assert!(panicked.is_err());
    assert_eq!(read(&path).unwrap(), b"old");
    assert_eq!(dir.list(), ["x"]);
}

#[test]
fn write_refuses_directories() {
    let dir = Scratch::new();
    refuses(write_atomic(dir.path(), |_| Ok(())), &["found a directory", "name a file inside it"]);
    write_atomic(dir.file("file"), |_| Ok(())).unwrap();
    refuses(write_atomic(dir.file("file/child"), |_| Ok(())), &["file/child", "choose another path"]);
    refuses(write_atomic("", |_| Ok(())), &["expected a file name"]);
}

#[cfg(unix)]
#[test]
fn write_follows_links_and_spares_devices() {
    let dir = Scratch::new();
    write_atomic(dir.file("real"), |w| w.write_all(b"1")).unwrap();
    std::os::unix::fs::symlink(dir.file("real"), dir.file("link")).unwrap();
    write_atomic(dir.file("link"), |w| w.write_all(b"2")).unwrap();
    assert_eq!(read(dir.file("real")).unwrap(), b"2");
    assert!(fs::symlink_metadata(dir.file("link")).unwrap().is_symlink());
    write_atomic("/dev/null", |w| w.write_all(b"gone")).unwrap();
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
    refuses(read("/dev/zero"), &["expected a file, found a device"]);
}

#[test]
fn read_errors_say_what_to_do() {
    let dir = Scratch::new();
    refuses(read(dir.file("none")), &["none: expected a file, found nothing", "exists"]);
    refuses(read(dir.file("no/such/none")), &["the path exists up to"]);
    refuses(read(dir.path()), &["found a directory"]);
    fs::write(dir.file("empty"), b"").unwrap();
    refuses(read_safetensors(dir.file("empty")), &["0 bytes", "again"]);
    refuses(read_safetensors(dir.path()), &["found a directory"]);
    fs::write(dir.file("latin1"), b"ab\xe9").unwrap();
    refuses(read_text(dir.file("latin1")), &["UTF-8", "offset 2"]);
}

#[test]
fn hexadecimal_digits() {
    assert_eq!(super::hex(&[0x00, 0x0a, 0xff]), "000aff");
}

#[test]
fn round_trip_keeps_order_types_and_metadata() {
    let dir = Scratch::new();
    let path = dir.file("state.safetensors");
    let weights = vec![1.5f32, -0.0, f32::MIN_POSITIVE, f32::INFINITY];
    let tensors = [
        StoredTensor::new("z.weight", vec![2, 2], weights.clone()),
        StoredTensor::new("a.weight", vec![0, 4], Vec::<f32>::new()),
        StoredTensor::new("label \"1\"", vec![2], vec![7i32, -7]),
        StoredTensor::new("step", vec![], vec![0.25f32]),
    ];
    let metadata: Metadata = (0..20).map(|i| (format!("key{i}"), format!("é{i}\n"))).collect();
    write_safetensors(&path, &tensors, &metadata).unwrap();
    let (back, meta) = read_safetensors_with(&path, ReadOptions { allow_nonfinite: true }).unwrap();
    assert_eq!(meta, metadata);
    let values = [weights, vec![], vec![7.0, -7.0], vec![0.25]];
    for ((tensor, stored), values) in back.iter().zip(&tensors).zip(&values) {
        assert_eq!((&*tensor.name, &*tensor.shape), (&*stored.name, &*stored.shape));
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&tensor.data), bits(values));
    }
    let bytes = encode_safetensors(&path, &tensors, &metadata).unwrap();
    assert_eq!(read(&path).unwrap(), bytes);
    let others = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!((back.len(), others.len()), (tensors.len(), tensors.len()));
    for tensor in &tensors {
        assert_eq!(others.tensor(&tensor.name).unwrap().dtype(), tensor.data.dtype());
    }
}

#[test]
fn an_empty_file_of_tensors_is_a_file() {
    let bytes = encode_safetensors("w", &[], &Metadata::new()).unwrap();
    assert_eq!(decode(&bytes).unwrap(), (vec![], Metadata::new()));
}

#[test]
fn write_refuses_what_could_not_be_read() {
    let twice = [StoredTensor::new("w", vec![1], vec![1.0f32]), StoredTensor::new("w", vec![1], vec![1i32])];
    refuses(encode_safetensors("f", &twice, &Metadata::new()), &["f: two entries named \"w\""]);
    let short = [StoredTensor::new("w", vec![2, 3], vec![1.0f32])];
    refuses(encode_safetensors("f", &short, &Metadata::new()), &["\"w\"", "[2, 3]", "got 1"]);
}

#[test]
fn every_float_and_integer_type_becomes_f32() {
    let header = r#"{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},"b":{"dtype":"BF16","shape":[1],"data_offsets":[4,6]},
        "c":{"dtype":"F64","shape":[],"data_offsets":[6,14]},"d":{"dtype":"I64","shape":[1],"data_offsets":[14,22]},
        "e":{"dtype":"I32","shape":[1],"data_offsets":[22,26]}}"#;
    let mut data = vec![0x00, 0x3c, 0x01, 0x00, 0xc0, 0xbf]; // 1, the smallest f16, -1.5
    data.extend_from_slice(&0.1f64.to_le_bytes());
    data.extend_from_slice(&(-3i64).to_le_bytes());
    data.extend_from_slice(&4i32.to_le_bytes());
    let (tensors, _) = decode(&raw(header, &data)).unwrap();
    let values: Vec<f32> = tensors.iter().flat_map(|t| t.data.clone()).collect();
    assert_eq!(values, [1.0, 5.9604645e-8, -1.5, 0.1, -3.0, 4.0]);
    let bools = raw(r#"{"mask":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}}"#, &[1]);
    refuses(decode(&bools), &["\"mask\" has type BOOL", "expected F32"]);
}

#[test]
fn nonfinite_weights_are_refused_unless_allowed() {
    let tensor = [StoredTensor::new("fc.bias", vec![4], vec![0.0, 1.0, f32::NAN, f32::INFINITY])];
    let bytes = encode_safetensors("w", &tensor, &Metadata::new()).unwrap();
    refuses(decode(&bytes), &["\"fc.bias\" holds NaN at index 2", "2 of its 4 values"]);
    let options = ReadOptions { allow_nonfinite: true };
    assert_eq!(decode_safetensors("w", &bytes, options).unwrap().0[0].data[3], f32::INFINITY);
    let large = raw(r#"{"x":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}"#, &1e300f64.to_le_bytes());
    refuses(decode(&large), &["\"x\" holds inf at index 0", "conversion from F64"]);
}

#[test]
fn every_truncation_is_refused() {
    let tensors = [StoredTensor::new("w", vec![3], vec![1.0f32, 2.0, 3.0])];
    let bytes = encode_safetensors("w", &tensors, &Metadata::new()).unwrap();
    for len in 1..bytes.len() {
        refuses(decode(&bytes[..len]), &["w.safetensors", "again"]);
    }
    refuses(
        decode(&bytes[..bytes.len() - 1]),
        &["truncated", "\"w\"", &format!("ends at byte {}", bytes.len() - 1)],
    );
    refuses(
        decode(&[&bytes[..], b"xyz"].concat()),
        &["3 more bytes", &format!("end at byte {}", bytes.len())],
    );
}

#[test]
fn hostile_headers_are_refused_with_their_place() {
    let one = |info: &str| decode(&raw(&format!(r#"{{"w":{{{info}}}}}"#), &[0; 8]));
    refuses(one(r#""dtype":"F32","shape":[3],"data_offsets":[0,8]"#), &["\"w\"", "[3]", "0..8"]);
    refuses(one(r#""dtype":"F32","shape":[2],"data_offsets":[8,0]"#), &["\"w\"", "8..0"]);
    refuses(one(r#""dtype":"F99","shape":[2],"data_offsets":[0,8]"#), &["header", "\"w\"", "F99"]);
    refuses(one(r#""dtype":"F32","shape":[-2],"data_offsets":[0,8]"#), &["\"w\""]);
    let huge = format!(r#""dtype":"F32","shape":[{0},{0}],"data_offsets":[0,{0}]"#, u64::MAX);
    refuses(one(&huge), &["\"w\"", "does not match its bytes"]);
    let far = r#""dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,18446744073709551615]"#;
    refuses(one(far), &["\"w\""]);
    refuses(decode(&raw("{\"w\":", &[])), &["header", "line 1 column 5"]);
    refuses(decode(&raw("{} {}", &[])), &["header", "trailing"]);
    refuses(decode(&raw(&"[".repeat(9), &[])), &["expected a safetensors file"]);
    refuses(decode(&raw(&format!("{{\"w\":{}", "[".repeat(100_000)), &[])), &["header"]);
    refuses(decode(&[0xff; 64]), &["expected a safetensors file", "ff"]);
    let info = |from, to| format!(r#"{{"dtype":"U8","shape":[4],"data_offsets":[{from},{to}]}}"#);
    let two = |b: &str, at: String| decode(&raw(&format!(r#"{{"a":{},"{b}":{at}}}"#, info(0, 4)), &[0; 8]));
    refuses(two("a", info(4, 8)), &["duplicate tensor name \"a\""]);
    refuses(two("b", info(2, 6)), &["\"b\" starts at data offset 2, expected 4", "overlaps"]);
    refuses(two("b", info(6, 10)), &["gap"]);
    let escape = raw(r#"{"\u001b[31m":{"dtype":"U8","shape":[9],"data_offsets":[0,1]}}"#, &[0]);
    refuses(decode(&escape), &[r"\u{1b}"]);
}

#[test]
fn other_formats_get_advice() {
    let dir = Scratch::new();
    let read_as = |name: &str, bytes: &[u8]| {
        fs::write(dir.file(name), bytes).unwrap();
        read_safetensors(dir.file(name))
    };
    let advice = ["PyTorch pickle", "save_file", "resnet20.safetensors"];
    refuses(read_as("resnet20.th", b"PK\x03\x04rest of a zip"), &advice);
    refuses(read_as("resnet20.bin", b"\x80\x02}q\x00rest of a pickle"), &advice);
    refuses(read_as("resnet20.PTH", b"neither, by its bytes"), &advice);
    refuses(read_as("a.safetensors", b"version https://git-lfs.github.com/spec/v1"), &["git lfs pull"]);
    refuses(read_as("b.safetensors", b"\n<!DOCTYPE html>"), &["web page"]);
    let real = encode_safetensors("w", &[], &Metadata::new()).unwrap();
    assert!(read_as("named-wrong.pt", &real).is_ok());
    assert!(Path::new(dir.path()).exists());
}

#[test]
fn a_file_that_is_missing_is_told_from_one_that_is_damaged() {
    let at = Scratch::new();
    let missing = read(at.file("none.txt")).unwrap_err();
    assert_eq!(missing.io_kind(), Some(io::ErrorKind::NotFound), "{missing}");
    let damaged = at.file("damaged.txt");
    fs::write(&damaged, [0xff]).unwrap();
    assert_eq!(read_text(&damaged).unwrap_err().io_kind(), None);
    let blocked = write_atomic(damaged.join("x"), |_| Ok(())).unwrap_err();
    assert!(blocked.io_kind().is_some(), "{blocked}");
}
