//! Tasks: what is counted on the device against the same computed on the host, a task that is no classification from
//! training to checkpoint, and a network, a loss and a source of one's own in the trainer.

mod common;

use std::sync::Arc;

use limbeck::data::boxes::{SetOptions, shapes};
use limbeck::data::{
    Batch, Dataset, Field, IGNORE_LABEL, InMemory, LABELS, Loader, LoaderConfig, Row, Source, Split, View,
    digits,
};
use limbeck::distill::{self, MethodConfig};
use limbeck::gpu::Gpu;
use limbeck::models::{Network, build};
use limbeck::nn::DeviceParams;
use limbeck::tasks::{Classify, ClassifyConfig, Detect, ImageConfig, Metric, Regress, Task};
use limbeck::train::{
    Checkpoints, Evaluator, Observer, Run, StoredOutputs, StoredTeacher, TeachConfig, Teacher, TeacherSource,
    TrainConfig, Trainer, teach,
};

/// Upper halves of digits as features, lower halves as targets.
fn halves(digits: &Dataset) -> Arc<InMemory> {
    let pixels = |half: usize| {
        let images = (0..digits.len()).map(|i| digits.image(i).unwrap());
        images.flat_map(|image| &image[32 * half..32 * (half + 1)]).map(|&p| f32::from(p) / 255.0).collect()
    };
    let set = InMemory::new("halves").with_f32("features", [32], pixels(0)).unwrap();
    Arc::new(set.with_f32("targets", [32], pixels(1)).unwrap())
}

struct Setting {
    gpu: Gpu,
    task: Regress,
    training: Arc<InMemory>,
    test: Arc<InMemory>,
}

impl Setting {
    fn new() -> Self {
        let (training, test) = digits::load(0.2, 0).unwrap();
        let (training, test) =
            (halves(&training.range(0..300).unwrap()), halves(&test.range(0..90).unwrap()));
        let task = Regress::from_features(training.as_ref()).unwrap();
        Self { gpu: common::gpu(), task, training, test }
    }

    fn network(&self, name: &str, seed: u64) -> Network {
        let mut network = build(name, &self.task.model_config()).unwrap();
        network.params.initialise(seed);
        network
    }

    fn trainer<'a>(&'a self, config: &'a TrainConfig) -> Trainer<'a> {
        Trainer::new(&self.gpu, self.task.clone(), config, &self.training, &self.test)
    }
}

fn evaluate(
    gpu: &Gpu,
    task: &dyn Task,
    network: &Network,
    source: Arc<dyn Source>,
) -> (limbeck::tasks::Measured, Vec<(Batch, Vec<f32>)>) {
    let params = DeviceParams::frozen(gpu, "network", &network.params).unwrap();
    let loader = Loader::new(source.clone(), LoaderConfig::in_order(32)).unwrap();
    let mut evaluator = Evaluator::new(gpu, task, network, &params, 32, source.as_ref()).unwrap();
    let outputs = loader.epoch(0).map(|batch| {
        let batch = batch.unwrap();
        let outputs = evaluator.outputs(&batch).unwrap();
        (batch, outputs)
    });
    let outputs = outputs.collect();
    (evaluator.measure(loader.epoch(0)).unwrap(), outputs)
}

/// A file that is not there yet.
fn scratch(name: &str) -> std::path::PathBuf {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_file(&path);
    path
}

fn close(got: f64, want: f64) {
    assert!((got - want).abs() < 1e-5 * want.abs().max(1.0), "{got} and {want}");
}

/// The digits, what is done with them, and a network that has not learned it.
fn classifier() -> (Dataset, Dataset, Classify, Network) {
    let (training, test) = digits::load(0.2, 0).unwrap();
    let task = Classify::new(&training, ClassifyConfig::default()).unwrap();
    let mut network = build("mlp:16", &task.model_config()).unwrap();
    network.params.initialise(3);
    (training, test, task, network)
}

