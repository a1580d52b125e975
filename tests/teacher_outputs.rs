//! Teacher outputs on disk: the student learns what it would have learned from the teacher itself, and a file that does
//! not belong to the training is refused in words.

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::bits::{Bits, bits};
use common::digits::{Digits, StopAt};
use common::fixture::path;
use common::network::{network, seeded};
use common::setting::Setting;
use limbeck::Result;
use limbeck::data::{Dataset, Split};
use limbeck::distill::{self, MethodConfig};
use limbeck::files::{StoredTensor, read_safetensors_with, write_safetensors};
use limbeck::models::Network;
use limbeck::nn::DeviceParams;
use limbeck::tasks::{Classify, ClassifyConfig, ImageConfig, Task};
use limbeck::train::{
    Checkpoints, StoredOutputs, StoredTeacher, TeachConfig, Teacher, TeacherSource, TrainConfig, Trainer,
    teach, weights_hash,
};

/// What is written of a teacher, and how it is shown the images.
#[derive(Clone)]
struct Views {
    teach: TeachConfig,
    images: ImageConfig,
}

fn plain() -> Views {
    let teach = TeachConfig { batch_size: 32, topk: None, taps: Vec::new(), seed: 5, epochs: 1 };
    Views { teach, images: ImageConfig::default() }
}

fn augmented() -> Views {
    let teach = TeachConfig { epochs: 3, ..plain().teach };
    Views { teach, images: ImageConfig { crop_padding: 1, flip: true } }
}

/// A student's training, and how it is shown the images.
#[derive(Clone)]
struct Config {
    train: TrainConfig,
    images: ImageConfig,
}

fn train_config(views: &Views) -> Config {
    let seed = views.teach.seed;
    let train = TrainConfig { epochs: 3, batch_size: 32, learning_rate: 0.01, seed, ..Default::default() };
    Config { train, images: views.images }
}

fn setting() -> Setting {
    // No whole number of batches, so that the last one that is written is filled up.
    Setting::new(Digits::new(150, 40), seeded("cnn:6,8", 11))
}

impl Setting {
    fn task(&self, images: ImageConfig) -> Classify {
        Classify::new(&self.training, ClassifyConfig { images, ..Default::default() }).unwrap()
    }

    fn write(&self, name: &str, views: &Views) -> PathBuf {
        let path = self.file(name);
        let task = self.task(views.images);
        teach(&self.gpu, &task, &self.teacher, &self.training, &views.teach, &path, |_| ()).unwrap();
        path
    }

    fn stored(&self, file: &Path, methods: &str) -> Result<TeacherSource<'static>> {
        let objective = distill::parse(methods, &MethodConfig::default())?;
        let outputs = Arc::new(StoredOutputs::open(file)?);
        Ok(StoredTeacher::new(outputs, objective).into())
    }

    fn trainer<'a>(&'a self, config: &'a Config, teaching: TeacherSource<'a>) -> Trainer<'a> {
        let task = self.task(config.images);
        Trainer::new(&self.gpu, task, &config.train, &self.training, &self.held_out).teaching(teaching)
    }

    fn live(&self, config: &Config, methods: &str) -> Bits {
        let params = DeviceParams::frozen(&self.gpu, "teacher", &self.teacher.params).unwrap();
        let objective = distill::parse(methods, &MethodConfig::default()).unwrap();
        let teacher = Teacher::new(&self.teacher, &params, objective);
        let mut student = student(config);
        self.trainer(config, teacher.into()).fit(&mut student).unwrap();
        bits(&student)
    }

    fn learn(&self, config: &Config, file: &Path, methods: &str) -> Result<Bits> {
        let mut student = student(config);
        self.trainer(config, self.stored(file, methods)?).fit(&mut student)?;
        Ok(bits(&student))
    }

    /// What compiling the step says about a file.
    fn refusal(&self, config: &Config, file: &Path, methods: &str) -> String {
        let plan =
            self.stored(file, methods).and_then(|t| self.trainer(config, t).plan(&mut student(config)));
        plan.map(drop).unwrap_err().to_string()
    }
}

