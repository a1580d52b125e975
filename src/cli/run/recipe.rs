//! The settings of a training run, from flags, from a TOML file with the same names, or from both: flags win.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::distill::MethodConfig;
use crate::files::read_text;
use crate::nn::Precision;
use crate::optim::{EmaConfig, OptimizerConfig, Schedule, Warmup};
use crate::train::TrainConfig;
use crate::{Error, Result};

/// Settings of `train` and `distill`. All are optional here, so that a file and flags can be laid over each other.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Architecture of the network to train, such as cnn:8,16,32 or resnet20; `limbeck models` lists them
    #[arg(long, value_name = "NAME", help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Start from these weights (.safetensors or .pth, names as in PyTorch) instead of random ones
    #[arg(long, value_name = "FILE", help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<PathBuf>,

    /// Data set; `limbeck data` lists them [default: digits]
    #[arg(long, value_name = "NAME", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Its directory, where it is not in a usual place
    #[arg(long, value_name = "DIR", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// Mean of pixel/255 for each channel [default: the data set's, or the teacher's]
    #[arg(long, value_name = "M,..", value_delimiter = ',', help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_mean: Option<Vec<f32>>,
    /// Standard deviation of pixel/255 for each channel
    #[arg(long, value_name = "S,..", value_delimiter = ',', help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_std: Option<Vec<f32>>,
    /// Use only N training images, each class in proportion
    #[arg(long, value_name = "N", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_train: Option<usize>,
    /// Use only N test images, each class in proportion
    #[arg(long, value_name = "N", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_test: Option<usize>,
    /// Fraction of the training images held out to watch; the test set is then looked at once, at the end
    #[arg(long, value_name = "F", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<f64>,
    /// Pad by this many black pixels and crop at random, on the GPU [default: 0]
    #[arg(long, value_name = "PIXELS", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop_padding: Option<usize>,
    /// Mirror every second image at random
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flip: Option<bool>,

    /// Passes over the training data [default: 10]
    #[arg(long, value_name = "N", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<u64>,
    /// Stop after N steps, in the middle of an epoch if need be
    #[arg(long, value_name = "N", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u64>,
    /// Images per step [default: 64]
    #[arg(long, value_name = "N", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<usize>,
    /// Base learning rate [default: 0.05 for sgd, 0.001 for adam and adamw]
    #[arg(long, value_name = "RATE", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// sgd, adam or adamw [default: sgd]
    #[arg(long, value_name = "NAME", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optimizer: Option<String>,
    /// Momentum of sgd [default: 0.9]
    #[arg(long, value_name = "M", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
    /// Nesterov's momentum [default: true]
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nesterov: Option<bool>,
    /// Weight decay [default: 0.0005 for sgd, 0 for adam, 0.01 for adamw]
    #[arg(long, value_name = "W", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
    /// cosine, constant, or multistep with --milestones or --milestone-epochs [default: cosine]
    #[arg(long, value_name = "KIND", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// Steps after which multistep multiplies the rate by --decay-factor
    #[arg(long, value_name = "STEP,..", value_delimiter = ',', help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub milestones: Option<Vec<u64>>,
    /// Epochs after which multistep multiplies the rate by --decay-factor, such as 150,180,210
    #[arg(long, value_name = "EPOCH,..", value_delimiter = ',', help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub milestone_epochs: Option<Vec<u64>>,
    /// Factor of multistep [default: 0.1]
    #[arg(long, value_name = "F", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decay_factor: Option<f64>,
    /// Steps of linear warm-up [default: 0]
    #[arg(long, value_name = "N", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup_steps: Option<u64>,
    /// Clip gradients to this global norm
    #[arg(long, value_name = "NORM", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_grad_norm: Option<f32>,
    /// Label smoothing of the cross-entropy [default: 0]
    #[arg(long, value_name = "S", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_smoothing: Option<f32>,
    /// Keep an exponential moving average of the weights with this decay, such as 0.999, and use it
    #[arg(long, value_name = "DECAY", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema_decay: Option<f64>,
    /// Compute blocks again in the backward pass instead of keeping their activations: less memory, more time, same bits
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recompute: Option<bool>,
    /// f32, or mixed: activations, their gradients and the weights that layers read as f16, everything else f32, where the
    /// adapter has f16 [default: f32]
    #[arg(long, value_name = "KIND", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<Precision>,
    /// Stop after this many epochs without a better accuracy on the --validation images, and keep the best weights
    #[arg(long, value_name = "EPOCHS", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<u64>,
    /// Seed of initial weights, order and augmentation [default: 0]
    #[arg(long, value_name = "N", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,

    /// Where model, metrics, report and checkpoint go [default: runs/MODEL]
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out: Option<PathBuf>,
    /// Write a checkpoint after this many steps, too, besides after every epoch
    #[arg(long, value_name = "STEPS", help_heading = "Output")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_every: Option<u64>,

    /// The teacher, or several with commas between them: a model that limbeck saved, an .onnx file, or a PyTorch state dict (.pth, .safetensors) with
    /// --teacher-model
    #[arg(long, value_name = "FILE", help_heading = "Distillation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teacher: Option<PathBuf>,
    /// The teacher's architecture, where its file does not say
    #[arg(long, value_name = "NAME", help_heading = "Distillation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teacher_model: Option<String>,
    /// Names of the teacher's tensors, where they are not its architecture's: a TOML file of "from.*" = "to.*"
    #[arg(long, value_name = "FILE", help_heading = "Distillation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teacher_map: Option<PathBuf>,
    /// Learn from what limbeck teach, or another program, wrote: no teacher is loaded. With --teacher, it is checked that
    /// it was that one, and simkd and weights find its weights there
    #[arg(long, value_name = "FILE", help_heading = "Distillation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teacher_outputs: Option<PathBuf>,
    /// Refuse teacher outputs of another teacher than the one with this hash
    #[arg(long, value_name = "HASH", help_heading = "Distillation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teacher_hash: Option<String>,
    /// Who teaches whom: offline (--teacher), dml (two peers), ban (generations), takd (assistants between teacher and
    /// student), byot (exits),
    /// tf-kd (its own teacher), ema (the average of its weights) [default: offline]
    #[arg(long, value_name = "NAME", help_heading = "Distillation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
    /// Shares of several teachers in the soft targets, in the order of --teacher [default: equal]
    #[arg(long, value_name = "W,..", value_delimiter = ',', help_heading = "Distillation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teacher_weights: Option<Vec<f32>>,
    /// Generations of the scheme ban [default: 3]
    #[arg(long, value_name = "N", help_heading = "Distillation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generations: Option<u64>,
    /// An assistant of the scheme takd, from the largest to the smallest; may be repeated
    #[arg(long, value_name = "NAME", help_heading = "Distillation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assistant: Option<Vec<String>>,
    /// The student's peer in the scheme dml [default: the student's architecture]
    #[arg(long, value_name = "NAME", help_heading = "Distillation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Decay of the weight average that teaches in the scheme ema [default: 0.999]
    #[arg(long, value_name = "DECAY", help_heading = "Distillation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teacher_decay: Option<f64>,
    /// Methods with weights, settings and schedules, such as kd+feature:50 or dkd:1,beta=8,warmup=0.1 [default: kd]
    #[arg(long, value_name = "METHODS", help_heading = "Distillation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Temperature of soft targets [default: 4]
    #[arg(long, value_name = "T", help_heading = "Distillation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    /// Weight of the cross-entropy with the labels [default: 1, or the first method's]
    #[arg(long, value_name = "W", help_heading = "Distillation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ce_weight: Option<f32>,
    /// Taps for feature methods, TEACHER-LAYER:STUDENT-LAYER [default: the last stages]
    #[arg(long, value_name = "T:S,..", value_delimiter = ',', help_heading = "Distillation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taps: Option<Vec<String>>,
    /// Share of the teacher's weights in the student's first ones, for the method weights [default: 1]
    #[arg(long, value_name = "SHARE", help_heading = "Distillation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfer: Option<f32>,
    /// Strength of the pull toward the teacher's weights, for the method weights [default: 0]
    #[arg(long, value_name = "STRENGTH", help_heading = "Distillation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull: Option<f32>,
    /// Also train the student alone, for as many steps, to see what the teacher is worth
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL", help_heading = "Distillation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<bool>,
}

