//! Parameters on a device: one flat buffer of weights, one of gradients, one of running statistics.
//!
//! Flat, so that a gradient norm is two dispatches and an optimizer's update one, however many parameters there are. Every tensor starts at a multiple
//! of the device's binding alignment; what lies between belongs to none. There weights are 0 and stay so; a gradient may be
//! anything, and what reads it goes by [`DeviceParams::extents`].

use std::collections::BTreeMap;

use super::params::{ParamId, ParamKind, Params, ParamsId};
use crate::gpu::{Buffer, BufferSlice, Gpu};
use crate::ops::update::BLOCK;
use crate::tape::{Gradients, Meta, Tape, Tensor};
use crate::{Error, Result};

/// Bytes of weights that are copied to the device at once: so many lie on the host a second time.
const SENT_AT_ONCE: u64 = 32 << 20;

/// A network's parameters on a device.
#[derive(Debug)]
pub struct DeviceParams {
    gpu: Gpu,
    name: String,
    owner: ParamsId,
    layout: Vec<Located>,
    /// Weights that are the first of two factors, and the second ones.
    outer: BTreeMap<ParamId, ParamId>,
    weights: Buffer,
    states: Buffer,
    training: Option<Training>,
}

/// What only a network in training has.
#[derive(Debug)]
struct Training {
    gradients: Buffer,
    decay_mask: Buffer,
    extents: Buffer,
}

/// Where a parameter lies.
#[derive(Debug, Clone)]
struct Located {
    name: String,
    meta: Meta,
    kind: ParamKind,
    offset: u64,
}

impl DeviceParams {
    /// Uploads a network that will be trained. `name` says in errors whose they are.
    pub fn trainable(gpu: &Gpu, name: &str, params: &Params) -> Result<Self> {
        Self::trainable_in(gpu, name, params, &[])
    }

    /// [`DeviceParams::trainable`] of a network of whose tables some have rows that no batch reads: with each of these parameters come
    /// the numbers of the rows that are trained. The others keep their bits, and cost a step nothing: no gradient norm, update or
    /// average reads them. That is the training that all rows would have, since a row without a gradient does not change. A table
    /// that decays (`decay` of [`ParamKind::Weight`]) is trained whole, for there each row does change.
    ///
    /// Trained are whole blocks of [`BLOCK`] numbers in which such a row lies.
    pub fn trainable_in(
        gpu: &Gpu,
        name: &str,
        params: &Params,
        rows: &[(ParamId, Vec<usize>)],
    ) -> Result<Self> {
        let mut made = Self::frozen(gpu, name, params)?;
        let bytes = made.weights.size();
        let gradients = gpu.buffer(&format!("{name} gradients"), bytes)?;
        let blocks = bytes as usize / 4 / BLOCK;
        let decay_mask = gpu.buffer(&format!("{name} decay mask"), (blocks * 4) as u64)?;
        let extents = gpu.buffer(&format!("{name} extents"), (blocks * 4) as u64)?;
        let (mut mask, mut extent) = (vec![0.0f32; blocks], vec![0u32; blocks]);
        for place in made.layout.iter().filter(|p| p.kind != ParamKind::State) {
            let first = place.offset as usize / 4 / BLOCK;
            let last = first + place.meta.len().div_ceil(BLOCK);
            mask[first..last].fill(f32::from(place.kind == ParamKind::Weight { decay: true }));
            for (block, covered) in extent[first..last].iter_mut().enumerate() {
                *covered = (place.meta.len() - block * BLOCK).min(BLOCK) as u32;
            }
        }
        for (id, rows) in rows {
            let place = made.located(*id)?;
            if place.kind == (ParamKind::Weight { decay: false }) {
                let first = place.offset as usize / 4 / BLOCK;
                keep_rows(&mut extent[first..], place.meta.shape.dims(), rows);
            }
        }
        gpu.write(&decay_mask.whole(), &mask)?;
        gpu.write(&extents.whole(), &extent)?;
        made.training = Some(Training { gradients, decay_mask, extents });
        Ok(made)
    }