fn student(config: &Config) -> Network {
    seeded("cnn:3,4", config.train.seed)
}

#[track_caller]
fn says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "no {part:?} in {message}");
    }
}

#[test]
fn the_student_is_the_same_to_the_bit() {
    let setting = setting();
    for (name, views) in [("plain", plain()), ("augmented", augmented())] {
        let config = train_config(&views);
        let tap = setting.teacher.stages.last().unwrap().clone();
        let file =
            setting.write(name, &Views { teach: TeachConfig { taps: vec![tap], ..views.teach }, ..views });
        for methods in ["kd", "kd+feature"] {
            let want = setting.live(&config, methods);
            assert_eq!(setting.learn(&config, &file, methods).unwrap(), want, "{name} {methods}");
        }
        assert_ne!(
            setting.live(&config, "kd"),
            setting.live(&config, "kd+feature"),
            "the tap changes nothing"
        );
    }
}

#[test]
fn a_resumed_run_equals_an_uninterrupted_one() {
    let setting = setting();
    let config = train_config(&augmented());
    let file = setting.write("outputs", &augmented());
    let want = setting.learn(&config, &file, "kd").unwrap();
    let checkpoints = |resume| Checkpoints { resume, ..Checkpoints::at(setting.file("point")).unwrap() };
    let mut first = student(&config);
    let teaching = setting.stored(&file, "kd").unwrap();
    let mut stop = StopAt(6);
    let trainer = setting.trainer(&config, teaching).observer(&mut stop).checkpoints(checkpoints(false));
    assert!(!trainer.fit(&mut first).unwrap().finished);
    let mut second = student(&config);
    let teaching = setting.stored(&file, "kd").unwrap();
    setting.trainer(&config, teaching).checkpoints(checkpoints(true)).fit(&mut second).unwrap();
    assert_eq!(bits(&second), want);
    // The same settings, and other outputs.
    let other = setting
        .write("other", &Views { teach: TeachConfig { topk: Some(3), ..augmented().teach }, ..augmented() });
    let teaching = setting.stored(&other, "kd").unwrap();
    let run = setting.trainer(&config, teaching).checkpoints(checkpoints(true)).fit(&mut student(&config));
    says(&run.unwrap_err().to_string(), &["another run", "teacher outputs"]);
}

#[test]
fn the_plan_holds_no_teacher() {
    let setting = setting();
    let config = train_config(&plain());
    let file = setting.write("outputs", &plain());
    let teaching = setting.stored(&file, "kd").unwrap();
    let cost = setting.trainer(&config, teaching).plan(&mut student(&config)).unwrap();
    assert!(cost.nodes.iter().all(|node| !node.name.starts_with("teacher/")), "{:?}", cost.nodes);
    assert!(cost.nodes.iter().any(|node| node.name.contains("kl_div")), "{:?}", cost.nodes);
    let alone = Trainer::new(
        &setting.gpu,
        setting.task(config.images),
        &config.train,
        &setting.training,
        &setting.held_out,
    );
    assert_eq!(cost.external_bytes, alone.plan(&mut student(&config)).unwrap().external_bytes);
}

#[test]
fn the_largest_logits_keep_their_values_and_the_rest_its_mass() {
    let setting = setting();
    let all = StoredOutputs::open(setting.write("all", &plain())).unwrap();
    let top = StoredOutputs::open(
        setting.write("top", &Views { teach: TeachConfig { topk: Some(4), ..plain().teach }, ..plain() }),
    )
    .unwrap();
    let softmax = |row: &[f32]| -> Vec<f64> {
        let sum: f64 = row.iter().map(|&v| f64::from(v).exp()).sum();
        row.iter().map(|&v| f64::from(v).exp() / sum).collect()
    };
    for sample in 0..setting.training.len() {
        let (mut want, mut got) = (Vec::new(), Vec::new());
        all.read_logits(0, sample, &mut want).unwrap();
        top.read_logits(7, sample, &mut got).unwrap();
        assert_eq!(want.iter().zip(&got).filter(|(w, g)| w == g).count(), 4, "{want:?} {got:?}");
        for ((w, g), (p, q)) in want.iter().zip(&got).zip(softmax(&want).into_iter().zip(softmax(&got))) {
            assert!(w != g || (p - q).abs() < 1e-6, "sample {sample}: {p} became {q}");
        }
    }
    let config = train_config(&plain());
    assert!(setting.learn(&config, top.path(), "kd").unwrap() != setting.live(&config, "kd"));
}

