use super::*;
use crate::data::testing::{Scratch, class_counts, gzip, message};

const LIMIT: u64 = 1 << 20;

/// An IDX file of u8 with these sizes and values.
fn idx(sizes: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, sizes.len() as u8];
    bytes.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
    bytes.extend(values);
    bytes
}

fn images(n: u32) -> Vec<u8> {
    idx(&[n, 2, 3], &(0..n * 6).map(|v| v as u8).collect::<Vec<_>>())
}

fn labels(n: u32) -> Vec<u8> {
    idx(&[n], &(0..n).map(|v| (v % 10) as u8).collect::<Vec<_>>())
}

#[test]
fn loads_plain_gzip_and_name_variants() {
    let dir = Scratch::new();
    assert!(!present(dir.path()));
    dir.write("train-images-idx3-ubyte", images(12));
    dir.write("train-labels.idx1-ubyte.gz", gzip(&labels(12)));
    dir.write("raw/t10k-images.idx3-ubyte", gzip(&images(3)));
    dir.write("raw/t10k-labels-idx1-ubyte.gz", labels(3));
    assert!(present(dir.path()));
    let (train, test) = load(IdxKind::FashionMnist, dir.path(), LIMIT).unwrap();
    train.check().unwrap();
    test.check().unwrap();
    assert_eq!((train.len(), test.len()), (12, 3));
    assert_eq!((train.channels, train.height, train.width), (1, 2, 3));
    assert_eq!(train.image(1), Some(&[6u8, 7, 8, 9, 10, 11][..]));
    assert_eq!(train.labels[11], 1);
    assert_eq!(train.class_names[9], "Ankle boot");
    assert_eq!(load(IdxKind::Mnist, dir.path(), LIMIT).unwrap().0.class_names[9], "9");
}

#[test]
fn refuses_damaged_files_with_the_offset() {
    let dir = Scratch::new();
    let read = |bytes: &[u8]| message(read_images(&dir.write("x", bytes), LIMIT));
    assert!(read(b"").contains("empty"));
    assert!(read(&[0]).contains("header"));
    assert!(read(&images(2)[..10]).contains("header"));
    assert!(read(&labels(20)).contains("[0, 0, 8, 3]"));
    assert!(read(b"<html>not found</html>").contains("found [60, 104"));
    let mut bytes = images(2);
    bytes.pop();
    assert!(read(&bytes).contains("truncated") && read(&bytes).contains("found 27"), "{}", read(&bytes));
    assert!(read(&gzip(&bytes)).contains("found 27"), "{}", read(&gzip(&bytes)));
    bytes.extend([1, 2, 3]);
    assert!(read(&bytes).contains("too long"));
    assert!(read(&gzip(&bytes)).contains("too long"));
    let packed = gzip(&images(2));
    assert!(
        read(&packed[..packed.len() - 9]).contains("(unpacked) of 28"),
        "{}",
        read(&packed[..packed.len() - 9])
    );
    assert!(read(&[0x1f, 0x8b]).contains("header"));
    let mut flipped = packed.clone();
    let checksum = packed.len() - 6;
    flipped[checksum] ^= 1;
    assert!(read(&flipped).contains("breaks at byte"));
}

#[test]
fn refuses_hostile_sizes_before_allocating() {
    let dir = Scratch::new();
    let read = |sizes: &[u32], limit| message(read_images(&dir.write("x", idx(sizes, &[])), limit));
    assert!(read(&[u32::MAX, 28, 28], LIMIT).contains("limit"));
    assert!(read(&[u32::MAX, u32::MAX, u32::MAX], u64::MAX).contains("no sense"));
    assert!(read(&[0, 28, 28], LIMIT).contains("no sense"));
    assert!(read(&[1, 28, 0], LIMIT).contains("no sense"));
    assert!(read(&[u32::MAX, 4096, 4096], u64::MAX).contains("truncated"));
    let bomb = gzip(&idx(&[u32::MAX, 4096, 4096], &[0; 100]));
    assert!(message(read_images(&dir.write("bomb", &bomb), u64::MAX)).contains("truncated"));
}

#[test]
fn refuses_labels_out_of_range_and_counts_that_differ() {
    let dir = Scratch::new();
    let path = dir.write("train-labels-idx1-ubyte", idx(&[3], &[0, 10, 1]));
    assert!(message(read_labels(&path, 10, LIMIT)).contains("byte 9: expected a label below 10, found 10"));
    dir.write("train-labels-idx1-ubyte", labels(4));
    dir.write("train-images-idx3-ubyte", images(5));
    let text = message(load(IdxKind::Mnist, dir.path(), LIMIT));
    assert!(text.contains("expected 5 labels") && text.contains("train-labels"), "{text}");
    dir.write("train-labels-idx1-ubyte", labels(5));
    assert!(message(load(IdxKind::Mnist, dir.path(), LIMIT)).contains("t10k-images-idx3-ubyte.gz"));
    dir.write("t10k-images-idx3-ubyte", idx(&[1, 3, 2], &[0; 6]));
    dir.write("t10k-labels-idx1-ubyte", labels(1));
    assert!(message(load(IdxKind::Mnist, dir.path(), LIMIT)).contains("1x3x2"));
}

#[test]
fn a_directory_in_place_of_a_file_is_named() {
    let dir = Scratch::new();
    dir.write("train-images-idx3-ubyte/inside", b"x");
    assert!(message(load(IdxKind::Mnist, dir.path(), LIMIT)).contains("found a directory"));
}

/// The real data: LIMBECK_FASHION_MNIST=/usr/share/datasets/fashion-mnist, where Debian's package puts it.
#[test]
fn reads_the_published_fashion_mnist() {
    let Some(dir) = std::env::var_os("LIMBECK_FASHION_MNIST") else {
        eprintln!("skipped: LIMBECK_FASHION_MNIST names no directory");
        return;
    };
    let (train, test) = load(IdxKind::FashionMnist, Path::new(&dir), 1 << 30).unwrap();
    assert_eq!((train.len(), test.len()), (60_000, 10_000));
    assert_eq!(class_counts(&train), [6000; 10]);
    assert_eq!(train.labels[..5], [9, 0, 0, 3, 0]);
    let (mean, std) = train.pixel_statistics();
    assert!((mean[0] - train.mean[0]).abs() < 1e-3 && (std[0] - train.std[0]).abs() < 1e-3);
}
