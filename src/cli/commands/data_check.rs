//! `limbeck data check`: what a data set with boxes holds, all that is odd about it, and some of its images in a picture.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::out::say;
use crate::cli::table::Table;
use crate::data::Source;
use crate::data::boxes::{BoxSet, BoxSets, Format, OpenOptions, Severity, inspect};
use crate::files::write_atomic;
use crate::report::{grouped, printable};
use crate::{Error, Result};

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  limbeck data check VOC2007
  limbeck data check coco128/data.yaml --sheet boxes.png --images 40
  limbeck data check shapes --names classes.txt --no-sheet

Fails where a network would learn something wrong: boxes far out of their images, classes without a name, lines that can't
be read.";

/// Flags of `limbeck data check`.
#[derive(Debug, Args)]
pub struct CheckFlags {
    /// Folder, data.yaml, obj.data or COCO's .json
    #[arg(value_name = "DIR")]
    path: PathBuf,
    /// Where to write a picture of some images with their boxes [default: NAME-boxes.png, in this folder or, where that is the
    /// set's own, beside the set]
    #[arg(long, value_name = "FILE")]
    sheet: Option<PathBuf>,
    /// Write no picture
    #[arg(long, conflicts_with = "sheet")]
    no_sheet: bool,
    /// Images in the picture
    #[arg(long, value_name = "N", default_value_t = 24)]
    images: usize,
    /// A list of class names, one a line, for a set that has none of its own
    #[arg(long, value_name = "FILE")]
    names: Option<PathBuf>,
    /// The share of a side that a box may reach out of its image: 0.01 is 1 %
    #[arg(long, value_name = "SHARE", default_value_t = 0.01)]
    tolerance: f64,
    /// Leave images as they are stored, whatever their camera says of how it was held (EXIF), as darknet does
    #[arg(long)]
    as_stored: bool,
    /// Decode every image, too, which takes longer
    #[arg(long)]
    decode: bool,
    /// Places shown of each oddity
    #[arg(long, value_name = "N", default_value_t = 3)]
    places: usize,
}

/// Reads, prints, draws.
pub fn run(flags: &CheckFlags) -> Result<()> {
    let names = flags.names.as_deref().map(crate::data::boxes::class_names).transpose()?;
    let options =
        OpenOptions { names, tolerance: flags.tolerance, upright: !flags.as_stored, ..Default::default() };
    let sets = inspect(&flags.path, &options)?;
    say!("{}: {} in {}", sets.train.name(), sets.format, sets.root.display())?;
    say!("\n{}", parts(&sets))?;
    say!("{}", classes(&sets))?;
    say!("image sizes: {}\n", sizes(&sets))?;
    if sets.traps.is_empty() {
        say!("nothing is odd\n")?;
    } else {
        say!("odd:")?;
        traps(&sets, flags.places)?;
    }
    let damaged = if flags.decode { undecodable(&sets) } else { Vec::new() };
    for message in &damaged {
        say!("{}", printable(message))?;
    }
    if !flags.no_sheet && damaged.is_empty() {
        let path = target(flags.sheet.as_deref(), &sets)?;
        let sheet = sets.contact_sheet(flags.images, 0)?;
        let mut bytes = std::io::Cursor::new(Vec::new());
        sheet.write_to(&mut bytes, image::ImageFormat::Png).map_err(|e| Error::file(&path, e))?;
        write_atomic(&path, |file| file.write_all(bytes.get_ref()))?;
        say!("{} shows some of them", path.display())?;
    }
    sets.traps.refuse(&sets.root)?;
    match damaged.len() {
        0 if sets.train.is_empty() => {
            say!("the set can be measured on; it has no training part, so nothing can be learned from it")
        }
        0 => say!("the set can be used"),
        n => Err(Error::file(&sets.root, format!("{n} images can't be decoded; replace or remove them"))),
    }
}

