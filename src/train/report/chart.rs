//! Line charts of the training curves: a light line for each seed, a strong one for their mean.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;

use super::{Curve, CurveKind, Report, Role};
use crate::report::{Area, Axis, escape, percent, stats, three_digits};
use crate::train::metrics::Split;

const AREA: Area = Area { width: 480.0, height: 300.0, left: 44.0, right: 12.0, top: 10.0, bottom: 44.0 };
/// A line keeps at most about twice as many vertices as this; more than the chart has pixels to show.
const MAX_BUCKETS: usize = 240;
/// Points of a mean line that show their value under the pointer.
const MAX_HOVER: usize = 48;

type Points = Vec<(f64, f64)>;

/// One figure for each measure and split that has curves.
pub fn figures(report: &Report, palette: &[(&str, String)]) -> String {
    let groups: BTreeSet<_> = report.curves.iter().map(|c| (c.kind, c.split)).collect();
    groups.into_iter().filter_map(|(kind, split)| figure(report, palette, kind, split)).collect()
}

fn figure(report: &Report, palette: &[(&str, String)], kind: CurveKind, split: Split) -> Option<String> {
    let curves: Vec<_> = report.curves.iter().filter(|c| (c.kind, c.split) == (kind, split)).collect();
    let finite =
        || curves.iter().flat_map(|c| &c.points).filter(|(x, y)| x.is_finite() && y.is_finite()).copied();
    let x = Axis::tight(finite().map(|p| p.0), 6)?;
    let teacher = teacher_line(report, kind, split);
    let y = match kind {
        CurveKind::Accuracy => {
            let values = settled(finite(), x.range());
            Axis::linear(values.into_iter().chain(teacher.map(|(_, v)| v)).map(|v| v * 100.0), 5)?
        }
        CurveKind::Loss => Axis::loss(finite().map(|p| p.1).collect::<Vec<_>>(), 5)?,
    };
    let name = title(kind, split);
    let unit = match kind {
        CurveKind::Accuracy => "%",
        CurveKind::Loss if y.is_log() => "log scale",
        CurveKind::Loss => "",
    };
    let frame = Frame { x, y, kind };
    let mut svg = AREA.grid(&frame.x, &frame.y, "epoch", "");
    let (mut seeds, mut means, mut hovers) = (String::new(), String::new(), String::new());
    for (label, class) in palette {
        let of: Vec<_> = curves.iter().filter(|c| c.label == *label).copied().collect();
        let mean = mean_points(&of);
        for curve in of.iter().filter(|_| of.len() > 1) {
            let strength = if mean.is_empty() { "mean" } else { "seed" };
            let about = format!("{label}, seed {}", curve.seed);
            seeds.push_str(&frame.line(&curve.points, &format!("{strength} {class}"), &about));
        }
        means.push_str(&frame.line(&mean, &format!("mean {class}"), label));
        hovers.push_str(&frame.hover_points(&mean, &of, class, label));
    }
    let reference = teacher.map(|(label, value)| frame.reference(label, value)).unwrap_or_default();
    // Lines that come from below the axis are cut at it: an inner svg clips without an id.
    let inner = format!("<svg width=\"{}\" height=\"{}\">", AREA.width, AREA.base() + 1.0);
    svg.extend([inner, reference, seeds, means, hovers, "</svg>".to_string()]);
    let unit = if unit.is_empty() { String::new() } else { format!(" <span>{unit}</span>") };
    Some(format!(
        "<figure><figcaption>{name}{unit}</figcaption>\n<svg {} role=\"img\" \
         aria-label=\"{name} by epoch\">{svg}</svg></figure>\n",
        AREA.view_box()
    ))
}

/// The accuracies the axis must cover: all from the first fifth of training on. The steep beginning may start below
/// the axis, or it would press the differences that matter into a few pixels.
fn settled(points: impl Iterator<Item = (f64, f64)> + Clone, (from, to): (f64, f64)) -> Vec<f64> {
    let start = from + 0.2 * (to - from);
    points.filter(|p| p.0 >= start).map(|p| p.1).collect()
}

/// The teacher's final accuracy, for the chart of the data it was measured on, when it has no curve there.
fn teacher_line(report: &Report, kind: CurveKind, split: Split) -> Option<(&str, f64)> {
    let measured_on = report.curves.iter().map(|c| c.split).filter(|s| *s != Split::Train).max()?;
    if kind != CurveKind::Accuracy || split != measured_on {
        return None;
    }
    let teacher = report.rows.iter().find(|r| r.role == Role::Teacher)?;
    let drawn = |c: &Curve| c.label == teacher.label && (c.kind, c.split) == (kind, split);
    if report.curves.iter().any(drawn) {
        return None;
    }
    Some((&teacher.label, teacher.mean_accuracy()?))
}

fn title(kind: CurveKind, split: Split) -> &'static str {
    match (kind, split) {
        (CurveKind::Accuracy, Split::Train) => "Training accuracy",
        (CurveKind::Accuracy, Split::Validation) => "Validation accuracy",
        (CurveKind::Accuracy, Split::Test) => "Test accuracy",
        (CurveKind::Loss, Split::Train) => "Training loss",
        (CurveKind::Loss, Split::Validation) => "Validation loss",
        (CurveKind::Loss, Split::Test) => "Test loss",
    }
}

