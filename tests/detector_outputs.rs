//! A detector that learns from a teacher's maps on disk is the same, to the bit, as one that learns from the teacher itself.

mod common;

use std::path::PathBuf;
use std::sync::Arc;

use common::bits::{Bits, bits};
use common::{folder, gpu};
use limbeck::data::Split;
use limbeck::data::boxes::{BoxSet, SetOptions, shapes};
use limbeck::distill::{self, MethodConfig};
use limbeck::gpu::Gpu;
use limbeck::models::{Network, build};
use limbeck::nn::DeviceParams;
use limbeck::ops::augment::BoxAugment;
use limbeck::tasks::{Detect, DetectConfig, Task};
use limbeck::train::{
    StoredOutputs, StoredTeacher, TeachConfig, Teacher, TeacherSource, TrainConfig, Trainer, teach,
};

struct Setting {
    gpu: Gpu,
    folder: tempfile::TempDir,
    training: Arc<BoxSet>,
    teacher: Network,
}

const MOVED: BoxAugment =
    BoxAugment { mosaic: 0.0, scale: 0.3, translate: 0.1, flip: 0.5, hsv: [0.01, 0.3, 0.3] };

impl Setting {
    fn new() -> Self {
        let options = SetOptions { size: [64, 64], ..Default::default() };
        let training = Arc::new(shapes::generate(Split::Train, 10, 64, 1, &options).unwrap());
        let teacher = network(&training, "yolov4-tiny:width=0.25,size=64", 3);
        Self { gpu: gpu(), folder: folder(), training, teacher }
    }

    fn task(&self, augment: BoxAugment) -> Detect {
        task(&self.training, augment)
    }

    fn config(&self) -> TrainConfig {
        TrainConfig { epochs: 2, batch_size: 4, learning_rate: 0.001, seed: 5, ..Default::default() }
    }

    /// The layer before the teacher's first head: its values teach features.
    fn tap(&self) -> String {
        self.teacher.stages.last().unwrap().clone()
    }

    fn write(&self, augment: BoxAugment, epochs: u64) -> limbeck::Result<PathBuf> {
        let path = self.folder.path().join("outputs");
        let taps = vec![self.tap()];
        let config = TeachConfig { batch_size: 4, topk: None, taps, seed: 5, epochs };
        let task = self.task(augment);
        teach(&self.gpu, &task, &self.teacher, &self.training, &config, &path, |_| ())?;
        Ok(path)
    }

    fn learn(&self, augment: BoxAugment, teaching: TeacherSource<'_>) -> limbeck::Result<Bits> {
        let mut student = network(&self.training, "yolov4-tiny:width=0.125,size=64", 7);
        let (config, task) = (self.config(), self.task(augment));
        Trainer::new(&self.gpu, task, &config, &self.training, &self.training)
            .teaching(Some(teaching))
            .fit(&mut student)?;
        Ok(bits(&student))
    }
}

fn task(training: &BoxSet, augment: BoxAugment) -> Detect {
    let config = DetectConfig { augment, ..Default::default() };
    Detect::new(training, training.class_names(), config).unwrap()
}

fn network(training: &BoxSet, name: &str, seed: u64) -> Network {
    let mut network = build(name, &task(training, BoxAugment::default()).model_config()).unwrap();
    network.params.initialise(seed);
    network
}

fn stored(path: &PathBuf, methods: &str) -> limbeck::Result<TeacherSource<'static>> {
    let objective = distill::parse(methods, &MethodConfig::default())?;
    Ok(StoredTeacher::new(Arc::new(StoredOutputs::open(path)?), objective).into())
}

#[test]
fn the_student_is_the_same_to_the_bit() {
    let setting = Setting::new();
    let params = DeviceParams::frozen(&setting.gpu, "teacher", &setting.teacher.params).unwrap();
    for (augment, epochs) in [(BoxAugment::default(), 1), (MOVED, 2)] {
        let path = setting.write(augment, epochs).unwrap();
        for methods in ["obj-kd", "pseudo+pkd"] {
            let objective = distill::parse(methods, &MethodConfig::default()).unwrap();
            let live = Teacher::new(&setting.teacher, &params, objective);
            let taps = vec![(setting.tap(), setting.tap())];
            let live = if methods == "obj-kd" { live } else { live.with_taps(taps.clone()) };
            let want = setting.learn(augment, live.into()).unwrap();
            let mut disk = stored(&path, methods).unwrap();
            if let (TeacherSource::Stored(stored), true) = (&mut disk, methods != "obj-kd") {
                stored.taps = taps;
            }
            assert_eq!(setting.learn(augment, disk).unwrap(), want, "{methods}");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_in_words() {
    let setting = Setting::new();
    let mosaic = BoxAugment { mosaic: 1.0, ..Default::default() };
    let message = setting.write(mosaic, 2).unwrap_err().to_string();
    assert!(message.contains("mosaic") && message.contains("leave it out"), "{message}");
    let path = setting.write(MOVED, 2).unwrap();
    let other = BoxAugment { scale: 0.2, ..MOVED };
    let message = setting.learn(other, stored(&path, "obj-kd").unwrap()).unwrap_err().to_string();
    for part in ["other augmentation", "scale 0.3", "scale 0.2", "`scale`"] {
        assert!(message.contains(part), "no {part:?} in {message}");
    }
}

#[test]
fn damage_is_refused_in_words() {
    let setting = Setting::new();
    let path = setting.write(BoxAugment::default(), 1).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let bad = setting.folder.path().join("bad");
    // In the JSON text inside the header's JSON.
    for (from, to, parts) in [
        (r#"\"classes\":4,\"stride\""#, r#"\"classes\":5,\"stride\""#, ["map", "4 classes"]),
        (r#"\"cells\":[2,2]"#, r#"\"cells\":[3,2]"#, ["tensor \"map.", "expected"]),
        (r#"\"cells\":[2,2]"#, r#"\"cells\":[0,2]"#, ["map", "cells"]),
    ] {
        let find = |part: &str| bytes.windows(part.len()).position(|window| window == part.as_bytes());
        let at = find(from).unwrap_or_else(|| panic!("no {from}"));
        let mut damaged = bytes.clone();
        damaged[at..at + to.len()].copy_from_slice(to.as_bytes());
        std::fs::write(&bad, damaged).unwrap();
        let message = StoredOutputs::open(&bad).unwrap_err().to_string();
        assert!(parts.iter().all(|part| message.contains(part)), "{to}: {message}");
    }
}
