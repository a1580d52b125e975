//! Augmented images with boxes: boxes lie on what they are of, the same key gives the same bits, and PyTorch and `colorsys` make
//! the same of the same random numbers.

mod common;

use common::fixture::{Fixture, mismatch};
use limbeck::gpu::Gpu;
use limbeck::ops::IGNORE_LABEL;
use limbeck::ops::augment::BoxAugment;
use limbeck::ops::augment_boxes::BoxBatch;
use limbeck::rng::Stream;
use limbeck::tape::{Plan, Step, Tape, Tensor};

/// What goes in, of N images.
#[derive(Clone)]
struct Given {
    pixels: Vec<u8>,
    ids: Vec<i32>,
    boxes: Vec<f32>,
    classes: Vec<i32>,
}

/// What comes out.
#[derive(Debug, Clone, PartialEq)]
struct Shown {
    images: Vec<f32>,
    boxes: Vec<f32>,
    classes: Vec<i32>,
}

impl Given {
    /// Runs the op.
    fn shown(&self, gpu: &Gpu, batch: &BoxBatch, step: Step) -> Shown {
        let (tape, n) = (Tape::new(), self.ids.len());
        let pixels = tape.input_i32("pixels", [self.pixels.len().div_ceil(4)]);
        let ids = tape.input_i32("ids", [n]);
        let boxes = tape.input("boxes", [n, self.classes.len() / n, 4]);
        let classes = tape.input_i32("classes", [n, self.classes.len() / n]);
        let out = Tensor::augment_boxes(&pixels, &ids, &boxes, &classes, batch).unwrap();
        let plan = Plan::new(gpu, &tape, &[&out.images, &out.boxes, &out.classes]).unwrap();
        let mut bytes = self.pixels.clone();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        let words: Vec<i32> =
            bytes.chunks_exact(4).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        plan.write(&pixels, &words).unwrap();
        plan.write(&ids, &self.ids).unwrap();
        plan.write(&boxes, &self.boxes).unwrap();
        plan.write(&classes, &self.classes).unwrap();
        plan.run(&step).unwrap();
        Shown {
            images: plan.read_f32(&out.images).unwrap(),
            boxes: plan.read_f32(&out.boxes).unwrap(),
            classes: plan.read_i32(&out.classes).unwrap(),
        }
    }
}

/// Images in which nothing is to be normalised.
fn batch([height, width]: [usize; 2], augment: BoxAugment) -> BoxBatch {
    BoxBatch { augment, ..BoxBatch::plain([height, width], [0.0; 3], [1.0; 3]) }
}

fn without_mosaic() -> BoxAugment {
    BoxAugment { mosaic: 0.0, ..BoxAugment::usual() }
}

const HEIGHT: usize = 72;
const WIDTH: usize = 88;
/// Seven images: each has its own of the colours that are all or nothing in each channel, but black.
const COLOURS: usize = 7;

/// Black images with one rectangle each, in image i of colour i + 1 (a bit a channel), of class i.
fn rectangles(seed: u64) -> Given {
    let mut random = Stream::new(seed, "rectangles");
    let mut given = Given { pixels: vec![], ids: vec![], boxes: vec![], classes: vec![] };
    for i in 0..COLOURS {
        let (w, h) = (16 + random.below(40), 16 + random.below(40));
        let (left, top) = (random.below(WIDTH - w + 1), random.below(HEIGHT - h + 1));
        let inside = |x: usize, y: usize| (left..left + w).contains(&x) && (top..top + h).contains(&y);
        for channel in 0..3 {
            let on = (i + 1) >> channel & 1 != 0;
            let pixel = |at: usize| if on && inside(at % WIDTH, at / WIDTH) { 255 } else { 0 };
            given.pixels.extend((0..HEIGHT * WIDTH).map(pixel));
        }
        let shares = [
            (left as f32 + w as f32 / 2.0) / WIDTH as f32,
            (top as f32 + h as f32 / 2.0) / HEIGHT as f32,
            w as f32 / WIDTH as f32,
            h as f32 / HEIGHT as f32,
        ];
        given.boxes.extend(shares);
        given.classes.push(i as i32);
        given.ids.push(1000 * seed as i32 + i as i32);
    }
    given
}

