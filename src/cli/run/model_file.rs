//! A network's file and what the user says about it: shared by `eval` and `predict`.

use std::path::PathBuf;

use clap::Args;

use crate::Result;
use crate::data::Dataset;
use crate::models::NameMap;
use crate::models::saved::{self, Overrides, Saved};
use crate::report::printable;

/// Flags of the commands that use a trained network.
#[derive(Debug, Args)]
pub struct ModelFlags {
    /// The network: a model that limbeck saved, an .onnx file, darknet's .weights with the .cfg beside them or as --model, or a
    /// PyTorch state dict (.pth, .safetensors) with --model
    #[arg(value_name = "MODEL")]
    pub file: PathBuf,
    /// Architecture, where the file does not say
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Names of its tensors, where they are not the architecture's: a TOML file of "from.*" = "to.*"
    #[arg(long, value_name = "FILE")]
    map: Option<PathBuf>,
    /// Mean of pixel/255 for each channel [default: the file's, or the data set's]
    #[arg(long, value_name = "M,..", value_delimiter = ',')]
    data_mean: Option<Vec<f32>>,
    /// Standard deviation of pixel/255 for each channel [default: the file's, or the data set's]
    #[arg(long, value_name = "S,..", value_delimiter = ',')]
    data_std: Option<Vec<f32>>,
}

impl ModelFlags {
    /// Opens the network: flags, these and what others `said`, win over the file, and the file over `data`.
    pub fn open(&self, said: Overrides, data: Option<&Dataset>) -> Result<Saved> {
        let overrides = Overrides {
            model: self.model.clone(),
            mean: self.data_mean.clone(),
            std: self.data_std.clone(),
            map: self.map.as_ref().map(NameMap::read).transpose()?,
            ..said
        };
        saved::open_with(&self.file, &overrides, &data.map(overrides_from).unwrap_or_default())
    }
}

/// What a data set tells about a network that was trained on it.
pub fn overrides_from(data: &Dataset) -> Overrides {
    Overrides {
        model: None,
        input: Some([data.channels, data.height, data.width]),
        classes: Some(data.class_names.clone()),
        mean: Some(data.mean.clone()),
        std: Some(data.std.clone()),
        map: None,
    }
}

/// How two lists of class names differ, for a warning; `None` where they don't.
pub fn class_difference(network: &[String], data: &Dataset) -> Option<String> {
    let theirs = &data.class_names;
    let at = network.iter().zip(theirs).position(|(a, b)| a != b)?;
    let (ours, theirs) = (printable(&network[at]), printable(&theirs[at]));
    Some(format!(
        "class {at} is \"{ours}\" for the network and \"{theirs}\" in {}: was it trained on this data set, with its classes in \
         this order?",
        data.name
    ))
}
