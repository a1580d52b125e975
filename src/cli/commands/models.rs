//! `limbeck models`: which architectures there are, and what one of them looks like.

use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::cli::AdapterFlags;
use crate::cli::out::say;
use crate::cli::run::cost::{cost_of_text, forward_cost};
use crate::cli::table::Table;
use crate::models::saved::{self, Overrides, parse_input};
use crate::models::{
    Head, InputSpec, MAX_CLASSES, MODELS, ModelConfig, Network, build, encoder, native_config, onnx,
};
use crate::nn::ParamKind;
use crate::report::{bytes, count, printable};
use crate::tape::Cost;
use crate::{Error, Result};

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  limbeck models
  limbeck models show cnn:8,16,32 --input 1x28x28
  limbeck models show mlp:64 --input 1x8x8 --classes 10
  limbeck models show teacher.onnx
  limbeck models show yolov4-tiny:width=0.5,classes=3,size=160
  limbeck models show my.cfg --input 3x416x416
  limbeck models show bert:2,128,2 --tokens 32
  limbeck models show all-MiniLM-L6-v2";

/// Flags of `limbeck models`.
#[derive(Debug, Args)]
pub struct ModelsFlags {
    #[command(subcommand)]
    command: Option<ModelsCommand>,
}

#[derive(Debug, Subcommand)]
enum ModelsCommand {
    /// List the architectures (the default)
    List,
    /// Show a network's layers: taps, shapes, parameters and work
    #[command(after_help = EXAMPLES)]
    Show(ShowFlags),
}

#[derive(Debug, Args)]
struct ShowFlags {
    /// The architecture, such as cnn:8,16,32, an ONNX file, a .cfg of darknet, a model that limbeck saved, or a folder of an encoder of
    /// texts
    #[arg(value_name = "NAME|FILE")]
    name: String,
    /// Channels, height and width of its images [default: a detector's or a file's own, or else 3x32x32]
    #[arg(long, value_name = "CxHxW")]
    input: Option<String>,
    /// Classes; an ONNX file says how many [default: a detector's own, or else 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MAX_CLASSES as u64))]
    classes: Option<u64>,
    /// Tokens of a text, for the work that it is [default: as many as it takes]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    tokens: Option<u64>,
}

/// What the family `bert` is shown for where nobody says: BERT's vocabulary, and texts as `distill` cuts them.
const TEXTS: InputSpec = InputSpec::Tokens { vocabulary: 30_522, longest: 128 };

