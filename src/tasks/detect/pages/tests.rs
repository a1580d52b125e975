use super::*;
use crate::data::Split;
use crate::data::boxes::{SetOptions, shapes};
use crate::tasks::detect::{Found, MapKind, SCORE, Truth};

/// Two generated images: in the first everything is found, in the second nothing and a box that is not there.
fn example() -> (Gathered, BoxSet) {
    let options = SetOptions { size: [64, 64], ..Default::default() };
    let set = shapes::generate(Split::Test, 2, 64, 1, &options).unwrap();
    let mut gathered = Gathered::default();
    for (place, image) in set.images().enumerate() {
        let truths: Vec<Truth> = image
            .boxes
            .iter()
            .map(|b| Truth { bounds: b.bounds, class: b.class, area: 1.0, crowd: false, difficult: false })
            .collect();
        let found: Vec<Found> = match place {
            0 => truths.iter().map(|t| Found { bounds: t.bounds, class: t.class, score: 0.9 }).collect(),
            _ => vec![Found { bounds: [0.0, 0.0, 3.0, 3.0], class: 0, score: 0.8 }],
        };
        gathered.add(&truths, &found);
    }
    (gathered, set)
}

#[test]
fn a_page_shows_classes_curves_confusions_and_pictures() {
    let (gathered, set) = example();
    let names = set.class_names().to_vec();
    let result = gathered.measure(MapKind::Voc, SCORE, &names).unwrap();
    let sections = sections(&result, &gathered, &set).unwrap();
    let titles: Vec<&str> = sections.iter().map(|section| section.title.as_str()).collect();
    assert_eq!(titles, ["Classes", "Precision and recall", "Which was taken for which", "Pictures"]);
    let [classes, curves, confusion, pictures] = &sections[..] else { panic!("{titles:?}") };
    assert!(names.iter().all(|name| classes.html.contains(&format!("row\">{name}<"))), "{}", classes.html);
    assert!(curves.html.contains("M") && curves.html.contains("recall"));
    assert_eq!(confusion.html.matches("<tr>").count(), names.len() + 2);
    let missed = set.image(1).unwrap().boxes.len();
    // The one with mistakes first.
    let worst = pictures.html.find(&format!("{missed} of {missed} missed, 1 wrong")).expect("the second");
    let best = pictures.html.find("0 of").expect("the first");
    assert!(worst < best && pictures.html.matches("data:image/jpeg;base64,/9j/").count() == 2);
}

#[test]
fn many_classes_are_listed_and_names_are_escaped() {
    let mut gathered = Gathered::default();
    let truth = Truth { bounds: [0., 0., 9., 9.], class: 15, area: 81.0, crowd: false, difficult: false };
    gathered.add(&[truth], &[Found { bounds: [0., 0., 9., 9.], class: 3, score: 0.9 }]);
    let names: Vec<String> = (0..16).map(|k| format!("<b>{k}")).collect();
    let result = gathered.measure(MapKind::Coco, SCORE, &names).unwrap();
    let html = confusion::section(&result).html;
    assert!(html.contains("&lt;b&gt;15</th>") && html.contains("&lt;b&gt;3</span>"), "{html}");
    assert!(!html.contains("<b>") && !curves::section(&result.classes).html.contains("<b>"));
}
