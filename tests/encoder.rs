//! Encoders of texts against transformers and sentence-transformers (tests/fixtures/encoder.py), on packed texts.

mod common;

use common::fixture::{Fixture, mismatch, path};
use limbeck::gpu::Gpu;
use limbeck::models::saved::{self, Overrides, Saved};
use limbeck::models::{
    Head, InputSpec, ModelConfig, NUMBERS, Network, SPANS, TOKENS, Values, build, encoder,
};
use limbeck::nn::{DeviceParams, Forward, Mode, Precision};
use limbeck::tape::{Plan, Step, Tape, Tensor};

/// Texts, packed.
struct Texts {
    tokens: Vec<i32>,
    spans: Vec<i32>,
}

impl Texts {
    fn of(fixture: &Fixture, name: &str) -> Self {
        let get = |what: &str| fixture.i32s(&format!("{name}/{what}"));
        Self { tokens: get("tokens"), spans: get("spans") }
    }

    /// One of them alone, without fillers.
    fn alone(&self, text: usize) -> Self {
        let [first, end] = [self.spans[2 * text], self.spans[2 * text + 1]];
        let tokens = self.tokens[first as usize..end as usize].to_vec();
        Self { spans: vec![0, tokens.len() as i32], tokens }
    }

    /// Which slots have a text.
    fn there(&self) -> Vec<usize> {
        (0..self.spans.len() / 2).filter(|n| self.spans[2 * n] < self.spans[2 * n + 1]).collect()
    }
}

/// A pass on packed texts.
struct Pass<'a> {
    tape: Tape,
    fx: Forward<'a>,
    tokens: Tensor,
    spans: Tensor,
    output: Tensor,
}

impl<'a> Pass<'a> {
    fn new(network: &Network, params: &'a DeviceParams, texts: &Texts, recompute: bool) -> Self {
        let tape = Tape::new();
        let tokens = tape.input_i32(TOKENS, [texts.tokens.len()]);
        let spans = tape.input_i32(SPANS, [texts.spans.len() / 2, 2]);
        let fx = Forward::new(&tape, params, Mode::Eval, params.is_trainable()).recomputing(recompute);
        let values = Values::one(TOKENS, tokens.clone()).with(SPANS, spans.clone());
        let output = network.forward(&fx, &values).unwrap().only().unwrap().clone();
        Self { tape, fx, tokens, spans, output }
    }

    fn run(&self, gpu: &Gpu, texts: &Texts, outputs: &[&Tensor], more: &[(&Tensor, &[f32])]) -> Plan {
        let plan = Plan::new(gpu, &self.tape, outputs).unwrap();
        plan.write(&self.tokens, &texts.tokens).unwrap();
        plan.write(&self.spans, &texts.spans).unwrap();
        more.iter().for_each(|(tensor, values)| plan.write(*tensor, values).unwrap());
        plan.run(&Step::new(0, 1)).unwrap();
        plan
    }
}

/// What a network gives, a row for each slot.
fn rows(gpu: &Gpu, network: &Network, texts: &Texts) -> Vec<Vec<f32>> {
    let params = DeviceParams::frozen(gpu, "network", &network.params).unwrap();
    let pass = Pass::new(network, &params, texts, false);
    let plan = pass.run(gpu, texts, &[&pass.output], &[]);
    let all = plan.read_f32(&pass.output).unwrap();
    all.chunks(network.head().width()).map(<[f32]>::to_vec).collect()
}

fn open(name: &str) -> Saved {
    saved::open(path("encoder").join(name), &Overrides::default()).unwrap()
}

/// Checks the rows of the slots that have a text.
fn check(gpu: &Gpu, network: &Network, name: &str, output: &str) {
    let fixture = Fixture::load("encoder");
    let texts = Texts::of(&fixture, name);
    let all = rows(gpu, network, &texts);
    let got: Vec<f32> = texts.there().into_iter().flat_map(|n| all[n].clone()).collect();
    let failure = mismatch(&got, &fixture.f32s(&format!("{name}/{output}")), 1e-4);
    assert_eq!(failure, None, "{name}");
}

