//! Methods on texts in the trainer: encoders whose taps are found by themselves, and what cannot be compared, in words. Values
//! and gradients are held against PyTorch in methods.rs.

mod common;

use std::sync::Arc;

use common::bits::bits;
use limbeck::data::{Field, LABELS, Row, Source, View};
use limbeck::distill::{self, MethodConfig};
use limbeck::gpu::{Buffer, BufferSlice, Gpu};
use limbeck::models::{
    Head, InputSpec, ModelConfig, NUMBERS, Network, Outputs, SPANS, TOKENS, Values, build,
};
use limbeck::nn::{DeviceParams, Mode, Precision};
use limbeck::ops::cross_entropy::CrossEntropy;
use limbeck::optim::OptimizerConfig;
use limbeck::tape::{Meta, Tape, Tensor};
use limbeck::tasks::{Leaves, Meter, Metric, Need, Rows, Tally, Task, TaskSpec, TaskTerm, Views};
use limbeck::train::{Run, Teacher, TrainConfig, Trainer};

const WORDS: usize = 24;
const LONGEST: usize = 10;

/// Texts of 3 to 10 tokens, the first of which is 1 and the last 2, no two texts alike; the second token says the class.
struct Texts(Vec<u32>);

impl Texts {
    fn new() -> Self {
        Self((0..43).map(|id| 3 + id * 5 % 8).collect())
    }
}

impl Source for Texts {
    fn name(&self) -> &str {
        "texts"
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn fields(&self) -> Vec<Field> {
        vec![Field::packed(TOKENS), Field::label(LABELS)]
    }

    fn lengths(&self) -> Option<&[u32]> {
        Some(&self.0)
    }

    fn fill(&self, id: usize, _: View, row: &mut Row<'_>) -> limbeck::Result<()> {
        let tokens = row.i32(TOKENS)?;
        let last = tokens.len() - 1;
        for (i, token) in tokens.iter_mut().enumerate() {
            *token = match i {
                0 => 1,
                i if i == last => 2,
                i => 3 + ((id * 31 + i * i * 17) % (WORDS - 3)) as i32,
            };
        }
        let first = tokens[1];
        row.i32(LABELS)?[0] = i32::from(first < 13);
        Ok(())
    }

    fn fingerprint(&self) -> String {
        "texts 1".into()
    }
}

static TEXTS: TaskSpec = TaskSpec {
    name: "texts",
    about: "classes of texts, or vectors",
    offers: &[Need::Logits, Need::Labels, Need::Taps, Need::Tokens, Need::Vectors],
};
static VECTORS: TaskSpec =
    TaskSpec { name: "texts", about: "vectors", offers: &[Need::Taps, Need::Tokens, Need::Vectors] };

/// Classes, or vectors that learn from the teacher alone.
struct Read(Head);

impl Task for Read {
    fn spec(&self) -> &'static TaskSpec {
        if self.is_classifier() { &TEXTS } else { &VECTORS }
    }

    fn model_config(&self) -> ModelConfig {
        ModelConfig { input: InputSpec::Tokens { vocabulary: WORDS, longest: LONGEST }, head: self.0 }
    }

    fn check(&self, source: &dyn Source) -> limbeck::Result<()> {
        source.field(TOKENS).map(drop)
    }

    fn inputs(&self, leaves: &mut Leaves, _: Mode) -> limbeck::Result<Values> {
        Ok(Values::one(TOKENS, leaves.get(TOKENS)?.clone()).with(SPANS, leaves.spans()?.clone()))
    }

    fn loss(&self, outputs: &Outputs, leaves: &Leaves) -> limbeck::Result<Vec<TaskTerm>> {
        let loss = match outputs.get(NUMBERS) {
            Ok(numbers) => numbers.square()?.mean(&[0, 1], false)?.reshape([1])?,
            Err(_) => outputs.logits()?.cross_entropy(leaves.get(LABELS)?, &CrossEntropy::default())?,
        };
        Ok(vec![TaskTerm { name: "own", loss, weight: 1.0 }])
    }

    fn rows(&self, outputs: &Outputs, leaves: &Leaves) -> limbeck::Result<Option<Rows>> {
        let labels = Some(leaves.get(LABELS)?.clone());
        let rows = |values: &Tensor| Rows { values: values.clone(), labels, weights: None };
        Ok(outputs.logits().ok().map(rows))
    }

    fn meter(&self, gpu: &Gpu) -> limbeck::Result<Box<dyn Meter>> {
        Ok(Box::new(Losses(gpu.buffer("losses", Meta::f32([3]).bytes())?)))
    }

