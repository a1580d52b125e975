//! Training runs: two are equal to the bit, a resumed one equals an uninterrupted one, memory stays flat, a teacher
//! stays as it is.

mod common;

use std::path::Path;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use common::bits::bits;
use common::digits::{Digits, StopAt};
use common::network::{network, seeded};
use common::setting::Setting;
use limbeck::Result;
use limbeck::data::{Dataset, Loader, LoaderConfig, Split};
use limbeck::distill::{self, MethodConfig};
use limbeck::models::Network;
use limbeck::nn::DeviceParams;
use limbeck::optim::{EmaConfig, OptimizerConfig};
use limbeck::platform::{Memory, Store};
use limbeck::tape::Step;
use limbeck::tasks::{Classify, ClassifyConfig, ImageConfig};
use limbeck::train::metrics::read_metrics;
use limbeck::train::{
    Checkpoints, Evaluator, Observer, Run, StepConfig, Teacher, TrainConfig, TrainStep, Trainer,
};

/// Tests of this file share a process, and one of them watches its memory.
static TURNS: RwLock<()> = RwLock::new(());

fn together() -> RwLockReadGuard<'static, ()> {
    TURNS.read().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn alone() -> RwLockWriteGuard<'static, ()> {
    TURNS.write().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn setting() -> Setting {
    Setting::new(Digits::new(320, 100), seeded("cnn:6,8", 11))
}

impl Setting {
    fn fit(
        &self,
        config: &TrainConfig,
        methods: Option<&str>,
        checkpoints: Option<Checkpoints>,
        observer: &mut dyn Observer,
    ) -> Result<(Network, Run)> {
        let mut student = seeded("cnn:3,4", config.seed);
        let frozen = DeviceParams::frozen(&self.gpu, "teacher", &self.teacher.params)?;
        let settings = MethodConfig::default().with("pull", 0.01);
        let teacher = match methods {
            None => None,
            Some(methods) => {
                let objective = distill::parse(methods, &settings)?;
                Some(Teacher::new(&self.teacher, &frozen, objective))
            }
        };
        let mut trainer =
            Trainer::new(&self.gpu, augmented(&self.training), config, &self.training, &self.held_out)
                .teacher(teacher)
                .observer(observer);
        if let Some(checkpoints) = checkpoints {
            trainer = trainer.checkpoints(checkpoints);
        }
        let run = trainer.fit(&mut student)?;
        Ok((student, run))
    }
}

/// All that has state: momentum or moments, an average, regressors, augmentation, early stop.
fn config(optimizer: OptimizerConfig) -> TrainConfig {
    TrainConfig {
        epochs: 3,
        batch_size: 32,
        learning_rate: 0.01,
        optimizer,
        max_grad_norm: Some(5.0),
        ema: Some(EmaConfig { decay: 0.9, warmup: true }),
        patience: Some(3),
        seed: 5,
        ..Default::default()
    }
}

/// Every epoch sees other views.
fn augmented(data: &Dataset) -> Classify {
    let images = ImageConfig { crop_padding: 1, flip: true };
    Classify::new(data, ClassifyConfig { images, ..Default::default() }).unwrap()
}

/// Everything of an epoch but its time.
fn measured(run: &Run) -> Vec<(u64, u64, u64, u64)> {
    let of = |e: &limbeck::train::Epoch| {
        (e.step, e.loss.to_bits(), e.training.value().to_bits(), e.validation.value().to_bits())
    };
    run.epochs.iter().map(of).collect()
}

/// A log says what its numbers were measured on: validation data is not the test set.
#[test]
fn a_log_names_the_data_that_is_watched() {
    let _turn = together();
    let setting = setting();
    let config = TrainConfig { epochs: 1, batch_size: 32, max_steps: Some(2), ..Default::default() };
    for split in [Split::Validation, Split::Test] {
        let log = setting.file(&split.to_string());
        let task = common::classify(&setting.training);
        let trainer = Trainer::new(&setting.gpu, task, &config, &setting.training, &setting.held_out);
        let trainer = if split == Split::Test { trainer.measuring_test() } else { trainer };
        trainer.log(&log, "run").unwrap().fit(&mut seeded("cnn:3,4", 0)).unwrap();
        let splits: Vec<Split> = read_metrics(&log).unwrap().iter().map(|record| record.split).collect();
        assert_eq!(splits, [Split::Train, split]);
    }
}

