//! Batches of a data set, made on background threads.
//!
//! Every batch has the same shape: the last one is filled up with each field's padding. The order depends on nothing but
//! (seed, epoch), so a run can be resumed at any batch. Samples of different lengths are dealt to batches as `packing`
//! says where they are shuffled. Where a source is worth more than one thread, thread k of T makes
//! the batches k, k + T, k + 2T, .., and they are handed out in order whoever is ready first.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use super::packing::{Packing, consecutive};
use super::source::{give_room, packed_lengths};
use super::{Batch, Field, Source, View, shuffle};
use crate::{Error, Result};

/// A field of a batch above this can't be bound on any adapter (a binding is at most 2^31 bytes or so).
const MAX_FIELD_BYTES: u64 = 1 << 31;

/// How to cut a data set into batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoaderConfig {
    /// Samples a batch, N. Default: 64.
    pub batch_size: usize,
    /// A new order for each epoch; otherwise the data set's own. Default: true.
    pub shuffle: bool,
    /// Keys the order and the source's views, together with the epoch. Default: 0.
    pub seed: u64,
    /// Leaves out a last batch that is not full. Default: false, it is filled up.
    pub drop_last: bool,
    /// Batches made ahead on each thread. 0: no thread, each is made when asked for. Default: 2.
    pub prefetch: usize,
    /// Threads; absent: as many as the source is worth ([`Source::threads`]). Default: absent.
    pub threads: Option<usize>,
}

impl Default for LoaderConfig {
    fn default() -> Self {
        LoaderConfig { batch_size: 64, shuffle: true, seed: 0, drop_last: false, prefetch: 2, threads: None }
    }
}

impl LoaderConfig {
    /// The samples in their own order, the last batch filled up: for measuring.
    pub fn in_order(batch_size: usize) -> Self {
        LoaderConfig { batch_size, shuffle: false, ..Default::default() }
    }
}

/// Cuts a data set into batches, epoch by epoch.
#[derive(Clone)]
pub struct Loader {
    source: Arc<dyn Source>,
    config: LoaderConfig,
    /// Those of a batch.
    fields: Arc<[Field]>,
    /// Of a source with packed fields, where it is shuffled.
    packing: Option<Arc<Packing>>,
}

impl Loader {
    /// Takes a source and how to cut it.
    ///
    /// # Errors
    /// [`Error::Config`] for a batch size of 0 or too large to address, a source without one batch, and those of
    /// [`Source::check`].
    pub fn new(source: Arc<dyn Source>, config: LoaderConfig) -> Result<Self> {
        source.check()?;
        if source.len() > u32::MAX as usize {
            let message = format!("expected at most {} samples, got {}", u32::MAX, source.len());
            return Err(Error::config(format!("data set {}", source.name()), message));
        }
        let mut fields = source.fields();
        let samples = fields.iter().filter(|field| !field.is_packed());
        let bytes = samples.map(|field| field.bytes() as u64).max().unwrap_or(0).max(1);
        let fits = (config.batch_size as u64).checked_mul(bytes).is_some_and(|all| all <= MAX_FIELD_BYTES);
        if config.batch_size == 0 || !fits {
            let (most, got) = (MAX_FIELD_BYTES / bytes, config.batch_size);
            let message =
                format!("expected at least 1 and at most {most} samples of {bytes} bytes, got {got}");
            return Err(Error::config("batch_size", message));
        }
        let mut packing = None;
        if let Some(lengths) = packed_lengths(&source, &fields)? {
            packing = config.shuffle.then(|| Arc::new(Packing::new(lengths, config.batch_size)));
            let in_order = || consecutive(lengths, config.batch_size);
            let capacity = packing.as_ref().map_or_else(in_order, |packing| packing.capacity());
            give_room(&source, &mut fields, capacity)?;
        }
        let loader = Loader { source, config, fields: fields.into(), packing };
        if loader.batches() == 0 {
            let (n, b) = (loader.source.len(), loader.config.batch_size);
            let message = format!("the data set {} has {n} samples, no batch of {b}", loader.source.name());
            return Err(Error::config("batch_size", message));
        }
        Ok(loader)
    }

    /// Batches in an epoch.
    pub fn batches(&self) -> usize {
        let (n, b) = (self.source.len(), self.config.batch_size);
        if self.config.drop_last { n / b } else { n.div_ceil(b) }
    }

    /// The data set.
    pub fn source(&self) -> &Arc<dyn Source> {
        &self.source
    }

    /// The fields of its batches.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// How it is cut.
    pub fn config(&self) -> &LoaderConfig {
        &self.config
    }

    /// The batches of `epoch`. Dropping the iterator early stops the threads.
    pub fn epoch(&self, epoch: u64) -> Batches {
        self.epoch_from(epoch, 0)
    }

