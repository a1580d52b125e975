//! What must stand still does, to the bit: a teacher, whatever is learned from it, and the paraphraser of
//! `ft` once its stage is over. (Apart from tests/training.rs, which watches how much memory its process
//! has.)

mod common;

use std::sync::Arc;

use common::bits::bits;
use common::digits::{Digits, StopAt};
use common::network::seeded;
use common::setting::Setting;
use limbeck::data::Split;
use limbeck::data::boxes::{SetOptions, shapes};
use limbeck::distill::{self, METHODS, MethodConfig, MethodSpec, Need};
use limbeck::files::read_safetensors;
use limbeck::models::build;
use limbeck::nn::{DeviceParams, ParamKind};
use limbeck::tasks::{Detect, Task};
use limbeck::train::{Checkpoints, Teacher, TrainConfig, Trainer};

const MODEL: &str = "resnet_b:8,4,4,8,8";

/// A teacher whose running statistics are not a fresh network's, nor those of any batch.
fn setting() -> Setting {
    let mut teacher = seeded(MODEL, 3);
    for param in teacher.params.iter_mut().filter(|p| p.kind == ParamKind::State) {
        param.values.iter_mut().for_each(|v| *v += 0.25);
    }
    Setting::new(Digits::new(320, 20), teacher)
}

impl Setting {
    fn frozen(&self) -> DeviceParams {
        DeviceParams::frozen(&self.gpu, "teacher", &self.teacher.params).unwrap()
    }

    fn trainer<'a>(
        &'a self,
        config: &'a TrainConfig,
        methods: &str,
        params: &'a DeviceParams,
    ) -> Trainer<'a> {
        let objective = distill::parse(methods, &MethodConfig::default()).unwrap();
        let teacher = Teacher::new(&self.teacher, params, objective);
        Trainer::new(&self.gpu, common::classify(&self.training), config, &self.training, &self.held_out)
            .teacher(teacher)
    }
}

/// Every method, alone, leaves the teacher's weights and running statistics as they are, and differentiates
/// nothing of it. (Those that read tokens: tests/text_methods.rs.)
#[test]
fn no_method_touches_its_teacher() {
    let setting = setting();
    let config =
        TrainConfig { max_steps: Some(2), batch_size: 32, learning_rate: 0.01, ..Default::default() };
    let of_images = |spec: &&MethodSpec| {
        distill::tasks(spec).contains(&"classify") && !spec.reads.contains(&Need::Tokens)
    };
    for spec in METHODS.iter().filter(of_images) {
        let method = if spec.name == "crd" { "crd,dim=8,negatives=32" } else { spec.name };
        let frozen = setting.frozen();
        assert!(!frozen.is_trainable(), "{method}: the teacher has a gradient buffer");
        let cost = setting.trainer(&config, method, &frozen).plan(&mut seeded(MODEL, 1)).unwrap();
        let differentiated =
            |owner: &str| cost.nodes.iter().any(|n| n.name.starts_with(owner) && n.name.contains("backward"));
        assert!(differentiated("student/"), "{method}: {:?}", cost.nodes);
        assert!(!differentiated("teacher/"), "{method}: {:?}", cost.nodes);
        setting.trainer(&config, method, &frozen).fit(&mut seeded(MODEL, 1)).unwrap();
        let mut after = seeded(MODEL, 0);
        frozen.download(&mut after.params).unwrap();
        assert_eq!(bits(&setting.teacher), bits(&after), "{method}");
    }
}

/// The methods that only detectors have, likewise.
#[test]
fn no_method_touches_a_detector_that_teaches() {
    let gpu = common::gpu();
    let options = SetOptions { size: [64, 64], ..Default::default() };
    let images = Arc::new(shapes::generate(Split::Train, 8, 64, 1, &options).unwrap());
    let task = Arc::new(Detect::new(images.as_ref(), images.class_names(), Default::default()).unwrap());
    let network = |seed| {
        let mut network = build("yolov4-tiny:width=0.125,size=64", &task.model_config()).unwrap();
        network.params.initialise(seed);
        network
    };
    let config =
        TrainConfig { max_steps: Some(1), batch_size: 4, learning_rate: 0.001, ..Default::default() };
    let teacher = network(0);
    let only = METHODS.iter().filter(|spec| distill::tasks(spec) == ["detect"]);
    let mut seen = 0;
    for spec in only {
        let frozen = DeviceParams::frozen(&gpu, "teacher", &teacher.params).unwrap();
        let objective = distill::parse(spec.name, &MethodConfig::default()).unwrap();
        let trainer = Trainer::new(&gpu, task.clone(), &config, &images, &images);
        trainer.teacher(Teacher::new(&teacher, &frozen, objective)).fit(&mut network(1)).unwrap();
        let mut after = network(2);
        frozen.download(&mut after.params).unwrap();
        assert_eq!(bits(&teacher), bits(&after), "{}", spec.name);
        seen += 1;
    }
    assert!(seen >= 4, "only {seen} methods are of detectors alone");
}

/// The factors of `ft` are those of a paraphraser that stands still once its stage is over, whatever momentum
/// and weight decay do to what was learned.
#[test]
fn a_paraphraser_stands_still_after_its_stage() {
    let setting = setting();
    let path = setting.file("run.safetensors");
    // Thirty steps, of which six are the first stage.
    let config = TrainConfig { epochs: 3, batch_size: 32, learning_rate: 0.01, ..Default::default() };
    let frozen = setting.frozen();
    let at = |step: u64, resume| {
        let mut observer = StopAt(step);
        let trainer = setting.trainer(&config, "ft,first=0.2", &frozen).observer(&mut observer);
        let checkpoints = Checkpoints { resume, ..Checkpoints::at(&path).unwrap() };
        trainer.checkpoints(checkpoints).fit(&mut seeded(MODEL, 1)).unwrap();
        let (tensors, _) = read_safetensors(&path).unwrap();
        ["paraphraser", "kept"].map(|part| {
            let found = tensors.iter().filter(|t| t.name.contains(&format!("pair0.{part}.")));
            let values: Vec<f32> = found.flat_map(|t| t.data.clone()).collect();
            assert!(!values.is_empty(), "no {part}");
            values
        })
    };
    let [early, during, start, end] =
        [(2, false), (5, true), (6, true), (u64::MAX, true)].map(|(s, r)| at(s, r));
    assert_ne!(early[1], during[1], "the copy does not follow");
    assert_eq!(start[1], end[1], "the copy moved");
    assert_ne!(start[0], end[0], "nothing moves what was learned: this test shows nothing");
    // It is what was learned at the start of the last step of its stage.
    let apart = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(apart(&during[0], &start[1]) < 1e-6, "the copy is not what was learned");
}

/// Of more weights than are copied at once.
#[test]
fn weights_that_move_to_the_device_are_there_and_no_longer_on_the_host() {
    let gpu = common::gpu();
    let before = seeded("mlp:3000,3000", 5);
    let mut moved = seeded("mlp:3000,3000", 5);
    let params = DeviceParams::moved(&gpu, "network", &mut moved.params).unwrap();
    assert!(moved.params.iter().all(|param| param.values.is_empty()));
    assert_eq!(moved.params.trainable_elements(), before.params.trainable_elements());
    let mut back = seeded("mlp:3000,3000", 6);
    back.params.iter_mut().for_each(|param| param.values.fill(f32::NAN));
    params.download(&mut back.params).unwrap();
    assert_eq!(bits(&back), bits(&before));
}
