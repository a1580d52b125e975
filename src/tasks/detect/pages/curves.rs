//! Precision against recall, a line a class.

use std::fmt::Write;

use super::COLOURED;
use crate::report::{Area, Axis, POOL, Section, TEACHER, escape};
use crate::tasks::detect::{ClassPrecision, CurvePoint};

const AREA: Area = Area { width: 640.0, height: 360.0, left: 44.0, right: 12.0, top: 10.0, bottom: 44.0 };

/// The curves of classes that have any; of more classes than there are colours, all are grey and tell their name under the
/// pointer.
pub fn section(classes: &[ClassPrecision]) -> Section {
    let drawn: Vec<&ClassPrecision> = classes.iter().filter(|class| !class.curve.is_empty()).collect();
    let axis = || Axis::linear([0.0, 1.0], 5);
    let (Some(x), Some(y), false) = (axis(), axis(), drawn.is_empty()) else { return Section::default() };
    let colour = |k: usize| if drawn.len() > COLOURED { TEACHER } else { POOL[k] };
    let mut svg = AREA.grid(&x, &y, "recall", "");
    let mut legend = String::from("<ul class=\"legend\">\n");
    for (k, class) in drawn.iter().enumerate() {
        let (style, name) = (colour(k), escape(&class.class));
        let strength = if drawn.len() > COLOURED { "seed" } else { "mean" };
        let path = path(&class.curve, &x, &y);
        let _ =
            write!(svg, "<path class=\"line {strength} {style}\" d=\"{path}\"><title>{name}</title></path>");
        let _ = writeln!(
            legend,
            "<li><svg class=\"{style}\" viewBox=\"0 0 22 8\"><path class=\"line mean {style}\" d=\"M2 4H20\"/></svg>{name}</li>"
        );
    }
    legend.push_str("</ul>\n");
    let legend = if drawn.len() > COLOURED { String::new() } else { legend };
    let html = format!(
        "{legend}<figure><svg {} role=\"img\" aria-label=\"precision by recall\">{svg}</svg></figure>\n",
        AREA.view_box()
    );
    let about = "Precision (share of found boxes that are right) against recall (share of boxes that are found), at an overlap \
                 of one half, from high scores to low ones."
        .into();
    Section { title: "Precision and recall".into(), about, html }
}

fn path(curve: &[CurvePoint], x: &Axis, y: &Axis) -> String {
    let mut path = String::new();
    for (k, point) in curve.iter().enumerate() {
        let (x, y) = AREA.place(x, y, (point.recall, point.precision));
        let _ = write!(path, "{}{x:.1} {y:.1}", if k == 0 { "M" } else { "L" });
    }
    if curve.len() == 1 {
        path.push_str("h0");
    }
    path
}
