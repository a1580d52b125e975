//! A network that ends in another one's classifier (SimKD, Chen et al. 2203.14001): a projector brings one of
//! its maps to the width that the other classifier reads, and that classifier, which is never trained, makes
//! the logits of the map's mean.
//!
//! `resnet8+simkd:layer3,64,32,64,8,8` is a resnet8 whose tap `layer3` has 64 channels; they go through 32 to
//! 64, on maps of at most 8x8 (larger ones are pooled). Its own classifier stays among the parameters, of no
//! use. Parameters besides its own: `simkd.projector.*`, and `simkd.classifier.weight` (classes, C) and
//! `.bias`, which count as states: no optimizer reaches them. Taps: `simkd.projector`, `simkd.pool` (N, C).

use super::arguments::LARGEST;
use super::{ModelConfig, Module, Network, Outputs, Values};
use crate::nn::{BatchNorm, Conv, Forward, Init, ParamBuilder, ParamId};
use crate::ops::conv2d::Conv2d;
use crate::tape::Tensor;
use crate::{Error, Result};

/// What stands between the two names.
const MARK: &str = "+simkd:";
/// Below which its parameters and taps are.
const ROOT: &str = "simkd";

/// The tap of the projected map.
pub const PROJECTED: &str = "simkd.projector";
/// The parameters of the classifier, weight (classes, C) and bias (classes).
pub const CLASSIFIER: [&str; 2] = ["simkd.classifier.weight", "simkd.classifier.bias"];

/// What such a network adds to its own layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReusedHead {
    /// The tap that is projected.
    pub tap: String,
    /// Channels of the tap, within the projector, and of what the classifier reads.
    pub widths: [usize; 3],
    /// Most height and width of the projected map.
    pub size: [usize; 2],
}

impl ReusedHead {
    /// The name of the network `base` with this head.
    pub fn name(&self, base: &str) -> String {
        let ([c_s, inner, c_t], [h, w]) = (self.widths, self.size);
        format!("{base}{MARK}{},{c_s},{inner},{c_t},{h},{w}", self.tap)
    }

    fn parse(name: &str, text: &str) -> Result<Self> {
        let fail = || {
            let expected = "a tap, its channels, those within, those of the classifier, height and width";
            let message = format!(
                "\"{name}\": expected after {MARK} {expected}, as in resnet8{MARK}layer3,64,32,64,8,8"
            );
            Error::config("model", message)
        };
        let mut parts: Vec<&str> = text.rsplitn(6, ',').collect();
        parts.reverse();
        let [tap, numbers @ ..] = &parts[..] else { return Err(fail()) };
        let number = |n: &&str| n.trim().parse().ok().filter(|n| (1..=LARGEST).contains(n));
        let numbers: Option<Vec<usize>> = numbers.iter().map(number).collect();
        match numbers.as_deref() {
            Some(&[c_s, inner, c_t, h, w]) if !tap.is_empty() => {
                Ok(Self { tap: tap.to_string(), widths: [c_s, inner, c_t], size: [h, w] })
            }
            _ => Err(fail()),
        }
    }
}

/// The base network's name and the rest, where `name` has a head.
pub(super) fn split(name: &str) -> Option<(&str, &str)> {
    name.split_once(MARK)
}

/// The network of this name, without initial values.
/// `text` is that of a `.cfg` as which `base` is known.
pub(super) fn outline(
    name: &str,
    base: &str,
    head: &str,
    config: &ModelConfig,
    text: Option<&str>,
) -> Result<Network> {
    let head = ReusedHead::parse(name, head)?;
    let row = config.head.row()?;
    let mut network = super::outline(base, config, text)?;
    let mut root = ParamBuilder::new(&mut network.params);
    let mut at = root.sub(ROOT);
    let projector = Projector::new(at.sub("projector"), head.widths, head.size);
    let mut at = at.sub("classifier");
    let weight = at.state("weight", [row, head.widths[2]], Init::KaimingNormal);
    let bias = at.state("bias", [row], Init::Constant(0.0));
    let output = config.head.output();
    let module = Box::new(Reuse { base: network.module, tap: head.tap, projector, weight, bias, output });
    Ok(Network { name: name.to_string(), embedding: format!("{ROOT}.pool"), module, ..network })
}

/// 1x1, 3x3 and 1x1 convolutions without bias, each with batch norm and relu, on maps of at most a size.
pub struct Projector {
    layers: [(Conv, BatchNorm); 3],
    size: [usize; 2],
}

