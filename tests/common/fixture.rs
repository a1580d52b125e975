//! PyTorch's results (tests/fixtures/README.md), and the rule by which they are compared.

use std::collections::HashMap;
use std::path::PathBuf;

use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// A description and the tensors beside it.
pub struct Fixture {
    pub json: Value,
    tensors: HashMap<String, Stored>,
}

struct Stored {
    shape: Vec<usize>,
    dtype: Dtype,
    bytes: Vec<u8>,
}

/// Where a fixture file lies.
pub fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(file)
}

impl Fixture {
    /// `name`.json and `name`.safetensors.
    pub fn load(name: &str) -> Self {
        let json = serde_json::from_str(&std::fs::read_to_string(path(&format!("{name}.json"))).unwrap());
        let bytes = std::fs::read(path(&format!("{name}.safetensors"))).unwrap();
        let all = SafeTensors::deserialize(&bytes).unwrap();
        let stored = all.iter().map(|(key, t)| {
            let (shape, bytes) = (t.shape().to_vec(), t.data().to_vec());
            (key.to_string(), Stored { shape, dtype: t.dtype(), bytes })
        });
        Self { json: json.unwrap(), tensors: stored.collect() }
    }

    pub fn has(&self, key: &str) -> bool {
        self.tensors.contains_key(key)
    }

    pub fn is_i32(&self, key: &str) -> bool {
        self.tensor(key).dtype == Dtype::I32
    }

    pub fn shape(&self, key: &str) -> &[usize] {
        &self.tensor(key).shape
    }

    pub fn bytes(&self, key: &str) -> &[u8] {
        &self.tensor(key).bytes
    }

    pub fn f32s(&self, key: &str) -> Vec<f32> {
        bytemuck::pod_collect_to_vec(self.bytes(key))
    }

    pub fn i32s(&self, key: &str) -> Vec<i32> {
        bytemuck::pod_collect_to_vec(self.bytes(key))
    }

    fn tensor(&self, key: &str) -> &Stored {
        self.tensors.get(key).unwrap_or_else(|| panic!("no tensor {key} in the fixture"))
    }
}

/// `|got - want| <= tol * max(|want|, rms(want), 0.01)` for each element, or the worst one in words.
pub fn mismatch(got: &[f32], want: &[f32], tol: f64) -> Option<String> {
    if got.len() != want.len() {
        return Some(format!("{} elements, expected {}", got.len(), want.len()));
    }
    let rms = (want.iter().map(|&w| f64::from(w).powi(2)).sum::<f64>() / want.len() as f64).sqrt();
    let share = |(&g, &w): (&f32, &f32)| {
        let (g, w) = (f64::from(g), f64::from(w));
        // NaN compares with nothing: it must not get lost among the shares.
        let share = (g - w).abs() / (tol * w.abs().max(rms).max(0.01));
        if share.is_nan() { f64::INFINITY } else { share }
    };
    let (at, worst) = got.iter().zip(want).map(share).enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
    (worst > 1.0).then(|| {
        format!("[{at}]: got {:e}, expected {:e}, {worst:.1} times what {tol:.0e} allows", got[at], want[at])
    })
}