    /// Uploads a network that stays as it is: no gradient buffer exists for it.
    pub fn frozen(gpu: &Gpu, name: &str, params: &Params) -> Result<Self> {
        // A parameter starts at a whole block of the decay mask.
        let alignment = u64::from(gpu.caps().storage_alignment).max(BLOCK as u64 * 4);
        let (mut weights, mut states) = (0u64, 0u64);
        let layout: Vec<Located> = params
            .iter()
            .map(|param| {
                let meta = Meta::f32(param.shape.clone());
                let end = if param.kind == ParamKind::State { &mut states } else { &mut weights };
                let offset = *end;
                *end = (offset + meta.bytes()).next_multiple_of(alignment);
                Located { name: param.name.clone(), meta, kind: param.kind, offset }
            })
            .collect();
        // Each tensor is bound by itself; what training does to all of them at once goes by ranges where it must.
        let largest = layout.iter().max_by_key(|place| place.meta.bytes());
        if let Some(place) = largest {
            check(gpu, format!("{} of {name}", place.name), place.meta.bytes())?;
        }
        let made = Self {
            gpu: gpu.clone(),
            name: name.to_string(),
            owner: params.owner(),
            layout,
            outer: params.factors().collect(),
            weights: gpu.buffer(&format!("{name} weights"), weights.max(alignment))?,
            states: gpu.buffer(&format!("{name} running statistics"), states.max(alignment))?,
            training: None,
        };
        made.upload(params)?;
        Ok(made)
    }

    /// [`DeviceParams::frozen`] of a network whose values are then needed on the device alone: the host's are freed.
    pub fn moved(gpu: &Gpu, name: &str, params: &mut Params) -> Result<Self> {
        let made = Self::frozen(gpu, name, params)?;
        params.free_values();
        Ok(made)
    }

    /// Whose parameters these are.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The device.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Whether it has a gradient buffer.
    pub fn is_trainable(&self) -> bool {
        self.training.is_some()
    }

    /// Writes the values of `params`, which must be those that it was made from.
    pub fn upload(&self, params: &Params) -> Result<()> {
        let mut waiting = 0;
        for (place, param) in self.layout.iter().zip(params.iter()) {
            self.gpu.write(&self.slice(place, &self.home(place)), &param.values)?;
            waiting += place.meta.bytes();
            if waiting > SENT_AT_ONCE {
                self.gpu.send_writes()?;
                waiting = 0;
            }
        }
        Ok(())
    }

