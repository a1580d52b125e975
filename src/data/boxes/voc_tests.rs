use super::*;
use crate::data::Source;
use crate::data::boxes::testing::write_pictures;
use crate::data::boxes::{OpenOptions, inspect, open};
use crate::data::testing::{Scratch, message};

fn object(name: &str, corners: [&str; 4]) -> String {
    let [x0, y0, x1, y1] = corners;
    format!(
        "<object>\n<name>{name}</name><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>\n"
    )
}

fn xml(filename: &str, inside: &str) -> String {
    format!(
        "<annotation><filename>{filename}</filename><size><width>40</width><height>20</height></size>\n{inside}</annotation>"
    )
}

/// Four images, a list for each part.
fn set() -> Scratch {
    let dir = Scratch::new();
    write_pictures(&dir, &["JPEGImages/1.jpg", "JPEGImages/2.jpg", "JPEGImages/3.jpg", "JPEGImages/4.png"]);
    for (k, ending, name) in [(1, "jpg", "dog"), (2, "jpg", "cat"), (3, "jpg", "dog"), (4, "png", "ant")] {
        let text = xml(&format!("{k}.{ending}"), &object(name, ["1", "2", "11.5", "12"]));
        dir.write(&format!("Annotations/{k}.xml"), text);
    }
    dir.write("ImageSets/Main/train.txt", "1\n2\n");
    dir.write("ImageSets/Main/val.txt", "3\n");
    dir.write("ImageSets/Main/test.txt", "4\n");
    dir
}

#[test]
fn parts_names_and_boxes() {
    let dir = set();
    let sets = open(dir.path(), &OpenOptions::default()).unwrap();
    assert_eq!(sets.class_names(), ["ant", "cat", "dog"]);
    assert_eq!((sets.train.len(), sets.validation.as_ref().unwrap().len(), sets.test.len()), (2, 1, 1));
    let image = sets.train.image(0).unwrap();
    assert_eq!((image.name.as_str(), image.size()), ("JPEGImages/1.jpg", [40, 20]));
    assert_eq!(image.boxes, [crate::data::boxes::Annotation::new([1.0, 2.0, 10.5, 10.0], 2)]);
    assert_eq!(sets.traps.kinds(), [Trap::NamesSorted]);
    let options =
        OpenOptions { names: Some(vec!["dog".into(), "cat".into(), "ant".into()]), ..Default::default() };
    let sets = open(dir.path(), &options).unwrap();
    assert_eq!((sets.train.image(0).unwrap().boxes[0].class, sets.traps.is_empty()), (0, true));
    let options = OpenOptions { names: Some(vec!["dog".into()]), ..Default::default() };
    let text = message(open(dir.path(), &options));
    assert!(text.contains("Annotations/2.xml:2 (cat)"), "{text}");
}

#[test]
fn lists_decide_the_parts() {
    let dir = set();
    let remove = |name: &str| std::fs::remove_file(dir.file("ImageSets/Main").join(name)).unwrap();
    let sizes = |dir: &Scratch| {
        let sets = open(dir.path(), &OpenOptions::default()).unwrap();
        let validation = sets.validation.as_ref().map(|set| set.len());
        (sets.train.len(), validation, sets.test.len(), sets.held_out, sets.traps.count(Trap::Unlisted))
    };
    remove("test.txt");
    assert_eq!(sizes(&dir), (2, None, 1, false, 1));
    remove("val.txt");
    dir.write("ImageSets/Main/train.txt", "1 1\n2 -1\n\n3  1\r\n3\n5\n");
    let sets = open(dir.path(), &OpenOptions { holdout: 0.3, ..Default::default() }).unwrap();
    assert_eq!((sets.train.len(), sets.test.len(), sets.held_out), (2, 1, true));
    assert_eq!(sets.traps.places(Trap::ListedTwice), ["ImageSets/Main/train.txt:5 (3)"]);
    assert_eq!(sets.traps.places(Trap::Missing), ["ImageSets/Main/train.txt:6 (5)"]);
    assert_eq!(sets.traps.places(Trap::CarriageReturn), ["ImageSets/Main/train.txt"]);
    remove("train.txt");
    dir.write("ImageSets/Main/trainval.txt", "1\n2\n3\n");
    dir.write("ImageSets/Main/test.txt", "3\n4\n");
    let sets = open(dir.path(), &OpenOptions::default()).unwrap();
    assert_eq!((sets.train.len(), sets.test.len()), (3, 2));
    assert_eq!(sets.traps.places(Trap::InTwoParts), ["JPEGImages/3.jpg"]);
    remove("trainval.txt");
    remove("test.txt");
    assert_eq!(sizes(&dir), (3, None, 1, true, 0));
}

