//! Which colour a variant has, on every chart and in every table.
//!
//! The teacher is grey, since it is the yardstick; the student alone is orange; distilled variants take the rest.

use super::{Role, TrainingReport};
use crate::report::{BASELINE, POOL, TEACHER};

/// Variant labels with their CSS classes, in the order to show.
pub fn palette(report: &TrainingReport) -> Vec<(&str, String)> {
    let mut free = 0;
    let mut taken = Vec::new();
    let labels = report.labels().into_iter().map(|label| {
        let role = report.rows.iter().find(|r| r.label == label).map(|r| r.role);
        let fixed = match role {
            Some(Role::Teacher) => Some(TEACHER),
            Some(Role::Baseline) => Some(BASELINE),
            _ => None,
        };
        let class = match fixed.filter(|class| !taken.contains(class)) {
            Some(class) => {
                taken.push(class);
                class.to_string()
            }
            // A second round of the pool is told apart by dashes.
            None => {
                free += 1;
                let dashed = if free > POOL.len() { " dashed" } else { "" };
                format!("{}{dashed}", POOL[(free - 1) % POOL.len()])
            }
        };
        (label, class)
    });
    labels.collect()
}
