//! Widths and heights compared at a common centre, as anchors are with boxes and with each other.

/// Intersection by union of two boxes of these widths and heights, both above 0, on one centre.
pub fn shape_iou(a: [f64; 2], b: [f64; 2]) -> f64 {
    let both = a[0].min(b[0]) * a[1].min(b[1]);
    both / (a[0] * a[1] + b[0] * b[1] - both)
}

/// The place of that of `shapes` which overlaps `shape` most, the first of equals, and by how much; (0, 0) where there are none.
pub fn nearest_shape(shape: [f64; 2], shapes: &[[f64; 2]]) -> (usize, f64) {
    let mut best = (0, 0.0);
    for (place, other) in shapes.iter().enumerate() {
        let share = shape_iou(shape, *other);
        if share > best.1 {
            best = (place, share);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_likest_shapes_is_found() {
        // 20 common of 40 + 24 - 20 and of 40 + 30 - 30.
        assert_eq!(shape_iou([4.0, 10.0], [4.8, 5.0]), 20.0 / 44.0);
        assert_eq!(
            nearest_shape([4.0, 10.0], &[[4.8, 5.0], [3.0, 10.0], [10.0, 4.0], [3.0, 10.0]]),
            (1, 0.75)
        );
        assert_eq!(nearest_shape([4.0, 10.0], &[]), (0, 0.0));
    }
}