#[test]
fn two_runs_are_equal_to_the_bit() {
    let _turn = together();
    let setting = setting();
    let config = config(OptimizerConfig::sgd(0.9));
    let (one, first) = setting.fit(&config, Some("kd+feature"), None, &mut ()).unwrap();
    let (two, second) = setting.fit(&config, Some("kd+feature"), None, &mut ()).unwrap();
    assert_eq!(bits(&one), bits(&two));
    assert_eq!(measured(&first), measured(&second));
    let other = TrainConfig { seed: 6, ..config };
    let (three, _) = setting.fit(&other, Some("kd+feature"), None, &mut ()).unwrap();
    assert_ne!(bits(&one), bits(&three), "the seed changes nothing: the comparison sees nothing");
}

#[test]
fn a_resumed_run_equals_an_uninterrupted_one() {
    let _turn = together();
    let setting = setting();
    for (name, optimizer, methods) in [
        ("sgd", OptimizerConfig::sgd(0.9), Some("activation")),
        ("adamw", OptimizerConfig::adamw(), Some("weights+feature")),
        ("adam", OptimizerConfig::adam(), None),
    ] {
        let config = config(optimizer);
        let (whole, run) = setting.fit(&config, methods, None, &mut ()).unwrap();
        let checkpoints = |resume| {
            let kept = Checkpoints::at(setting.file(&format!("{name}.safetensors"))).unwrap();
            Some(Checkpoints { every_steps: Some(4), resume, ..kept })
        };
        // Ten steps an epoch: in the first one, at the start of the second, in the third.
        for (stop, resume) in [(3, false), (10, true), (27, true)] {
            let (_, part) = setting.fit(&config, methods, checkpoints(resume), &mut StopAt(stop)).unwrap();
            assert!(!part.finished, "{name} ran past step {stop}");
        }
        let (resumed, again) = setting.fit(&config, methods, checkpoints(true), &mut ()).unwrap();
        assert_eq!(bits(&whole), bits(&resumed), "{name}");
        assert_eq!((measured(&run), run.kept_epoch), (measured(&again), again.kept_epoch), "{name}");
    }
}

/// What the epoch before was measured at is not told of weights that have changed since.
#[test]
fn a_run_that_stops_inside_an_epoch_is_not_measured() {
    let _turn = together();
    let setting = setting();
    let config = TrainConfig { patience: None, ..config(OptimizerConfig::sgd(0.9)) };
    for (stop, kept, measured) in [(3, 1, false), (10, 1, true), (13, 2, false)] {
        let (_, part) = setting.fit(&config, None, None, &mut StopAt(stop)).unwrap();
        assert_eq!((part.kept_epoch, part.measured().is_some()), (kept, measured), "at {stop}");
        assert_eq!(part.value().is_nan(), !measured, "at {stop}");
    }
}

/// A process that dies while it measures, after the last step, which ends no epoch: the measuring is done again.
#[test]
fn what_was_not_measured_at_the_end_is_measured_on_resume() {
    struct KeepFile<'a>([&'a std::path::Path; 2]);
    impl Observer for KeepFile<'_> {
        fn epoch(&mut self, epoch: &limbeck::train::Epoch) {
            if epoch.step == 15 {
                let [from, to] = self.0;
                std::fs::copy(from, to).unwrap();
            }
        }
    }
    let _turn = together();
    let setting = setting();
    let config = TrainConfig { max_steps: Some(15), ..config(OptimizerConfig::sgd(0.9)) };
    let (path, kept) = (setting.file("end.safetensors"), setting.file("kept.safetensors"));
    let checkpoints = |path: &std::path::Path, resume| {
        Some(Checkpoints { every_steps: Some(5), resume, ..Checkpoints::at(path).unwrap() })
    };
    let mut keep = KeepFile([&path, &kept]);
    let (whole, run) = setting.fit(&config, None, checkpoints(&path, false), &mut keep).unwrap();
    let (resumed, again) = setting.fit(&config, None, checkpoints(&kept, true), &mut ()).unwrap();
    assert_eq!(bits(&whole), bits(&resumed));
    assert_eq!((run.epochs.len(), again.epochs.len()), (2, 2));
    assert_eq!(measured(&run), measured(&again));
}

