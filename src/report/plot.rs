//! The area that a chart draws in: where a value lies, and the grid behind the lines and points.

use std::fmt::Write;

use super::axis::Axis;

/// Sizes of a chart and its margins, in SVG units.
pub struct Area {
    pub width: f64,
    pub height: f64,
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
}

impl Area {
    /// The attribute of the `svg` element.
    pub fn view_box(&self) -> String {
        format!("viewBox=\"0 0 {} {}\"", self.width, self.height)
    }

    /// Where the plot ends on the right.
    pub const fn right_end(&self) -> f64 {
        self.width - self.right
    }

    /// Where it ends below.
    pub const fn base(&self) -> f64 {
        self.height - self.bottom
    }

    /// The place of a value.
    pub fn place(&self, x: &Axis, y: &Axis, at: (f64, f64)) -> (f64, f64) {
        let (width, height) = (self.right_end() - self.left, self.base() - self.top);
        (self.left + x.at(at.0) * width, self.base() - y.at(at.1) * height)
    }

    /// Lines and labels of both axes, the name of the one below, and `more` in the same style.
    pub fn grid(&self, x: &Axis, y: &Axis, name: &str, more: &str) -> String {
        let (left, right, base) = (self.left, self.right_end(), self.base());
        let mut svg = String::from("<g class=\"grid\">");
        for (value, label) in &y.ticks {
            let (_, y) = self.place(x, y, (x.range().0, *value));
            let _ = write!(svg, "<path d=\"M{left} {y:.1}H{right}\"/>");
            let _ = write!(
                svg,
                "<text class=\"y\" x=\"{}\" y=\"{y:.1}\" dy=\".35em\">{label}</text>",
                left - 8.0
            );
        }
        for (value, label) in &x.ticks {
            let (x, _) = self.place(x, y, (*value, y.range().0));
            let _ = write!(svg, "<path class=\"tick\" d=\"M{x:.1} {base}v5\"/>");
            let _ = write!(svg, "<text class=\"x\" x=\"{x:.1}\" y=\"{}\">{label}</text>", base + 20.0);
        }
        let (middle, low) = ((left + right) / 2.0, self.height - 6.0);
        let _ = write!(svg, "<path class=\"base\" d=\"M{left} {base}H{right}\"/>");
        let _ = write!(svg, "<text class=\"x name\" x=\"{middle}\" y=\"{low}\">{name}</text>{more}</g>");
        svg
    }
}
