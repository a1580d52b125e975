use super::*;
use crate::data::testing::{Scratch, message};

const LIMIT: u64 = 1 << 24;

/// One record: these label bytes, then pixels that all equal `fill`.
fn record(labels: &[u8], fill: u8) -> Vec<u8> {
    let mut bytes = labels.to_vec();
    bytes.resize(labels.len() + IMAGE, fill);
    bytes
}

#[test]
fn reads_batches_in_order() {
    let dir = Scratch::new();
    for i in 1..=5u8 {
        dir.write(&format!("cifar-10-batches-bin/data_batch_{i}.bin"), record(&[i], i));
    }
    dir.write("cifar-10-batches-bin/test_batch.bin", [record(&[9], 1), record(&[0], 2)].concat());
    assert!(present(CifarKind::Cifar10, dir.path()) && !present(CifarKind::Cifar100, dir.path()));
    let (train, test) = load(CifarKind::Cifar10, dir.path(), LIMIT).unwrap();
    train.check().unwrap();
    assert_eq!(train.labels, [1, 2, 3, 4, 5]);
    assert_eq!(train.image(4).unwrap(), [5; IMAGE]);
    assert_eq!(test.labels, [9, 0]);
    assert_eq!(test.class_names[0], "airplane");
    std::fs::remove_file(dir.path().join("cifar-10-batches-bin/data_batch_3.bin")).unwrap();
    assert!(message(load(CifarKind::Cifar10, dir.path(), LIMIT)).contains("data_batch_3.bin"));
}

#[test]
fn reads_single_files_and_class_names() {
    let dir = Scratch::new();
    dir.write("train.bin", record(&[19, 99], 7));
    dir.write("test.bin", record(&[0, 42], 8));
    let (train, test) = load(CifarKind::Cifar100, dir.path(), LIMIT).unwrap();
    train.check().unwrap();
    assert_eq!((train.labels[0], test.labels[0]), (99, 42));
    assert_eq!((train.num_classes(), train.class_names[99].as_str()), (100, "worm"));

    let dir = Scratch::new();
    dir.write("train.bin", record(&[3], 7));
    dir.write("test.bin", record(&[3], 8));
    dir.write("batches.meta.txt", b"a\nb\nc\nd\ne\r\nf\ng\nh\ni\nj\n\n");
    let (train, _) = load(CifarKind::Cifar10, dir.path(), LIMIT).unwrap();
    assert_eq!(train.class_names[4], "e");
    dir.write("batches.meta.txt", b"a\nb\n");
    assert!(
        message(load(CifarKind::Cifar10, dir.path(), LIMIT))
            .contains("expected 10 class names, one a line, found 2")
    );
    dir.write("batches.meta.txt", [0xff; 10]);
    assert!(message(load(CifarKind::Cifar10, dir.path(), LIMIT)).contains("UTF-8"));
}

#[test]
fn tells_the_two_formats_apart() {
    let dir = Scratch::new();
    dir.write("train.bin", record(&[1, 50], 0));
    dir.write("test.bin", record(&[1, 50], 0));
    assert!(message(load(CifarKind::Cifar10, dir.path(), LIMIT)).contains("looks like cifar100"));
    dir.write("train.bin", record(&[9], 0));
    assert!(message(load(CifarKind::Cifar100, dir.path(), LIMIT)).contains("looks like cifar10"));
    // 3,073 CIFAR-100 records are a whole number of CIFAR-10 records: only the labels tell.
    dir.write("train.bin", record(&[1, 50], 99).repeat(3073));
    let text = message(load(CifarKind::Cifar10, dir.path(), LIMIT));
    assert!(text.contains("below 10") && text.contains("cifar100"), "{text}");
}

#[test]
fn refuses_damaged_files_with_the_offset() {
    let dir = Scratch::new();
    dir.write("test.bin", record(&[0], 0));
    let read = |bytes: &[u8]| {
        dir.write("train.bin", bytes);
        message(load(CifarKind::Cifar10, dir.path(), LIMIT))
    };
    assert!(read(b"").contains("empty"));
    assert!(read(&record(&[0], 0)[..3072]).contains("ends at byte 0"));
    assert!(read(&[record(&[0], 0), vec![1, 2]].concat()).contains("ends at byte 3073"));
    assert!(
        read(&[record(&[0], 0), record(&[10], 0)].concat()).contains("byte 3073: expected a label below 10")
    );
    std::fs::remove_file(dir.path().join("train.bin")).unwrap();
    assert!(message(load(CifarKind::Cifar10, dir.path(), LIMIT)).contains("found nothing"));
    dir.write("train.bin/inside", b"x");
    assert!(message(load(CifarKind::Cifar10, dir.path(), LIMIT)).contains("directory"));
}

#[test]
fn refuses_more_than_the_limit() {
    let dir = Scratch::new();
    dir.write("train.bin", record(&[0], 0).repeat(4));
    dir.write("test.bin", record(&[0], 0));
    assert!(message(load(CifarKind::Cifar10, dir.path(), 10_000)).contains("over the limit of 10000"));
}

#[test]
fn built_in_names_are_complete() {
    assert_eq!(built_in(CifarKind::Cifar10).len(), 10);
    let fine = built_in(CifarKind::Cifar100);
    assert_eq!(fine.len(), 100);
    assert!(fine.is_sorted());
}