#[test]
fn a_killed_run_goes_on_from_its_last_checkpoint() {
    let _turn = together();
    let setting = setting();
    let config = config(OptimizerConfig::sgd(0.9));
    let (whole, _) = setting.fit(&config, None, None, &mut ()).unwrap();
    let path = setting.file("run.safetensors");
    let checkpoints =
        |resume| Some(Checkpoints { every_steps: Some(4), resume, ..Checkpoints::at(&path).unwrap() });
    setting.fit(&config, None, checkpoints(false), &mut StopAt(16)).unwrap();
    // A kill leaves the checkpoint of step 16 where the run may have been further, and perhaps a temporary file.
    std::fs::write(setting.file(".run.safetensors.tmp"), b"half").unwrap();
    let (resumed, _) = setting.fit(&config, None, checkpoints(true), &mut ()).unwrap();
    assert_eq!(bits(&whole), bits(&resumed));
}

/// As in a browser: no file, and futures.
#[test]
fn a_run_in_memory_goes_on_where_it_was_stopped() {
    let _turn = together();
    let setting = setting();
    let config = TrainConfig { epochs: 2, ..config(OptimizerConfig::adamw()) };
    let (whole, run) = setting.fit(&config, Some("kd"), None, &mut ()).unwrap();
    let memory: Arc<dyn Store> = Arc::new(Memory::new());
    let checkpoints = |resume| {
        let kept = Checkpoints::new(memory.clone(), "point");
        Some(Checkpoints { every_steps: Some(3), resume, ..kept })
    };
    // Ten steps an epoch. Without a checkpoint, resuming begins anew.
    for (stop, resume) in [(4, true), (13, true)] {
        let (_, part) = setting.fit(&config, Some("kd"), checkpoints(resume), &mut StopAt(stop)).unwrap();
        assert!(!part.finished, "ran past step {stop}");
    }
    let (resumed, again) = setting.fit(&config, Some("kd"), checkpoints(true), &mut ()).unwrap();
    assert_eq!(bits(&whole), bits(&resumed));
    assert_eq!(measured(&run), measured(&again));
}

#[test]
fn a_checkpoint_of_another_run_or_a_damaged_one_is_refused() {
    let _turn = together();
    let setting = setting();
    let config = config(OptimizerConfig::sgd(0.9));
    let path = setting.file("run.safetensors");
    let checkpoints = |resume| Some(Checkpoints { resume, ..Checkpoints::at(&path).unwrap() });
    setting.fit(&config, None, checkpoints(false), &mut StopAt(12)).unwrap();
    let refused = |config: &TrainConfig, methods| {
        setting.fit(config, methods, checkpoints(true), &mut ()).map(drop).unwrap_err().to_string()
    };
    let message = refused(&TrainConfig { learning_rate: 0.02, seed: 9, ..config.clone() }, None);
    for part in ["another run", "learning_rate is 0.01 there and 0.02 here", "seed", "`resume`"] {
        assert!(message.contains(part), "{part} in {message}");
    }
    assert!(refused(&config, Some("kd")).contains("method is none there and kd:0.9"));
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 9]).unwrap();
    assert!(refused(&config, None).contains("run.safetensors"));
    limbeck::files::write_safetensors(&path, &[], &Default::default()).unwrap();
    assert!(refused(&config, None).contains("expected a checkpoint"));
}

#[test]
fn early_stop_keeps_the_best_epoch() {
    let _turn = together();
    let setting = setting();
    // A rate that destroys what was learned: the first epochs are the best ones.
    let config = TrainConfig {
        epochs: 12,
        batch_size: 32,
        learning_rate: 0.5,
        schedule: limbeck::optim::Schedule::Step { every: 10, factor: 3.0, warmup: Default::default() },
        max_grad_norm: Some(1.0),
        patience: Some(2),
        ..Default::default()
    };
    let (network, run) = setting.fit(&config, None, None, &mut ()).unwrap();
    assert!(run.epochs.len() < 12, "{:?}", run.epochs);
    assert_eq!(run.kept_epoch + 2, run.epochs.len() as u64);
    assert_eq!(run.value(), run.best().unwrap().value());
    // The network that is left has that accuracy.
    let params = DeviceParams::frozen(&setting.gpu, "student", &network.params).unwrap();
    let held_out = &setting.held_out;
    let (task, gpu) = (common::classify(held_out), &setting.gpu);
    let evaluator = Evaluator::new(gpu, &task, &network, &params, 50, held_out.as_ref());
    let mut evaluator = evaluator.unwrap();
    let loader = LoaderConfig { batch_size: 50, shuffle: false, ..Default::default() };
    let loader = Loader::new(held_out.clone(), loader).unwrap();
    assert_eq!(evaluator.measure(loader.epoch(0)).unwrap().value(), run.value());
}

