//! A file that nobody sees before it is whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::write_error;
use crate::{Error, Result};

/// A file under a temporary name in the folder of the one that it will replace. [`AtomicFile::keep`] syncs and renames it:
/// a reader sees the old file or the new one, whatever happens in between. Dropped before, it is removed.
#[derive(Debug)]
pub struct AtomicFile {
    file: File,
    /// What messages name.
    path: PathBuf,
    /// The temporary file and what it will be called; none for a pipe or device, which a rename would replace.
    renamed: Option<(Temp, PathBuf)>,
}

impl AtomicFile {
    /// Begins a file; its folder is made where it is missing. A symbolic link is followed; a pipe or device is written
    /// directly.
    ///
    /// # Errors
    /// [`Error::File`] for a directory, a path without a file name, and a folder that can't be written to.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
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
                return Ok(Self { file, path: path.to_path_buf(), renamed: None });
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
        Ok(Self { file, path: path.to_path_buf(), renamed: Some((temp, target)) })
    }

    /// [`AtomicFile::create`] in a folder that is there, under the name `<path>.part`: what a killed run left under it is
    /// written over, so that leftovers of large files don't gather.
    ///
    /// # Errors
    /// [`Error::File`] where the file can't be written.
    pub fn create_part(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let mut part = path.to_path_buf().into_os_string();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = File::create(&part).map_err(|e| write_error(path, &e))?;
        Ok(Self { file, path: path.to_path_buf(), renamed: Some((Temp(part), path.to_path_buf())) })
    }

    /// Where what was written so far can be read.
    pub fn temporary_path(&self) -> &Path {
        self.renamed.as_ref().map_or(&self.path, |(temp, _)| &temp.0)
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// [`Error::File`] where it can't be synced or renamed; the earlier file then stays.
    pub fn keep(self) -> Result<()> {
        let Self { file, path, renamed } = self;
        let Some((temp, target)) = renamed else { return Ok(()) };
        file.sync_all().map_err(|e| write_error(&path, &e))?;
        drop(file);
        fs::rename(&temp.0, &target).map_err(|e| write_error(&path, &e))?;
        // The rename itself survives a power cut only once the folder is synced. Not every platform can, hence no error.
        if let Ok(folder) = File::open(folder_of(&target)) {
            let _ = folder.sync_all();
        }
        Ok(())
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for AtomicFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// The folder a path lies in: `.` for a bare file name.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// A temporary file that is removed when dropped; after a successful rename there is nothing left to remove.
#[derive(Debug)]
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
