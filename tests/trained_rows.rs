//! Tables of which only the rows that occur in the training texts are trained: against a PyTorch table that has no others
//! (tests/fixtures/optim.json), and to the bit against a training of all rows.

mod common;

use std::sync::Arc;

use common::fixture::{Fixture, mismatch};
use limbeck::data::text::TextSet;
use limbeck::data::{Field, Row, Source, Split, View};
use limbeck::gpu::Gpu;
use limbeck::models::{Network, build};
use limbeck::nn::{DeviceParams, Embedding, Forward, Init, Linear, ParamBuilder, Params};
use limbeck::optim::{EmaConfig, Group, Optimizer, OptimizerConfig};
use limbeck::tape::{Plan, Step, Tape};
use limbeck::tasks::{Classify, ClassifyConfig, Task};
use limbeck::train::{Checkpoints, Observer, TrainConfig, Trainer};

const WORDS: usize = 24;
const LONGEST: usize = 10;

#[test]
fn a_table_learns_as_one_of_its_occurring_rows_alone() {
    let (gpu, fixture) = (common::gpu(), Fixture::load("optim"));
    let case = &fixture.json["rows"];
    let number = |key: &str| case[key].as_f64().unwrap();
    let occurring: Vec<usize> = serde_json::from_value(case["occurring"].clone()).unwrap();
    let looked_up: Vec<Vec<i32>> = serde_json::from_value(case["looked_up"].clone()).unwrap();
    let &[rows, width] = fixture.shape("rows/table") else { panic!("expected a table") };
    let outputs = fixture.shape("rows/weight")[0];
    let mut params = Params::default();
    let mut at = ParamBuilder::new(&mut params);
    let table = Embedding::with_init(at.sub("table"), rows, width, Init::Constant(0.0));
    let layer = Linear::with_init(at.sub("layer"), width, outputs, Init::Constant(0.0), None);
    let start = fixture.f32s("rows/table");
    params.find_mut("table.weight").unwrap().values.clone_from(&start);
    params.find_mut("layer.weight").unwrap().values = fixture.f32s("rows/weight");
    let trained = [(table.weight(), occurring.clone())];
    let device = DeviceParams::trainable_in(&gpu, "net", &params, &trained).unwrap();
    let tape = Tape::new();
    let fx = Forward::train(&tape, &device);
    let (ids, targets) = (tape.input_i32("ids", [looked_up[0].len()]), tape.input("targets", [4, outputs]));
    let rows = table.forward(&fx, &ids).unwrap();
    let loss = layer.forward(&fx, &rows).unwrap().mse_loss(&targets).unwrap();
    fx.place_gradients(&loss.backward().unwrap()).unwrap();
    let group = Group::of(&device, &tape).unwrap();
    let config =
        OptimizerConfig::AdamW { betas: [0.9, 0.999], eps: 1e-8, weight_decay: number("weight_decay") };
    let optimizer = Optimizer::new(&gpu, "optimizer", config, &[group.weights.meta().len()]).unwrap();
    let update = optimizer.record(&tape, &[group], Some(number("max_grad_norm") as f32)).unwrap();
    let plan = Plan::new(&gpu, &tape, &[&loss, &update.grad_norm]).unwrap();
    let (all, norms) = (fixture.f32s("rows/targets"), fixture.f32s("rows/norms"));
    for (t, numbers) in looked_up.iter().enumerate() {
        plan.write(&ids, numbers).unwrap();
        plan.write(&targets, &all[t * 4 * outputs..][..4 * outputs]).unwrap();
        let mut step = Step::new(t as u32, 0);
        update.set_step(&mut step, number("learning_rate"), t as u64);
        plan.run(&step).unwrap();
        let norm = plan.read_f32(&update.grad_norm).unwrap();
        assert_eq!(mismatch(&norm[..1], &norms[t..=t], 1e-5), None, "norm of step {t}");
    }
    device.download(&mut params).unwrap();
    let got = &params.find("table.weight").unwrap().values;
    let row = |values: &[f32], row: usize| values[row * width..][..width].to_vec();
    let kept: Vec<f32> = occurring.iter().flat_map(|&at| row(got, at)).collect();
    assert_eq!(mismatch(&kept, &fixture.f32s("rows/table_after"), 1e-5), None);
    let layer = &params.find("layer.weight").unwrap().values;
    assert_eq!(mismatch(layer, &fixture.f32s("rows/weight_after"), 1e-5), None);
    for other in (0..got.len() / width).filter(|row| !occurring.contains(row)) {
        assert_eq!(row(got, other), row(&start, other), "row {other}");
    }
}

