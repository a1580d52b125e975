//! BERT-of-Theseus: each pattern of replaced layers against PyTorch (tests/fixtures/theseus.py), and whole trainings.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::fixture::{Fixture, mismatch};
use limbeck::data::Split;
use limbeck::data::text::TextSet;
use limbeck::distill::{self, MethodConfig};
use limbeck::gpu::Gpu;
use limbeck::models::encoder::theseus::{REPLACED, RISE};
use limbeck::models::{Head, InputSpec, ModelConfig, Network, SPANS, TOKENS, Values, build};
use limbeck::nn::{DeviceParams, Forward};
use limbeck::ops::cross_entropy::CrossEntropy;
use limbeck::optim::OptimizerConfig;
use limbeck::tape::{Plan, Step, Tape, Tensor};
use limbeck::tasks::{Classify, ClassifyConfig, Task};
use limbeck::train::{Checkpoints, Observer, Teacher, TrainConfig, Trainer};

#[test]
fn each_pattern_computes_what_pytorch_computes() {
    let (gpu, fixture) = (common::gpu(), Fixture::load("theseus"));
    let input = InputSpec::Tokens { vocabulary: 40, longest: 16 };
    let config = ModelConfig { input, head: Head::Classes(3) };
    let mut network = build("bert:2,8,2,12+theseus:4,0.5", &config).unwrap();
    for param in network.params.iter_mut() {
        let own = param.name.starts_with("encoder.layer.");
        let name = param.name.strip_prefix("theseus.").unwrap_or(&param.name);
        param.values = fixture.f32s(&format!("{}/{name}", if own { "student" } else { "teacher" }));
    }
    let params = DeviceParams::trainable(&gpu, "student", &network.params).unwrap();
    let tape = Tape::new();
    let fx = Forward::train(&tape, &params);
    let (tokens, spans) = (fixture.i32s("tokens"), fixture.i32s("spans"));
    let numbers = tape.input_i32(TOKENS, [tokens.len()]);
    let places = tape.input_i32(SPANS, [spans.len() / 2, 2]);
    let labels = tape.input_i32("labels", [spans.len() / 2]);
    let values = Values::one(TOKENS, numbers.clone()).with(SPANS, places.clone());
    let logits = network.forward(&fx, &values).unwrap().logits().unwrap().clone();
    let gradients = logits.cross_entropy(&labels, &CrossEntropy::default()).unwrap().backward().unwrap();
    let trained: Vec<(String, Tensor)> = fx
        .leaves()
        .into_iter()
        .filter(|(_, leaf)| leaf.requires_grad())
        .map(|(id, leaf)| {
            let name = network.params.get(id).unwrap().name.clone();
            (name, gradients.get(&leaf).unwrap().clone())
        })
        .collect();
    assert!(trained.iter().all(|(name, _)| name.starts_with("encoder.layer.")));
    assert_eq!(trained.len(), 2 * 16);
    let replaced = fx.tap(REPLACED).unwrap();
    let kept: Vec<&Tensor> =
        trained.iter().map(|(_, gradient)| gradient).chain([&logits, &replaced]).collect();
    let plan = Plan::new(&gpu, &tape, &kept).unwrap();
    plan.write(&numbers, &tokens).unwrap();
    plan.write(&places, &spans).unwrap();
    plan.write(&labels, &fixture.i32s("labels")).unwrap();
    let rise = tape.scalar(RISE).unwrap();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for number in 0..400 {
        let mut step = Step::new(number, 3);
        // Half of the draws at first, all in the end.
        step.set(rise, if number < 200 { 0.0 } else { 1.0 });
        plan.run(&step).unwrap();
        let pattern = plan.read_f32(&replaced).unwrap();
        let pattern: String = pattern.iter().map(|one| if *one == 1.0 { '1' } else { '0' }).collect();
        *seen.entry(pattern.clone()).or_default() += 1;
        if number >= 200 {
            assert_eq!(pattern, "11");
        }
        if seen[&pattern] > 1 {
            continue;
        }
        let got = plan.read_f32(&logits).unwrap();
        assert_eq!(mismatch(&got, &fixture.f32s(&format!("{pattern}/logits")), 1e-4), None, "{pattern}");
        for (name, gradient) in &trained {
            let (key, got) = (format!("{pattern}/grad/{name}"), plan.read_f32(gradient).unwrap());
            match fixture.has(&key) {
                true => assert_eq!(mismatch(&got, &fixture.f32s(&key), 1e-4), None, "{key}"),
                false => assert!(got.iter().all(|g| *g == 0.0), "{key}"),
            }
        }
    }
    assert_eq!(seen.len(), 4, "{seen:?}");
    // A quarter of 200 each, give or take five standard deviations.
    let fair = |(pattern, count): (&String, &usize)| {
        (20..81).contains(&(count - if pattern == "11" { 200 } else { 0 }))
    };
    assert!(seen.iter().all(fair), "{seen:?}");
}

