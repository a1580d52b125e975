//! `limbeck teach`: a teacher's outputs for a data set, on disk.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::Result;
use crate::cli::AdapterFlags;
use crate::cli::out::say;
use crate::cli::run::recipe::Recipe;
use crate::cli::run::subject;
use crate::cli::run::teachers::open_teacher;
use crate::train::{TeachConfig, teach};

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Without --crop-padding and --flip one set of outputs serves every epoch. With them, outputs are written for --epochs
epochs, and distill must be given the same --crop-padding, --flip and --seed. docs/teacher-outputs.md describes the file.

Examples:
  limbeck teach --teacher runs/teacher/model.safetensors --data fashion-mnist --out outputs.safetensors
  limbeck teach --teacher resnet56.onnx --data cifar10 --crop-padding 4 --flip --epochs 10 --out outputs.safetensors
  limbeck teach --teacher resnet50.onnx --data cifar100 --topk 10 --taps layer3 --out outputs.safetensors
  limbeck teach --teacher yolov4.weights --data boxes --data-dir mine --out outputs.safetensors
  limbeck distill --teacher-outputs outputs.safetensors --data fashion-mnist --model cnn:8,16,32";

/// Flags of `limbeck teach`.
#[derive(Debug, Args)]
pub struct TeachFlags {
    /// A model that limbeck saved, an .onnx file, or a PyTorch state dict (.pth, .safetensors) with --teacher-model
    #[arg(long, value_name = "FILE")]
    teacher: PathBuf,
    /// The teacher's architecture, where its file does not say
    #[arg(long, value_name = "NAME")]
    teacher_model: Option<String>,
    /// Names of the teacher's tensors, where they are not its architecture's: a TOML file of "from.*" = "to.*"
    #[arg(long, value_name = "FILE")]
    teacher_map: Option<PathBuf>,
    /// Where the outputs go
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Data set; `limbeck data` lists them
    #[arg(long, value_name = "NAME", default_value = "digits")]
    data: String,
    /// Its directory, where it is not in a usual place
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Mean of pixel/255 for each channel [default: the teacher's]
    #[arg(long, value_name = "M,..", value_delimiter = ',')]
    data_mean: Option<Vec<f32>>,
    /// Standard deviation of pixel/255 for each channel [default: the teacher's]
    #[arg(long, value_name = "S,..", value_delimiter = ',')]
    data_std: Option<Vec<f32>>,
    /// Use only N training images, as distill will
    #[arg(long, value_name = "N")]
    limit_train: Option<usize>,
    /// Fraction of the training images that distill will hold out
    #[arg(long, value_name = "F")]
    validation: Option<f64>,
    /// Keep the K largest logits of each image and the mass of the rest [default: all logits]
    #[arg(long, value_name = "K")]
    topk: Option<usize>,
    /// Layers whose outputs are written too; `limbeck models show` lists them
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    taps: Vec<String>,
    /// Pad by this many black pixels and crop at random
    #[arg(long, value_name = "PIXELS", default_value_t = 0)]
    crop_padding: usize,
    /// Mirror every second image at random
    #[arg(long)]
    flip: bool,
    /// Images with boxes: bring them to the network's size with their proportions, as distill will
    #[arg(long, help_heading = "Detection")]
    letterbox: bool,
    /// Largest change of scale, as distill's
    #[arg(long, value_name = "SHARE", help_heading = "Detection")]
    scale: Option<f32>,
    /// Largest shift, as distill's
    #[arg(long, value_name = "SHARE", help_heading = "Detection")]
    translate: Option<f32>,
    /// Largest changes of hue, saturation and value, as distill's
    #[arg(long, value_name = "H,S,V", value_delimiter = ',', help_heading = "Detection")]
    hsv: Option<Vec<f32>>,
    /// Epochs of crops and flips
    #[arg(long, value_name = "N", default_value_t = 1)]
    epochs: u64,
    /// Seed of crops, flips and held-out images
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    /// Images per step
    #[arg(long, value_name = "N", default_value_t = 64)]
    batch_size: usize,
}

/// Runs the teacher over the training images and writes the file.
pub fn run(adapter: &AdapterFlags, flags: &TeachFlags) -> Result<ExitCode> {
    let recipe = Recipe {
        data: Some(flags.data.clone()),
        data_dir: flags.data_dir.clone(),
        data_mean: flags.data_mean.clone(),
        data_std: flags.data_std.clone(),
        limit_train: flags.limit_train,
        validation: flags.validation,
        crop_padding: (flags.crop_padding > 0).then_some(flags.crop_padding),
        flip: flags.flip.then_some(true),
        letterbox: flags.letterbox.then_some(true),
        scale: flags.scale,
        translate: flags.translate,
        hsv: flags.hsv.clone(),
        seed: Some(flags.seed),
        teacher: Some(flags.teacher.clone()),
        teacher_model: flags.teacher_model.clone(),
        teacher_map: flags.teacher_map.clone(),
        ..Default::default()
    };
    let mut subject = subject::open(&recipe)?;
    let teacher = open_teacher(&recipe, subject.as_ref())?;
    subject.normalise_as(&Recipe::default(), &teacher.metadata.mean, &teacher.metadata.std)?;
    let config = TeachConfig {
        batch_size: flags.batch_size,
        topk: flags.topk,
        taps: flags.taps.clone(),
        seed: flags.seed,
        epochs: flags.epochs,
    };
    let (task, data) = (subject.task(&recipe)?, subject.training());
    let gpu = adapter.open()?;
    let mut tenths = 0;
    let info = teach(&gpu, &task, &teacher.network, &data, &config, &flags.out, |share| {
        if (share * 10.0) as u32 > tenths {
            tenths = (share * 10.0) as u32;
            log::info!("{}0 % of the outputs are written", tenths);
        }
    })?;
    say!(
        "wrote {}: {} images, {} epochs, teacher {} ({})",
        flags.out.display(),
        info.samples,
        info.epochs,
        info.teacher,
        info.teacher_hash
    )?;
    Ok(ExitCode::SUCCESS)
}
