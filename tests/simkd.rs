//! simkd's student ends in the teacher's classifier: while it is trained, in the file, and wherever that is
//! opened.

mod common;

use std::path::Path;
use std::sync::Arc;

use common::digits::{Digits, StopAt};
use common::network::network;
use limbeck::data::{Loader, LoaderConfig};
use limbeck::distill::{self, MethodConfig};
use limbeck::models::Network;
use limbeck::models::reuse::CLASSIFIER;
use limbeck::models::saved::{self, ModelMetadata, Overrides};
use limbeck::nn::DeviceParams;
use limbeck::tape::Cost;
use limbeck::train::{
    Checkpoints, Evaluator, Run, StoredOutputs, StoredTeacher, Teacher, TeacherSource, TrainConfig, Trainer,
};

impl Digits {
    fn fit(&self, network: &mut Network, config: &TrainConfig, teacher: Option<&Network>) -> Run {
        self.fit_until(network, config, teacher, u64::MAX, None)
    }

    fn fit_until(
        &self,
        network: &mut Network,
        config: &TrainConfig,
        teacher: Option<&Network>,
        stop: u64,
        checkpoints: Option<Checkpoints>,
    ) -> Run {
        let mut observer = StopAt(stop);
        let mut trainer =
            Trainer::new(&self.gpu, common::classify(&self.training), config, &self.training, &self.held_out)
                .observer(&mut observer);
        if let Some(checkpoints) = checkpoints {
            trainer = trainer.checkpoints(checkpoints);
        }
        let frozen = teacher.map(|t| DeviceParams::frozen(&self.gpu, "teacher", &t.params).unwrap());
        let teaching = teacher.zip(frozen.as_ref()).map(|(network, params)| {
            let objective = distill::parse("simkd", &MethodConfig::default()).unwrap();
            Teacher::new(network, params, objective)
        });
        trainer.teacher(teaching).fit(network).unwrap()
    }

    /// Accuracy and all logits on the held-out images.
    fn measure(&self, network: &Network) -> (f64, Vec<u32>) {
        let params = DeviceParams::frozen(&self.gpu, "network", &network.params).unwrap();
        let mut evaluator = Evaluator::new(
            &self.gpu,
            &common::classify(&self.held_out),
            network,
            &params,
            32,
            self.held_out.as_ref(),
        )
        .unwrap();
        let config = LoaderConfig { batch_size: 32, shuffle: false, ..Default::default() };
        let loader = Loader::new(self.held_out.clone(), config).unwrap();
        let logits = loader.epoch(0).flat_map(|batch| evaluator.outputs(&batch.unwrap()).unwrap());
        let logits: Vec<u32> = logits.map(f32::to_bits).collect();
        (evaluator.measure(loader.epoch(0)).unwrap().value(), logits)
    }

    /// Trains by outputs on disk, or only compiles the step.
    fn learn(
        &self,
        network: &mut Network,
        config: &TrainConfig,
        outputs: &Path,
        teacher: Option<&Network>,
        plan: bool,
    ) -> limbeck::Result<Cost> {
        let objective = distill::parse("simkd", &MethodConfig::default())?;
        let stored = Arc::new(StoredOutputs::open(outputs)?);
        let teaching = StoredTeacher::new(stored, objective).with_network(teacher);
        let trainer =
            Trainer::new(&self.gpu, common::classify(&self.training), config, &self.training, &self.held_out);
        let trainer = trainer.teaching(TeacherSource::from(teaching));
        if plan { trainer.plan(network) } else { trainer.fit(network).map(|_| Cost::default()) }
    }

    fn teacher(&self) -> Network {
        let mut teacher = network("resnet_b:8,8,8,16,24");
        self.fit(&mut teacher, &config(8), None);
        teacher
    }
}

/// What `simkd` trains by where the user says nothing: no cross-entropy.
fn config(epochs: u64) -> TrainConfig {
    TrainConfig { epochs, batch_size: 32, learning_rate: 0.1, ..Default::default() }
}

fn values<'a>(network: &'a Network, name: &str) -> &'a [f32] {
    &network.params.find(name).unwrap().values
}

#[test]
fn what_is_saved_is_what_was_measured() {
    let setting = Digits::new(320, 100);
    let teacher = setting.teacher();
    let mut student = network("resnet_b:8,4,4,8,12");
    let run = setting.fit(&mut student, &TrainConfig { ce_weight: 0.0, ..config(8) }, Some(&teacher));
    assert_eq!(student.name, "resnet_b:8,4,4,8,12+simkd:layer3,12,12,24,2,2");
    // Learned without a label: the teacher's classifier knows what the features mean.
    assert!(run.value() > 0.5, "{}", run.value());
    assert_eq!(values(&student, CLASSIFIER[0]), values(&teacher, "fc.weight"));
    assert_eq!(values(&student, CLASSIFIER[1]), values(&teacher, "fc.bias"));

    let folder = common::folder();
    let path = folder.path().join("student.safetensors");
    let data = &setting.held_out;
    let metadata = ModelMetadata {
        classes: data.class_names.clone(),
        mean: data.mean.clone(),
        std: data.std.clone(),
        ..Default::default()
    };
    saved::save(&path, &student, &metadata).unwrap();
    let opened = saved::open(&path, &Overrides::default()).unwrap().network;
    let (accuracy, logits) = setting.measure(&student);
    assert_eq!(accuracy, run.value());
    assert_eq!(setting.measure(&opened), (accuracy, logits));
    assert_eq!(opened.name, student.name);
}

