//! The roofline (Williams, Waterman and Patterson 2009): GFLOP/s by FLOPs a byte, under the adapter's two ceilings.

use std::fmt::Write;

use super::benchmark::Suite;
use super::results::{AdapterResults, Row};
use crate::report::{Area, Axis, POOL, escape, three_digits, time};

const AREA: Area = Area { width: 960.0, height: 440.0, left: 52.0, right: 16.0, top: 16.0, bottom: 48.0 };

/// What is told apart by colour: name, class, and how its groups begin.
const KINDS: [(&str, &str, &[&str]); 4] = [
    ("gemm and linear", POOL[0], &["gemm", "linear"]),
    ("convolution", POOL[1], &["conv"]),
    (
        "softmax, losses and norms",
        POOL[2],
        &["softmax", "loss", "cross_entropy", "kl_div", "cosine", "regression", "batch_norm", "layer_norm"],
    ),
    ("other ops", POOL[4], &[""]),
];

/// The plot with its legend; empty without a kernel that computes.
pub fn figure(adapter: &AdapterResults) -> String {
    let points: Vec<Point> = adapter.rows.iter().filter_map(Point::of).collect();
    let ceilings = &adapter.ceilings;
    let xs = points.iter().map(|p| p.x).chain([ceilings.ridge()]);
    let ys = points.iter().map(|p| p.y).chain([ceilings.gflops * 1.4]);
    let (Some(x), Some(y)) = (Axis::log(xs), Axis::log(ys)) else { return String::new() };
    if points.is_empty() {
        return String::new();
    }
    let plot = Plot { x, y };
    let unit = format!("<text x=\"{}\" y=\"{}\">GFLOP/s</text>", AREA.left + 6.0, AREA.top - 4.0);
    let mut svg = AREA.grid(&plot.x, &plot.y, "FLOPs a byte", &unit);
    for point in &points {
        svg.push_str(&plot.point(point));
    }
    svg.push_str(&plot.roof(ceilings.gflops, ceilings.gbs));
    format!(
        "{}<figure class=\"roofline\"><svg {} role=\"img\" aria-label=\"GFLOP/s by \
         FLOPs a byte\">{svg}</svg></figure>\n",
        legend(&points),
        AREA.view_box()
    )
}

struct Point<'a> {
    row: &'a Row,
    x: f64,
    y: f64,
    kind: usize,
}

impl<'a> Point<'a> {
    fn of(row: &'a Row) -> Option<Self> {
        let y = row.gflops.filter(|rate| row.suite == Suite::Kernels && *rate > 0.0 && row.bytes > 0)?;
        let begins = |kind: &(_, _, &[&str])| kind.2.iter().any(|part| row.group.starts_with(part));
        let kind = KINDS.iter().position(begins)?;
        Some(Self { row, x: row.flops as f64 / row.bytes as f64, y, kind })
    }
}

fn legend(points: &[Point<'_>]) -> String {
    let mut html = String::from("<ul class=\"legend\">\n");
    for (_, (name, class, _)) in KINDS.iter().enumerate().filter(|(i, _)| points.iter().any(|p| p.kind == *i))
    {
        let key = "<svg viewBox=\"0 0 22 8\"><circle class=\"kernel\" cx=\"11\" cy=\"4\" r=\"4\"/></svg>";
        let _ = writeln!(html, "<li class=\"{class}\">{key}{name}</li>");
    }
    html.push_str("</ul>\n");
    html
}

struct Plot {
    x: Axis,
    y: Axis,
}

impl Plot {
    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        AREA.place(&self.x, &self.y, (x, y))
    }

    /// The slope of the copy bandwidth up to the ridge, then the level of the multiply-adds.
    fn roof(&self, gflops: f64, gbs: f64) -> String {
        let (low, high) = self.x.range();
        // Where the slope enters the plot: at its left edge or at its lower one.
        let start = low.max(self.y.range().0 / gbs);
        let ridge = (gflops / gbs).min(high);
        let ((x1, y1), (x2, y2)) = (self.at(start, start * gbs), self.at(ridge, ridge * gbs));
        let (x3, y3) = self.at(high, gflops);
        let label = format!("{} GFLOP/s f32 multiply-adds", three_digits(gflops));
        let slope = format!("{} GB/s copy", three_digits(gbs));
        let turn = ((y2 - y1) / (x2 - x1)).atan().to_degrees();
        // Few kernels lie at the lower end of the slope.
        let (mx, my) = (x1 + 0.1 * (x2 - x1), y1 + 0.1 * (y2 - y1));
        format!(
            "<path class=\"ceiling\" d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}L{x3:.1} {y3:.1}\"/>\
             <text class=\"roof\" text-anchor=\"end\" x=\"{x3:.1}\" y=\"{:.1}\">{label}</text>\
             <text class=\"roof\" text-anchor=\"middle\" transform=\"translate({mx:.1} {my:.1}) rotate({turn:.1})\" \
             dy=\"-7\">{slope}</text>",
            y3 - 7.0
        )
    }

    fn point(&self, point: &Point<'_>) -> String {
        let (x, y) = self.at(point.x, point.y);
        let row = point.row;
        let about = format!(
            "{} {}\n{}: {} GFLOP/s, {} GB/s",
            row.group,
            row.name,
            time(row.median_ms),
            three_digits(point.y),
            row.gbs.map_or(String::new(), three_digits)
        );
        format!(
            "<circle class=\"kernel {}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.5\"><title>{}</title></circle>",
            KINDS[point.kind].1,
            escape(&about)
        )
    }
}
