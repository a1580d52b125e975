//! What the sections of a `.cfg` mean: layers with the shapes that they give.

use super::cfg::Section;
use super::yolo;
use crate::ops::boxes::YoloHead;
use crate::ops::unary::Function;
use crate::{Error, Result};

/// Values that a layer gives for an image, at most: 1 GiB.
const MOST_VALUES: usize = 1 << 28;

/// A layer of a darknet network. Its place in the file, [net] not counted, is its index: what `layers` and `from` name.
#[derive(Debug, Clone)]
pub struct Layer {
    /// What it computes.
    pub kind: LayerKind,
    /// Channels, height and width of what it gives.
    pub shape: [usize; 3],
}

/// What a layer computes.
#[derive(Debug, Clone)]
pub enum LayerKind {
    /// Convolution, batch norm or bias, activation.
    Conv(ConvLayer),
    /// Maxima of windows. `padding` is of both sides together; what is odd of it goes behind.
    MaxPool { size: usize, stride: usize, padding: usize },
    /// The mean of each channel.
    AvgPool,
    /// Every pixel repeated, to the size of the layer.
    Upsample,
    /// The channels of other layers, one behind the other; of each the `part`-th of `groups` equal parts.
    Route { from: Vec<usize>, groups: usize, part: usize },
    /// The sum with another layer, then an activation.
    Shortcut { from: usize, activation: Option<Function> },
    /// Dropout of the layer before it, with this probability.
    Dropout(f32),
    /// Boxes are read off the layer before it.
    Yolo(YoloHead),
}

/// A convolution of a `.cfg`.
#[derive(Debug, Clone)]
pub struct ConvLayer {
    /// Channels that it reads.
    pub c_in: usize,
    /// Filters.
    pub c_out: usize,
    /// Side of the window.
    pub size: usize,
    /// Distance between windows.
    pub stride: usize,
    /// Zeros on each side.
    pub padding: usize,
    /// Groups of channels.
    pub groups: usize,
    /// Batch norm in place of a bias.
    pub batch_norm: bool,
    /// The activation; none is linear.
    pub activation: Option<Function>,
}

/// The input's shape and the layers.
///
/// # Errors
/// [`Error::File`] naming the line of what is not understood or does not fit.
pub fn layers(file: &str, sections: &[Section]) -> Result<([usize; 3], Vec<Layer>)> {
    let (net, rest) = split(file, sections)?;
    let mut made = Layers::new(net)?;
    rest.iter().try_for_each(|section| made.push(section))?;
    if made.all.is_empty() {
        return Err(Error::file(file, "expected layers behind [net], found none"));
    }
    Ok((made.input, made.all))
}

/// [net] and the sections of layers.
///
/// # Errors
/// [`Error::File`] where [net] is not the first.
pub fn split<'s>(file: &str, sections: &'s [Section]) -> Result<(&'s Section, &'s [Section])> {
    let split = sections.split_first().filter(|(net, _)| ["net", "network"].contains(&&*net.kind));
    split.ok_or_else(|| Error::file(file, "expected [net] as the first section"))
}

/// Layers of the sections so far.
pub struct Layers {
    input: [usize; 3],
    all: Vec<Layer>,
}

impl Layers {
    /// None yet, behind this [net].
    pub fn new(net: &Section) -> Result<Self> {
        let side = |key, usual| net.count(key, usual, 1);
        Ok(Self { input: [side("channels", 3)?, side("height", 416)?, side("width", 416)?], all: Vec::new() })
    }

    /// One more.
    pub fn push(&mut self, section: &Section) -> Result<()> {
        let layer = self.layer(section)?;
        let values = layer.shape.iter().try_fold(1usize, |n, side| n.checked_mul(*side));
        if values.is_none_or(|n| n > MOST_VALUES) {
            return Err(section.error(format!(
                "it gives {} for an image, more than any host can hold",
                shown(layer.shape)
            )));
        }
        self.all.push(layer);
        Ok(())
    }

