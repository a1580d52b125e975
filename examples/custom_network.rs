//! A network of one's own, with a loss of one's own, trained and distilled by limbeck's trainer: saved, opened again by its
//! name, and measured like any other.
//!
//!     cargo run --example custom_network
//!
//! Expect the network alone near 85 % of the held-out digits and distilled a few points above, and the same figure from
//! the file.

use std::path::Path;
use std::sync::Arc;

use limbeck::data::{LABELS, Loader, LoaderConfig, Source, digits};
use limbeck::distill::{self, MethodConfig};
use limbeck::gpu::{AdapterRequest, Gpu, GpuOptions};
use limbeck::models::{
    Arguments, Built, ModelConfig, ModelSpec, Outputs, SingleModule, Values, build, register, saved,
};
use limbeck::nn::{DeviceParams, Forward, Linear, Mode, ParamBuilder, Params};
use limbeck::tape::Tensor;
use limbeck::tasks::{
    Classify, ClassifyConfig, Leaves, Meter, Rows, Task, TaskSpec, TaskTerm, Views, classify,
};
use limbeck::train::{Evaluator, Teacher, TrainConfig, Trainer};

/// A gated perceptron: y = W2 (relu(W1 x) * sigmoid(V x)). Its family has numbers in its name, as limbeck's own have.
struct Gated {
    value: Linear,
    gate: Linear,
    head: Linear,
}

static GATED: ModelSpec = ModelSpec::new("gated", "gated:32 hidden size", gated);

fn gated(config: &ModelConfig, arguments: &Arguments) -> limbeck::Result<Built> {
    let hidden = arguments.numbers().first().copied().unwrap_or(32);
    let mut params = Params::outline();
    let mut root = ParamBuilder::new(&mut params);
    let inputs = config.input.len();
    let network = Gated {
        value: Linear::new(root.sub("value"), inputs, hidden, true),
        gate: Linear::new(root.sub("gate"), inputs, hidden, true),
        head: Linear::new(root.sub("head"), hidden, config.head.row()?, true),
    };
    let taps = vec!["gated".to_string()];
    let module = config.single(network);
    Ok(Built { params, module, stages: taps.clone(), preactivations: taps, embedding: "gated".into() })
}

impl SingleModule for Gated {
    fn forward(&self, fx: &Forward<'_>, x: &Tensor) -> limbeck::Result<Tensor> {
        let x = x.flatten()?;
        // What is named is a tap, which methods of distillation may look at.
        let hidden = fx.layer("gated", || {
            self.value.forward(fx, &x)?.relu()?.mul(&self.gate.forward(fx, &x)?.sigmoid()?)
        })?;
        self.head.forward(fx, &hidden)
    }
}

/// Classification with the Brier score (the squared distance of probabilities from the label) in place of the
/// cross-entropy. Everything else is [`Classify`]'s.
struct Brier(Classify);

static BRIER: TaskSpec =
    TaskSpec { name: "brier", about: "classes by the Brier score", offers: classify::SPEC.offers };

impl Task for Brier {
    fn spec(&self) -> &'static TaskSpec {
        &BRIER
    }

    fn loss(&self, outputs: &Outputs, leaves: &Leaves) -> limbeck::Result<Vec<TaskTerm>> {
        let logits = outputs.logits()?;
        let labels = leaves.get(LABELS)?.one_hot(logits.dims()[1])?;
        let squared = logits.softmax(1)?.sub(&labels)?.square()?;
        Ok(vec![TaskTerm { name: "brier", loss: squared.sum(&[1], false)?.mean(&[0], false)?, weight: 1.0 }])
    }

    fn model_config(&self) -> ModelConfig {
        self.0.model_config()
    }

    fn check(&self, source: &dyn Source) -> limbeck::Result<()> {
        self.0.check(source)
    }

    fn inputs(&self, leaves: &mut Leaves, mode: Mode) -> limbeck::Result<Values> {
        self.0.inputs(leaves, mode)
    }

    fn rows(&self, outputs: &Outputs, leaves: &Leaves) -> limbeck::Result<Option<Rows>> {
        self.0.rows(outputs, leaves)
    }

    fn meter(&self, gpu: &Gpu) -> limbeck::Result<Box<dyn Meter>> {
        self.0.meter(gpu)
    }

    fn identity(&self) -> Vec<(&'static str, String)> {
        [self.0.identity(), vec![("loss", "brier".into())]].concat()
    }

    fn views(&self) -> Views {
        self.0.views()
    }
}

fn main() -> limbeck::Result<()> {
    let gpu = Gpu::open_blocking(&AdapterRequest::from_env()?, GpuOptions::default())?;
    register(&GATED)?;
    let (training, test) = digits::load(0.2, 0)?;
    let (few, training, test) = (Arc::new(training.range(0..200)?), Arc::new(training), Arc::new(test));
    let task = Arc::new(Brier(Classify::new(&training, ClassifyConfig::default())?));

    let mut teacher = build("cnn:16,32", &task.model_config())?;
    let config = TrainConfig { epochs: 5, ..Default::default() };
    let run = Trainer::new(&gpu, task.clone(), &config, &training, &test).fit(&mut teacher)?;
    println!("teacher    {:.1} % of the held-out digits", 100.0 * run.value());

    let config = TrainConfig { epochs: 30, batch_size: 25, ..Default::default() };
    let mut alone = build("gated:16", &task.model_config())?;
    let run = Trainer::new(&gpu, task.clone(), &config, &few, &test).fit(&mut alone)?;
    println!("alone      {:.1} %", 100.0 * run.value());

    let frozen = DeviceParams::frozen(&gpu, "teacher", &teacher.params)?;
    let objective = distill::parse("kd", &MethodConfig::default())?;
    let teaching = Teacher::new(&teacher, &frozen, objective);
    let mut student = build("gated:16", &task.model_config())?;
    let run = Trainer::new(&gpu, task.clone(), &config, &few, &test).teacher(teaching).fit(&mut student)?;
    println!("distilled  {:.1} %", 100.0 * run.value());

    let file = Path::new("runs/custom_network/model.safetensors");
    let metadata = saved::ModelMetadata {
        classes: training.class_names.clone(),
        mean: training.mean.clone(),
        std: training.std.clone(),
        ..Default::default()
    };
    saved::save(file, &student, &metadata)?;
    // The name in the file is enough, since its family is registered.
    let opened = saved::open(file, &Default::default())?.network;
    let params = DeviceParams::frozen(&gpu, "opened", &opened.params)?;
    let mut evaluator = Evaluator::new(&gpu, &task, &opened, &params, 64, test.as_ref())?;
    let measured = evaluator.measure(Loader::new(test, LoaderConfig::in_order(64))?.epoch(0))?;
    println!(
        "from file  {:.1} %, {} {:.3}",
        100.0 * measured.value(),
        task.spec().name,
        measured.loss.unwrap_or(0.0)
    );
    Ok(())
}
