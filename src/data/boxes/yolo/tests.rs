use crate::data::Source;
use crate::data::boxes::testing::{jpeg, picture, write_pictures};
use crate::data::boxes::{Format, OpenOptions, Trap, inspect, open};
use crate::data::testing::{Scratch, message};

const BOX: &str = "0 0.5 0.5 0.25 0.5\n";

fn options() -> OpenOptions {
    OpenOptions { holdout: 0.5, ..Default::default() }
}

/// Two images for training and one for validation, as ultralytics has them.
fn images_and_labels(dir: &Scratch) {
    write_pictures(dir, &["images/train/1.jpg", "images/train/2.jpg", "images/val/3.jpg"]);
    dir.write("labels/train/1.txt", BOX);
    dir.write("labels/train/2.txt", "1 0.5 0.5 0.5 0.5\n1 0.25 0.25 0.25 0.25\n");
    dir.write("labels/val/3.txt", BOX);
}

#[test]
fn a_description_in_yaml() {
    let dir = Scratch::new();
    images_and_labels(&dir);
    for train in
        ["images/train", "[images/train]", "train.txt", "\n  - images/train/1.jpg\n  - images/train/2.jpg"]
    {
        dir.write("train.txt", "./images/train/1.jpg\nimages/train/2.jpg\n");
        let text = format!("path: .\ntrain: {train}\nval: images/val\nnames:\n  0: cat\n  1: dog\n");
        let file = dir.write("data.yaml", text);
        for path in [dir.path(), &file] {
            let sets = open(path, &options()).unwrap();
            assert_eq!(sets.format, Format::DataYaml);
            assert_eq!((sets.train.len(), sets.test.len(), sets.held_out), (2, 1, false), "{train}");
            assert!(sets.validation.is_none() && sets.traps.is_empty(), "{:?}", sets.traps);
            assert_eq!(sets.class_names(), ["cat", "dog"]);
            assert_eq!(sets.train.class_counts(), [1, 2]);
            assert_eq!(sets.train.image(0).unwrap().boxes[0].bounds, [15.0, 5.0, 10.0, 10.0]);
            assert_eq!((sets.train.places(), sets.test.places()), (2, 2));
        }
    }
}

#[test]
fn paths_of_another_machine() {
    let dir = Scratch::new();
    images_and_labels(&dir);
    // As Roboflow writes it: relative to a folder below.
    dir.write("data.yaml", "train: ../images/train\nval: ../images/val\nnames: [a, b]\n");
    let sets = open(dir.path(), &options()).unwrap();
    assert_eq!((sets.train.len(), sets.traps.count(Trap::OtherPlace)), (2, 2));
    dir.write("list.txt", "/content/x/images/train/1.jpg\nC:\\x\\images\\train\\2.jpg\nimages/train/9.jpg\n");
    dir.write("data.yaml", "path: /content/x\ntrain: list.txt\nval: images/val\ntest: ''\nnames: [a, b]\n");
    let sets = open(dir.path(), &options()).unwrap();
    assert_eq!(sets.train.len(), 2);
    assert_eq!(sets.traps.places(Trap::Missing), ["list.txt:3 (images/train/9.jpg)"]);
    // The path itself, and two starts of the list: each is said once, and every path counted.
    let here = dir.path().to_string_lossy().replace('\\', "/");
    let places = sets.traps.places(Trap::OtherPlace);
    assert_eq!((sets.traps.count(Trap::OtherPlace), places.len()), (3, 3), "{places:?}");
    assert_eq!(places[1], format!("list.txt: 1 of /content/x (at {here})"));
    let many: String = (0..50).map(|k| format!("/content/x/images/train/{}.jpg\n", 1 + k % 2)).collect();
    dir.write("list.txt", many + &"a/".repeat(40) + "1.jpg\n");
    let traps = open(dir.path(), &options()).unwrap().traps;
    assert_eq!((traps.count(Trap::OtherPlace), traps.places(Trap::OtherPlace).len()), (51, 2));
    assert_eq!(traps.places(Trap::OtherPlace)[1], format!("list.txt: 50 of /content/x (at {here})"));
    assert!(traps.places(Trap::Missing)[0].ends_with("a path of 41 folders, and at most 32 are read"));
    dir.write("data.yaml", "train: images/none\nnames: [a, b]\n");
    let text = message(open(dir.path(), &options()));
    assert!(text.contains("data.yaml") && text.contains("images/none"), "{text}");
}