    fn layer(&self, section: &Section) -> Result<Layer> {
        match section.kind.as_str() {
            "convolutional" | "conv" => self.convolution(section),
            "maxpool" | "max" => self.max_pool(section),
            "avgpool" | "avg" => {
                let [c, _, _] = self.before();
                Ok(Layer { kind: LayerKind::AvgPool, shape: [c, 1, 1] })
            }
            "upsample" => self.upsample(section),
            "route" => self.route(section),
            "shortcut" => self.shortcut(section),
            "dropout" => self.dropout(section),
            "yolo" => {
                let head = yolo::head(section, self.before(), self.input)?;
                Ok(Layer { kind: LayerKind::Yolo(head), shape: self.before() })
            }
            _ => Err(section.error(
                "limbeck has no such layer; it has convolutional, maxpool, avgpool, upsample, route, shortcut, dropout and \
                 yolo",
            )),
        }
    }

    /// Channels, height and width that the layer before gives.
    pub fn before(&self) -> [usize; 3] {
        self.all.last().map_or(self.input, |layer| layer.shape)
    }

    fn convolution(&self, section: &Section) -> Result<Layer> {
        let [c_in, h, w] = self.before();
        let size = section.count("size", 1, 1)?;
        let stride = section.count("stride", 1, 1)?;
        let padding = match section.count("pad", 0, 0)? {
            0 => section.count("padding", 0, 0)?,
            _ => size / 2,
        };
        let (c_out, groups) = (section.count("filters", 1, 1)?, section.count("groups", 1, 1)?);
        for (key, plain) in [("dilation", 1), ("stride_x", stride), ("stride_y", stride), ("antialiasing", 0)]
        {
            if section.count(key, plain, 0)? != plain {
                return Err(
                    section.error(format!("{key}: limbeck's darknet layers have none; expected {plain}"))
                );
            }
        }
        if let Some(key) = section.any(&["binary", "xnor", "share_index", "deform", "flipped"]) {
            return Err(section.error(format!("{key}: limbeck's darknet layers do not have it")));
        }
        if !c_in.is_multiple_of(groups) || !c_out.is_multiple_of(groups) {
            return Err(section
                .error(format!("{c_in} channels and {c_out} filters do not divide into {groups} groups")));
        }
        let out = |size_in: usize| Some((size_in + 2 * padding).checked_sub(size)? / stride + 1);
        let (Some(out_h), Some(out_w)) = (out(h), out(w)) else {
            return Err(
                section.error(format!("a window of {size} does not fit {h}x{w} with {padding} zeros around"))
            );
        };
        let conv = ConvLayer {
            c_in,
            c_out,
            size,
            stride,
            padding,
            groups,
            batch_norm: section.count("batch_normalize", 0, 0)? != 0,
            activation: activation(section, "logistic")?,
        };
        Ok(Layer { kind: LayerKind::Conv(conv), shape: [c_out, out_h, out_w] })
    }

    fn max_pool(&self, section: &Section) -> Result<Layer> {
        let [c, h, w] = self.before();
        let stride = section.count("stride", 1, 1)?;
        let size = section.count("size", stride, 1)?;
        let padding = section.count("padding", size - 1, 0)?;
        if let Some(key) = section.any(&["maxpool_depth", "stride_x", "stride_y", "antialiasing"]) {
            return Err(section.error(format!("{key}: limbeck's darknet layers do not have it")));
        }
        let out = |size_in: usize| Some((size_in + padding).checked_sub(size)? / stride + 1);
        match (out(h), out(w)) {
            (Some(out_h), Some(out_w)) if padding < size => {
                let kind = LayerKind::MaxPool { size, stride, padding };
                Ok(Layer { kind, shape: [c, out_h, out_w] })
            }
            _ => {
                Err(section
                    .error(format!("a window of {size} does not fit {h}x{w} with a padding of {padding}")))
            }
        }
    }

    fn upsample(&self, section: &Section) -> Result<Layer> {
        let [c, h, w] = self.before();
        let times = section.count("stride", 2, 1)?;
        if section.float("scale", 1.0)? != 1.0 {
            return Err(section.error("scale: expected 1"));
        }
        match (h.checked_mul(times), w.checked_mul(times)) {
            (Some(h), Some(w)) if h.max(w) <= 1 << 20 => {
                Ok(Layer { kind: LayerKind::Upsample, shape: [c, h, w] })
            }
            _ => Err(section.error("it makes an image that is too large")),
        }
    }