#[test]
fn bert_computes_what_transformers_computes() {
    let (gpu, fixture) = (common::gpu(), Fixture::load("encoder"));
    let Saved { network, metadata } = open("bert");
    assert_eq!((network.name.as_str(), network.head()), ("bert:2,32,2,64,head=pooler", Head::Classes(3)));
    assert_eq!(metadata.classes, ["no", "maybe", "yes"]);
    let (params, texts) =
        (DeviceParams::trainable(&gpu, "bert", &network.params).unwrap(), Texts::of(&fixture, "bert"));
    let (slots, tokens) = (texts.spans.len() / 2, *texts.spans.last().unwrap() as usize);
    let (wanted, mut cotangent) = (fixture.f32s("bert/cotangent"), vec![0.0; slots * 3]);
    for (row, slot) in wanted.chunks(3).zip(texts.there()) {
        cotangent[3 * slot..][..3].copy_from_slice(row);
    }
    let taps: Vec<&str> = [
        "embeddings",
        "encoder.layer.0",
        "encoder.layer.0.attention.self",
        "encoder.layer.0.attention.self.key",
        "encoder.layer.1",
        "encoder.layer.1.attention.self",
    ]
    .to_vec();
    for recompute in [false, true] {
        let pass = Pass::new(&network, &params, &texts, recompute);
        let given = pass.tape.input("cotangent", [slots, 3]);
        let loss = pass.output.mul(&given).unwrap().sum(&[0, 1], false).unwrap();
        let gradients = loss.backward().unwrap();
        let seen: Vec<Tensor> = taps.iter().map(|name| pass.fx.tap(name).unwrap()).collect();
        let leaves = pass.fx.leaves();
        let grads: Vec<&Tensor> = leaves.iter().map(|(_, leaf)| gradients.get(leaf).unwrap()).collect();
        let outputs: Vec<&Tensor> = seen.iter().chain(grads.iter().copied()).chain([&pass.output]).collect();
        let plan = pass.run(&gpu, &texts, &outputs, &[(&given, &cotangent)]);
        let mut failures = Vec::new();
        let mut check = |name: String, got: &[f32]| {
            failures.extend(mismatch(got, &fixture.f32s(&name), 1e-4).map(|m| format!("{name} {m}")));
        };
        for (name, tap) in taps.iter().zip(&seen) {
            check(format!("bert/tap/{name}"), &plan.read_f32(tap).unwrap()[..tokens * 32]);
        }
        for ((id, _), gradient) in leaves.iter().zip(&grads) {
            let name = &network.params.get(*id).unwrap().name;
            check(format!("bert/grad/{name}"), &plan.read_f32(*gradient).unwrap());
        }
        let all = plan.read_f32(&pass.output).unwrap();
        let logits: Vec<f32> = texts.there().iter().flat_map(|n| all[3 * n..][..3].to_vec()).collect();
        check("bert/logits".into(), &logits);
        assert_eq!(grads.len(), network.params.len());
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }
}

