//! The settings of a training run, from flags, from a TOML file with the same names, or from both: flags win.

mod flags;
mod layers;
mod updates;

pub use flags::Recipe;

use crate::distill::MethodConfig;
use crate::ops::augment::BoxAugment;
use crate::optim::EmaConfig;
use crate::tasks::detect::DetectConfig;
use crate::tasks::{ClassifyConfig, ImageConfig};
use crate::train::TrainConfig;
use crate::{Error, Result};

impl Recipe {
    /// A setting that a command needs, or an error that names its flag.
    pub fn need<'a, T>(&self, value: &'a Option<T>, flag: &str, example: &str) -> Result<&'a T> {
        value
            .as_ref()
            .ok_or_else(|| Error::config(flag, format!("is needed, for example --{flag} {example}")))
    }

    /// The data set's name.
    pub fn data_name(&self) -> &str {
        self.data.as_deref().unwrap_or("digits")
    }

    /// What keys everything that is drawn at random.
    pub fn seed(&self) -> u64 {
        self.seed.unwrap_or(TrainConfig::default().seed)
    }

    /// The training part.
    pub fn train_config(&self) -> Result<TrainConfig> {
        let defaults = TrainConfig::default();
        let optimizer = self.optimizer_config()?;
        let config = TrainConfig {
            epochs: self.epochs.unwrap_or(defaults.epochs),
            max_steps: self.max_steps,
            batch_size: self.batch_size.unwrap_or(defaults.batch_size),
            learning_rate: self.learning_rate.unwrap_or(optimizer.default_learning_rate()),
            schedule: self.schedule()?,
            optimizer,
            max_grad_norm: self.max_grad_norm,
            ce_weight: self.ce_weight.unwrap_or(defaults.ce_weight),
            ce_schedule: defaults.ce_schedule,
            ema: self.ema_decay.map(EmaConfig::warmed_up),
            recompute: self.recompute.unwrap_or(defaults.recompute),
            precision: self.precision.unwrap_or(defaults.precision),
            patience: self.patience,
            seed: self.seed(),
        };
        config.validate()?;
        Ok(config)
    }

    /// The part of a classification.
    pub fn classify_config(&self) -> ClassifyConfig {
        let defaults = ClassifyConfig::default();
        ClassifyConfig {
            label_smoothing: self.label_smoothing.unwrap_or(defaults.label_smoothing),
            images: ImageConfig {
                crop_padding: self.crop_padding.unwrap_or(defaults.images.crop_padding),
                flip: self.flip.unwrap_or(defaults.images.flip),
            },
        }
    }

    /// The part of a detection.
    pub fn detect_config(&self) -> Result<DetectConfig> {
        let defaults = DetectConfig::default();
        let hsv = self.hsv.clone().unwrap_or_else(|| vec![0.0; 3]);
        let hsv = <[f32; 3]>::try_from(hsv)
            .map_err(|got| Error::config("hsv", format!("expected three shares, got {}", got.len())))?;
        let epochs = self.epochs.unwrap_or(TrainConfig::default().epochs);
        let mosaic_epochs = self.close_mosaic.map(|last| u32::try_from(epochs.saturating_sub(last)));
        Ok(DetectConfig {
            box_weight: self.box_weight.unwrap_or(defaults.box_weight),
            objectness_weight: self.objectness_weight.unwrap_or(defaults.objectness_weight),
            class_weight: self.class_weight.unwrap_or(defaults.class_weight),
            map: self.map.as_deref().map_or(Ok(defaults.map), str::parse)?,
            augment: BoxAugment {
                mosaic: self.mosaic.unwrap_or(0.0),
                scale: self.scale.unwrap_or(0.0),
                translate: self.translate.unwrap_or(0.0),
                flip: if self.flip == Some(true) { 0.5 } else { 0.0 },
                hsv,
            },
            mosaic_epochs: mosaic_epochs.transpose().map_err(|e| Error::config("epochs", e))?,
            ..defaults
        })
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::run::schemes::{SchemeKind, generations};
    use crate::files::scratch::Scratch;
    use crate::optim::OptimizerConfig;

    #[test]
    fn flags_win_over_the_file() {
        let dir = Scratch::new();
        let path =
            dir.write("recipe.toml", "model = \"cnn:4\"\nepochs = 3\nlearning_rate = 0.2\nflip = true\n");
        let flags = Recipe { epochs: Some(7), ..Default::default() };
        let merged = flags.over_file(Some(&path)).unwrap();
        let config = merged.train_config().unwrap();
        assert_eq!((config.epochs, config.learning_rate), (7, 0.2));
        assert!(merged.classify_config().images.flip);
        assert_eq!(merged.model.as_deref(), Some("cnn:4"));
        let again: Recipe = toml::from_str(&merged.to_toml().unwrap()).unwrap();
        assert_eq!(again, merged);
    }

    #[test]
    fn nothing_said_is_the_librarys_default() {
        let said_nothing = Recipe::default().train_config().unwrap();
        assert_eq!(said_nothing, TrainConfig::default());
        let named =
            Recipe { optimizer: Some("sgd".into()), schedule: Some("cosine".into()), ..Default::default() };
        assert_eq!(named.train_config().unwrap(), said_nothing);
        let plain = Recipe { momentum: Some(0.0), ..Default::default() };
        let plain = plain.train_config().unwrap().optimizer;
        assert_eq!(plain, OptimizerConfig::Sgd { momentum: 0.0, nesterov: false, weight_decay: 5e-4 });
        let adam = Recipe { optimizer: Some("adam".into()), ..Default::default() }.train_config().unwrap();
        assert_eq!((adam.learning_rate, adam.optimizer), (0.001, OptimizerConfig::adam()));
    }

    #[test]
    fn settings_that_make_no_sense_are_refused_before_anything_runs() {
        let refused = |recipe: Recipe| recipe.train_config().unwrap_err().to_string();
        let batch = refused(Recipe { batch_size: Some(0), ..Default::default() });
        assert!(batch.contains("batch_size") && batch.contains("at least 1"), "{batch}");
        assert!(refused(Recipe { epochs: Some(0), ..Default::default() }).contains("epochs"));
        let many = Recipe { generations: Some(u64::MAX), ..Default::default() };
        let many = generations(&many, SchemeKind::BornAgain).unwrap_err().to_string();
        assert!(many.contains("generations") && many.contains("1 to 1000"), "{many}");
    }

    #[test]
    fn an_unknown_name_is_shown_with_its_line() {
        let dir = Scratch::new();
        let path = dir.write("recipe.toml", "epochs = 3\nlerning_rate = 0.2\n");
        let message = Recipe::default().over_file(Some(&path)).unwrap_err().to_string();
        for part in ["lerning_rate", "line 2", "learning_rate"] {
            assert!(message.contains(part), "{part} in {message}");
        }
    }

    #[test]
    fn settings_that_do_not_go_together_are_refused() {
        let recipe = Recipe { optimizer: Some("adam".into()), momentum: Some(0.9), ..Default::default() };
        assert!(recipe.train_config().unwrap_err().to_string().contains("of sgd"));
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
