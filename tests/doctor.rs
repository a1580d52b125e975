//! The doctor on runs that something is wrong with, and on one that nothing is.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use common::network::seeded;
use limbeck::data::text::TextSet;
use limbeck::data::{Dataset, LoadOptions, Split, load};
use limbeck::distill::{self, MethodConfig};
use limbeck::gpu::Gpu;
use limbeck::models::saved::{self, ModelMetadata};
use limbeck::models::{Head, InputSpec, ModelConfig, Network, build};
use limbeck::nn::DeviceParams;
use limbeck::optim::EmaConfig;
use limbeck::tasks::Embed;
use limbeck::train::doctor::{CHECKS, Figures, diagnose};
use limbeck::train::schemes::{Member, Scheme};
use limbeck::train::{
    StoredOutputs, StoredTeacher, TeachConfig, Teacher, TeacherSource, TrainConfig, Trainer, teach,
};

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
        let (gpu, teacher, student) = (common::gpu(), seeded("cnn:16", 1), seeded("cnn:8", 2));
        let held_out = Arc::new(held_out);
        let mut setting = Self { gpu, training, held_out, teacher, student, config };
        setting.teacher = setting.trained(48);
        setting
    }

    /// The teacher after so many steps.
    fn trained(&self, steps: u64) -> Network {
        let config = TrainConfig { max_steps: Some(steps), ..self.config.clone() };
        let mut network = seeded("cnn:16", 1);
        Trainer::new(&self.gpu, common::classify(&self.training), &config, &self.training, &self.held_out)
            .fit(&mut network)
            .unwrap();
        network
    }

    fn frozen(&self, network: &Network) -> DeviceParams {
        DeviceParams::frozen(&self.gpu, "teacher", &network.params).unwrap()
    }

    /// What is said of distilling by `methods`, in one text.
    fn said(&self, methods: &str, settings: &MethodConfig) -> String {
        let params = self.frozen(&self.teacher);
        let objective = distill::parse(methods, settings).unwrap();
        self.said_of(Teacher::new(&self.teacher, &params, objective).into(), Scheme::default())
    }

    /// [`Setting::said`] of whoever teaches.
    fn said_of(&self, teaching: TeacherSource<'_>, scheme: Scheme<'_>) -> String {
        let figures = self.figures(teaching, scheme);
        figures.iter().flat_map(diagnose).map(|f| f.message + "\n").collect()
    }

    /// What is measured of a run before it begins.
    fn figures(&self, teaching: TeacherSource<'_>, scheme: Scheme<'_>) -> Vec<Figures> {
        let mut student = copy(&self.student);
        let trainer = self.trainer(&self.config).examined(&self.training.class_names);
        trainer.teaching(teaching).scheme(scheme).prepare(&mut student).unwrap().figures().unwrap()
    }

    fn trainer<'a>(&'a self, config: &'a TrainConfig) -> Trainer<'a> {
        Trainer::new(&self.gpu, common::classify(&self.training), config, &self.training, &self.held_out)
    }

    /// What is said of peers that learn from each other with `weight`.
    fn said_of_peers(&self, peer: &Network, weight: f32) -> String {
        let (mut student, mut peer) = (copy(&self.student), copy(peer));
        let trainer = self.trainer(&self.config).examined(&[]).peer(&mut peer, weight);
        let findings = trainer.prepare(&mut student).unwrap().findings().unwrap();
        findings.into_iter().map(|f| f.message + "\n").collect()
    }

    /// What the teacher writes to disk, to learn from by `methods`.
    fn stored(&self, name: &str, methods: &str) -> StoredTeacher<'static> {
        let config =
            TeachConfig { batch_size: 64, topk: None, taps: vec!["pool1".into()], seed: 0, epochs: 1 };
        let path = folder(name).join("outputs.safetensors");
        teach(
            &self.gpu,
            &common::classify(&self.training),
            &self.teacher,
            &self.training,
            &config,
            &path,
            |_| (),
        )
        .unwrap();
        let objective = distill::parse(methods, &MethodConfig::default()).unwrap();
        StoredTeacher::new(Arc::new(StoredOutputs::open(path).unwrap()), objective)
    }
}