    fn route(&self, section: &Section) -> Result<Layer> {
        let from = section.list::<i64>("layers")?;
        let from: Vec<usize> =
            from.into_iter().map(|layer| self.index(section, layer)).collect::<Result<_>>()?;
        let (groups, part) = (section.count("groups", 1, 1)?, section.count("group_id", 0, 0)?);
        let Some(&first) = from.first() else {
            return Err(section.error("expected layers=, such as layers=-1,-4"));
        };
        let [_, h, w] = self.all[first].shape;
        let mut channels = 0usize;
        for &at in &from {
            let [c, other_h, other_w] = self.all[at].shape;
            if [other_h, other_w] != [h, w] {
                let [_, height, width] = self.input;
                let message = format!(
                    "layer {first} is {h}x{w} and layer {at} is {other_h}x{other_w}: they can't be joined with images of \
                     {height}x{width}; take sides that are multiples of the coarsest stride, most often 32"
                );
                return Err(section.error(message));
            }
            if !c.is_multiple_of(groups) || part >= groups {
                return Err(section.error(format!(
                    "part {part} of {groups} of the {c} channels of layer {at}: there is none"
                )));
            }
            channels = channels.saturating_add(c / groups);
        }
        Ok(Layer { kind: LayerKind::Route { from, groups, part }, shape: [channels, h, w] })
    }

    fn shortcut(&self, section: &Section) -> Result<Layer> {
        let [from] = section.list::<i64>("from")?[..] else {
            return Err(section.error("expected from= with one layer, such as from=-3"));
        };
        if let Some(key) = section.any(&["weights_type", "weights_normalization"]) {
            return Err(section.error(format!("{key}: limbeck's darknet layers do not have it")));
        }
        let (from, shape) = (self.index(section, from)?, self.before());
        let other = self.all[from].shape;
        if shape != other {
            let message =
                format!("the layer before gives {}, layer {from} gives {}", shown(shape), shown(other));
            return Err(section.error(message));
        }
        Ok(Layer { kind: LayerKind::Shortcut { from, activation: activation(section, "linear")? }, shape })
    }

    fn dropout(&self, section: &Section) -> Result<Layer> {
        let p = section.float("probability", 0.5)?;
        if !(0.0..1.0).contains(&p) || self.all.is_empty() {
            return Err(
                section.error(format!("expected a probability from 0 to below 1 behind a layer, got {p}"))
            );
        }
        Ok(Layer { kind: LayerKind::Dropout(p), shape: self.before() })
    }

    /// The index that `layers` or `from` mean: from the start, or back from this layer where it is negative.
    fn index(&self, section: &Section, layer: i64) -> Result<usize> {
        let here = self.all.len() as i64;
        let at = if layer < 0 { here.saturating_add(layer) } else { layer };
        usize::try_from(at).ok().filter(|&at| at < self.all.len()).ok_or_else(|| {
            section.error(format!(
                "it names layer {layer}, and is itself layer {here}: there is no such layer before it"
            ))
        })
    }
}

fn activation(section: &Section, default: &str) -> Result<Option<Function>> {
    Ok(Some(match section.text("activation", default) {
        "linear" => return Ok(None),
        "leaky" => Function::LeakyRelu(0.1),
        "relu" => Function::Relu,
        "relu6" => Function::Relu6,
        "logistic" => Function::Sigmoid,
        "mish" => Function::Mish,
        "swish" => Function::Silu,
        "tanh" => Function::Tanh,
        other => {
            let names = "linear, leaky, relu, relu6, logistic, mish, swish and tanh";
            return Err(section.error(format!("activation \"{other}\" is not one of {names}")));
        }
    }))
}

/// `256x13x13`.
fn shown([c, h, w]: [usize; 3]) -> String {
    format!("{c}x{h}x{w}")
}
