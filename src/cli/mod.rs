//! The commands of the `limbeck` binary.

use std::process::ExitCode;

use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand};

use crate::gpu::{AdapterRequest, Gpu, GpuOptions, Power, SubmitLimit, Tuning};
use crate::report::printable;
use crate::{Error, Result};

mod commands;
mod flags;
mod out;
mod progress;
mod run;
mod sweep;
mod table;

use commands::{
    adapters, bench, check, data, demo, distill, embed, eval, methods, models, predict, profile, statics,
    teach, train, tune, vectors,
};

/// Knowledge distillation on any GPU.
#[derive(Debug, Parser)]
#[command(version, about, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    adapter: AdapterFlags,
    #[command(subcommand)]
    command: Command,
}

/// Which adapter to use; `limbeck adapters` lists them.
#[derive(Debug, Args)]
struct AdapterFlags {
    /// vulkan, metal, dx12 or gl
    #[arg(long, global = true, help_heading = "Adapter", env = "LIMBECK_BACKEND")]
    backend: Option<String>,
    /// Part of the adapter's name
    #[arg(long, global = true, help_heading = "Adapter", env = "LIMBECK_ADAPTER")]
    adapter: Option<String>,
    /// Where several match: high (discrete first) or low (integrated first)
    #[arg(long, global = true, help_heading = "Adapter", env = "LIMBECK_POWER", default_value = "high", value_parser = ["high", "low"])]
    power: String,
    /// Split work that a slow GPU would need longer for, in seconds (inf for never), so that its driver does not reset it;
    /// 1 on GPUs by default, inf on CPUs
    #[arg(long, global = true, help_heading = "Adapter", value_name = "SECONDS", env = "LIMBECK_SUBMIT_SECONDS", value_parser = SubmitLimit::parse)]
    submit_seconds: Option<SubmitLimit>,
    /// Use cooperative matrices (tensor cores, simdgroup matrices) in matrix products and convolutions: an
    /// experiment of wgpu, refused where the adapter has none that limbeck can use (limbeck adapters says)
    #[arg(long, global = true, help_heading = "Adapter", env = "LIMBECK_COOPERATIVE_MATRIX")]
    #[arg(value_parser = BoolishValueParser::new())]
    cooperative_matrix: bool,
    /// Measure the variants of kernels that are needed and not measured on this adapter yet, and keep the choice
    #[arg(long, global = true, help_heading = "Adapter", conflicts_with = "no_tune")]
    tune: bool,
    /// Take the default variants of kernels, whatever was measured: the same ones on every adapter of a kind
    #[arg(long, global = true, help_heading = "Adapter")]
    no_tune: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List adapters, back ends, drivers, limits and features
    #[command(after_help = adapters::EXAMPLES)]
    Adapters,
    /// Train a teacher and distil students on the built-in handwritten digits
    #[command(after_help = demo::EXAMPLES)]
    Demo(demo::DemoFlags),
    /// Train a network from labels alone
    #[command(after_help = train::EXAMPLES)]
    Train(Box<train::TrainFlags>),
    /// Distil a teacher into a student
    #[command(after_help = distill::EXAMPLES)]
    Distill(Box<distill::DistillFlags>),
    /// Run methods, seeds and pairs of teacher and student, and tabulate what each method is worth
    #[command(after_help = sweep::EXAMPLES)]
    Sweep(sweep::SweepFlags),
    /// Write a teacher's outputs for a data set, for distill to learn from without the teacher
    #[command(after_help = teach::EXAMPLES)]
    Teach(teach::TeachFlags),
    /// Measure a saved network, class by class
    #[command(after_help = eval::EXAMPLES)]
    Eval(eval::EvalFlags),
    /// Say what image files show
    #[command(after_help = predict::EXAMPLES)]
    Predict(predict::PredictFlags),
    /// List data sets, or download one
    #[command(after_help = data::EXAMPLES)]
    Data(data::DataFlags),
    /// List architectures, or show the layers of one
    #[command(after_help = models::EXAMPLES)]
    Models(models::ModelsFlags),
    /// List distillation methods, or show one: loss, paper, settings, taps
    #[command(after_help = methods::EXAMPLES)]
    Methods(methods::MethodsFlags),
    /// Make tables of word vectors smaller, measure them, look into them
    #[command(after_help = vectors::EXAMPLES)]
    Vectors(vectors::VectorsFlags),
    /// Make vectors of texts, by an encoder or a static model
    #[command(after_help = embed::EXAMPLES)]
    Embed(embed::EmbedFlags),
    /// Make a static model of an encoder of sentences: a vector for each token, thousands of sentences a second
    #[command(name = "static", after_help = statics::EXAMPLES)]
    Static(statics::StaticFlags),
    /// Time every op of a model's training step
    #[command(after_help = profile::EXAMPLES)]
    Profile(profile::ProfileFlags),
    /// Measure the variants of kernels on this adapter, so that later runs take the fastest
    #[command(after_help = tune::EXAMPLES)]
    Tune(tune::TuneFlags),
    /// Time kernels, training steps and overheads on this adapter, against what it can do
    #[command(after_help = bench::EXAMPLES)]
    Bench(bench::BenchFlags),
    /// Run every op and its gradient on this adapter against the f64 reference
    #[command(after_help = check::EXAMPLES)]
    Check(check::CheckFlags),
}

