//! Every setting of a training run: as a flag, and by the same name in a TOML file.

use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::nn::Precision;

/// Settings of `train` and `distill`. All are optional here, so that a file and flags can be laid over each other.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Architecture of the network to train, such as cnn:8,16,32 or resnet20; `limbeck models` lists them
    #[arg(long, value_name = "NAME", help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Start from these weights (.safetensors or .pth, names as in PyTorch, or .weights of darknet) instead of random ones; what
    /// does not fit is left and said
    #[arg(long, value_name = "FILE", help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<PathBuf>,
    /// Encoders of texts: the layers to take of --init, from 0, such as 0,2,4 for a student of three [default: the first ones]
    #[arg(long, value_name = "LAYER,..", value_delimiter = ',', help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init_layers: Option<Vec<usize>>,

    /// Data set; `limbeck data` lists them [default: digits]
    #[arg(long, value_name = "NAME", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// What it is for, where that is not what its labels or boxes say: mlm hides words of texts, to be predicted
    #[arg(long, value_name = "TASK", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
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

    /// Boxes: bring images to the network's size with their proportions, in the middle of grey, in place of stretching them
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL", help_heading = "Detection")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub letterbox: Option<bool>,
    /// Chance that a training image is a mosaic of four [default: 0]
    #[arg(long, value_name = "CHANCE", help_heading = "Detection")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mosaic: Option<f32>,
    /// No mosaics in the last N epochs [default: 0]
    #[arg(long, value_name = "N", help_heading = "Detection")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub close_mosaic: Option<u64>,
    /// Show training images larger or smaller by up to this share [default: 0]
    #[arg(long, value_name = "SHARE", help_heading = "Detection")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<f32>,
    /// Shift training images by up to this share of their size [default: 0]
    #[arg(long, value_name = "SHARE", help_heading = "Detection")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub translate: Option<f32>,
    /// Change hue, saturation and value of training images by up to these shares, such as 0.015,0.7,0.4 [default: 0,0,0]
    #[arg(long, value_name = "H,S,V", value_delimiter = ',', help_heading = "Detection")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hsv: Option<Vec<f32>>,
    /// Weight of boxes in the loss [default: 3]
    #[arg(long, value_name = "W", help_heading = "Detection")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub box_weight: Option<f32>,
    /// Weight of objectness in the loss [default: 1]
    #[arg(long, value_name = "W", help_heading = "Detection")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objectness_weight: Option<f32>,
    /// Weight of classes in the loss [default: 1]
    #[arg(long, value_name = "W", help_heading = "Detection")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_weight: Option<f32>,
    /// What average precision means: coco, voc, voc07 or darknet [default: coco]
    #[arg(long, value_name = "KIND", help_heading = "Detection")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map: Option<String>,

    /// Texts: the tokenizer.json of their tokens, or a model that has one [default: the teacher's, or that of --init]
    #[arg(long, value_name = "FILE", help_heading = "Texts")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<PathBuf>,
    /// Texts: lines, csv, tsv, jsonl or trec, whose labels stand before a colon [default: as their names end]
    #[arg(long, value_name = "FORMAT", help_heading = "Texts")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_format: Option<String>,
    /// Texts with hidden words: the share of words that are chosen [default: 0.15]
    #[arg(long, value_name = "SHARE", help_heading = "Texts")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask_share: Option<f64>,
    /// Most tokens of a text; longer ones are cut [default: 128]
    #[arg(long, value_name = "N", help_heading = "Texts")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<usize>,
    /// Columns of the text, of both where they are pairs, by name or number from 0 [default: text, or the first]
    #[arg(long, value_name = "COLUMN,..", value_delimiter = ',', help_heading = "Texts")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_columns: Option<Vec<String>>,
    /// Column of the label, or of a pair's score, by name or number from 0 [default: label or score, or the last]
    #[arg(long, value_name = "COLUMN", help_heading = "Texts")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_column: Option<String>,

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
    /// Base learning rate [default: 0.05 for sgd, of boxes 0.01; 0.001 for adam and adamw]
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
    /// Steps of linear warm-up [default: 0, of boxes 50 or a tenth of all]
    #[arg(long, value_name = "N", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup_steps: Option<u64>,
    /// Clip gradients to this global norm [default: no, of boxes 10]
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
    /// Stop after this many epochs without a better result on the --validation images, and keep the best weights
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
    /// Methods with weights, settings and schedules, such as kd+feature:50 or dkd:1,beta=8,warmup=0.1 [default: kd, of boxes
    /// obj-kd, of sentences embed-cosine, of hidden words distilbert]
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