/// The mean over seeds, at the epochs that every seed has. A seed without a finite value there makes a gap: a mean
/// over the others would hide that it diverged.
fn mean_points(curves: &[&Curve]) -> Points {
    let Some((first, rest)) = curves.split_first() else { return Points::new() };
    let rest: Vec<HashMap<u64, f64>> =
        rest.iter().map(|c| c.points.iter().map(|&(x, y)| (x.to_bits(), y)).collect()).collect();
    let mean_at = |&(x, y): &(f64, f64)| {
        let mut values = vec![y];
        for seed in &rest {
            values.push(*seed.get(&x.to_bits())?);
        }
        Some((x, stats::mean(&values)?))
    };
    first.points.iter().filter_map(mean_at).collect()
}

/// Accuracies are drawn in percent.
fn scaled(kind: CurveKind, value: f64) -> f64 {
    match kind {
        CurveKind::Accuracy => value * 100.0,
        CurveKind::Loss => value,
    }
}

struct Frame {
    x: Axis,
    y: Axis,
    kind: CurveKind,
}

impl Frame {
    fn place(&self, (x, y): (f64, f64)) -> (f64, f64) {
        AREA.place(&self.x, &self.y, (x, scaled(self.kind, y)))
    }

    /// A level line with its name at the right end.
    fn reference(&self, label: &str, accuracy: f64) -> String {
        let ((_, y), left, right) = (self.place((0.0, accuracy)), AREA.left, AREA.right_end());
        let label = escape(&label.chars().take(40).collect::<String>());
        let about = format!("{label}: {} %", percent(accuracy));
        format!(
            "<g class=\"reference\"><title>{about}</title><path d=\"M{left} {y:.1}H{right}\"/>\
             <text x=\"{right}\" y=\"{:.1}\">{about}</text></g>",
            if y > AREA.top + 14.0 { y - 6.0 } else { y + 15.0 }
        )
    }

    /// A path with a gap at every point that is not finite; a single point between gaps becomes a dot.
    fn line(&self, points: &[(f64, f64)], class: &str, about: &str) -> String {
        let mut path = String::new();
        for run in points.split(|(x, y)| !x.is_finite() || !y.is_finite()).filter(|run| !run.is_empty()) {
            for (i, point) in thinned(run).into_iter().enumerate() {
                let (x, y) = self.place(point);
                let _ = write!(path, "{}{x:.1} {y:.1}", if i == 0 { "M" } else { "L" });
            }
            if run.len() == 1 {
                path.push_str("h0");
            }
        }
        if path.is_empty() {
            return path;
        }
        format!("<path class=\"line {class}\" d=\"{path}\"><title>{}</title></path>", escape(about))
    }

    /// Invisible targets on a mean line that show a dot and the value under the pointer.
    fn hover_points(&self, mean: &[(f64, f64)], seeds: &[&Curve], class: &str, label: &str) -> String {
        let finite: Vec<_> = mean.iter().filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
        let every = finite.len().div_ceil(MAX_HOVER).max(1);
        let mut svg = String::new();
        // Counted from the end, so that the final value is always among them.
        for (i, &&(epoch, value)) in finite.iter().rev().step_by(every).enumerate() {
            let at_epoch = |c: &&Curve| c.points.iter().find(|p| p.0 == epoch).map(|p| p.1);
            let values: Vec<_> = seeds.iter().filter_map(at_epoch).collect();
            let spread =
                stats::sample_sd(&values).map(|sd| format!(" ± {}", self.shown(sd))).unwrap_or_default();
            let unit = if self.kind == CurveKind::Accuracy { " %" } else { "" };
            let about = format!("{label}\nepoch {epoch}: {}{spread}{unit}", self.shown(value));
            let (x, y) = self.place((epoch, value));
            let last = if i == 0 { " last" } else { "" };
            let _ = write!(
                svg,
                "<g class=\"point {class}{last}\"><title>{}</title><circle class=\"hit\" cx=\"{x:.1}\" cy=\"{y:.1}\" \
                 r=\"9\"/><circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"/></g>",
                escape(&about)
            );
        }
        svg
    }

    fn shown(&self, value: f64) -> String {
        match self.kind {
            CurveKind::Accuracy => percent(value),
            CurveKind::Loss => three_digits(value),
        }
    }
}

/// At most two points, the least and the greatest, for each bucket: fewer vertices, and every spike stays.
fn thinned(points: &[(f64, f64)]) -> Points {
    if points.len() <= 2 * MAX_BUCKETS {
        return points.to_vec();
    }
    let bucket = points.len().div_ceil(MAX_BUCKETS);
    let mut kept = Points::new();
    for chunk in points.chunks(bucket) {
        let by_value = |a: &usize, b: &usize| chunk[*a].1.total_cmp(&chunk[*b].1);
        let least = (0..chunk.len()).min_by(by_value).unwrap_or(0);
        let greatest = (0..chunk.len()).max_by(by_value).unwrap_or(0);
        let (from, to) = (least.min(greatest), least.max(greatest));
        kept.push(chunk[from]);
        if to > from {
            kept.push(chunk[to]);
        }
    }
    kept
}
