//! Sizes and settings of an encoder, from its name and to it.

use crate::models::arguments::{Arguments, LARGEST};
use crate::models::{Head, InputSpec, ModelConfig};
use crate::ops::unary::Function;
use crate::{Error, Result};

/// What can be said by name, in the order of a network's name.
pub(super) const SETTINGS: &[&str] = &[
    "layers",
    "width",
    "heads",
    "inner",
    "positions",
    "types",
    "pooling",
    "head",
    "normalize",
    "activation",
    "eps",
    "dropout",
];

/// What is added to variances where nobody says otherwise.
const EPS: f32 = 1e-12;
/// Numbers of a head where nobody says otherwise.
const HEAD_WIDTH: usize = 64;

/// What a text's vector is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pooling {
    /// The mean of its tokens.
    #[default]
    Mean,
    /// Its first token, `[CLS]`.
    Cls,
}

/// What stands between a text's vector and the last linear layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TextHead {
    /// Nothing.
    #[default]
    Linear,
    /// A linear layer, `pooler.dense`, and tanh.
    Pooler,
    /// A linear layer, `pre_classifier`, and relu.
    Relu,
}

impl TextHead {
    /// The tap of what the last linear layer reads, where this is not a text's vector.
    pub(super) fn tap(self) -> Option<&'static str> {
        match self {
            Self::Linear => None,
            Self::Pooler => Some("pooler"),
            Self::Relu => Some("pre_classifier.relu"),
        }
    }
}

/// Sizes and settings of an encoder.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// Layers.
    pub layers: usize,
    /// Numbers of a token.
    pub width: usize,
    /// Heads of a layer's attention; they divide the width.
    pub heads: usize,
    /// Numbers between a layer's two linear ones.
    pub inner: usize,
    /// Rows of the table of positions.
    pub positions: usize,
    /// Rows of the table of types, of which the first is read.
    pub types: usize,
    /// What a text's vector is.
    pub pooling: Pooling,
    /// What reads it.
    pub head: TextHead,
    /// Whether sentence vectors are of length 1.
    pub normalize: bool,
    /// Between a layer's two linear ones.
    pub activation: Function,
    /// Added to variances.
    pub eps: f32,
    /// Share of numbers that training drops.
    pub dropout: f32,
}

impl Shape {
    /// As a name's arguments say.
    pub(super) fn of(config: &ModelConfig, arguments: &Arguments) -> Result<Self> {
        let InputSpec::Tokens { longest, .. } = config.input else {
            return Err(Error::config("model", format!("it takes texts, not {}", config.input)));
        };
        let numbers = arguments.numbers();
        if numbers.len() > 4 {
            let message =
                format!("expected layers, width, heads and inner width, got {} numbers", numbers.len());
            return Err(Error::config("model", message));
        }
        let size = |place: usize, name: &str| -> Result<Option<usize>> {
            match (numbers.get(place).copied(), arguments.number(name, 1..=LARGEST)?) {
                (Some(_), Some(_)) => {
                    Err(Error::config("model", format!("{name} is said twice, as a number and by name")))
                }
                (number, named) => Ok(number.or(named)),
            }
        };
        let layers = size(0, "layers")?.unwrap_or(2);
        let width = size(1, "width")?.unwrap_or(128);
        let heads = size(2, "heads")?.unwrap_or(width.div_ceil(HEAD_WIDTH));
        let head = one_of(arguments, "head", &HEADS)?.unwrap_or_default();
        let usual = if head == TextHead::Linear { Pooling::Mean } else { Pooling::Cls };
        let shape = Self {
            layers,
            width,
            heads,
            inner: size(3, "inner")?.unwrap_or(width.saturating_mul(4)),
            positions: arguments.number("positions", 1..=LARGEST)?.unwrap_or(longest),
            types: arguments.number("types", 1..=LARGEST)?.unwrap_or(2),
            pooling: one_of(arguments, "pooling", &POOLINGS)?.unwrap_or(usual),
            head,
            normalize: one_of(arguments, "normalize", &SWITCH)?.unwrap_or(false),
            activation: one_of(arguments, "activation", &ACTIVATIONS)?.unwrap_or(Function::Gelu),
            eps: arguments.number("eps", 0.0..=1.0f32)?.unwrap_or(EPS),
            dropout: arguments.number("dropout", 0.0..=0.9f32)?.unwrap_or(0.0),
        };
        shape.check(config, longest)?;
        Ok(shape)
    }

