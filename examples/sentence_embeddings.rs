//! Vectors of sentences: a small encoder, trained on the spot, and a static model of it, a table of words that answers many times
//! as fast.
//!
//!     cargo run --example sentence_embeddings
//!
//! Texts are made up of words of four topics, and the encoder learns to tell these apart. Both models are then asked which other
//! text is nearest to each, and, by a logistic regression on their vectors, which topic it is of. Expect both to be right of more
//! than nine texts in ten, where guessing is of one in four, and cosines of the two to agree: the static model was fitted to what
//! the encoder says of the training texts.

use std::sync::Arc;
use std::time::Instant;

use limbeck::data::text::{TextSet, Texts, Tokenizer};
use limbeck::data::{Source, Split};
use limbeck::gpu::{AdapterRequest, Gpu, GpuOptions};
use limbeck::models::{Head, InputSpec, ModelConfig, Network, build};
use limbeck::optim::OptimizerConfig;
use limbeck::report::{cosine, spearman};
use limbeck::rng::Stream;
use limbeck::sentences::regression::Regression;
use limbeck::sentences::statics::{FitOptions, Recipe, SaveOptions, StaticModel, Vocabulary, fit};
use limbeck::sentences::{Rows, Sentences, encode};
use limbeck::tasks::{self, Classify, ClassifyConfig};
use limbeck::train::{TrainConfig, Trainer};

const TOPICS: [(&str, &str); 4] = [
    ("food", "bread cheese soup apple rice cook kitchen dinner salt butter oven plate taste fresh"),
    ("sea", "wave ship harbour sail fish tide anchor island captain storm shore boat salt deep"),
    ("music", "piano song violin drum sing choir melody concert band note tune dance loud stage"),
    ("garden", "rose tree soil seed flower grass bloom spade leaf bee fence fresh green root"),
];
const PLAIN: &str = "the a of and in on we they was is very with near old new some had saw";
/// Most tokens of a text, with the two around it.
const LONGEST: usize = 12;
/// Numbers of the encoder's vectors, and of the static model's.
const WIDTHS: [usize; 2] = [64, 16];

fn main() -> limbeck::Result<()> {
    let gpu = Gpu::open_blocking(&AdapterRequest::from_env()?, GpuOptions::default())?;
    let tokenizer = Tokenizer::parse("tokenizer.json", tokenizer_json())?;
    let [train, test] = [(480, "train"), (160, "test")].map(|(count, name)| texts(count, name));
    let (train, test) = (train?, test?);
    let encoder = trained(&gpu, &tokenizer, &train, &test)?;
    let of_encoder = |texts: &Texts| encode(&gpu, &encoder, &Arc::new(tokenized(texts, &tokenizer)?));
    let [learned, asked] = [of_encoder(&train)?, of_encoder(&test)?];
    let start = Instant::now();
    of_encoder(&test)?;
    println!("encoder: {}", about(&encoder.name, (&train, &learned), (&test, &asked), start)?);

    let table = static_model(&gpu, &encoder, &tokenizer, &train, &learned)?;
    let folder = std::env::temp_dir().join("limbeck-sentence-embeddings");
    table.save_folder(&folder, &SaveOptions::default())?;
    // As a program that has only the folder does.
    let (table, words) = (StaticModel::open_folder(&folder)?, Tokenizer::open(&folder)?);
    let of_table = |texts: &Texts| table.encode_texts(texts.firsts(), |text| words.bare(text));
    let [learned, answers] = [of_table(&train)?, of_table(&test)?];
    let start = Instant::now();
    of_table(&test)?;
    let name = format!("{} rows of {}", table.rows().len(), table.dims());
    println!("static:  {}", about(&name, (&train, &learned), (&test, &answers), start)?);
    println!("their cosines of test texts have a rank correlation of {:.3}", agreement(&asked, &answers));
    println!("wrote {}, which model2vec and sentence-transformers open", folder.display());
    Ok(())
}

/// An encoder that was trained to tell the topics apart, without the layer that tells them.
fn trained(gpu: &Gpu, tokenizer: &Tokenizer, train: &Texts, test: &Texts) -> limbeck::Result<Network> {
    let (train, test) = (Arc::new(tokenized(train, tokenizer)?), Arc::new(tokenized(test, tokenizer)?));
    let sizes = [tokenizer.vocabulary(), LONGEST];
    let task = Classify::of_texts(train.as_ref(), TOPICS.len(), sizes, ClassifyConfig::default())?;
    let config = TrainConfig {
        epochs: 4,
        batch_size: 32,
        learning_rate: 2e-3,
        optimizer: OptimizerConfig::adamw(),
        ..Default::default()
    };
    let name = format!("bert:1,{},2", WIDTHS[0]);
    let input = InputSpec::Tokens { vocabulary: sizes[0], longest: sizes[1] };
    let mut classifier = build(&name, &ModelConfig { input, head: Head::Classes(TOPICS.len()) })?;
    Trainer::new(gpu, task, &config, &train, &test).fit(&mut classifier)?;
    let mut encoder = build(&name, &ModelConfig { input, head: Head::Numbers(WIDTHS[0]) })?;
    encoder.params.load(&classifier.params.named())?;
    Ok(encoder)
}