/// 360 samples in batches of 32: the last batch is filled up with 24 that must not count.
#[test]
fn a_classifier_is_measured_as_its_outputs_say() {
    let gpu = common::gpu();
    let (training, test, task, mut network) = classifier();
    let config = TrainConfig { max_steps: Some(10), ..Default::default() };
    let (training, test) = (Arc::new(training), Arc::new(test));
    Trainer::new(&gpu, task.clone(), &config, &training, &test).fit(&mut network).unwrap();
    let (measured, outputs) = evaluate(&gpu, &task, &network, test);
    let (mut top1, mut top5, mut loss, mut n) = (0, 0, 0.0, 0);
    for (batch, logits) in &outputs {
        for (row, &label) in logits.chunks(10).zip(batch.i32(LABELS).unwrap()).take(batch.len) {
            let right = f64::from(row[label as usize]);
            let ahead = row.iter().filter(|&&z| f64::from(z) > right).count();
            (top1, top5, n) = (top1 + usize::from(ahead == 0), top5 + usize::from(ahead < 5), n + 1);
            loss += row.iter().map(|&z| f64::from(z).exp()).sum::<f64>().ln() - right;
        }
    }
    assert_eq!(n, 360);
    assert_eq!((measured.primary.name.as_str(), measured.primary.higher_is_better), ("accuracy", true));
    close(measured.value(), top1 as f64 / 360.0);
    assert_eq!(measured.others, [Metric::share("top5_accuracy", top5 as f64 / 360.0)]);
    close(measured.loss.unwrap(), loss / 360.0);
    assert!(top1 < top5 && top5 < 360, "{top1} and {top5} of 360 tell nothing");
}

/// Every second sample of another source has no label.
struct HalfLabelled(Dataset);

