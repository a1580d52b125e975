//! A compiled step: what is written, run and read.

use std::collections::HashMap;

use super::cost::Cost;
use super::element::Element;
use super::graph::{TapeId, TensorId};
use super::shape::{DType, Meta};
use super::step::Step;
use super::tensor::Handle;
use crate::gpu::{Buffer, BufferSlice, Gpu, Readback, Recording};
use crate::{Error, Result};

/// A compiled step. [`Plan::run`] writes one uniform and makes one submit, or a few where the work is long (see
/// [`SubmitLimit`](crate::gpu::SubmitLimit)); nothing is created after [`Plan::new`].
///
/// What changes from step to step without a new plan is a [`Scalar`](super::Scalar):
///
/// ```
/// use limbeck::gpu::{AdapterRequest, Gpu, GpuOptions};
/// use limbeck::tape::{Plan, Step, Tape};
///
/// # fn main() -> limbeck::Result<()> {
/// # let gpu = Gpu::open_blocking(&AdapterRequest::from_env()?, GpuOptions::default())?;
/// let tape = Tape::new();
/// let (x, weight) = (tape.input("x", [2]), tape.scalar("weight")?);
/// let y = x.scale_by(weight)?;
/// let plan = Plan::new(&gpu, &tape, &[&y])?;
/// // From here on handles will do: the plan and they can go to another thread, without the tape.
/// let (x, y) = (x.handle(), y.handle());
/// plan.write(x, &[1.0f32, 2.0])?;
/// for (number, value) in [0.5, 0.25].into_iter().enumerate() {
///     let mut step = Step::new(number as u32, 0);
///     step.set(weight, value);
///     plan.run(&step)?;
///     assert_eq!(plan.read_f32(y)?, [value, 2.0 * value]);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Plan {
    pub(super) gpu: Gpu,
    /// The tape it was made of, and the names of that one's scalars.
    pub(super) tape: TapeId,
    pub(super) scalars: Vec<String>,
    pub(super) recording: Recording,
    pub(super) nodes: Vec<PlannedNode>,
    pub(super) step_uniform: Buffer,
    pub(super) storage: HashMap<TensorId, (Meta, BufferSlice)>,
    pub(super) cost: Cost,
}

/// A node of a plan.
pub(super) struct PlannedNode {
    pub name: String,
    pub commands: std::ops::Range<usize>,
    /// Place in [`Cost::nodes`]; none for an alias.
    pub cost: Option<usize>,
    /// Each with where it lies, and whether it is stored as f16.
    pub outputs: Vec<(Meta, BufferSlice, bool)>,
    pub has_effect: bool,
}

impl Plan {
    /// What a step costs.
    pub fn cost(&self) -> &Cost {
        &self.cost
    }

    /// The device it runs on.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Whether anything of the plan reads this input, or it is an output: only then it can be written and read.
    pub fn holds(&self, tensor: impl Into<Handle>) -> bool {
        self.storage.contains_key(&tensor.into().id)
    }

    /// Writes an input tensor: exactly as many values as it has elements, of its type.
    ///
    /// # Errors
    /// [`Error::Shape`] for other values, [`Error::Misuse`] for a tensor that the plan does not hold.
    pub fn write<T: Element>(&self, tensor: impl Into<Handle>, values: &[T]) -> Result<()> {
        let (meta, slice) = self.find(tensor.into())?;
        if T::DTYPE != meta.dtype || values.len() != meta.len() {
            let got = Meta { shape: [values.len()].into(), dtype: T::DTYPE };
            return Err(Error::shape("write", format!("{} values for {meta}", meta.len()), got.to_string()));
        }
        self.gpu.write(slice, values)
    }

    /// Writes an input tensor by the bytes of its elements, as files have them: little-endian, exactly as many.
    ///
    /// # Errors
    /// As [`Plan::write`].
    pub fn write_bytes(&self, tensor: impl Into<Handle>, bytes: &[u8]) -> Result<()> {
        let (meta, slice) = self.find(tensor.into())?;
        if bytes.len() != meta.len() * 4 {
            let expected = format!("{} bytes for {meta}", meta.len() * 4);
            return Err(Error::shape("write", expected, bytes.len().to_string()));
        }
        self.gpu.write(slice, bytes)
    }

