//! Darknet's `.weights`: a head of versions, then for each convolution in order bias, scale, mean, variance and weights, all
//! f32 little-endian. Without batch norm there are only bias and weights.

use super::layers::{Layer, LayerKind};
use crate::files::NamedTensor;
use crate::nn::{Param, Params};
use crate::{Error, Result};

/// What a file begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Of the format.
    pub version: [i32; 3],
    /// Images that it was trained on.
    pub seen: u64,
}

impl Default for Header {
    fn default() -> Self {
        Self { version: [0, 2, 5], seen: 0 }
    }
}

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loaded {
    /// The file's head.
    pub header: Header,
    /// Convolutions that got weights, from the first.
    pub convolutions: usize,
}

/// The parameters of layer `index` in the file's order, by name.
fn names(index: usize, layer: &Layer) -> Vec<String> {
    let LayerKind::Conv(conv) = &layer.kind else { return Vec::new() };
    let all: &[&str] = match conv.batch_norm {
        true => &["bn.bias", "bn.weight", "bn.running_mean", "bn.running_var", "conv.weight"],
        false => &["conv.bias", "conv.weight"],
    };
    all.iter().map(|name| format!("layer{index}.{name}")).collect()
}

/// Those of the parameters that are there.
fn own<'p>(params: &'p Params, index: usize, layer: &Layer) -> Vec<&'p Param> {
    names(index, layer).iter().filter_map(|name| params.find(name)).collect()
}

/// Values that a whole file holds.
pub fn values(layers: &[Layer], params: &Params) -> usize {
    let all = layers.iter().enumerate().flat_map(|(index, layer)| own(params, index, layer));
    all.map(|param| param.shape.len()).sum()
}

/// Fills `params` from the bytes of a file. A file that ends behind a convolution, such as a backbone's, fills those before;
/// the others keep what they have.
///
/// # Errors
/// [`Error::File`] for a file that ends inside a layer, has values left over, or values that are not finite, naming the layer
/// and how many values differ, and for one that ends early where the others have no values; `params` are then as before.
pub fn load(file: &str, bytes: &[u8], layers: &[Layer], params: &mut Params) -> Result<Loaded> {
    let (loaded, read) = read(file, bytes, layers, params)?;
    for (index, layer) in layers.iter().enumerate() {
        let own = own(params, index, layer);
        if own.iter().all(|param| read.iter().all(|tensor| tensor.name != param.name)) {
            has_values(file, loaded.convolutions, &own)?;
        }
    }
    // Nothing before all of it is known to fit.
    for tensor in read {
        if let Some(param) = params.find_mut(&tensor.name) {
            param.values = tensor.data;
        }
    }
    Ok(loaded)
}

/// What a file holds of the layers, from the first to the one that it ends behind.
///
/// # Errors
/// As [`load`], but for a file that ends early.
pub fn read(
    file: &str,
    bytes: &[u8],
    layers: &[Layer],
    params: &Params,
) -> Result<(Loaded, Vec<NamedTensor>)> {
    let (header, mut rest) = header(file, bytes)?;
    if rest.len() % 4 != 0 {
        let message =
            format!("{} bytes behind its head are no whole number of f32 values; it is cut off", rest.len());
        return Err(Error::file(file, message));
    }
    let (total, needed) = (rest.len() / 4, values(layers, params));
    if total > needed {
        let message = format!(
            "it holds {total} values, {} more than the network's {needed}; are classes, filters and the .cfg those that it was \
             trained with?",
            total - needed
        );
        return Err(Error::file(file, message));
    }
    let (mut convolutions, mut read) = (0, Vec::new());
    for (index, layer) in layers.iter().enumerate() {
        let params = own(params, index, layer);
        if params.is_empty() {
            continue;
        }
        if rest.is_empty() && convolutions > 0 {
            break;
        }
        let wanted: usize = params.iter().map(|param| param.shape.len() * 4).sum();
        if rest.len() < wanted {
            let message = format!(
                "it ends inside layer {index}: that one has {} values, and {} are left of {total}; the network has {needed} in \
                 all. Are classes, filters and the .cfg those that it was trained with?",
                wanted / 4,
                rest.len() / 4
            );
            return Err(Error::file(file, message));
        }
        for param in params {
            let (own, behind) = rest.split_at(param.shape.len() * 4);
            rest = behind;
            let (name, shape) = (param.name.clone(), param.shape.dims().to_vec());
            read.push(NamedTensor { name, shape, data: finite(file, param, own)? });
        }
        convolutions += 1;
    }
    Ok((Loaded { header, convolutions }, read))
}