#[test]
fn a_set_of_test_lists_is_measured_on_and_not_learned_from() {
    let dir = set();
    std::fs::remove_file(dir.file("ImageSets/Main/train.txt")).unwrap();
    let sizes = || {
        let sets = open(dir.path(), &OpenOptions::default()).unwrap();
        let text = message(sets.require_training());
        assert!(text.contains("no training part") && text.contains("ImageSets/Main/train.txt"), "{text}");
        assert!(sets.train.is_empty() && !sets.held_out && sets.parts().all(|(name, _)| name != "training"));
        assert_eq!(sets.class_names(), sets.test.class_names());
        // An empty part must not be taken for one.
        assert!(crate::data::Loader::new(std::sync::Arc::new(sets.train), Default::default()).is_err());
        (sets.validation.map(|set| set.len()), sets.test.image(0).map(|image| image.name.clone()))
    };
    assert_eq!(sizes(), (Some(1), Some("JPEGImages/4.png".into())));
    std::fs::remove_file(dir.file("ImageSets/Main/val.txt")).unwrap();
    assert_eq!(sizes(), (None, Some("JPEGImages/4.png".into())));
    std::fs::rename(dir.file("ImageSets/Main/test.txt"), dir.file("ImageSets/Main/val.txt")).unwrap();
    assert_eq!(sizes(), (None, Some("JPEGImages/4.png".into())));
    let options =
        OpenOptions { names: Some(vec!["dog".into(), "ant".into(), "cat".into()]), ..Default::default() };
    assert_eq!(open(dir.path(), &options).unwrap().test.class_counts(), [0, 1, 0]);
    dir.write("ImageSets/Main/train.txt", "1\n");
    open(dir.path(), &OpenOptions::default()).unwrap().require_training().unwrap();
}

#[test]
fn labels_whose_images_are_not_there_are_lost_images() {
    let dir = set();
    for name in ["1.jpg", "2.jpg"] {
        std::fs::remove_file(dir.file("JPEGImages").join(name)).unwrap();
    }
    dir.write("ImageSets/Main/train.txt", "1\n2\n3\n");
    dir.write("ImageSets/Main/val.txt", "1\n");
    std::fs::remove_file(dir.file("ImageSets/Main/val.txt")).unwrap();
    // Two of four are lost, and then three of five.
    open(dir.path(), &OpenOptions::default()).unwrap();
    dir.write("Annotations/9.xml", xml("9.jpg", ""));
    dir.write("ImageSets/Main/train.txt", "1\n2\n3\n9\n");
    let text = message(open(dir.path(), &OpenOptions::default()));
    assert!(text.contains("3 images are left out, and 2 remain"), "{text}");
    assert!(text.contains("label file without an image: Annotations/1.xml, Annotations/2.xml"), "{text}");
}

#[test]
fn lines_are_those_of_the_parser_and_are_counted_once() {
    let objects = "<object>\n<name>é</name>\n\n</object><object/>\r\n <object></object>".repeat(3);
    let text = format!("\n<annotation>\n{objects}\n</annotation>");
    let document = Document::parse(text.trim_start()).unwrap();
    let nodes = document.root_element().children().filter(|node| node.has_tag_name("object"));
    let expected: Vec<u32> = nodes.map(|node| document.text_pos_at(node.range().start).row).collect();
    let mut traps = Traps::default();
    parse(text.trim_start(), "a.xml", &mut traps).unwrap();
    let lines = traps
        .places(Trap::BadLabel)
        .iter()
        .map(|place| place[6..].split(' ').next().unwrap().parse().unwrap());
    assert_eq!(lines.collect::<Vec<u32>>(), expected);
    // Of many objects, too.
    let many = format!(
        "<annotation>{}</annotation>",
        format!("<object>{}</object>\n", " ".repeat(150)).repeat(60_000)
    );
    parse(&many, "a.xml", &mut traps).unwrap();
    assert_eq!(traps.count(Trap::BadLabel), expected.len() + 60_000);
}

