//! Masked language models against transformers (tests/fixtures/masked.py): logits, loss and gradients of hidden words, DistilBERT's
//! three losses together, and trainings in which the perplexity falls.

mod common;

use std::sync::Arc;

use common::bits::bits;
use common::digits::StopAt;
use common::fixture::{Fixture, mismatch, path};
use limbeck::data::text::{MASKED, MaskedTexts, Masking, TextSet};
use limbeck::data::{Field, Row, Source, Split, View};
use limbeck::distill::{self, MethodConfig};
use limbeck::models::saved::{self, Overrides, Saved};
use limbeck::models::{Head, InputSpec, ModelConfig, Network, TOKENS, build, encoder};
use limbeck::nn::DeviceParams;
use limbeck::optim::{OptimizerConfig, Schedule};
use limbeck::tasks::MaskedWords;
use limbeck::train::{Checkpoints, Evaluator, Run, Teacher, TrainConfig, Trainer};

/// The texts of the fixture, with the words that are hidden there.
struct Hidden {
    tokens: Vec<i32>,
    masked: Vec<i32>,
    starts: Vec<usize>,
    lengths: Vec<u32>,
}

impl Hidden {
    fn of(fixture: &Fixture) -> Self {
        let spans = fixture.i32s("spans");
        let spans: Vec<[usize; 2]> =
            spans.chunks(2).map(|span| [span[0] as usize, span[1] as usize]).collect();
        Self {
            tokens: fixture.i32s("tokens"),
            masked: fixture.i32s("masked"),
            starts: spans.iter().map(|span| span[0]).collect(),
            lengths: spans.iter().map(|span| (span[1] - span[0]) as u32).collect(),
        }
    }
}

impl Source for Hidden {
    fn name(&self) -> &str {
        "hidden"
    }

    fn len(&self) -> usize {
        self.lengths.len()
    }

    fn fields(&self) -> Vec<Field> {
        vec![Field::packed(TOKENS), Field::packed(MASKED)]
    }

    fn lengths(&self) -> Option<&[u32]> {
        Some(&self.lengths)
    }

    fn fill(&self, id: usize, _: View, row: &mut Row<'_>) -> limbeck::Result<()> {
        let range = self.starts[id]..self.starts[id] + self.lengths[id] as usize;
        row.i32(TOKENS)?.copy_from_slice(&self.tokens[range.clone()]);
        row.i32(MASKED)?.copy_from_slice(&self.masked[range]);
        Ok(())
    }

    fn fingerprint(&self) -> String {
        "hidden 1".into()
    }
}

/// The share that leaves room for three of 27.
const SHARE: f64 = 0.15;

fn open(name: &str) -> Network {
    saved::open(path("masked").join(name), &Overrides::default()).unwrap().network
}

fn task(source: &dyn Source) -> MaskedWords {
    MaskedWords::new(source, [40, 12], SHARE).unwrap()
}

/// A step of plain gradient descent: what the weights change by is -RATE times their gradient.
const RATE: f64 = 64.0;

fn one_step() -> TrainConfig {
    TrainConfig {
        epochs: 1,
        batch_size: 4,
        learning_rate: RATE,
        schedule: Schedule::Constant { warmup: Default::default() },
        optimizer: OptimizerConfig::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 },
        ..Default::default()
    }
}

/// Checks the gradients that a step took, which have the fixture's names below `group`.
fn check_gradients(fixture: &Fixture, group: &str, before: &Network, after: &Network) {
    let mut seen = 0;
    for (old, new) in before.params.iter().zip(after.params.iter()) {
        let key = format!("{group}/grad/{}", old.name);
        // DistilBERT has no types, which get the gradient of its positions.
        if !fixture.has(&key) {
            assert!(old.name.contains("token_type"), "{key}");
            continue;
        }
        let change = |(old, new): (&f32, &f32)| (f64::from(old - new) / RATE) as f32;
        let got: Vec<f32> = old.values.iter().zip(&new.values).map(change).collect();
        assert_eq!(mismatch(&got, &fixture.f32s(&key)[..got.len()], 1e-3), None, "{key}");
        seen += 1;
    }
    assert!(seen > 20, "{group}: {seen}");
}