#[test]
fn what_does_not_fit_is_refused_in_words() {
    let setting = setting();
    let config = train_config(&augmented());
    let file = setting.write("outputs", &augmented());
    let refuse = |config: &Config, methods: &str, parts: &[&str]| {
        says(&setting.refusal(config, &file, methods), parts);
    };
    let with = |change: fn(&mut Config)| {
        let mut config = config.clone();
        change(&mut config);
        config
    };
    refuse(&with(|c| c.train.seed = 6), "kd", &["other seed", "seed 5", "seed 6"]);
    refuse(&with(|c| c.images.flip = false), "kd", &["other augmentation", "flip true", "flip false"]);
    refuse(&with(|c| c.images.crop_padding = 2), "kd", &["other augmentation", "padding 1", "padding 2"]);
    refuse(&with(|c| c.train.epochs = 4), "kd", &["3 epochs", "takes 4"]);
    refuse(&config, "weights", &["method weights", "teacher's weights"]);
    refuse(&config, "feature", &["tap"]);
    let mut teaching = setting.stored(&file, "feature").unwrap();
    if let TeacherSource::Stored(stored) = &mut teaching {
        stored.taps = vec![("conv2".into(), "conv2".into())];
    }
    let plan = setting.trainer(&config, teaching).plan(&mut student(&config));
    says(&plan.unwrap_err().to_string(), &["tap \"conv2\" of the teacher outputs", "no features"]);

    let outputs = StoredOutputs::open(&file).unwrap();
    outputs.fits_teacher(&weights_hash(&setting.teacher.params)).unwrap();
    let message = outputs.fits_teacher(&weights_hash(&network("cnn:6,8").params)).unwrap_err().to_string();
    says(&message, &["other teacher"]);
    let other = |change: &dyn Fn(&mut Dataset)| {
        let mut data = (*setting.training).clone();
        change(&mut data);
        let views = common::classify(&data).views();
        outputs.fits(&data, data.num_classes(), &views).unwrap_err().to_string()
    };
    says(&other(&|d| d.pixels[9] ^= 1), &["other data", "fingerprint"]);
    says(&other(&|d| d.mean[0] = 0.5), &["other normalisation", "0.3053", "0.5"]);
    says(&other(&|d| d.class_names.push("eleven".into())), &["10 classes", "11 classes"]);
    says(&other(&|d| *d = d.range(0..9).unwrap()), &["150 samples", "9 samples"]);
    let reversed: Vec<usize> = (0..setting.training.len()).rev().collect();
    says(&other(&|d| *d = d.subset(&reversed).unwrap()), &["same order"]);
}

