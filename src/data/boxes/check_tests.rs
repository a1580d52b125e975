use super::super::label::At;
use super::*;
use crate::data::boxes::testing::{encode, jpeg, picture, png, with_exif, write_pictures};
use crate::data::testing::Scratch;
use ::image::{DynamicImage, GrayImage, ImageFormat, RgbaImage};

fn raw(place: Place, class: RawClass) -> RawBox {
    RawBox { place, class, at: At::Line(3), area: None, crowd: false, difficult: false }
}

fn corners(corners: [f64; 4]) -> RawBox {
    raw(Place::Corners(corners), RawClass::Number(0))
}

/// The images of one listed file with these boxes, and what was odd.
fn checked(dir: &Scratch, image: &str, size: Option<[u32; 2]>, boxes: Vec<RawBox>) -> (Vec<BoxImage>, Traps) {
    let classes = ["a".to_string(), "b".to_string()];
    let numbers = [("a", 0), ("b", 1)].into_iter().collect();
    let checker =
        Checker { root: dir.path(), classes: &classes, numbers, tolerance: 0.01, upright: true, most: 4 };
    let labels = Some(dir.file("labels.txt").as_path().into());
    let mut traps = Traps::default();
    let listed = Listed { image: dir.file(image), labels, size, boxes };
    (checker.images(&[listed], &mut traps), traps)
}

/// What is odd about boxes of one image of 40x20 pixels, and those that remain.
fn boxes(raw: Vec<RawBox>) -> (Vec<Annotation>, Traps) {
    let dir = Scratch::new();
    write_pictures(&dir, &["a.png"]);
    let (mut images, traps) = checked(&dir, "a.png", None, raw);
    (images.remove(0).boxes, traps)
}

fn only(trap: Trap, count: usize, traps: &Traps) {
    assert_eq!(traps.kinds(), [trap], "{traps:?}");
    assert_eq!(traps.count(trap), count, "{traps:?}");
}

#[test]
fn every_way_of_writing_gives_pixels() {
    let same = [
        Place::Shares([0.5, 0.5, 0.5, 0.5]),
        Place::Corners([10.0, 5.0, 30.0, 15.0]),
        Place::Pixels([10.0, 5.0, 20.0, 10.0]),
    ];
    for place in same {
        let (boxes, traps) = boxes(vec![raw(place, RawClass::Name("b".into()))]);
        assert_eq!(boxes, [Annotation::new([10.0, 5.0, 20.0, 10.0], 1)], "{place:?}");
        assert!(traps.is_empty(), "{traps:?}");
    }
}

#[test]
fn points_are_left_out() {
    // The last two are on the image by less than what f32 or a label's last digit can say.
    let points = [
        [5.0, 5.0, 5.0, 9.0],
        [5.0, 5.0, 9.0, 5.0],
        [40.0, 5.0, 40.3, 9.0],
        [40.0 - 1e-8, 5.0, 40.3, 9.0],
        [5.0, 19.9995, 9.0, 20.1],
    ];
    for place in points {
        let (boxes, traps) = boxes(vec![corners(place), corners([1.0, 1.0, 2.0, 2.0])]);
        assert_eq!(boxes.len(), 1);
        only(Trap::Point, 1, &traps);
        assert!(traps.places(Trap::Point)[0].starts_with("labels.txt:3 ("), "{traps:?}");
    }
}

#[test]
fn corners_are_put_in_order() {
    let (boxes, traps) = boxes(vec![corners([30.0, 15.0, 10.0, 5.0])]);
    assert_eq!(boxes[0].bounds, [10.0, 5.0, 20.0, 10.0]);
    only(Trap::Reversed, 1, &traps);
}

#[test]
fn a_little_outside_is_clipped_and_more_is_refused() {
    let (kept, traps) = boxes(vec![corners([-0.4, 0.0, 40.4, 20.2])]);
    // Kept as the file has it: what is learned is clipped later.
    assert_eq!(kept[0].bounds, [-0.4, 0.0, 40.8, 20.2]);
    only(Trap::Clipped, 1, &traps);
    // Rounding is no oddity.
    let (_, traps) = boxes(vec![corners([-0.01, 0.0, 40.0, 20.0])]);
    assert!(traps.is_empty());
    for place in [[-0.5, 0.0, 4.0, 4.0], [0.0, -0.3, 4.0, 4.0], [0.0, 0.0, 40.5, 4.0], [0.0, 0.0, 4.0, 20.3]]
    {
        let (kept, traps) = boxes(vec![corners(place)]);
        assert!(kept.is_empty());
        only(Trap::Outside, 1, &traps);
        let text = traps.refuse(Path::new("set")).unwrap_err().to_string();
        assert!(text.contains(" % over a tolerance of 1 %)"), "{text}");
    }
    // Pixels where shares should be.
    let (_, traps) = boxes(vec![raw(Place::Shares([12.0, 9.0, 4.0, 4.0]), RawClass::Number(0))]);
    only(Trap::Outside, 1, &traps);
}