    /// Runs one step: one uniform write, and for each of [`Cost::submits`] one encoder, one pass, one submit. Returns at
    /// once.
    ///
    /// # Errors
    /// [`Error::Misuse`] where a scalar of the plan was set as another tape's.
    pub fn run(&self, step: &Step) -> Result<()> {
        self.write_step(step)?;
        self.recording.submit(&self.gpu, 0..self.recording.len())
    }

    fn write_step(&self, step: &Step) -> Result<()> {
        self.gpu.write(&self.step_uniform.whole(), &[step.uniform(self.tape, &self.scalars)?])
    }

    /// Starts reading an output (or an input, or a caller's tensor) as of the last run.
    pub fn read(&self, tensor: impl Into<Handle>) -> Result<Readback> {
        let (meta, slice) = self.find(tensor.into())?;
        self.gpu.read(&BufferSlice { len: meta.len() as u64 * 4, ..slice.clone() })
    }

    /// Starts reading what has elements of this type.
    fn read_as<T: Element>(&self, tensor: Handle) -> Result<Readback> {
        let (meta, _) = self.find(tensor)?;
        if T::DTYPE != meta.dtype {
            let expected = Meta { shape: meta.shape.clone(), dtype: T::DTYPE };
            return Err(Error::shape("read", expected.to_string(), meta.to_string()));
        }
        self.read(tensor)
    }

    /// [`Plan::read`] for callers that may block, as f32.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn read_f32(&self, tensor: impl Into<Handle>) -> Result<Vec<f32>> {
        Ok(bytemuck::pod_collect_to_vec(&self.read_as::<f32>(tensor.into())?.wait()?))
    }

    /// [`Plan::read`] for callers that may not block, as f32.
    pub async fn read_f32_async(&self, tensor: impl Into<Handle>) -> Result<Vec<f32>> {
        Ok(bytemuck::pod_collect_to_vec(&self.read_as::<f32>(tensor.into())?.await?))
    }

    /// [`Plan::read`] for callers that may block, as i32.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn read_i32(&self, tensor: impl Into<Handle>) -> Result<Vec<i32>> {
        Ok(bytemuck::pod_collect_to_vec(&self.read_as::<i32>(tensor.into())?.wait()?))
    }

    /// [`Plan::read`] for callers that may not block, as i32.
    pub async fn read_i32_async(&self, tensor: impl Into<Handle>) -> Result<Vec<i32>> {
        Ok(bytemuck::pod_collect_to_vec(&self.read_as::<i32>(tensor.into())?.await?))
    }

    /// Reruns the step node by node and names the first one whose output holds NaN or infinity. Slow: for error
    /// messages. Optimizer updates are left out.
    pub async fn first_non_finite(&self, step: &Step) -> Result<Option<String>> {
        self.write_step(step)?;
        for node in self.nodes.iter().filter(|n| !(n.has_effect && n.outputs.is_empty())) {
            self.recording.submit(&self.gpu, node.commands.clone())?;
            for (meta, slice, half) in node.outputs.iter().filter(|(m, ..)| m.dtype == DType::F32) {
                let len = meta.len() as u64 * if *half { 2 } else { 4 };
                let bytes = self.gpu.read(&BufferSlice { len, ..slice.clone() })?.await?;
                if !all_finite(&bytes, *half) {
                    return Ok(Some(format!("{} ({meta})", node.name)));
                }
            }
        }
        Ok(None)
    }

    fn find(&self, tensor: Handle) -> Result<&(Meta, BufferSlice)> {
        self.storage.get(&tensor.id).ok_or_else(|| {
            let of = if tensor.id.1 == self.tape { "of its tape" } else { "of another tape" };
            let expected = "an input of the plan, or an output it was made with";
            Error::misuse("plan", expected, format!("tensor {} {of}", tensor.id.0))
        })
    }
}

fn all_finite(bytes: &[u8], half: bool) -> bool {
    if half {
        bytes.chunks_exact(2).all(|b| half::f16::from_le_bytes([b[0], b[1]]).is_finite())
    } else {
        bytes.chunks_exact(4).all(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]).is_finite())
    }
}
