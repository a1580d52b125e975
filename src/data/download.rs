//! Fetches published data sets: over HTTP into `<file>.part`, checked by length and sha256, then renamed.
//!
//! A file that fails its check leaves nothing behind. Archives are unpacked by known file names only, wherever in the
//! archive they are, so no path in an archive is ever followed.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::read::GzDecoder;
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};
use ureq::Agent;

use super::{DATASETS, RemoteFile, default_dir, find};
use crate::files::{AtomicFile, hash_file, hex, write_error};
use crate::{Error, Result};

/// No file of an archive may be longer; the longest known is 154 MB.
const MAX_UNPACKED: u64 = 1 << 30;

/// How to download.
#[derive(Clone, Debug, Default)]
pub struct DownloadOptions {
    /// Directory to write to; made where missing. Default: [`default_dir`].
    pub dir: Option<PathBuf>,
    /// A mirror: the address that file names are appended to. Default: the publisher's.
    pub base_url: Option<String>,
    /// Shows a progress bar on standard error, where that is a terminal.
    pub progress: bool,
}

/// Downloads the data set `name` and returns its directory. Files that are there and whole are kept.
///
/// # Errors
/// [`Error::Config`] for an unknown name or a set that is not published; [`Error::File`] naming the file, its address and
/// where to put it by hand, when it can't be fetched, written, or has another checksum.
pub fn download(name: &str, options: &DownloadOptions) -> Result<PathBuf> {
    let info = find(name)?;
    let files = info.remote();
    if files.is_empty() {
        let known: Vec<&str> = DATASETS.iter().filter(|i| !i.remote().is_empty()).map(|i| i.name).collect();
        let message =
            format!("{name} ({}) needs no download; expected one of {}", info.about, known.join(", "));
        return Err(Error::config("data set", message));
    }
    let dir = options.dir.clone().unwrap_or_else(|| default_dir(name));
    let base_url = options.base_url.as_deref().unwrap_or(info.base_url);
    let agent = agent_config().build().new_agent();
    let job = Job { agent, base_url, dir: &dir, progress: options.progress };
    let made = !dir.exists();
    job.run(files).inspect_err(|_| {
        // Fails, and should, where some file was fetched.
        let _ = made.then(|| std::fs::remove_dir(&dir));
    })?;
    Ok(dir)
}

