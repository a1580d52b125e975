//! Named architectures. [`MODELS`] is the list of limbeck's own; a program [registers](register) its own beside them.
//!
//! A model reads named [`Values`] (`images`) and gives named [`Outputs`] (`logits`); what is in between is its own affair,
//! and what methods may look at are its taps.

mod arguments;
mod cnn;
mod config;
pub mod darknet;
pub mod encoder;
pub mod low_rank;
mod mlp;
mod mobilenetv2;
mod names;
mod network;
pub mod onnx;
mod parts;
mod reclassed;
mod registry;
mod resnet;
pub mod reuse;
pub mod saved;
mod table;
mod values;
mod vgg;
mod wrn;

pub use arguments::{Arguments, CLASSES, SIZE};
pub use config::{Head, InputSpec, MAX_CLASSES, ModelConfig};
pub use names::NameMap;
pub use network::{Built, Module, Network, SingleModule};
pub(crate) use reclassed::chosen_tap;
pub use reclassed::reclassed;
pub use registry::register;
pub use values::{BOXES, CHOSEN, FEATURES, IMAGES, LOGITS, NUMBERS, Outputs, SPANS, TOKENS, Values, WORDS};

use std::path::Path;

use darknet::CfgPath;
use network::check_size;

use crate::{Error, Result};

/// An entry of [`MODELS`]: a family of architectures. [`ModelSpec::new`] makes one whose members are told apart by numbers.
pub struct ModelSpec {
    /// What the user writes before the colon.
    pub name: &'static str,
    /// One line for lists, with the form of the numbers and settings.
    pub about: &'static str,
    /// Members that have names of their own, with their numbers.
    pub presets: &'static [(&'static str, &'static [usize])],
    /// What its members are told apart by besides numbers, by name: `width` of `yolov4:width=0.25`.
    pub settings: &'static [&'static str],
    /// What it is built for where nobody says; `None` where it takes anything.
    pub native: Option<ModelConfig>,
    /// Builds the member with what the user wrote after the colon.
    pub build: fn(&ModelConfig, &Arguments) -> Result<Built>,
}

impl ModelSpec {
    /// A family without presets and settings, for any input.
    pub const fn new(
        name: &'static str,
        about: &'static str,
        build: fn(&ModelConfig, &Arguments) -> Result<Built>,
    ) -> Self {
        Self { name, about, presets: &[], settings: &[], native: None, build }
    }
}

/// Every family of architectures.
#[rustfmt::skip]
pub static MODELS: &[ModelSpec] = &[
    encoder::SPEC,
    cnn::SPEC,
    mlp::SPEC,
    mobilenetv2::SPEC,
    resnet::OPTION_A,
    resnet::OPTION_B,
    table::SPEC,
    vgg::SPEC,
    wrn::SPEC,
    darknet::named::YOLOV4,
    darknet::named::YOLOV4_TINY,
    darknet::named::YOLOV4_TINY_3L,
    darknet::named::YOLOV4_CSP,
    darknet::named::YOLOV3_TINY,
    darknet::named::YOLO_FASTEST,
    darknet::named::YOLO_FASTEST_XL,
];

/// Builds a preset such as `resnet20`, `family:numbers` such as `cnn:8,16,32`, a family with settings such as
/// `yolov4:width=0.25`, or the network of a darknet `.cfg`.
///
/// A network is called as the name says, without what `config` says as well (`classes`, `size`) and a file's folders.
///
/// # Errors
/// [`Error::Config`] for a name of none of these, for numbers and settings that the family does not have, and for an input
/// or a head that it can't have or that the name contradicts.
pub fn build(name: &str, config: &ModelConfig) -> Result<Network> {
    let mut network = outline(name, config, None)?;
    network.params.initialise(0);
    Ok(network)
}

/// [`build`] of the network called `name`, which is made of `network`, such as its factors: a network of a `.cfg` needs no
/// file for it.
pub(crate) fn build_from(network: &Network, name: &str) -> Result<Network> {
    let mut made = outline(name, &network.config, network.description.as_deref())?;
    made.params.initialise(0);
    Ok(made)
}

