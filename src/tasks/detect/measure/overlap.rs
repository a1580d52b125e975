//! How much boxes overlap, in f64; boxes are left, top, width, height. 0 where a number is NaN or
//! infinite.

/// Width times height.
pub fn area(of: &[f32; 4]) -> f64 {
    f64::from(of[2]) * f64::from(of[3])
}

/// What two boxes share of what they cover together.
pub fn iou(a: &[f32; 4], b: &[f32; 4]) -> f64 {
    let shared = shared(a, b);
    if shared > 0.0 { shared / (area(a) + area(b) - shared) } else { 0.0 }
}

/// What share of a box lies within another.
pub fn inside(of: &[f32; 4], within: &[f32; 4]) -> f64 {
    let shared = shared(of, within);
    if shared > 0.0 { shared / area(of) } else { 0.0 }
}

fn shared(a: &[f32; 4], b: &[f32; 4]) -> f64 {
    // The smaller of NaN and a number is the number.
    if !a.iter().chain(b).all(|side| side.is_finite()) {
        return 0.0;
    }
    let side = |k: usize| {
        let (a_start, b_start) = (f64::from(a[k]), f64::from(b[k]));
        let (a_end, b_end) = (f64::from(a[k + 2]) + a_start, f64::from(b[k + 2]) + b_start);
        a_end.min(b_end) - a_start.max(b_start)
    };
    let (width, height) = (side(0), side(1));
    if width > 0.0 && height > 0.0 { width * height } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_boxes() {
        let (a, b) = ([0.0, 0.0, 4.0, 2.0], [2.0, 1.0, 4.0, 2.0]);
        assert_eq!(iou(&a, &b), 2.0 / 14.0);
        assert_eq!(inside(&a, &[-1.0, -1.0, 3.0, 10.0]), 0.5);
        assert_eq!([iou(&a, &a), iou(&a, &[4.0, 0.0, 1.0, 1.0]), area(&a)], [1.0, 0.0, 8.0]);
    }

    #[test]
    fn what_is_no_box_overlaps_nothing() {
        let a = [0.0, 0.0, 4.0, 2.0];
        let (nan, inf) = (f32::NAN, f32::INFINITY);
        for b in [[nan, 0.0, 4.0, 2.0], [0.0, 0.0, nan, 2.0], [0.0, 0.0, -4.0, -2.0], [0.0, 0.0, 0.0, 0.0]] {
            assert_eq!([iou(&a, &b), iou(&b, &a), inside(&b, &a)], [0.0; 3], "{b:?}");
        }
        for b in [[-inf, 0.0, inf, 2.0], [0.0, 0.0, inf, inf], [0.0, 0.0, inf, 0.0]] {
            assert_eq!([iou(&a, &b), iou(&b, &b), inside(&b, &a)], [0.0; 3], "{b:?}");
        }
    }
}