/// An empty folder for one test.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("doctor").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The same network with the same weights.
fn copy(of: &Network) -> Network {
    let mut network = seeded(&of.name, 0);
    network.params.load(&of.params.named()).unwrap();
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
    assert!(!said.contains("`mean"), "{said}");
}

#[test]
fn images_of_another_normalisation_are_called_out() {
    let mut setting = Setting::new();
    // As where pixels of 0 to 255 are taken for ones of 0 to 1.
    Arc::make_mut(&mut setting.training).mean = vec![-50.0];
    let said = setting.said("kd", &MethodConfig::default());
    assert!(said.contains("where guessing has 10.0%") && said.contains("`mean = [-50.0]`"), "{said}");
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
    assert!(said.contains("the weighted gradient on the trained weights of kd"), "{said}");
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

/// A student whose only ReLU has died learns nothing from a feature, however its weight is set.
#[test]
fn a_term_that_moves_nothing_is_called_out() {
    let mut setting = Setting::new();
    for name in ["bn1.weight", "bn1.bias"] {
        setting.student.params.find_mut(name).unwrap().values.fill(0.0);
    }
    let said = setting.said("feature", &MethodConfig::default());
    assert!(said.contains("feature is") && said.contains("on the trained weights 0.00e0"), "{said}");
    assert!(said.contains("8 of 8 channels (100%) of the student's tap"), "{said}");
}

#[test]
fn outputs_on_disk_are_a_teacher_as_any_other() {
    let mut setting = Setting::new();
    let said = |setting: &Setting, name: &str, methods: &str| {
        let stored = setting.stored(name, methods);
        setting.said_of(stored.into(), Scheme::default())
    };
    assert_eq!(said(&setting, "stored-healthy", "kd+feature"), "");
    permute_classes(&mut setting.teacher);
    let order = said(&setting, "stored-permuted", "kd");
    assert!(
        order.contains("the teacher has") && order.contains("look at the order of its classes"),
        "{order}"
    );
    for name in ["bn1.weight", "bn1.bias"] {
        setting.teacher.params.find_mut(name).unwrap().values[..8].fill(0.0);
    }
    let dead = said(&setting, "stored-dead", "feature");
    assert!(dead.contains("8 of 16 channels (50%) of the teacher's tap pool1"), "{dead}");
}

/// Each of several teachers is judged by itself, and named.
#[test]
fn the_bad_one_of_several_teachers_is_called_out() {
    let setting = Setting::new();
    let mut second = setting.trained(40);
    let said = |second: &Network| {
        let frozen = [&setting.teacher, second].map(|network| setting.frozen(network));
        let objective = distill::parse("kd", &MethodConfig::default()).unwrap();
        let first = Teacher::new(&setting.teacher, &frozen[0], objective);
        let others = vec![Member { network: second, params: &frozen[1], weight: 1.0 }];
        let scheme = Scheme { others, ..Default::default() };
        setting.said_of(first.into(), scheme)
    };
    assert_eq!(said(&second), "");
    permute_classes(&mut second);
    let found = said(&second);
    assert!(found.contains("teacher 2 (cnn:16) has") && found.contains("order of its classes"), "{found}");
    assert!(!found.contains("teacher 1"), "{found}");
}

/// A teacher that starts as the student knows nothing yet, and that is no finding; a temperature is one at any time.
#[test]
fn an_average_of_the_student_is_not_asked_what_it_knows() {
    let mut setting = Setting::new();
    setting.teacher = seeded("cnn:8", 2);
    let said = |settings: &MethodConfig| {
        let params = setting.frozen(&setting.teacher);
        let objective = distill::parse("kd", settings).unwrap();
        let teacher = Teacher::new(&setting.teacher, &params, objective);
        let average = Some(EmaConfig { decay: 0.99, warmup: true });
        setting.said_of(teacher.into(), Scheme { average, ..Default::default() })
    };
    assert_eq!(said(&MethodConfig::default()), "");
    let cold = said(&MethodConfig::default().with("temperature", 0.001));
    assert!(cold.contains("hard labels"), "{cold}");
}

/// What stands in for a teacher is at chance, and teaches nothing.
#[test]
fn methods_without_a_teacher_have_none_to_judge() {
    let mut setting = Setting::new();
    setting.teacher = seeded("cnn:8", 2);
    assert_eq!(setting.said("tf-kd", &MethodConfig::default()), "");
    let drowned = setting.said("tf-kd:1e6+ce:1", &MethodConfig::default());
    assert!(drowned.contains("times that of ce") && !drowned.contains("guessing"), "{drowned}");
}

#[test]
fn peers_that_have_nothing_to_tell_each_other_are_called_out() {
    let setting = Setting::new();
    let peer = seeded("cnn:12", 5);
    assert_eq!(setting.said_of_peers(&peer, 1.0), "");
    let same = setting.said_of_peers(&setting.student, 1.0);
    assert!(
        same.contains("dml is") && same.contains("peer dml is") && same.contains("teaches nothing"),
        "{same}"
    );
    let drowned = setting.said_of_peers(&peer, 1e5);
    assert!(
        drowned.contains("the weighted loss of dml") && drowned.contains("times that of ce"),
        "{drowned}"
    );
    assert!(drowned.contains("the weighted loss of peer dml"), "{drowned}");
}

/// No check is there that never speaks, and none that speaks of a healthy run. The first, of class counts, looks at what
/// files say: `a_teacher_of_more_classes_is_called_out`.
#[test]
fn every_check_fires_on_a_real_run() {
    let healthy = Setting::new();
    let mut permuted = Setting::new();
    permute_classes(&mut permuted.teacher);
    let mut dead = Setting::new();
    for name in ["bn1.weight", "bn1.bias"] {
        dead.student.params.find_mut(name).unwrap().values.fill(0.0);
    }
    let mut knowing = Setting::new();
    let early = knowing.trained(8);
    knowing.student = std::mem::replace(&mut knowing.teacher, early);
    let fired = |setting: &Setting, methods: &str| -> Vec<usize> {
        let params = setting.frozen(&setting.teacher);
        let objective = distill::parse(methods, &MethodConfig::default()).unwrap();
        let teacher = Teacher::new(&setting.teacher, &params, objective);
        let figures = setting.figures(teacher.into(), Scheme::default());
        (0..CHECKS.len()).filter(|i| CHECKS[*i](&figures[0]).is_some()).collect()
    };
    assert!(fired(&healthy, "kd+feature").is_empty());
    let mut all: Vec<usize> = [
        fired(&permuted, "kd"),
        fired(&knowing, "kd"),
        fired(&healthy, "kd,temperature=0.05"),
        fired(&healthy, "kd,temperature=1000"),
        fired(&healthy, "kd:1e6+ce:1"),
        fired(&dead, "feature"),
    ]
    .concat();
    let mut collapsed = encoder(1);
    collapse(&mut collapsed);
    let (of_texts, _) = said_of_texts(&collapsed, &mut encoder(2));
    all.extend((0..CHECKS.len()).filter(|i| CHECKS[*i](&of_texts[0]).is_some()));
    all.sort();
    all.dedup();
    // The first four are of teachers' files and of the data, before there are batches.
    assert_eq!(all, (4..CHECKS.len()).collect::<Vec<_>>());
}

/// `limbeck distill` in a folder of its own.
fn distill(at: &Path, flags: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_limbeck"));
    command.current_dir(at).env("XDG_RUNTIME_DIR", at).args(["distill", "--model", "cnn:8"]);
    command.args(["--limit-train", "256", "--limit-test", "50"]).args(flags).output().unwrap()
}

/// How often a finding is on the screen, and in the report.
fn told(at: &Path, flags: &[&str], finding: &str) -> [usize; 2] {
    let run = distill(at, flags);
    let screen = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{screen}");
    let out = flags[flags.iter().position(|flag| *flag == "--out").unwrap() + 1];
    let page = std::fs::read_to_string(at.join(out).join("report.html")).unwrap();
    [screen.matches(finding).count(), page.matches(finding).count()]
}

/// Saves the setting's teacher, of classes named so.
fn save(setting: &Setting, path: &Path, classes: Vec<String>) {
    let metadata = ModelMetadata {
        classes,
        mean: setting.training.mean.clone(),
        std: setting.training.std.clone(),
        ..Default::default()
    };
    saved::save(path, &setting.teacher, &metadata).unwrap();
}

#[test]
fn a_teacher_of_more_classes_is_called_out() {
    let (mut setting, at) = (Setting::new(), folder("classes"));
    setting.teacher = build("cnn:16", &ModelConfig::classifier([1, 8, 8], 11)).unwrap();
    setting.teacher.params.initialise(1);
    let mut classes = setting.training.class_names.clone();
    classes.push("ten".into());
    save(&setting, &at.join("teacher.safetensors"), classes);
    let run = distill(&at, &["--teacher", "teacher.safetensors", "--out", "out"]);
    let screen = String::from_utf8_lossy(&run.stderr);
    let finding = "cnn:16 has 11 classes, the data set 10, only the teacher has \"ten\"";
    assert!(!run.status.success() && screen.matches(finding).count() == 1, "{screen}");
}

/// Every scheme is looked at before each of its trainings, once.
#[test]
fn schemes_are_examined() {
    let (setting, at) = (Setting::new(), folder("schemes"));
    save(&setting, &at.join("teacher.safetensors"), setting.training.class_names.clone());
    let steps = ["--max-steps", "2"];
    let cold = ["--temperature", "0.0001"];
    let takd = ["--scheme", "takd", "--teacher", "teacher.safetensors", "--assistant", "cnn:12"];
    let flags = |parts: &[&[&'static str]]| parts.concat();
    assert_eq!(told(&at, &flags(&[&takd, &steps, &cold, &["--out", "takd"]]), "hard labels"), [2, 2]);
    let ema = ["--scheme", "ema"];
    assert_eq!(told(&at, &flags(&[&ema, &steps, &cold, &["--out", "ema"]]), "hard labels"), [1, 1]);
    let ban = ["--scheme", "ban", "--generations", "1"];
    assert_eq!(told(&at, &flags(&[&ban, &steps, &cold, &["--out", "ban"]]), "hard labels"), [1, 1]);
    let dml = ["--scheme", "dml", "--ce-weight", "1e-6"];
    assert_eq!(told(&at, &flags(&[&dml, &steps, &["--out", "dml"]]), "the weighted loss of dml"), [1, 1]);
    // None of them where nothing is wrong.
    let dml = ["--scheme", "dml"];
    for (out, scheme) in [("dml-healthy", &dml[..]), ("ema-healthy", &ema[..])] {
        assert_eq!(
            told(&at, &flags(&[scheme, &steps, &["--out", out]]), "limbeck::cli::doctor"),
            [0, 0],
            "{out}"
        );
    }
}

/// A resumed run is not examined again, and its report has what was found all the same.
#[test]
fn findings_survive_a_resume() {
    let (setting, at) = (Setting::new(), folder("resume"));
    save(&setting, &at.join("teacher.safetensors"), setting.training.class_names.clone());
    let flags =
        ["--teacher", "teacher.safetensors", "--temperature", "0.05", "--max-steps", "2", "--out", "out"];
    assert_eq!(told(&at, &flags, "hard labels"), [1, 1]);
    let resumed = [&flags[..], &["--resume"]].concat();
    assert_eq!(told(&at, &resumed, "hard labels"), [0, 1]);
    let stored = ["--teacher", "teacher.safetensors", "--data", "digits", "--limit-train", "256"];
    let teach = Command::new(env!("CARGO_BIN_EXE_limbeck"))
        .current_dir(&at)
        .env("XDG_RUNTIME_DIR", &at)
        .arg("teach")
        .args(stored)
        .args(["--out", "outputs.safetensors"])
        .output()
        .unwrap();
    assert!(teach.status.success(), "{}", String::from_utf8_lossy(&teach.stderr));
    let flags = ["--teacher-outputs", "outputs.safetensors", "--max-steps", "2", "--out", "stored"];
    let cold = [&flags[..], &["--temperature", "0.05"]].concat();
    assert_eq!(told(&at, &cold, "hard labels"), [1, 1]);
}

#[test]
fn distill_writes_findings_into_the_report() {
    let setting = Setting::new();
    let folder = common::folder();
    let file = folder.path().join("teacher.safetensors");
    let training = &setting.training;
    let metadata = ModelMetadata {
        classes: training.class_names.clone(),
        mean: training.mean.clone(),
        std: training.std.clone(),
        ..Default::default()
    };
    saved::save(&file, &setting.teacher, &metadata).unwrap();
    let page = |temperature: &str| {
        let out = folder.path().join(temperature);
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
}

/// What is measured runs on the step's own recording and weights, and leaves no trace: of running statistics, of a memory
/// bank that methods keep, of a peer.
#[test]
fn an_examined_run_ends_in_the_same_bits() {
    let setting = Setting::new();
    let params = setting.frozen(&setting.teacher);
    let config = TrainConfig { max_steps: Some(12), ..setting.config.clone() };
    let run = |methods: &str, examined: bool| {
        let objective = distill::parse(methods, &MethodConfig::default()).unwrap();
        let teacher = Teacher::new(&setting.teacher, &params, objective);
        let mut student = copy(&setting.student);
        let trainer = setting.trainer(&config).teacher(teacher);
        let trainer = if examined { trainer.examined(&[]) } else { trainer };
        trainer.fit(&mut student).unwrap();
        common::bits(&student)
    };
    for methods in ["kd+feature", "crd:0.8,negatives=64"] {
        assert!(run(methods, true) == run(methods, false), "{methods}");
    }
    let peers = |examined: bool| {
        let (mut student, mut peer) = (copy(&setting.student), seeded("cnn:8", 3));
        let trainer = setting.trainer(&config).peer(&mut peer, 1.0);
        let trainer = if examined { trainer.examined(&[]) } else { trainer };
        trainer.fit(&mut student).unwrap();
        (common::bits(&student), common::bits(&peer))
    };
    assert!(peers(true) == peers(false), "peers");
}

/// Encoders of texts and what is said of distilling `teacher` into `student` by their vectors.
fn said_of_texts(teacher: &Network, student: &mut Network) -> (Vec<Figures>, String) {
    let texts = (0..32u32).map(|n| (0..3 + n % 5).map(|place| (7 * n + 3 * place * place) % 20).collect());
    let set = Arc::new(TextSet::new("texts", Split::Train, [20, 8], texts).unwrap());
    let task = Embed::new(set.as_ref(), [20, 8], student.head().width()).unwrap();
    let gpu = common::gpu();
    let params = DeviceParams::frozen(&gpu, "teacher", &teacher.params).unwrap();
    let objective = distill::parse("embed-cosine", &MethodConfig::default()).unwrap();
    let config = TrainConfig { batch_size: 32, ..Default::default() };
    let trainer = Trainer::new(&gpu, task, &config, &set, &set).examined(&[]);
    let teaching = Teacher::new(teacher, &params, objective);
    let figures =
        trainer.teaching(TeacherSource::from(teaching)).prepare(student).unwrap().figures().unwrap();
    let said = figures.iter().flat_map(diagnose).map(|f| f.message + "\n").collect();
    (figures, said)
}

fn encoder(seed: u64) -> Network {
    let input = InputSpec::Tokens { vocabulary: 20, longest: 8 };
    let mut network = build("bert:1,16,2,32", &ModelConfig { input, head: Head::Numbers(16) }).unwrap();
    network.params.initialise(seed);
    network
}

/// Makes the vectors of all texts one.
fn collapse(network: &mut Network) {
    network.params.find_mut("embeddings.LayerNorm.weight").unwrap().values.fill(0.0);
    network
        .params
        .find_mut("embeddings.LayerNorm.bias")
        .unwrap()
        .values
        .iter_mut()
        .zip(0..)
        .for_each(|(value, place)| *value = (place % 3) as f32 - 1.0);
}

#[test]
fn vectors_that_are_all_one_are_called_out() {
    let (teacher, mut student) = (encoder(1), encoder(2));
    let (figures, said) = said_of_texts(&teacher, &mut student);
    assert_eq!(said, "");
    let alike = figures[0].teachers[0].alike.unwrap();
    assert!(alike.abs() < 0.9 && figures[0].student_alike.is_some_and(|alike| alike < 0.99), "{figures:?}");
    let mut collapsed = encoder(1);
    collapse(&mut collapsed);
    let (figures, said) = said_of_texts(&collapsed, &mut encoder(2));
    assert!(said.contains("the teacher's vectors of any two texts have a mean cosine of 1.000"), "{said}");
    assert!(!said.contains("the student's"), "{said}");
    assert!((figures[0].teachers[0].alike.unwrap() - 1.0).abs() < 1e-5);
    let mut flat = encoder(2);
    collapse(&mut flat);
    let (_, said) = said_of_texts(&teacher, &mut flat);
    assert!(said.contains("before training the student's vectors") && said.contains("`init`"), "{said}");
}
