//! Exponential moving average of weights (Polyak and Juditsky 1992): average += (1 - decay) * (weights - average).

use serde::{Deserialize, Serialize};

use super::optimizer::Group;
use crate::gpu::{Buffer, BufferSlice, Gpu};
use crate::tape::{Meta, Scalar, Step, Tape};
use crate::{Error, Result};

/// How fast an average forgets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmaConfig {
    /// Share of the average that an update keeps.
    pub decay: f64,
    /// Decay min(decay, (1 + t) / (10 + t)) at update t from 0, so that the first weights are soon forgotten.
    #[serde(default)]
    pub warmup: bool,
}

impl EmaConfig {
    /// An average of this decay that soon forgets the first weights.
    pub fn warmed_up(decay: f64) -> Self {
        Self { decay, warmup: true }
    }

    /// The decay of update `update_index`, counted from 0.
    pub fn decay_at(&self, update_index: u64) -> f64 {
        let t = update_index as f64;
        if self.warmup { self.decay.min((1.0 + t) / (10.0 + t)) } else { self.decay }
    }

    /// Fails where the decay is not in 0..=1.
    pub fn validate(&self) -> Result<()> {
        if (0.0..=1.0).contains(&self.decay) {
            return Ok(());
        }
        Err(Error::config("ema.decay", format!("must be in 0..=1, got {}", self.decay)))
    }
}

/// An average of flat weights, in buffers of its own, laid out as the weights.
#[derive(Debug)]
pub struct Ema {
    name: String,
    config: EmaConfig,
    averages: Vec<(usize, Buffer)>,
}

/// An update of an average that is on a tape.
#[derive(Debug, Clone, Copy)]
pub struct EmaUpdate {
    config: EmaConfig,
    weight: Scalar,
}

impl Ema {
    /// An average of groups of these lengths (`elements`). Call [`Ema::reset`] before the first update: it starts as zeros.
    /// `name` starts the names of its state and its step scalar; two averages of one tape need two names.
    pub fn new(gpu: &Gpu, name: &str, config: EmaConfig, elements: &[usize]) -> Result<Self> {
        config.validate()?;
        let average = |&n: &usize| Ok((n, gpu.buffer(name, Meta::f32([n]).bytes())?));
        let averages = elements.iter().map(average).collect::<Result<_>>()?;
        Ok(Self { name: name.into(), config, averages })
    }

    /// Starts again from these weights, one slice a group.
    pub fn reset(&self, gpu: &Gpu, weights: &[BufferSlice]) -> Result<()> {
        let wanted: Vec<u64> = self.averages.iter().map(|(n, _)| *n as u64 * 4).collect();
        let fits = weights.len() == wanted.len() && weights.iter().zip(&wanted).all(|(w, &n)| w.len >= n);
        if !fits {
            let got: Vec<u64> = weights.iter().map(|w| w.len).collect();
            return Err(Error::shape(&self.name, format!("weights of {wanted:?} bytes"), format!("{got:?}")));
        }
        weights.iter().zip(self.slices()).try_for_each(|(from, to)| gpu.copy(from, &to))
    }

    /// Records the update of the averages of these groups. Record it after the optimizer, to average the new weights.
    pub fn record(&self, tape: &Tape, groups: &[Group]) -> Result<EmaUpdate> {
        let expected: Vec<usize> = self.averages.iter().map(|(n, _)| *n).collect();
        let got: Vec<usize> = groups.iter().map(|group| group.weights.meta().len()).collect();
        if expected != got {
            let expected = format!("weights of {expected:?} elements");
            return Err(Error::shape(&self.name, expected, format!("{got:?}")));
        }
        let weight = tape.scalar(&format!("{}.weight", self.name))?;
        tape.scope(&self.name, || {
            for (Group { weights, extents, .. }, (_, buffer)) in groups.iter().zip(&self.averages) {
                let average = tape.external(&self.name, weights.meta().clone(), buffer.whole(), false)?;
                average.lerp_parts_in_place(weights, extents, weight)?;
            }
            Ok(EmaUpdate { config: self.config, weight })
        })
    }

    /// The averages, one slice a group.
    pub fn slices(&self) -> Vec<BufferSlice> {
        self.averages.iter().map(|(n, b)| BufferSlice { len: *n as u64 * 4, ..b.whole() }).collect()
    }

    /// The averages by name (`ema.0`), for checkpoints.
    pub fn state(&self) -> Vec<(String, BufferSlice)> {
        self.slices().into_iter().enumerate().map(|(i, s)| (format!("{}.{i}", self.name), s)).collect()
    }
}

impl EmaUpdate {
    /// Sets this update's decay. `update_index` counts from 0.
    pub fn set_step(&self, step: &mut Step, update_index: u64) {
        // In f64: f32 would keep only half of the digits of 1 - 0.999.
        step.set(self.weight, (1.0 - self.config.decay_at(update_index)) as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warmup_ends_at_the_decay() {
        let config = EmaConfig { decay: 0.99, warmup: true };
        assert_eq!(config.decay_at(0), 0.1);
        assert!(config.decay_at(10) < config.decay_at(11));
        assert_eq!(config.decay_at(100_000), 0.99);
        assert_eq!(EmaConfig { decay: 0.99, warmup: false }.decay_at(0), 0.99);
        assert!(EmaConfig { decay: 1.5, warmup: false }.validate().is_err());
    }
}
