//! What a detector was measured at, as sections of a report: classes, curves, confusions, and pictures.

mod confusion;
mod curves;
mod pictures;

use std::fmt::Write;

use super::{ClassPrecision, DetectionResult, Gathered};
use crate::Result;
use crate::data::boxes::BoxSet;
use crate::report::{Section, count, escape};

/// Classes that a figure tells apart by colour.
const COLOURED: usize = crate::report::POOL.len();

/// The sections of what was `gathered` on the images of `set`, in their order, and came to `result`.
///
/// # Errors
/// [`Error::File`](crate::Error::File) for an image that can't be decoded any more.
pub fn sections(result: &DetectionResult, gathered: &Gathered, set: &BoxSet) -> Result<Vec<Section>> {
    let all = [
        classes(result),
        curves::section(&result.classes),
        confusion::section(result),
        pictures::section(result, gathered, set)?,
    ];
    Ok(all.into_iter().filter(|section| !section.html.is_empty()).collect())
}

fn classes(result: &DetectionResult) -> Section {
    let mut html = String::from(
        "<table>\n<thead><tr><th>Class<th class=\"n\">Boxes<th class=\"n\">Found<th class=\"n\">AP, %<th class=\"n\">AP50, %\
         </tr></thead>\n<tbody>\n",
    );
    for ClassPrecision { class, truths, found, ap, ap50, .. } in &result.classes {
        let share = |value: &Option<f64>| value.map_or("–".into(), |v| format!("{:.1}", 100.0 * v));
        let cells = [
            ("Boxes", count(*truths as u64)),
            ("Found", count(*found as u64)),
            ("AP, %", share(ap)),
            ("AP50, %", share(ap50)),
        ];
        let _ = write!(html, "<tr><th scope=\"row\">{}</th>", escape(class));
        for (name, value) in cells {
            let _ = write!(html, "<td class=\"n\" data-name=\"{name}\"><span>{value}</span></td>");
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody>\n</table>\n");
    let about = format!(
        "{} test images, average precision as {} has it. Boxes: those that are there. Found: those of any score.",
        count(result.images as u64),
        result.map
    );
    Section { title: "Classes".into(), about, html }
}

#[cfg(test)]
mod tests;
