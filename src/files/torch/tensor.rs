//! A tensor of a state dict: a strided window on a storage.

use std::rc::Rc;

use safetensors::Dtype;

use super::value::{Global, Value};

/// A run of values that tensors share.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Storage {
    pub dtype: Dtype,
    /// The name of its bytes in the archive.
    pub key: Rc<str>,
    /// Elements that it claims to have.
    pub len: usize,
}

/// Offset, sizes and strides in elements of a storage. All of it lies inside the storage.
#[derive(Debug)]
pub(super) struct TensorView {
    pub storage: Rc<Storage>,
    offset: usize,
    pub shape: Vec<usize>,
    strides: Vec<usize>,
}

impl Storage {
    /// From the tuple ("storage", type, key, device, length).
    pub fn from_id(items: &[Value]) -> Result<Self, String> {
        match items {
            [
                Value::Text(kind),
                Value::Global(Global::Storage(dtype)),
                Value::Text(key),
                Value::Text(_),
                Value::Int(len),
                ..,
            ] if &**kind == "storage" => {
                let len = usize::try_from(*len).map_err(|_| format!("a storage of {len} elements"))?;
                Ok(Self { dtype: *dtype, key: key.clone(), len })
            }
            _ => Err("a reference that is no storage of a known type".into()),
        }
    }

    pub fn bytes(&self) -> Option<usize> {
        self.len.checked_mul(self.dtype.bitsize() / 8)
    }
}

impl TensorView {
    pub fn new(
        storage: Rc<Storage>,
        offset: i64,
        shape: Vec<usize>,
        strides: Vec<usize>,
    ) -> Result<Self, String> {
        let fail = || {
            format!("a tensor {shape:?} with strides {strides:?} at {offset} of a storage of {}", storage.len)
        };
        let offset = usize::try_from(offset).map_err(|_| fail())?;
        let elements = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).ok_or_else(fail)?;
        if shape.len() != strides.len() {
            return Err(fail());
        }
        let last = shape.iter().zip(&strides).try_fold(offset, |last, (&size, &stride)| {
            last.checked_add(size.saturating_sub(1).checked_mul(stride)?)
        });
        // A view that repeats elements would make a small file claim any amount of memory.
        if elements > 0 && (last.is_none_or(|last| last >= storage.len) || elements > storage.len) {
            return Err(fail());
        }
        Ok(Self { storage, offset, shape, strides })
    }

    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Its bytes, row-major, out of the storage's.
    pub fn gather(&self, storage: &[u8]) -> Vec<u8> {
        let width = self.storage.dtype.bitsize() / 8;
        if self.len() == 0 {
            // Its offset may be anything.
            return Vec::new();
        }
        if self.is_contiguous() {
            return storage[self.offset * width..][..self.len() * width].to_vec();
        }
        let mut out = Vec::with_capacity(self.len() * width);
        let mut index = vec![0; self.shape.len()];
        for _ in 0..self.len() {
            let at: usize = self.offset + index.iter().zip(&self.strides).map(|(i, s)| i * s).sum::<usize>();
            out.extend_from_slice(&storage[at * width..][..width]);
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                if index[axis] < self.shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        out
    }

    fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(&size, &stride)| {
            let fits = size == 1 || stride == expected;
            expected *= size;
            fits
        })
    }
}
