//! About how long the runs that are left will take, from those that are done.

use super::{ALONE, Outcome};
use crate::report::stats::median;

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
    /// Seconds of a run like it of `steps` steps: all that it took from its start to its result, or its steps
    /// where no more was kept. `None` where it is not known how many steps there were.
    fn seconds_of(&self, steps: u64) -> Option<f64> {
        let own = self.outcome.steps as f64;
        let seconds = self.outcome.seconds.unwrap_or(own * self.outcome.ms_per_step / 1e3);
        (own > 0.0).then(|| seconds * steps as f64 / own)
    }
}

/// Seconds of another run of `label`, which takes `trainings` trainings: what the method's finished runs took in
/// whole, or the pair's other taught ones, or the student alone, scaled by steps; the median of several.
/// `None` where no run of the pair is done.
pub fn left_seconds(finished: &[Finished], label: &str, trainings: u64) -> Option<f64> {
    let each = finished.iter().map(|f| f.outcome.steps / f.outcome.trainings.max(1)).max()?;
    let steps = each * trainings.max(1);
    let of = |which: &dyn Fn(&Finished) -> bool| {
        let all = finished.iter().filter(|f| which(f)).filter_map(|f| f.seconds_of(steps));
        median(&all.collect::<Vec<f64>>())
    };
    of(&|f| f.label == label).or_else(|| of(&|f| f.label != ALONE)).or_else(|| of(&|_| true))
}

/// Median seconds that a floating-point operation took in finished runs, of any pair, everything that they
/// took besides counted in. `None` where none is done.
pub fn seconds_per_flop(finished: &[Finished]) -> Option<f64> {
    let priced = finished.iter().filter(|f| f.outcome.flops > 0);
    let all = priced.filter_map(|f| f.seconds_of(1).map(|seconds| seconds / f.outcome.flops as f64));
    median(&all.collect::<Vec<f64>>())
}
