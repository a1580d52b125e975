//! Which outputs of a graph a detector's heads read, and what these are made of.

use std::sync::Arc;

use crate::ops::boxes::YoloHead;
use crate::ops::conv2d::Conv2d;
use crate::ops::unary::Unary;
use crate::tape::Tensor;
use crate::{Error, Result};

/// For each head the name of its output, found by its shape for images of this height and width.
///
/// # Errors
/// [`Error::Config`] where none or several outputs have a head's shape, listing what there is.
pub(super) fn matched(
    heads: &[YoloHead],
    [height, width]: [usize; 2],
    names: &[String],
    outputs: &[Tensor],
) -> Result<Vec<(String, Arc<YoloHead>)>> {
    let find = |head: &YoloHead| {
        let [down, across] = head.stride;
        let shape = [1, head.channels(), height / down.max(1), width / across.max(1)];
        let fits: Vec<&String> = names
            .iter()
            .zip(outputs)
            .filter(|(_, output)| *output.dims() == shape)
            .map(|(name, _)| name)
            .collect();
        if let [name] = fits[..] {
            return Ok((name.clone(), Arc::new(head.clone())));
        }
        let all = names.iter().zip(outputs).map(|(name, output)| format!("\"{name}\" {}", output.shape()));
        let message = format!(
            "the head of stride {down}x{across} with {} anchors and {} classes reads one output {shape:?}, and {} are so; there \
             are {}",
            head.anchors.len(),
            head.classes,
            fits.len(),
            all.collect::<Vec<_>>().join(", ")
        );
        Err(Error::config("outputs", message))
    };
    heads.iter().map(find).collect()
}

/// For each head the tap that its last convolution reads, as the stages of darknet's networks are; `None` where one does not end
/// in a convolution, with an activation or without.
pub(super) fn read_by(
    heads: &[(String, Arc<YoloHead>)],
    names: &[String],
    outputs: &[Tensor],
    taps: &[(String, Tensor)],
) -> Option<Vec<String>> {
    let tap = |(name, _): &(String, Arc<YoloHead>)| {
        let output = outputs.get(names.iter().position(|other| other == name)?)?;
        let before = output.producer::<Unary>().and_then(|(_, read)| read.first().cloned());
        let (_, read) = before.as_ref().unwrap_or(output).producer::<Conv2d>()?;
        let id = read.first()?.id();
        taps.iter().rfind(|(_, tensor)| tensor.id() == id).map(|(name, _)| name.clone())
    };
    heads.iter().map(tap).collect()
}