impl AdapterFlags {
    fn request(&self) -> AdapterRequest {
        let power = if self.power == "low" { Power::Low } else { Power::High };
        AdapterRequest {
            backend: self.backend.clone(),
            name: self.adapter.clone(),
            power,
            cooperative_matrix: self.cooperative_matrix,
        }
    }

    fn options(&self) -> GpuOptions {
        let tuning = match (self.tune, self.no_tune) {
            (true, _) => Tuning::Measure,
            (false, true) => Tuning::Off,
            (false, false) => Tuning::Cached,
        };
        let submits = self.submit_seconds.unwrap_or_default();
        GpuOptions { tuning, submits, ..Default::default() }
    }

    fn open(&self) -> Result<Gpu> {
        Gpu::open_blocking(&self.request(), self.options())
    }

    /// For costs by layer: no op does another one's work.
    fn open_by_layer(&self) -> Result<Gpu> {
        Gpu::open_blocking(&self.request(), GpuOptions { unfused: true, ..self.options() })
    }
}

/// An error for a terminal, with flags for settings. It may quote a file, so control codes, which could move the cursor or change colours, go; the
/// line breaks of messages with a command to run or a place in a file stay.
pub fn shown(error: &Error) -> String {
    flags::as_flags(&error.to_string()).split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

/// Parses the command line and runs the command.
pub fn run() -> Result<ExitCode> {
    let cli = Cli::parse();
    match cli.command {
        Command::Adapters => adapters::run(&cli.adapter),
        Command::Demo(flags) => demo::run(&cli.adapter, &flags),
        Command::Train(flags) => train::run(&cli.adapter, &flags),
        Command::Distill(flags) => distill::run(&cli.adapter, &flags),
        Command::Sweep(flags) => sweep::run(&cli.adapter, &flags),
        Command::Teach(flags) => teach::run(&cli.adapter, &flags),
        Command::Eval(flags) => eval::run(&cli.adapter, &flags),
        Command::Predict(flags) => predict::run(&cli.adapter, &flags),
        Command::Data(flags) => data::run(&flags),
        Command::Models(flags) => models::run(&cli.adapter, &flags),
        Command::Methods(flags) => methods::run(&flags),
        Command::Vectors(flags) => vectors::run(&cli.adapter, &flags),
        Command::Embed(flags) => embed::run(&cli.adapter, &flags),
        Command::Static(flags) => statics::run(&cli.adapter, &flags),
        Command::Profile(flags) => profile::run(&cli.adapter, &flags),
        Command::Tune(flags) => tune::run(&cli.adapter, &flags),
        Command::Bench(flags) => bench::run(&cli.adapter, &flags),
        Command::Check(flags) => check::run(&cli.adapter, &flags),
    }
}
