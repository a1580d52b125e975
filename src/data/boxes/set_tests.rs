use std::sync::Arc;

use super::*;
use crate::data::boxes::Annotation;
use crate::data::boxes::testing::{jpeg, picture, png, tiny, with_exif};
use crate::data::boxes::{OpenOptions, open};
use crate::data::testing::{Scratch, message};
use crate::data::{Loader, LoaderConfig};

fn one(boxes: Vec<Annotation>, options: &SetOptions) -> Result<BoxSet> {
    let image = BoxImage::rgb("one", [40, 20], picture(40, 20).into_raw(), boxes)?;
    BoxSet::new("one", Split::Train, vec!["a".into(), "b".into()], vec![image], options)
}

fn batch(set: BoxSet, size: usize) -> crate::data::Batch {
    let config = LoaderConfig { prefetch: 0, ..LoaderConfig::in_order(size) };
    Loader::new(Arc::new(set), config).unwrap().epoch(0).next().unwrap().unwrap()
}

#[test]
fn fields_are_as_documented() {
    let crowd = Annotation { crowd: true, area: 7.0, ..Annotation::new([0.0, 0.0, 10.0, 10.0], 0) };
    let difficult = Annotation { difficult: true, ..Annotation::new([5.0, 5.0, 2.0, 4.0], 1) };
    // Reaches out of the image to the left.
    let learned = Annotation::new([-0.2, 5.0, 20.2, 10.0], 1);
    let options = SetOptions { size: [16, 32], places: Some(4), ..Default::default() };
    let batch = batch(one(vec![crowd, learned, difficult], &options).unwrap(), 1);
    let ignore = crate::data::IGNORE_LABEL;
    assert_eq!(batch.i32(BOX_CLASSES).unwrap(), [ignore, 1, ignore, ignore]);
    let boxes = batch.f32(BOXES).unwrap();
    assert_eq!(boxes[4..8], [0.25, 0.5, 0.5, 0.5]);
    assert_eq!(boxes[12..], [0.0; 4]);
    let truths = batch.f32(BOX_TRUTHS).unwrap();
    assert_eq!(truths[..8], [0.0, 0.0, 10.0, 10.0, 7.0, 0.0, 1.0, 0.0]);
    assert_eq!(truths[8..16], [-0.2, 5.0, 20.2, 10.0, 202.0, 1.0, 0.0, 0.0]);
    assert_eq!(truths[16..24], [5.0, 5.0, 2.0, 4.0, 8.0, 1.0, 0.0, 1.0]);
    assert_eq!(truths[24..], [0.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0]);
    assert_eq!(batch.f32(IMAGE_FRAME).unwrap(), [0.0, 0.0, 40.0, 20.0]);
}

#[test]
fn boxes_of_a_letterboxed_image_are_shares_of_the_input() {
    let options = SetOptions { size: [40, 40], resize: Resize::Letterbox, ..Default::default() };
    let drawn = [10.0, 0.0, 20.0, 20.0];
    let batch = batch(one(vec![Annotation::new(drawn, 0)], &options).unwrap(), 1);
    // The image is 40x20 pixels, 10 rows below the input's edge.
    assert_eq!(batch.f32(BOXES).unwrap(), [0.5, 0.5, 0.5, 0.5]);
    assert_eq!(batch.f32(IMAGE_FRAME).unwrap(), [0.0, -10.0, 40.0, 40.0]);
    // A share of the frame is a place in the image.
    let (&[x, y, w, h], &[left, top, wide, high]) = (
        batch.f32(BOXES).unwrap().first_chunk().unwrap(),
        batch.f32(IMAGE_FRAME).unwrap().first_chunk().unwrap(),
    );
    let back = [left + (x - w / 2.0) * wide, top + (y - h / 2.0) * high, w * wide, h * high];
    assert_eq!(back, drawn);
}

#[test]
fn pixels_are_the_resized_image_whether_kept_or_not() {
    let image = picture(40, 20);
    let mut expected = vec![0; 3 * 16 * 32];
    Resize::Stretch.write(&image, [16, 32], &mut expected).unwrap();
    for cache_bytes in [0, 1 << 20] {
        let options = SetOptions { size: [16, 32], cache_bytes, ..Default::default() };
        let set = one(vec![Annotation::new([0.0, 0.0, 4.0, 4.0], 0)], &options).unwrap();
        for _ in 0..2 {
            let batch = batch(set.clone(), 1);
            let bytes: &[u8] = bytemuck::cast_slice(batch.packed_u8(PIXELS).unwrap());
            assert_eq!(bytes, expected);
        }
        assert_eq!(set.cache[0].get().is_some(), cache_bytes > 0);
        assert_eq!(set.budget.load(Ordering::Relaxed), cache_bytes.saturating_sub(expected.len() as u64));
    }
}