impl Source for HalfLabelled {
    fn name(&self) -> &str {
        "half labelled"
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn fields(&self) -> Vec<Field> {
        self.0.fields()
    }

    fn fill(&self, id: usize, view: View, row: &mut Row<'_>) -> limbeck::Result<()> {
        self.0.fill(id, view, row)?;
        if id % 2 == 1 {
            row.i32(LABELS)?[0] = IGNORE_LABEL;
        }
        Ok(())
    }

    fn fingerprint(&self) -> String {
        "half labelled 1".into()
    }
}

/// The loss is the mean of the batches' means over what is labelled, each batch by its samples.
/// The meter of a detector reads what its loss recorded: truths are assigned once for each of two heads.
#[test]
fn boxes_are_assigned_once_for_loss_and_meter() {
    let gpu = common::gpu();
    let options = SetOptions { size: [64, 64], ..Default::default() };
    let images = Arc::new(shapes::generate(Split::Train, 4, 64, 1, &options).unwrap());
    let task = Arc::new(Detect::new(images.as_ref(), images.class_names(), Default::default()).unwrap());
    let mut network = build("yolov4-tiny:width=0.125,size=64", &task.model_config()).unwrap();
    network.params.initialise(0);
    let config = TrainConfig { max_steps: Some(1), batch_size: 4, ..Default::default() };
    let cost = Trainer::new(&gpu, task, &config, &images, &images).plan(&mut network).unwrap();
    let count = |op: &str| cost.nodes.iter().filter(|node| node.name.ends_with(op)).count();
    assert_eq!(count("yolo_assign"), 2, "{:?}", cost.nodes);
}

#[test]
fn samples_without_a_label_do_not_change_the_loss() {
    let gpu = common::gpu();
    let (_, test, task, network) = classifier();
    let (measured, outputs) = evaluate(&gpu, &task, &network, Arc::new(HalfLabelled(test)));
    let (mut loss, mut samples) = (0.0, 0);
    for (batch, logits) in &outputs {
        let rows = logits.chunks(10).zip(batch.i32(LABELS).unwrap());
        let labelled: Vec<_> = rows.take(batch.len).filter(|(_, label)| **label != IGNORE_LABEL).collect();
        let sum = labelled.iter().map(|(row, label)| {
            row.iter().map(|&z| f64::from(z).exp()).sum::<f64>().ln() - f64::from(row[**label as usize])
        });
        loss += batch.len as f64 * sum.sum::<f64>() / labelled.len() as f64;
        samples += batch.len;
    }
    close(measured.loss.unwrap(), loss / samples as f64);
}

#[test]
fn a_regression_is_measured_as_its_outputs_say() {
    let setting = Setting::new();
    let mut network = setting.network("mlp:16", 1);
    let config = TrainConfig { max_steps: Some(20), batch_size: 32, ..Default::default() };
    setting.trainer(&config).fit(&mut network).unwrap();
    let (measured, outputs) = evaluate(&setting.gpu, &setting.task, &network, setting.test.clone());
    let (mut squared, mut absolute, mut n) = (0.0, 0.0, 0.0);
    for (batch, numbers) in &outputs {
        for (got, want) in numbers.iter().zip(batch.f32("targets").unwrap()).take(32 * batch.len) {
            let error = f64::from(got - want);
            (squared, absolute, n) = (squared + error * error, absolute + error.abs(), n + 1.0);
        }
    }
    assert_eq!(n, 90.0 * 32.0);
    assert_eq!((measured.primary.name.as_str(), measured.primary.higher_is_better), ("rmse", false));
    close(measured.value(), (squared / n).sqrt());
    close(measured.others[0].value, absolute / n);
    close(measured.loss.unwrap(), squared / n);
}

/// The root mean squared error of predicting the training set's mean image.
fn error_of_the_mean(setting: &Setting) -> f64 {
    let targets = |set: &Arc<InMemory>| -> Vec<f32> {
        let loader = Loader::new(set.clone(), LoaderConfig::in_order(set.len())).unwrap();
        loader.epoch(0).next().unwrap().unwrap().f32("targets").unwrap().to_vec()
    };
    let (training, test) = (targets(&setting.training), targets(&setting.test));
    let mut mean = [0.0f64; 32];
    training.chunks(32).for_each(|row| (0..32).for_each(|i| mean[i] += f64::from(row[i])));
    let rows = (training.len() / 32) as f64;
    let squared = |row: &[f32]| (0..32).map(|i| (f64::from(row[i]) - mean[i] / rows).powi(2)).sum::<f64>();
    (test.chunks(32).map(squared).sum::<f64>() / test.len() as f64).sqrt()
}

#[test]
fn numbers_are_learned_and_distilled() {
    let setting = Setting::new();
    let config = TrainConfig { epochs: 40, batch_size: 32, learning_rate: 0.3, ..Default::default() };
    let mut teacher = setting.network("mlp:128", 1);
    let taught = setting.trainer(&config).fit(&mut teacher).unwrap();
    let mean = error_of_the_mean(&setting);
    assert!(taught.value() < 0.9 * mean, "{} is no better than the mean image's {mean}", taught.value());
    let params = DeviceParams::frozen(&setting.gpu, "teacher", &teacher.params).unwrap();
    for method in ["logit-mse", "feature"] {
        let objective = distill::parse(method, &MethodConfig::default()).unwrap();
        let teacher = Teacher::new(&teacher, &params, objective.with_ce_weight(1.0));
        let mut student = setting.network("mlp:16", 2);
        let run = setting.trainer(&config).teacher(teacher).fit(&mut student).unwrap();
        let first = run.epochs[0].validation.value();
        assert!(run.value() < first && run.value() < mean, "{method}: {} after {first}", run.value());
    }
}

/// A metric of which less is better: the best epoch is the one of the least error.
#[test]
fn early_stop_goes_down_where_less_is_better() {
    let setting = Setting::new();
    let schedule = limbeck::optim::Schedule::Constant { warmup: Default::default() };
    let config = TrainConfig {
        epochs: 30,
        batch_size: 32,
        learning_rate: 0.3,
        patience: Some(2),
        schedule,
        ..Default::default()
    };
    let mut network = setting.network("mlp:64", 4);
    let run = setting.trainer(&config).fit(&mut network).unwrap();
    let errors: Vec<f64> = run.epochs.iter().map(|epoch| epoch.validation.value()).collect();
    let least = errors.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!((run.value(), run.best().unwrap().value()), (least, least), "{errors:?}");
    assert!(errors[0] > least, "{errors:?}");
    let (measured, _) = evaluate(&setting.gpu, &setting.task, &network, setting.test.clone());
    assert_eq!(measured.value(), least);
}

/// Ends a run before a step.
struct StopAt(u64);

impl Observer for StopAt {
    fn proceed(&mut self, step: u64) -> bool {
        step < self.0
    }
}

#[test]
fn a_regression_resumes_to_the_same_bits() {
    let setting = Setting::new();
    let point = scratch("tasks-regress.safetensors");
    let config = TrainConfig { epochs: 3, batch_size: 32, seed: 3, ..Default::default() };
    let values = |run: &Run| run.epochs.iter().map(|e| (e.step, e.validation.clone())).collect::<Vec<_>>();
    let mut whole = setting.network("mlp:16", 1);
    let uninterrupted = setting.trainer(&config).fit(&mut whole).unwrap();
    let checkpoints = |resume| Checkpoints { resume, ..Checkpoints::at(&point).unwrap() };
    let mut first = setting.network("mlp:16", 1);
    let mut stop = StopAt(13);
    let trainer = setting.trainer(&config).observer(&mut stop).checkpoints(checkpoints(false));
    assert!(!trainer.fit(&mut first).unwrap().finished);
    let mut second = setting.network("mlp:16", 1);
    let resumed = setting.trainer(&config).checkpoints(checkpoints(true)).fit(&mut second).unwrap();
    assert!(common::bits(&second) == common::bits(&whole));
    assert_eq!(values(&resumed), values(&uninterrupted));
}

/// A source that makes its samples: rings of two radii, of more channels than the kernel of images takes.
struct Rings;

impl Source for Rings {
    fn name(&self) -> &str {
        "rings"
    }