/// The edges, left, top, right and bottom, of the pixels of colour `i` + 1 that hang together with the one at `start`.
fn edges_of(image: &[f32], i: usize, start: [usize; 2]) -> Option<[f32; 4]> {
    let plane = HEIGHT * WIDTH;
    let is_it = |x: usize, y: usize| {
        let near = |c: usize| {
            let want = ((i + 1) >> c & 1) as f32;
            (image[c * plane + y * WIDTH + x] - want).abs() < 0.5
        };
        (0..3).all(near)
    };
    let mut seen = vec![false; plane];
    let mut todo = vec![start];
    let mut edges: Option<[f32; 4]> = None;
    while let Some([x, y]) = todo.pop() {
        if std::mem::replace(&mut seen[y * WIDTH + x], true) || !is_it(x, y) {
            continue;
        }
        let (fx, fy) = (x as f32, y as f32);
        let [l, t, r, b] = edges.unwrap_or([fx, fy, fx, fy]);
        edges = Some([l.min(fx), t.min(fy), r.max(fx + 1.0), b.max(fy + 1.0)]);
        todo.extend([[x.saturating_sub(1), y], [x, y.saturating_sub(1)]]);
        todo.extend([[(x + 1).min(WIDTH - 1), y], [x, (y + 1).min(HEIGHT - 1)]]);
    }
    edges
}

/// Rectangles that were looked at, and how many of them were cut at an edge.
fn check_rectangles(given: &Given, shown: &Shown) -> [usize; 2] {
    let (mut looked_at, mut cut) = (0, 0);
    let places = shown.classes.len() / COLOURS;
    for n in 0..COLOURS {
        let image = &shown.images[n * 3 * HEIGHT * WIDTH..][..3 * HEIGHT * WIDTH];
        let classes = &shown.classes[n * places..][..places];
        for (k, &class) in classes.iter().enumerate() {
            let found = &shown.boxes[(n * places + k) * 4..][..4];
            if class < 0 {
                assert_eq!((class, found), (IGNORE_LABEL, &[0.0; 4][..]));
                continue;
            }
            // Twice the same image, and their rectangles might hang together.
            if classes.iter().filter(|c| **c == class).count() > 1 {
                continue;
            }
            let (w, h) = (WIDTH as f32, HEIGHT as f32);
            let want = [
                (found[0] - found[2] / 2.0) * w,
                (found[1] - found[3] / 2.0) * h,
                (found[0] + found[2] / 2.0) * w,
                (found[1] + found[3] / 2.0) * h,
            ];
            let start = [(found[0] * w) as usize, (found[1] * h) as usize];
            let got = edges_of(image, class as usize, start).expect("the colour of the box in its middle");
            let near = got.iter().zip(want).all(|(got, want)| (got - want).abs() <= 1.5);
            assert!(near, "image {n}, box {k}: the colour ends at {got:?}, the box at {want:?}");
            looked_at += 1;
            let given = &given.boxes[class as usize * 4..][..4];
            cut += usize::from(((found[2] / found[3]) / (given[2] / given[3]) - 1.0).abs() > 0.1);
        }
    }
    [looked_at, cut]
}

#[test]
fn boxes_lie_on_what_they_are_of() {
    let gpu = common::gpu();
    for augment in [BoxAugment::usual(), without_mosaic()] {
        // Other colours would be taken for another image's.
        let batch = batch([HEIGHT, WIDTH], BoxAugment { hsv: [0.0; 3], ..augment });
        let (mut looked_at, mut cut) = (0, 0);
        for seed in 0..8 {
            let given = rectangles(seed);
            let shown = given.shown(&gpu, &batch, Step::new(0, seed));
            let [n, c] = check_rectangles(&given, &shown);
            (looked_at, cut) = (looked_at + n, cut + c);
        }
        assert!(looked_at > 40 && cut > 4, "{augment:?}: {looked_at} rectangles, {cut} of them cut");
    }
}