    /// Fails for sizes and settings that do not go together.
    fn check(&self, config: &ModelConfig, longest: usize) -> Result<()> {
        let fail = |message: String| Err(Error::config("model", message));
        if !self.width.is_multiple_of(self.heads) {
            let (width, heads) = (self.width, self.heads);
            return fail(format!("{heads} heads do not divide a width of {width}; choose heads that do"));
        }
        if self.positions < longest {
            let positions = self.positions;
            return fail(format!(
                "it has {positions} positions for texts of {longest} tokens; cut texts shorter"
            ));
        }
        if self.head != TextHead::Linear && self.pooling != Pooling::Cls {
            let head = word(&HEADS, &self.head);
            return fail(format!("head={head} reads the first token; leave pooling out, or the head"));
        }
        if self.normalize && (self.head != TextHead::Linear || !matches!(config.head, Head::Numbers(_))) {
            return fail("normalize=yes is for sentence vectors; leave it out".into());
        }
        match (config.head, config.input) {
            (Head::Tokens(tokens), InputSpec::Tokens { vocabulary, .. }) if tokens == vocabulary => Ok(()),
            (Head::Tokens(tokens), _) => fail(format!(
                "it predicts the tokens that it reads, {}, and {tokens} are wanted",
                config.input
            )),
            (other, _) => other.row().map(drop),
        }
    }

    /// The name of such a network for texts of at most so many tokens.
    pub fn name(&self, longest: usize) -> String {
        let Self { layers, width, heads, inner, .. } = self;
        let mut parts = vec![format!("{layers},{width},{heads},{inner}")];
        let mut say = |unusual: bool, name: &str, value: String| {
            if unusual {
                parts.push(format!("{name}={value}"));
            }
        };
        let usual = if self.head == TextHead::Linear { Pooling::Mean } else { Pooling::Cls };
        say(self.positions != longest, "positions", self.positions.to_string());
        say(self.types != 2, "types", self.types.to_string());
        say(self.pooling != usual, "pooling", word(&POOLINGS, &self.pooling).into());
        say(self.head != TextHead::Linear, "head", word(&HEADS, &self.head).into());
        say(self.normalize, "normalize", word(&SWITCH, &self.normalize).into());
        say(self.activation != Function::Gelu, "activation", word(&ACTIVATIONS, &self.activation).into());
        say(self.eps != EPS, "eps", format!("{:e}", self.eps));
        say(self.dropout != 0.0, "dropout", self.dropout.to_string());
        format!("{}:{}", super::FAMILY, parts.join(","))
    }
}

const POOLINGS: [(&str, Pooling); 2] = [("mean", Pooling::Mean), ("cls", Pooling::Cls)];
const HEADS: [(&str, TextHead); 3] =
    [("linear", TextHead::Linear), ("pooler", TextHead::Pooler), ("relu", TextHead::Relu)];
const SWITCH: [(&str, bool); 2] = [("yes", true), ("no", false)];
const ACTIVATIONS: [(&str, Function); 3] =
    [("gelu", Function::Gelu), ("gelu_tanh", Function::GeluTanh), ("relu", Function::Relu)];

/// What a setting says, of these words.
fn one_of<T: Copy>(arguments: &Arguments, name: &str, words: &[(&str, T)]) -> Result<Option<T>> {
    let Some(text) = arguments.text(name) else { return Ok(None) };
    let found = words.iter().find(|(word, _)| *word == text);
    found.map(|(_, value)| Some(*value)).ok_or_else(|| {
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        Error::config("model", format!("{name}={text}: expected one of {}", all.join(", ")))
    })
}

