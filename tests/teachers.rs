//! One teacher in every form that limbeck takes (tests/fixtures/teacher.py): what learns from it must not care.

mod common;

use std::sync::Arc;

use common::digits::Digits;
use common::fixture::path;
use limbeck::distill::{self, MethodConfig};
use limbeck::models::saved::{self, Overrides};
use limbeck::models::{ModelConfig, NameMap, Network, build};
use limbeck::nn::DeviceParams;
use limbeck::train::{StoredOutputs, StoredTeacher, Teacher, TeacherSource, TrainConfig, Trainer};

impl Digits {
    /// What a file lacks comes from the data set, as in `limbeck distill`.
    fn open(&self, file: &str, overrides: &Overrides) -> limbeck::Result<Network> {
        let data = &self.training;
        let fallback = Overrides {
            input: Some([data.channels, data.height, data.width]),
            classes: Some(data.class_names.clone()),
            mean: Some(data.mean.clone()),
            std: Some(data.std.clone()),
            ..Default::default()
        };
        Ok(saved::open_with(path(file), overrides, &fallback)?.network)
    }

    /// The weights of a student after five steps with this teacher's logits and features.
    fn student(&self, teacher: &Network, tap: &str) -> Vec<f32> {
        let taps = vec![(tap.to_string(), "conv2".to_string())];
        self.taught(teacher, "kd+feature:1", taps).unwrap()
    }

    /// The weights of a student after five steps with a teacher, whose own must not change.
    fn taught(
        &self,
        teacher: &Network,
        methods: &str,
        taps: Vec<(String, String)>,
    ) -> limbeck::Result<Vec<f32>> {
        let frozen = DeviceParams::frozen(&self.gpu, "teacher", &teacher.params)?;
        let objective = distill::parse(methods, &MethodConfig::default())?;
        let weights = self.fit(Teacher::new(teacher, &frozen, objective).with_taps(taps).into())?;
        let mut after = teacher.params.clone();
        frozen.download(&mut after)?;
        assert!(after.iter().zip(teacher.params.iter()).all(|(a, b)| a.values == b.values), "{methods}");
        Ok(weights)
    }

    /// [`Digits::student`] by what the teacher wrote to disk.
    fn student_by_outputs(&self, teacher: &Network, tap: &str) -> Vec<f32> {
        let folder = common::folder();
        let path = folder.path().join("outputs");
        self.write_outputs(&path, teacher, &[tap]);
        let outputs = Arc::new(StoredOutputs::open(&path).unwrap());
        let objective = distill::parse("kd+feature:1", &MethodConfig::default()).unwrap();
        let taps = vec![(tap.to_string(), "conv2".to_string())];
        self.fit(StoredTeacher::new(outputs, objective).with_taps(taps).into()).unwrap()
    }

    fn fit(&self, teaching: TeacherSource<'_>) -> limbeck::Result<Vec<f32>> {
        let mut student = build("cnn:4,6", &ModelConfig::classifier([1, 8, 8], 10))?;
        let config = TrainConfig { epochs: 1, batch_size: 32, learning_rate: 0.01, ..Default::default() };
        Trainer::new(&self.gpu, common::classify(&self.training), &config, &self.training, &self.held_out)
            .teaching(teaching)
            .fit(&mut student)?;
        Ok(student.params.iter().flat_map(|param| param.values.clone()).collect())
    }
}

fn named(model: &str) -> Overrides {
    Overrides { model: Some(model.into()), ..Default::default() }
}

const MODEL: &str = "resnet_b:8,4,4,8,8";
const RELU: &str = "/layer3/layer3.0/Relu_1";