#[test]
fn the_key_gives_the_bits() {
    let gpu = common::gpu();
    let given = rectangles(1);
    let usual = batch([HEIGHT, WIDTH], BoxAugment::usual());
    let shown = |step| given.shown(&gpu, &usual, step);
    let first = shown(Step::new(3, 7));
    assert_eq!(first, shown(Step::new(3, 7)), "the same once more");
    assert_eq!(first, shown(Step::new(4, 7)), "a later step of the same epoch");
    let mut later = Step::new(3, 7);
    later.epoch = 1;
    for (step, what) in [
        (Step::new(3, 8), "another seed"),
        (Step::new(3, 7 | 1 << 40), "a seed whose upper word is another"),
        (later, "another epoch"),
    ] {
        let other = shown(step);
        let equal = first.images.iter().zip(&other.images).filter(|(a, b)| a == b).count();
        assert!(equal < first.images.len() * 2 / 3 && other.boxes != first.boxes, "{what}: {equal} equal");
    }
}

/// Without mosaics a sample's view does not depend on the batch.
#[test]
fn samples_keep_their_views_in_another_order() {
    let gpu = common::gpu();
    let given = rectangles(2);
    let mut turned = given.clone();
    let plane = 3 * HEIGHT * WIDTH;
    turned.pixels.rotate_left(2 * plane);
    turned.ids.rotate_left(2);
    turned.boxes.rotate_left(8);
    turned.classes.rotate_left(2);
    let single = batch([HEIGHT, WIDTH], without_mosaic());
    let mut first = given.shown(&gpu, &single, Step::new(0, 5));
    first.images.rotate_left(2 * plane);
    first.boxes.rotate_left(8);
    first.classes.rotate_left(2);
    assert!(first == turned.shown(&gpu, &single, Step::new(0, 5)), "other views in another order");
}

#[test]
fn settings_of_nothing_decode_and_no_more() {
    let gpu = common::gpu();
    let given = rectangles(3);
    let plain = BoxBatch::plain([HEIGHT, WIDTH], [0.4, 0.5, 0.6], [0.2, 0.3, 0.4]);
    let shown = given.shown(&gpu, &plain, Step::new(0, 5));
    let plane = HEIGHT * WIDTH;
    let want = |(i, &byte): (usize, &u8)| {
        let c = i / plane % 3;
        (f32::from(byte) / 255.0 - plain.mean[c]) / plain.std[c]
    };
    let want: Vec<f32> = given.pixels.iter().enumerate().map(want).collect();
    assert_eq!(mismatch(&shown.images, &want, 1e-6), None);
    assert_eq!((&shown.boxes, &shown.classes), (&given.boxes, &given.classes));

    // The augmenting kernel where chance leaves every image as it is: the same bits as the kernel that only decodes.
    let never = BoxBatch { augment: BoxAugment { flip: 1e-9, ..Default::default() }, ..plain.clone() };
    let unmoved = given.shown(&gpu, &never, Step::new(0, 5));
    assert!(unmoved.images == shown.images, "decoded otherwise where nothing moves");
    assert_eq!(unmoved.classes, given.classes);
    assert_eq!(mismatch(&unmoved.boxes, &given.boxes, 1e-6), None);
}

#[test]
fn the_last_epochs_have_no_mosaics() {
    let gpu = common::gpu();
    let given = rectangles(4);
    let usual = batch([HEIGHT, WIDTH], BoxAugment::usual());
    let until = |epochs| BoxBatch { mosaic_epochs: Some(epochs), ..usual.clone() };
    let mut step = Step::new(0, 9);
    step.epoch = 3;
    let run = |batch: &BoxBatch| given.shown(&gpu, batch, step);
    assert!(run(&until(4)) == run(&usual), "the epoch before the last one changes");
    let ended = run(&until(3));
    let single = run(&batch([HEIGHT, WIDTH], without_mosaic()));
    assert!(ended.images == single.images, "mosaics that ended are not single images");
    for (n, classes) in ended.classes.chunks_exact(4).enumerate() {
        assert_eq!(classes, [single.classes[n], IGNORE_LABEL, IGNORE_LABEL, IGNORE_LABEL]);
        assert_eq!(ended.boxes[16 * n..16 * n + 4], single.boxes[4 * n..4 * n + 4]);
    }
}