/// [`build`] without initial values, for weights from a file: a small file may name a network of gigabytes. `text` is that
/// of a `.cfg`, which is then not read.
fn outline(name: &str, config: &ModelConfig, text: Option<&str>) -> Result<Network> {
    if let Some((base, head)) = reuse::split(name) {
        let network = reuse::outline(name, base, head, config, text)?;
        return check_size(name, &network.params).map(|()| network);
    }
    if let Some((base, rest)) = encoder::theseus::split(name) {
        return encoder::theseus::outline(name, base, rest, config);
    }
    if let Some((base, share)) = low_rank::split(name) {
        return low_rank::outline(name, base, share, config, text);
    }
    let named = |e| match e {
        Error::Config { setting, message, .. } if setting == "model" => {
            Error::config(setting, format!("\"{name}\": {message}"))
        }
        other => other,
    };
    if let Some(file) = CfgPath::split(name) {
        return file.outline(config, text).map_err(named);
    }
    let member = find(name)?;
    config.check()?;
    let built = member.arguments.agree(config).and_then(|()| (member.spec.build)(config, &member.arguments));
    Network::new(member.name, config, built.map_err(named)?)
}

/// Fails for a name that belongs to no family of architectures, listing those there are. Whether the numbers
/// in it fit images and classes, only [`build`] can say.
pub fn check_name(name: &str) -> Result<()> {
    native_config(name).map(drop)
}

/// What a name is for, where nobody says otherwise: the input and the classes of a detector, as its settings or its `.cfg`
/// say them. `None` for a family that takes anything.
///
/// # Errors
/// [`Error::Config`] for a name that belongs to no family, [`Error::File`] for a `.cfg` that can't be read.
///
/// ```
/// use limbeck::models::{Head, InputSpec, native_config};
///
/// let config = native_config("yolov4-tiny:size=160,classes=3")?.expect("a detector's");
/// assert_eq!((config.input, config.head), (InputSpec::Image([3, 160, 160]), Head::Boxes(3)));
/// assert_eq!(native_config("resnet20")?, None);
/// # Ok::<(), limbeck::Error>(())
/// ```
pub fn native_config(name: &str) -> Result<Option<ModelConfig>> {
    let name = base_of(name);
    if let Some(file) = CfgPath::split(name) {
        return file.config().map(Some);
    }
    let member = find(name)?;
    member.spec.native.map(|native| member.arguments.over(native)).transpose()
}

/// The `.cfg` of a user's own that a name stands for, where it is one.
pub fn cfg_file(name: &str) -> Option<&Path> {
    CfgPath::split(base_of(name)).map(|file| file.path())
}

/// [`native_config`], by the text of a `.cfg` where it is given and not its file's.
fn native_config_by(name: &str, text: Option<&str>) -> Result<Option<ModelConfig>> {
    match (CfgPath::split(base_of(name)), text) {
        (Some(file), Some(text)) => file.config_by(text).map(Some),
        _ => native_config(name),
    }
}

/// The name of the network from which one with this name is made: `resnet8` of `resnet8+lowrank:0.5`.
pub fn base_of(name: &str) -> &str {
    let base = reuse::split(name).or_else(|| encoder::theseus::split(name)).map_or(name, |(base, _)| base);
    low_rank::split(base).map_or(base, |(base, _)| base)
}

/// What is left of a network when it is trained, where parts of it are for the training alone; `None` where it is the network itself.
///
/// # Errors
/// Those of building it.
pub(crate) fn trained(network: &Network) -> Result<Option<Network>> {
    encoder::theseus::successor(network)
}

/// A member of a family.
struct Member {
    spec: &'static ModelSpec,
    arguments: Arguments,
    /// The name of its network.
    name: String,
}

/// The family that `name` belongs to, and what it says besides.
fn find(name: &str) -> Result<Member> {
    let families = registry::families();
    for &spec in &families {
        if let Some((_, numbers)) = spec.presets.iter().find(|(preset, _)| *preset == name) {
            return Ok(Member {
                spec,
                arguments: Arguments::of_preset(spec, numbers),
                name: name.to_string(),
            });
        }
    }
    let (family, text) = name.split_once(':').unwrap_or((name, ""));
    let spec = families
        .into_iter()
        .find(|spec| spec.name == family)
        .ok_or_else(|| Error::config("model", format!("no model \"{name}\"; there are {}", known())))?;
    let arguments = Arguments::parse(spec, text).map_err(|e| match e {
        Error::Config { setting, message, .. } => Error::config(setting, format!("\"{name}\": {message}")),
        other => other,
    })?;
    let name = arguments.name();
    Ok(Member { spec, arguments, name })
}

/// All names, for an error message.
fn known() -> String {
    let families = registry::families();
    let presets = families.iter().flat_map(|spec| spec.presets).map(|(preset, _)| preset.to_string());
    presets.chain(families.iter().map(|spec| spec.about.to_string())).collect::<Vec<_>>().join("; ")
}
