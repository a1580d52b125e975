//! The two outer forms of a PyTorch file, and where each keeps a storage's bytes.

use std::collections::HashMap;

use rawzip::{CompressionMethod, ZipArchive};

use super::pickle::Machine;
use super::tensor::Storage;
use super::value::Value;

/// The pickle's contents, and the storages by key.
pub(super) struct Archive<'a> {
    pub machine: Machine<'a>,
    pub root: Value,
    storages: HashMap<String, &'a [u8]>,
}

/// The legacy format begins with a pickle of the number 0x1950a86a20f9469cfc6c; these are its low 8 bytes.
const LEGACY_MAGIC: i64 = 0xa86a_20f9_469c_fc6c_u64 as i64;

type Refusal = String;

/// Reads the pickle of either form.
pub(super) fn open(bytes: &[u8]) -> Result<Archive<'_>, Refusal> {
    if bytes.starts_with(b"PK") { open_zip(bytes) } else { open_legacy(bytes) }
}

impl Archive<'_> {
    /// A storage's bytes, as many as it claims.
    pub fn storage(&self, storage: &Storage) -> Result<&[u8], Refusal> {
        let key = &storage.key;
        let bytes = self.storages.get(&**key).ok_or_else(|| format!("the file has no storage {key:?}"))?;
        let needed = storage.bytes().unwrap_or(usize::MAX);
        bytes
            .get(..needed)
            .ok_or_else(|| format!("storage {key:?} should have {needed} bytes and has {}", bytes.len()))
    }
}

/// `<folder>/data.pkl` and `<folder>/data/<key>`, uncompressed.
fn open_zip(bytes: &[u8]) -> Result<Archive<'_>, Refusal> {
    let damaged = |e: rawzip::Error| format!("the zip archive is damaged or cut short ({e})");
    let archive = ZipArchive::from_slice(bytes).map_err(damaged)?;
    let mut files: HashMap<String, &[u8]> = HashMap::new();
    for record in archive.entries() {
        let record = record.map_err(damaged)?;
        let path = record.file_path();
        let name = String::from_utf8_lossy(path.as_bytes()).into_owned();
        if record.compression_method() != CompressionMethod::STORE {
            return Err(format!("{name:?} is compressed, which PyTorch does not do"));
        }
        let entry = archive.get_entry(record.wayfinder()).map_err(damaged)?;
        let (from, to) = entry.compressed_data_range();
        let data = bytes.get(from as usize..to as usize).unwrap_or(&[]);
        let mut crc = flate2::Crc::new();
        crc.update(data);
        if crc.sum() != record.crc32() {
            return Err(format!("{name:?} is damaged: its checksum is wrong"));
        }
        if files.insert(name.clone(), data).is_some() {
            return Err(format!("there are two files {name:?}"));
        }
    }
    let pickle =
        files.keys().filter(|name| name.ends_with("data.pkl")).min_by_key(|name| name.len()).cloned();
    let pickle = pickle.ok_or("the zip archive has no data.pkl")?;
    let folder = pickle.strip_suffix("data.pkl").unwrap_or("").to_string();
    if files.keys().any(|name| name.starts_with(&format!("{folder}code/"))) {
        return Err("it is a TorchScript program".into());
    }
    if files.get(&format!("{folder}byteorder")).is_some_and(|order| *order != b"little") {
        return Err("its numbers are big-endian".into());
    }
    let mut machine = Machine::new(files[&pickle]);
    let root = machine.run()?;
    let data = format!("{folder}data/");
    let storages =
        files.into_iter().filter_map(|(name, bytes)| Some((name.strip_prefix(&data)?.to_string(), bytes)));
    let storages = storages.collect();
    Ok(Archive { machine, root, storages })
}

/// Pickles of a magic number, a protocol number, facts about the machine, the contents and the list of storage keys;
/// then, for each key, the number of elements and the bytes.
fn open_legacy(bytes: &[u8]) -> Result<Archive<'_>, Refusal> {
    let mut machine = Machine::new(bytes);
    match machine.run()? {
        Value::Int(LEGACY_MAGIC) => {}
        _ => return Err("it is a pickle, but not one of torch.save".into()),
    }
    machine.run()?;
    machine.run()?;
    let root = machine.run()?;
    let widths = machine.storage_widths().clone();
    let keys = machine.run()?;
    let keys = machine.items(&keys).ok_or("the list of storages is missing")?;
    let (mut at, mut storages) = (machine.position(), HashMap::new());
    for key in keys {
        let Value::Text(key) = key else { return Err("a storage's name is not text".into()) };
        let width = *widths.get(&**key).ok_or_else(|| format!("storage {key:?} belongs to no tensor"))?;
        let cut = || format!("the file ends at byte {}, inside storage {key:?}", bytes.len());
        let rest = bytes.get(at..).ok_or_else(cut)?;
        let (count, rest) = rest.split_first_chunk::<8>().ok_or_else(cut)?;
        let length = usize::try_from(u64::from_le_bytes(*count)).ok().and_then(|n| n.checked_mul(width));
        let data = length.and_then(|length| rest.get(..length)).ok_or_else(cut)?;
        at += 8 + data.len();
        storages.insert(key.to_string(), data);
    }
    Ok(Archive { machine, root, storages })
}
