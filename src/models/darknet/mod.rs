//! Networks of darknet: a `.cfg` says the layers, `.weights` hold their values (AlexeyAB/darknet; YOLOv3 1804.02767, YOLOv4
//! 2004.10934).
//!
//! ```
//! use limbeck::models::darknet::Cfg;
//!
//! let text = "[net]\nwidth=32\nheight=32\n\
//!     [convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\nstride=2\npad=1\nactivation=leaky\n\
//!     [convolutional]\nfilters=14\nactivation=linear\n\
//!     [yolo]\nmask=0,1\nanchors=4,6, 12,10\nclasses=2\n";
//! let cfg = Cfg::parse("small.cfg", text, None)?;
//! let mut network = cfg.network()?;
//! network.params.initialise(0);
//! let bytes = cfg.weights(&network)?;
//! let loaded = cfg.load_weights("small.weights", &bytes, &mut network)?;
//! assert_eq!((loaded.convolutions, bytes.len()), (2, 20 + 4 * cfg.weight_values(&network)));
//! # Ok::<(), limbeck::Error>(())
//! ```

mod cfg;
mod change;
mod layers;
mod module;
pub(super) mod named;
mod path;
mod weights;
mod yolo;

pub use crate::ops::boxes::YoloHead;
pub use change::Change;
pub use weights::{Header, Loaded};

pub(super) use path::CfgPath;

use std::path::Path;

use cfg::Section;
use layers::{Layer, LayerKind};

use super::{Built, Head, InputSpec, ModelConfig, Network};
use crate::files::{self, NamedTensor};
use crate::nn::{BatchNorm, ParamBuilder, Params};
use crate::{Error, Result};

/// Longest text of a `.cfg`: that of yolov4 has 12 kB.
const LONGEST: usize = 4 << 20;

/// The key of `[net]` that says what is added to the variances of batch norm, where that is not darknet's 1e-5. It is
/// limbeck's own; others read past it.
pub const EPSILON: &str = "batch_norm_epsilon";

/// A network's description.
#[derive(Debug, Clone)]
pub struct Cfg {
    name: String,
    sections: Vec<Section>,
    input: [usize; 3],
    layers: Vec<Layer>,
}

/// Whether a path is that of a `.cfg`.
pub fn is_cfg(path: impl AsRef<Path>) -> bool {
    path.as_ref().extension().is_some_and(|ending| ending.eq_ignore_ascii_case("cfg"))
}

/// Whether a path is that of darknet's weights: `yolov4.weights`, or a backbone's `yolov4.conv.137`.
pub fn is_weights(path: impl AsRef<Path>) -> bool {
    let path = path.as_ref();
    let number = path.extension().is_some_and(|ending| ending.to_string_lossy().parse::<u32>().is_ok());
    let conv = path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with(".conv"));
    (number && conv) || path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("weights"))
}

impl Cfg {
    /// The layers of a network that was built by a name of darknet's, or from a `.cfg`.
    ///
    /// # Errors
    /// [`Error::Config`] for any other network.
    pub fn of(network: &Network) -> Result<Self> {
        match &network.description {
            Some(text) => Self::parse(&network.name, text, None),
            None => named::of(network),
        }
    }

    /// Reads a `.cfg`, for images of `input` (channels, height, width) where that is given, or else of the file's own size.
    ///
    /// # Errors
    /// [`Error::File`] for a file that can't be read, and as [`Cfg::parse`].
    pub fn open(path: impl AsRef<Path>, input: Option<[usize; 3]>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = files::read(path)?;
        Self::parse(&path.display().to_string(), &String::from_utf8_lossy(&bytes), input)
    }