#[test]
fn mean_vectors_of_length_1_have_pytorchs_gradients() {
    let (gpu, fixture) = (common::gpu(), Fixture::load("encoder"));
    let input = InputSpec::Tokens { vocabulary: 100, longest: 12 };
    let config = ModelConfig { input, head: Head::Numbers(32) };
    let mut network = build("bert:2,32,2,64,normalize=yes", &config).unwrap();
    let started = saved::start_from(&mut network, path("encoder/bert")).unwrap();
    // The positions are cut, and nothing reads the head.
    assert_eq!(started.taken, network.params.len());
    assert!(started.left.missing.is_empty() && started.left.misshapen.is_empty(), "{started:?}");
    assert_eq!(started.left.unexpected.len(), 4, "{started:?}");

    let texts = Texts::of(&fixture, "bert");
    let params = DeviceParams::trainable(&gpu, "bert", &network.params).unwrap();
    let pass = Pass::new(&network, &params, &texts, false);
    let (there, slots) = (texts.there(), texts.spans.len() / 2);
    let mut cotangent = vec![0.0; slots * 32];
    for (row, slot) in fixture.f32s("mean/cotangent").chunks(32).zip(&there) {
        cotangent[32 * slot..][..32].copy_from_slice(row);
    }
    let given = pass.tape.input("cotangent", [slots, 32]);
    let loss = pass.output.mul(&given).unwrap().sum(&[0, 1], false).unwrap();
    let gradients = loss.backward().unwrap();
    let leaves = pass.fx.leaves();
    let mut outputs: Vec<&Tensor> = leaves.iter().map(|(_, leaf)| gradients.get(leaf).unwrap()).collect();
    outputs.push(&pass.output);
    let plan = pass.run(&gpu, &texts, &outputs, &[(&given, &cotangent)]);
    let all = plan.read_f32(&pass.output).unwrap();
    let vectors: Vec<f32> = there.iter().flat_map(|n| all[32 * n..][..32].to_vec()).collect();
    assert_eq!(mismatch(&vectors, &fixture.f32s("mean/vectors"), 1e-4), None);
    let mut seen = 0;
    for ((id, _), gradient) in leaves.iter().zip(&outputs) {
        let name = &network.params.get(*id).unwrap().name;
        let key = format!("mean/grad/{name}");
        if !fixture.has(&key) {
            continue;
        }
        let got = plan.read_f32(*gradient).unwrap();
        let wanted = &fixture.f32s(&key)[..got.len()];
        assert_eq!(mismatch(&got, wanted, 1e-4), None, "{name}");
        seen += 1;
    }
    assert_eq!(seen, 6);
}

#[test]
fn folders_of_others_compute_what_transformers_computes() {
    let gpu = common::gpu();
    let Saved { network, metadata } = open("distilbert");
    assert_eq!(network.name, "bert:2,8,2,16,head=relu");
    assert_eq!(metadata.classes, ["NEGATIVE", "POSITIVE"]);
    check(&gpu, &network, "distilbert", "logits");
    let Saved { network, metadata } = open("roberta");
    let name = "bert:1,8,2,16,types=1,head=pooler,activation=gelu_tanh,eps=5e-2";
    assert_eq!((network.name.as_str(), network.head()), (name, Head::Classes(3)));
    assert_eq!(network.input(), InputSpec::Tokens { vocabulary: 20, longest: 12 });
    assert_eq!(metadata.classes, ["LABEL_0", "LABEL_1", "LABEL_2"]);
    check(&gpu, &network, "roberta", "logits");
    let Saved { network, .. } = open("sentences");
    let name = "bert:1,8,4,8,positions=12,normalize=yes";
    assert_eq!((network.name.as_str(), network.head()), (name, Head::Numbers(8)));
    assert_eq!(network.input(), InputSpec::Tokens { vocabulary: 16, longest: 10 });
    check(&gpu, &network, "sentences", "vectors");
}

/// Between texts of a batch nothing flows, and fillers are nobody's.
#[test]
fn a_text_alone_gives_what_it_gives_among_others() {
    let (gpu, fixture) = (common::gpu(), Fixture::load("encoder"));
    let network = open("bert").network;
    let texts = Texts::of(&fixture, "bert");
    let all = rows(&gpu, &network, &texts);
    for text in texts.there() {
        let alone = rows(&gpu, &network, &texts.alone(text));
        let worst = alone[0].iter().zip(&all[text]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst <= 1e-6, "text {text}: {worst:e} apart");
    }
}

/// A sentence's vector does not depend on dropout where nothing is trained; where it is, it does.
#[test]
fn dropout_is_for_training_alone() {
    let gpu = common::gpu();
    let input = InputSpec::Tokens { vocabulary: 20, longest: 8 };
    let config = ModelConfig { input, head: Head::Numbers(8) };
    let plain = build("bert:2,8,2,16", &config).unwrap();
    let mut dropping = build("bert:2,8,2,16,dropout=0.5", &config).unwrap();
    dropping.params.load(&plain.params.named()).unwrap().strict("the same").unwrap();
    let texts = Texts { tokens: vec![1, 2, 3, 4, 5], spans: vec![0, 3, 3, 5] };
    let run = |network: &Network, mode: Mode| {
        let params = DeviceParams::frozen(&gpu, "network", &network.params).unwrap();
        let tape = Tape::new();
        let (tokens, spans) = (tape.input_i32(TOKENS, [5]), tape.input_i32(SPANS, [2, 2]));
        let fx = Forward::new(&tape, &params, mode, false);
        let values = Values::one(TOKENS, tokens.clone()).with(SPANS, spans.clone());
        let y = network.forward(&fx, &values).unwrap().get(NUMBERS).unwrap().clone();
        let plan = Plan::new(&gpu, &tape, &[&y]).unwrap();
        plan.write(&tokens, &texts.tokens).unwrap();
        plan.write(&spans, &texts.spans).unwrap();
        plan.run(&Step::new(0, 1)).unwrap();
        plan.read_f32(&y).unwrap()
    };
    assert_eq!(run(&plain, Mode::Eval), run(&dropping, Mode::Eval));
    assert_eq!(run(&plain, Mode::Train), run(&plain, Mode::Eval));
    assert_ne!(run(&plain, Mode::Train), run(&dropping, Mode::Train));
}

