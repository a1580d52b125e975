use super::*;
use crate::data::boxes::testing::write_pictures;
use crate::data::testing::{Scratch, message};

#[test]
fn what_is_no_data_set_is_refused_with_what_would_be_one() {
    let dir = Scratch::new();
    let file = dir.write("notes.txt", "x");
    for path in [dir.path().to_path_buf(), file, dir.file("none")] {
        let text = message(open(&path, &OpenOptions::default()));
        assert!(text.contains("Pascal VOC") && text.contains("data.yaml"), "{text}");
    }
    write_pictures(&dir, &["a/images/1.jpg", "b/images/1.jpg"]);
    for part in ["a", "b"] {
        dir.write(&format!("{part}/labels/1.txt"), "0 .5 .5 .1 .1\n");
    }
    assert!(message(open(dir.path(), &OpenOptions::default())).contains("2 folders in it"));
    dir.write("one.yaml", "train: a\nnames: [x]\n");
    dir.write("two.yaml", "train: b\nnames: [x]\n");
    let text = message(open(dir.path(), &OpenOptions::default()));
    assert!(text.contains("one.yaml, two.yaml") && text.contains("name the one"), "{text}");
}

#[test]
fn options_that_make_no_sense_are_refused() {
    for (options, says) in [
        (OpenOptions { tolerance: -0.1, ..Default::default() }, "tolerance"),
        (OpenOptions { tolerance: f64::NAN, ..Default::default() }, "tolerance"),
        (OpenOptions { most_boxes: 0, ..Default::default() }, "most_boxes"),
    ] {
        assert!(message(open("nowhere", &options)).starts_with(says));
    }
    let dir = Scratch::new();
    write_pictures(&dir, &["images/train/1.jpg", "images/val/2.jpg"]);
    dir.write("labels/train/1.txt", "0 .5 .5 .1 .1\n");
    let zero = OpenOptions { size: [0, 0], ..Default::default() };
    assert!(message(open(dir.path(), &zero)).contains("1 to 8192 pixels"));
    let text = message(open(
        dir.path(),
        &OpenOptions { names: Some(vec!["a".into(), "a".into()]), ..Default::default() },
    ));
    assert!(text.contains("both called"), "{text}");
}

#[test]
fn parts_share_places_names_and_the_budget() {
    let dir = Scratch::new();
    write_pictures(&dir, &["images/train/1.jpg", "images/val/2.jpg", "images/test/3.jpg"]);
    dir.write("labels/train/1.txt", "0 .5 .5 .1 .1\n");
    dir.write("labels/val/2.txt", "1 .5 .5 .1 .1\n1 .4 .5 .1 .1\n1 .3 .5 .1 .1\n");
    dir.write("classes.txt", "a\nb\n");
    let sets = open(dir.path(), &OpenOptions { most_boxes: 2, ..Default::default() }).unwrap();
    let validation = sets.validation.unwrap();
    assert_eq!((sets.train.places(), validation.places(), sets.test.places()), (2, 2, 2));
    assert_eq!(sets.traps.places(Trap::TooMany), ["images/val/2.jpg (3 boxes)"]);
    assert_eq!(
        (sets.train.split(), validation.split(), sets.test.split()),
        (Split::Train, Split::Validation, Split::Test)
    );
    // A part with the list's own name, and classes in another order.
    let names = Some(vec!["b".to_string(), "a".into()]);
    let other = dir.write("data.yaml", "train: images/train\nval: images/val\nnames: [a, b]\n");
    let sets = open(other, &OpenOptions { names, ..Default::default() }).unwrap();
    assert_eq!(sets.class_names(), ["b", "a"]);
    assert_eq!(
        (sets.train.image(0).unwrap().boxes[0].class, sets.test.image(0).unwrap().boxes[0].class),
        (1, 0)
    );
}

#[test]
fn a_set_in_one_part_is_held_out_by_its_seed() {
    let dir = Scratch::new();
    for k in 0..10 {
        write_pictures(&dir, &[&format!("images/{k}.jpg")]);
        dir.write(&format!("labels/{k}.txt"), "0 .5 .5 .1 .1\n");
    }
    let of = |seed: u64| {
        let sets = open(dir.path(), &OpenOptions { holdout: 0.3, seed, ..Default::default() }).unwrap();
        assert_eq!((sets.train.len(), sets.test.len(), sets.held_out), (7, 3, true));
        sets.test.images().map(|image| image.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(of(1), of(1));
    assert_ne!(of(1), of(2));
    assert!(of(1)[0].starts_with("images/"));
}
