//! `limbeck eval`: a saved network, or a static model of sentences, on a data set's test part, class by class. A file for each kind of
//! data.
//!
//! Of texts of classes it prints accuracy, F1 of the second class where there are two, the mean F1 of all classes and Matthews' correlation;
//! a model that gives only vectors gets a logistic regression on those of the training part. Of scored pairs it prints Spearman's and Pearson's
//! correlation of cosines and scores; how often a pair's first text finds its second among the 1, 5 and 10 nearest of all seconds,
//! whatever its score; and the mean cosine of all texts, which is near 1 where vectors have collapsed.

mod boxes;
mod classes;
mod texts;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::Result;
use crate::cli::AdapterFlags;
use crate::cli::run::box_flags::BoxFlags;
use crate::cli::run::model_file::ModelFlags;
use crate::data::{Content, find};

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Of texts of classes: accuracy, F1 of the second class where there are two, the mean F1 of all, Matthews' correlation; a model that gives
only vectors gets a logistic regression on those of the training part. Of scored pairs: correlation of cosines and scores; recall@K, how
often a pair's first text has its second among the K nearest of all seconds; the mean cosine of all texts, near 1 where they are all one.

Examples:
  limbeck eval runs/teacher/model.safetensors --data fashion-mnist
  limbeck eval resnet20.safetensors --model resnet20 --data cifar10 \\
      --data-mean 0.485,0.456,0.406 --data-std 0.229,0.224,0.225
  limbeck eval runs/student/model.safetensors --data sst2
  limbeck eval all-MiniLM-L6-v2 --data stsb
  limbeck eval distilbert-base-uncased --data texts --data-dir corpus
  limbeck eval static-model --data sst2
  limbeck eval runs/student/model.safetensors --json > eval.json";

/// Flags of `limbeck eval`.
#[derive(Debug, Args)]
pub struct EvalFlags {
    #[command(flatten)]
    model: ModelFlags,
    /// Data set whose test part is used; `limbeck data` lists them
    #[arg(long, value_name = "NAME", default_value = "digits")]
    data: String,
    /// Its directory, where it is not in a usual place
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Columns of the text, or of both texts of a pair, by name or number from 0 [default: as in training]
    #[arg(long, value_name = "COLUMN,..", value_delimiter = ',', help_heading = "Texts")]
    text_columns: Option<Vec<String>>,
    /// Column of the class, or of the score of a pair
    #[arg(long, value_name = "COLUMN", help_heading = "Texts")]
    label_column: Option<String>,
    /// lines, csv, tsv, jsonl or trec [default: as the file's name ends]
    #[arg(long, value_name = "FORMAT", help_heading = "Texts")]
    text_format: Option<String>,
    /// Use only N test images or texts, each class in proportion
    #[arg(long, value_name = "N")]
    limit_test: Option<usize>,
    /// Images per step; 64 or more by default, as they are small
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    #[command(flatten)]
    boxes: BoxFlags,
    /// Keep the fractions of resized pixels, as darknet does; by default they are bytes, as in training
    #[arg(long, help_heading = "Detection")]
    float_pixels: bool,
    /// Write a page with curves, confusions and pictures of the worst images
    #[arg(long, value_name = "FILE.html", help_heading = "Detection")]
    report: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Measures and prints.
pub fn run(adapter: &AdapterFlags, flags: &EvalFlags) -> Result<ExitCode> {
    match find(&flags.data)?.content {
        Content::Images => classes::run(adapter, flags),
        Content::Boxes => boxes::run(adapter, flags),
        Content::Texts | Content::Sentences => texts::run(adapter, flags),
    }
}
