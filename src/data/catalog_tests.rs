//! The list of data sets: names, files, what is missing.

use super::*;
use crate::data::testing::{Scratch, message};

#[test]
fn names_are_unique_and_an_unknown_one_lists_them() {
    for info in DATASETS {
        assert_eq!(find(info.name).unwrap().name, info.name);
        assert_eq!(DATASETS.iter().filter(|other| other.name == info.name).count(), 1);
    }
    let text = message(find("imagenet"));
    assert!(DATASETS.iter().all(|info| text.contains(info.name)) && text.contains("imagenet"), "{text}");
}

#[test]
fn a_download_that_was_cut_is_not_there() {
    for (name, whole) in [("bccd", 731), ("bccd", 500), ("coco128", 512), ("coco128", 300)] {
        let (dir, info) = (Scratch::new(), find(name).unwrap());
        for file in info.remote() {
            dir.write(file.place, b"x");
        }
        assert!((info.present)(dir.path()), "{name}");
        let gone = &info.remote()[whole..];
        gone.iter().for_each(|file| std::fs::remove_file(dir.file(file.place)).unwrap());
        let lost = gone.iter().filter(|file| file.place != "LICENSE").count();
        assert_eq!(missing(dir.path(), info.remote()), Some(lost));
        assert!(!(info.present)(dir.path()), "{name}");
        let text = message(crate::data::load_boxes(name, Some(dir.path()), &Default::default()));
        let get = format!("limbeck data get {name} --dir {}", dir.path().display());
        assert!(text.contains(&format!("{lost} of its")) && text.contains(&get), "{text}");
        gone.iter().for_each(|file| drop(dir.write(file.place, b"x")));
        // A licence is not needed, and another's copy may have other files.
        let _ = std::fs::remove_file(dir.file("LICENSE"));
        assert!((info.present)(dir.path()), "{name}");
        std::fs::remove_file(dir.file(info.remote()[400].place)).unwrap();
        assert!((info.present)(dir.path()), "{name}");
    }
    let dir = Scratch::new();
    dir.write("set/Annotations/1.xml", b"<annotation/>");
    assert!((find("bccd").unwrap().present)(dir.path()));
}

#[test]
fn remote_files_are_well_formed() {
    for (info, file) in DATASETS.iter().flat_map(|info| info.remote().iter().map(move |file| (info, file))) {
        assert!(!file.place.is_empty() && !file.place.starts_with('/') && !file.place.contains(".."));
        assert!(info.base_url.ends_with('/'));
        assert_eq!(file.sha256.len(), 64);
        assert!(file.sha256.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
        assert_eq!(file.name.ends_with(".tar.gz"), !file.unpack.is_empty());
    }
}
