//! A computer: threads that may wait, and folders.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::store::{Draft, Pending, Store};
use crate::files::{self, AtomicFile, ReadSeek, write_error};
use crate::{Error, Result};

/// Runs a future to its end, and blocks meanwhile. Not for futures that wait for a GPU: those of the library need
/// `Gpu::block_on`, which asks the device. A browser has no such function: what would block
/// there does not compile.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    pollster::block_on(future)
}

/// A folder's files. It is made when the first file is written.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder at `path`.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_path_buf() }
    }

    /// The folder that `file` is in, or will be, and its name there.
    ///
    /// # Errors
    /// [`Error::File`] for a path that does not end in a name, or in one that is no Unicode.
    pub fn of(file: impl AsRef<Path>) -> Result<(Self, String)> {
        let path = file.as_ref();
        let name = path
            .file_name()
            .ok_or_else(|| Error::file(path, "expected a file name, found none; name the file to write"))?;
        let name = name.to_str().ok_or_else(|| {
            Error::file(path, "expected a file name in Unicode, found other bytes; rename the file")
        })?;
        Ok((Self::new(path.parent().unwrap_or(Path::new(""))), name.to_string()))
    }
}

impl Store for Folder {
    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn open<'a>(&'a self, name: &'a str) -> Pending<'a, Option<Box<dyn ReadSeek>>> {
        Box::pin(async move {
            let path = self.path(name);
            match std::fs::metadata(&path) {
                Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
                _ => Ok(Some(Box::new(files::open_any(&path)?) as Box<dyn ReadSeek>)),
            }
        })
    }

    fn create<'a>(&'a self, name: &'a str) -> Pending<'a, Box<dyn Draft>> {
        Box::pin(async move {
            let path = self.path(name);
            let file = BufWriter::with_capacity(1 << 18, AtomicFile::create(&path)?);
            Ok(Box::new(FileDraft { path, file }) as Box<dyn Draft>)
        })
    }

    fn append<'a>(&'a self, name: &'a str, bytes: &'a [u8]) -> Pending<'a, ()> {
        Box::pin(async move {
            let path = self.path(name);
            std::fs::create_dir_all(&self.path).map_err(|e| write_error(&path, &e))?;
            // One write for all of it: a kill between two writes can't leave half.
            let file = OpenOptions::new().append(true).create(true).open(&path);
            file.and_then(|mut file| file.write_all(bytes)).map_err(|e| write_error(&path, &e))
        })
    }
}

/// A file under a temporary name.
#[derive(Debug)]
struct FileDraft {
    path: PathBuf,
    file: BufWriter<AtomicFile>,
}

impl Draft for FileDraft {
    fn keep(self: Box<Self>) -> Pending<'static, ()> {
        Box::pin(async move {
            let Self { path, file } = *self;
            file.into_inner().map_err(|e| write_error(&path, e.error()))?.keep()
        })
    }
}

impl Write for FileDraft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for FileDraft {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}