    /// The batches of `epoch` from `first_batch` on, as [`Loader::epoch`] would give them; none past the end.
    pub fn epoch_from(&self, epoch: u64, first_batch: usize) -> Batches {
        let batches = self.batches();
        let first = first_batch.min(batches);
        let n = self.source.len() as u32;
        let mut order = match self.config.shuffle {
            true => shuffle::permutation(n, self.config.seed, epoch),
            false => (0..n).collect(),
        };
        if let (Some(packing), Some(lengths)) = (&self.packing, self.source.lengths()) {
            order = packing.order(lengths, &order);
        }
        let producer = Producer {
            source: Arc::clone(&self.source),
            fields: Arc::clone(&self.fields),
            view: View { seed: self.config.seed, epoch },
            batch_size: self.config.batch_size,
            order: order.into(),
            next: first,
            every: 1,
            end: batches,
        };
        let threads = self.config.threads.unwrap_or_else(|| self.source.threads());
        let makers = Makers::start(producer, self.config.prefetch, threads.max(1));
        Batches { remaining: batches - first, makers }
    }
}

/// The batches of one epoch, in order. After an error there are no more.
pub struct Batches {
    remaining: usize,
    makers: Makers,
}

/// Who makes the batches.
enum Makers {
    /// In turns: the next batch comes from the first.
    Threads(std::collections::VecDeque<Maker>),
    /// Without prefetch, and where threads can't be had (the browser).
    Inline(Producer),
}

/// A thread that makes batches.
struct Maker {
    receiver: Receiver<Result<Batch>>,
    thread: JoinHandle<()>,
}

impl Maker {
    fn start(producer: Producer, prefetch: usize) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(prefetch);
        let thread = std::thread::Builder::new().name("limbeck-loader".into()).spawn(move || {
            for batch in producer {
                if sender.send(batch).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { receiver, thread })
    }
}

impl Makers {
    fn start(producer: Producer, prefetch: usize, threads: usize) -> Self {
        if prefetch == 0 || producer.next >= producer.end {
            return Makers::Inline(producer);
        }
        let most = producer.end - producer.next;
        let threads = threads.min(most);
        let one = |k: usize| Producer { next: producer.next + k, every: threads, ..producer.clone() };
        let started: std::io::Result<_> =
            (0..threads).map(|k| Maker::start(one(k), prefetch.min(most))).collect();
        match started {
            Ok(makers) => Makers::Threads(makers),
            Err(e) => {
                log::debug!("no loader thread ({e}): batches are made when asked for");
                Makers::Inline(producer)
            }
        }
    }

    fn next(&mut self) -> Option<Result<Batch>> {
        match self {
            Makers::Inline(producer) => producer.next(),
            Makers::Threads(makers) => {
                let maker = makers.pop_front()?;
                match maker.receiver.recv() {
                    Ok(batch) => {
                        makers.push_back(maker);
                        Some(batch)
                    }
                    // The thread ended before its last batch: only a panic does that, and it belongs to the caller.
                    Err(_) => match maker.thread.join() {
                        Err(panic) => std::panic::resume_unwind(panic),
                        Ok(()) => None,
                    },
                }
            }
        }
    }
}

impl Iterator for Batches {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Result<Batch>> {
        if self.remaining == 0 {
            return None;
        }
        let batch = self.makers.next();
        self.remaining = if matches!(batch, Some(Ok(_))) { self.remaining - 1 } else { 0 };
        batch
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // An error ends the epoch early.
        (self.remaining.min(1), Some(self.remaining))
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        if let Makers::Threads(makers) = &mut self.makers {
            // With the receivers gone the threads' next sends fail, so the joins end within one batch.
            let threads: Vec<_> = makers.drain(..).map(|maker| maker.thread).collect();
            for thread in threads {
                let _ = thread.join();
            }
        }
    }
}

/// Makes the batches `next`, `next + every`, .. below `end`.
#[derive(Clone)]
struct Producer {
    source: Arc<dyn Source>,
    fields: Arc<[Field]>,
    view: View,
    batch_size: usize,
    order: Arc<[u32]>,
    next: usize,
    every: usize,
    end: usize,
}

impl Producer {
    fn make(&self, index: usize) -> Result<Batch> {
        let mut batch = Batch::padded(&self.fields, self.batch_size);
        let lengths = self.source.lengths().unwrap_or_default();
        for &id in self.order.iter().skip(index * self.batch_size).take(self.batch_size) {
            let packed = lengths.get(id as usize).copied().unwrap_or(0);
            self.source.fill(id as usize, self.view, &mut batch.next_row(id, packed))?;
        }
        batch.finish();
        (batch.index, batch.epoch) = (index, self.view.epoch);
        Ok(batch)
    }
}

impl Iterator for Producer {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Result<Batch>> {
        if self.next >= self.end {
            return None;
        }
        let index = self.next;
        self.next += self.every;
        Some(self.make(index))
    }
}

#[cfg(test)]
#[path = "loader_tests.rs"]
mod tests;