#[test]
fn several_threads_give_what_one_gives() {
    let images = (0..9u32).map(|k| {
        let picture = picture(20 + k, 15);
        let bytes = if k % 2 == 0 { png(&picture) } else { jpeg(&picture) };
        BoxImage::encoded(format!("{k}"), bytes, vec![Annotation::new([1.0, 1.0, 5.0, 5.0], 0)]).unwrap()
    });
    let options = SetOptions { size: [12, 12], cache_bytes: 3 * 144 * 4, ..Default::default() };
    let images: Vec<BoxImage> = images.collect();
    // A set of its own each time: what one has decoded the other must not find.
    let all = |threads: usize| {
        let set = BoxSet::new("nine", Split::Train, vec!["a".into()], images.clone(), &options).unwrap();
        let config = LoaderConfig { threads: Some(threads), ..LoaderConfig::in_order(2) };
        let loader = Loader::new(Arc::new(set.clone()), config).unwrap();
        let batches: Vec<_> =
            (0..2).flat_map(|epoch| loader.epoch(epoch)).map(|batch| batch.unwrap()).collect();
        // The cache holds four of the nine.
        assert_eq!(set.cache.iter().filter(|kept| kept.get().is_some()).count(), 4);
        batches.iter().map(|batch| batch.packed_u8(PIXELS).unwrap().to_vec()).collect::<Vec<_>>()
    };
    let one = all(1);
    assert_eq!(one, all(4));
    assert_eq!(one[..5], one[5..]);
}

#[test]
fn a_fingerprint_tells_sets_apart() {
    let set = tiny(4);
    let same = tiny(4);
    assert_eq!(set.fingerprint(), same.fingerprint());
    let other_size = set.resized([8, 8], Resize::Stretch).unwrap();
    let other_rule = set.resized(set.size(), Resize::Letterbox).unwrap();
    let other_order = set.subset(&[1, 0, 2, 3]).unwrap();
    let mut moved: Vec<BoxImage> = set.images().cloned().collect();
    moved[2].boxes[0].bounds[0] += 0.5;
    let moved = set.with_images(set.classes.clone(), moved);
    let mut all = vec![&set, &other_size, &other_rule, &other_order, &moved];
    let mut prints: Vec<String> = all.drain(..).map(Source::fingerprint).collect();
    prints.sort();
    prints.dedup();
    assert_eq!(prints.len(), 5);
}

/// Upside down an image has the same size and the same bytes.
#[test]
fn a_fingerprint_tells_turned_images_from_those_as_stored() {
    let dir = Scratch::new();
    dir.write("images/1.jpg", with_exif(&jpeg(&picture(40, 20)), 3));
    dir.write("images/2.jpg", with_exif(&jpeg(&picture(40, 20)), 3));
    for name in ["labels/1.txt", "labels/2.txt"] {
        dir.write(name, "0 .5 .5 .5 .5\n");
    }
    let of = |upright: bool| {
        let options = OpenOptions { upright, holdout: 0.5, ..Default::default() };
        open(dir.path(), &options).unwrap().train
    };
    assert_eq!(of(true).image(0).unwrap().size(), of(false).image(0).unwrap().size());
    assert_eq!(of(true).fingerprint(), of(true).fingerprint());
    assert_ne!(of(true).fingerprint(), of(false).fingerprint());
}

#[test]
fn places_and_shapes() {
    assert_eq!(tiny(5).places(), 3);
    let boxes = vec![
        Annotation::new([0.0, 0.0, 20.0, 10.0], 0),
        Annotation { crowd: true, ..Annotation::new([0.0, 0.0, 4.0, 4.0], 0) },
    ];
    let options = SetOptions { size: [40, 40], ..Default::default() };
    assert_eq!(one(boxes.clone(), &options).unwrap().shapes(), [[20.0, 20.0]]);
    let options = SetOptions { resize: Resize::Letterbox, ..options };
    assert_eq!(one(boxes, &options).unwrap().shapes(), [[20.0, 10.0]]);
    assert_eq!(one(Vec::new(), &options).unwrap().places(), 1);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let options = SetOptions::default();
    let with = |bounds: [f32; 4], class: usize| message(one(vec![Annotation::new(bounds, class)], &options));
    assert!(with([0.0, 0.0, 1.0, 1.0], 2).contains("of class 2, but there are 2"));
    assert!(with([0.0, 0.0, 0.0, 1.0], 0).contains("width and height over 0"));
    assert!(with([f32::NAN, 0.0, 1.0, 1.0], 0).contains("finite"));
    for outside in [[41.0, 0.0, 1.0, 1.0], [39.9999, 0.0, 1.0, 1.0], [0.0, -5.0, 1.0, 5.0]] {
        assert!(with(outside, 0).contains("no width or height on its image"), "{outside:?}");
    }
    let none = BoxSet::new("none", Split::Train, vec!["a".into()], Vec::new(), &options);
    assert!(message(none).contains("at least one image"));
    let zero = SetOptions { size: [0, 4], ..Default::default() };
    assert!(message(one(Vec::new(), &zero)).contains("4x0"));
}
