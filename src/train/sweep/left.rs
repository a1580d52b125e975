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

impl Finished {
    /// Seconds a step of all that the run took, from its start to its result, or of its steps where no more was kept.
    /// `None` where it is not known how many steps there were.
    fn seconds_a_step(&self) -> Option<f64> {
        let steps = self.outcome.steps as f64;
        let seconds = self.outcome.seconds.unwrap_or(steps * self.outcome.ms_per_step / 1e3);
        (steps > 0.0).then(|| seconds / steps)
    }
}

/// Seconds of another run of `label`, which takes so many trainings: what the method's finished runs took in whole, or the
/// pair's other taught ones, or the student alone, scaled by steps; the median of several. `None` where no run of the pair
/// is done.
pub fn left_seconds(finished: &[Finished], label: &str, trainings: u64) -> Option<f64> {
    let steps = finished.iter().map(|f| f.outcome.steps / f.outcome.trainings.max(1)).max()?;
    let of = |which: &dyn Fn(&Finished) -> bool| {
        let all = finished.iter().filter(|f| which(f)).filter_map(Finished::seconds_a_step);
        median(&all.collect::<Vec<f64>>())
    };
    let each = of(&|f| f.label == label).or_else(|| of(&|f| f.label != ALONE)).or_else(|| of(&|_| true))?;
    Some(each * (steps * trainings.max(1)) as f64)
}

/// Median seconds that a floating-point operation took in finished runs, of any pair, everything that they took besides
/// counted in. `None` where none is done.
pub fn seconds_per_flop(finished: &[Finished]) -> Option<f64> {
    let of =
        |f: &Finished| f.seconds_a_step().filter(|_| f.outcome.flops > 0).map(|s| s / f.outcome.flops as f64);
    median(&finished.iter().filter_map(of).collect::<Vec<f64>>())
}
