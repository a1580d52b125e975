//! The task of vectors that are like others: its losses and their gradients against PyTorch's (tests/fixtures/wordspace.json),
//! in batches that are full and in ones that are not; and what training by them gives.

mod common;

use std::sync::Arc;

use common::fixture::{Fixture, mismatch};
use limbeck::data::{Field, InMemory, Loader, LoaderConfig, Row, Source, View};
use limbeck::models::{NUMBERS, Outputs, WORDS};
use limbeck::nn::Mode;
use limbeck::tape::{Plan, Step, Tape};
use limbeck::tasks::vectors::{Closeness, VECTORS};
use limbeck::tasks::{Leaves, Task, Vectors};
use limbeck::vectors::measure::neighbours_kept;
use limbeck::vectors::{Recipe, WordVectors};

fn source(width: usize, vectors: Vec<f32>) -> Arc<InMemory> {
    let words = (0..vectors.len() as u32 / width as u32).collect();
    let set = InMemory::new("words").with_labels(WORDS, words).unwrap();
    Arc::new(set.with_f32(VECTORS, [width], vectors).unwrap())
}

/// All words of a source as one sample.
struct Together(Arc<InMemory>);

impl Source for Together {
    fn name(&self) -> &str {
        "words together"
    }

    fn len(&self) -> usize {
        1
    }

    fn fields(&self) -> Vec<Field> {
        let group = |field: Field| Field { shape: [&[self.0.len()], &field.shape[..]].concat(), ..field };
        self.0.fields().into_iter().map(group).collect()
    }

    fn fill(&self, _: usize, _: View, row: &mut Row<'_>) -> limbeck::Result<()> {
        let config = LoaderConfig::in_order(self.0.len());
        let all = Loader::new(self.0.clone(), config)?.epoch(0).next().expect("a batch")?;
        row.i32(WORDS)?.copy_from_slice(all.i32(WORDS)?);
        row.f32(VECTORS)?.copy_from_slice(all.f32(VECTORS)?);
        Ok(())
    }

    fn fingerprint(&self) -> String {
        self.0.fingerprint()
    }
}

#[test]
fn losses_and_gradients_are_pytorchs() {
    let (gpu, fixture) = (common::gpu(), Fixture::load("wordspace"));
    for case in fixture.json["cases"].as_array().unwrap() {
        let (name, config) = (case["name"].as_str().unwrap(), &case["config"]);
        let key = |part: &str| format!("{name}/{part}");
        let closeness = match config["closeness"].as_str().unwrap() {
            "similarities" => Closeness::Similarities,
            _ => Closeness::Neighbours { temperature: config["temperature"].as_f64().unwrap() as f32 },
        };
        let width = fixture.shape(&key("vectors"))[1];
        let set = source(width, fixture.f32s(&key("vectors")));
        let &[words, narrow] = fixture.shape(&key("table")) else { panic!("a table") };
        let task = Vectors::new(set.as_ref(), words, narrow, closeness).unwrap();
        let together: Arc<dyn Source> = Arc::new(Together(set.clone()));
        let sets: [(Arc<dyn Source>, usize); 4] =
            [(set.clone(), set.len()), (set.clone(), set.len() + 5), (together.clone(), 1), (together, 2)];
        for (set, batch_size) in sets {
            let tape = Tape::new();
            let leaves = Leaves::new(&tape, batch_size, &set.fields());
            let table = tape.variable("table", [words, narrow]);
            let mut seen = leaves.clone();
            let numbers = task.inputs(&mut seen, Mode::Train).unwrap().get(WORDS).unwrap().clone();
            let rows = table.embedding(&numbers).unwrap();
            let outputs = Outputs::one(NUMBERS, rows);
            let loss = task.loss(&outputs, &leaves).unwrap().remove(0).loss;
            let cotangent = fixture.f32s(&key("dloss"))[0];
            let gradients = loss.scale(cotangent).unwrap().backward().unwrap();
            let gradient = gradients.get(&table).unwrap();
            let plan = Plan::new(&gpu, &tape, &[&loss, gradient]).unwrap();
            let loader = LoaderConfig { batch_size, shuffle: false, ..Default::default() };
            let batch = Loader::new(set.clone(), loader).unwrap().epoch(0).next().unwrap().unwrap();
            leaves.write(&plan, &batch).unwrap();
            plan.write(&table, &fixture.f32s(&key("table"))).unwrap();
            plan.run(&Step::new(0, 0)).unwrap();
            let tol = case["tol"].as_f64().unwrap();
            for (what, tensor) in [("loss", &loss), ("dtable", gradient)] {
                let wrong = mismatch(&plan.read_f32(tensor).unwrap(), &fixture.f32s(&key(what)), tol);
                assert_eq!(wrong, None, "{name}, {what}, {} by {batch_size}", set.name());
            }
        }
    }
}

/// Groups of words in many dimensions that few dimensions can tell apart, but not those of most variance.
#[test]
fn training_keeps_more_neighbours_than_components_do_and_gives_the_same_bits() {
    let gpu = common::gpu();
    let (words, width) = (160, 12);
    let value = |i: usize| {
        let (word, at) = (i / width, i % width);
        let hash = |a: usize, b: usize| ((a * 7919 + b * 104_729 + a * b * 31) % 1009) as f32 / 504.5 - 1.0;
        hash(word / 8, at) + 0.4 * hash(word + 1000, at)
    };
    let names: Vec<String> = (0..words).map(|n| format!("w{n}")).collect();
    let names = names.iter().map(String::as_str).collect();
    let vectors = WordVectors::new(names, width, (0..words * width).map(value).collect()).unwrap();
    let made = |steps: &str| steps.parse::<Recipe>().unwrap().apply(Some(&gpu), &vectors, 3).unwrap().vectors;
    let kept = |small: &WordVectors| neighbours_kept(&vectors, small, &Default::default()).unwrap().share;
    let (learned, plain) = (made("neighbours:4,steps=120"), made("cosines:4"));
    assert!(kept(&learned) > kept(&plain) + 0.02, "{} and {}", kept(&learned), kept(&plain));
    assert_eq!(learned, made("neighbours:4,steps=120"));
    assert_ne!(learned, made("similarities:4,steps=120"));
    let wrong = "pca:13".parse::<Recipe>().unwrap().apply(Some(&gpu), &vectors, 0).unwrap_err().to_string();
    assert!(wrong.contains("1 to the 12 numbers"), "{wrong}");
}

#[test]
fn sources_of_other_fields_are_refused() {
    let set = source(3, vec![0.5; 12]);
    let closeness = Closeness::Similarities;
    let task = Vectors::new(set.as_ref(), 4, 2, closeness).unwrap();
    let message = |result: limbeck::Result<()>| result.unwrap_err().to_string();
    assert!(
        message(task.check(source(2, vec![0.5; 8]).as_ref()))
            .contains("3 numbers as in the training set, got 2")
    );
    let flat = InMemory::new("flat").with_f32(WORDS, [1], vec![0.0; 4]).unwrap();
    assert!(message(task.check(&flat)).contains("field words"));
    let hot = Closeness::Neighbours { temperature: 0.0 };
    assert!(message(Vectors::new(set.as_ref(), 4, 2, hot).map(drop)).contains("temperature"));
    assert!(message(Vectors::new(set.as_ref(), 4, 0, closeness).map(drop)).contains("width"));
}
