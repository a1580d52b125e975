//! An async place of named blobs, where runs keep checkpoints, metrics and outputs: a folder, memory, a browser's files.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Result;
use crate::files::{ReadSeek, read_error, write_error};

/// What a store will have done.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + 'a>>;

/// Named blobs. A name is that of a file: without folders.
pub trait Store: Debug + Send + Sync {
    /// What messages call a blob: in a folder, the file's path.
    fn path(&self, name: &str) -> PathBuf;

    /// Opens a blob to read it; none where there is none.
    ///
    /// # Errors
    /// [`Error::File`](crate::Error::File) where it is there and can't be read.
    fn open<'a>(&'a self, name: &'a str) -> Pending<'a, Option<Box<dyn ReadSeek>>>;

    /// Begins a blob. It appears, or replaces the one of its name, once [`Draft::keep`] is done.
    ///
    /// # Errors
    /// [`Error::File`](crate::Error::File) where nothing can be written under this name.
    fn create<'a>(&'a self, name: &'a str) -> Pending<'a, Box<dyn Draft>>;

    /// Adds to a blob's end in one piece, and begins it where there is none.
    ///
    /// # Errors
    /// [`Error::File`](crate::Error::File) where it can't be written.
    fn append<'a>(&'a self, name: &'a str, bytes: &'a [u8]) -> Pending<'a, ()>;
}

/// A blob that nobody sees yet. Dropped, it leaves what was there.
pub trait Draft: Write + Seek + Debug {
    /// Puts it in its place, whole: whoever reads, and a machine that stops meanwhile, finds the old blob or this one.
    ///
    /// # Errors
    /// [`Error::File`](crate::Error::File) where it can't be written; the old blob stays.
    fn keep(self: Box<Self>) -> Pending<'static, ()>;
}

impl dyn Store + '_ {
    /// A whole blob; none where there is none of this name.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let Some(mut blob) = self.open(name).await? else { return Ok(None) };
        let mut bytes = Vec::new();
        blob.read_to_end(&mut bytes).map_err(|e| read_error(&self.path(name), &e))?;
        Ok(Some(bytes))
    }

    /// Replaces a whole blob.
    ///
    /// # Errors
    /// As [`Store::create`] and [`Draft::keep`].
    pub async fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let mut draft = self.create(name).await?;
        draft.write_all(bytes).map_err(|e| write_error(&self.path(name), &e))?;
        draft.keep().await
    }
}

/// A store in memory, gone with its last clone.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    blobs: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

impl Memory {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    fn blobs(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Memory {
    fn path(&self, name: &str) -> PathBuf {
        Path::new("memory").join(name)
    }

    fn open<'a>(&'a self, name: &'a str) -> Pending<'a, Option<Box<dyn ReadSeek>>> {
        let found = self.blobs().get(name).cloned();
        Box::pin(async move { Ok(found.map(|bytes| Box::new(Cursor::new(bytes)) as Box<dyn ReadSeek>)) })
    }

    fn create<'a>(&'a self, name: &'a str) -> Pending<'a, Box<dyn Draft>> {
        let draft = MemoryDraft { store: self.clone(), name: name.into(), bytes: Cursor::default() };
        Box::pin(async move { Ok(Box::new(draft) as Box<dyn Draft>) })
    }

    fn append<'a>(&'a self, name: &'a str, bytes: &'a [u8]) -> Pending<'a, ()> {
        Box::pin(async move {
            self.blobs().entry(name.into()).or_default().extend_from_slice(bytes);
            Ok(())
        })
    }
}

#[derive(Debug)]
struct MemoryDraft {
    store: Memory,
    name: String,
    bytes: Cursor<Vec<u8>>,
}

impl Draft for MemoryDraft {
    fn keep(self: Box<Self>) -> Pending<'static, ()> {
        Box::pin(async move {
            let bytes = self.bytes.into_inner();
            self.store.blobs().insert(self.name, bytes);
            Ok(())
        })
    }
}