#[test]
fn darknets_description() {
    let dir = Scratch::new();
    write_pictures(&dir, &["data/obj/1.jpg", "data/obj/2.jpg", "data/JPEGImages/3.jpg"]);
    dir.write("data/obj/1.txt", BOX);
    dir.write("data/labels/3.txt", BOX);
    dir.write("data/obj.names", "a\n");
    dir.write("data/train.txt", "data/obj/1.jpg\r\ndata/obj/2.jpg\r\n");
    dir.write("data/test.txt", "data/JPEGImages/3.jpg\n");
    let text = "classes=1\ntrain=data/train.txt\nvalid=data/test.txt\nnames=data/obj.names\nbackup=backup/\n";
    let file = dir.write("data/obj.data", text);
    for path in [dir.path(), &file] {
        let sets = open(path, &options()).unwrap();
        assert_eq!((sets.format, sets.train.len(), sets.test.len()), (Format::DataFile, 2, 1));
        assert_eq!(sets.test.image(0).unwrap().boxes.len(), 1);
        assert_eq!(sets.traps.kinds(), [Trap::CarriageReturn, Trap::NoLabels]);
        assert_eq!(sets.traps.count(Trap::NoLabels), 1);
    }
}

#[test]
fn folders_that_nothing_describes() {
    let dir = Scratch::new();
    images_and_labels(&dir);
    write_pictures(&dir, &["images/test/4.jpg"]);
    dir.write("labels/test/4.txt", "");
    let sets = open(dir.path(), &options()).unwrap();
    assert_eq!(sets.format, Format::Folders);
    assert_eq!((sets.train.len(), sets.validation.unwrap().len(), sets.test.len()), (2, 1, 1));
    assert_eq!(sets.test.class_names(), ["0", "1"]);
    assert_eq!(sets.traps.places(Trap::NoNames), ["0 to 1"]);
    assert_eq!(sets.traps.places(Trap::EmptyLabels), ["labels/test/4.txt"]);
    dir.write("labels/classes.txt", "cat\ndog\n");
    assert_eq!(open(dir.path(), &options()).unwrap().class_names(), ["cat", "dog"]);
    dir.write("labels/other.names", "cat\ndog\n");
    assert!(message(open(dir.path(), &options())).contains("one list of class names"));
    let named = OpenOptions { names: Some(vec!["x".into(), "y".into()]), ..options() };
    assert_eq!(open(dir.path(), &named).unwrap().class_names(), ["x", "y"]);
}

#[test]
fn label_files_beside_images_and_below() {
    let dir = Scratch::new();
    write_pictures(&dir, &["1.jpg", "2.png"]);
    dir.write("1.txt", BOX);
    dir.write("2.txt", BOX);
    dir.write("classes.txt", "a");
    let sets = open(dir.path(), &options()).unwrap();
    assert_eq!((sets.train.len() + sets.test.len(), sets.held_out), (2, true));
    assert!(sets.traps.is_empty(), "{:?}", sets.traps);
    // In a folder of an archive, and each part with its own folders.
    let dir = Scratch::new();
    write_pictures(&dir, &["set/train/images/1.jpg", "set/valid/images/2.jpg"]);
    dir.write("set/train/labels/1.txt", BOX);
    dir.write("set/valid/labels/2.txt", BOX);
    let sets = open(dir.path(), &options()).unwrap();
    assert_eq!((sets.train.len(), sets.test.len(), sets.held_out), (1, 1, false));
    // A picture beside the parts is none of the set's images.
    write_pictures(&dir, &["set/set-boxes.png", "set/other/3.png"]);
    let sets = open(dir.path(), &options()).unwrap();
    assert_eq!((sets.train.len(), sets.test.len()), (1, 1));
    assert!(sets.train.images().all(|image| image.name == "train/images/1.jpg"));
}

#[test]
fn a_set_whose_only_part_is_called_test_is_divided() {
    let dir = Scratch::new();
    write_pictures(&dir, &["images/test/1.jpg", "images/test/2.jpg"]);
    dir.write("labels/test/1.txt", BOX);
    dir.write("labels/test/2.txt", BOX);
    let sets = open(dir.path(), &options()).unwrap();
    assert_eq!((sets.train.len(), sets.test.len(), sets.held_out), (1, 1, true));
}

