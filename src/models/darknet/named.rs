//! Networks of darknet's authors and of Yolo-Fastest's, by name. Their `.cfg` files are in the public domain (`cfg/LICENSE`);
//! comments are left out.

use std::ops::RangeInclusive;

use super::{Cfg, Change};
use crate::models::arguments::{Arguments, CLASSES, SIZE};
use crate::models::{Built, Head, InputSpec, ModelConfig, ModelSpec, Network, base_of, find};
use crate::{Error, Result};

/// What each of them can be given.
pub(in crate::models) const SETTINGS: &[&str] = &["width", "anchors", CLASSES, SIZE];

/// Factors that make sense.
const WIDTHS: RangeInclusive<f64> = 0.01..=16.0;

const TEXTS: [(&str, &str); 7] = [
    ("yolov4", include_str!("cfg/yolov4.cfg")),
    ("yolov4-tiny", include_str!("cfg/yolov4-tiny.cfg")),
    ("yolov4-tiny-3l", include_str!("cfg/yolov4-tiny-3l.cfg")),
    ("yolov4-csp", include_str!("cfg/yolov4-csp.cfg")),
    ("yolov3-tiny", include_str!("cfg/yolov3-tiny.cfg")),
    ("yolo-fastest", include_str!("cfg/yolo-fastest.cfg")),
    ("yolo-fastest-xl", include_str!("cfg/yolo-fastest-xl.cfg")),
];

/// The text of the `.cfg` that a family stands for.
pub(in crate::models) fn text(family: &str) -> Option<&'static str> {
    TEXTS.iter().find(|(name, _)| *name == family).map(|(_, text)| *text)
}

/// YOLOv4 (Bochkovskiy et al. 2004.10934).
pub(in crate::models) const YOLOV4: ModelSpec = spec(
    "yolov4",
    "yolov4:width=0.25,classes=3,size=160,anchors=10x14/23x27/.. boxes at strides 8, 16, 32",
    608,
);
/// Its small form.
pub(in crate::models) const YOLOV4_TINY: ModelSpec =
    spec("yolov4-tiny", "yolov4-tiny settings as yolov4's; boxes at strides 16 and 32", 416);
/// The small form with YOLOv4's anchors and strides.
pub(in crate::models) const YOLOV4_TINY_3L: ModelSpec =
    spec("yolov4-tiny-3l", "yolov4-tiny-3l settings, anchors and strides as yolov4's", 608);
/// Scaled-YOLOv4 (Wang et al. 2011.08036).
pub(in crate::models) const YOLOV4_CSP: ModelSpec =
    spec("yolov4-csp", "yolov4-csp settings and strides as yolov4's", 512);
/// The small form of YOLOv3 (Redmon and Farhadi 1804.02767).
pub(in crate::models) const YOLOV3_TINY: ModelSpec =
    spec("yolov3-tiny", "yolov3-tiny settings as yolov4's; boxes at strides 16 and 32", 416);
/// Yolo-Fastest 1.1.
pub(in crate::models) const YOLO_FASTEST: ModelSpec =
    spec("yolo-fastest", "yolo-fastest 1.1: depthwise, 0.35 M; settings as yolov4's", 320);
/// Yolo-Fastest 1.1 XL.
pub(in crate::models) const YOLO_FASTEST_XL: ModelSpec =
    spec("yolo-fastest-xl", "yolo-fastest-xl 1.1: depthwise, 0.92 M; settings as yolov4's", 320);

const fn spec(name: &'static str, about: &'static str, side: usize) -> ModelSpec {
    let native = ModelConfig { input: InputSpec::Image([3, side, side]), head: Head::Boxes(80) };
    ModelSpec { settings: SETTINGS, native: Some(native), ..ModelSpec::new(name, about, build) }
}

fn build(config: &ModelConfig, arguments: &Arguments) -> Result<Built> {
    cfg(arguments.family(), config, arguments)?.built()
}

/// The description of a family's member.
pub(in crate::models) fn cfg(family: &str, config: &ModelConfig, arguments: &Arguments) -> Result<Cfg> {
    let Some(text) = text(family) else {
        let all: Vec<&str> = TEXTS.iter().map(|(name, _)| *name).collect();
        return Err(Error::config(
            "model",
            format!("it is none of darknet's: {}, or a .cfg", all.join(", ")),
        ));
    };
    fitted(Cfg::parse(family, text, None)?, config, arguments)
}

/// The description of a network that was built by name.
pub(super) fn of(network: &Network) -> Result<Cfg> {
    let fail = || {
        let message = format!(
            "\"{}\" is no network of darknet's layers, which .cfg and .weights are for; save it as .safetensors",
            network.name
        );
        Error::config("model", message)
    };
    if base_of(&network.name) != network.name {
        return Err(fail());
    }
    let member = find(&network.name).map_err(|_| fail())?;
    text(member.spec.name).ok_or_else(fail)?;
    cfg(member.spec.name, network.config(), &member.arguments)
}

/// A description as a name's settings want it, for this input and these classes.
pub(in crate::models) fn fitted(cfg: Cfg, config: &ModelConfig, arguments: &Arguments) -> Result<Cfg> {
    if !arguments.numbers().is_empty() {
        let message = format!("expected settings by name, which are {}", SETTINGS.join(", "));
        return Err(Error::config("model", message));
    }
    let Head::Boxes(classes) = config.head else {
        let (width, noun) = (config.head.width(), config.head.noun());
        return Err(Error::config("model", format!("it gives boxes, and {width} {noun} are wanted of it")));
    };
    cfg.with(&Change {
        input: Some(config.input.image()?),
        classes: Some(classes),
        width: arguments.number("width", WIDTHS)?,
        anchors: arguments.text("anchors").map(anchors).transpose()?,
    })
}

/// `10x14/23x27`: widths and heights.
fn anchors(text: &str) -> Result<Vec<[f32; 2]>> {
    let side = |side: &str| side.trim().parse().ok().filter(|n: &f32| *n > 0.0 && *n <= 65_536.0);
    let pair = |pair: &str| {
        let (width, height) = pair.split_once('x')?;
        Some([side(width)?, side(height)?])
    };
    text.split('/').map(pair).collect::<Option<Vec<_>>>().ok_or_else(|| {
        let message = format!(
            "anchors={text}: expected widths and heights in pixels of the network's input, such as 10x14/23x27"
        );
        Error::config("model", message)
    })
}

#[cfg(test)]
#[path = "named_tests.rs"]
mod tests;