#[test]
fn a_loss_that_is_not_finite_ends_training_with_the_place() {
    let _turn = together();
    let setting = setting();
    let config = TrainConfig { learning_rate: 1e30, epochs: 2, batch_size: 32, ..Default::default() };
    let message = setting.fit(&config, None, None, &mut ()).map(drop).unwrap_err().to_string();
    assert!(message.contains("NaN or infinity at step") && message.contains("student/"), "{message}");
}

/// Nothing is made after the first steps, and the process does not grow.
#[test]
fn memory_is_flat_over_two_thousand_steps() {
    let _turn = alone();
    let setting = setting();
    let student = network("cnn:3,4");
    let params = DeviceParams::trainable(&setting.gpu, "student", &student.params).unwrap();
    let frozen = DeviceParams::frozen(&setting.gpu, "teacher", &setting.teacher.params).unwrap();
    let objective = distill::parse("kd", &MethodConfig::default()).unwrap();
    let teacher = Teacher::new(&setting.teacher, &frozen, objective);
    let data = &setting.training;
    let (task, optimizer) = (common::classify(data), OptimizerConfig::sgd(0.9));
    let train = TrainConfig { batch_size: 16, optimizer, ce_weight: 0.1, ..Default::default() };
    let step_config = StepConfig::new(&task, data.as_ref(), &train, 2_000);
    let train_step = TrainStep::new(&setting.gpu, &student, &params, Some(teacher), &step_config).unwrap();
    let loader = LoaderConfig { batch_size: 16, drop_last: true, ..Default::default() };
    let loader = Loader::new(data.clone(), loader).unwrap();
    let mut step = Step::new(0, 0);
    let mut run = |steps: u32| {
        let end = step.number + steps;
        let mut epoch = 0;
        while step.number < end {
            for batch in loader.epoch(epoch).take((end - step.number) as usize) {
                train_step.run(&batch.unwrap(), &mut step, 0.01).unwrap();
                setting.gpu.throttle(2).unwrap();
                step.number += 1;
            }
            train_step.tally().unwrap();
            epoch += 1;
        }
    };
    run(200);
    let (objects, resident) = (setting.gpu.objects_created(), resident_kib());
    run(2000);
    assert_eq!(setting.gpu.objects_created(), objects, "buffers, bind groups or pipelines were made");
    if let (Some(before), Some(after)) = (resident, resident_kib()) {
        assert!(after < before + 16 * 1024, "resident memory went from {before} to {after} KiB");
    }
}

/// Resident memory of this process, where the system says it.
fn resident_kib() -> Option<u64> {
    let status = std::fs::read_to_string(Path::new("/proc/self/status")).ok()?;
    let line = status.lines().find(|l| l.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// A frozen teacher has no gradient buffer, costs no saved activations, and keeps its running statistics to the bit.
#[test]
fn a_teacher_stays_as_it_is() {
    let _turn = together();
    let setting = setting();
    let frozen = DeviceParams::frozen(&setting.gpu, "teacher", &setting.teacher.params).unwrap();
    assert!(!frozen.is_trainable());
    let tape = limbeck::tape::Tape::new();
    let message = frozen.flat_gradients(&tape).unwrap_err().to_string();
    assert!(message.contains("frozen"), "{message}");
    let before = bits(&setting.teacher);
    let config = config(OptimizerConfig::sgd(0.9));
    let mut student = network("cnn:3,4");
    let objective = distill::parse("activation", &MethodConfig::default()).unwrap();
    let teacher = Teacher::new(&setting.teacher, &frozen, objective);
    Trainer::new(&setting.gpu, augmented(&setting.training), &config, &setting.training, &setting.held_out)
        .teacher(teacher)
        .fit(&mut student)
        .unwrap();
    let mut after = network("cnn:6,8");
    frozen.download(&mut after.params).unwrap();
    assert_eq!(before, bits(&after));
}