/// tests/fixtures/augment_boxes.py draws the same numbers and does the rest by other means.
#[test]
fn pytorch_and_colorsys_make_the_same() {
    let gpu = common::gpu();
    let fixture = Fixture::load("augment_boxes");
    let numbers = |value: &serde_json::Value| -> [f32; 3] { serde_json::from_value(value.clone()).unwrap() };
    let mut step = Step::new(17, fixture.json["seed"].as_u64().unwrap());
    step.epoch = fixture.json["epoch"].as_u64().unwrap() as u32;
    let cases = fixture.json["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 4);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let key = |tensor: &str| format!("{name}/{tensor}");
        let [height, width] = ["height", "width"].map(|key| case[key].as_u64().unwrap() as usize);
        let mut settings = case.clone();
        settings.as_object_mut().unwrap().retain(|key, _| !["name", "height", "width"].contains(&&**key));
        let augment: BoxAugment = serde_json::from_value(settings).unwrap();
        let [mean, std] = ["mean", "std"].map(|key| numbers(&fixture.json[key]));
        let batch = BoxBatch { augment, ..BoxBatch::plain([height, width], mean, std) };
        let given = Given {
            pixels: fixture.bytes(&key("pixels")).to_vec(),
            ids: fixture.i32s(&key("ids")),
            boxes: fixture.f32s(&key("boxes")),
            classes: fixture.i32s(&key("classes")),
        };
        let shown = given.shown(&gpu, &batch, step);
        assert_eq!(shown.classes, fixture.i32s(&key("moved_classes")), "{name}: classes");
        assert_eq!(mismatch(&shown.boxes, &fixture.f32s(&key("moved")), 1e-5), None, "{name}: boxes");
        // The kernel counts places in 2^-18 of a pixel.
        let images = mismatch(&shown.images, &fixture.f32s(&key("images")), 2e-4);
        assert_eq!(images, None, "{name}: images");
    }
}

#[test]
fn what_does_not_fit_is_refused_in_words() {
    let tape = Tape::new();
    let (pixels, ids) = (tape.input_i32("pixels", [2 * 3 * 8 * 8 / 4]), tape.input_i32("ids", [2]));
    let (boxes, classes) = (tape.input("boxes", [2, 5, 4]), tape.input_i32("classes", [2, 5]));
    let refused = |inputs: [&Tensor; 4], batch: &BoxBatch| {
        let [pixels, ids, boxes, classes] = inputs;
        let refused = Tensor::augment_boxes(pixels, ids, boxes, classes, batch);
        refused.expect_err("refused").to_string()
    };
    let usual = batch([8, 8], BoxAugment::usual());
    let plain = batch([8, 8], BoxAugment::default());
    for batch in [&usual, &plain] {
        assert!(Tensor::augment_boxes(&pixels, &ids, &boxes, &classes, batch).is_ok());
        let few = tape.input_i32("few", [95]);
        assert!(refused([&few, &ids, &boxes, &classes], batch).contains("96 words i32 of packed pixels"));
        assert!(refused([&pixels, &classes, &boxes, &classes], batch).contains("sample ids i32 (N)"));
        let five = tape.input("five", [2, 5, 5]);
        assert!(refused([&pixels, &ids, &five, &classes], batch).contains("boxes f32 (2, M, 4)"));
        let none = tape.input("none", [2, 0, 4]);
        assert!(refused([&pixels, &ids, &none, &classes], batch).contains("M of at least 1"));
        assert!(refused([&pixels, &ids, &boxes, &ids], batch).contains("of the boxes"));
        let all = [&pixels, &ids, &boxes, &classes];
        let wrong = BoxBatch { std: [0.2, 0.0, 0.2], ..batch.clone() };
        assert!(refused(all, &wrong).contains("positive finite stds"));
        assert!(refused(all, &BoxBatch { width: 0, ..batch.clone() }).contains("from 1 to 4096"));
    }
    let wrong = batch([8, 8], BoxAugment { flip: 2.0, ..BoxAugment::usual() });
    let message = refused([&pixels, &ids, &boxes, &classes], &wrong);
    assert!(message.contains("flip") && message.contains("from 0 to 1"), "{message}");
}