/// Fails for what a file that ends early leaves as it is, and that has no values yet.
fn has_values(file: &str, convolutions: usize, params: &[&Param]) -> Result<()> {
    match params.iter().find(|param| param.values.len() != param.shape.len()) {
        None => Ok(()),
        Some(param) => {
            let message = format!(
                "it ends behind convolution {convolutions}, and {} has no values yet: it is a part of a network, such as a \
                 backbone, to start a training from; give the network first values (Params::initialise) before",
                param.name
            );
            Err(Error::file(file, message))
        }
    }
}

fn finite(file: &str, param: &Param, bytes: &[u8]) -> Result<Vec<f32>> {
    let values: Vec<f32> =
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(values),
        Some(place) => {
            let message = format!(
                "value {place} of {} is {}; the file is damaged, or of another network",
                param.name, values[place]
            );
            Err(Error::file(file, message))
        }
    }
}

/// Values of a file, where it is one.
pub fn values_in(bytes: &[u8]) -> Option<usize> {
    let (_, rest) = header("", bytes).ok()?;
    rest.len().is_multiple_of(4).then_some(rest.len() / 4)
}

/// The head, and what follows it.
fn header<'b>(file: &str, bytes: &'b [u8]) -> Result<(Header, &'b [u8])> {
    let cut = || {
        Error::file(file, format!("expected darknet's head of 16 or 20 bytes, found {} in all", bytes.len()))
    };
    let word = |at: usize| -> Result<[u8; 4]> {
        bytes.get(4 * at..4 * at + 4).and_then(|b| b.try_into().ok()).ok_or_else(cut)
    };
    let version = [word(0)?, word(1)?, word(2)?].map(i32::from_le_bytes);
    let [major, minor, _] = version;
    if !(0..1000).contains(&major) || !(0..1000).contains(&minor) {
        let message = format!(
            "expected a version such as 0.2.5, got {major}.{minor}; it is no .weights file of darknet's"
        );
        return Err(Error::file(file, message));
    }
    let low = u64::from(u32::from_le_bytes(word(3)?));
    if major * 10 + minor >= 2 {
        let seen = low | u64::from(u32::from_le_bytes(word(4)?)) << 32;
        return Ok((Header { version, seen }, &bytes[20..]));
    }
    Ok((Header { version, seen: low }, &bytes[16..]))
}

/// The bytes of a file with these parameters, which OpenCV reads, as darknet does.
///
/// # Errors
/// [`Error::Config`] where a parameter or its values are missing.
pub fn to_bytes(layers: &[Layer], params: &Params, header: Header) -> Result<Vec<u8>> {
    let mut bytes: Vec<u8> = header.version.iter().flat_map(|n| n.to_le_bytes()).collect();
    bytes.extend(header.seen.to_le_bytes());
    for (index, layer) in layers.iter().enumerate() {
        for name in names(index, layer) {
            let Some(param) = params.find(&name).filter(|param| param.values.len() == param.shape.len())
            else {
                let message = format!("it has no values of {name}; give it some, or the .cfg of its layers");
                return Err(Error::config("model", message));
            };
            bytes.extend(param.values.iter().flat_map(|value| value.to_le_bytes()));
        }
    }
    Ok(bytes)
}
