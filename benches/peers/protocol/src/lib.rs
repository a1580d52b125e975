//! What every peer program speaks, on standard input and output, one line each:
//!
//! ```text
//!                          -> {"about": "burn 0.22.1, llvmpipe ..."}      once the device is open
//! prepare cnn cnn.safetensors -> {"ms": 12.5}
//! run 3                    -> {"ms": 81.2, "values": [2.302]}            3 runs, from the first to an idle device
//! ```
//!
//! `values` say what the last run computed; they are read after the clock has stopped.

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::time::Instant;

use safetensors::SafeTensors;
use serde_json::{Value, json};

/// Any error: a peer that meets one says so and ends.
pub type Failure = Box<dyn std::error::Error>;

/// Of the distillation loss.
pub const TEMPERATURE: f32 = 4.0;
/// Share of the cross-entropy in the small network's loss; the distillation loss has the rest.
pub const HARD: f32 = 0.1;
/// Of the training steps on images, by SGD.
pub const LEARNING_RATE: f64 = 0.01;
/// Of the encoder's training step, by AdamW.
pub const ENCODER_RATE: f64 = 1e-3;
/// Of the training steps on images, by SGD.
pub const MOMENTUM: f64 = 0.9;
/// Channels of ResNet-20's stages, each of which has three blocks.
pub const RESNET20: [usize; 3] = [16, 32, 64];

/// Values and shape of a tensor.
#[derive(Debug, Clone)]
pub struct Tensor {
    /// Outermost dimension first.
    pub shape: Vec<usize>,
    /// Row-major.
    pub data: Vec<f32>,
}

/// The tensors of a file: inputs are named `input.x` and the like, weights as in PyTorch.
pub struct Tensors(HashMap<String, Tensor>);

impl Tensors {
    /// Reads a safetensors file of f32 tensors.
    pub fn read(path: &str) -> Result<Self, Failure> {
        let bytes = std::fs::read(path).map_err(|e| format!("{path}: {e}"))?;
        let decode = |bytes: &[u8]| bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        let file = SafeTensors::deserialize(&bytes).map_err(|e| format!("{path}: {e}"))?;
        let named = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
            (name, Tensor { shape: view.shape().to_vec(), data: decode(view.data()) })
        };
        Ok(Self(file.tensors().into_iter().map(named).collect()))
    }

    /// The tensor of a name.
    pub fn get(&self, name: &str) -> Result<&Tensor, Failure> {
        self.0.get(name).ok_or_else(|| format!("the file has no tensor {name}").into())
    }

    /// The class of each image.
    pub fn labels(&self) -> Result<Vec<u8>, Failure> {
        Ok(self.get("input.labels")?.data.iter().map(|&label| label as u8).collect())
    }

    /// All that are no inputs, by name.
    pub fn weights(&self) -> impl Iterator<Item = (&String, &Tensor)> {
        self.0.iter().filter(|(name, _)| !name.starts_with("input."))
    }
}

/// Prepared work: it can be run as often as wanted.
pub trait Work {
    /// Does the work so many times, and returns when the device is idle.
    fn run(&mut self, times: u32) -> Result<(), Failure>;
    /// What the last run computed: the loss of a training step, [`digest`]s of everything else.
    fn values(&mut self) -> Result<Vec<f64>, Failure>;
}

/// Two numbers that say whether two results are equal: the Euclidean norm, and the product with a fixed vector of unit
/// norm, which differs by at most the norm of the difference. A sum would hide errors that cancel.
pub fn digest(values: &[f32]) -> [f64; 2] {
    let (mut squares, mut probe, mut unit) = (0.0, 0.0, 0.0);
    for (i, &value) in values.iter().enumerate() {
        let (value, weight) = (f64::from(value), (i * 37 % 101) as f64 - 50.0);
        squares += value * value;
        probe += value * weight;
        unit += weight * weight;
    }
    [squares.sqrt(), probe / unit.sqrt()]
}

/// Answers lines until standard input ends.
pub fn serve(
    about: &str,
    mut prepare: impl FnMut(&str, &Tensors) -> Result<Box<dyn Work>, Failure>,
) -> Result<(), Failure> {
    answer(json!({ "about": about }))?;
    let mut work = None;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["prepare", name, path] => {
                let start = Instant::now();
                work = Some(prepare(name, &Tensors::read(path)?)?);
                answer(json!({ "ms": milliseconds(start) }))?;
            }
            ["run", times] => {
                let work = work.as_mut().ok_or("run before prepare")?;
                let (times, start) = (times.parse()?, Instant::now());
                work.run(times)?;
                let ms = milliseconds(start);
                answer(json!({ "ms": ms, "values": work.values()? }))?;
            }
            _ => {
                return Err(format!("expected \"prepare NAME FILE\" or \"run TIMES\", got \"{line}\"").into());
            }
        }
    }
    Ok(())
}

/// The error for work that no peer knows.
pub fn unknown(name: &str) -> Failure {
    format!("no work \"{name}\"; there are gemm, conv, conv-train, cnn, resnet20, minilm and encoder-train").into()
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn answer(line: Value) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
