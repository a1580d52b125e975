use super::*;
use crate::data::boxes::testing::picture;
use crate::data::testing::message;

/// The formula in f64, at one place, with no loop in common with the code.
fn expected(image: &RgbImage, [h, w]: [usize; 2], [c, y, x]: [usize; 3]) -> f64 {
    let at = |i: usize, n: usize, from: u32| {
        if n == 1 { f64::from(from - 1) } else { i as f64 * f64::from(from - 1) / (n - 1) as f64 }
    };
    let (sx, sy) = (at(x, w, image.width()), at(y, h, image.height()));
    let value = |x: f64, y: f64| f64::from(image.get_pixel(x as u32, y as u32)[c]);
    let (x0, y0) = (sx.floor(), sy.floor());
    let (x1, y1) = (sx.ceil(), sy.ceil());
    let (dx, dy) = (sx - x0, sy - y0);
    (1.0 - dy) * ((1.0 - dx) * value(x0, y0) + dx * value(x1, y0))
        + dy * ((1.0 - dx) * value(x0, y1) + dx * value(x1, y1))
}

#[test]
fn stretching_follows_the_formula() {
    for (size, input) in [
        ([37, 23], [16, 16]),
        ([5, 9], [31, 14]),
        ([1, 1], [3, 2]),
        ([8, 1], [1, 8]),
        ([4, 6], [1, 1]),
        ([640, 48], [20, 33]),
    ] {
        let image = picture(size[0], size[1]);
        let mut out = vec![0; 3 * input[0] * input[1]];
        Resize::Stretch.write(&image, input, &mut out).unwrap();
        for c in 0..3 {
            for y in 0..input[0] {
                for x in 0..input[1] {
                    let want = expected(&image, input, [c, y, x]);
                    let got = f64::from(out[(c * input[0] + y) * input[1] + x]);
                    // Half a step of rounding, and what f32 loses.
                    assert!((want - got).abs() < 0.5 + 1e-3, "{size:?} {input:?} {c} {y} {x}: {want} {got}");
                }
            }
        }
    }
}

/// Bytes are the floats rounded, grey included.
#[test]
fn floats_are_not_rounded() {
    for rule in [Resize::Stretch, Resize::Letterbox] {
        let (image, input) = (picture(37, 23), [16, 20]);
        let (mut bytes, mut floats) = (vec![0; 3 * 320], vec![f32::NAN; 3 * 320]);
        rule.write(&image, input, &mut bytes).unwrap();
        rule.write_floats(&image, input, &mut floats).unwrap();
        let rounded: Vec<u8> = floats.iter().map(|value| (value * 255.0).round() as u8).collect();
        assert_eq!(bytes, rounded, "{rule}");
        assert!(floats.iter().any(|value| (value * 255.0).fract() != 0.0), "{rule}");
    }
    let (mut floats, input) = (vec![f32::NAN; 3 * 16 * 16], [16, 16]);
    Resize::Stretch.write_floats(&picture(37, 23), input, &mut floats).unwrap();
    let want = expected(&picture(37, 23), input, [1, 7, 9]) / 255.0;
    assert!((f64::from(floats[(16 + 7) * 16 + 9]) - want).abs() < 1e-6);
    Resize::Letterbox.write_floats(&picture(37, 23), input, &mut floats).unwrap();
    assert_eq!(floats[0], 0.5);
}

#[test]
fn the_same_size_keeps_every_pixel() {
    let image = picture(13, 7);
    let mut out = vec![0; 3 * 13 * 7];
    Resize::Stretch.write(&image, [7, 13], &mut out).unwrap();
    let planes: Vec<u8> =
        (0..3).flat_map(|c| image.pixels().map(move |p| p[c]).collect::<Vec<_>>()).collect();
    assert_eq!(out, planes);
}

#[test]
fn letterboxes_are_darknets() {
    // 640x480 into 416x416: 416 wide, 480 * 416 / 640 = 312 high, 52 above. Into 100x301: 160 * 100 / 213 = 75.1 wide.
    let wide = Resize::Letterbox.place([640, 480], [416, 416]);
    assert_eq!(wide, Place { left: 0, top: 52, width: 416, height: 312 });
    let tall = Resize::Letterbox.place([160, 213], [100, 301]);
    assert_eq!(tall, Place { left: 113, top: 0, width: 75, height: 100 });
    assert_eq!(Resize::Letterbox.place([10_000, 1], [8, 8]).height, 1);

    let image = picture(8, 4);
    let mut out = vec![7; 3 * 64];
    Resize::Letterbox.write(&image, [8, 8], &mut out).unwrap();
    assert!(out[..16].iter().all(|&v| v == 128) && out[48..64].iter().all(|&v| v == 128));
    assert_eq!(out[16], image.get_pixel(0, 0)[0]);
    assert_eq!(out[64 + 47], image.get_pixel(7, 3)[1]);
}

#[test]
fn a_frame_takes_the_input_back_to_the_image() {
    assert_eq!(Resize::Stretch.frame([640, 480], [416, 320]), [0.0, 0.0, 640.0, 480.0]);
    let [left, top, width, height] = Resize::Letterbox.frame([640, 480], [416, 416]);
    assert_eq!([left, width], [0.0, 640.0]);
    // The image's upper edge is at 52 of 416 rows, its lower one at 364.
    assert!(
        (top + height * 52.0 / 416.0).abs() < 1e-4 && (top + height * 364.0 / 416.0 - 480.0).abs() < 1e-4
    );
}

#[test]
fn what_does_not_fit_is_refused() {
    let text = message(Resize::Stretch.write(&picture(2, 2), [4, 4], &mut [0; 47]));
    assert!(text.contains("2x2") && text.contains("47"), "{text}");
    assert!(message("pad".parse::<Resize>()).contains("letterbox"));
    assert_eq!("stretch".parse::<Resize>().unwrap().to_string(), "stretch");
}
