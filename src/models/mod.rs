//! Named architectures. [`MODELS`] is the only list.

mod cnn;
pub mod low_rank;
mod mlp;
mod mobilenetv2;
mod names;
pub mod onnx;
mod parts;
mod resnet;
pub mod reuse;
pub mod saved;
mod vgg;
mod wrn;

pub use names::NameMap;

use crate::nn::{Forward, Params};
use crate::tape::Tensor;
use crate::{Error, Result};

/// A network's forward pass.
pub trait Module {
    /// Records the pass from images (N, C, H, W) to logits (N, classes), which are f32 in any precision.
    fn forward(&self, fx: &Forward<'_>, x: &Tensor) -> Result<Tensor>;

    /// The tap that a parameter belongs to, where its name does not say.
    fn layer_of(&self, _param: &str) -> Option<&str> {
        None
    }
}

/// A built architecture with its host-side parameters.
pub struct Network {
    /// The name it was built by.
    pub name: String,
    /// Its parameters.
    pub params: Params,
    /// Taps that feature methods use where the user names none, from input to output.
    pub stages: Vec<String>,
    /// For each stage where its values are before the activation, for methods that learn from those. Fewer, or none, where
    /// a network does not say.
    pub preactivations: Vec<String>,
    /// What the classifier sees.
    pub embedding: String,
    module: Box<dyn Module>,
    config: ModelConfig,
}

/// What a network is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelConfig {
    /// Channels, height and width of its images.
    pub input: [usize; 3],
    /// Classes.
    pub classes: usize,
}

/// An entry of [`MODELS`]: a family of architectures.
pub struct ModelSpec {
    /// What the user writes before the colon.
    pub name: &'static str,
    /// One line for lists, with the form of the numbers.
    pub about: &'static str,
    /// Members that have names of their own, with their numbers.
    pub presets: &'static [(&'static str, &'static [usize])],
    /// Builds the member with the numbers that the user wrote after the colon.
    pub build: fn(&ModelConfig, &[usize]) -> Result<Built>,
}

/// What a builder returns.
pub struct Built {
    /// Parameters.
    pub params: Params,
    /// Forward pass.
    pub module: Box<dyn Module>,
    /// Default feature taps.
    pub stages: Vec<String>,
    /// The taps before the stages' last activations.
    pub preactivations: Vec<String>,
    /// The tap that the classifier reads.
    pub embedding: String,
}

/// Every family of architectures.
#[rustfmt::skip]
pub static MODELS: &[ModelSpec] = &[
    cnn::SPEC,
    mlp::SPEC,
    mobilenetv2::SPEC,
    resnet::OPTION_A,
    resnet::OPTION_B,
    vgg::SPEC,
    wrn::SPEC,
];

/// Builds a preset such as `resnet20`, or `family:numbers` such as `cnn:8,16,32`.
pub fn build(name: &str, config: &ModelConfig) -> Result<Network> {
    let mut network = outline(name, config)?;
    network.params.initialise(0);
    Ok(network)
}

/// [`build`] without initial values, for weights from a file: a small file may name a network of gigabytes.
fn outline(name: &str, config: &ModelConfig) -> Result<Network> {
    if let Some((base, head)) = reuse::split(name) {
        let network = reuse::outline(name, base, head, config)?;
        return sized(name, &network.params).map(|()| network);
    }
    if let Some((base, share)) = low_rank::split(name) {
        return low_rank::outline(name, base, share, config);
    }
    let (spec, numbers) = find(name)?;
    let values = config.input.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    if values.is_none_or(|n| n == 0 || n > MAX_INPUT) || !(1..=MAX_CLASSES).contains(&config.classes) {
        let ([c, h, w], classes) = (config.input, config.classes);
        let message = format!(
            "expected images of 1 to {MAX_INPUT} values and 1 to {MAX_CLASSES} classes, got {c}x{h}x{w} and {classes}"
        );
        return Err(Error::config("model", message));
    }
    let built = (spec.build)(config, &numbers).map_err(|e| match e {
        Error::Config { name: setting, message } if setting == "model" => {
            Error::config(setting, format!("\"{name}\": {message}"))
        }
        other => other,
    })?;
    sized(name, &built.params)?;
    Ok(Network {
        name: name.to_string(),
        params: built.params,
        stages: built.stages,
        preactivations: built.preactivations,
        embedding: built.embedding,
        module: built.module,
        config: *config,
    })
}