    /// The description that is in `text`, which messages call `name`.
    ///
    /// # Errors
    /// [`Error::File`] naming the line: of a section that limbeck does not have, a value that makes no sense, layers that do
    /// not fit each other; and for a network without a `[yolo]` section.
    pub fn parse(name: &str, text: &str, input: Option<[usize; 3]>) -> Result<Self> {
        if text.len() > LONGEST {
            return Err(Error::file(name, format!("expected at most {LONGEST} bytes, got {}", text.len())));
        }
        let mut sections = cfg::parse(name, text)?;
        if let Some(input) = input {
            change::set_input(&mut sections, input);
        }
        Self::of_sections(name, sections)
    }

    fn of_sections(name: &str, sections: Vec<Section>) -> Result<Self> {
        let (input, layers) = layers::layers(name, &sections)?;
        let made = Self { name: name.to_string(), sections, input, layers };
        made.epsilon()?;
        let classes: Vec<usize> = made.heads().map(|(_, head)| head.classes).collect();
        let Some(&first) = classes.first() else {
            return Err(Error::file(
                name,
                "expected a [yolo] section, by which boxes are read, and found none",
            ));
        };
        if let Some(other) = classes.iter().find(|other| **other != first) {
            let message = format!("its [yolo] sections have {first} and {other} classes; expected the same");
            return Err(Error::file(name, message));
        }
        Ok(made)
    }

    /// The same network for other images or classes, with other widths or anchors.
    ///
    /// # Errors
    /// [`Error::Config`] for sizes that it can't have, [`Error::File`] naming the line where layers do not fit any more.
    pub fn with(&self, change: &Change) -> Result<Self> {
        Self::of_sections(&self.name, change::changed(&self.name, &self.sections, change)?)
    }

    /// With this added to the variances of batch norm, in place of darknet's 1e-5; above 0 and at most 1. OpenCV's importer
    /// adds 1e-6, with which outputs of networks with small variances are 1e-3 apart. The text has it as [`EPSILON`].
    ///
    /// # Errors
    /// [`Error::File`] for a number outside the range.
    pub fn with_epsilon(&self, epsilon: f32) -> Result<Self> {
        let mut sections = self.sections.clone();
        if let Some(net) = sections.first_mut() {
            net.set(EPSILON, epsilon);
        }
        Self::of_sections(&self.name, sections)
    }

    /// What is added to the variances of batch norm.
    fn epsilon(&self) -> Result<f32> {
        let Some(net) = self.sections.first() else { return Ok(BatchNorm::EPS) };
        let epsilon = net.float(EPSILON, BatchNorm::EPS)?;
        if !(epsilon > 0.0 && epsilon <= 1.0) {
            return Err(
                net.error(format!("{EPSILON}: expected a number above 0 and at most 1, got {epsilon}"))
            );
        }
        Ok(epsilon)
    }

    /// It as a `.cfg`, which darknet and OpenCV read: with what was changed, without comments.
    pub fn text(&self) -> String {
        cfg::text(&self.sections)
    }

    /// What the network reads and gives.
    pub fn config(&self) -> ModelConfig {
        let classes = self.heads().next().map_or(0, |(_, head)| head.classes);
        ModelConfig { input: InputSpec::Image(self.input), head: Head::Boxes(classes) }
    }

    /// Channels, height and width of its images.
    pub fn input(&self) -> [usize; 3] {
        self.input
    }

    /// The heads with the layers' indices, in the order of the file. The network's output of a head is called as its layer
    /// is: `layer30`.
    pub fn heads(&self) -> impl Iterator<Item = (usize, &YoloHead)> {
        self.layers.iter().enumerate().filter_map(|(index, layer)| match &layer.kind {
            LayerKind::Yolo(head) => Some((index, head)),
            _ => None,
        })
    }

    /// The network, without values: these come from a whole `.weights` file, or from
    /// [`Params::initialise`](crate::nn::Params::initialise). It is called as the file is, without folders, and carries the
    /// [text](Network::description).
    ///
    /// # Errors
    /// [`Error::Config`] for sizes that no host could hold.
    pub fn network(&self) -> Result<Network> {
        let name =
            Path::new(&self.name).file_name().map_or(self.name.as_str().into(), |n| n.to_string_lossy());
        let mut network = Network::new(name, &self.config(), self.built()?)?;
        network.description = Some(self.text().into());
        Ok(network)
    }