#[test]
fn every_trap_is_named() {
    let dir = Scratch::new();
    write_pictures(&dir, &["JPEGImages/a.JPG", "JPEGImages/B.jpg", "JPEGImages/named.jpg"]);
    dir.write("JPEGImages/w.webp", b"x");
    dir.write("Annotations/a.xml", xml("somewhere/a", &object("x", ["1", "2", "11", "12"])));
    dir.write("Annotations/b.xml", xml("b.jpg", ""));
    dir.write("Annotations/c.xml", xml("c:\\set\\named.jpg", &object("x", ["4", "4", "4", "9"])));
    dir.write("Annotations/none.xml", xml("none.jpg", ""));
    dir.write("Annotations/w.xml", xml("w.webp", ""));
    let broken = "<annotation><filename>d.jpg</filename></annotation";
    dir.write("Annotations/d.xml", broken);
    let objects = object("x", ["1", "2", "nan", "12"])
        + &object("", ["1", "2", "3", "12"])
        + "<object><name>x</name><polygon/></object>"
        + &object("x", ["1", "2", "9", "12"]).replace("<ymin>2</ymin>", "");
    dir.write("Annotations/e.xml", format!("<annotation>\n{objects}</annotation>"));
    write_pictures(&dir, &["JPEGImages/e.jpg"]);
    let sets = inspect(dir.path(), &OpenOptions { holdout: 0.5, ..Default::default() }).unwrap();
    let traps = &sets.traps;
    // `c` has the name of its image in its file, and its own name is no image's.
    assert_eq!(traps.places(Trap::NameCase), ["JPEGImages/B.jpg"]);
    assert_eq!(traps.places(Trap::OtherName), ["Annotations/a.xml (a)", "Annotations/b.xml (b.jpg)"]);
    assert_eq!(traps.count(Trap::Point), 1);
    assert!(traps.places(Trap::Point)[0].starts_with("Annotations/c.xml:2"), "{traps:?}");
    assert_eq!(traps.places(Trap::LabelsAlone), ["Annotations/none.xml"]);
    assert_eq!(traps.places(Trap::OtherFormat), ["JPEGImages/w.webp"]);
    assert_eq!(traps.places(Trap::NoSize), ["Annotations/e.xml"]);
    assert_eq!(traps.count(Trap::EmptyLabels), 2);
    let bad = traps.places(Trap::BadLabel);
    assert_eq!(bad.len(), 5, "{bad:?}");
    assert!(
        bad[0].starts_with("Annotations/d.xml (")
            && bad[1].starts_with("Annotations/e.xml:2 (expected a number")
    );
    assert!(
        bad[2].contains("without a name") && bad[3].contains("without bndbox") && bad[4].contains("ymin")
    );
    let text = message(open(dir.path(), &OpenOptions::default()));
    assert!(text.contains("Annotations/e.xml:2") && text.contains("and 2 more"), "{text}");
}

#[test]
fn flags_marks_and_other_encodings() {
    let mut traps = Traps::default();
    let text = "<annotation><object><name>a</name><difficult>1</difficult><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2.5</xmax>\
                <ymax>3</ymax></bndbox><part><name>head</name><bndbox><xmin>9</xmin></bndbox></part></object></annotation>";
    let parsed = parse(text, "a.xml", &mut traps).unwrap();
    assert!(parsed.boxes.len() == 1 && parsed.boxes[0].difficult && traps.is_empty());
    assert_eq!(parsed.boxes[0].place, Place::Corners([1.0, 1.0, 2.5, 3.0]));
    // Entities that grow, and what is no XML.
    let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><annotation>&b;</annotation>";
    assert!(parse(bomb, "a.xml", &mut traps).is_err());
    assert!(parse("", "a.xml", &mut traps).is_err());
    assert!(parse(&"<a>".repeat(100_000), "a.xml", &mut traps).is_err());
}
