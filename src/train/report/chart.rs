//! Line charts of the training curves: a light line for each seed, a strong one for their mean.

use std::collections::HashMap;
use std::fmt::Write;

use super::{Curve, Role, TrainingReport};
use crate::report::{Area, Axis, Quantity, escape, stats};
use crate::train::metrics::Split;

const AREA: Area = Area { width: 480.0, height: 300.0, left: 44.0, right: 12.0, top: 10.0, bottom: 44.0 };
/// A line keeps at most about twice as many vertices as this; more than the chart has pixels to show.
const MAX_BUCKETS: usize = 240;
/// Points of a mean line that show their value under the pointer.
const MAX_HOVER: usize = 48;

type Points = Vec<(f64, f64)>;

/// One figure for each quantity and split that has curves: the report's metric first, and each on the training data first.
pub fn figures(report: &TrainingReport, palette: &[(&str, String)]) -> String {
    let mut quantities = vec![&report.metric];
    for curve in &report.curves {
        if !quantities.contains(&&curve.quantity) {
            quantities.push(&curve.quantity);
        }
    }
    let splits = [Split::Train, Split::Validation, Split::Test];
    let groups = quantities.into_iter().flat_map(|quantity| splits.map(|split| (quantity, split)));
    groups.filter_map(|(quantity, split)| figure(report, palette, quantity, split)).collect()
}

fn figure(
    report: &TrainingReport,
    palette: &[(&str, String)],
    quantity: &Quantity,
    split: Split,
) -> Option<String> {
    let drawn = |c: &&Curve| (&c.quantity, c.split) == (quantity, split);
    let curves: Vec<_> = report.curves.iter().filter(drawn).collect();
    let finite =
        || curves.iter().flat_map(|c| &c.points).filter(|(x, y)| x.is_finite() && y.is_finite()).copied();
    let x = Axis::tight(finite().map(|p| p.0), 6)?;
    let teacher = teacher_line(report, quantity, split);
    let level = teacher.map(|(_, value)| value);
    let y = if quantity.higher_is_better {
        let values = settled(finite(), x.range());
        Axis::linear(values.into_iter().chain(level).map(|v| quantity.scaled(v)), 5)?
    } else {
        // Errors fall by orders of magnitude, and all of the way is of interest.
        let values: Vec<f64> = finite().map(|p| p.1).chain(level).map(|v| quantity.scaled(v)).collect();
        Axis::loss(values, 5)?
    };
    let name = escape(&title(quantity, split));
    let log = if y.is_log() { "log scale" } else { "" };
    let unit =
        [quantity.sign(), log].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
    let frame = Frame { x, y, quantity };
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

/// The values the axis must cover: all from the first fifth of training on. The steep beginning may start below
/// the axis, or it would press the differences that matter into a few pixels.
fn settled(points: impl Iterator<Item = (f64, f64)> + Clone, (from, to): (f64, f64)) -> Vec<f64> {
    let start = from + 0.2 * (to - from);
    points.filter(|p| p.0 >= start).map(|p| p.1).collect()
}

/// What the teacher came to, for the chart of the data it was measured on, when it has no curve there.
fn teacher_line<'a>(report: &'a TrainingReport, quantity: &Quantity, split: Split) -> Option<(&'a str, f64)> {
    let measured_on = report.curves.iter().map(|c| c.split).filter(|s| *s != Split::Train).max()?;
    if *quantity != report.metric || split != measured_on {
        return None;
    }
    let teacher = report.rows.iter().find(|r| r.role == Role::Teacher)?;
    let drawn = |c: &Curve| c.label == teacher.label && (&c.quantity, c.split) == (quantity, split);
    if report.curves.iter().any(drawn) {
        return None;
    }
    Some((&teacher.label, teacher.mean()?))
}

fn title(quantity: &Quantity, split: Split) -> String {
    let data = match split {
        Split::Train => "Training",
        Split::Validation => "Validation",
        Split::Test => "Test",
    };
    format!("{data} {}", quantity.name)
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

struct Frame<'a> {
    x: Axis,
    y: Axis,
    quantity: &'a Quantity,
}

impl Frame<'_> {
    fn place(&self, (x, y): (f64, f64)) -> (f64, f64) {
        AREA.place(&self.x, &self.y, (x, self.quantity.scaled(y)))
    }

    /// A level line with its name at the right end.
    fn reference(&self, label: &str, value: f64) -> String {
        let ((_, y), left, right) = (self.place((0.0, value)), AREA.left, AREA.right_end());
        let label = escape(&label.chars().take(40).collect::<String>());
        let about = format!("{label}: {}{}", self.quantity.shown(value), self.sign());
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
            let spread = stats::sample_sd(&values);
            let spread = spread.map_or(String::new(), |sd| format!(" ± {}", self.quantity.difference(sd)));
            let shown = self.quantity.shown(value);
            let about = format!("{label}\nepoch {epoch}: {shown}{spread}{}", self.sign());
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

    /// The sign after a value, with a space before it.
    fn sign(&self) -> String {
        let sign = self.quantity.sign();
        if sign.is_empty() { String::new() } else { format!(" {sign}") }
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
