//! What the f64 references of several ops know of boxes.

/// A box as (centre x, centre y, width, height).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Frame {
    pub centre: [f64; 2],
    pub sides: [f64; 2],
}

impl Frame {
    /// Of four numbers of an array.
    pub fn at(data: &[f64], row: usize) -> Self {
        let b = &data[4 * row..4 * row + 4];
        Self { centre: [b[0], b[1]], sides: [b[2], b[3]] }
    }

    pub fn is_empty(&self) -> bool {
        self.sides.iter().any(|side| *side <= 0.0)
    }

    pub fn area(&self) -> f64 {
        self.sides[0] * self.sides[1]
    }

    fn low(&self, axis: usize) -> f64 {
        self.centre[axis] - self.sides[axis] / 2.0
    }

    fn high(&self, axis: usize) -> f64 {
        self.centre[axis] + self.sides[axis] / 2.0
    }

    pub fn intersection(&self, other: &Self) -> f64 {
        let side = |a| (self.high(a).min(other.high(a)) - self.low(a).max(other.low(a))).max(0.0);
        side(0) * side(1)
    }

    /// Width and height of the smallest box around both.
    pub fn around(&self, other: &Self) -> [f64; 2] {
        [0, 1].map(|a| self.high(a).max(other.high(a)) - self.low(a).min(other.low(a)))
    }

    /// Squared distance of the centres by the squared diagonal of the box around both.
    pub fn distance_share(&self, other: &Self) -> f64 {
        let squared = |sides: [f64; 2]| sides[0] * sides[0] + sides[1] * sides[1];
        squared([0, 1].map(|a| self.centre[a] - other.centre[a])) / squared(self.around(other))
    }

    /// The area of both together.
    pub fn union(&self, other: &Self) -> f64 {
        self.area() + other.area() - self.intersection(other)
    }

    /// Intersection by union; 0 where either has no area.
    pub fn iou(&self, other: &Self) -> f64 {
        if self.is_empty() || other.is_empty() { 0.0 } else { self.intersection(other) / self.union(other) }
    }
}
