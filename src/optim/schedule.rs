//! Learning-rate schedules: a factor on the base rate, by update.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How the learning rate changes. Counts are in updates from the start of training, warm-up included, but for the
/// milestones of [`Schedule::MultiEpoch`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// The base rate throughout.
    Constant {
        /// Linear warm-up.
        #[serde(default)]
        warmup: Warmup,
    },
    /// Times `factor` after every `every` updates.
    Step {
        /// Updates between two changes.
        every: u64,
        /// Factor of each change.
        factor: f64,
        /// Linear warm-up.
        #[serde(default)]
        warmup: Warmup,
    },
    /// Times `factor` at each milestone.
    MultiStep {
        /// Updates at which the rate changes, ascending.
        milestones: Vec<u64>,
        /// Factor of each change.
        factor: f64,
        /// Linear warm-up.
        #[serde(default)]
        warmup: Warmup,
    },
    /// Times `factor` after each of these epochs: [`Schedule::spanning`] makes a [`Schedule::MultiStep`] of it, once it is known
    /// how many updates an epoch has.
    MultiEpoch {
        /// Finished epochs at which the rate changes, ascending.
        milestones: Vec<u64>,
        /// Factor of each change.
        factor: f64,
        /// Linear warm-up, in updates.
        #[serde(default)]
        warmup: Warmup,
    },
    /// Half a cosine from 1, at the end of the warm-up, to `floor` at `total`, and `floor` from there (Loshchilov and
    /// Hutter, 1608.03983, without restarts).
    Cosine {
        /// Updates of the whole training; 0 stands for that number, see [`Schedule::spanning`].
        #[serde(default)]
        total: u64,
        /// Last factor.
        #[serde(default)]
        floor: f64,
        /// Linear warm-up.
        #[serde(default)]
        warmup: Warmup,
    },
}

/// A linear rise of the factor from `start` at update 0 to 1 at update `steps`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Warmup {
    /// Updates; 0 for no warm-up.
    pub steps: u64,
    /// First factor.
    #[serde(default)]
    pub start: f64,
}

impl Default for Schedule {
    fn default() -> Self {
        Self::Constant { warmup: Warmup::default() }
    }
}

impl Schedule {
    /// Factor at a milestone where none is given.
    pub const DECAY_FACTOR: f64 = 0.1;

    /// Half a cosine over the whole training, down to zero.
    pub fn cosine() -> Self {
        Self::Cosine { total: 0, floor: 0.0, warmup: Warmup::default() }
    }

    /// This schedule with another warm-up.
    pub fn with_warmup(mut self, with: Warmup) -> Self {
        match &mut self {
            Self::Constant { warmup }
            | Self::Step { warmup, .. }
            | Self::MultiStep { warmup, .. }
            | Self::MultiEpoch { warmup, .. }
            | Self::Cosine { warmup, .. } => *warmup = with,
        }
        self
    }

    /// This schedule for a training of `updates` updates, `epoch` of them per epoch: a cosine without a total gets it, and
    /// milestones in epochs become ones in updates.
    pub fn spanning(self, updates: u64, epoch: u64) -> Self {
        match self {
            Self::Cosine { total: 0, floor, warmup } => Self::Cosine { total: updates, floor, warmup },
            Self::MultiEpoch { milestones, factor, warmup } => {
                let milestones = milestones.into_iter().map(|m| m.saturating_mul(epoch)).collect();
                Self::MultiStep { milestones, factor, warmup }
            }
            other => other,
        }
    }

    /// The factor on the base rate at update `update_index`, counted from 0. Milestones in epochs are not reached before
    /// [`Schedule::spanning`].
    pub fn at(&self, update_index: u64) -> f64 {
        let warmup = self.warmup();
        if update_index < warmup.steps {
            let share = update_index as f64 / warmup.steps as f64;
            return warmup.start + (1.0 - warmup.start) * share;
        }
        match self {
            Self::Constant { .. } | Self::MultiEpoch { .. } => 1.0,
            Self::Step { every, factor, .. } => power(*factor, update_index / (*every).max(1)),
            Self::MultiStep { milestones, factor, .. } => {
                let passed = milestones.iter().filter(|&&m| m <= update_index).count();
                power(*factor, passed as u64)
            }
            Self::Cosine { total, floor, .. } => {
                let length = total.saturating_sub(warmup.steps).max(1) as f64;
                let share = ((update_index - warmup.steps) as f64 / length).min(1.0);
                floor + (1.0 - floor) * (1.0 + (std::f64::consts::PI * share).cos()) / 2.0
            }
        }
    }

