//! `limbeck demo`: from nothing to a distilled student on the handwritten digits inside the binary.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use clap::Args;

use super::AdapterFlags;
use crate::Result;
use crate::data::{self, Dataset, LoadOptions};
use crate::distill::{self, MethodConfig, weights};
use crate::files::NamedTensor;
use crate::gpu::Gpu;
use crate::models::{ModelConfig, Network, build};
use crate::nn::DeviceParams;
use crate::optim::{OptimizerConfig, Schedule, Warmup};
use crate::train::metrics::Split;
use crate::train::report::{Curve, CurveKind, Environment, Report, Role, SummaryRow, timestamp};
use crate::train::{Run, Teacher, TrainConfig, train};

/// Flags of `limbeck demo`.
#[derive(Debug, Args)]
pub struct DemoFlags {
    /// Where report.html and the students go
    #[arg(long, default_value = "runs/demo")]
    out: PathBuf,
    /// Seeds of each student
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: u64,
    /// Passes of each student over the training data; the teacher gets twice as many
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=1000))]
    epochs: u64,
}

const TEACHER: &str = "cnn:32,64,128";
const STUDENT: &str = "cnn:4,8,16";
const BATCH: usize = 64;

/// How a student learns: the row's name and the method, where there is one.
const STUDENTS: [(&str, Option<&str>, bool); 5] = [
    ("student alone", None, false),
    ("kd", Some("kd"), false),
    ("activation", Some("activation"), false),
    ("weights + kd", Some("kd"), true),
    ("feature", Some("feature"), false),
];

struct Demo {
    gpu: Gpu,
    training: Arc<Dataset>,
    held_out: Arc<Dataset>,
    report: Report,
}

/// Trains a teacher, then students alone and distilled by each family, and writes the report.
pub fn run(adapter: &AdapterFlags, flags: &DemoFlags) -> Result<ExitCode> {
    let start = Instant::now();
    let gpu = adapter.open()?;
    println!("{} on {} ({})", gpu.caps().name, gpu.caps().backend, gpu.caps().driver);
    let (training, held_out) = data::load("digits", None, &LoadOptions::default())?;
    println!("{} training and {} held-out digits of 8x8 pixels", training.len(), held_out.len());
    let model = ModelConfig {
        input: [training.channels, training.height, training.width],
        classes: training.num_classes(),
    };
    let report = new_report(&gpu, flags, &training, &held_out);
    let mut demo = Demo { gpu, training: Arc::new(training), held_out: Arc::new(held_out), report };

    let mut teacher = build(TEACHER, &model)?;
    teacher.params.initialise(0);
    let config = demo.config(flags.epochs * 2, 0, 1.0);
    let run = demo.fit(&mut teacher, "teacher", 0, &config, None)?;
    demo.row("teacher", &teacher, Role::Teacher, &[run]);
    let frozen = DeviceParams::frozen(&demo.gpu, "teacher", &teacher.params)?;

    for (label, method, transfer) in STUDENTS {
        let mut runs = Vec::new();
        let mut student = build(STUDENT, &model)?;
        for seed in 1..=flags.seeds {
            student.params.initialise(seed);
            if transfer {
                weights::transfer(&mut student.params, &teacher.params, 1.0)?;
            }
            let spec = method.map(distill::find).transpose()?;
            let teaching = spec.map(|spec| Teacher {
                network: &teacher,
                params: &frozen,
                terms: vec![(spec.weight, (spec.build)(&MethodConfig::default()))],
                // What the classifiers read from.
                taps: vec![last_stages(&teacher, &student)],
            });
            let config = demo.config(flags.epochs, seed, spec.map_or(1.0, |s| s.ce_weight));
            runs.push(demo.fit(&mut student, label, seed, &config, teaching)?);
        }
        let role = if method.is_some() { Role::Distilled } else { Role::Baseline };
        demo.row(label, &student, role, &runs);
        save(&student, &flags.out, label)?;
    }
    demo.report.notes.push(format!("The whole demo took {:.0} s.", start.elapsed().as_secs_f64()));
    println!("\n{}", demo.report.text());
    let page = flags.out.join("report.html");
    demo.report.write_html(&page)?;
    println!("wrote {} in {:.0} s", page.display(), start.elapsed().as_secs_f64());
    Ok(ExitCode::SUCCESS)
}

