use super::*;
use crate::data::Source;
use crate::data::boxes::testing::write_pictures;
use crate::data::boxes::{Annotation, OpenOptions, inspect, open};
use crate::data::testing::{Scratch, message};

const TRAIN: &str = r#"{
 "info": {"year": 2026, "more": [1, {"a": null}]},
 "annotations": [
  {"id": 1, "image_id": 9, "category_id": 18, "bbox": [10, 5, 20.5, 10], "area": 77.5, "iscrowd": 0,
   "segmentation": [[1.5, 2, 3, 4, 5, 6]]},
  {"id": 2, "image_id": 9, "category_id": 1, "bbox": [0, 0, 40, 20], "area": 500, "iscrowd": 1,
   "segmentation": {"counts": [1, 2, 3], "size": [20, 40]}}],
 "images": [
  {"id": 9, "file_name": "a.jpg", "width": 40, "height": 20, "license": 1},
  {"id": 4, "file_name": "b.jpg", "width": 40, "height": 20}],
 "categories": [{"id": 18, "name": "dog", "supercategory": "animal"}, {"id": 1, "name": "person"}]
}"#;
const VAL: &str = r#"{
 "images": [{"id": 1, "file_name": "c.jpg", "width": 40, "height": 20}],
 "annotations": [{"id": 7, "image_id": 1, "category_id": 2, "bbox": [1, 1, 4, 4]}],
 "categories": [{"id": 2, "name": "dog"}]
}"#;

