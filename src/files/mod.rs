//! Files: reading with errors that help, writing that never leaves half a file.
//!
//! [`write_atomic`] writes to a temporary name in the same folder, syncs, then renames: a reader sees the old file or
//! the new one, whatever happens in between. Weights and checkpoints are safetensors files, see [`tensors`].
//!
//! Files from elsewhere are hostile until read: every size in them is checked against the bytes that are there before memory is
//! asked for, and tests cut and flip bytes of each format.

mod atomic;
#[cfg(any(feature = "cli", test))]
mod hash;
mod header;
pub(crate) mod nan_as_null;
mod npy;
pub(crate) mod places;
mod stream;
pub mod tensors;
mod torch;
mod write;

#[cfg(test)]
pub(crate) mod scratch;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::Path;

pub use atomic::AtomicFile;
pub use npy::write_npy;
pub use places::cache_dir;
pub use stream::{ReadSeek, TensorReader, TensorSpec, TensorWriter};
pub use tensors::{
    Data, Metadata, NamedTensor, ReadOptions, StoredTensor, decode_safetensors, decode_weights,
    read_safetensors, read_safetensors_with, read_weights,
};
pub use write::{encode_safetensors, write_safetensors, write_safetensors_to};

#[cfg(feature = "cli")]
pub(crate) use hash::hash_file;

use crate::{Error, Result};

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a whole file. Refuses a missing path, a directory, a device and an empty file, each with its own message.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<u8>> {
    let path = path.as_ref();
    expect_regular(path, FILE)?;
    let bytes = fs::read(path).map_err(|e| read_error(path, &e))?;
    if bytes.is_empty() {
        return Err(empty(path, FILE));
    }
    Ok(bytes)
}

/// Opens a file to read parts of it. Refuses what [`read`] refuses.
pub(crate) fn open(path: &Path) -> Result<File> {
    Ok(open_as(path, FILE)?.0)
}

/// [`open`] where messages name what the file should be (`what` completes "expected .."); also its length.
pub(crate) fn open_as(path: &Path, what: &str) -> Result<(File, u64)> {
    let file = open_regular(path, what)?;
    match file.metadata().map_err(|e| open_error(path, what, &e))?.len() {
        0 => Err(empty(path, what)),
        len => Ok((file, len)),
    }
}

/// [`open`] that takes an empty file, too.
pub(crate) fn open_any(path: &Path) -> Result<File> {
    open_regular(path, FILE)
}

fn open_regular(path: &Path, what: &str) -> Result<File> {
    expect_regular(path, what)?;
    File::open(path).map_err(|e| open_error(path, what, &e))
}

/// What is expected where nothing more is known.
const FILE: &str = "a file";

/// Refuses a missing path, a directory and a device.
fn expect_regular(path: &Path, what: &str) -> Result<()> {
    let meta = fs::metadata(path).map_err(|e| open_error(path, what, &e))?;
    if meta.is_dir() {
        return Err(Error::file(path, format!("expected {what}, found a directory; name a file inside it")));
    }
    if !meta.is_file() {
        let message = format!("expected {what}, found a device, pipe or socket; copy it to a file first");
        return Err(Error::file(path, message));
    }
    Ok(())
}

fn empty(path: &Path, what: &str) -> Error {
    let message = format!(
        "expected {what} with data in it, found an empty one (0 bytes), which is what an interrupted download or a full \
         disk leaves; get or write it again"
    );
    Error::file(path, message)
}

/// Reads a whole UTF-8 text file; like [`read`], and names the offset of the first byte that is not UTF-8.
pub fn read_text(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    String::from_utf8(read(path)?).map_err(|e| {
        let offset = e.utf8_error().valid_up_to();
        Error::file(
            path,
            format!("expected UTF-8 text, found a byte that is not at offset {offset}; save it as UTF-8"),
        )
    })
}

/// Writes a file so that `path` holds either its old content or all of the new.
///
/// `write` gets a buffered writer. The bytes go to a temporary file in the same folder (created when missing), which
/// is synced and renamed over `path`; on any failure, also a panic in `write`, the temporary file is removed.
/// A symbolic link is followed; a pipe or device is written directly, since renaming would replace it.
pub fn write_atomic(
    path: impl AsRef<Path>,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    let path = path.as_ref();
    let file = AtomicFile::create(path)?;
    let mut writer = BufWriter::with_capacity(1 << 18, file);
    write(&mut writer).map_err(|e| write_error(path, &e))?;
    writer.into_inner().map_err(|e| write_error(path, e.error()))?.keep()
}

/// What to do about a failed read.
pub(crate) fn read_error(path: &Path, error: &io::Error) -> Error {
    open_error(path, FILE, error)
}

fn open_error(path: &Path, what: &str, error: &io::Error) -> Error {
    let refused = match error.kind() {
        ErrorKind::NotFound => {
            let known = path.ancestors().skip(1).find(|a| !a.as_os_str().is_empty() && a.exists());
            let place = match known {
                Some(folder) if Some(folder) == path.parent() => {
                    format!("the folder {} exists", folder.display())
                }
                Some(folder) => format!("the path exists up to {}", folder.display()),
                None => "it is looked up from the current folder".to_string(),
            };
            Error::file(path, format!("expected {what}, found nothing; check the path ({place})"))
        }
        ErrorKind::PermissionDenied => {
            Error::file(path, format!("reading {what} is not permitted; check its permissions"))
        }
        _ => Error::file(path, format!("expected {what}, but it can't be read: {error}")),
    };
    refused.because(behind(error))
}

/// The system's error, to keep with ours.
fn behind(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), error.to_string())
}

/// What to do about a failed write.
pub(crate) fn write_error(path: &Path, error: &io::Error) -> Error {
    let hint = match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => "choose a folder you may write to",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some space, then run it again",
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            "a part of the path is a file; choose another path"
        }
        _ => "any earlier version of the file is unchanged",
    };
    Error::file(path, format!("can't be written: {error}; {hint}")).because(behind(error))
}
