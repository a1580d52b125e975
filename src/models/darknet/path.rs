//! Models that are files of a user's own: `my.cfg`, or with settings `my.cfg:width=0.5,classes=3`.

use std::path::Path;

use super::{Cfg, is_cfg, named};
use crate::models::arguments::Arguments;
use crate::models::{ModelConfig, ModelSpec, Network};
use crate::{Error, Result};

/// What stands between a file and its settings.
const MARK: &str = ".cfg:";

/// A name that is a file's.
pub(in crate::models) struct CfgPath<'a> {
    path: &'a str,
    settings: &'a str,
}

impl<'a> CfgPath<'a> {
    /// It, where `name` is one.
    pub fn split(name: &'a str) -> Option<Self> {
        if is_cfg(name) {
            return Some(Self { path: name, settings: "" });
        }
        let at = name.find(MARK)? + MARK.len();
        Some(Self { path: &name[..at - 1], settings: &name[at..] })
    }

    /// The file.
    pub fn path(&self) -> &'a Path {
        Path::new(self.path)
    }

    fn arguments(&self) -> Result<Arguments> {
        let spec = ModelSpec {
            settings: named::SETTINGS,
            ..ModelSpec::new("my.cfg", "my.cfg:width=0.5,classes=3", |_, _| {
                Err(Error::config("model", "a file"))
            })
        };
        Arguments::parse(&spec, self.settings)
    }

    /// What the file is for, or its settings where these say otherwise.
    ///
    /// # Errors
    /// As [`Cfg::open`], and [`Error::Config`] for settings that mean nothing.
    pub fn config(&self) -> Result<ModelConfig> {
        self.arguments()?.over(Cfg::open(self.path, None)?.config())
    }

    /// [`CfgPath::config`] with the text of the file.
    pub fn config_by(&self, text: &str) -> Result<ModelConfig> {
        self.arguments()?.over(Cfg::parse(self.path, text, None)?.config())
    }

    /// The network for this input and these classes, by the text where it is given and not the file's.
    ///
    /// # Errors
    /// As [`CfgPath::config`], and [`Error::Config`] for an input or classes that it can't have.
    pub fn outline(&self, config: &ModelConfig, text: Option<&str>) -> Result<Network> {
        let arguments = self.arguments()?;
        config.check()?;
        arguments.agree(config)?;
        let cfg = match text {
            Some(text) => Cfg::parse(self.path, text, None)?,
            None => Cfg::open(self.path, None)?,
        };
        named::fitted(cfg, config, &arguments)?.network()
    }
}