#[test]
fn hidden_words_get_transformers_logits_loss_and_gradients() {
    let (gpu, fixture) = (common::gpu(), Fixture::load("masked"));
    let source = Arc::new(Hidden::of(&fixture));
    let task = task(source.as_ref());
    let names = [
        ("bert", "bert:2,16,2,32"),
        ("distilbert", "bert:1,16,2,24,head=relu"),
        ("roberta", "bert:1,8,2,16,types=1"),
    ];
    for (name, model) in names {
        let network = open(name);
        assert_eq!((network.name.as_str(), network.head()), (model, Head::Tokens(40)));
        let params = DeviceParams::frozen(&gpu, name, &network.params).unwrap();
        let mut evaluator = Evaluator::new(&gpu, &task, &network, &params, 4, source.as_ref()).unwrap();
        let loader = evaluator.loader(&source).unwrap();
        let logits = evaluator.outputs(&loader.epoch(0).next().unwrap().unwrap()).unwrap();
        let wanted = fixture.f32s(&format!("{name}/logits"));
        assert_eq!(mismatch(&logits[..wanted.len()], &wanted, 1e-4), None, "{name}");
        // Fillers are behind the words.
        assert_eq!((wanted.len(), logits.len()), (7 * 40, (27.0 * SHARE) as usize * 40 + 4 * 40));
        let measured = evaluator.measure(loader.epoch(0)).unwrap();
        let loss = f64::from(fixture.f32s(&format!("{name}/loss"))[0]);
        assert!((measured.loss.unwrap() - loss).abs() < 1e-4 * loss, "{name}: {measured:?} {loss}");
        assert!((measured.value().ln() - loss).abs() < 1e-4 * loss, "{name}: {measured:?}");
    }
    for name in ["bert", "distilbert"] {
        let (before, mut network) = (open(name), open(name));
        Trainer::new(&gpu, task.clone(), &one_step(), &source, &source).fit(&mut network).unwrap();
        check_gradients(&fixture, name, &before, &network);
    }
}

#[test]
fn distilberts_three_losses_are_those_of_pytorch() {
    let (gpu, fixture) = (common::gpu(), Fixture::load("masked"));
    let source = Arc::new(Hidden::of(&fixture));
    let teacher = open("bert");
    let params = DeviceParams::frozen(&gpu, "teacher", &teacher.params).unwrap();
    let objective = distill::parse("distilbert", &MethodConfig::default()).unwrap();
    let (before, mut student) = (open("distilbert"), open("distilbert"));
    let run = Trainer::new(&gpu, task(source.as_ref()), &one_step(), &source, &source)
        .teacher(Teacher::new(&teacher, &params, objective))
        .fit(&mut student)
        .unwrap();
    let wanted = f64::from(fixture.f32s("triple/loss")[0]);
    assert!((run.epochs[0].loss - wanted).abs() < 1e-4 * wanted, "{:?} {wanted}", run.epochs[0]);
    check_gradients(&fixture, "triple", &before, &student);
}

/// Sentences in which a word follows from the others: `a b c` counts up, modulo 20.
fn counting(texts: usize, split: Split) -> Arc<MaskedTexts> {
    let text = |at: usize| {
        let words = (0..6 + at % 5).map(|i| 4 + ((at * 7 + i) % 20) as u32);
        [1].into_iter().chain(words).chain([2]).collect::<Vec<_>>()
    };
    let set = TextSet::new("counting", split, [24, 16], (0..texts).map(text)).unwrap();
    let masking = Masking { share: SHARE, mask: 3, special: vec![0, 1, 2, 3] };
    Arc::new(MaskedTexts::new(Arc::new(set), masking).unwrap())
}

fn config(epochs: u64) -> TrainConfig {
    let optimizer = OptimizerConfig::adam();
    TrainConfig { epochs, batch_size: 16, learning_rate: 3e-3, optimizer, ..Default::default() }
}