/// What it holds, without saying which numbers occur.
struct Untold(TextSet);

impl Source for Untold {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn fields(&self) -> Vec<Field> {
        self.0.fields()
    }

    fn lengths(&self) -> Option<&[u32]> {
        self.0.lengths()
    }

    fn fill(&self, id: usize, view: View, row: &mut Row<'_>) -> limbeck::Result<()> {
        self.0.fill(id, view, row)
    }

    fn fingerprint(&self) -> String {
        self.0.fingerprint()
    }
}

/// Texts of the tokens 1 and 2 and every third one.
fn texts() -> TextSet {
    let text = |id: usize| -> Vec<u32> {
        let inner = (0..1 + id * 5 % 8).map(|i| 3 * (1 + (id * 31 + i * i * 17) % 7) as u32);
        [1].into_iter().chain(inner).chain([2]).collect()
    };
    let labels: Vec<u32> = (0..43).map(|id| u32::from(text(id)[1] < 12)).collect();
    let set = TextSet::new("texts", Split::Train, [WORDS, LONGEST], (0..43).map(text)).unwrap();
    set.with_labels(labels, vec!["a".into(), "b".into()]).unwrap()
}

/// A block of 64 numbers is a row, and where rows are 48 wide it has parts of two.
const WIDTHS: [usize; 2] = [64, 48];

/// Ends a training before this step.
struct Until(u64);

impl Observer for Until {
    fn proceed(&mut self, step: u64) -> bool {
        step < self.0
    }
}

/// A network before and after 11 steps, with an end and a resumption before each of these.
fn trained<S: Source + 'static>(gpu: &Gpu, width: usize, source: &Arc<S>, ends: &[u64]) -> [Network; 2] {
    let task = || Classify::of_texts(source, 2, [WORDS, LONGEST], ClassifyConfig::default()).unwrap();
    let mut network = build(&format!("bert:1,{width},2,32"), &task().model_config()).unwrap();
    network.params.initialise(4);
    let mut start = build(&format!("bert:1,{width},2,32"), &task().model_config()).unwrap();
    start.params = network.params.clone();
    let folder = common::folder();
    for &end in ends.iter().chain(&[u64::MAX]) {
        let config = TrainConfig {
            epochs: 4,
            max_steps: Some(11),
            batch_size: 8,
            learning_rate: 0.01,
            schedule: limbeck::optim::Schedule::default(),
            optimizer: OptimizerConfig::adamw(),
            ema: Some(EmaConfig { decay: 0.8, warmup: true }),
            ..Default::default()
        };
        let mut checkpoints = Checkpoints::at(folder.path().join("run.safetensors")).unwrap();
        (checkpoints.resume, checkpoints.every_steps) = (true, Some(3));
        network.params = start.params.clone();
        let mut until = Until(end);
        let trainer = Trainer::new(gpu, task(), &config, source, source).checkpoints(checkpoints);
        trainer.observer(&mut until).fit(&mut network).unwrap();
    }
    [start, network]
}

#[test]
fn rows_that_do_not_occur_keep_their_bits_and_all_others_train_as_ever() {
    let gpu = common::gpu();
    for width in WIDTHS {
        let [start, chosen] = trained(&gpu, width, &Arc::new(texts()), &[]);
        let [_, whole] = trained(&gpu, width, &Arc::new(Untold(texts())), &[]);
        assert!(common::bits(&chosen) == common::bits(&whole), "{width}");
        let occurring = texts().occurring("tokens").unwrap();
        assert_eq!(occurring, [1, 2, 3, 6, 9, 12, 15, 18, 21]);
        let words = |network: &Network| {
            network.params.find("embeddings.word_embeddings.weight").unwrap().values.clone()
        };
        let (before, after) = (words(&start), words(&chosen));
        for (row, (before, after)) in before.chunks(width).zip(after.chunks(width)).enumerate() {
            assert_eq!(before != after, occurring.contains(&row), "{width}: row {row}");
        }
    }
}

#[test]
fn a_resumed_training_of_some_rows_has_the_bits_of_an_uninterrupted_one() {
    let gpu = common::gpu();
    let [_, whole] = trained(&gpu, 64, &Arc::new(texts()), &[]);
    let [_, resumed] = trained(&gpu, 64, &Arc::new(texts()), &[6]);
    assert!(common::bits(&whole) == common::bits(&resumed));
}
