//! Batches of a data set, made on a background thread.
//!
//! Every batch has the same shape: the last one is filled up with zero pixels and the label [`IGNORE_LABEL`]. The order
//! depends on nothing but (seed, epoch), so a run can be resumed at any batch.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use super::{Dataset, shuffle};
use crate::{Error, Result};

/// The label of a sample that only fills up a batch: losses and metrics skip it.
pub const IGNORE_LABEL: i32 = -1;

/// A batch above this can't be bound on any adapter (a binding is at most 2^31 bytes or so).
const MAX_BATCH_BYTES: usize = 1 << 31;

/// How to cut a data set into batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoaderConfig {
    /// Samples a batch, N. Default: 64.
    pub batch_size: usize,
    /// A new order for each epoch; otherwise the data set's own. Default: true.
    pub shuffle: bool,
    /// Keys the order, together with the epoch. Default: 0.
    pub seed: u64,
    /// Leaves out a last batch that is not full. Default: false, it is filled up.
    pub drop_last: bool,
    /// Batches made ahead on the thread. 0: no thread, each is made when asked for. Default: 2.
    pub prefetch: usize,
}

impl Default for LoaderConfig {
    fn default() -> Self {
        LoaderConfig { batch_size: 64, shuffle: true, seed: 0, drop_last: false, prefetch: 2 }
    }
}

/// One batch, always of `batch_size` samples, the first `len` of which are real.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Its place in the epoch, from 0; a resumed epoch starts higher.
    pub index: usize,
    /// (N, C, H, W) u8 packed four to a little-endian u32, with zeros after the end.
    pub pixels: Vec<u32>,
    /// (N): class numbers, [`IGNORE_LABEL`] from `len` on.
    pub labels: Vec<i32>,
    /// (N): places in the data set, 0 from `len` on.
    pub sample_ids: Vec<u32>,
    /// Real samples.
    pub len: usize,
}

/// Cuts a data set into batches, epoch by epoch.
#[derive(Clone, Debug)]
pub struct Loader {
    dataset: Arc<Dataset>,
    config: LoaderConfig,
}

impl Loader {
    /// Takes a data set and how to cut it.
    ///
    /// # Errors
    /// [`Error::Config`] for a batch size of 0 or too large to address, a data set without one batch, and those of
    /// [`Dataset::check`].
    pub fn new(dataset: Arc<Dataset>, config: LoaderConfig) -> Result<Self> {
        dataset.check()?;
        let bytes = config.batch_size.checked_mul(dataset.spec().bytes());
        if config.batch_size == 0 || bytes.is_none_or(|bytes| bytes > MAX_BATCH_BYTES) {
            let (most, got) = (MAX_BATCH_BYTES / dataset.spec().bytes(), config.batch_size);
            let message =
                format!("expected at least 1 and at most {most} images of {}, got {got}", dataset.spec());
            return Err(Error::config("batch_size", message));
        }
        let loader = Loader { dataset, config };
        if loader.batches() == 0 {
            let (n, b) = (loader.dataset.len(), loader.config.batch_size);
            let message = format!("the data set {} has {n} samples, no batch of {b}", loader.dataset.name);
            return Err(Error::config("batch_size", message));
        }
        Ok(loader)
    }

    /// Batches in an epoch.
    pub fn batches(&self) -> usize {
        let (n, b) = (self.dataset.len(), self.config.batch_size);
        if self.config.drop_last { n / b } else { n.div_ceil(b) }
    }

    /// The data set.
    pub fn dataset(&self) -> &Arc<Dataset> {
        &self.dataset
    }

    /// How it is cut.
    pub fn config(&self) -> &LoaderConfig {
        &self.config
    }

    /// The batches of `epoch`. Dropping the iterator early stops the thread.
    pub fn epoch(&self, epoch: u64) -> Batches {
        self.epoch_from(epoch, 0)
    }

