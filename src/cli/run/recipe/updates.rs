//! How weights are updated: the optimizer and the schedule of its learning rate.

use super::Recipe;
use crate::optim::{OptimizerConfig, Schedule, Warmup};
use crate::train::TrainConfig;
use crate::{Error, Result};

impl Recipe {
    /// The named optimizer with what the settings say of it; the default one where none is named.
    pub(super) fn optimizer_config(&self) -> Result<OptimizerConfig> {
        let mut optimizer = match &self.optimizer {
            Some(name) => OptimizerConfig::named(name)?,
            None => TrainConfig::default().optimizer,
        };
        match &mut optimizer {
            OptimizerConfig::Sgd { momentum, nesterov, .. } => {
                *momentum = self.momentum.unwrap_or(*momentum);
                *nesterov = self.nesterov.unwrap_or(*nesterov && *momentum > 0.0);
            }
            _ if self.momentum.is_some() || self.nesterov.is_some() => {
                let name = self.optimizer.as_deref().unwrap_or_default();
                let message = format!("momentum and nesterov are of sgd, not of {name}");
                return Err(Error::config("optimizer", message));
            }
            _ => {}
        }
        Ok(match self.weight_decay {
            Some(decay) => optimizer.with_weight_decay(decay),
            None => optimizer,
        })
    }

    /// The named schedule, or the default one, with the settings' warm-up.
    pub(super) fn schedule(&self) -> Result<Schedule> {
        let defaults = TrainConfig::default().schedule;
        let warmup =
            Warmup { steps: self.warmup_steps.unwrap_or(defaults.warmup().steps), ..defaults.warmup() };
        let kind = self.schedule.as_deref();
        let milestones = self.milestones.is_some() || self.milestone_epochs.is_some();
        if kind != Some("multistep") && (milestones || self.decay_factor.is_some()) {
            let kind = kind.unwrap_or("the default");
            let message = format!("milestones and decay_factor are of multistep, not of {kind}");
            return Err(Error::config("schedule", message));
        }
        match kind {
            None => Ok(defaults.with_warmup(warmup)),
            Some("cosine") => Ok(Schedule::cosine().with_warmup(warmup)),
            Some("constant") => Ok(Schedule::Constant { warmup }),
            Some("multistep") => self.multistep(warmup),
            Some(other) => Err(Error::config(
                "schedule",
                format!("expected cosine, constant or multistep, got \"{other}\""),
            )),
        }
    }

    /// Milestones in steps or in epochs, whichever were given.
    fn multistep(&self, warmup: Warmup) -> Result<Schedule> {
        let factor = self.decay_factor.unwrap_or(Schedule::DECAY_FACTOR);
        let schedule = match (&self.milestones, &self.milestone_epochs) {
            (Some(_), Some(_)) => {
                let message =
                    "are given in steps (milestones) and in epochs (milestone_epochs); leave one out";
                return Err(Error::config("milestones", message));
            }
            (None, Some(epochs)) => Schedule::MultiEpoch { milestones: epochs.clone(), factor, warmup },
            (steps, None) => {
                let milestones =
                    self.need(steps, "milestones", "3000,4000, or --milestone-epochs 150,180")?;
                Schedule::MultiStep { milestones: milestones.clone(), factor, warmup }
            }
        };
        schedule.validate()?;
        Ok(schedule)
    }
}
