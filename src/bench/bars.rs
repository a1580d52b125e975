//! Bars: the ops of one training step by the time they take.

use std::fmt::Write;

use super::results::Breakdown;
use crate::report::{escape, time};

const WIDTH: f64 = 480.0;
const ROW: f64 = 24.0;
const LEFT: f64 = 150.0;
const RIGHT: f64 = 110.0;
/// Ops with a bar of their own; the rest share one.
const SHOWN: usize = 10;

/// One figure a step.
pub fn figure(breakdown: &Breakdown) -> String {
    let total: f64 = breakdown.parts.iter().map(|part| part.1).sum();
    let mut parts: Vec<(String, f64)> = breakdown.parts.iter().take(SHOWN).cloned().collect();
    let rest: f64 = breakdown.parts.iter().skip(SHOWN).map(|part| part.1).sum();
    if rest > 0.0 {
        parts.push((format!("{} others", breakdown.parts.len() - SHOWN), rest));
    }
    let most = parts.iter().map(|part| part.1).fold(0.0, f64::max);
    if most <= 0.0 {
        return String::new();
    }
    let mut svg = String::new();
    for (i, (name, ms)) in parts.iter().enumerate() {
        let (y, width) = (i as f64 * ROW, ms / most * (WIDTH - LEFT - RIGHT));
        let middle = y + ROW / 2.0;
        let _ = write!(
            svg,
            "<text x=\"{}\" y=\"{middle}\" dy=\".35em\" text-anchor=\"end\">{}</text>\
             <rect class=\"bar c-blue\" x=\"{LEFT}\" y=\"{}\" width=\"{width:.1}\" height=\"{}\" rx=\"2\"/>\
             <text class=\"value\" x=\"{:.1}\" y=\"{middle}\" dy=\".35em\">{}, {:.0} %</text>",
            LEFT - 8.0,
            escape(name),
            y + 4.0,
            ROW - 8.0,
            LEFT + width + 7.0,
            time(*ms),
            100.0 * ms / total
        );
    }
    let height = parts.len() as f64 * ROW;
    format!(
        "<figure class=\"bars\"><figcaption>{} <span>{} in all</span></figcaption>\n<svg viewBox=\"0 0 {WIDTH} \
         {height}\" role=\"img\" aria-label=\"time by op\">{svg}</svg></figure>\n",
        escape(&breakdown.step),
        time(total)
    )
}
