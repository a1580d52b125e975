//! How a term's weight changes over a training: a part of it in which the term counts, a linear warm-up, a cosine decay.
//!
//! All in shares of the whole training, so that a schedule means the same for 10 epochs and for 240. With `until` of one
//! term and `from` of another, a hint stage hands over to a logit stage: `fitnet,until=0.3+kd,from=0.3`.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What the user may write besides a method's own settings.
pub const NAMES: [&str; 4] = ["from", "until", "warmup", "decay"];

/// The factor on a term's weight over a training; [`TermSchedule::default`] is 1 throughout.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TermSchedule {
    /// Share of the training before the term counts.
    pub from: f64,
    /// Share of the training after which it counts no more.
    pub until: f64,
    /// Share of the training, from `from`, over which the factor rises linearly from 0.
    pub warmup: f64,
    /// Whether it then falls as half a cosine, to 0 at `until`.
    pub cosine: bool,
}

impl Default for TermSchedule {
    fn default() -> Self {
        Self { from: 0.0, until: 1.0, warmup: 0.0, cosine: false }
    }
}

impl TermSchedule {
    /// The factor at `step`, counted from 0, of a training of `steps`.
    pub fn at(&self, step: u64, steps: u64) -> f64 {
        let at = |share: f64| share * steps.max(1) as f64;
        let step = step as f64;
        if step < at(self.from).round() || (self.until < 1.0 && step >= at(self.until).round()) {
            return 0.0;
        }
        let since = step - at(self.from);
        if since < at(self.warmup) {
            // The first step counts too: a term of weight 0 would be one step late.
            return ((since + 1.0) / at(self.warmup)).min(1.0);
        }
        if !self.cosine {
            return 1.0;
        }
        let length = (at(self.until - self.from - self.warmup)).max(1.0);
        let share = ((since - at(self.warmup)) / length).clamp(0.0, 1.0);
        (1.0 + (std::f64::consts::PI * share).cos()) / 2.0
    }

    /// Takes one of [`NAMES`] from the user's text.
    ///
    /// # Errors
    /// [`Error::Config`] where the value is not what it may be.
    pub(super) fn set(&mut self, name: &str, text: &str) -> Result<()> {
        if name == "decay" {
            self.cosine = match text {
                "none" => false,
                "cosine" => true,
                _ => return Err(refuse(name, "none or cosine", text)),
            };
            return Ok(());
        }
        let share = text.parse().ok().filter(|s| (0.0..=1.0).contains(s));
        let share = share.ok_or_else(|| refuse(name, "a share of the training, 0 to 1", text))?;
        match name {
            "from" => self.from = share,
            "until" => self.until = share,
            _ => self.warmup = share,
        }
        Ok(())
    }

    /// Fails where the term would never count.
    pub(super) fn validate(&self, of: &str) -> Result<()> {
        if self.from < self.until {
            return Ok(());
        }
        let message = format!("{of} counts from {} until {}: never", self.from, self.until);
        Err(Error::config("method", message))
    }
}

fn refuse(name: &str, expected: &str, got: &str) -> Error {
    Error::config(name, format!("expected {expected}, got \"{got}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_hand_over_without_a_gap() {
        let hint = TermSchedule { until: 0.3, ..Default::default() };
        let logits = TermSchedule { from: 0.3, ..Default::default() };
        for step in 0..100 {
            assert_eq!(hint.at(step, 100) + logits.at(step, 100), 1.0, "step {step}");
        }
        assert_eq!((hint.at(29, 100), hint.at(30, 100)), (1.0, 0.0));
    }

    #[test]
    fn warm_up_is_linear_and_the_cosine_ends_near_zero() {
        let schedule = TermSchedule { warmup: 0.1, cosine: true, ..Default::default() };
        assert!((schedule.at(4, 100) - 0.5).abs() < 1e-12);
        assert_eq!(schedule.at(10, 100), 1.0);
        assert!((schedule.at(55, 100) - 0.5).abs() < 1e-12);
        assert!(schedule.at(99, 100) < 1e-3);
    }
}
