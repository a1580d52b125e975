//! Schemes: several teachers, a teacher that follows its student, peers, chains.

mod common;

use std::sync::Arc;

use common::bits::bits;
use common::digits::{Digits, StopAt};
use common::network::seeded;
use limbeck::Result;
use limbeck::distill::{self, MethodConfig};
use limbeck::models::Network;
use limbeck::nn::DeviceParams;
use limbeck::optim::{EmaConfig, OptimizerConfig};
use limbeck::rng::Stream;
use limbeck::tape::{Plan, Step, Tape};
use limbeck::train::schemes::{Member, Scheme, mean_logits};
use limbeck::train::{ChainStep, chain};
use limbeck::train::{
    Checkpoints, Run, StoredOutputs, StoredTeacher, Teacher, TeacherSource, TrainConfig, Trainer,
};

impl Digits {
    fn trainer<'a>(&'a self, config: &'a TrainConfig) -> Trainer<'a> {
        Trainer::new(&self.gpu, common::classify(&self.training), config, &self.training, &self.held_out)
    }

    fn frozen(&self, network: &Network) -> DeviceParams {
        DeviceParams::frozen(&self.gpu, "teacher", &network.params).unwrap()
    }
}

fn teach<'a>(network: &'a Network, params: &'a DeviceParams, methods: &str) -> Teacher<'a> {
    let objective = distill::parse(methods, &MethodConfig::default()).unwrap();
    Teacher::new(network, params, objective)
}

fn config(max_steps: u64) -> TrainConfig {
    TrainConfig {
        epochs: 4,
        max_steps: Some(max_steps),
        batch_size: 32,
        learning_rate: 0.1,
        optimizer: OptimizerConfig::sgd(0.9),
        max_grad_norm: Some(0.5),
        ..Default::default()
    }
}

fn softmax(logits: &[f32], temperature: f64) -> Vec<f64> {
    let e: Vec<f64> = logits.iter().map(|z| (f64::from(*z) / temperature).exp()).collect();
    e.iter().map(|v| v / e.iter().sum::<f64>()).collect()
}

#[test]
fn several_teachers_are_averaged_by_hand() {
    let gpu = common::gpu();
    let tape = Tape::new();
    let (a, b) = (tape.input("a", [3, 5]), tape.input("b", [3, 5]));
    let mean = mean_logits(&[(a.clone(), 0.6), (b.clone(), 0.2)], 4.0).unwrap();
    let plan = Plan::new(&gpu, &tape, &[&mean]).unwrap();
    let mut random = Stream::new(1, "logits");
    let values: Vec<Vec<f32>> =
        (0..2).map(|_| (0..15).map(|_| 10.0 * random.normal() as f32).collect()).collect();
    plan.write(&a, &values[0]).unwrap();
    plan.write(&b, &values[1]).unwrap();
    plan.run(&Step::new(0, 0)).unwrap();
    let found = plan.read_f32(&mean).unwrap();
    for row in 0..3 {
        let row = row * 5..(row + 1) * 5;
        let (p, q) = (softmax(&values[0][row.clone()], 4.0), softmax(&values[1][row.clone()], 4.0));
        for ((got, p), q) in softmax(&found[row], 4.0).iter().zip(p).zip(q) {
            assert!((got - (0.75 * p + 0.25 * q)).abs() < 1e-6, "{got} of {p} and {q}");
        }
    }
    assert!(mean_logits(&[(a.clone(), 0.0), (b, 1.0)], 4.0).is_err());
    assert!(mean_logits(&[], 4.0).is_err());
}

