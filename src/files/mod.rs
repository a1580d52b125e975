//! Files: reading with errors that help, writing that never leaves half a file.
//!
//! [`write_atomic`] writes to a temporary name in the same folder, syncs, then renames: a reader sees the old file or
//! the new one, whatever happens in between. Weights and checkpoints are safetensors files, see [`tensors`].

mod header;
mod stream;
pub mod tensors;
mod torch;
mod write;

#[cfg(test)]
pub(crate) mod tests;

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

pub use stream::{TensorReader, TensorSpec, TensorWriter};
pub use tensors::{
    Data, Metadata, NamedTensor, ReadOptions, StoredTensor, decode_safetensors, read_safetensors,
    read_safetensors_with, read_stored, read_weights,
};
pub use write::{encode_safetensors, write_safetensors};

use crate::{Error, Result};

/// Reads a whole file. Refuses a missing path, a directory, a device and an empty file, each with its own message.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<u8>> {
    let path = path.as_ref();
    expect_regular(path)?;
    let bytes = fs::read(path).map_err(|e| read_error(path, &e))?;
    if bytes.is_empty() {
        return Err(empty(path));
    }
    Ok(bytes)
}

/// limbeck's folder in the user's cache: `$LIMBECK_CACHE`, else `$XDG_CACHE_HOME/limbeck`, `~/.cache/limbeck`, on Windows
/// `%LOCALAPPDATA%\limbeck`. None where the environment says nothing.
pub fn cache_dir() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    if let Some(own) = set("LIMBECK_CACHE") {
        return Some(own);
    }
    let root = if cfg!(windows) {
        set("LOCALAPPDATA")
    } else {
        // The XDG specification has a relative path ignored.
        let home = || Some(set("HOME")?.join(".cache"));
        set("XDG_CACHE_HOME").filter(|path| path.is_absolute()).or_else(home)
    };
    Some(root?.join("limbeck"))
}

/// Opens a file to read parts of it; also its length. Refuses what [`read`] refuses.
pub(crate) fn open(path: &Path) -> Result<(File, u64)> {
    expect_regular(path)?;
    let file = File::open(path).map_err(|e| read_error(path, &e))?;
    match file.metadata().map_err(|e| read_error(path, &e))?.len() {
        0 => Err(empty(path)),
        len => Ok((file, len)),
    }
}

/// Refuses a missing path, a directory and a device.
fn expect_regular(path: &Path) -> Result<()> {
    let meta = fs::metadata(path).map_err(|e| read_error(path, &e))?;
    if meta.is_dir() {
        return Err(Error::file(path, "expected a file, found a directory; name a file inside it"));
    }
    if !meta.is_file() {
        return Err(Error::file(
            path,
            "expected a regular file, found a device, pipe or socket; copy it to a file first",
        ));
    }
    Ok(())
}

fn empty(path: &Path) -> Error {
    Error::file(
        path,
        "expected data, found an empty file (0 bytes), which is what an interrupted download or a full disk \
         leaves; get or write the file again",
    )
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
    replace(path, |file| fill(file, write).map_err(|e| write_error(path, &e)))
}

/// [`write_atomic`] for writers that move about in the file, and whose errors may be of another kind.
pub(crate) fn replace(path: &Path, write: impl FnOnce(&File) -> Result<()>) -> Result<()> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    if let Ok(meta) = fs::metadata(&target) {
        if meta.is_dir() {
            return Err(Error::file(
                path,
                "expected a file to write, found a directory; name a file inside it",
            ));
        }
        if !meta.is_file() {
            let file = OpenOptions::new().write(true).open(&target).map_err(|e| write_error(path, &e))?;
            return write(&file);
        }
    }
    if target.file_name().is_none() {
        return Err(Error::file(path, "expected a file name, found none; name the file to write"));
    }
    let folder = folder_of(&target);
    fs::create_dir_all(folder).map_err(|e| {
        write_error(path, &io::Error::new(e.kind(), format!("can't create {}: {e}", folder.display())))
    })?;
    let (file, temp) = Temp::create(folder).map_err(|e| write_error(path, &e))?;
    write(&file)?;
    file.sync_all().map_err(|e| write_error(path, &e))?;
    drop(file);
    fs::rename(&temp.0, &target).map_err(|e| write_error(path, &e))?;
    // The rename itself survives a power cut only once the folder is synced. Not every platform can, hence no error.
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    Ok(())
}

fn fill(file: &File, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut writer = BufWriter::with_capacity(1 << 18, file);
    write(&mut writer)?;
    writer.flush()
}

/// The folder a path lies in: `.` for a bare file name.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// A temporary file that is removed when dropped; after a successful rename there is nothing left to remove.
struct Temp(PathBuf);

impl Temp {
    /// Exclusive creation, so neither another process nor what an earlier crash left behind is overwritten.
    fn create(folder: &Path) -> io::Result<(File, Temp)> {
        let mut n = 0;
        loop {
            let path = folder.join(format!(".limbeck-{n}.tmp"));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok((file, Temp(path))),
                Err(e) if e.kind() == ErrorKind::AlreadyExists && n < 1000 => n += 1,
                Err(e) => return Err(e),
            }
        }
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// What to do about a failed read.
pub(crate) fn read_error(path: &Path, error: &io::Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound => {
            let known = path.ancestors().skip(1).find(|a| !a.as_os_str().is_empty() && a.exists());
            let place = match known {
                Some(folder) if Some(folder) == path.parent() => {
                    format!("the folder {} exists", folder.display())
                }
                Some(folder) => format!("the path exists up to {}", folder.display()),
                None => "it is looked up from the current folder".to_string(),
            };
            Error::file(path, format!("expected a file, found nothing; check the path ({place})"))
        }
        ErrorKind::PermissionDenied => {
            Error::file(path, "reading is not permitted; check the file's permissions")
        }
        _ => Error::file(path, format!("can't be read: {error}")),
    }
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
    Error::file(path, format!("can't be written: {error}; {hint}"))
}
