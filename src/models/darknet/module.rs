//! The forward pass of a darknet network, layer by layer.

use std::sync::Arc;

use super::layers::{ConvLayer, Layer, LayerKind};
use crate::models::{IMAGES, Module, Outputs, Values};
use crate::nn::{BatchNorm, Conv, Forward, Init, ParamBuilder};
use crate::ops::boxes::YoloHead;
use crate::ops::conv2d::Conv2d;
use crate::ops::pool::Pool;
use crate::ops::unary::Function;
use crate::tape::Tensor;
use crate::{Error, Result};

/// What padding of a pooling layer holds: no maximum is less.
const LEAST: f32 = f32::MIN;

/// The objectness that a new network gives everything, before its sigmoid: one in a hundred.
const UNLIKELY: f32 = -4.595;

/// A network whose layers are those of a `.cfg`. Layer 5 is the tap `layer5`, with the parameters `layer5.conv.weight` and,
/// of its batch norm, `layer5.bn.weight` and so on.
pub(super) struct Darknet {
    layers: Vec<Built>,
}

struct Built {
    name: String,
    step: Step,
}

/// A layer with its parameters.
enum Step {
    Conv { conv: Conv, bn: Option<BatchNorm>, activation: Option<Function> },
    MaxPool { size: usize, stride: usize, padding: usize },
    AvgPool,
    Upsample([usize; 2]),
    Route { from: Vec<usize>, part: [usize; 2] },
    Shortcut { from: usize, activation: Option<Function> },
    Dropout(f32),
    Yolo(Arc<YoloHead>),
}

impl Darknet {
    /// With parameters below `root`; `eps` is added to variances.
    pub fn new(mut root: ParamBuilder<'_>, layers: &[Layer], eps: f32) -> Self {
        let built = layers.iter().enumerate().map(|(index, layer)| {
            let name = format!("layer{index}");
            let read_by = match layers.get(index + 1).map(|next| &next.kind) {
                Some(LayerKind::Yolo(head)) => Some(head),
                _ => None,
            };
            let step = Step::new(root.sub(&name), layer, read_by, eps);
            Built { name, step }
        });
        Self { layers: built.collect() }
    }
}

impl Step {
    /// `read_by` is the head that reads boxes off the layer, where one does.
    fn new(mut at: ParamBuilder<'_>, layer: &Layer, read_by: Option<&YoloHead>, eps: f32) -> Self {
        match &layer.kind {
            LayerKind::Conv(conv) => Self::conv(&mut at, conv, read_by, eps),
            &LayerKind::MaxPool { size, stride, padding } => Self::MaxPool { size, stride, padding },
            LayerKind::AvgPool => Self::AvgPool,
            LayerKind::Upsample => Self::Upsample([layer.shape[1], layer.shape[2]]),
            LayerKind::Route { from, groups, part } => {
                Self::Route { from: from.clone(), part: [*part, *groups] }
            }
            &LayerKind::Shortcut { from, activation } => Self::Shortcut { from, activation },
            &LayerKind::Dropout(p) => Self::Dropout(p),
            LayerKind::Yolo(head) => Self::Yolo(Arc::new(head.clone())),
        }
    }

    /// First weights after He et al., by the inputs, which is what darknet scales its own by. Those that boxes are read off
    /// start as RetinaNet's (Lin et al. 1708.02002): boxes are the anchors, and nothing is likely to be an object, so that
    /// the many places without one do not drown the few with one.
    fn conv(at: &mut ParamBuilder<'_>, layer: &ConvLayer, read_by: Option<&YoloHead>, eps: f32) -> Self {
        let ConvLayer { c_in, c_out, size, stride, padding, groups, batch_norm, activation } = *layer;
        let config = Conv2d { groups, ..Conv2d::square(stride, padding) };
        let (weight, bias) = match read_by {
            Some(head) => {
                (Init::Normal(0.01), Init::Periodic { period: 5 + head.classes, at: 4, value: UNLIKELY })
            }
            None => (Init::KaimingNormal, Init::Constant(0.0)),
        };
        let bias = (!batch_norm).then_some(bias);
        let conv = Conv::with_init(at.sub("conv"), c_in, c_out, size, config, weight, bias);
        let bn = batch_norm.then(|| BatchNorm::with_eps(at.sub("bn"), c_out, eps));
        Self::Conv { conv, bn, activation }
    }