/// What a network becomes in so many epochs, in a run that may stop and go on, and whether it ended.
fn train(
    network: &mut Network,
    teacher: Option<(&Network, &str)>,
    epochs: u64,
    (checkpoints, stop): (Option<Checkpoints>, u64),
) -> Run {
    let gpu = common::gpu();
    let (training, test) = (counting(240, Split::Train), counting(60, Split::Test));
    let task = MaskedWords::new(training.as_ref(), [24, 16], SHARE).unwrap();
    let params = teacher.map(|(teacher, _)| DeviceParams::frozen(&gpu, "teacher", &teacher.params).unwrap());
    let teaching = teacher.zip(params.as_ref()).map(|((teacher, method), params)| {
        let objective = distill::parse(method, &MethodConfig::default()).unwrap();
        Teacher::new(teacher, params, objective)
    });
    let (config, mut observer) = (config(epochs), StopAt(stop));
    let mut trainer = Trainer::new(&gpu, task, &config, &training, &test).teacher(teaching);
    if let Some(checkpoints) = checkpoints {
        trainer = trainer.checkpoints(checkpoints);
    }
    trainer.observer(&mut observer).fit(network).unwrap()
}

const WHOLE: (Option<Checkpoints>, u64) = (None, u64::MAX);

fn model(name: &str) -> Network {
    let input = InputSpec::Tokens { vocabulary: 24, longest: 16 };
    let mut network = build(name, &ModelConfig { input, head: Head::Tokens(24) }).unwrap();
    network.params.initialise(1);
    network
}

#[test]
fn perplexity_falls_where_words_follow_from_others() {
    let mut teacher = model("bert:2,32,2,64");
    let run = train(&mut teacher, None, 30, WHOLE);
    let first = run.epochs[0].validation.value();
    // Of 20 words one knows nothing at 20.
    assert!(first > 15.0 && run.value() < 4.0, "{first} to {}", run.value());
    assert_eq!(run.measured().unwrap().primary.name, "perplexity");

    // Every other layer of it is a start that its head and its table of words go with.
    let mut student = encoder::keep_layers(&teacher, &[1]).unwrap();
    assert_eq!((student.name.as_str(), student.head()), ("bert:1,32,2,64", Head::Tokens(24)));
    let bias = |network: &Network| network.params.find("cls.predictions.bias").unwrap().values.clone();
    assert_eq!(bias(&student), bias(&teacher));
    let run = train(&mut student, Some((&teacher, "distilbert")), 6, WHOLE);
    assert!(run.value() < 6.0, "{}", run.value());
}

#[test]
fn a_run_that_goes_on_hides_the_same_words() {
    let dir = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("masked_resumed");
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    let run = |kept: (Option<Checkpoints>, u64)| {
        let mut network = model("bert:1,16,2,32");
        (train(&mut network, None, 3, kept), network)
    };
    let checkpoints = |resume| {
        let kept = Checkpoints::at(dir.join("run.safetensors")).unwrap();
        Some(Checkpoints { every_steps: Some(4), resume, ..kept })
    };
    let (whole, network) = run(WHOLE);
    assert!(!run((checkpoints(false), 20)).0.finished);
    let (resumed, again) = run((checkpoints(true), u64::MAX));
    assert_eq!(bits(&network), bits(&again));
    assert_eq!(whole.value(), resumed.value());
}

#[test]
fn folders_and_files_of_masked_language_models_come_back() {
    let dir = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("masked");
    let _ = std::fs::remove_dir_all(&dir);
    for name in ["bert", "distilbert", "roberta"] {
        let Saved { network, metadata } =
            saved::open(path("masked").join(name), &Overrides::default()).unwrap();
        for file in [format!("{name}.safetensors"), name.to_string()] {
            saved::save(dir.join(&file), &network, &metadata).unwrap();
            let again = saved::open(dir.join(&file), &Overrides::default()).unwrap();
            assert_eq!(
                (&again.network.name, again.network.head()),
                (&network.name, network.head()),
                "{file}"
            );
            assert_eq!(again.network.params.named(), network.params.named(), "{file}");
        }
        // A shallower or other student starts from it, head and all; and a text's vector needs no head.
        let mut start = build(&network.name, network.config()).unwrap();
        let started = saved::start_from(&mut start, dir.join(name)).unwrap();
        assert_eq!((started.taken, started.left.unexpected.len()), (network.params.len(), 0));
        let (longest, width) = (network.input(), encoder::shape_of(&network).unwrap().width);
        let vectors = encoder::text_vectors(network).unwrap();
        assert_eq!((vectors.head(), vectors.input()), (Head::Numbers(width), longest));
    }
    let config = std::fs::read_to_string(dir.join("distilbert/config.json")).unwrap();
    assert!(config.contains("DistilBertForMaskedLM"), "{config}");
}