#[test]
fn the_same_box_counts_once_and_another_class_is_another() {
    let again = vec![
        corners([1.0, 1.0, 5.0, 5.0]),
        corners([1.0, 1.0, 5.0, 5.0]),
        raw(Place::Corners([1.0, 1.0, 5.0, 5.0]), RawClass::Number(1)),
    ];
    let (boxes, traps) = boxes(again);
    assert_eq!(boxes.len(), 2);
    only(Trap::Duplicate, 1, &traps);
}

#[test]
fn classes_that_are_not_there_are_refused() {
    for (class, trap) in [
        (RawClass::Number(2), Trap::ClassNumber),
        (RawClass::Number(usize::MAX), Trap::ClassNumber),
        (RawClass::Name("c".into()), Trap::ClassName),
    ] {
        let (boxes, traps) = boxes(vec![raw(Place::Corners([1.0, 1.0, 5.0, 5.0]), class)]);
        assert!(boxes.is_empty());
        only(trap, 1, &traps);
        assert!(traps.refuse(Path::new("set")).is_err());
    }
}

#[test]
fn crowds_and_difficult_ones_stay_and_are_counted() {
    let crowd = RawBox { crowd: true, area: Some(3.0), ..corners([1.0, 1.0, 5.0, 5.0]) };
    let difficult = RawBox { difficult: true, ..corners([2.0, 1.0, 5.0, 5.0]) };
    let (boxes, traps) = boxes(vec![crowd, difficult]);
    assert!(boxes[0].crowd && boxes[0].area == 3.0 && boxes[1].difficult && boxes[1].area == 12.0);
    assert_eq!(traps.kinds(), [Trap::Crowd, Trap::Difficult]);
}

#[test]
fn too_many_boxes_are_cut() {
    let many = (0..7).map(|k| corners([f64::from(k), 1.0, 20.0, 5.0])).collect();
    let (boxes, traps) = boxes(many);
    assert_eq!(boxes.len(), 4);
    only(Trap::TooMany, 3, &traps);
    assert!(traps.places(Trap::TooMany)[0].contains("7 boxes"));
}

#[test]
fn odd_images_are_counted() {
    let dir = Scratch::new();
    let plain = jpeg(&picture(40, 20));
    dir.write("grey.png", encode(&GrayImage::new(40, 20).into(), ImageFormat::Png));
    dir.write("clear.png", encode(&RgbaImage::new(40, 20).into(), ImageFormat::Png));
    dir.write(
        "deep.png",
        encode(&DynamicImage::ImageRgb16(::image::ImageBuffer::new(40, 20)), ImageFormat::Png),
    );
    dir.write("turned.jpg", with_exif(&plain, 6));
    dir.write("half.jpg", &plain[..plain.len() / 2]);
    dir.write("text.jpg", b"<html>no image");
    for (name, trap, left) in [
        ("grey.png", Trap::Grey, 1),
        ("clear.png", Trap::Alpha, 1),
        ("deep.png", Trap::Deep, 1),
        ("turned.jpg", Trap::Turned, 1),
        ("half.jpg", Trap::Damaged, 0),
        ("text.jpg", Trap::Damaged, 0),
    ] {
        let (images, traps) = checked(&dir, name, None, vec![corners([1.0, 1.0, 5.0, 5.0])]);
        assert_eq!(images.len(), left, "{name}");
        only(trap, 1, &traps);
        assert!(traps.places(trap)[0].starts_with(name), "{traps:?}");
        for image in images {
            assert_eq!(image.decode().unwrap().dimensions(), (image.size()[0], image.size()[1]));
        }
    }
}

#[test]
fn sizes_are_held_against_the_image() {
    let dir = Scratch::new();
    dir.write("plain.png", png(&picture(40, 20)));
    dir.write("turned.jpg", with_exif(&jpeg(&picture(40, 20)), 6));
    let of = |image: &str, size: [u32; 2]| {
        let (images, traps) = checked(&dir, image, Some(size), vec![corners([1.0, 1.0, 5.0, 5.0])]);
        (images[0].size(), traps)
    };
    assert!(of("plain.png", [40, 20]).1.is_empty());
    only(Trap::NoSize, 1, &of("plain.png", [0, 0]).1);
    only(Trap::OtherSize, 1, &of("plain.png", [20, 40]).1);
    let (size, traps) = of("turned.jpg", [20, 40]);
    only(Trap::Turned, 1, &traps);
    assert_eq!(size, [20, 40]);
    // Drawn on the image as it is stored: it stays so.
    let (size, traps) = of("turned.jpg", [40, 20]);
    only(Trap::LabelledUnturned, 1, &traps);
    assert_eq!(size, [40, 20]);
}