#[test]
fn damage_is_refused_in_words() {
    let setting = setting();
    let tap = setting.teacher.stages.last().unwrap().clone();
    let views =
        Views { teach: TeachConfig { taps: vec![tap.clone()], topk: Some(3), ..plain().teach }, ..plain() };
    let file = setting.write("outputs", &views);
    let bytes = std::fs::read(&file).unwrap();
    let bad = setting.file("bad");
    for len in [bytes.len() - 1, bytes.len() / 2, 300, 12, 3] {
        std::fs::write(&bad, &bytes[..len]).unwrap();
        says(&StoredOutputs::open(&bad).unwrap_err().to_string(), &["bad", "again"]);
    }
    let open = |edit: &dyn Fn(&str, &mut [f32]), text: [&str; 2]| {
        let options = limbeck::files::ReadOptions { allow_nonfinite: true };
        let (mut tensors, mut metadata) = read_safetensors_with(&file, options).unwrap();
        for tensor in &mut tensors {
            edit(&tensor.name, &mut tensor.data);
        }
        metadata.values_mut().for_each(|value| *value = value.replace(text[0], text[1]));
        let stored: Vec<StoredTensor<'_>> = tensors.iter().map(StoredTensor::from).collect();
        write_safetensors(&bad, &stored, &metadata).unwrap();
        StoredOutputs::open(&bad)
    };
    let nothing = |_: &str, _: &mut [f32]| ();
    open(&nothing, ["", ""]).unwrap();
    let at = |name: &'static str, value: f32| {
        move |found: &str, data: &mut [f32]| {
            if found == name {
                data[7] = value;
            }
        }
    };
    let error = |opened: Result<StoredOutputs>| opened.map(drop).unwrap_err().to_string();
    says(&error(open(&at("topk.rest", f32::NAN), ["", ""])), &["topk.rest", "NaN at index 7"]);
    says(&error(open(&nothing, ["\"version\":1", "\"version\":9"])), &["version 1", "found 9"]);
    says(&error(open(&nothing, ["\"samples\":150", "\"samples\":151"])), &["topk.logits", "151", "150"]);
    says(&error(open(&nothing, ["\"topk\":3", "\"topk\":10"])), &["below 10, found 10"]);
    says(&error(open(&nothing, [&format!("[\"{tap}\"]"), "[\"gone\"]"])), &["tap.gone", "missing"]);
    for class in [10.0, -1.0] {
        let outputs = open(&at("topk.classes", class), ["", ""]).unwrap();
        says(&outputs.read_logits(0, 2, &mut Vec::new()).unwrap_err().to_string(), &["sample 2", "below 10"]);
    }
    // A feature is checked when it is read: the run ends, with its place.
    open(&|name, data| data[0] = if name.starts_with("tap.") { f32::INFINITY } else { data[0] }, ["", ""])
        .unwrap();
    let config = train_config(&plain());
    let message = setting.learn(&config, &bad, "feature").unwrap_err().to_string();
    says(&message, &["tap.", "inf at index 0", "finite"]);
}

/// examples/teacher_outputs.py wrote the file (tests/fixtures/outputs.py); PyTorch's logits are those of the formula.
#[test]
fn what_python_wrote_is_read() {
    let pixels: Vec<u8> = (0..12 * 16).map(|i| (i * 7 % 256) as u8).collect();
    let data = Dataset {
        name: "made up".into(),
        split: Split::Train,
        labels: (0..12).map(|i| i % 3).collect(),
        channels: 1,
        height: 4,
        width: 4,
        class_names: ["a", "b", "c"].map(String::from).to_vec(),
        mean: vec![0.5],
        std: vec![0.25],
        pixels,
    };
    let outputs = StoredOutputs::open(path("outputs/python.safetensors")).unwrap();
    outputs.fits(&data, 3, &common::classify(&data).views()).unwrap();
    outputs.fits_views(&limbeck::tasks::Views::default(), 99, 1000).unwrap();
    says(&outputs.fits_teacher("0123").unwrap_err().to_string(), &["no hash"]);
    for sample in 0..data.len() {
        let mut row = Vec::new();
        outputs.read_logits(3, sample, &mut row).unwrap();
        for (class, bias) in [0.5, -0.25, 0.0].into_iter().enumerate() {
            let weight = |i: usize| (((class * 16 + i) % 5) as f64 - 2.0) / 4.0;
            let image = data.image(sample).unwrap().iter().enumerate();
            let sum: f64 = image.map(|(i, &p)| weight(i) * (f64::from(p) / 255.0 - 0.5) / 0.25).sum();
            assert!((f64::from(row[class]) - sum - bias).abs() < 1e-5, "sample {sample}: {row:?}");
        }
    }
}