    /// Reads all values back into `params`. Blocks.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn download(&self, params: &mut Params) -> Result<()> {
        self.gpu.block_on(self.download_async(params))
    }

    /// [`DeviceParams::download`] for callers that may not block.
    pub async fn download_async(&self, params: &mut Params) -> Result<()> {
        let weights = self.gpu.read(&self.weights.whole())?.await?;
        let states = self.gpu.read(&self.states.whole())?.await?;
        self.scatter(params, &weights, &states);
        Ok(())
    }

    fn scatter(&self, params: &mut Params, weights: &[u8], states: &[u8]) {
        for (place, param) in self.layout.iter().zip(params.iter_mut()) {
            let bytes = if place.kind == ParamKind::State { states } else { weights };
            let (start, len) = (place.offset as usize, place.meta.len() * 4);
            param.values = bytemuck::pod_collect_to_vec(&bytes[start..start + len]);
        }
    }

    /// A parameter as a leaf of `tape`. It requires a gradient where it is a weight and `requires_grad`.
    pub fn leaf(&self, tape: &Tape, id: ParamId, requires_grad: bool) -> Result<Tensor> {
        let place = self.located(id)?;
        let requires_grad = requires_grad && place.kind != ParamKind::State;
        let name = format!("{}/{}", self.name, place.name);
        tape.external(&name, place.meta.clone(), self.slice(place, &self.home(place)), requires_grad)
    }

    /// The second factor of a weight that is the first one.
    pub fn outer(&self, id: ParamId) -> Option<ParamId> {
        self.outer.get(&id).copied()
    }

    /// All weights as one flat leaf.
    pub fn flat_weights(&self, tape: &Tape) -> Result<Tensor> {
        self.flat(tape, "weights", &self.weights)
    }

    /// All running statistics as one flat leaf.
    pub fn flat_states(&self, tape: &Tape) -> Result<Tensor> {
        self.flat(tape, "running statistics", &self.states)
    }

    /// All gradients as one flat leaf.
    pub fn flat_gradients(&self, tape: &Tape) -> Result<Tensor> {
        self.flat(tape, "gradients", &self.training()?.gradients)
    }

    /// Weight-decay multipliers, one for each [`BLOCK`] weights.
    pub fn decay_mask(&self, tape: &Tape) -> Result<Tensor> {
        let blocks = self.weights.size() as usize / 4 / BLOCK;
        let buffer = &self.training()?.decay_mask;
        tape.external(&format!("{}/decay mask", self.name), Meta::f32([blocks]), buffer.whole(), false)
    }

    /// For each [`BLOCK`] weights how many of them, from the first, belong to a parameter.
    pub fn extents(&self, tape: &Tape) -> Result<Tensor> {
        let blocks = self.weights.size() as usize / 4 / BLOCK;
        let buffer = &self.training()?.extents;
        tape.external(&format!("{}/extents", self.name), Meta::i32([blocks]), buffer.whole(), false)
    }

    /// Sends the gradient of parameter `id` (bound as `leaf`) to its slice of the gradient buffer. A gradient that can't
    /// be written there directly is copied. A parameter the loss does not depend on keeps a gradient of zero.
    pub fn place_gradient(&self, id: ParamId, leaf: &Tensor, gradients: &Gradients) -> Result<()> {
        let place = self.located(id)?;
        let Some(gradient) = gradients.find(leaf)? else { return Ok(()) };
        let slice = self.slice(place, &self.training()?.gradients);
        if gradient.place(slice.clone()) || gradient.copy()?.place(slice) {
            return Ok(());
        }
        Err(Error::misuse(
            format!("gradient of {}", place.name),
            "an output that can be placed",
            format!("{gradient:?}"),
        ))
    }

    /// The weight buffer, for optimizer state of the same layout.
    pub fn weights(&self) -> BufferSlice {
        self.weights.whole()
    }

    /// The running statistics' buffer.
    pub fn states(&self) -> BufferSlice {
        self.states.whole()
    }

    fn located(&self, id: ParamId) -> Result<&Located> {
        self.owner.look_up(&self.layout, id, &self.name)
    }

    fn training(&self) -> Result<&Training> {
        self.training.as_ref().ok_or_else(|| {
            Error::misuse(
                &self.name,
                "a network uploaded for training",
                "one that is frozen: it has no gradients",
            )
        })
    }

    fn flat(&self, tape: &Tape, what: &str, buffer: &Buffer) -> Result<Tensor> {
        let meta = Meta::f32([buffer.size() as usize / 4]);
        tape.external(&format!("{}/{what}", self.name), meta, buffer.whole(), false)
    }

    fn home(&self, place: &Located) -> Buffer {
        if place.kind == ParamKind::State { self.states.clone() } else { self.weights.clone() }
    }

    fn slice(&self, place: &Located, buffer: &Buffer) -> BufferSlice {
        BufferSlice { buffer: buffer.clone(), offset: place.offset, len: place.meta.bytes() }
    }
}

/// Of the extents of a table (rows, ..), from its first block on, leaves those in which one of `rows` lies; the others become 0.
fn keep_rows(extents: &mut [u32], table: &[usize], rows: &[usize]) {
    let width: usize = table.iter().skip(1).product();
    let blocks = table.iter().product::<usize>().div_ceil(BLOCK);
    let mut kept = vec![false; blocks];
    for row in rows.iter().filter(|row| table.first().is_some_and(|all| *row < all)) {
        kept[row * width / BLOCK..((row + 1) * width).div_ceil(BLOCK)].fill(true);
    }
    extents.iter_mut().zip(kept).filter(|(_, kept)| !kept).for_each(|(extent, _)| *extent = 0);
}

/// Refuses a parameter that a kernel of this adapter could not be given.
fn check(gpu: &Gpu, what: String, needed: u64) -> Result<()> {
    let limit = gpu.caps().max_binding_bytes;
    if needed <= limit {
        return Ok(());
    }
    let hint = "use a smaller model, or an adapter that binds more (limbeck adapters)".to_string();
    Err(Error::Limit { what, needed, limit, hint })
}
