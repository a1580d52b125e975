//! A network: an architecture, its weights on the host, and how its pass is recorded.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::config::{Head, InputSpec, ModelConfig};
use super::values::{Outputs, Values};
use crate::files::{NamedTensor, hex};
use crate::nn::{Forward, ParamId, Params, Started};
use crate::tape::Tensor;
use crate::{Error, Result};

/// A network's forward pass.
pub trait Module {
    /// Records the pass from what the network reads to what it gives. Outputs are f32 in any precision.
    fn forward(&self, fx: &Forward<'_>, x: &Values) -> Result<Outputs>;

    /// The tap that a parameter belongs to, where its name does not say.
    fn layer_of(&self, _param: &str) -> Option<&str> {
        None
    }

    /// Tensors of another network's file as this one, with `params`, can start from them; `layers` are those of the file that it
    /// has, in its order. What does not fit in the end is left.
    ///
    /// # Errors
    /// [`Error::Config`] for `layers` that it does not choose from.
    fn fitted(
        &self,
        _params: &Params,
        tensors: Vec<NamedTensor>,
        layers: Option<&[usize]>,
    ) -> Result<Vec<NamedTensor>> {
        match layers {
            None => Ok(tensors),
            Some(_) => Err(Error::config(
                "layers",
                "only encoders of texts choose among a file's layers; leave it out",
            )),
        }
    }

    /// Tables of which a pass reads the rows that an input's numbers name, and nothing else: the parameter, and the input's name.
    fn tables(&self) -> Vec<(ParamId, &'static str)> {
        Vec::new()
    }
}

/// A forward pass of one tensor to one: most networks. [`ModelConfig::single`] makes a [`Module`] of it.
pub trait SingleModule {
    /// Records the pass, from (N, ..) to (N, width of the head).
    fn forward(&self, fx: &Forward<'_>, x: &Tensor) -> Result<Tensor>;

    /// As [`Module::layer_of`].
    fn layer_of(&self, _param: &str) -> Option<&str> {
        None
    }
}

impl ModelConfig {
    /// A module that reads this input, and gives this head's output.
    pub fn single(&self, module: impl SingleModule + 'static) -> Box<dyn Module> {
        Box::new(Single { module, config: *self })
    }
}

struct Single<M> {
    module: M,
    config: ModelConfig,
}

impl<M: SingleModule> Module for Single<M> {
    fn forward(&self, fx: &Forward<'_>, x: &Values) -> Result<Outputs> {
        let output = self.module.forward(fx, x.get(self.config.input.name())?)?;
        Ok(Outputs::one(self.config.head.output(), output))
    }

    fn layer_of(&self, param: &str) -> Option<&str> {
        self.module.layer_of(param)
    }
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
    /// The tap that the head reads.
    pub embedding: String,
}

/// A built architecture with its host-side parameters.
///
/// [`super::build`] makes one by name. One of a program's own is a [`Module`] and its parameters; where its family is
/// [registered](super::register), the name alone rebuilds it from a file.
///
/// ```
/// use limbeck::models::{Built, ModelConfig, Network, SingleModule};
/// use limbeck::nn::{Forward, Linear, ParamBuilder, Params};
/// use limbeck::tape::Tensor;
///
/// struct OneLayer(Linear);
///
/// impl SingleModule for OneLayer {
///     fn forward(&self, fx: &Forward<'_>, x: &Tensor) -> limbeck::Result<Tensor> {
///         self.0.forward(fx, &x.flatten()?)
///     }
/// }
///
/// let config = ModelConfig::classifier([1, 8, 8], 10);
/// let mut params = Params::outline();
/// let layer = Linear::new(ParamBuilder::new(&mut params).sub("fc"), 64, 10, true);
/// params.initialise(0);
/// let built = Built {
///     params,
///     module: config.single(OneLayer(layer)),
///     stages: vec!["fc".into()],
///     preactivations: vec![],
///     embedding: "fc".into(),
/// };
/// let network = Network::new("one-layer", &config, built)?;
/// assert_eq!(network.params.trainable_elements(), 650);
/// # Ok::<(), limbeck::Error>(())
/// ```
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
    /// What the head sees.
    pub embedding: String,
    /// The text that describes its layers, where its name alone does not: that of a darknet `.cfg`. A saved file has it.
    pub description: Option<Arc<str>>,
    pub(super) module: Box<dyn Module>,
    pub(super) config: ModelConfig,
}

impl Network {
    /// A network of one's own.
    ///
    /// # Errors
    /// [`Error::Config`] for sizes that no host could hold, naming the parameter.
    pub fn new(name: impl Into<String>, config: &ModelConfig, built: Built) -> Result<Self> {
        let name = name.into();
        config.check()?;
        check_size(&name, &built.params)?;
        Ok(Self {
            name,
            params: built.params,
            stages: built.stages,
            preactivations: built.preactivations,
            embedding: built.embedding,
            description: None,
            module: built.module,
            config: *config,
        })
    }