/// Lists or shows.
pub fn run(adapter: &AdapterFlags, flags: &ModelsFlags) -> Result<ExitCode> {
    match &flags.command {
        None | Some(ModelsCommand::List) => list()?,
        Some(ModelsCommand::Show(flags)) => show(adapter, flags)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list() -> Result<()> {
    let widest = MODELS.iter().map(|model| model.name.len()).max().unwrap_or(0);
    for model in MODELS {
        say!("{:<widest$} {}", model.name, model.about)?;
        if !model.presets.is_empty() {
            let names: Vec<&str> = model.presets.iter().map(|(name, _)| *name).collect();
            say!("{:widest$} by name: {}", "", names.join(", "))?;
        }
    }
    say!("\nFILE.cfg: the network of a darknet .cfg; it takes yolov4's settings, too, as my.cfg:classes=3")?;
    say!(
        "NAME+lowrank:0.5: a network's matrices as factors of half the rank, as --method weights,rank=0.5 makes them"
    )?;
    say!("NAME+simkd:..: a network that ends in its teacher's classifier, as --method simkd makes it")?;
    say!("\n`limbeck models show NAME` shows layers, parameters and work")
}

fn show(adapter: &AdapterFlags, flags: &ShowFlags) -> Result<()> {
    let network = network(flags)?;
    let gpu = adapter.open_by_layer()?;
    let tokens = tokens(flags, &network)?;
    let (taps, cost) = match tokens {
        Some(tokens) => cost_of_text(&gpu, &network, tokens)?,
        None => forward_cost(&gpu, &network)?,
    };
    let params: Vec<(String, usize)> = network
        .params
        .iter()
        .filter(|p| p.kind != ParamKind::State)
        .map(|p| (network.layer_of(&p.name).to_string(), p.shape.len()))
        .collect();
    let flops: Vec<(String, u64)> =
        cost.nodes.iter().filter(|n| n.flops > 0).map(|n| (layer_of(&n.name).to_string(), n.flops)).collect();
    let (input, head) = (network.input(), network.head());
    say!("{}: {} of {input} to {} {}\n", printable(&network.name), input.name(), head.width(), head.noun())?;
    let mut table = Table::new(&["", "layer", "output", ">params", ">FLOPs"]);
    let shown = |n: u64| if n == 0 { "-".to_string() } else { count(n) };
    let mut row = |name: &str, output: String| {
        let params: usize = params.iter().filter(|(layer, _)| layer == name).map(|(_, n)| n).sum();
        let flops: u64 = flops.iter().filter(|(layer, _)| layer == name).map(|(_, n)| n).sum();
        let stage = if network.stages.iter().any(|stage| stage == name) { "*" } else { "" };
        let name = if name.is_empty() { "between layers" } else { name };
        table.row([stage, &printable(name), &output, &shown(params as u64), &shown(flops)]);
    };
    for tap in &taps {
        let sizes: Vec<String> = tap.tensor.dims()[1..].iter().map(usize::to_string).collect();
        row(&tap.name, sizes.join("x"));
    }
    // Nothing is left out of the sums: what belongs to no tap has a row of its own.
    let mut seen: Vec<&str> = taps.iter().map(|tap| tap.name.as_str()).collect();
    for name in params.iter().map(|(name, _)| name).chain(flops.iter().map(|(name, _)| name)) {
        if !seen.contains(&name.as_str()) {
            seen.push(name);
            row(name, "(no tap)".into());
        }
    }
    say!("{table}")?;
    total(&network, &cost, tokens)?;
    if onnx::is_onnx(&flags.name) {
        say!("a tap answers to the name of its node, and to that of the value the node makes")?;
    }
    Ok(())
}

/// The network: of a file or a folder, or built.
fn network(flags: &ShowFlags) -> Result<Network> {
    let (name, input) = (&flags.name, flags.input.as_deref().map(parse_input).transpose()?);
    if onnx::is_onnx(name) {
        return Ok(onnx::open(name, input)?.0);
    }
    match native_config(name) {
        Ok(own) => build(name, &config(flags, own.or(texts(name)), input)?),
        Err(_) if is_model(Path::new(name)) => {
            Ok(saved::open(name, &Overrides { input, ..Default::default() })?.network)
        }
        Err(error) => Err(error),
    }
}

/// Whether a path is of a model, as far as one can see from outside.
fn is_model(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    path.exists() || ending.is_some_and(|ending| ["safetensors", "pth", "pt", "weights"].contains(&&*ending))
}

/// What an encoder of texts is shown for: its own vectors. `None` of another family.
fn texts(name: &str) -> Option<ModelConfig> {
    let width = encoder::width_of(name, TEXTS).ok()?;
    Some(ModelConfig { input: TEXTS, head: Head::Numbers(width) })
}

/// Tokens of the text whose work is shown; none of a network that reads no texts.
fn tokens(flags: &ShowFlags, network: &Network) -> Result<Option<usize>> {
    let given = flags.tokens.map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    match (network.input(), given) {
        (InputSpec::Tokens { longest, .. }, given) if given.is_none_or(|n| n <= longest) => {
            Ok(Some(given.unwrap_or(longest)))
        }
        (InputSpec::Tokens { longest, .. }, Some(n)) => {
            let message = format!("{} takes texts of at most {longest} tokens, got {n}", flags.name);
            Err(Error::config("--tokens", message))
        }
        (input, Some(_)) => {
            let message = format!("{} reads {}, not texts; leave it out", flags.name, input.name());
            Err(Error::config("--tokens", message))
        }
        _ => Ok(None),
    }
}

/// What the network is built for: as the flags say, or else what it is for by itself.
fn config(flags: &ShowFlags, own: Option<ModelConfig>, input: Option<[usize; 3]>) -> Result<ModelConfig> {
    let ModelConfig { input: usual, head } = own.unwrap_or(ModelConfig::classifier([3, 32, 32], 10));
    let head = match (head, flags.classes) {
        (Head::Boxes(_), Some(n)) => Head::Boxes(n as usize),
        (_, Some(n)) => Head::Classes(n as usize),
        (usual, None) => usual,
    };
    Ok(ModelConfig { input: input.map_or(usual, InputSpec::Image), head })
}

fn total(network: &Network, cost: &Cost, tokens: Option<usize>) -> Result<()> {
    let trained = network.params.trainable_elements();
    let states: usize =
        network.params.iter().filter(|p| p.kind == ParamKind::State).map(|p| p.shape.len()).sum();
    say!("parameters  {} ({trained}), and {states} running statistics", count(trained as u64))?;
    say!("file        {}", bytes(4 * (trained + states) as u64))?;
    let sample = match (tokens, network.input()) {
        (Some(n), _) => format!("text of {n} tokens, {} per token,", count(cost.flops / n as u64)),
        (None, InputSpec::Image(_)) => "image".to_string(),
        (None, _) => "sample".to_string(),
    };
    say!("work        {} FLOPs per {sample} at inference; a multiply-add counts as 2", count(cost.flops))?;
    say!("* stage: a tap for feature methods; the last ones are taken where --taps names none")
}

/// The innermost layer of a node called `(network)/layer1.0/(network)/layer1.0.conv1/conv2d`. ONNX names have slashes.
fn layer_of(node: &str) -> &str {
    let scope = node.rsplit_once('/').map_or("", |(scope, _)| scope);
    scope.rsplit_once("(network)/").map_or(scope, |(_, layer)| layer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_belongs_to_the_innermost_layer() {
        assert_eq!(layer_of("(network)/conv1/conv2d"), "conv1");
        assert_eq!(layer_of("(network)/layer1.0/(network)/layer1.0.conv1/conv2d"), "layer1.0.conv1");
        assert_eq!(layer_of("(network)//network/conv/Conv/conv2d"), "/network/conv/Conv");
        assert_eq!(layer_of("add"), "");
    }
}