fn set(pictures: [&str; 3]) -> Scratch {
    let dir = Scratch::new();
    write_pictures(&dir, &pictures);
    dir.write("annotations/instances_train2017.json", TRAIN);
    dir.write("annotations/instances_val2017.json", VAL);
    dir.write("annotations/captions_train2017.json", r#"{"images": [], "annotations": [{"caption": "x"}]}"#);
    dir
}

#[test]
fn ids_become_numbers_and_masks_only_areas() {
    for pictures in [
        ["train2017/a.jpg", "train2017/b.jpg", "val2017/c.jpg"],
        ["images/train2017/a.jpg", "images/train2017/b.jpg", "images/val2017/c.jpg"],
        ["images/a.jpg", "images/b.jpg", "images/c.jpg"],
        ["annotations/a.jpg", "annotations/b.jpg", "annotations/c.jpg"],
    ] {
        let dir = set(pictures);
        for path in [dir.path().to_path_buf(), dir.file("annotations/instances_train2017.json")] {
            let sets = open(&path, &OpenOptions::default()).unwrap();
            assert_eq!(sets.class_names(), ["person", "dog"]);
            assert_eq!((sets.train.len(), sets.test.len(), sets.held_out), (2, 1, false), "{pictures:?}");
            let boxes = &sets.train.image(0).unwrap().boxes;
            let dog = Annotation { area: 77.5, ..Annotation::new([10.0, 5.0, 20.5, 10.0], 1) };
            let crowd = Annotation { area: 500.0, crowd: true, ..Annotation::new([0.0, 0.0, 40.0, 20.0], 0) };
            assert_eq!(*boxes, [dog, crowd]);
            // Classes of the other file are found by name, whatever their id.
            assert_eq!(sets.test.image(0).unwrap().boxes, [Annotation::new([1.0, 1.0, 4.0, 4.0], 1)]);
            let expected = [Trap::EmptyLabels, Trap::Crowd, Trap::RunLengths, Trap::IdGaps];
            assert_eq!(sets.traps.kinds(), expected, "{:?}", sets.traps);
            assert!(sets.traps.places(Trap::Crowd)[0].ends_with("instances_train2017.json annotation 2"));
            assert!(sets.traps.places(Trap::IdGaps)[0].contains("2 classes, ids 1 to 18"));
        }
    }
}

#[test]
fn files_as_roboflow_writes_them() {
    let dir = Scratch::new();
    write_pictures(&dir, &["train/a.jpg", "train/b.jpg", "valid/c.jpg"]);
    dir.write("train/_annotations.coco.json", TRAIN);
    dir.write("valid/_annotations.coco.json", VAL);
    let sets = open(dir.path(), &OpenOptions::default()).unwrap();
    assert_eq!((sets.train.len(), sets.test.len()), (2, 1));
    assert_eq!(sets.train.image(0).unwrap().name, "train/a.jpg");
}

#[test]
fn a_folder_that_two_names_lead_to_is_read_once() {
    let dir = Scratch::new();
    write_pictures(&dir, &["train2017/a.jpg", "train2017/b.jpg", "val2017/c.jpg"]);
    dir.write("ANNOTATIONS/instances_train2017.json", TRAIN);
    dir.write("ANNOTATIONS/instances_val2017.json", VAL);
    // As a file system finds it that takes capital letters for small ones.
    #[cfg(unix)]
    std::os::unix::fs::symlink(dir.file("ANNOTATIONS"), dir.file("annotations")).unwrap();
    let sets = open(dir.path(), &OpenOptions::default()).unwrap();
    assert_eq!((sets.train.len(), sets.test.len()), (2, 1));
}

#[test]
fn a_file_that_is_named_alone_is_in_this_folder() {
    assert_eq!(files_of(Path::new("train.json")).root, Path::new("."));
    assert_eq!(files_of(Path::new("annotations/train.json")).root, Path::new("."));
    assert_eq!(files_of(Path::new("x/annotations/train.json")).root, Path::new("x"));
}

#[test]
fn every_trap_is_named() {
    let dir = set(["train2017/a.jpg", "train2017/B.jpg", "val2017/c.jpg"]);
    let train = TRAIN
        .replace(r#""width": 40, "height": 20, "license""#, r#""width": 20, "height": 40, "license""#)
        .replace(
            r#"  {"id": 2,"#,
            r#"  {"id": 3, "image_id": 77, "category_id": 1, "bbox": [1, 1, 2, 2]},
  {"id": 4, "image_id": 9, "category_id": 5, "bbox": [1, 1, 2, 2]},
  {"id": 5, "image_id": "9", "category_id": 1, "bbox": [1, 1, 2]},
  {"id": 6, "image_id": 9, "category_id": 1, "bbox": [1, 1, -2, 2]},
  {"id": 7, "image_id": 9, "category_id": 1, "bbox": [1, 1, 0, 2]},
  {"id": 8, "image_id": 9, "category_id": 1, "bbox": [30, 1, 20, 2]},
  {"id": 2,"#,
        )
        .replace(
            r#""width": 40, "height": 20}],"#,
            r#""width": 40, "height": 20}, {"id": 70, "file_name": "gone.jpg"}, {"id": 71, "file_name": "x.webp"},
             {"id": 72, "file_name": "a.jpg"}],"#,
        );
    dir.write("annotations/instances_train2017.json", train);
    let sets = inspect(dir.path(), &OpenOptions::default()).unwrap();
    let file = "annotations/instances_train2017.json";
    for (trap, place) in [
        (Trap::LabelsAlone, "annotation 3 (image 77)"),
        (Trap::ClassName, "annotation 4 (category 5)"),
        (Trap::BadLabel, "annotation 5 (expected a bbox of 4 numbers)"),
        (Trap::Missing, "image 70 (gone.jpg)"),
        (Trap::OtherFormat, "image 71 (x.webp)"),
        (Trap::NameCase, "image 4 (b.jpg)"),
    ] {
        assert_eq!(sets.traps.places(trap)[0], format!("{file} {place}"));
    }
    assert!(sets.traps.places(Trap::BadLabel)[1].contains("annotation 6"));
    assert_eq!(sets.traps.count(Trap::ListedTwice), 1);
    assert_eq!((sets.traps.count(Trap::OtherSize), sets.traps.count(Trap::Point)), (1, 1));
    assert_eq!(sets.traps.count(Trap::Outside), 1);
}

#[test]
fn files_that_are_wrong_are_named() {
    let dir = set(["train2017/a.jpg", "train2017/b.jpg", "val2017/c.jpg"]);
    let file = dir.file("annotations/instances_train2017.json");
    for (text, says) in [
        (TRAIN.replace("\"categories\"", "\"cats\""), "the key \"categories\""),
        (TRAIN.replace("\"images\"", "\"pictures\""), "the key \"images\""),
        (TRAIN.replace("\"annotations\"", "\"notes\""), "the key \"annotations\""),
        (TRAIN.replace("\"id\": 18", "\"id\": 1"), "two categories have the id 1"),
        (TRAIN.replace("\"id\": 4", "\"id\": 9"), "two images have the id 9"),
        (TRAIN.replace("\"dog\"", "\"person\""), "both called"),
        (TRAIN.replace("20.5", "NaN"), "line 4"),
        (TRAIN.replace("\"id\": 9,", "\"id\": \"nine\","), "whole number"),
        (TRAIN[..200].to_string(), "line"),
        ("[1]".into(), "object"),
    ] {
        dir.write("annotations/instances_train2017.json", text);
        let text = message(open(&file, &OpenOptions::default()));
        assert!(text.contains(says) && text.contains("instances_train2017.json"), "{says}: {text}");
    }
    dir.write("annotations/instances_train2017.json", TRAIN);
    dir.write("annotations/instances_train2014.json", TRAIN);
    let text = message(open(dir.path(), &OpenOptions::default()));
    assert!(text.contains("name the file"), "{text}");
}
