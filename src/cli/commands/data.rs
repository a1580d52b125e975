//! `limbeck data`: which data sets there are, which are here, how to get one, and what is odd about one with boxes.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{data_anchors, data_check};
use crate::cli::out::say;
use crate::data::download::{DownloadOptions, download};
use crate::data::{Content, DATASETS, DatasetInfo, default_dir, find, locate};
use crate::report::bytes;
use crate::{Error, Result};

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  limbeck data
  limbeck data get cifar10
  limbeck data get mnist --dir /data/mnist --base-url https://mirror.example/mnist
  limbeck data check path/to/boxes
  limbeck data anchors path/to/boxes --count 6 --size 416";

/// Flags of `limbeck data`.
#[derive(Debug, Args)]
pub struct DataFlags {
    #[command(subcommand)]
    command: Option<DataCommand>,
}

#[derive(Debug, Subcommand)]
enum DataCommand {
    /// List the data sets, and where each was found (the default)
    List,
    /// Download a data set and check its sha256
    #[command(after_help = EXAMPLES)]
    Get(GetFlags),
    /// Say what is odd about images with boxes (Pascal VOC, YOLO or COCO), and show some of them
    #[command(after_help = data_check::EXAMPLES)]
    Check(data_check::CheckFlags),
    /// Find the anchors that fit the boxes of a data set, for a network's .cfg
    #[command(after_help = data_anchors::EXAMPLES)]
    Anchors(data_anchors::AnchorFlags),
}

#[derive(Debug, Args)]
struct GetFlags {
    /// The data set
    #[arg(value_name = "NAME")]
    name: String,
    /// Where to put it [default: $LIMBECK_DATA/NAME, or the user's data directory]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// A mirror that holds the files under their usual names
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
}

/// Lists or downloads.
pub fn run(flags: &DataFlags) -> Result<ExitCode> {
    match &flags.command {
        None | Some(DataCommand::List) => list()?,
        Some(DataCommand::Get(flags)) => get(flags)?,
        Some(DataCommand::Check(flags)) => data_check::run(flags)?,
        Some(DataCommand::Anchors(flags)) => data_anchors::run(flags)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list() -> Result<()> {
    for info in DATASETS {
        say!("{:<14} {}", info.name, info.about)?;
        say!("{:14} {}", "", whereabouts(info)?)?;
        say!("{:14} licence: {}\n", "", info.licence)?;
    }
    Ok(())
}

fn whereabouts(info: &DatasetInfo) -> Result<String> {
    if info.files.is_empty() {
        return Ok("here: built into limbeck".into());
    }
    if let Some(place) = locate(info.name)? {
        // Images are in folders below.
        let size = size_of(&place).filter(|_| info.content != Content::Boxes);
        let size = size.map_or(String::new(), |n| format!(" ({})", bytes(n)));
        return Ok(format!("here: {}{size}", place.display()));
    }
    if info.remote().is_empty() {
        return Ok("name its directory with --data-dir".into());
    }
    Ok(format!("not here: `limbeck data get {}` downloads {}", info.name, bytes(download_size(info))))
}

fn download_size(info: &DatasetInfo) -> u64 {
    info.remote().iter().map(|file| file.bytes).sum()
}

/// Bytes of the files in a directory; `None` where it has none, only folders.
fn size_of(place: &Path) -> Option<u64> {
    let entries = std::fs::read_dir(place).ok()?.flatten();
    let files = entries.filter_map(|entry| std::fs::metadata(entry.path()).ok()).filter(|m| m.is_file());
    Some(files.map(|m| m.len()).sum()).filter(|&sum| sum > 0)
}

fn get(flags: &GetFlags) -> Result<()> {
    let info = find(&flags.name)?;
    if info.files.is_empty() {
        return say!("{} is built into limbeck: nothing to download", info.name);
    }
    if flags.dir.is_none()
        && !info.remote().is_empty()
        && let Some(place) = locate(info.name)?
    {
        say!("{} is here already: {}", info.name, place.display())?;
        return say!("nothing was downloaded; pass --dir DIR for a copy of your own");
    }
    if flags.base_url.as_ref().is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://"))
    {
        let got = flags.base_url.as_deref().unwrap_or_default();
        let message = format!("expected an address that begins with http:// or https://, got \"{got}\"");
        return Err(Error::config("--base-url", message));
    }
    let options =
        DownloadOptions { dir: flags.dir.clone(), base_url: flags.base_url.clone(), progress: true };
    let dir = download(info.name, &options)?;
    say!("{} is in {}: {}, sha256 checked", info.name, dir.display(), bytes(download_size(info)))?;
    if info.content == Content::Boxes {
        say!("limbeck data check {} shows what it holds", dir.display())?;
    }
    if flags.dir.as_ref().is_some_and(|dir| *dir != default_dir(info.name)) {
        say!("use it with --data {} --data-dir {}", info.name, dir.display())?;
    }
    Ok(())
}