#[test]
fn a_resumed_run_equals_an_uninterrupted_one() {
    let setting = Digits::new(320, 100);
    let teacher = setting.teacher();
    let folder = common::folder();
    let path = folder.path().join("run.safetensors");
    let config = config(2);
    let fit = |stop, resume| {
        let mut student = network("resnet_b:8,4,4,8,12");
        let checkpoints =
            Some(Checkpoints { every_steps: Some(3), resume, ..Checkpoints::at(&path).unwrap() });
        setting.fit_until(&mut student, &config, Some(&teacher), stop, checkpoints);
        student
    };
    let whole = fit(u64::MAX, false);
    fit(7, false);
    assert_eq!(setting.measure(&fit(u64::MAX, true)), setting.measure(&whole));
}

/// A wide residual network's classifier reads the mean of what follows its last stage.
#[test]
fn the_map_that_the_classifier_reads_is_found() {
    let setting = Digits::new(320, 100);
    let teacher = network("wrn:10,1");
    let mut student = network("cnn:3,5");
    setting.fit(&mut student, &TrainConfig { max_steps: Some(2), ..config(1) }, Some(&teacher));
    assert!(student.name.ends_with("+simkd:pool2,5,32,64,2,2"), "{}", student.name);
}

/// An ONNX graph's map and classifier are found as a native teacher's are: the student has the same bits.
#[test]
fn an_onnx_teacher_s_classifier_is_reused() {
    let setting = Digits::new(320, 100);
    let data = &setting.training;
    let fallback = Overrides {
        input: Some([1, 8, 8]),
        classes: Some(data.class_names.clone()),
        mean: Some(data.mean.clone()),
        std: Some(data.std.clone()),
        ..Default::default()
    };
    let student = |file: &str, model: Option<&str>| {
        let overrides = Overrides { model: model.map(String::from), ..Default::default() };
        let teacher = saved::open_with(common::fixture::path(file), &overrides, &fallback).unwrap().network;
        let mut student = network("cnn:3,5");
        setting.fit(&mut student, &TrainConfig { max_steps: Some(5), ..config(1) }, Some(&teacher));
        (student.name.clone(), setting.measure(&student))
    };
    let native = student("teacher/teacher.safetensors", Some("resnet_b:8,4,4,8,8"));
    assert_eq!(student("teacher/norms.onnx", None), native);
}

/// What teaches lies on disk; of the teacher's file only the classifier is used, and no step holds the rest.
#[test]
fn a_map_on_disk_gives_the_bits_of_the_live_teacher() {
    let setting = Digits::new(320, 100);
    for (teacher, tap) in [(setting.teacher(), "layer3"), (network("wrn:10,1"), "relu")] {
        let config = TrainConfig { max_steps: Some(12), ..config(2) };
        let mut live = network("cnn:3,5");
        setting.fit(&mut live, &config, Some(&teacher));
        let folder = common::folder();
        let write = |taps: &[&str]| {
            let path = folder.path().join("outputs");
            setting.write_outputs(&path, &teacher, taps);
            path
        };
        let mut stored = network("cnn:3,5");
        let cost = setting.learn(&mut network("cnn:3,5"), &config, &write(&[tap]), Some(&teacher), true);
        assert!(cost.unwrap().nodes.iter().all(|node| !node.name.starts_with("teacher/")));
        setting.learn(&mut stored, &config, &write(&[tap]), Some(&teacher), false).unwrap();
        assert_eq!(stored.name, live.name);
        assert_eq!(setting.measure(&stored), setting.measure(&live), "{}", teacher.name);

        let refused = |outputs: &Path, teacher| {
            let learned = setting.learn(&mut network("cnn:3,5"), &config, outputs, teacher, true);
            learned.unwrap_err().to_string()
        };
        let message = refused(&write(&[tap]), None);
        assert!(message.contains("(`teacher` and `teacher_outputs`)"), "{message}");
        // A map of its own, and of the wrong place.
        let message = refused(&write(&[&teacher.stages[0]]), Some(&teacher));
        assert!(message.contains("another map") && message.contains(&format!("`taps = {tap}`")), "{message}");
    }
}

#[test]
fn a_teacher_without_such_a_classifier_is_refused() {
    let setting = Digits::new(320, 100);
    let refused = |teacher: &Network, student: &str| {
        let params = DeviceParams::frozen(&setting.gpu, "teacher", &teacher.params).unwrap();
        let objective = distill::parse("simkd", &MethodConfig::default()).unwrap();
        let config = config(1);
        let trainer = Trainer::new(
            &setting.gpu,
            common::classify(&setting.training),
            &config,
            &setting.training,
            &setting.held_out,
        )
        .teacher(Teacher::new(teacher, &params, objective));
        trainer.fit(&mut network(student)).unwrap_err().to_string()
    };
    let message = refused(&network("cnn:4,6"), "resnet_b:8,4,4,8,12");
    assert!(message.contains("ends in the mean of a map") && message.contains("fc.weight"), "{message}");
    let message = refused(&network("resnet_b:8,4,4,8,8"), "resnet8+simkd:layer3,64,32,64,8,8");
    assert!(message.contains("made for another teacher"), "{message}");
}
