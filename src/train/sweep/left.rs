//! About how long the runs that are left will take, from those that are done.

use super::{ALONE, Outcome};
use crate::train::stats::median;

/// A finished run of a pair.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// Its method's label.
    pub label: String,
    /// Its seed.
    pub seed: u64,
    /// Its result.
    pub outcome: Outcome,
}

/// Milliseconds of training steps of another run of `label`: the median milliseconds a step of the method's own runs, or
/// of the pair's other taught ones, or of the student alone, times as many steps. `None` where no run of the pair is done.
pub fn left_ms(finished: &[Finished], label: &str) -> Option<f64> {
    let steps = finished.iter().map(|f| f.outcome.steps).max().filter(|steps| *steps > 0)?;
    let of = |which: &dyn Fn(&Finished) -> bool| {
        let times: Vec<f64> = finished.iter().filter(|f| which(f)).map(|f| f.outcome.ms_per_step).collect();
        median(&times)
    };
    let ms = of(&|f| f.label == label).or_else(|| of(&|f| f.label != ALONE)).or_else(|| of(&|_| true))?;
    Some(ms * steps as f64)
}
