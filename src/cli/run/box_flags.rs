//! How a detector's boxes are read: shared by `eval` and `predict`.

use clap::Args;

use super::subject::boxed;
use crate::data::boxes::Resize;
use crate::tasks::DetectConfig;
use crate::{Error, Result};

/// Flags of the commands that use a trained detector.
#[derive(Debug, Args)]
pub struct BoxFlags {
    /// Leave out boxes of a lower score [default: 0.005 for eval, 0.25 for predict]
    #[arg(long, value_name = "SCORE", help_heading = "Detection")]
    score: Option<f32>,
    /// Of two boxes of a class that overlap by more, leave out the weaker one [default: 0.45]
    #[arg(long, value_name = "SHARE", help_heading = "Detection")]
    nms: Option<f32>,
    /// Lessen overlap by the distance of centres, as darknet's greedynms; 0 for plain overlap [default: 0.6]
    #[arg(long, value_name = "BETA", help_heading = "Detection")]
    nms_beta: Option<f32>,
    /// Bring images to the network's size with their proportions, where it was trained so
    #[arg(long, help_heading = "Detection")]
    letterbox: bool,
}

impl BoxFlags {
    /// Which boxes are kept; those of at least `score` where the flags do not say.
    pub fn config(&self, score: f32) -> DetectConfig {
        let defaults = DetectConfig::default();
        DetectConfig {
            least_score: self.score.unwrap_or(score),
            nms: self.nms.unwrap_or(defaults.nms),
            nms_beta: self.nms_beta.unwrap_or(defaults.nms_beta),
            ..defaults
        }
    }

    /// How images are brought to the network's size.
    pub fn resize(&self) -> Resize {
        boxed::resize(self.letterbox)
    }

    /// Fails where any is given: for a network that gives no boxes.
    pub fn refuse(&self) -> Result<()> {
        let given = [
            ("--score", self.score.is_some()),
            ("--nms", self.nms.is_some()),
            ("--nms-beta", self.nms_beta.is_some()),
            ("--letterbox", self.letterbox),
        ];
        given.iter().find(|(_, given)| *given).map_or(Ok(()), |(flag, _)| Err(not_of_classes(flag)))
    }
}

/// A flag for boxes, and a network or data of classes.
pub fn not_of_classes(flag: &str) -> Error {
    Error::config(flag, "is for boxes, and this is about the classes of whole images; leave it out")
}