impl Recipe {
    /// These flags laid over the file's settings.
    pub fn over_file(&self, file: Option<&Path>) -> Result<Recipe> {
        let Some(path) = file else { return Ok(self.clone()) };
        let from_file: Recipe = toml::from_str(&read_text(path)?).map_err(|e| Error::file(path, e))?;
        self.over(&from_file)
    }

    /// These settings laid over others.
    pub fn over(&self, below: &Recipe) -> Result<Recipe> {
        let fail = |e: &dyn std::fmt::Display| Error::config("settings", e);
        let table = |recipe: &Recipe| toml::Table::try_from(recipe).map_err(|e| fail(&e));
        let (mut merged, own) = (table(below)?, table(self)?);
        // Two ways to say one thing: what is laid over replaces whichever was said below.
        let ways = ["milestones", "milestone_epochs"];
        if ways.iter().any(|way| own.contains_key(*way)) {
            ways.iter().for_each(|way| drop(merged.remove(*way)));
        }
        merged.extend(own);
        merged.try_into().map_err(|e: toml::de::Error| fail(&e))
    }

    /// As TOML, to repeat the run.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|e| Error::config("settings", e))
    }

    /// A setting that a command needs, or an error that names its flag.
    pub fn need<'a, T>(&self, value: &'a Option<T>, flag: &str, example: &str) -> Result<&'a T> {
        value
            .as_ref()
            .ok_or_else(|| Error::config(flag, format!("is needed, for example --{flag} {example}")))
    }

    /// The training part.
    pub fn train_config(&self) -> Result<TrainConfig> {
        let defaults = TrainConfig::default();
        let optimizer = self.optimizer_config()?;
        let rate = if matches!(optimizer, OptimizerConfig::Sgd { .. }) { 0.05 } else { 0.001 };
        if self.patience.is_some() && self.validation.is_none() {
            let message =
                "needs --validation, such as 0.1: stopping by the test set would flatter the result";
            return Err(Error::config("patience", message));
        }
        let config = TrainConfig {
            epochs: self.epochs.unwrap_or(defaults.epochs),
            max_steps: self.max_steps,
            batch_size: self.batch_size.unwrap_or(defaults.batch_size),
            learning_rate: self.learning_rate.unwrap_or(rate),
            schedule: self.schedule()?,
            optimizer,
            max_grad_norm: self.max_grad_norm,
            ce_weight: self.ce_weight.unwrap_or(defaults.ce_weight),
            ce_schedule: defaults.ce_schedule,
            label_smoothing: self.label_smoothing.unwrap_or(0.0),
            crop_padding: self.crop_padding.unwrap_or(0),
            flip: self.flip.unwrap_or(false),
            ema: self.ema_decay.map(|decay| EmaConfig { decay, warmup: true }),
            recompute: self.recompute.unwrap_or(false),
            precision: self.precision.unwrap_or_default(),
            patience: self.patience,
            seed: self.seed.unwrap_or(0),
        };
        config.validate()?;
        Ok(config)
    }

    /// The methods' part.
    pub fn method_config(&self) -> MethodConfig {
        let given = [("temperature", self.temperature), ("transfer", self.transfer), ("pull", self.pull)];
        let given = given.into_iter().filter_map(|(name, value)| Some((name, value?)));
        given.fold(MethodConfig::default(), |config, (name, value)| config.with(name, value))
    }

    /// (teacher's, student's) layers.
    pub fn tap_pairs(&self) -> Result<Option<Vec<(String, String)>>> {
        let pair = |text: &String| {
            // Names of ONNX values may have colons in them; those of students have none.
            let (teacher, student) = text.rsplit_once(':').ok_or_else(|| {
                let message = format!("expected TEACHER-LAYER:STUDENT-LAYER, got \"{text}\"");
                Error::config("taps", message)
            })?;
            Ok((teacher.trim().to_string(), student.trim().to_string()))
        };
        self.taps.as_ref().map(|all| all.iter().map(pair).collect()).transpose()
    }

    fn optimizer_config(&self) -> Result<OptimizerConfig> {
        let name = self.optimizer.as_deref().unwrap_or("sgd");
        if name != "sgd" && (self.momentum.is_some() || self.nesterov.is_some()) {
            return Err(Error::config(
                "optimizer",
                format!("momentum and nesterov are of sgd, not of {name}"),
            ));
        }
        let decay = |default: f64| self.weight_decay.unwrap_or(default);
        let (betas, eps) = ([0.9, 0.999], 1e-8);
        match name {
            "sgd" => {
                let momentum = self.momentum.unwrap_or(0.9);
                let nesterov = self.nesterov.unwrap_or(momentum > 0.0);
                Ok(OptimizerConfig::Sgd { momentum, nesterov, weight_decay: decay(5e-4) })
            }
            "adam" => Ok(OptimizerConfig::Adam { betas, eps, weight_decay: decay(0.0) }),
            "adamw" => Ok(OptimizerConfig::AdamW { betas, eps, weight_decay: decay(0.01) }),
            other => Err(Error::config("optimizer", format!("expected sgd, adam or adamw, got \"{other}\""))),
        }
    }

    fn schedule(&self) -> Result<Schedule> {
        let warmup = Warmup { steps: self.warmup_steps.unwrap_or(0), start: 0.0 };
        let kind = self.schedule.as_deref().unwrap_or("cosine");
        let steps = self.milestones.is_some() || self.milestone_epochs.is_some();
        if kind != "multistep" && (steps || self.decay_factor.is_some()) {
            let message = format!("milestones and decay_factor are of multistep, not of {kind}");
            return Err(Error::config("schedule", message));
        }
        match kind {
            "cosine" => Ok(Schedule::Cosine { total: 0, floor: 0.0, warmup }),
            "constant" => Ok(Schedule::Constant { warmup }),
            "multistep" => self.multistep(warmup),
            other => Err(Error::config(
                "schedule",
                format!("expected cosine, constant or multistep, got \"{other}\""),
            )),
        }
    }

    /// Milestones in steps or in epochs, whichever were given.
    fn multistep(&self, warmup: Warmup) -> Result<Schedule> {
        let factor = self.decay_factor.unwrap_or(0.1);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(text: &str) -> PathBuf {
        let name = format!("limbeck-recipe-{}-{:p}.toml", std::process::id(), text);
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn flags_win_over_the_file() {
        let path = scratch("model = \"cnn:4\"\nepochs = 3\nlearning_rate = 0.2\nflip = true\n");
        let flags = Recipe { epochs: Some(7), ..Default::default() };
        let merged = flags.over_file(Some(&path)).unwrap();
        let config = merged.train_config().unwrap();
        assert_eq!((config.epochs, config.learning_rate, config.flip), (7, 0.2, true));
        assert_eq!(merged.model.as_deref(), Some("cnn:4"));
        let again: Recipe = toml::from_str(&merged.to_toml().unwrap()).unwrap();
        assert_eq!(again, merged);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn an_unknown_name_is_shown_with_its_line() {
        let path = scratch("epochs = 3\nlerning_rate = 0.2\n");
        let message = Recipe::default().over_file(Some(&path)).unwrap_err().to_string();
        for part in ["lerning_rate", "line 2", "learning_rate"] {
            assert!(message.contains(part), "{part} in {message}");
        }
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn settings_that_do_not_go_together_are_refused() {
        let recipe = Recipe { optimizer: Some("adam".into()), momentum: Some(0.9), ..Default::default() };
        assert!(recipe.train_config().unwrap_err().to_string().contains("of sgd"));
        let recipe = Recipe { patience: Some(3), ..Default::default() };
        assert!(recipe.train_config().unwrap_err().to_string().contains("--validation"));
        let recipe = Recipe { schedule: Some("multistep".into()), ..Default::default() };
        assert!(recipe.train_config().unwrap_err().to_string().contains("--milestones"));
        let both = Recipe { milestones: Some(vec![9]), milestone_epochs: Some(vec![3]), ..recipe };
        assert!(both.train_config().unwrap_err().to_string().contains("leave one out"));
        let (steps, epochs) =
            (Recipe { milestone_epochs: None, ..both.clone() }, Recipe { milestones: None, ..both.clone() });
        assert_eq!(epochs.over(&steps).unwrap(), epochs);
        let schedule = epochs.train_config().unwrap().schedule;
        assert_eq!(schedule.spanning(90, 10).at(30), 0.1);
        let unsorted = Recipe { milestone_epochs: Some(vec![3, 2]), ..epochs };
        assert!(unsorted.train_config().unwrap_err().to_string().contains("ascending"));
        let elsewhere = Recipe { schedule: None, ..both };
        assert!(elsewhere.train_config().unwrap_err().to_string().contains("of multistep"));
        let recipe = Recipe { taps: Some(vec!["layer1".into()]), ..Default::default() };
        assert!(recipe.tap_pairs().unwrap_err().to_string().contains("TEACHER-LAYER:STUDENT-LAYER"));
    }
}