    /// The batches of `epoch` from `first_batch` on, as [`Loader::epoch`] would give them; none past the end.
    pub fn epoch_from(&self, epoch: u64, first_batch: usize) -> Batches {
        let batches = self.batches();
        let first = first_batch.min(batches);
        let n = self.dataset.len() as u32;
        let order = if self.config.shuffle {
            shuffle::permutation(n, self.config.seed, epoch)
        } else {
            (0..n).collect()
        };
        let producer = Producer {
            dataset: Arc::clone(&self.dataset),
            batch_size: self.config.batch_size,
            order: order.into(),
            next: first,
            end: batches,
        };
        Batches { remaining: batches - first, source: Source::start(producer, self.config.prefetch) }
    }
}

/// The batches of one epoch, in order.
pub struct Batches {
    remaining: usize,
    source: Source,
}

enum Source {
    Thread {
        receiver: Option<Receiver<Batch>>,
        thread: Option<JoinHandle<()>>,
    },
    /// Without prefetch, and where threads can't be had (the browser).
    Inline(Producer),
}

impl Source {
    fn start(producer: Producer, prefetch: usize) -> Source {
        if prefetch == 0 || producer.next >= producer.end {
            return Source::Inline(producer);
        }
        // More than an epoch ahead is no use, and the channel allocates its slots.
        let (sender, receiver) = sync_channel(prefetch.min(producer.end - producer.next));
        let on_thread = producer.clone();
        let spawned = std::thread::Builder::new().name("limbeck-loader".into()).spawn(move || {
            for batch in on_thread {
                if sender.send(batch).is_err() {
                    break;
                }
            }
        });
        match spawned {
            Ok(thread) => Source::Thread { receiver: Some(receiver), thread: Some(thread) },
            Err(e) => {
                log::debug!("no loader thread ({e}): batches are made when asked for");
                Source::Inline(producer)
            }
        }
    }
}

impl Iterator for Batches {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        if self.remaining == 0 {
            return None;
        }
        let batch = match &mut self.source {
            Source::Inline(producer) => producer.next(),
            Source::Thread { receiver, thread } => match receiver.as_ref().and_then(|r| r.recv().ok()) {
                Some(batch) => Some(batch),
                None => {
                    // The thread ended before its last batch: only a panic does that, and it belongs to the caller.
                    if let Some(Err(panic)) = thread.take().map(JoinHandle::join) {
                        std::panic::resume_unwind(panic);
                    }
                    None
                }
            },
        };
        self.remaining = if batch.is_some() { self.remaining - 1 } else { 0 };
        batch
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining, Some(self.remaining))
    }
}

impl ExactSizeIterator for Batches {}

impl Drop for Batches {
    fn drop(&mut self) {
        if let Source::Thread { receiver, thread } = &mut self.source {
            // With the receiver gone the thread's next send fails, so the join ends within one batch.
            drop(receiver.take());
            if let Some(thread) = thread.take() {
                let _ = thread.join();
            }
        }
    }
}

/// Makes the batches `next..end`.
#[derive(Clone)]
struct Producer {
    dataset: Arc<Dataset>,
    batch_size: usize,
    order: Arc<[u32]>,
    next: usize,
    end: usize,
}

impl Iterator for Producer {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        if self.next >= self.end {
            return None;
        }
        let (index, size) = (self.next, self.batch_size);
        self.next += 1;
        let ids = self.order.iter().skip(index * size).take(size);
        let bytes = self.dataset.spec().bytes();
        let mut pixels = vec![0u32; (size * bytes).div_ceil(4)];
        let mut labels = vec![IGNORE_LABEL; size];
        let mut sample_ids = vec![0; size];
        let mut len = 0;
        let places = bytemuck::cast_slice_mut::<u32, u8>(&mut pixels).chunks_exact_mut(bytes);
        for ((slot, &id), place) in ids.enumerate().zip(places) {
            let sample = id as usize;
            place.copy_from_slice(&self.dataset.pixels[sample * bytes..][..bytes]);
            labels[slot] = self.dataset.labels[sample] as i32;
            sample_ids[slot] = id;
            len += 1;
        }
        for word in &mut pixels {
            *word = u32::from_le(*word);
        }
        Some(Batch { index, pixels, labels, sample_ids, len })
    }
}

#[cfg(test)]
#[path = "loader_tests.rs"]
mod tests;