impl Projector {
    /// From the first of `widths` by way of the second to the third; larger maps are pooled to `size` first.
    pub fn new(mut at: ParamBuilder<'_>, [c_in, inner, c_out]: [usize; 3], size: [usize; 2]) -> Self {
        let mut layer = |i: usize, c_in, c_out, kernel: usize| {
            let config = Conv2d::square(1, kernel / 2);
            let conv = Conv::new(at.sub(format!("conv{i}")), c_in, c_out, kernel, config, false);
            (conv, BatchNorm::new(at.sub(format!("bn{i}")), c_out))
        };
        Self {
            layers: [layer(1, c_in, inner, 1), layer(2, inner, inner, 3), layer(3, inner, c_out, 1)],
            size,
        }
    }

    /// Maps (N, C, H, W) to (N, C', H', W').
    ///
    /// # Errors
    /// [`Error::Shape`] for anything else, and for maps of other channels.
    pub fn forward(&self, fx: &Forward<'_>, x: &Tensor) -> Result<Tensor> {
        let &[_, _, h, w] = x.dims() else {
            return Err(Error::shape(PROJECTED, "a tap of maps (N, C, H, W)", x.shape().to_string()));
        };
        let size = [h.min(self.size[0]), w.min(self.size[1])];
        let x = if [h, w] == size { x.clone() } else { x.adaptive_avg_pool2d(size)? };
        self.layers.iter().try_fold(x, |x, (conv, norm)| norm.forward(fx, &conv.forward(fx, &x)?)?.relu())
    }
}

struct Reuse {
    base: Box<dyn Module>,
    tap: String,
    projector: Projector,
    weight: ParamId,
    bias: ParamId,
    output: &'static str,
}

impl Module for Reuse {
    fn forward(&self, fx: &Forward<'_>, x: &Values) -> Result<Outputs> {
        // Of its own layers behind the tap nothing is read, so the plan leaves them out.
        self.base.forward(fx, x)?;
        let map = fx.tap(&self.tap)?;
        let projected = fx.layer(PROJECTED, || self.projector.forward(fx, &map))?;
        let pooled = fx.layer(&format!("{ROOT}.pool"), || projected.global_avg_pool())?;
        let output = fx.layer(&format!("{ROOT}.classifier"), || {
            pooled.linear(&fx.param(self.weight)?, Some(&fx.param(self.bias)?))
        })?;
        Ok(Outputs::one(self.output, output))
    }

    fn layer_of(&self, param: &str) -> Option<&str> {
        self.base.layer_of(param)
    }

    fn tables(&self) -> Vec<(ParamId, &'static str)> {
        self.base.tables()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::build;

    const CONFIG: ModelConfig = ModelConfig::classifier([3, 16, 16], 5);

    #[test]
    fn a_name_says_all() {
        let head = ReusedHead { tap: "layer3.0,x".into(), widths: [64, 3, 7], size: [4, 2] };
        let name = head.name("resnet8");
        assert_eq!(name, "resnet8+simkd:layer3.0,x,64,3,7,4,2");
        let (base, rest) = split(&name).unwrap();
        assert_eq!((base, ReusedHead::parse(&name, rest).unwrap()), ("resnet8", head));
    }

    #[test]
    fn its_parameters_are_the_base_s_and_the_head_s() {
        let network = build("resnet8+simkd:layer3,64,3,7,4,4", &CONFIG).unwrap();
        let base = build("resnet8", &CONFIG).unwrap();
        // 64 * 3 + 3 * 3 * 9 + 3 * 7 of convolutions and 2 * (3 + 3 + 7) of batch norms.
        let more = network.params.trainable_elements() - base.params.trainable_elements();
        assert_eq!(more, 192 + 81 + 21 + 26);
        assert_eq!(network.params.find(CLASSIFIER[0]).unwrap().shape.dims(), [5, 7]);
        assert_eq!(network.stages, base.stages);
    }

    #[test]
    fn what_is_no_head_is_said() {
        for wrong in [
            "resnet8+simkd:",
            "resnet8+simkd:layer3,64,32,64,8",
            "resnet8+simkd:layer3,64,0,64,8,8",
            "x+simkd:a",
        ] {
            let message = build(wrong, &CONFIG).err().expect("an error").to_string();
            assert!(message.contains("+simkd:layer3,64,32,64,8,8"), "{wrong}: {message}");
        }
        let message = build("nonet+simkd:layer3,64,32,64,8,8", &CONFIG).err().unwrap().to_string();
        assert!(message.contains("no model \"nonet\""), "{message}");
    }
}
