//! Tensors whose values are known before anything runs: weights, shapes, axes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Component, Path};
use std::rc::Rc;

use half::{bf16, f16};

use super::proto;
use crate::{Error, files};

/// Row-major values with their sizes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct OnnxArray {
    pub dims: Vec<usize>,
    pub data: Data,
}

/// All floats are kept as f32, and all integers and truth values as i64.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Data {
    Float(Vec<f32>),
    Int(Vec<i64>),
}

/// Files that hold weights beside the model, each fetched once.
pub(super) struct External<'a> {
    fetch: &'a dyn Fn(&str) -> crate::Result<Vec<u8>>,
    fetched: RefCell<BTreeMap<String, Rc<Vec<u8>>>>,
}

impl Data {
    pub fn len(&self) -> usize {
        match self {
            Data::Float(values) => values.len(),
            Data::Int(values) => values.len(),
        }
    }
}

impl OnnxArray {
    pub fn new(dims: Vec<usize>, data: Data) -> Result<Self, String> {
        let elements = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        if elements != Some(data.len()) {
            return Err(format!("expected values for {dims:?}, found {}", data.len()));
        }
        Ok(Self { dims, data })
    }

    /// A list of numbers, such as a shape.
    pub fn ints(values: Vec<i64>) -> Self {
        Self { dims: vec![values.len()], data: Data::Int(values) }
    }

    pub fn floats(values: Vec<f32>) -> Self {
        Self { dims: vec![values.len()], data: Data::Float(values) }
    }

    /// One number.
    pub fn scalar(data: Data) -> Self {
        Self { dims: Vec::new(), data }
    }

    /// Its numbers, where they are integers.
    pub fn as_ints(&self) -> Result<&[i64], String> {
        match &self.data {
            Data::Int(values) => Ok(values),
            Data::Float(_) => Err(format!("expected integers, found floats {:?}", self.dims)),
        }
    }

    /// Its one number, of either kind.
    pub fn number(&self) -> Option<f32> {
        match &self.data {
            Data::Float(values) if values.len() == 1 => values.first().copied(),
            Data::Int(values) if values.len() == 1 => values.first().map(|&n| n as f32),
            _ => None,
        }
    }

    /// As f32.
    pub fn to_floats(&self) -> Vec<f32> {
        match &self.data {
            Data::Float(values) => values.clone(),
            Data::Int(values) => values.iter().map(|&n| n as f32).collect(),
        }
    }

    /// From a file's message, with the data where it lies.
    pub fn read(tensor: &proto::Tensor<'_>, external: &External<'_>) -> Result<Self, String> {
        let dims = tensor.dims.iter().map(|&d| usize::try_from(d).map_err(|_| format!("a size of {d}")));
        let dims = dims.collect::<Result<Vec<_>, _>>()?;
        let data = match &tensor.external {
            Some(place) => {
                let (file, range) = external.open(place)?;
                decode(tensor.data_type, &file[range])?
            }
            None => match tensor.raw {
                Some(raw) => decode(tensor.data_type, raw)?,
                None => listed(tensor)?,
            },
        };
        Self::new(dims, data)
    }
}

/// Values out of raw bytes.
fn decode(data_type: i64, raw: &[u8]) -> Result<Data, String> {
    fn all<const N: usize, T>(raw: &[u8], of: impl Fn([u8; N]) -> T) -> Result<Vec<T>, String> {
        let (chunks, rest) = raw.as_chunks();
        if !rest.is_empty() {
            return Err(format!("{} bytes are no whole number of elements", raw.len()));
        }
        Ok(chunks.iter().map(|&chunk| of(chunk)).collect())
    }
    Ok(match data_type {
        1 => Data::Float(all(raw, f32::from_le_bytes)?),
        10 => Data::Float(all(raw, |b| f16::from_le_bytes(b).to_f32())?),
        11 => Data::Float(all(raw, |b| f64::from_le_bytes(b) as f32)?),
        16 => Data::Float(all(raw, |b| bf16::from_le_bytes(b).to_f32())?),
        2 | 9 => Data::Int(all(raw, |b| u8::from_le_bytes(b).into())?),
        3 => Data::Int(all(raw, |b| i8::from_le_bytes(b).into())?),
        6 => Data::Int(all(raw, |b| i32::from_le_bytes(b).into())?),
        7 => Data::Int(all(raw, i64::from_le_bytes)?),
        other => return Err(format!("element type {other} is not supported; expected floats or integers")),
    })
}