    fn identity(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn views(&self) -> Views {
        Views::default()
    }
}

impl Read {
    fn is_classifier(&self) -> bool {
        matches!(self.0, Head::Classes(_))
    }
}

/// Losses, batches, samples.
struct Losses(Buffer);

impl Meter for Losses {
    fn record(&self, tape: &Tape, _: &Outputs, leaves: &Leaves, loss: &Tensor) -> limbeck::Result<()> {
        let totals = tape.external("losses", Meta::f32([3]), self.0.whole(), false)?;
        let samples = leaves.mask().sum(&[0], false)?;
        let parts = [&loss.reshape([1])?, &tape.constant([1], &[1.0])?, &samples];
        totals.add_in_place(&Tensor::concat(&parts, 0)?.detach()?)
    }

    fn counts(&self) -> Vec<(String, BufferSlice)> {
        vec![("losses".into(), self.0.whole())]
    }

    fn tally(&self, counts: &[Vec<u8>]) -> limbeck::Result<Tally> {
        let totals: Vec<f32> = bytemuck::pod_collect_to_vec(&counts[0]);
        let (loss, steps, samples) = (f64::from(totals[0]), totals[1] as u64, totals[2] as u64);
        let primary = Metric::error("loss", loss / steps.max(1) as f64);
        Ok(Tally { loss, steps, samples, primary, others: Vec::new() })
    }
}

/// Four layers to the student's two, 24 wide to its 16.
const TEACHER: &str = "bert:4,24,2,32";
const STUDENT: &str = "bert:2,16,2,32,dropout=0";

fn network(name: &str, head: Head, seed: u64) -> Network {
    let mut network = build(name, &Read(head).model_config()).unwrap();
    network.params.initialise(seed);
    // Small weights would make teachers that say the same of all texts.
    let weights = network.params.iter_mut().filter(|p| p.name.ends_with("weight") && p.shape.rank() == 2);
    weights.for_each(|param| param.values.iter_mut().for_each(|v| *v *= 8.0));
    network
}

fn config(epochs: u64) -> TrainConfig {
    TrainConfig {
        epochs,
        batch_size: 8,
        learning_rate: 0.003,
        optimizer: OptimizerConfig::adam(),
        ..Default::default()
    }
}

fn fit(
    gpu: &Gpu,
    method: &str,
    [teacher, student]: [(&str, Head); 2],
    config: &TrainConfig,
) -> limbeck::Result<(Run, Network)> {
    let (teacher_name, teacher_head) = teacher;
    let (teacher, mut learner) = (network(teacher_name, teacher_head, 3), network(student.0, student.1, 5));
    let params = DeviceParams::frozen(gpu, "teacher", &teacher.params)?;
    let objective = distill::parse(method, &MethodConfig::default())?;
    let data = Arc::new(Texts::new());
    let trainer = Trainer::new(gpu, Read(student.1), config, &data, &data);
    let run = trainer.teacher(Teacher::new(&teacher, &params, objective)).fit(&mut learner)?;
    let mut after = network(teacher_name, teacher_head, 0);
    params.download(&mut after.params)?;
    assert_eq!(bits(&teacher), bits(&after), "{method} touches its teacher");
    Ok((run, learner))
}

const CLASSES: Head = Head::Classes(2);

#[test]
fn all_methods_together_train_to_the_same_bits() {
    let gpu = common::gpu();
    let all = "distilbert+tinybert+minilm+minilmv2+pkd-bert+embed-mse+embed-cosine+relational+margin-mse+rkd";
    let networks = [(TEACHER, CLASSES), (STUDENT, CLASSES)];
    let (run, first) = fit(&gpu, all, networks, &config(1)).unwrap();
    assert!(run.epochs[0].loss.is_finite(), "{}", run.epochs[0].loss);
    let (_, second) = fit(&gpu, all, networks, &config(1)).unwrap();
    for (a, b) in first.params.iter().zip(second.params.iter()) {
        assert!(a.values.iter().all(|v| v.is_finite()), "{}", a.name);
        assert_eq!(a.values, b.values, "{}", a.name);
    }
    // Taps may be f16. Weights that hardly change show what that alone makes of a loss.
    for method in all.split('+') {
        let [full, mixed] = [Precision::F32, Precision::Mixed].map(|precision| {
            let config = TrainConfig { learning_rate: 1e-7, precision, ..config(1) };
            fit(&gpu, &format!("{method}+ce:0"), networks, &config).unwrap().0.epochs[0].loss
        });
        assert!((full - mixed).abs() < 0.005 * full, "{method}: {full} in f32, {mixed} in mixed precision");
    }
}

/// With the task's own loss left out, and what a method compares getting closer.
#[test]
fn students_learn_by_each_method() {
    let gpu = common::gpu();
    let vectors = |width| Head::Numbers(width);
    let cases = [
        ("distilbert", [(TEACHER, CLASSES), (STUDENT, CLASSES)]),
        ("tinybert", [(TEACHER, CLASSES), (STUDENT, CLASSES)]),
        ("tinybert,hidden=0", [(TEACHER, vectors(24)), (STUDENT, vectors(16))]),
        ("minilm", [(TEACHER, vectors(24)), (STUDENT, vectors(16))]),
        ("minilmv2", [("bert:4,24,3,32", vectors(24)), (STUDENT, vectors(16))]),
        ("pkd-bert", [(TEACHER, CLASSES), (STUDENT, CLASSES)]),
        ("pkd-bert,layers=last,state=mean", [(TEACHER, vectors(24)), (STUDENT, vectors(16))]),
        ("embed-mse", [(TEACHER, vectors(24)), (STUDENT, vectors(16))]),
        ("embed-mse", [(TEACHER, CLASSES), (STUDENT, CLASSES)]),
        ("embed-cosine", [(TEACHER, vectors(24)), (STUDENT, vectors(24))]),
        ("relational", [(TEACHER, vectors(24)), (STUDENT, vectors(16))]),
        ("relational,form=kl", [(TEACHER, vectors(24)), (STUDENT, vectors(16))]),
        ("margin-mse", [(TEACHER, vectors(24)), (STUDENT, vectors(16))]),
    ];
    for (method, networks) in cases {
        let (run, _) = fit(&gpu, &format!("{method}+ce:0"), networks, &config(10)).unwrap();
        let losses: Vec<f64> = run.epochs.iter().map(|epoch| epoch.loss).collect();
        assert!(losses[9] < 0.7 * losses[0], "{method}: {losses:?}");
    }
}

#[test]
fn what_cannot_be_compared_is_said() {
    let gpu = common::gpu();
    let (three, one) = ("bert:4,24,3,32", "bert:1,16,2,32");
    for (method, networks, part) in [
        ("minilm", [(three, CLASSES), (STUDENT, CLASSES)], "the teacher has 3 and the student 2"),
        ("tinybert", [(three, CLASSES), (STUDENT, CLASSES)], "minilmv2"),
        ("minilm,heads=5", [(TEACHER, CLASSES), (STUDENT, CLASSES)], "divides both widths, 24 and 16, got 5"),
        ("minilmv2,relations=3", [(TEACHER, CLASSES), (STUDENT, CLASSES)], "24 and 16, got 3"),
        ("pkd-bert", [(TEACHER, CLASSES), (one, CLASSES)], "leaves the last layer out"),
        (
            "distilbert",
            [(TEACHER, Head::Numbers(24)), (STUDENT, Head::Numbers(16))],
            "its outputs are numbers",
        ),
        (
            "embed-mse,projection=never",
            [(TEACHER, Head::Numbers(24)), (STUDENT, Head::Numbers(16))],
            "16 numbers and the teacher's 24",
        ),
        ("relational", [(TEACHER, CLASSES), (STUDENT, Head::Numbers(16))], "not both networks give such"),
    ] {
        let message = fit(&gpu, method, networks, &config(1)).err().expect(method).to_string();
        assert!(message.contains(part), "{method}: {message}");
    }
}

/// Layers can be named: what attention computes in them is found below their names.
#[test]
fn named_layers_have_their_attention() {
    let gpu = common::gpu();
    let (teacher, mut student) = (network(TEACHER, CLASSES, 3), network(STUDENT, CLASSES, 5));
    let params = DeviceParams::frozen(&gpu, "teacher", &teacher.params).unwrap();
    let data = Arc::new(Texts::new());
    let config = config(1);
    let mut fit = |method: &str, hint: &str, guided: &str| {
        let objective = distill::parse(method, &MethodConfig::default()).unwrap();
        let taps = vec![(hint.to_string(), guided.to_string())];
        let teacher = Teacher::new(&teacher, &params, objective).with_taps(taps);
        Trainer::new(&gpu, Read(CLASSES), &config, &data, &data).teacher(teacher).fit(&mut student).map(drop)
    };
    fit("minilm", "encoder.layer.2", "encoder.layer.1").unwrap();
    let message = fit("minilm", "pooled", "pooled").unwrap_err().to_string();
    assert!(message.contains("pooled.attention.self.query"), "{message}");
    let message = fit("pkd-bert", "pooled", "pooled").unwrap_err().to_string();
    assert!(message.contains("a tap of tokens"), "{message}");
    let message = fit("relational", "encoder.layer.2", "encoder.layer.1").unwrap_err().to_string();
    assert!(message.contains("a vector of each sample, (8, D)"), "{message}");
}