    fn len(&self) -> usize {
        256
    }

    fn fields(&self) -> Vec<Field> {
        vec![Field::u8("pixels", [6, 8, 8]), Field::label(LABELS)]
    }

    fn fill(&self, id: usize, view: View, row: &mut Row<'_>) -> limbeck::Result<()> {
        let (label, radius) = (id % 2, [1.5, 3.0][id % 2]);
        row.i32(LABELS)?[0] = label as i32;
        let seen = (view.epoch * 11 + view.seed * 5) as usize;
        let noise = |i: usize| ((i * 37 + id * 101 + seen) % 23) as u8;
        for (i, pixel) in row.u8("pixels")?.iter_mut().enumerate() {
            let (y, x) = ((i / 8 % 8) as f64 - 3.5, (i % 8) as f64 - 3.5);
            let on = ((y * y + x * x).sqrt() - radius).abs() < 0.8;
            *pixel = noise(i) + if on { 180 } else { 20 };
        }
        Ok(())
    }

    fn fingerprint(&self) -> String {
        "rings 1".into()
    }

    fn is_random(&self) -> bool {
        true
    }

    fn threads(&self) -> usize {
        2
    }
}

#[test]
fn a_source_of_any_channels_is_trained_on() {
    let gpu = common::gpu();
    let rings = Arc::new(Rings);
    let task = |config| Classify::of(&Rings, 2, [&[0.3; 6], &[0.3; 6]], config);
    let refused =
        ClassifyConfig { images: ImageConfig { flip: true, crop_padding: 0 }, ..Default::default() };
    let message = task(refused).unwrap_err().to_string();
    assert!(message.contains("at most 4 channels"), "{message}");
    let task = task(ClassifyConfig::default()).unwrap();
    let mut network = build("cnn:4", &task.model_config()).unwrap();
    network.params.initialise(1);
    let config = TrainConfig { epochs: 3, batch_size: 32, ..Default::default() };
    let run = Trainer::new(&gpu, task, &config, &rings, &rings).fit(&mut network).unwrap();
    assert!(run.value() > 0.95, "{}", run.value());
}

/// What a teacher said of samples that differ by seed and epoch is of these alone.
#[test]
fn stored_outputs_are_of_the_views_that_a_source_makes() {
    let gpu = common::gpu();
    let rings = Arc::new(Rings);
    let task = Classify::of(&Rings, 2, [&[0.3; 6], &[0.3; 6]], ClassifyConfig::default()).unwrap();
    let network = |seed| {
        let mut network = build("cnn:4", &task.model_config()).unwrap();
        network.params.initialise(seed);
        network
    };
    let (teacher, file) = (network(1), scratch("tasks-rings-outputs.safetensors"));
    let taught = TeachConfig { batch_size: 32, topk: None, taps: Vec::new(), seed: 5, epochs: 2 };
    teach(&gpu, &task, &teacher, &rings, &taught, &file, |_| ()).unwrap();
    let objective = || distill::parse("kd", &MethodConfig::default()).unwrap();
    let config = |seed| TrainConfig { epochs: 2, batch_size: 32, seed, ..Default::default() };
    let (right, other) = (config(5), config(6));
    let trainer = |config| Trainer::new(&gpu, task.clone(), config, &rings, &rings);
    let params = DeviceParams::frozen(&gpu, "teacher", &teacher.params).unwrap();
    let mut live = network(2);
    trainer(&right).teacher(Teacher::new(&teacher, &params, objective())).fit(&mut live).unwrap();
    let stored = |config| {
        let mut student = network(2);
        let teacher = StoredTeacher::new(Arc::new(StoredOutputs::open(&file).unwrap()), objective());
        trainer(config)
            .teaching(TeacherSource::from(teacher))
            .fit(&mut student)
            .map(|_| common::bits(&student))
    };
    assert!(stored(&right).unwrap() == common::bits(&live));
    let message = stored(&other).unwrap_err().to_string();
    assert!(message.contains("seed 5") && message.contains("seed 6"), "{message}");
}

/// The same images as bytes and as floats are the same to a network, up to rounding.
#[test]
fn bytes_and_floats_make_the_same_images() {
    let gpu = common::gpu();
    let (digits, _) = digits::load(0.2, 0).unwrap();
    let digits = digits.range(0..64).unwrap();
    let floats = digits.pixels.iter().map(|&p| f32::from(p) / 255.0).collect();
    let floats = InMemory::new("floats").with_f32("pixels", [1, 8, 8], floats).unwrap();
    let floats = floats.with_labels(LABELS, digits.labels.clone()).unwrap();
    let statistics = [&digits.mean[..], &digits.std[..]];
    let of_floats = Classify::of(&floats, 10, statistics, ClassifyConfig::default()).unwrap();
    let of_bytes = Classify::new(&digits, ClassifyConfig::default()).unwrap();
    let mut network = build("cnn:4", &of_bytes.model_config()).unwrap();
    network.params.initialise(1);
    let (_, a) = evaluate(&gpu, &of_floats, &network, Arc::new(floats));
    let (_, b) = evaluate(&gpu, &of_bytes, &network, Arc::new(digits));
    let pairs = a.iter().zip(&b).flat_map(|((_, a), (_, b))| a.iter().zip(b));
    let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-4, "{worst}");
}

