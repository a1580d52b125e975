//! The label file of one image.

use std::path::Path;

use super::super::label::{At, Place, RawBox, RawClass};
use super::super::text::{number, relative, short, small_text, why};
use super::super::traps::{Trap, Traps};

/// A label file has at most so many bytes.
const MAX_BYTES: u64 = 16 << 20;

/// The boxes of a label file. Lines that can't be read are counted, and the others are kept.
pub(super) fn read(root: &Path, path: &Path, traps: &mut Traps) -> Vec<RawBox> {
    let place = relative(root, path);
    let text = match path.metadata() {
        // Files without a box are empty: what `files` refuses.
        Ok(meta) if meta.is_file() && meta.len() == 0 => Ok(String::new()),
        _ => small_text(path, "a label file", MAX_BYTES, &place, traps).map_err(|e| why(path, &e)),
    };
    match text.map(|text| parse(&text, &place, traps)) {
        Ok((boxes, lines)) => {
            if lines == 0 {
                traps.add(Trap::EmptyLabels, || place);
            }
            boxes
        }
        Err(why) => {
            traps.add(Trap::BadLabel, || format!("{place} ({why})"));
            Vec::new()
        }
    }
}

/// The boxes of a text, and its lines that are not blank.
pub(super) fn parse(text: &str, place: &str, traps: &mut Traps) -> (Vec<RawBox>, usize) {
    let (mut boxes, mut lines) = (Vec::new(), 0);
    if text.contains('\t') {
        traps.add(Trap::Tabs, || place.to_string());
    }
    for (k, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        lines += 1;
        let at = || format!("{place}:{}", k + 1);
        match box_of(line) {
            Ok((class, point, shares)) => {
                if point {
                    traps.add(Trap::FloatClass, at);
                }
                if shares.1 {
                    traps.add(Trap::Polygon, at);
                }
                boxes.push(RawBox {
                    place: Place::Shares(shares.0),
                    class: RawClass::Number(class),
                    at: At::Line(u32::try_from(k + 1).unwrap_or(u32::MAX)),
                    area: None,
                    crowd: false,
                    difficult: false,
                });
            }
            Err(why) => traps.add(Trap::BadLabel, || format!("{} ({why})", at())),
        }
    }
    (boxes, lines)
}

/// Centre and sides in shares of the image, and whether they are of an outline.
type Shares = ([f64; 4], bool);

/// The class of a line, whether it has a decimal point, and its box.
fn box_of(line: &str) -> Result<(usize, bool, Shares), String> {
    let mut words = line.split_ascii_whitespace();
    let class = words.next().ok_or("an empty line")?;
    let values = words.map(number).collect::<Result<Vec<f64>, String>>()?;
    let (class, point) = match class.parse::<usize>() {
        Ok(class) => (class, false),
        Err(_) => match number(class) {
            Ok(value) if value >= 0.0 && value.fract() == 0.0 => (value as usize, true),
            _ => return Err(format!("expected a class number first, found \"{}\"", short(class))),
        },
    };
    let shares = match values[..] {
        [x, y, w, h] if w < 0.0 || h < 0.0 => {
            return Err(format!("expected a width and height of 0 or more, found {w} {h} at {x} {y}"));
        }
        [x, y, w, h] => ([x, y, w, h], false),
        // An outline, or the four corners of a turned box.
        _ if values.len() >= 6 && values.len().is_multiple_of(2) => (around(&values), true),
        _ => {
            let hint = if values.len() == 5 { ": is the last one a score?" } else { "" };
            return Err(format!(
                "expected a class and 4 numbers, or at least 3 corners, found {} numbers after the class{hint}",
                values.len()
            ));
        }
    };
    Ok((class, point, shares))
}

/// The box around corners x, y.
fn around(corners: &[f64]) -> [f64; 4] {
    let span = |from: usize| {
        let values = corners.iter().skip(from).step_by(2);
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &v| (low.min(v), high.max(v)))
    };
    let ((left, right), (top, bottom)) = (span(0), span(1));
    [(left + right) / 2.0, (top + bottom) / 2.0, right - left, bottom - top]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_boxes() {
        let mut traps = Traps::default();
        let text = "0 0.5 0.5 0.25 0.5\n\n1.0\t0.1 0.2 0.1 0.1\n2 0 0 0.5 0 0.25 1\n";
        let (boxes, lines) = parse(text, "a.txt", &mut traps);
        assert_eq!((boxes.len(), lines), (3, 3));
        assert_eq!(boxes[1].class, RawClass::Number(1));
        assert_eq!((boxes[1].at, boxes[2].at), (At::Line(3), At::Line(4)));
        assert_eq!(boxes[2].place, Place::Shares([0.25, 0.5, 0.5, 1.0]));
        assert_eq!(traps.places(Trap::FloatClass), ["a.txt:3"]);
        assert_eq!(traps.places(Trap::Polygon), ["a.txt:4"]);
        assert_eq!(traps.places(Trap::Tabs), ["a.txt"]);
        assert_eq!(traps.count(Trap::BadLabel), 0);
    }

    #[test]
    fn what_is_no_box_is_named() {
        for (line, says) in [
            ("0 0.5 0.5 0.25", "found 3 numbers"),
            ("0 0.5 0.5 0.25 0.5 0.9", "score"),
            ("dog 0.5 0.5 0.25 0.5", "class number first, found \"dog\""),
            ("-1 0.5 0.5 0.25 0.5", "class number"),
            ("0.5 0.5 0.5 0.25 0.5", "class number"),
            ("0,0.5,0.5,0.25,0.5", "class number"),
            ("0 nan 0.5 0.25 0.5", "\"nan\""),
            ("0 0.5 0.5 -0.25 0.5", "of 0 or more"),
            ("99999999999999999999999 0.5 0.5 0.25 0.5", "class number"),
        ] {
            let mut traps = Traps::default();
            let (boxes, _) = parse(&format!("0 .5 .5 .1 .1\n{line}"), "a.txt", &mut traps);
            assert_eq!(boxes.len(), 1, "{line}");
            let place = &traps.places(Trap::BadLabel)[0];
            assert!(place.starts_with("a.txt:2") && place.contains(says), "{place}");
        }
    }
}