/// Fails for a name that belongs to no family of architectures, listing those there are. Whether the numbers
/// in it fit images and classes, only [`build`] can say.
pub fn check_name(name: &str) -> Result<()> {
    find(base_of(name)).map(drop)
}

/// The name of the network from which one with this name is made: `resnet8` of `resnet8+lowrank:0.5`.
pub fn base_of(name: &str) -> &str {
    name.split('+').next().unwrap_or(name)
}

/// Fails where a parameter is too large for any host.
fn sized(name: &str, params: &Params) -> Result<()> {
    let Some(param) = params.too_large() else { return Ok(()) };
    let message = format!("\"{name}\": {param} is too large for any host; choose smaller numbers or images");
    Err(Error::config("model", message))
}

/// The largest number after a colon, and most values of an image: beyond these, products of sizes could overflow.
const LARGEST: usize = 65_536;
const MAX_INPUT: usize = 1 << 28;
/// Most classes of a network.
pub const MAX_CLASSES: usize = 1 << 20;

/// The family that `name` belongs to, and its numbers.
fn find(name: &str) -> Result<(&'static ModelSpec, Vec<usize>)> {
    for spec in MODELS {
        if let Some((_, numbers)) = spec.presets.iter().find(|(preset, _)| *preset == name) {
            return Ok((spec, numbers.to_vec()));
        }
    }
    let (family, numbers) = match name.split_once(':') {
        Some((family, numbers)) => (family, Some(numbers)),
        None => (name, None),
    };
    let spec = MODELS
        .iter()
        .find(|spec| spec.name == family)
        .ok_or_else(|| Error::config("model", format!("no model \"{name}\"; there are {}", known())))?;
    let numbers = numbers
        .into_iter()
        .flat_map(|numbers| numbers.split(','))
        .map(|n| n.trim().parse().ok().filter(|n| (1..=LARGEST).contains(n)))
        .collect::<Option<Vec<usize>>>()
        .ok_or_else(|| {
            let message = format!("\"{name}\": expected numbers from 1 to {LARGEST}, as in {}", spec.about);
            Error::config("model", message)
        })?;
    Ok((spec, numbers))
}

/// All names, for an error message.
fn known() -> String {
    let presets = MODELS.iter().flat_map(|spec| spec.presets).map(|(preset, _)| preset.to_string());
    presets.chain(MODELS.iter().map(|spec| spec.about.to_string())).collect::<Vec<_>>().join("; ")
}

impl Network {
    /// Channels, height and width of its images.
    pub fn input(&self) -> [usize; 3] {
        self.config.input
    }

    /// Its classes.
    pub fn classes(&self) -> usize {
        self.config.classes
    }

    /// The tap that a parameter belongs to: `layer1.0.conv1` for `layer1.0.conv1.weight`.
    pub fn layer_of<'a>(&'a self, param: &'a str) -> &'a str {
        let prefix = || {
            let layer = param.rsplit_once('.').map_or("", |(layer, _)| layer);
            let factor = layer.strip_suffix(".inner").or_else(|| layer.strip_suffix(".outer"));
            factor.unwrap_or(layer)
        };
        self.module.layer_of(param).unwrap_or_else(prefix)
    }

    /// Records the pass from images (N, C, H, W) to logits (N, classes).
    pub fn forward(&self, fx: &Forward<'_>, x: &Tensor) -> Result<Tensor> {
        match x.dims() {
            [_, c, h, w] if [*c, *h, *w] == self.input() => {
                let logits = fx.in_precision(|| self.module.forward(fx, x))?;
                logits.keep_full();
                Ok(logits)
            }
            other => {
                let [c, h, w] = self.input();
                let expected = format!("images (N, {c}, {h}, {w})");
                Err(Error::shape(&self.name, expected, format!("{other:?}")))
            }
        }
    }
}