/// Where the picture goes: not into a folder whose images are all read as those of the set, as next time it would be one.
fn target(asked: Option<&Path>, sets: &BoxSets) -> Result<PathBuf> {
    let reads_folders = match sets.format {
        Format::Folders | Format::DataYaml | Format::DataFile => true,
        // What they name is read.
        Format::Voc | Format::Coco => false,
    };
    let root = sets.root.canonicalize().map_err(|e| Error::file(&sets.root, e))?;
    // The nearest folder above the picture that is there already, as links may lead to it.
    let is_inside = |path: &Path| {
        let path = std::path::absolute(path).unwrap_or(path.to_path_buf());
        let folder = path.ancestors().skip(1).find_map(|folder| folder.canonicalize().ok());
        reads_folders && folder.is_some_and(|folder| folder.starts_with(&root))
    };
    let name = PathBuf::from(format!("{}-boxes.png", sets.train.name()));
    let path = match asked {
        Some(path) => path.to_path_buf(),
        None if is_inside(&name) => root.parent().unwrap_or(&root).join(name),
        None => name,
    };
    if is_inside(&path) {
        let message = format!(
            "lies in the data set's own folder {}, where it would be read as one of its images; name another place with --sheet",
            sets.root.display()
        );
        return Err(Error::file(path, message));
    }
    Ok(path)
}

fn parts(sets: &BoxSets) -> Table {
    let mut table = Table::new(&["part", ">images", ">boxes", ">median an image", ">most", ">without boxes"]);
    for (name, set) in sets.parts() {
        let mut counts: Vec<usize> = set.images().map(|image| image.boxes.len()).collect();
        counts.sort_unstable();
        let cells = [
            counts.len(),
            counts.iter().sum(),
            counts[counts.len() / 2],
            counts[counts.len() - 1],
            counts.iter().take_while(|&&n| n == 0).count(),
        ];
        table.row(std::iter::once(name.to_string()).chain(cells.map(|n| grouped(n as u64))));
    }
    table
}

/// Boxes of each class in every part, and how large they are.
fn classes(sets: &BoxSets) -> Table {
    let parts: Vec<(&str, &BoxSet)> = sets.parts().collect();
    let mut columns = vec![">class".to_string(), "name".to_string()];
    columns.extend(parts.iter().map(|(name, _)| format!(">{name}")));
    columns.push(">median size".into());
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut table = Table::new(&columns);
    let counts: Vec<Vec<usize>> = parts.iter().map(|(_, set)| set.class_counts()).collect();
    let mut shapes: Vec<[Vec<f32>; 2]> = vec![Default::default(); sets.class_names().len()];
    for annotation in parts.iter().flat_map(|(_, set)| set.images()).flat_map(|image| &image.boxes) {
        let [_, _, w, h] = annotation.bounds;
        shapes[annotation.class][0].push(w);
        shapes[annotation.class][1].push(h);
    }
    for (class, (name, shapes)) in sets.class_names().iter().zip(&mut shapes).enumerate() {
        let mut cells = vec![class.to_string(), name.clone()];
        cells.extend(counts.iter().map(|counts| grouped(counts[class] as u64)));
        let [w, h] = [0, 1].map(|side| median(&mut shapes[side]));
        cells.push(w.zip(h).map_or("-".into(), |(w, h)| format!("{w:.0}x{h:.0}")));
        table.row(cells);
    }
    table
}

fn median(values: &mut [f32]) -> Option<f32> {
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied()
}

/// The most frequent sizes of images.
fn sizes(sets: &BoxSets) -> String {
    let mut counts: BTreeMap<[u32; 2], usize> = BTreeMap::new();
    for image in sets.parts().flat_map(|(_, set)| set.images()) {
        *counts.entry(image.size()).or_default() += 1;
    }
    let mut counts: Vec<([u32; 2], usize)> = counts.into_iter().collect();
    counts.sort_by_key(|&(size, count)| (std::cmp::Reverse(count), size));
    let shown: Vec<String> =
        counts.iter().take(4).map(|([w, h], count)| format!("{w}x{h} ({count})")).collect();
    match counts.len().saturating_sub(4) {
        0 => shown.join(", "),
        more => format!("{}, and {more} others", shown.join(", ")),
    }
}

/// Every oddity with what is done about it, and the first places below.
fn traps(sets: &BoxSets, places: usize) -> Result<()> {
    for kind in sets.traps.kinds() {
        let done = match kind.severity() {
            Severity::Refused => "REFUSED",
            other => other.words(),
        };
        say!("{:>7}  {done:<10}  {}", grouped(sets.traps.count(kind) as u64), kind.words())?;
        if places > 0 {
            say!("{:21}{}", "", printable(&sets.traps.first(kind, places)))?;
        }
    }
    say!()
}

/// What decoding says of the images that can't be.
fn undecodable(sets: &BoxSets) -> Vec<String> {
    sets.parts().flat_map(|(_, set)| set.undecodable()).map(|e| e.to_string()).collect()
}