/// Of a teacher's layers some are kept; what is left computes what these layers do.
#[test]
fn kept_layers_compute_what_they_did() {
    let (gpu, fixture) = (common::gpu(), Fixture::load("encoder"));
    let network = open("bert").network;
    let first = encoder::keep_layers(&network, &[0]).unwrap();
    assert_eq!(first.name, "bert:1,32,2,64,head=pooler");
    let texts = Texts::of(&fixture, "bert");
    let params = DeviceParams::frozen(&gpu, "first", &first.params).unwrap();
    let pass = Pass::new(&first, &params, &texts, false);
    let tap = pass.fx.tap("encoder.layer.0").unwrap();
    let wanted = fixture.f32s("bert/tap/encoder.layer.0");
    let got = pass.run(&gpu, &texts, &[&tap], &[]).read_f32(&tap).unwrap();
    assert_eq!(mismatch(&got[..wanted.len()], &wanted, 1e-4), None);
    // Both in another order is another network.
    let turned = encoder::keep_layers(&network, &[1, 0]).unwrap();
    assert_ne!(rows(&gpu, &turned, &texts), rows(&gpu, &network, &texts));
    let same = encoder::keep_layers(&network, &[0, 1]).unwrap();
    assert_eq!(rows(&gpu, &same, &texts), rows(&gpu, &network, &texts));
}

/// Activations as f16 are about as far off as f16 is; gradients come through.
#[test]
fn mixed_precision_is_near() {
    let (gpu, fixture) = (common::gpu(), Fixture::load("encoder"));
    let (network, texts) = (open("bert").network, Texts::of(&fixture, "bert"));
    let params = DeviceParams::trainable(&gpu, "bert", &network.params).unwrap();
    let full = rows(&gpu, &network, &texts).concat();
    let tape = Tape::new();
    let tokens = tape.input_i32(TOKENS, [texts.tokens.len()]);
    let spans = tape.input_i32(SPANS, [texts.spans.len() / 2, 2]);
    let fx = Forward::train(&tape, &params).storing(Precision::Mixed);
    let values = Values::one(TOKENS, tokens.clone()).with(SPANS, spans.clone());
    let output = network.forward(&fx, &values).unwrap().logits().unwrap().clone();
    let gradients = output.sum(&[0, 1], false).unwrap().backward().unwrap();
    let leaves = fx.leaves();
    let mut outputs: Vec<&Tensor> = leaves.iter().map(|(_, leaf)| gradients.get(leaf).unwrap()).collect();
    outputs.push(&output);
    let plan = Plan::new(&gpu, &tape, &outputs).unwrap();
    plan.write(&tokens, &texts.tokens).unwrap();
    plan.write(&spans, &texts.spans).unwrap();
    plan.run(&Step::new(0, 1)).unwrap();
    let half = plan.read_f32(&output).unwrap();
    assert!(half != full, "nothing was stored as f16");
    let there: Vec<usize> = texts.there().iter().flat_map(|n| 3 * n..3 * n + 3).collect();
    let of = |all: &[f32]| there.iter().map(|at| all[*at]).collect::<Vec<f32>>();
    assert_eq!(mismatch(&of(&half), &of(&full), 1e-2), None);
    for gradient in outputs {
        assert!(plan.read_f32(gradient).unwrap().iter().all(|value| value.is_finite()));
    }
}