    /// What it was built for.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// What tells it from others of its name: that of a detector does not say how large the images are, and that of a `.cfg`
    /// not which layers there are. Checkpoints compare it.
    pub fn beside_name(&self) -> Vec<(&'static str, String)> {
        let input = matches!(self.head(), Head::Boxes(_)).then(|| ("input", self.input().to_string()));
        let layers = self.description.as_ref();
        let layers = layers.map(|text| ("layers", hex(&Sha256::digest(text.as_bytes())[..16])));
        input.into_iter().chain(layers).collect()
    }

    /// What it reads for each sample.
    pub fn input(&self) -> InputSpec {
        self.config.input
    }

    /// What it gives for each sample.
    pub fn head(&self) -> Head {
        self.config.head
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

    /// Starts from the tensors of another network's file, as far as they fit; `what` is what messages call the file.
    pub(super) fn start_from(
        &mut self,
        tensors: Vec<NamedTensor>,
        layers: Option<&[usize]>,
        what: &str,
    ) -> Result<Started> {
        let tensors = self.module.fitted(&self.params, tensors, layers)?;
        self.params.load_fitting(&tensors, what)
    }

    /// The rows of its tables that samples of a `source` read, where both sides know them: what
    /// [`DeviceParams::trainable_in`](crate::nn::DeviceParams::trainable_in) takes. `occurring` is the source's, of the field that has the
    /// input's name.
    pub fn rows_read(&self, occurring: impl Fn(&str) -> Option<Vec<usize>>) -> Vec<(ParamId, Vec<usize>)> {
        let tables = self.module.tables().into_iter();
        tables.filter_map(|(table, input)| Some((table, occurring(input)?))).collect()
    }

    /// Records the pass from what the network reads, such as `images` (N, C, H, W), to what it gives, such as `logits`
    /// (N, C).
    ///
    /// # Errors
    /// [`Error::Shape`] where the values have other sizes than it was built for.
    pub fn forward(&self, fx: &Forward<'_>, x: &Values) -> Result<Outputs> {
        let input = x.get(self.config.input.name())?;
        if input.dims().get(1..) != Some(self.config.input.dims()) {
            let dims: Vec<String> = self.config.input.dims().iter().map(usize::to_string).collect();
            let expected = format!("{} (N, {})", self.config.input.name(), dims.join(", "));
            return Err(Error::shape(&self.name, expected, format!("{:?}", input.dims())));
        }
        let outputs = fx.in_precision(|| self.module.forward(fx, x))?;
        outputs.iter().for_each(|(_, output)| output.keep_full());
        Ok(outputs)
    }

    /// [`Network::forward`] of one tensor to the only output: (N, classes) of a classifier.
    ///
    /// # Errors
    /// As [`Network::forward`], and for a network of several outputs.
    pub fn predict(&self, fx: &Forward<'_>, x: &Tensor) -> Result<Tensor> {
        let outputs = self.forward(fx, &Values::one(self.config.input.name(), x.clone()))?;
        outputs.only().cloned()
    }
}

/// Fails where a parameter is too large for any host.
pub(super) fn check_size(name: &str, params: &Params) -> Result<()> {
    let Some(param) = params.too_large() else { return Ok(()) };
    let message = format!("\"{name}\": {param} is too large for any host; choose smaller numbers or inputs");
    Err(Error::config("model", message))
}
