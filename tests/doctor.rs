//! The doctor on runs that something is wrong with, and on one that nothing is.

mod common;

use std::process::Command;
use std::sync::Arc;

use limbeck::data::{Dataset, LoadOptions, load};
use limbeck::distill::{self, MethodConfig};
use limbeck::gpu::Gpu;
use limbeck::models::saved::{self, Facts};
use limbeck::models::{ModelConfig, Network, build};
use limbeck::nn::DeviceParams;
use limbeck::train::doctor::{Subject, examine};
use limbeck::train::schemes::Scheme;
use limbeck::train::{Teacher, TrainConfig, Trainer};

struct Setting {
    gpu: Gpu,
    training: Arc<Dataset>,
    held_out: Arc<Dataset>,
    teacher: Network,
    student: Network,
    config: TrainConfig,
}

impl Setting {
    /// A teacher that was trained for a moment, and a fresh student.
    fn new() -> Self {
        let (training, held_out) = load("digits", None, &LoadOptions::default()).unwrap();
        let training = Arc::new(training.sample(512, 0).unwrap());
        let config = TrainConfig { epochs: 6, ..Default::default() };
        let (gpu, teacher, student) = (common::gpu(), network("cnn:16", 1), network("cnn:8", 2));
        let mut setting = Self { gpu, training, held_out: Arc::new(held_out), teacher, student, config };
        setting.teacher = setting.trained(48);
        setting
    }

    /// The teacher after so many steps.
    fn trained(&self, steps: u64) -> Network {
        let config = TrainConfig { max_steps: Some(steps), ..self.config.clone() };
        let mut network = network("cnn:16", 1);
        Trainer::new(&self.gpu, &config, &self.training, &self.held_out).fit(&mut network).unwrap();
        network
    }

    /// What is said of distilling by `methods`, in one text.
    fn said(&self, methods: &str, settings: &MethodConfig) -> String {
        let params = DeviceParams::frozen(&self.gpu, "teacher", &self.teacher.params).unwrap();
        let objective = distill::parse(methods, settings).unwrap();
        let config = self.config.clone().with_ce(&objective);
        let subject =
            Subject { gpu: &self.gpu, student: &self.student, training: &self.training, config: &config };
        let teacher =
            Teacher { network: &self.teacher, params: &params, terms: objective.terms, taps: Vec::new() };
        let before: Vec<Vec<f32>> = self.student.params.iter().map(|p| p.values.clone()).collect();
        let findings = examine(&subject, teacher.into(), &Scheme::default()).unwrap();
        let after: Vec<Vec<f32>> = self.student.params.iter().map(|p| p.values.clone()).collect();
        assert_eq!(before, after);
        findings.into_iter().map(|f| f.message + "\n").collect()
    }
}

fn network(name: &str, seed: u64) -> Network {
    let mut network = build(name, &ModelConfig { input: [1, 8, 8], classes: 10 }).unwrap();
    network.params.initialise(seed);
    network
}

/// Moves the classes of the teacher's classifier, its last two parameters, on by three.
fn permute_classes(teacher: &mut Network) {
    let count = teacher.params.len();
    for param in teacher.params.iter_mut().skip(count - 2) {
        assert_eq!(param.shape.dims()[0], 10, "{}", param.name);
        let row = param.values.len() / 10;
        param.values.rotate_right(3 * row);
    }
}

#[test]
fn nothing_is_said_of_a_healthy_run() {
    let setting = Setting::new();
    assert_eq!(setting.said("kd", &MethodConfig::default()), "");
    assert_eq!(setting.said("kd+feature", &MethodConfig::default()), "");
}

#[test]
fn classes_in_another_order_are_called_out() {
    let mut setting = Setting::new();
    permute_classes(&mut setting.teacher);
    let said = setting.said("kd", &MethodConfig::default());
    assert!(said.contains("look at the order of its classes"), "{said}");
    assert!(!said.contains("--data-mean"), "{said}");
}

#[test]
fn images_of_another_normalisation_are_called_out() {
    let mut setting = Setting::new();
    // As where pixels of 0 to 255 are taken for ones of 0 to 1.
    Arc::make_mut(&mut setting.training).mean = vec![-50.0];
    let said = setting.said("kd", &MethodConfig::default());
    assert!(said.contains("where guessing has 10.0%") && said.contains("--data-mean [-50.0]"), "{said}");
    assert!(!said.contains("order of its classes"), "{said}");
}

#[test]
fn a_student_that_knows_more_is_called_out() {
    let mut setting = Setting::new();
    let early = setting.trained(8);
    setting.student = std::mem::replace(&mut setting.teacher, early);
    let said = setting.said("kd", &MethodConfig::default());
    assert!(said.contains("before training") && !said.contains("guessing"), "{said}");
}

#[test]
fn weights_far_apart_are_called_out_with_their_gradients() {
    let said = Setting::new().said("kd:1000000+ce:1", &MethodConfig::default());
    assert!(said.contains("the weighted loss of kd"), "{said}");
    assert!(said.contains("the weighted gradient on the student's weights of kd"), "{said}");
    assert!(said.contains("times that of ce"), "{said}");
}

#[test]
fn a_low_temperature_is_called_out() {
    let said = Setting::new().said("kd", &MethodConfig::default().with("temperature", 0.05));
    assert!(said.contains("softens the teacher at temperature 0.05"), "{said}");
    assert!(said.contains("hard labels"), "{said}");
    let said = Setting::new().said("kd", &MethodConfig::default().with("temperature", 1000));
    assert!(said.contains("all but uniform"), "{said}");
}

#[test]
fn dead_taps_are_called_out() {
    let mut setting = Setting::new();
    for name in ["bn1.weight", "bn1.bias"] {
        setting.teacher.params.find_mut(name).unwrap().values[..8].fill(0.0);
    }
    let said = setting.said("feature", &MethodConfig::default());
    assert!(said.contains("8 of 16 channels (50%) of the teacher's tap"), "{said}");
}

#[test]
fn distill_writes_findings_into_the_report() {
    let setting = Setting::new();
    let folder = std::env::temp_dir().join(format!("limbeck-doctor-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("teacher.safetensors");
    let training = &setting.training;
    let facts = Facts {
        classes: training.class_names.clone(),
        mean: training.mean.clone(),
        std: training.std.clone(),
    };
    saved::save(&file, &setting.teacher, &facts).unwrap();
    let page = |temperature: &str| {
        let out = folder.join(temperature);
        let run = Command::new(env!("CARGO_BIN_EXE_limbeck"))
            .args(["distill", "--model", "cnn:8", "--method", "kd", "--max-steps", "2", "--temperature"])
            .args([temperature, "--limit-train", "256", "--teacher"])
            .arg(&file)
            .arg("--out")
            .arg(&out)
            .output()
            .unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let told = String::from_utf8_lossy(&run.stderr).matches("hard labels").count();
        let page = std::fs::read_to_string(out.join("report.html")).unwrap();
        (told, page.matches("hard labels").count())
    };
    assert_eq!(page("0.05"), (1, 1));
    assert_eq!(page("4"), (0, 0));
    std::fs::remove_dir_all(&folder).unwrap();
}
