//! Which optimizer, with PyTorch's names and defaults.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// An optimizer and its constants. The learning rate is not among them: it changes from step to step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum OptimizerConfig {
    /// Stochastic gradient descent.
    Sgd {
        /// Decay of the velocity; 0 for none.
        #[serde(default)]
        momentum: f64,
        /// Nesterov's momentum.
        #[serde(default)]
        nesterov: bool,
        /// L2 penalty, added to the gradient.
        #[serde(default)]
        weight_decay: f64,
    },
    /// Adam.
    Adam {
        /// Decay of the mean of gradients, and of their squares.
        #[serde(default = "default_betas")]
        betas: [f64; 2],
        /// Added to the root, against division by zero.
        #[serde(default = "default_eps")]
        eps: f64,
        /// L2 penalty, added to the gradient.
        #[serde(default)]
        weight_decay: f64,
    },
    /// Adam with decoupled weight decay.
    AdamW {
        /// Decay of the mean of gradients, and of their squares.
        #[serde(default = "default_betas")]
        betas: [f64; 2],
        /// Added to the root, against division by zero.
        #[serde(default = "default_eps")]
        eps: f64,
        /// Share of the weight that a step takes away, times the learning rate.
        #[serde(default = "default_decoupled_decay")]
        weight_decay: f64,
    },
}

fn default_betas() -> [f64; 2] {
    [0.9, 0.999]
}

fn default_eps() -> f64 {
    1e-8
}

fn default_decoupled_decay() -> f64 {
    0.01
}

impl Default for OptimizerConfig {
    /// SGD with Nesterov's momentum and a little weight decay, for small classifiers.
    fn default() -> Self {
        Self::Sgd { momentum: 0.9, nesterov: true, weight_decay: 5e-4 }
    }
}

impl OptimizerConfig {
    /// The optimizer of this name (sgd, adam or adamw) as a training takes it where nothing else is given.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "sgd" => Ok(Self::default()),
            "adam" => Ok(Self::adam()),
            "adamw" => Ok(Self::adamw()),
            other => Err(Error::config("optimizer", format!("expected sgd, adam or adamw, got \"{other}\""))),
        }
    }

    /// The base learning rate to start from where none is given.
    pub fn default_learning_rate(&self) -> f64 {
        match self {
            Self::Sgd { .. } => 0.05,
            Self::Adam { .. } | Self::AdamW { .. } => 0.001,
        }
    }

    /// This optimizer with another weight decay.
    pub fn with_weight_decay(mut self, decay: f64) -> Self {
        match &mut self {
            Self::Sgd { weight_decay, .. }
            | Self::Adam { weight_decay, .. }
            | Self::AdamW { weight_decay, .. } => *weight_decay = decay,
        }
        self
    }

    /// SGD with PyTorch's defaults but for the momentum.
    pub fn sgd(momentum: f64) -> Self {
        Self::Sgd { momentum, nesterov: false, weight_decay: 0.0 }
    }

    /// Adam with PyTorch's defaults.
    pub fn adam() -> Self {
        Self::Adam { betas: default_betas(), eps: default_eps(), weight_decay: 0.0 }
    }

    /// AdamW with PyTorch's defaults.
    pub fn adamw() -> Self {
        Self::AdamW { betas: default_betas(), eps: default_eps(), weight_decay: default_decoupled_decay() }
    }

    /// Its weight decay.
    pub fn weight_decay(&self) -> f64 {
        match *self {
            Self::Sgd { weight_decay, .. }
            | Self::Adam { weight_decay, .. }
            | Self::AdamW { weight_decay, .. } => weight_decay,
        }
    }

    /// Its state tensors, each as large as the weights.
    pub fn states(&self) -> &'static [&'static str] {
        match self {
            Self::Sgd { momentum, .. } if *momentum == 0.0 => &[],
            Self::Sgd { .. } => &["velocity"],
            Self::Adam { .. } | Self::AdamW { .. } => &["m", "v"],
        }
    }

    /// Fails where a constant makes no sense, and says which.
    pub fn validate(&self) -> Result<()> {
        if !(self.weight_decay().is_finite() && self.weight_decay() >= 0.0) {
            return Err(out_of_range("weight_decay", "zero or more", self.weight_decay()));
        }
        match *self {
            Self::Sgd { momentum, nesterov, .. } => {
                in_unit("momentum", momentum)?;
                if nesterov && momentum == 0.0 {
                    return Err(Error::config("optimizer.nesterov", "needs a momentum above zero"));
                }
            }
            Self::Adam { betas, eps, .. } | Self::AdamW { betas, eps, .. } => {
                betas.iter().try_for_each(|&beta| in_unit("betas", beta))?;
                // Below this f32 has only zero, and a weight without a gradient would become 0 / 0.
                if !(eps.is_finite() && eps >= f64::from(f32::MIN_POSITIVE)) {
                    return Err(out_of_range("eps", "more than 1.2e-38", eps));
                }
            }
        }
        Ok(())
    }
}

fn in_unit(name: &str, value: f64) -> Result<()> {
    if (0.0..1.0).contains(&value) { Ok(()) } else { Err(out_of_range(name, "in 0..1", value)) }
}

fn out_of_range(name: &str, expected: &str, got: f64) -> Error {
    Error::config(format!("optimizer.{name}"), format!("must be {expected}, got {got}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toml_has_pytorchs_defaults() {
        let read = |text| toml::from_str::<OptimizerConfig>(text).unwrap();
        assert_eq!(read("kind = 'sgd'\nmomentum = 0.9"), OptimizerConfig::sgd(0.9));
        assert_eq!(read("kind = 'adam'"), OptimizerConfig::adam());
        assert_eq!(read("kind = 'adamw'"), OptimizerConfig::adamw());
    }

    #[test]
    fn a_misspelt_setting_is_refused() {
        let error = toml::from_str::<OptimizerConfig>("kind = 'sgd'\nmomentom = 0.9").unwrap_err();
        assert!(error.to_string().contains("momentom"), "{error}");
    }

    #[test]
    fn senseless_constants_are_named() {
        let nan = OptimizerConfig::sgd(f64::NAN).validate().unwrap_err().to_string();
        assert!(nan.contains("optimizer.momentum"), "{nan}");
        let nesterov = OptimizerConfig::Sgd { momentum: 0.0, nesterov: true, weight_decay: 0.0 };
        assert!(nesterov.validate().is_err());
        let eps = OptimizerConfig::Adam { betas: [0.9, 0.999], eps: 0.0, weight_decay: 0.0 };
        assert!(eps.validate().unwrap_err().to_string().contains("eps"));
        for good in [OptimizerConfig::sgd(0.0), OptimizerConfig::adam(), OptimizerConfig::adamw()] {
            good.validate().unwrap();
        }
    }
}
