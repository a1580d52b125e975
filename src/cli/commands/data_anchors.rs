//! `limbeck data anchors`: shapes that stand for those of a data set's boxes.

use std::path::PathBuf;

use clap::Args;

use crate::Result;
use crate::cli::out::say;
use crate::data::boxes::{OpenOptions, Resize, anchors, open};

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  limbeck data anchors bccd --count 6 --size 416
  limbeck data anchors coco128/data.yaml --count 9 --size 608 --resize letterbox

Prints the line for every [yolo] section of a .cfg. The first masks go to the finest map: 0,1,2 of six to the one of stride
16, 3,4,5 to the one of stride 32. yolov4-tiny has mask = 1,2,3 at stride 16 and so leaves the first anchor, the smallest, out:
write mask = 0,1,2 there where the smallest boxes matter.";

/// Flags of `limbeck data anchors`.
#[derive(Debug, Args)]
pub struct AnchorFlags {
    /// Folder, data.yaml, obj.data or COCO's .json
    #[arg(value_name = "DIR")]
    path: PathBuf,
    /// Anchors: three for each map of the network
    #[arg(long, value_name = "N", default_value_t = 6)]
    count: usize,
    /// Pixels of the network's input, a side
    #[arg(long, value_name = "PIXELS", default_value_t = 416)]
    size: usize,
    /// How images become as large as the input: stretch or letterbox
    #[arg(long, value_name = "RULE", default_value_t = Resize::Stretch)]
    resize: Resize,
    /// Keys the random beginnings
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Reads the training part's boxes and prints the line.
pub fn run(flags: &AnchorFlags) -> Result<()> {
    let options = OpenOptions { size: [flags.size, flags.size], resize: flags.resize, ..Default::default() };
    let sets = open(&flags.path, &options)?;
    sets.require_training()?;
    let shapes = sets.train.shapes();
    let found = anchors(&shapes, flags.count, flags.seed)?;
    let pairs: Vec<String> = found.shapes.iter().map(|[w, h]| format!("{},{}", side(*w), side(*h))).collect();
    say!("anchors={}", pairs.join(", "))?;
    say!(
        "# {} boxes at {}x{}: the best anchor overlaps a box by {:.3} (IoU) on average",
        shapes.len(),
        flags.size,
        flags.size,
        found.mean_iou
    )?;
    if flags.count.is_multiple_of(3) {
        let masks = (0..flags.count).step_by(3).map(|k| format!("{},{},{}", k, k + 1, k + 2));
        say!("# mask = {}: the finest map has the first", masks.collect::<Vec<_>>().join(", then "))?;
    }
    if flags.count == 6 {
        say!("# of strides 16 and 32; yolov4-tiny has 1,2,3 at 16 and leaves the first out")?;
    }
    Ok(())
}

/// Whole pixels, but for small sides.
fn side(pixels: f32) -> String {
    if pixels < 10.0 { format!("{pixels:.1}") } else { format!("{pixels:.0}") }
}