    /// Parameters and pass.
    pub(super) fn built(&self) -> Result<Built> {
        let mut params = Params::outline();
        let module = module::Darknet::new(ParamBuilder::new(&mut params), &self.layers, self.epsilon()?);
        // What a head's last convolution reads.
        let stages: Vec<String> =
            self.heads().map(|(index, _)| format!("layer{}", index.saturating_sub(2))).collect();
        let embedding = stages.last().cloned().unwrap_or_default();
        let read = self.heads().map(|(index, _)| self.preactivation(index.saturating_sub(2))).collect();
        Ok(Built { params, module: Box::new(module), stages, preactivations: read, embedding })
    }

    /// The tap of what the activation that a layer's output comes from reads, behind the batch norm where there is one; the layer
    /// itself where it is none's, such as a sum.
    fn preactivation(&self, index: usize) -> String {
        match self.layers.get(index).map(|layer| &layer.kind) {
            Some(LayerKind::Conv(conv)) if conv.batch_norm => format!("layer{index}.bn"),
            Some(LayerKind::Conv(_)) => format!("layer{index}.conv"),
            // What passes another layer on as it is.
            Some(LayerKind::Dropout(_)) if index > 0 => self.preactivation(index - 1),
            Some(LayerKind::Route { from, groups: 1, .. }) if from.len() == 1 => self.preactivation(from[0]),
            _ => format!("layer{index}"),
        }
    }

    /// Values that a whole `.weights` file of it holds.
    pub fn weight_values(&self, network: &Network) -> usize {
        weights::values(&self.layers, &network.params)
    }

    /// Gives a network of [`Cfg::network`] the values of a `.weights` file. One that ends behind a layer, such as a backbone's,
    /// fills the layers before; [`Loaded::convolutions`] says how many, and the others keep what they have.
    ///
    /// # Errors
    /// [`Error::File`] for a file with values left over, one that ends inside a layer, values that are not finite, and a part
    /// of a file for a network that has no values; the network is then as before.
    pub fn load_weights(&self, file: &str, bytes: &[u8], network: &mut Network) -> Result<Loaded> {
        weights::load(file, bytes, &self.layers, &mut network.params)
    }

    /// What a `.weights` file holds of these layers, by the parameters' names: of all of them, or of those from the first to the
    /// one that it ends behind.
    ///
    /// # Errors
    /// As [`Cfg::load_weights`].
    pub fn read_weights(&self, file: &str, bytes: &[u8]) -> Result<Vec<NamedTensor>> {
        Ok(weights::read(file, bytes, &self.layers, &self.network()?.params)?.1)
    }

    /// The classes for which a whole `.weights` file is as long as this one; `None` where there are none.
    pub fn classes_in(&self, bytes: &[u8]) -> Option<usize> {
        let of = |classes| {
            let cfg = self.with(&Change { classes: Some(classes), ..Change::default() }).ok()?;
            Some(cfg.weight_values(&cfg.network().ok()?))
        };
        let (one, two, there) = (of(1)?, of(2)?, weights::values_in(bytes)?);
        let (more, each) = (there.checked_sub(one)?, two.checked_sub(one)?);
        (each > 0 && more.is_multiple_of(each)).then(|| 1 + more / each)
    }

    /// The bytes of a `.weights` file, which OpenCV reads with the same `.cfg`, as darknet does.
    ///
    /// # Errors
    /// [`Error::Config`] for a network of other layers, and one without values.
    pub fn weights(&self, network: &Network) -> Result<Vec<u8>> {
        weights::to_bytes(&self.layers, &network.params, Header::default())
    }
}

#[cfg(test)]
mod tests;