#[test]
fn every_trap_is_named() {
    let dir = Scratch::new();
    let names =
        ["bom", "crlf", "tabs", "float", "polygon", "none", "empty", "twice", "point", "clipped", "Case"];
    for name in names {
        dir.write(&format!("images/{name}.jpg"), jpeg(&picture(40, 20)));
    }
    for (name, text) in [
        ("bom", "\u{feff}0 .5 .5 .2 .2\n"),
        ("crlf", "0 .5 .5 .2 .2\r\n"),
        ("tabs", "0\t.5\t.5\t.2\t.2\n"),
        ("float", "0.0 .5 .5 .2 .2\n"),
        ("polygon", "0 .1 .1 .5 .1 .5 .5 .1 .5\n"),
        ("empty", ""),
        ("twice", "0 .5 .5 .2 .2\n0 .5 .5 .2 .2\n"),
        ("point", "0 .5 .5 0 .2\n"),
        ("clipped", "0 .5 1.0004 .2 .002\n"),
        ("case", BOX),
        ("alone", BOX),
    ] {
        dir.write(&format!("labels/{name}.txt"), text);
    }
    dir.write("classes.txt", "a\n");
    dir.write("images/animated.gif", b"GIF89a");
    dir.write("labels/animated.txt", BOX);
    let sets = open(dir.path(), &options()).unwrap();
    let traps = &sets.traps;
    for (trap, place) in [
        (Trap::ByteOrderMark, "labels/bom.txt"),
        (Trap::CarriageReturn, "labels/crlf.txt"),
        (Trap::Tabs, "labels/tabs.txt"),
        (Trap::FloatClass, "labels/float.txt:1"),
        (Trap::Polygon, "labels/polygon.txt:1"),
        (Trap::NoLabels, "images/none.jpg"),
        (Trap::EmptyLabels, "labels/empty.txt"),
        (Trap::Duplicate, "labels/twice.txt:2"),
        (Trap::Point, "labels/point.txt:1 (16,10 to 24,10 of 40x20)"),
        (Trap::NameCase, "labels/case.txt"),
        (Trap::LabelsAlone, "labels/alone.txt"),
        (Trap::OtherFormat, "images/animated.gif"),
    ] {
        let shown = traps.first(trap, 9);
        let expected = if trap == Trap::Point { "labels/point.txt:1" } else { place };
        assert!(traps.count(trap) == 1 && shown.starts_with(expected), "{trap:?}: {shown}");
    }
    assert_eq!(traps.kinds().len(), 13, "{traps:?}");
    assert!(traps.places(Trap::Clipped)[0].starts_with("labels/clipped.txt:1"));

    dir.write("labels/bom.txt", "1 .5 .5 .2 .2\n0 .5 .5 .2\n0 5 5 2 2\n");
    let sets = inspect(dir.path(), &options()).unwrap();
    assert_eq!(sets.traps.places(Trap::ClassNumber), ["labels/bom.txt:1 (class 1, there are 1)"]);
    assert!(sets.traps.places(Trap::BadLabel)[0].starts_with("labels/bom.txt:2"));
    assert!(sets.traps.places(Trap::Outside)[0].starts_with("labels/bom.txt:3"));
    let text = message(open(dir.path(), &options()));
    assert!(
        ["bom.txt:1", "bom.txt:2", "bom.txt:3", "other units"].iter().all(|part| text.contains(part)),
        "{text}"
    );
}

#[test]
fn unlisted_images_are_no_orphans() {
    let dir = Scratch::new();
    images_and_labels(&dir);
    dir.write("train.txt", "images/train/1.jpg\n");
    dir.write("data.yaml", "train: train.txt\nval: images/val\nnames: [a, b]\n");
    let sets = open(dir.path(), &options()).unwrap();
    assert_eq!(sets.traps.places(Trap::Unlisted), ["labels/train/2.txt"]);
    assert_eq!(sets.traps.kinds(), [Trap::Unlisted]);
    dir.write("train.txt", "images/train/1.jpg\nimages/train/1.jpg\nimages/val/3.jpg\n");
    let traps = open(dir.path(), &options()).unwrap().traps;
    assert_eq!(traps.places(Trap::ListedTwice), ["images/train/1.jpg"]);
    assert_eq!(traps.places(Trap::InTwoParts), ["images/val/3.jpg"]);
}

#[test]
fn losing_most_images_is_an_error() {
    let dir = Scratch::new();
    images_and_labels(&dir);
    dir.write("train.txt", "images/train/1.jpg\na.jpg\nb.jpg\nc.jpg\n");
    dir.write("data.yaml", "train: train.txt\nval: images/val\nnames: [a, b]\n");
    let text = message(open(dir.path(), &options()));
    assert!(text.contains("3 images are left out") && text.contains("train.txt:2 (a.jpg)"), "{text}");
    dir.write("train.txt", "a.jpg\n");
    let text = message(open(dir.path(), &options()));
    assert!(text.contains("training part has no image") && text.contains("train.txt:1 (a.jpg)"), "{text}");
}
