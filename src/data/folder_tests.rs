use super::*;
use crate::data::testing::{Scratch, class_counts, message};
use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgb, RgbImage};

fn encode(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn grey(value: u8, side: u32) -> Vec<u8> {
    encode(GrayImage::from_pixel(side, side, Luma([value])), ImageFormat::Png)
}

fn colour(value: u8, side: u32) -> Vec<u8> {
    encode(RgbImage::from_pixel(side, side, Rgb([value, 0, 0])), ImageFormat::Jpeg)
}

#[test]
fn flat_folder_is_held_out_by_class() {
    let dir = Scratch::new();
    for i in 0..40u8 {
        dir.write(&format!("b/{i:02}.png"), grey(i, 4));
        dir.write(&format!("a/{i:02}.PNG"), grey(100 + i, 4));
    }
    dir.write("a/Thumbs.db", b"junk");
    dir.write("a/.hidden.png", b"junk");
    dir.write(".git/x", b"junk");
    dir.write("README.txt", b"junk");
    let options = LoadOptions { holdout: 0.25, ..LoadOptions::default() };
    let (train, test) = load(dir.path(), &options).unwrap();
    train.check().unwrap();
    test.check().unwrap();
    assert_eq!((class_counts(&train), class_counts(&test)), (vec![30, 30], vec![10, 10]));
    assert_eq!(train.class_names, ["a", "b"]);
    // 80 files go through the worker threads: each image must have met its own label.
    for set in [&train, &test] {
        assert!((0..set.len()).all(|i| (set.image(i).unwrap()[0] < 100) == (set.labels[i] == 1)));
    }
    assert_eq!((train.channels, train.height, train.width), (1, 4, 4));
}

#[test]
fn held_out_images_have_no_part_in_the_statistics() {
    let dir = Scratch::new();
    for i in 0..10u8 {
        dir.write(&format!("cat/{i}.png"), grey(20 * i, 4));
        dir.write(&format!("dog/{i}.png"), grey(255 - 9 * i, 4));
    }
    let (train, test) = load(dir.path(), &LoadOptions::default()).unwrap();
    assert_eq!((train.mean.clone(), train.std.clone()), train.pixel_statistics());
    assert_eq!((&test.mean, &test.std), (&train.mean, &train.std));
    assert_ne!(train.mean, test.pixel_statistics().0);
}

#[test]
fn train_and_test_folders_share_layout_classes_and_statistics() {
    let dir = Scratch::new();
    dir.write("train/cat/1.jpg", colour(200, 6));
    dir.write("train/dog/1.jpeg", colour(50, 9));
    dir.write("val/dog/1.png", grey(80, 3));
    let (train, test) = load(dir.path(), &LoadOptions::default()).unwrap();
    test.check().unwrap();
    assert_eq!((train.channels, train.height, train.width), (3, 6, 6));
    assert_eq!((test.labels.as_slice(), test.class_names.len(), test.split), (&[1][..], 2, Split::Test));
    assert_eq!(test.spec(), train.spec());
    assert_eq!(test.image(0).unwrap(), [80; 108]);
    assert_eq!((&test.mean, &test.std), (&train.mean, &train.std));

    let options = LoadOptions { image_size: Some((2, 5)), channels: Some(1), ..LoadOptions::default() };
    let (train, _) = load(dir.path(), &options).unwrap();
    assert_eq!((train.channels, train.height, train.width), (1, 2, 5));

    dir.write("val/bird/1.png", grey(80, 3));
    assert!(message(load(dir.path(), &LoadOptions::default())).contains("class \"bird\" has no folder"));
}

#[test]
fn train_alone_is_held_out() {
    let dir = Scratch::new();
    for i in 0..5 {
        dir.write(&format!("train/a/{i}.png"), grey(1, 2));
    }
    let (train, test) = load(dir.path(), &LoadOptions::default()).unwrap();
    assert_eq!((train.len(), test.len()), (4, 1));
}

#[test]
fn errors_name_the_file_or_folder() {
    let dir = Scratch::new();
    let text = || message(load(dir.path(), &LoadOptions::default()));
    assert!(text().contains("no folder"));
    dir.write("a/notes.txt", b"x");
    assert!(text().contains("found none") && text().contains("a: expected"), "{}", text());
    for i in 0..70 {
        dir.write(&format!("a/{i:02}.png"), grey(1, 2));
    }
    let good = grey(1, 20);
    dir.write("a/50.png", &good[..40]);
    dir.write("a/60.png", b"");
    assert!(text().contains("50.png"), "{}", text());
    dir.write("a/50.png", &good);
    assert!(text().contains("60.png") && text().contains("empty"));
    dir.write("a/60.png", &good);
    let tight = LoadOptions { max_bytes: 100, ..LoadOptions::default() };
    assert!(message(load(dir.path(), &tight)).contains("limit of 100"));
    for size in [(0, 4), (usize::MAX, 1)] {
        let options = LoadOptions { image_size: Some(size), max_bytes: u64::MAX, ..LoadOptions::default() };
        assert!(load(dir.path(), &options).is_err());
    }
    assert!(message(load(&dir.path().join("none"), &LoadOptions::default())).contains("can't list"));
    let file = dir.write("plain", b"x");
    assert!(message(load(&file, &LoadOptions::default())).contains("can't list"));
}