#[test]
fn the_same_teacher_from_any_file_gives_the_same_student() {
    let setting = Digits::new(160, 20);
    let native = setting.open("teacher/teacher.safetensors", &named(MODEL)).unwrap();
    let want = setting.student(&native, "layer3.0");

    let pth = setting.open("teacher/teacher.pth", &named(MODEL)).unwrap();
    let same = |(a, b): (&limbeck::nn::Param, &limbeck::nn::Param)| a.name == b.name && a.values == b.values;
    assert!(native.params.iter().zip(pth.params.iter()).all(same));
    assert_eq!(setting.student(&pth, "layer3.0"), want, "from .pth");

    // The same operations in the same order, so the same bits.
    let onnx = setting.open("teacher/norms.onnx", &Overrides::default()).unwrap();
    assert_eq!(onnx.params.trainable_elements(), native.params.trainable_elements());
    assert_eq!(setting.student(&onnx, RELU), want, "from ONNX with its batch norms");

    for (form, teacher, tap) in
        [("safetensors", &native, "layer3.0"), (".pth", &pth, "layer3.0"), ("ONNX", &onnx, RELU)]
    {
        assert_eq!(setting.student_by_outputs(teacher, tap), want, "from outputs of the teacher in {form}");
    }

    // Batch norms that the exporter folded into convolutions round differently: close, and not the same.
    let folded = setting.open("teacher/folded.onnx", &Overrides::default()).unwrap();
    let got = setting.student(&folded, RELU);
    let scale = want.iter().fold(0.0f32, |most, w| most.max(w.abs()));
    let worst = got.iter().zip(&want).fold(0.0f32, |most, (g, w)| most.max((g - w).abs())) / scale;
    println!("folded: the student's weights differ by {worst:.1e} of the largest");
    assert!(worst < 1e-4, "folded: {worst:e}");
}

/// What stands before a stage's last activation, and the batch norm behind it, are found in a graph as in a network.
#[test]
fn a_graph_s_preactivations_and_norms_are_those_of_the_network() {
    let setting = Digits::new(160, 20);
    let native = setting.open("teacher/teacher.safetensors", &named(MODEL)).unwrap();
    let onnx = setting.open("teacher/norms.onnx", &Overrides::default()).unwrap();
    assert_eq!(onnx.preactivations.len(), native.preactivations.len(), "{:?}", onnx.preactivations);
    let students = ["ab", "ofd", "ofd,statistics=running"].map(|methods| {
        let [want, got] = [&native, &onnx].map(|t| setting.taught(t, methods, Vec::new()).unwrap());
        assert_eq!(got, want, "{methods}");
        got
    });
    assert_ne!(students[1], students[2], "the batch's statistics change nothing: this test shows nothing");

    let folded = setting.open("teacher/folded.onnx", &Overrides::default()).unwrap();
    let message = setting.taught(&folded, "ofd", Vec::new()).unwrap_err().to_string();
    for part in ["no batch norm's output", "TrainingMode.PRESERVE"] {
        assert!(message.contains(part), "{part} in {message}");
    }
}

#[test]
fn another_teacher_gives_another_student() {
    let setting = Digits::new(160, 20);
    let mut teacher = setting.open("teacher/teacher.safetensors", &named(MODEL)).unwrap();
    let want = setting.student(&teacher, "layer3.0");
    teacher.params.find_mut("fc.weight").unwrap().values[0] += 0.5;
    assert_ne!(setting.student(&teacher, "layer3.0"), want);
}

#[test]
fn what_does_not_fit_is_listed_by_name_and_shape() {
    let setting = Digits::new(160, 20);
    let message =
        setting.open("teacher/teacher.pth", &named("resnet_b:8,4,4,8,12")).err().unwrap().to_string();
    for part in
        ["layer3.0.conv1.weight (expected [12, 8, 3, 3], found [8, 8, 3, 3])", "and 8 more", "missing: none"]
    {
        assert!(message.contains(part), "{part} in {message}");
    }
    let message = setting.open("teacher/teacher.pth", &named("cnn:4,6")).err().unwrap().to_string();
    for part in [
        "missing: conv2.weight",
        "unexpected: layer1.0.conv1.weight",
        "fc.weight (expected [10, 24], found [10, 8])",
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }
}

#[test]
fn a_map_renames_tensors() {
    let setting = Digits::new(160, 20);
    let folder = common::folder();
    let file = folder.path().join("map.toml");
    let open = |lines: &str| {
        std::fs::write(&file, lines).unwrap();
        let map = Some(NameMap::read(&file)?);
        setting.open("teacher/teacher.pth", &Overrides { map, ..named(MODEL) })
    };
    assert!(open("\"module.*\" = \"*\"").is_ok());
    let message = open("\"module.fc.*\" = \"head.*\"").err().unwrap().to_string();
    for part in ["missing: fc.weight, fc.bias", "unexpected: head.weight, head.bias"] {
        assert!(message.contains(part), "{part} in {message}");
    }
    let message = open("\"module.fc.*\" = 3").err().unwrap().to_string();
    assert!(message.contains("from.*") && message.contains(".toml"), "{message}");
    let message = open("\"module.bn1.bias\" = \"bn1.weight\"").err().unwrap().to_string();
    assert!(message.contains("both for it"), "{message}");
}
