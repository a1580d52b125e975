//! Encoders of texts: sentence vectors, and a training step on classes.

use limbeck::gpu::Gpu;
use limbeck::models::{Head, InputSpec, ModelConfig, SPANS, TOKENS, Values, build};
use limbeck::nn::{DeviceParams, Forward};
use limbeck::ops::cross_entropy::CrossEntropy;
use limbeck::optim::OptimizerConfig;
use limbeck::tape::{Plan, Tape, Tensor};
use peer_protocol::{ENCODER_RATE, Failure, Tensors};

use crate::{Planned, labels, load, stepping};

/// Rows of the table of words; as in torch_texts.py, like the sizes below.
const WORDS: usize = 30_522;

/// The vectors of a batch of texts, by an encoder of MiniLM's size.
pub fn vectors(tensors: &Tensors, gpu: &Gpu) -> Result<Planned, Failure> {
    let batch = Batch::of(tensors)?;
    let mut network = build("bert:6,384,12,1536", &batch.model(Head::Numbers(384)))?;
    load(&mut network.params, tensors)?;
    let params = DeviceParams::frozen(gpu, "minilm", &network.params)?;
    let tape = Tape::new();
    let fx = Forward::eval(&tape, &params);
    let leaves = batch.leaves(&tape);
    let vectors = network.forward(&fx, &leaves.values())?.only()?.clone();
    let plan = Plan::new(gpu, &tape, &[&vectors])?;
    batch.write(&plan, &leaves)?;
    Ok(Planned::new(plan, vec![vectors], None))
}

/// A step of a small encoder with a classifier.
pub fn training(tensors: &Tensors, gpu: &Gpu) -> Result<Planned, Failure> {
    let batch = Batch::of(tensors)?;
    let mut network = build("bert:2,128,2,512", &batch.model(Head::Classes(2)))?;
    load(&mut network.params, tensors)?;
    let params = DeviceParams::trainable(gpu, "encoder", &network.params)?;
    let tape = Tape::new();
    let fx = Forward::train(&tape, &params);
    let (leaves, y) = (batch.leaves(&tape), tape.input_i32("labels", [batch.texts]));
    let logits = network.forward(&fx, &leaves.values())?.only()?.clone();
    let loss = logits.cross_entropy(&y, &CrossEntropy::default())?;
    let update = stepping(gpu, &fx, &loss, OptimizerConfig::adamw())?;
    let plan = Plan::new(gpu, &tape, &[&loss])?;
    batch.write(&plan, &leaves)?;
    plan.write(&y, &labels(tensors)?)?;
    Ok(Planned::new(plan, vec![loss], Some((update, ENCODER_RATE))))
}

/// Texts of one length, one behind the other.
struct Batch {
    tokens: Vec<i32>,
    texts: usize,
    each: usize,
}

impl Batch {
    fn of(tensors: &Tensors) -> Result<Self, Failure> {
        let tokens = tensors.get("input.tokens")?;
        let [texts, each] = tokens.shape[..] else {
            return Err("input.tokens: expected two dimensions".into());
        };
        Ok(Self { tokens: tokens.data.iter().map(|&token| token as i32).collect(), texts, each })
    }

    fn model(&self, head: Head) -> ModelConfig {
        ModelConfig { input: InputSpec::Tokens { vocabulary: WORDS, longest: self.each }, head }
    }

    fn leaves(&self, tape: &Tape) -> Leaves {
        let tokens = tape.input_i32("tokens", [self.tokens.len()]);
        Leaves { tokens, spans: tape.input_i32("spans", [self.texts, 2]) }
    }

    fn write(&self, plan: &Plan, leaves: &Leaves) -> limbeck::Result<()> {
        let spans = (0..self.texts).flat_map(|text| [text * self.each, (text + 1) * self.each]);
        plan.write(&leaves.tokens, &self.tokens)?;
        plan.write(&leaves.spans, &spans.map(|end| end as i32).collect::<Vec<_>>())
    }
}

struct Leaves {
    tokens: Tensor,
    spans: Tensor,
}

impl Leaves {
    fn values(&self) -> Values {
        Values::one(TOKENS, self.tokens.clone()).with(SPANS, self.spans.clone())
    }
}
