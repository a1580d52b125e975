//! Named architectures. [`MODELS`] is the list of limbeck's own; a program [registers](register) its own beside them.
//!
//! A model reads named [`Values`] (`images`) and gives named [`Outputs`] (`logits`); what is in between is its own affair,
//! and what methods may look at are its taps.

mod cnn;
mod config;
pub mod darknet;
pub mod low_rank;
mod mlp;
mod mobilenetv2;
mod names;
mod network;
pub mod onnx;
mod parts;
mod registry;
mod resnet;
pub mod reuse;
pub mod saved;
mod values;
mod vgg;
mod wrn;

pub use config::{Head, InputSpec, MAX_CLASSES, ModelConfig};
pub use names::NameMap;
pub use network::{Built, Module, Network, SingleModule};
pub use registry::register;
pub use values::{BOXES, FEATURES, IMAGES, LOGITS, NUMBERS, Outputs, Values};

use network::check_size;

use crate::{Error, Result};

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
        return check_size(name, &network.params).map(|()| network);
    }
    if let Some((base, share)) = low_rank::split(name) {
        return low_rank::outline(name, base, share, config);
    }
    let (spec, numbers) = find(name)?;
    config.check()?;
    let built = (spec.build)(config, &numbers).map_err(|e| match e {
        Error::Config { setting, message, .. } if setting == "model" => {
            Error::config(setting, format!("\"{name}\": {message}"))
        }
        other => other,
    })?;
    Network::new(name, config, built)
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

/// The largest number after a colon.
const LARGEST: usize = 65_536;

/// The family that `name` belongs to, and its numbers.
fn find(name: &str) -> Result<(&'static ModelSpec, Vec<usize>)> {
    let families = registry::families();
    for &spec in &families {
        if let Some((_, numbers)) = spec.presets.iter().find(|(preset, _)| *preset == name) {
            return Ok((spec, numbers.to_vec()));
        }
    }
    let (family, numbers) = match name.split_once(':') {
        Some((family, numbers)) => (family, Some(numbers)),
        None => (name, None),
    };
    let spec = families
        .into_iter()
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
    let families = registry::families();
    let presets = families.iter().flat_map(|spec| spec.presets).map(|(preset, _)| preset.to_string());
    presets.chain(families.iter().map(|spec| spec.about.to_string())).collect::<Vec<_>>().join("; ")
}