impl Demo {
    fn config(&self, epochs: u64, seed: u64, ce_weight: f32) -> TrainConfig {
        let steps = epochs * (self.training.len() / BATCH) as u64;
        TrainConfig {
            epochs,
            batch_size: BATCH,
            learning_rate: 0.05,
            schedule: Schedule::Cosine { total: steps, floor: 0.0, warmup: Warmup::default() },
            optimizer: OptimizerConfig::Sgd { momentum: 0.9, nesterov: true, weight_decay: 5e-4 },
            max_grad_norm: None,
            ce_weight,
            crop_padding: 0,
            flip: false,
            seed,
        }
    }

    fn fit(
        &mut self,
        network: &mut Network,
        label: &str,
        seed: u64,
        config: &TrainConfig,
        teacher: Option<Teacher<'_>>,
    ) -> Result<Run> {
        let params = DeviceParams::trainable(&self.gpu, label, &network.params)?;
        let sets = (&self.training, &self.held_out);
        let run = train(&self.gpu, network, &params, sets, config, teacher, |epoch| {
            log::info!("{label}, seed {seed}, epoch {}: accuracy {:.4}", epoch.epoch, epoch.accuracy);
        })?;
        params.download(&mut network.params)?;
        println!("{label:<14} seed {seed}: {:.1} % of the held-out digits", 100.0 * run.accuracy());
        let mut curve = |kind, split, value: fn(&crate::train::Epoch) -> f64| {
            let points = run.epochs.iter().map(|e| (e.epoch as f64, value(e))).collect();
            self.report.curves.push(Curve { label: label.into(), seed, kind, split, points });
        };
        curve(CurveKind::Accuracy, Split::Validation, |e| e.accuracy);
        curve(CurveKind::Loss, Split::Train, |e| e.loss);
        Ok(run)
    }

    fn row(&mut self, label: &str, network: &Network, role: Role, runs: &[Run]) {
        let params = network.params.trainable_elements() as u64;
        let stored: usize = network.params.iter().map(|p| p.shape.len()).sum();
        let times: Vec<f64> = runs.iter().map(|r| r.ms_per_step).collect();
        self.report.rows.push(SummaryRow {
            label: label.into(),
            model: network.name.clone(),
            role,
            params,
            bytes: stored as u64 * 4,
            accuracy: runs.iter().map(Run::accuracy).collect(),
            ms_per_step: crate::train::stats::median(&times),
        });
    }
}

/// The deepest feature of both networks.
fn last_stages(teacher: &Network, student: &Network) -> (String, String) {
    let last = |n: &Network| n.stages.last().cloned().unwrap_or_default();
    (last(teacher), last(student))
}

fn new_report(gpu: &Gpu, flags: &DemoFlags, training: &Dataset, held_out: &Dataset) -> Report {
    let caps = gpu.caps();
    Report {
        title: "Distilling handwritten digits".into(),
        subtitle: format!(
            "{} training and {} held-out images of the UCI digits; {} epochs a student, {} seeds",
            training.len(),
            held_out.len(),
            flags.epochs,
            flags.seeds
        ),
        environment: Environment {
            adapter: caps.name.clone(),
            driver: caps.driver.clone(),
            backend: caps.backend.clone(),
            command: std::env::args().collect::<Vec<_>>().join(" "),
            date: timestamp(SystemTime::now()),
            version: env!("CARGO_PKG_VERSION").into(),
            extra: Vec::new(),
        },
        ..Default::default()
    }
}

fn save(student: &Network, out: &std::path::Path, label: &str) -> Result<()> {
    let name = format!("student-{}.safetensors", label.replace(" + ", "-").replace(' ', "-"));
    let tensors: Vec<NamedTensor> = student.params.named();
    let stored: Vec<_> = tensors.iter().map(crate::files::StoredTensor::from).collect();
    crate::files::write_safetensors(out.join(name), &stored, &Default::default())
}