const WORDS: usize = 24;
const LONGEST: usize = 10;
const TEACHER: &str = "bert:4,16,2,24";

fn texts() -> Arc<TextSet> {
    let text = |id: usize| -> Vec<u32> {
        let inner = (0..1 + id * 5 % 8).map(|i| 3 + ((id * 31 + i * i * 17) % (WORDS - 3)) as u32);
        [1].into_iter().chain(inner).chain([2]).collect()
    };
    let labels: Vec<u32> = (0..43).map(|id| u32::from(text(id)[1] < 13)).collect();
    let set = TextSet::new("texts", Split::Train, [WORDS, LONGEST], (0..43).map(text)).unwrap();
    Arc::new(set.with_labels(labels, vec!["a".into(), "b".into()]).unwrap())
}

/// Ends a training before this step.
struct Until(u64);

impl Observer for Until {
    fn proceed(&mut self, step: u64) -> bool {
        step < self.0
    }
}

/// The teacher, and the student that learned from it, with a stop and a resumption before each of these steps.
fn distilled(
    gpu: &Gpu,
    [teacher, student]: [&str; 2],
    method: &str,
    ends: &[u64],
) -> limbeck::Result<[Network; 2]> {
    let data = texts();
    let task = || Classify::of_texts(&data, 2, [WORDS, LONGEST], ClassifyConfig::default()).unwrap();
    let network = |name: &str, seed: u64| {
        let mut network = build(name, &task().model_config()).unwrap();
        network.params.initialise(seed);
        network
    };
    let (teacher, mut learner) = (network(teacher, 3), network(student, 5));
    let params = DeviceParams::frozen(gpu, "teacher", &teacher.params)?;
    let folder = common::folder();
    for &end in ends.iter().chain(&[u64::MAX]) {
        let config = TrainConfig {
            epochs: 5,
            batch_size: 8,
            learning_rate: 0.01,
            optimizer: OptimizerConfig::adam(),
            ..Default::default()
        };
        let mut checkpoints = Checkpoints::at(folder.path().join("run.safetensors"))?;
        checkpoints.resume = true;
        learner = network(student, 5);
        let mut until = Until(end);
        let objective = distill::parse(method, &MethodConfig::default())?;
        let trainer = Trainer::new(gpu, task(), &config, &data, &data).checkpoints(checkpoints);
        let trainer = trainer.teacher(Teacher::new(&teacher, &params, objective));
        trainer.observer(&mut until).fit(&mut learner)?;
    }
    Ok([teacher, learner])
}

#[test]
fn what_is_left_is_a_student_with_the_teachers_embeddings_and_head() {
    let gpu = common::gpu();
    let names = [TEACHER, "bert:2,16,2,24"];
    for method in ["theseus", "theseus,rate=constant,first=0.5", "theseus,start=own"] {
        let [teacher, student] = distilled(&gpu, names, method, &[]).unwrap();
        assert_eq!(student.name, "bert:2,16,2,24");
        for param in student.params.iter() {
            let same = param.values == teacher.params.find(&param.name).unwrap().values;
            assert_eq!(same, !param.name.starts_with("encoder.layer."), "{method}: {}", param.name);
        }
        let [_, resumed] = distilled(&gpu, names, method, &[7, 12]).unwrap();
        assert!(common::bits(&student) == common::bits(&resumed), "{method}");
    }
}

#[test]
fn what_does_not_fit_is_said() {
    let gpu = common::gpu();
    for (student, part) in [
        ("bert:3,16,2,24", "3 layers do not divide the 4 of the teacher"),
        ("bert:2,16,4,24", "the teacher has 2 heads and the student 4"),
        ("bert:2,16,2,32", "choose a student that is the teacher but for its layers"),
        ("bert:2,8,2,24", "choose a student that is the teacher but for its layers"),
    ] {
        let message =
            distilled(&gpu, [TEACHER, student], "theseus", &[]).err().expect("an error").to_string();
        assert!(message.contains(part), "{student}: {message}");
    }
}