    /// Its warm-up.
    pub fn warmup(&self) -> Warmup {
        match self {
            Self::Constant { warmup }
            | Self::Step { warmup, .. }
            | Self::MultiStep { warmup, .. }
            | Self::MultiEpoch { warmup, .. }
            | Self::Cosine { warmup, .. } => *warmup,
        }
    }

    /// Fails where a number makes no sense, and says which.
    pub fn validate(&self) -> Result<()> {
        let warmup = self.warmup();
        check("warmup.start", "in 0..=1", (0.0..=1.0).contains(&warmup.start), warmup.start)?;
        match self {
            Self::Constant { .. } => Ok(()),
            Self::Step { every, factor, .. } => {
                check("every", "at least 1", *every > 0, *every)?;
                check_factor(*factor)
            }
            Self::MultiStep { milestones, factor, .. } | Self::MultiEpoch { milestones, factor, .. } => {
                let ascending = milestones.is_sorted_by(|a, b| a < b);
                check("milestones", "ascending", ascending, format!("{milestones:?}"))?;
                check_factor(*factor)
            }
            Self::Cosine { total, floor, .. } => {
                check("total", "more than warmup.steps", *total > warmup.steps, *total)?;
                check("floor", "in 0..=1", (0.0..=1.0).contains(floor), *floor)
            }
        }
    }
}

fn check_factor(factor: f64) -> Result<()> {
    check("factor", "more than 0", factor.is_finite() && factor > 0.0, factor)
}

fn check(name: &str, expected: &str, fits: bool, got: impl std::fmt::Display) -> Result<()> {
    if fits {
        return Ok(());
    }
    Err(Error::config(format!("schedule.{name}"), format!("must be {expected}, got {got}")))
}

fn power(factor: f64, exponent: u64) -> f64 {
    factor.powi(i32::try_from(exponent).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toml_is_read_and_misspelling_refused() {
        let text = "kind = 'cosine'\ntotal = 100\n[warmup]\nsteps = 5\nstart = 0.1";
        let want = Schedule::Cosine { total: 100, floor: 0.0, warmup: Warmup { steps: 5, start: 0.1 } };
        assert_eq!(toml::from_str::<Schedule>(text).unwrap(), want);
        assert!(toml::from_str::<Schedule>("kind = 'cosine'\ntotal = 100\nflor = 0.1").is_err());
    }

    #[test]
    fn warmup_joins_without_a_jump_and_cosine_ends_at_its_floor() {
        let warmup = Warmup { steps: 10, start: 0.2 };
        let cosine = Schedule::Cosine { total: 110, floor: 0.01, warmup };
        assert_eq!((cosine.at(0), cosine.at(10)), (0.2, 1.0));
        assert!((cosine.at(9) - 0.92).abs() < 1e-12);
        assert!((cosine.at(60) - 0.505).abs() < 1e-12);
        assert_eq!((cosine.at(110), cosine.at(1_000_000)), (0.01, 0.01));
        assert_eq!(Schedule::Constant { warmup }.at(10), 1.0);
    }

    #[test]
    fn milestones_in_epochs_are_those_in_updates() {
        let warmup = Warmup::default();
        let milestones = vec![150, 180, 210];
        let epochs = Schedule::MultiEpoch { milestones, factor: 0.1, warmup };
        epochs.validate().unwrap();
        // 50,000 images in batches of 64, the last one left out: the steps that were once computed by hand.
        let updates = epochs.spanning(240 * 781, 781);
        let milestones = vec![117_150, 140_580, 164_010];
        assert_eq!(updates, Schedule::MultiStep { milestones, factor: 0.1, warmup });
        assert_eq!((updates.at(117_149), updates.at(117_150)), (1.0, 0.1));
    }

    #[test]
    fn senseless_numbers_are_named() {
        let warmup = Warmup { steps: 10, start: 0.0 };
        let short = Schedule::Cosine { total: 10, floor: 0.0, warmup };
        assert!(short.validate().unwrap_err().to_string().contains("schedule.total"));
        let twice = Schedule::MultiStep { milestones: vec![5, 5], factor: 0.1, warmup };
        assert!(twice.validate().unwrap_err().to_string().contains("milestones"));
        let never = Schedule::Step { every: 0, factor: 0.1, warmup };
        assert!(never.validate().unwrap_err().to_string().contains("every"));
        Schedule::default().validate().unwrap();
    }
}