#[test]
fn what_is_for_classes_is_refused_where_there_are_none() {
    let setting = Setting::new();
    let config = TrainConfig { epochs: 1, batch_size: 32, ..Default::default() };
    let mut peer = setting.network("mlp:8", 2);
    let trainer = setting.trainer(&config).peer(&mut peer, 1.0);
    let message = trainer.fit(&mut setting.network("mlp:8", 1)).unwrap_err().to_string();
    assert!(message.contains("classes") && message.contains("regress"), "{message}");
    let taught = TeachConfig { batch_size: 32, topk: Some(3), taps: Vec::new(), seed: 0, epochs: 1 };
    let (teacher, file) = (setting.network("mlp:8", 1), scratch("tasks-topk.safetensors"));
    let written = teach(&setting.gpu, &setting.task, &teacher, &setting.training, &taught, &file, |_| ());
    let message = written.unwrap_err().to_string();
    assert!(message.contains("topk") && message.contains("32 numbers"), "{message}");
    assert!(!file.exists());
}

#[test]
fn what_a_task_cannot_use_is_refused_by_name() {
    let setting = Setting::new();
    let message = Classify::of(setting.training.as_ref(), 10, [&[0.0], &[1.0]], ClassifyConfig::default());
    let message = message.unwrap_err().to_string();
    assert!(message.contains("no field labels") && message.contains("features f32 [32]"), "{message}");
    // Another number of targets than the training set has.
    let other = InMemory::new("other").with_f32("features", [32], vec![0.0; 64]).unwrap();
    let other = Arc::new(other.with_f32("targets", [3], vec![0.0; 6]).unwrap());
    let config = TrainConfig::default();
    let trainer = Trainer::new(&setting.gpu, setting.task.clone(), &config, &setting.training, &other);
    let message = trainer.fit(&mut setting.network("mlp:4", 1)).unwrap_err().to_string();
    assert!(message.contains("other") && message.contains("expected 32 targets"), "{message}");
    // A network for other numbers.
    let task = Regress::from_features(other.as_ref()).unwrap();
    let mut network = build("mlp:4", &task.model_config()).unwrap();
    let message = setting.trainer(&config).fit(&mut network).unwrap_err().to_string();
    assert!(message.contains("3 numbers") && message.contains("32 numbers"), "{message}");
}
