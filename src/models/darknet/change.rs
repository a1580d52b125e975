//! A `.cfg` for other sizes than those that are written in it.

use super::cfg::Section;
use super::layers::{self, Layer, LayerKind, Layers};
use crate::models::MAX_CLASSES;
use crate::{Error, Result};

/// What filters are rounded to, and the least there are.
const MULTIPLE: usize = 8;

/// What is to be other than a `.cfg` says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Change {
    /// Channels, height and width of images. Anchors are in pixels and stay, as in darknet: weights of 416 pixels are right
    /// at 608, too. For a network to be trained on small images, give anchors that fit.
    pub input: Option<[usize; 3]>,
    /// Classes, and with them the filters of the convolution before each `[yolo]`.
    pub classes: Option<usize>,
    /// By what the filters of all other convolutions are multiplied. They are rounded to a multiple of 8, 8 at least, and
    /// no factor below 1 makes them more than they were. A depthwise convolution has as many as it reads.
    pub width: Option<f64>,
    /// Width and height of all anchors, as many as there are; `mask` stays.
    pub anchors: Option<Vec<[f32; 2]>>,
}

/// The sections with these changes.
///
/// # Errors
/// [`Error::Config`] for sizes that the network can't have, [`Error::File`] where a head has no convolution before it.
pub fn changed(file: &str, sections: &[Section], change: &Change) -> Result<Vec<Section>> {
    if let Some(classes) = change.classes.filter(|classes| !(1..=MAX_CLASSES).contains(classes)) {
        return Err(Error::config("classes", format!("expected 1 to {MAX_CLASSES}, got {classes}")));
    }
    if let Some(width) = change.width.filter(|width| !(width.is_finite() && *width > 0.0)) {
        return Err(Error::config("width", format!("expected a factor above 0, such as 0.25, got {width}")));
    }
    let mut sections = sections.to_vec();
    if let Some(input) = change.input {
        set_input(&mut sections, input);
    }
    if let Some(width) = change.width.filter(|width| *width != 1.0) {
        sections = scaled(file, &sections, width)?;
    }
    if let Some(classes) = change.classes {
        set_classes(&mut sections, classes)?;
    }
    if let Some(anchors) = &change.anchors {
        set_anchors(&mut sections, anchors)?;
    }
    Ok(sections)
}

/// Sets what `[net]` says of images.
pub fn set_input(sections: &mut [Section], [channels, height, width]: [usize; 3]) {
    if let Some(net) = sections.first_mut() {
        for (key, value) in [("width", width), ("height", height), ("channels", channels)] {
            net.set(key, value);
        }
    }
}

/// Filters by a factor.
fn filters(from: usize, width: f64) -> usize {
    let multiples = (from as f64 * width / MULTIPLE as f64).round() as usize;
    let scaled = multiples.saturating_mul(MULTIPLE).max(MULTIPLE);
    if width < 1.0 { scaled.min(from) } else { scaled.max(from) }
}

/// With the filters of all convolutions but those before a `[yolo]` by a factor.
fn scaled(file: &str, sections: &[Section], width: f64) -> Result<Vec<Section>> {
    let (_, old) = layers::layers(file, sections)?;
    let mut sections = sections.to_vec();
    let mut made = Layers::new(layers::split(file, &sections)?.0)?;
    for (index, Layer { kind, .. }) in old.iter().enumerate() {
        let is_head = matches!(old.get(index + 1), Some(Layer { kind: LayerKind::Yolo(_), .. }));
        if let LayerKind::Conv(conv) = kind {
            let section = &mut sections[index + 1];
            let [c_in, ..] = made.before();
            let depthwise = conv.groups > 1 && conv.groups == conv.c_in;
            if depthwise {
                section.set("groups", c_in);
            }
            match (is_head, depthwise) {
                (true, _) => {}
                (false, true) => section.set("filters", c_in * (conv.c_out / conv.c_in)),
                (false, false) => section.set("filters", filters(conv.c_out, width)),
            }
        }
        // A head's channels are said with its classes, which may change yet.
        made.push(&sections[index + 1])?;
    }
    Ok(sections)
}

fn set_classes(sections: &mut [Section], classes: usize) -> Result<()> {
    for index in 1..sections.len() {
        let (before, behind) = sections.split_at_mut(index);
        let (Some(before), Some(head)) = (before.last_mut(), behind.first_mut()) else { continue };
        if head.kind != "yolo" {
            continue;
        }
        if !["convolutional", "conv"].contains(&before.kind.as_str()) {
            return Err(
                head.error("expected a convolution before it, whose filters are those of its classes")
            );
        }
        let anchors = match head.list::<usize>("mask")?.len() {
            0 => head.list::<f32>("anchors")?.len() / 2,
            some => some,
        };
        before.set("filters", anchors * (5 + classes));
        head.set("classes", classes);
    }
    Ok(())
}

fn set_anchors(sections: &mut [Section], anchors: &[[f32; 2]]) -> Result<()> {
    let text: Vec<String> = anchors.iter().flatten().map(f32::to_string).collect();
    for head in sections.iter_mut().filter(|section| section.kind == "yolo") {
        let there = head.list::<f32>("anchors")?.len() / 2;
        if there != anchors.len() {
            let message = format!("it has {there} anchors, and {} are given; give as many", anchors.len());
            return Err(Error::config("model", message));
        }
        head.set("anchors", text.join(","));
    }
    Ok(())
}