fn agent_config() -> ureq::config::ConfigBuilder<ureq::typestate::AgentScope> {
    Agent::config_builder()
        .user_agent(concat!("limbeck/", env!("CARGO_PKG_VERSION")))
        .accept_encoding("identity")
        .timeout_connect(Some(Duration::from_secs(30)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .timeout_per_read(Some(Duration::from_secs(60)))
}

struct Job<'a> {
    agent: Agent,
    base_url: &'a str,
    dir: &'a Path,
    progress: bool,
}

impl Job<'_> {
    fn run(&self, files: &[RemoteFile]) -> Result<()> {
        std::fs::create_dir_all(self.dir)
            .map_err(|e| Error::file(self.dir, format!("can't make the directory to download to: {e}")))?;
        let many = self.many(files);
        for file in files {
            many.inc(1);
            if self.is_whole(file) {
                log::info!("{}: already in {}", file.name, self.dir.display());
                continue;
            }
            let path = self.dir.join(file.place);
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).map_err(|e| write_error(folder, &e))?;
            }
            let mut part = AtomicFile::create_part(path)?;
            self.fetch(file, &mut part, &many)?;
            if file.unpack.is_empty() {
                part.keep()?;
            } else {
                self.unpack(file, &part)?;
            }
        }
        many.finish_and_clear();
        Ok(())
    }

    /// Whether the file, or what it is unpacked into, is already there.
    fn is_whole(&self, file: &RemoteFile) -> bool {
        if !file.unpack.is_empty() {
            return file.unpack.iter().all(|name| self.dir.join(name).is_file());
        }
        let path = self.dir.join(file.place);
        let same_length = path.metadata().is_ok_and(|m| m.len() == file.bytes);
        same_length && sha256_of(&path).is_ok_and(|sum| sum == file.sha256)
    }

    fn url(&self, file: &RemoteFile) -> String {
        format!("{}/{}", self.base_url.trim_end_matches('/'), file.name)
    }

    /// Writes the file's bytes to `part` and checks them.
    fn fetch(&self, file: &RemoteFile, part: &mut AtomicFile, many: &ProgressBar) -> Result<()> {
        let url = self.url(file);
        let fail = |why: &dyn std::fmt::Display| {
            let place = match file.unpack {
                [] => format!("put it at {}", self.dir.join(file.place).display()),
                names => format!("put {} from it into {}", names.join(", "), self.dir.display()),
            };
            let message = format!(
                "can't download {url}: {why}; try again, or fetch it by other means and {place} (sha256 {})",
                file.sha256
            );
            Error::file(self.dir.join(file.place), message)
        };
        let response = self.agent.get(&url).call().map_err(|e| fail(&e))?;
        // One byte more than expected is enough to know that a file is too long.
        let mut body = response.into_body().into_with_config().limit(u64::MAX).reader().take(file.bytes + 1);
        let bar = if many.is_hidden() { self.bar(file) } else { ProgressBar::hidden() };
        let (mut hash, mut length, mut chunk) = (Sha256::new(), 0u64, vec![0u8; 1 << 16]);
        loop {
            let n = body.read(&mut chunk).map_err(|e| fail(&format!("broke off at byte {length}: {e}")))?;
            if n == 0 {
                break;
            }
            hash.update(&chunk[..n]);
            part.write_all(&chunk[..n]).map_err(|e| write_error(&self.dir.join(file.place), &e))?;
            length += n as u64;
            bar.set_position(length);
        }
        bar.finish_and_clear();
        if length != file.bytes {
            let found = if length > file.bytes { "more" } else { &length.to_string() };
            return Err(fail(&format!("expected {} bytes, got {found}", file.bytes)));
        }
        let sum = hex(&hash.finalize());
        if sum != file.sha256 {
            return Err(fail(&format!("the checksum differs: expected sha256 {}, got {sum}", file.sha256)));
        }
        Ok(())
    }

    /// Takes the wanted files out of a .tar.gz; all of them, or none.
    fn unpack(&self, file: &RemoteFile, archive: &AtomicFile) -> Result<()> {
        let bad = |why: &dyn std::fmt::Display| {
            Error::file(
                archive.temporary_path(),
                format!("can't unpack the archive {}: {why}", self.url(file)),
            )
        };
        let packed = File::open(archive.temporary_path()).map_err(|e| bad(&e))?;
        let mut tar = tar::Archive::new(GzDecoder::new(std::io::BufReader::new(packed)));
        let mut done: Vec<(&str, AtomicFile)> = Vec::new();
        for entry in tar.entries().map_err(|e| bad(&e))? {
            let mut entry = entry.map_err(|e| bad(&e))?;
            let path = entry.path().map_err(|e| bad(&e))?.into_owned();
            let wanted =
                file.unpack.iter().find(|&&name| path.file_name().is_some_and(|found| found == name));
            let Some(&name) = wanted.filter(|_| entry.header().entry_type().is_file()) else { continue };
            if done.iter().any(|(other, _)| *other == name) || entry.size() > MAX_UNPACKED {
                return Err(bad(&format!("{name} is there twice or over {MAX_UNPACKED} bytes")));
            }
            let mut part = AtomicFile::create_part(self.dir.join(name))?;
            std::io::copy(&mut entry, &mut part).map_err(|e| bad(&e))?;
            done.push((name, part));
        }
        if let Some(missing) = file.unpack.iter().find(|&&name| done.iter().all(|(found, _)| *found != name))
        {
            return Err(bad(&format!("expected {missing} in it, found none")));
        }
        done.into_iter().try_for_each(|(_, part)| part.keep())
    }

    /// Counts files, where they are many: their own bars would only flicker.
    fn many(&self, files: &[RemoteFile]) -> ProgressBar {
        if !self.progress || files.len() < 10 {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(files.len() as u64);
        if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} files {eta}") {
            bar.set_style(style);
        }
        bar
    }

    fn bar(&self, file: &RemoteFile) -> ProgressBar {
        if !self.progress {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(file.bytes).with_message(file.name);
        let style =
            ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar
    }
}

fn sha256_of(path: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    hash_file(path, &mut hash)?;
    Ok(hex(&hash.finalize()))
}

#[cfg(test)]
#[path = "download_tests.rs"]
mod tests;
