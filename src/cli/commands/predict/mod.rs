//! `limbeck predict`: what image files show, and what texts say. A file for each kind of answer.

mod boxes;
mod classes;
mod files;
mod given;
mod likeliest;
mod texts;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::cli::AdapterFlags;
use crate::cli::run::box_flags::BoxFlags;
use crate::cli::run::model_file::ModelFlags;
use crate::cli::run::subject;
use crate::models::saved::{Overrides, parse_input};
use crate::models::{Head, InputSpec, MAX_CLASSES};
use crate::{Error, Result};

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Images are made grey or coloured and resized to what the network takes, without keeping the aspect ratio. A folder stands
for the images in it, and * and ? for any text in their names. A network of texts takes texts, each in quotes, and files of them.

Examples:
  limbeck predict runs/student/model.safetensors boot.png shirt.jpg
  limbeck predict runs/detector/model.safetensors photos --out found
  limbeck predict runs/classifier/model.safetensors 'a fine film' reviews.csv --columns review
  limbeck predict yolov4-tiny.weights 'photos/*.jpg' --out found --json
  limbeck predict resnet20.safetensors frog.png --model resnet20 --data cifar10 --top 3 --json
  limbeck predict resnet20.safetensors frog.png --model resnet20 --input 3x32x32 --classes 10 \\
      --data-mean 0.485,0.456,0.406 --data-std 0.229,0.224,0.225";

/// Flags of `limbeck predict`.
#[derive(Debug, Args)]
pub struct PredictFlags {
    #[command(flatten)]
    model: ModelFlags,
    /// PNG or JPEG files, or folders of them; for a network of texts the texts, or files of them: lines, .csv, .tsv, .jsonl
    #[arg(value_name = "IMAGE|TEXT|FILE", required = true)]
    inputs: Vec<PathBuf>,
    /// Classes to show, the likeliest first
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    top: u64,
    /// Channels, height and width of its images, where neither the file nor --data says
    #[arg(long, value_name = "CxHxW")]
    input: Option<String>,
    /// Its classes, where neither the file nor --data says: their names in its order, or how many there are
    #[arg(long, value_name = "N|NAME,..", value_delimiter = ',')]
    classes: Option<Vec<String>>,
    /// The data set it was trained on, where the file does not say image size, classes and normalisation
    #[arg(long, value_name = "NAME")]
    data: Option<String>,
    /// Its directory, where it is not in a usual place
    #[arg(long, value_name = "DIR", requires = "data")]
    data_dir: Option<PathBuf>,
    /// Columns of the texts in tables, one or two, by name or number from 0 [default: text, sentence, or the first]
    #[arg(long, value_name = "COLUMN,..", value_delimiter = ',')]
    columns: Vec<String>,
    /// Draw boxes into copies of the images in this folder
    #[arg(long, value_name = "DIR", help_heading = "Detection")]
    out: Option<PathBuf>,
    #[command(flatten)]
    boxes: BoxFlags,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Reads, runs and prints.
pub fn run(adapter: &AdapterFlags, flags: &PredictFlags) -> Result<ExitCode> {
    let like = match &flags.data {
        Some(name) => subject::overrides_of(name, flags.data_dir.as_deref())?,
        None => Overrides::default(),
    };
    let said = Overrides {
        input: flags.input.as_deref().map(parse_input).transpose()?,
        classes: flags.classes.as_deref().map(class_names).transpose()?,
        ..Default::default()
    };
    let saved = flags.model.open(said, &like)?;
    match (saved.network.input(), saved.network.head()) {
        (InputSpec::Tokens { longest, .. }, _) => texts::run(adapter, flags, &saved, longest),
        (_, Head::Boxes(_)) => boxes::run(adapter, flags, &files::expand(&flags.inputs)?, saved),
        (_, Head::Classes(_) | Head::Numbers(_) | Head::Tokens(_)) => {
            classes::run(adapter, flags, &files::expand(&flags.inputs)?, &saved)
        }
    }
}

/// Class names, or as many numbers from 0 where there is only their count.
fn class_names(said: &[String]) -> Result<Vec<String>> {
    match said {
        [count] if count.parse::<f64>().is_ok() => match count.parse() {
            Ok(n @ 1..=MAX_CLASSES) => Ok((0..n).map(|c| c.to_string()).collect()),
            _ => Err(Error::config("--classes", format!("expected 1 to {MAX_CLASSES}, got {count}"))),
        },
        names => Ok(names.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_by_name_or_number() {
        let names = |said: &[&str]| class_names(&said.iter().map(|s| s.to_string()).collect::<Vec<_>>());
        assert_eq!(names(&["3"]).unwrap(), ["0", "1", "2"]);
        assert_eq!(names(&["cat", "dog"]).unwrap(), ["cat", "dog"]);
        assert_eq!(names(&["7", "9"]).unwrap(), ["7", "9"]);
        for wrong in ["0", "-3", "2.5", "99999999999999999999"] {
            assert!(names(&[wrong]).unwrap_err().to_string().contains(wrong), "{wrong}");
        }
    }
}