/// What the encoder says of each word alone, fitted to `vectors`, what it says of the texts.
fn static_model(
    gpu: &Gpu,
    encoder: &Network,
    tokenizer: &Tokenizer,
    texts: &Texts,
    vectors: &Rows,
) -> limbeck::Result<StaticModel> {
    let trimmed = Vocabulary::trim("tokenizer.json", tokenizer.json().as_bytes())?;
    let alone =
        trimmed.kept.iter().map(|token| [&trimmed.before[..], &[*token], &trimmed.after[..]].concat());
    let words = TextSet::new("words", Split::Train, [tokenizer.vocabulary(), LONGEST], alone)?;
    let words = encode(gpu, encoder, &Arc::new(words))?;
    let set = tokenized(texts, tokenizer)?;
    let sentences: Sentences = trimmed.renumber((0..set.len()).filter_map(|at| set.tokens(at)));
    let rows = fit(&sentences, vectors, &words, &Recipe::for_sentences(WIDTHS[1]), &FitOptions::default())?;
    StaticModel::new(rows, trimmed.vocabulary)
}

/// How good vectors are, and how many texts a second got theirs since `start`.
fn about(
    name: &str,
    (train, learned): (&Texts, &Rows),
    (test, asked): (&Texts, &Rows),
    start: Instant,
) -> limbeck::Result<String> {
    let speed = test.len() as f64 / start.elapsed().as_secs_f64();
    let labels = |texts: &Texts| texts.labels().unwrap_or_default().to_vec();
    let (truths, regression) = (labels(test), Regression::fit(learned, &labels(train), TOPICS.len(), 1.0)?);
    let (mut right, mut near) = (0, 0);
    for (at, row) in asked.iter().enumerate() {
        let answer = tasks::Rows::answer(&regression.logits(row)?);
        right += usize::from(answer == Some(truths[at] as usize));
        let others = asked.iter().enumerate().filter(|(other, _)| *other != at);
        let nearest = others.max_by(|a, b| cosine(row, a.1).total_cmp(&cosine(row, b.1)));
        near += usize::from(nearest.is_some_and(|(other, _)| truths[other] == truths[at]));
    }
    let share = |count: usize| 100.0 * count as f64 / test.len() as f64;
    Ok(format!(
        "{name:<22} topic of {:.1} % of the texts, nearest text of the same topic for {:.1} %, {speed:.0} texts/s",
        share(right),
        share(near)
    ))
}

/// How the cosines of neighbours in two spaces go together.
fn agreement(a: &Rows, b: &Rows) -> f64 {
    let cosines = |rows: &Rows| -> Vec<f64> {
        rows.iter().zip(rows.iter().skip(1)).map(|(a, b)| cosine(a, b)).collect()
    };
    spearman(&cosines(a), &cosines(b)).unwrap_or(f64::NAN)
}

fn tokenized(texts: &Texts, tokenizer: &Tokenizer) -> limbeck::Result<TextSet> {
    TextSet::tokenized(texts, Split::Train, tokenizer, LONGEST)
}

/// Three words of a topic in a text of six to nine.
fn texts(count: usize, name: &str) -> limbeck::Result<Texts> {
    let (mut random, mut all, mut labels) = (Stream::new(0, name), Vec::new(), Vec::new());
    for at in 0..count {
        let pick = |random: &mut Stream, words: &str| {
            let words: Vec<&str> = words.split(' ').collect();
            words[random.below(words.len())].to_string()
        };
        let topic = at % TOPICS.len();
        let mut words: Vec<String> = (0..3).map(|_| pick(&mut random, TOPICS[topic].1)).collect();
        for _ in 0..3 + random.below(4) {
            let place = random.below(words.len() + 1);
            words.insert(place, pick(&mut random, PLAIN));
        }
        all.push(words.join(" "));
        labels.push(topic as u32);
    }
    Texts::new(name, all).with_labels(labels, TOPICS.map(|(topic, _)| topic.to_string()).to_vec())
}

/// A tokenizer of whole words, in the form in which models bring theirs.
fn tokenizer_json() -> String {
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"];
    let mut words: Vec<&str> = special.to_vec();
    for word in PLAIN.split(' ').chain(TOPICS.iter().flat_map(|(_, words)| words.split(' '))) {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    let vocabulary: serde_json::Map<String, serde_json::Value> =
        words.iter().enumerate().map(|(number, word)| (word.to_string(), number.into())).collect();
    let added: Vec<serde_json::Value> = special.iter().enumerate().map(|(id, content)| {
        serde_json::json!({
            "id": id, "content": content, "special": true, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false
        })
    }).collect();
    serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "decoder": null,
        "normalizer": { "type": "Lowercase" },
        "pre_tokenizer": { "type": "Whitespace" },
        "post_processor": { "type": "BertProcessing", "cls": ["[CLS]", 2], "sep": ["[SEP]", 3] },
        "model": { "type": "WordLevel", "unk_token": "[UNK]", "vocab": vocabulary }
    })
    .to_string()
}
