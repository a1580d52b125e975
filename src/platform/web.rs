//! A browser: one thread that may not wait, and the origin's private file system.

use std::io::{self, Cursor, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use js_sys::Uint8Array;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    DomException, File, FileSystemCreateWritableOptions, FileSystemDirectoryHandle, FileSystemFileHandle,
    FileSystemGetDirectoryOptions, FileSystemGetFileOptions, FileSystemWritableFileStream, StorageManager,
    Window, WorkerGlobalScope,
};

use super::store::{Draft, Pending, Store};
use crate::Error;
use crate::files::ReadSeek;

/// Files that only pages of this origin see, in a folder of the origin's private file system. A file that is read is in
/// memory whole, and so is one that is written until it is kept.
#[derive(Debug, Clone)]
pub struct OriginFiles {
    folder: String,
}

impl OriginFiles {
    /// The folder of this name at the top, made where it is missing.
    pub fn new(folder: &str) -> Self {
        Self { folder: folder.to_string() }
    }

    async fn folder(&self) -> std::result::Result<FileSystemDirectoryHandle, JsValue> {
        let top: FileSystemDirectoryHandle = JsFuture::from(storage()?.get_directory()).await?.dyn_into()?;
        let options = FileSystemGetDirectoryOptions::new();
        options.set_create(true);
        JsFuture::from(top.get_directory_handle_with_options(&self.folder, &options)).await?.dyn_into()
    }

    async fn read(&self, name: &str) -> std::result::Result<Option<Vec<u8>>, JsValue> {
        let handle: FileSystemFileHandle =
            match JsFuture::from(self.folder().await?.get_file_handle(name)).await {
                Ok(handle) => handle.dyn_into()?,
                Err(error) if is_not_found(&error) => return Ok(None),
                Err(error) => return Err(error),
            };
        let file: File = JsFuture::from(handle.get_file()).await?.dyn_into()?;
        Ok(Some(Uint8Array::new(&JsFuture::from(file.array_buffer()).await?).to_vec()))
    }

    /// Writes all of a file, or what comes at its end. The browser writes a copy and swaps it in when it is closed.
    async fn write(&self, name: &str, bytes: &[u8], at_end: bool) -> std::result::Result<(), JsValue> {
        let create = FileSystemGetFileOptions::new();
        create.set_create(true);
        let handle = self.folder().await?.get_file_handle_with_options(name, &create);
        let handle: FileSystemFileHandle = JsFuture::from(handle).await?.dyn_into()?;
        let options = FileSystemCreateWritableOptions::new();
        options.set_keep_existing_data(at_end);
        let stream: FileSystemWritableFileStream =
            JsFuture::from(handle.create_writable_with_options(&options)).await?.dyn_into()?;
        if at_end {
            let file: File = JsFuture::from(handle.get_file()).await?.dyn_into()?;
            JsFuture::from(stream.seek_with_f64(file.size())?).await?;
        }
        JsFuture::from(stream.write_with_js_u8_array(&Uint8Array::from(bytes))?).await?;
        JsFuture::from(stream.close()).await?;
        Ok(())
    }

    fn error(&self, name: &str, doing: &str, error: &JsValue) -> Error {
        let why = match error.dyn_ref::<DomException>() {
            Some(error) => format!("{}: {}", error.name(), error.message()),
            None => format!("{error:?}"),
        };
        let advice = "see that the page is served over https or from localhost, and that storage is left";
        Error::file(self.path(name), format!("can't be {doing} in the browser's storage ({why}); {advice}"))
    }
}

impl Store for OriginFiles {
    fn path(&self, name: &str) -> PathBuf {
        Path::new(&self.folder).join(name)
    }

    fn open<'a>(&'a self, name: &'a str) -> Pending<'a, Option<Box<dyn ReadSeek>>> {
        Box::pin(async move {
            let found = self.read(name).await.map_err(|e| self.error(name, "read", &e))?;
            Ok(found.map(|bytes| Box::new(Cursor::new(bytes)) as Box<dyn ReadSeek>))
        })
    }

    fn create<'a>(&'a self, name: &'a str) -> Pending<'a, Box<dyn Draft>> {
        let draft = OriginDraft { files: self.clone(), name: name.into(), bytes: Cursor::default() };
        Box::pin(async move { Ok(Box::new(draft) as Box<dyn Draft>) })
    }

    fn append<'a>(&'a self, name: &'a str, bytes: &'a [u8]) -> Pending<'a, ()> {
        Box::pin(
            async move { self.write(name, bytes, true).await.map_err(|e| self.error(name, "written", &e)) },
        )
    }
}

#[derive(Debug)]
struct OriginDraft {
    files: OriginFiles,
    name: String,
    bytes: Cursor<Vec<u8>>,
}

impl Draft for OriginDraft {
    fn keep(self: Box<Self>) -> Pending<'static, ()> {
        Box::pin(async move {
            let Self { files, name, bytes } = *self;
            let written = files.write(&name, bytes.get_ref(), false).await;
            written.map_err(|e| files.error(&name, "written", &e))
        })
    }
}

impl Write for OriginDraft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for OriginDraft {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}

/// The storage of a page or of a worker.
fn storage() -> std::result::Result<StorageManager, JsValue> {
    let global = js_sys::global();
    if let Some(window) = global.dyn_ref::<Window>() {
        return Ok(window.navigator().storage());
    }
    match global.dyn_ref::<WorkerGlobalScope>() {
        Some(worker) => Ok(worker.navigator().storage()),
        None => Err(JsValue::from_str("this is neither a page nor a worker")),
    }
}

fn is_not_found(error: &JsValue) -> bool {
    error.dyn_ref::<DomException>().is_some_and(|error| error.code() == DomException::NOT_FOUND_ERR)
}