#[test]
fn a_second_teacher_counts_by_its_weight() {
    let setting = Digits::new(160, 50);
    let (one, two) = (seeded("cnn:4", 1), seeded("mlp:9", 2));
    let frozen = [setting.frozen(&one), setting.frozen(&two)];
    let config = config(6);
    let fit = |first: usize, weights: Option<(f32, f32)>| {
        let all = [&one, &two];
        let mut student = seeded("cnn:3", 3);
        let others =
            weights.map(|(_, weight)| Member { network: all[1 - first], params: &frozen[1 - first], weight });
        let scheme = Scheme {
            first_weight: weights.map_or(1.0, |(weight, _)| weight),
            others: others.into_iter().collect(),
            average: None,
        };
        let teacher = teach(all[first], &frozen[first], "kd");
        setting.trainer(&config).teacher(teacher).scheme(scheme).fit(&mut student).unwrap();
        student.params.iter().flat_map(|p| p.values.clone()).collect::<Vec<f32>>()
    };
    let apart = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let (alone, mixed) = (fit(0, None), fit(0, Some((0.7, 0.3))));
    assert!(apart(&alone, &mixed) > 1e-4, "the second teacher changes nothing");
    // Whichever comes first.
    assert!(apart(&mixed, &fit(1, Some((0.3, 0.7)))) < 1e-5);
    assert!(apart(&alone, &fit(0, Some((1.0, 1e-7)))) < 1e-3);
    let mut after = seeded("mlp:9", 4);
    frozen[1].download(&mut after.params).unwrap();
    assert_eq!(bits(&after), bits(&two));
}

/// The weight of the task's loss is both peers'.
#[test]
fn both_peers_weigh_labels_alike() {
    let setting = Digits::new(160, 50);
    let optimizer = OptimizerConfig::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 };
    let config = TrainConfig { ce_weight: 0.0, optimizer, ..config(3) };
    let (mut one, mut two) = (seeded("mlp:12", 1), seeded("mlp:9", 2));
    let before = [bits(&one), bits(&two)];
    setting.trainer(&config).peer(&mut two, 0.0).fit(&mut one).unwrap();
    assert!([bits(&one), bits(&two)] == before, "with all weights 0 there is nothing to learn");
}

/// One step of peers is one step of each from the other as it was, frozen: nothing of a peer's loss reaches the other.
#[test]
fn peers_do_not_leak_gradients() {
    let setting = Digits::new(160, 50);
    let config = config(1);
    let (mut one, mut two) = (seeded("mlp:12", 1), seeded("mlp:20,9", 2));
    setting.trainer(&config).peer(&mut two, 1.0).fit(&mut one).unwrap();
    for (ours, theirs, found) in
        [(("mlp:12", 1), ("mlp:20,9", 2), &one), (("mlp:20,9", 2), ("mlp:12", 1), &two)]
    {
        let other = seeded(theirs.0, theirs.1);
        let frozen = setting.frozen(&other);
        let mut alone = seeded(ours.0, ours.1);
        let teacher = teach(&other, &frozen, "kd:1,temperature=1+ce:1");
        setting.trainer(&config).teacher(teacher).fit(&mut alone).unwrap();
        assert_ne!(bits(&alone), bits(&seeded(ours.0, ours.1)));
        for (a, b) in alone.params.iter().zip(found.params.iter()) {
            for (a, b) in a.values.iter().zip(&b.values) {
                assert!((a - b).abs() <= 1e-6 * a.abs().max(1.0), "{}: {a} alone, {b} as a peer", ours.0);
            }
        }
    }
}

#[test]
fn peers_resume_to_the_bit() {
    let setting = Digits::new(160, 50);
    let config = config(14);
    let folder = common::folder();
    let path = folder.path().join("run.safetensors");
    let fit = |checkpoint: Option<bool>, stop: u64| {
        let (mut one, mut two) = (seeded("cnn:4", 1), seeded("cnn:3", 2));
        let mut observer = StopAt(stop);
        let mut trainer = setting.trainer(&config).peer(&mut two, 1.0).observer(&mut observer);
        if let Some(resume) = checkpoint {
            trainer = trainer.checkpoints(Checkpoints { resume, ..Checkpoints::at(&path).unwrap() });
        }
        trainer.fit(&mut one).unwrap();
        (bits(&one), bits(&two))
    };
    let whole = fit(None, u64::MAX);
    assert_ne!(whole.1, bits(&seeded("cnn:3", 2)), "the peer did not learn");
    fit(Some(false), 8);
    assert_eq!(fit(Some(true), u64::MAX), whole);
}

/// What lies on disk follows nobody.
#[test]
fn an_average_needs_a_live_teacher() {
    let setting = Digits::new(160, 50);
    let (config, folder) = (config(2), common::folder());
    let path = folder.path().join("outputs.safetensors");
    setting.write_outputs(&path, &seeded("cnn:4", 9), &[]);
    let objective = distill::parse("kd", &MethodConfig::default()).unwrap();
    let stored = StoredTeacher::new(Arc::new(StoredOutputs::open(&path).unwrap()), objective);
    let average = Some(EmaConfig { decay: 0.9, warmup: false });
    let trainer = setting.trainer(&config).teaching(TeacherSource::from(stored));
    let trainer = trainer.scheme(Scheme { average, ..Default::default() });
    let message = trainer.fit(&mut seeded("cnn:4", 1)).unwrap_err().to_string();
    assert!(message.contains("average") && message.contains("live"), "{message}");
}