/// The word for a value.
fn word<T: PartialEq>(words: &[(&'static str, T)], value: &T) -> &'static str {
    words.iter().find(|(_, other)| other == value).map_or("", |(word, _)| word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{Network, build, encoder};

    fn built(name: &str, head: Head) -> Result<Network> {
        let input = InputSpec::Tokens { vocabulary: 30, longest: 8 };
        build(name, &ModelConfig { input, head })
    }

    #[test]
    fn numbers_and_settings_say_the_same() {
        let shape = |name: &str| encoder::shape_of(&built(name, Head::Numbers(128)).unwrap()).unwrap();
        let whole = shape("bert:2,128,2,512");
        for other in [
            "bert",
            "bert:2",
            "bert:2,128",
            "bert:layers=2,width=128,heads=2,inner=512",
            "bert:2,positions=8",
        ] {
            assert_eq!(shape(other), whole, "{other}");
        }
        assert_eq!(whole.name(8), "bert:2,128,2,512");
        assert_eq!(whole.name(4), "bert:2,128,2,512,positions=8");
        let all = "bert:1,128,4,16,positions=9,types=3,pooling=cls,normalize=yes,activation=relu,eps=1e-5,dropout=0.1";
        assert_eq!(shape(all).name(8), all);
        let heads = built("bert:1,128,4,16,head=relu", Head::Classes(3)).unwrap();
        assert_eq!(encoder::shape_of(&heads).unwrap().name(8), heads.name);
    }

    #[test]
    fn what_it_can_t_be_is_said() {
        let fails = |name: &str, head: Head| built(name, head).err().expect("an error").to_string();
        for (name, expected) in [
            ("bert:1,8,3", "3 heads do not divide a width of 8"),
            ("bert:1,8,2,16,5", "got 5 numbers"),
            ("bert:1,layers=2", "layers is said twice"),
            ("bert:pooling=max", "pooling=max: expected one of mean, cls"),
            ("bert:positions=7", "7 positions for texts of 8 tokens"),
            ("bert:head=pooler,pooling=mean", "head=pooler reads the first token"),
            ("bert:head=pooler,normalize=yes", "normalize=yes is for sentence vectors"),
            ("bert:dropout=1", "dropout=1"),
            ("bert:eps=x", "eps=x"),
        ] {
            let message = fails(name, Head::Numbers(8));
            assert!(message.contains(expected), "{name}: {message}");
        }
        assert!(fails("bert:normalize=yes", Head::Classes(3)).contains("sentence vectors"));
        assert!(fails("bert", Head::Boxes(3)).contains("boxes are wanted"));
        let images = build("bert", &ModelConfig::classifier([3, 8, 8], 2)).err().unwrap().to_string();
        assert!(images.contains("it takes texts, not images of 3x8x8"), "{images}");
        let huge = fails("bert:60000,60000,1,60000", Head::Numbers(2));
        assert!(huge.contains("too large"), "{huge}");
        let cnn = build("cnn:2", &ModelConfig::classifier([3, 8, 8], 2)).unwrap();
        assert!(encoder::shape_of(&cnn).unwrap_err().to_string().contains("no encoder of texts"));
    }

    #[test]
    fn parameters_are_as_many_as_transformers_has() {
        // BertModel(BertConfig(vocab_size=30, max_position_embeddings=8, ..), add_pooling_layer=False)
        let network = built("bert:2,128,2,512", Head::Numbers(128)).unwrap();
        assert_eq!(network.params.trainable_elements(), 401_920);
        let classes = built("bert:2,128,2,512", Head::Classes(3)).unwrap();
        assert_eq!(classes.params.trainable_elements(), 401_920 + 3 * 129);
        assert_eq!(network.stages, ["encoder.layer.0", "encoder.layer.1"]);
    }
}