/// Values that the message lists one by one.
fn listed(tensor: &proto::Tensor<'_>) -> Result<Data, String> {
    Ok(match tensor.data_type {
        1 | 11 => Data::Float(tensor.floats.clone()),
        10 => Data::Float(tensor.ints.iter().map(|&bits| f16::from_bits(bits as u16).to_f32()).collect()),
        16 => Data::Float(tensor.ints.iter().map(|&bits| bf16::from_bits(bits as u16).to_f32()).collect()),
        2 | 3 | 6 | 7 | 9 => Data::Int(tensor.ints.clone()),
        other => return Err(format!("element type {other} is not supported; expected floats or integers")),
    })
}

impl<'a> External<'a> {
    /// Gets each from `fetch`, by its location: a path relative to the model's folder.
    pub fn new(fetch: &'a dyn Fn(&str) -> crate::Result<Vec<u8>>) -> Self {
        Self { fetch, fetched: RefCell::default() }
    }

    /// The locations of those that were read, in order.
    pub fn locations(&self) -> Vec<String> {
        self.fetched.borrow().keys().cloned().collect()
    }

    /// A file and the part of it that `place` (location, offset, length) means.
    fn open(&self, place: &[(String, String)]) -> Result<(Rc<Vec<u8>>, std::ops::Range<usize>), String> {
        let value = |key: &str| place.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str());
        let number = |key: &str| match value(key) {
            None => Ok(None),
            Some(text) => text.parse::<usize>().map(Some).map_err(|_| format!("external {key} \"{text}\"")),
        };
        let location = value("location").ok_or("external data without a location")?;
        let file = self.file(location)?;
        let from = number("offset")?.unwrap_or(0);
        let to = match number("length")? {
            Some(length) => from.checked_add(length),
            None => Some(file.len()),
        };
        match to {
            Some(to) if from <= to && to <= file.len() => Ok((file, from..to)),
            _ => Err(format!(
                "its data should be at byte {from} of {location}, which has {} bytes",
                file.len()
            )),
        }
    }

    /// A file beside the model. A model from elsewhere must not make limbeck read any other file of this machine.
    fn file(&self, location: &str) -> Result<Rc<Vec<u8>>, String> {
        let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        if location.is_empty() || location.contains('\\') || !Path::new(location).components().all(plain) {
            let message = format!("its data is in \"{location}\", which is outside the model's folder");
            return Err(message);
        }
        if let Some(found) = self.fetched.borrow().get(location) {
            return Ok(found.clone());
        }
        let fetched = (self.fetch)(location).map_err(|e| format!("its data is in another file: {e}"))?;
        let bytes = Rc::new(fetched);
        self.fetched.borrow_mut().insert(location.to_string(), bytes.clone());
        Ok(bytes)
    }
}

/// Reads a file beside a model on disk.
pub(super) fn read_beside(model: &Path, location: &str) -> crate::Result<Vec<u8>> {
    let folder = folder_of(model);
    let path = folder.join(location);
    // A link may lead outside.
    if let (Ok(file), Ok(folder)) = (path.canonicalize(), folder.canonicalize())
        && !file.starts_with(folder)
    {
        return Err(Error::file(path, "is a link that leads outside the model's folder"));
    }
    files::read(path)
}

/// The folder that a model is in.
pub(super) fn folder_of(model: &Path) -> &Path {
    model.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