/// With a decay of 1 the teacher stays what the student was; with 0 it is the student.
#[test]
fn a_mean_teacher_follows_its_student() {
    let setting = Digits::new(160, 50);
    let config = config(14);
    let folder = common::folder();
    let path = folder.path().join("run.safetensors");
    let fit = |decay: Option<f64>, checkpoint: Option<bool>, stop: u64| {
        // An average begins as the student, whatever its own weights were.
        let (mut student, mut followed) =
            (seeded("cnn:4", 1), seeded("cnn:4", if decay.is_some() { 9 } else { 1 }));
        let frozen = setting.frozen(&followed);
        let average = decay.map(|decay| EmaConfig { decay, warmup: false });
        let mut observer = StopAt(stop);
        let mut trainer = setting
            .trainer(&config)
            .teacher(teach(&followed, &frozen, "kd:1,temperature=1+ce:1"))
            .scheme(Scheme { average, ..Default::default() })
            .observer(&mut observer);
        if let Some(resume) = checkpoint {
            trainer = trainer.checkpoints(Checkpoints { resume, ..Checkpoints::at(&path).unwrap() });
        }
        trainer.fit(&mut student).unwrap();
        frozen.download(&mut followed.params).unwrap();
        let weights = |n: &Network| -> Vec<f32> {
            let trained = n.params.iter().filter(|p| p.kind != limbeck::nn::ParamKind::State);
            trained.flat_map(|p| p.values.clone()).collect()
        };
        (weights(&student), weights(&followed))
    };
    let (student, teacher) = fit(Some(0.0), None, u64::MAX);
    assert_eq!(student, teacher);
    let start: Vec<f32> = fit(None, None, 0).0;
    assert_eq!(fit(Some(1.0), None, u64::MAX).1, start);
    let whole = fit(Some(0.9), None, u64::MAX);
    assert!(whole.0 != whole.1 && whole.1 != start);
    fit(Some(0.9), Some(false), 8);
    assert_eq!(fit(Some(0.9), Some(true), u64::MAX), whole);
}

/// Born again and teacher assistants: both are chains, here one whose networks shrink.
#[test]
fn a_chain_resumes_to_the_bit() {
    let setting = Digits::new(160, 50);
    let config = config(8);
    let folder = common::folder();
    let run = |resume: Option<bool>, stop: (usize, u64)| -> Result<Vec<(Network, Run)>> {
        let teacher = seeded("cnn:8", 1);
        let names = ["cnn:6", "cnn:4", "cnn:4"];
        let links = names.iter().enumerate();
        let links =
            links.map(|(i, name)| ChainStep { label: format!("{i}"), network: seeded(name, 2 + i as u64) });
        let mut index = 0;
        chain(&setting.gpu, Some(&teacher), links.collect(), |label, student, before| {
            let teacher = before.map(|(network, params)| teach(network, params, "kd"));
            let mut observer = StopAt(if index == stop.0 { stop.1 } else { u64::MAX });
            index += 1;
            let mut trainer = setting.trainer(&config).teacher(teacher).observer(&mut observer);
            if let Some(resume) = resume {
                let path = folder.path().join(label).join("checkpoint.safetensors");
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                trainer = trainer.checkpoints(Checkpoints { resume, ..Checkpoints::at(path).unwrap() });
            }
            trainer.fit(student)
        })
    };
    let whole = run(None, (9, 0)).unwrap();
    assert_eq!(whole.len(), 3);
    assert_ne!(bits(&whole[1].0), bits(&whole[2].0));
    assert_eq!(run(Some(false), (1, 6)).unwrap().len(), 2, "a stopped run ends the chain");
    let resumed = run(Some(true), (9, 0)).unwrap();
    let all = |of: &[(Network, Run)]| of.iter().map(|(network, _)| bits(network)).collect::<Vec<_>>();
    assert_eq!(all(&whole), all(&resumed));
}