    /// From what the layers before gave; `before` is the last of it.
    fn record(&self, fx: &Forward<'_>, name: &str, before: &Tensor, all: &[Tensor]) -> Result<Tensor> {
        match self {
            Self::Conv { conv, bn, activation } => {
                let y = conv.forward(fx, before)?;
                let y = match bn {
                    Some(bn) => bn.forward(fx, &y)?,
                    None => y,
                };
                fx.layer(name, || activated(&y, *activation))
            }
            &Self::MaxPool { size, stride, padding } => {
                fx.layer(name, || max_pool(before, size, stride, padding))
            }
            Self::AvgPool => fx.layer(name, || before.mean(&[2, 3], true)),
            Self::Upsample(size) => fx.layer(name, || before.upsample_nearest(*size)),
            Self::Route { from, part: [part, groups] } => fx.layer(name, || {
                let parts = from.iter().map(|&at| {
                    let channels = all[at].dims()[1] / groups;
                    if *groups == 1 {
                        Ok(all[at].clone())
                    } else {
                        all[at].slice(1, part * channels, channels)
                    }
                });
                let parts = parts.collect::<Result<Vec<_>>>()?;
                match &parts[..] {
                    [one] => Ok(one.clone()),
                    several => Tensor::concat(&several.iter().collect::<Vec<_>>(), 1),
                }
            }),
            &Self::Shortcut { from, activation } => {
                fx.layer(name, || activated(&before.add(&all[from])?, activation))
            }
            Self::Dropout(p) => fx.dropout(name, before, *p),
            Self::Yolo(_) => Ok(before.clone()),
        }
    }
}

fn activated(x: &Tensor, activation: Option<Function>) -> Result<Tensor> {
    activation.map_or_else(|| Ok(x.clone()), |function| x.unary(function))
}

/// Windows start `padding / 2` before the image; what they reach beyond it never wins.
fn max_pool(x: &Tensor, size: usize, stride: usize, padding: usize) -> Result<Tensor> {
    let before = padding / 2;
    // How far the last window reaches beyond each side's end.
    let beyond = |len: usize| {
        let windows = (len + padding - size) / stride + 1;
        ((windows - 1) * stride + size).saturating_sub(len + before)
    };
    let [.., h, w] = *x.dims() else {
        return Err(Error::shape("max_pool2d", "(N, C, H, W)", x.shape().to_string()));
    };
    let after = [beyond(h), beyond(w)];
    if before <= size / 2 && after.iter().all(|after| *after < size) {
        return x.max_pool2d(&Pool { padding_after: after, ..Pool::square(size, stride, before) });
    }
    // Windows that have nothing of the image.
    let pads = [(0, 0), (0, 0), (before, after[0]), (before, after[1])];
    x.pad(&pads, LEAST)?.max_pool2d(&Pool::square(size, stride, 0))
}

impl Module for Darknet {
    fn forward(&self, fx: &Forward<'_>, x: &Values) -> Result<Outputs> {
        let mut before = x.get(IMAGES)?.clone();
        let (mut all, mut outputs) = (Vec::<Tensor>::new(), Outputs::default());
        for Built { name, step } in &self.layers {
            before = step.record(fx, name, &before, &all)?;
            match step {
                // Darknet drops in place: whoever reads the layer before sees the same.
                Step::Dropout(_) => {
                    if let Some(last) = all.last_mut() {
                        *last = before.clone();
                    }
                }
                Step::Yolo(head) => outputs = outputs.with_boxes(name.clone(), before.clone(), head.clone()),
                _ => {}
            }
            all.push(before.clone());
        }
        Ok(outputs)
    }
}