impl Write for MemoryDraft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for MemoryDraft {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::scratch::Scratch;
    use crate::files::{Metadata, TensorReader, TensorSpec, TensorWriter};
    use crate::platform::{Folder, block_on};

    /// The same for every store.
    fn each(test: impl Fn(&dyn Store)) {
        let dir = Scratch::new();
        test(&Folder::new(dir.file("made/when/written")));
        test(&Memory::new());
    }

    fn get(store: &dyn Store, name: &str) -> Option<Vec<u8>> {
        block_on(store.get(name)).unwrap()
    }

    #[test]
    fn what_is_put_comes_back() {
        each(|store| {
            assert_eq!(get(store, "a"), None);
            block_on(store.put("a", b"old")).unwrap();
            block_on(store.put("b", b"")).unwrap();
            block_on(store.put("a", b"new")).unwrap();
            assert_eq!((get(store, "a"), get(store, "b")), (Some(b"new".to_vec()), Some(Vec::new())));
        });
    }

    #[test]
    fn a_draft_is_seen_when_it_is_kept() {
        each(|store| {
            block_on(store.put("a", b"old")).unwrap();
            let mut draft = block_on(store.create("a")).unwrap();
            draft.write_all(b"new, and long").unwrap();
            draft.flush().unwrap();
            assert_eq!(get(store, "a"), Some(b"old".to_vec()));
            drop(draft);
            assert_eq!(get(store, "a"), Some(b"old".to_vec()));
            let mut draft = block_on(store.create("a")).unwrap();
            draft.write_all(b"new").unwrap();
            draft.rewind().unwrap();
            draft.write_all(b"N").unwrap();
            block_on(draft.keep()).unwrap();
            assert_eq!(get(store, "a"), Some(b"New".to_vec()));
        });
    }

    #[test]
    fn lines_are_added_at_the_end() {
        each(|store| {
            block_on(store.append("log", b"1\n")).unwrap();
            block_on(store.append("log", b"2\n")).unwrap();
            assert_eq!(get(store, "log"), Some(b"1\n2\n".to_vec()));
        });
    }

    #[test]
    fn tensors_are_written_and_read_bit_by_bit() {
        each(|store| {
            let spec = |name: &str| TensorSpec { name: name.into(), shape: vec![2, 2], integers: false };
            let draft = block_on(store.create("t")).unwrap();
            let path = store.path("t");
            let mut writer =
                TensorWriter::new(&path, draft, &[spec("x"), spec("y")], &Metadata::new()).unwrap();
            for row in [[1.0f32, 2.0], [3.0, 4.0]] {
                writer.append("y", &row).unwrap();
                writer.append("x", &row.map(|v| -v)).unwrap();
            }
            block_on(writer.finish().unwrap().keep()).unwrap();
            let blob = block_on(store.open("t")).unwrap().unwrap();
            let reader = TensorReader::new(&path, blob).unwrap();
            let mut values = Vec::new();
            reader.read("x", 2, 2, &mut values).unwrap();
            reader.read("y", 1, 2, &mut values).unwrap();
            assert_eq!(values, [-3.0, -4.0, 2.0, 3.0]);
        });
    }

    #[test]
    fn a_folder_says_what_is_in_the_way() {
        let dir = Scratch::new();
        std::fs::create_dir(dir.file("a")).unwrap();
        let folder = Folder::new(dir.file(""));
        let store: &dyn Store = &folder;
        let says = |outcome: Result<()>| {
            let message = outcome.unwrap_err().to_string();
            assert!(message.contains("found a directory"), "{message}");
        };
        says(block_on(store.get("a")).map(drop));
        says(block_on(store.put("a", b"x")));
        assert!(Folder::of("/").is_err() && Folder::of("..").is_err());
        let (folder, name) = Folder::of("runs/x.safetensors").unwrap();
        assert_eq!(folder.path(&name), Path::new("runs/x.safetensors"));
        assert_eq!(Folder::of("x").map(|(folder, name)| folder.path(&name)).unwrap(), Path::new("x"));
    }
}
