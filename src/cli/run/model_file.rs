//! A network's file and what the user says about it: shared by `eval` and `predict`.

use std::path::PathBuf;

use clap::Args;

use crate::Result;
use crate::models::NameMap;
use crate::models::saved::{self, Overrides, Saved};
use crate::tasks::detect::MapKind;

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
    /// Names of its tensors, where they are not the architecture's: a TOML file of "from.*" = "to.*". For eval of boxes also
    /// what average precision means: coco (the default), voc, voc07 or darknet
    #[arg(long, value_name = "FILE|KIND")]
    map: Option<PathBuf>,
    /// Mean of pixel/255 for each channel [default: the file's, or the data set's]
    #[arg(long, value_name = "M,..", value_delimiter = ',')]
    data_mean: Option<Vec<f32>>,
    /// Standard deviation of pixel/255 for each channel [default: the file's, or the data set's]
    #[arg(long, value_name = "S,..", value_delimiter = ',')]
    data_std: Option<Vec<f32>>,
}

impl ModelFlags {
    /// What `--map` says average precision is, where that is what it says.
    pub fn average_precision(&self) -> Option<MapKind> {
        let path = self.map.as_ref().filter(|path| !path.exists())?;
        path.to_str()?.parse().ok()
    }

    /// The file of names that `--map` says, where that is what it says.
    fn names(&self) -> Option<&PathBuf> {
        self.map.as_ref().filter(|_| self.average_precision().is_none())
    }

    /// Opens the network: flags, these and what others `said`, win over the file, and the file over `data`.
    pub fn open(&self, said: Overrides, data: &Overrides) -> Result<Saved> {
        let overrides = Overrides {
            model: self.model.clone(),
            mean: self.data_mean.clone(),
            std: self.data_std.clone(),
            map: self.names().map(NameMap::read).transpose()?,
            ..said
        };
        saved::open_with(&self.file, &overrides, data)
    }
}
