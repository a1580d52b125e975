//! A run under way: epochs, measuring, early stop, checkpoints.

use std::collections::BTreeMap;
use std::time::Duration;

use super::checkpoint::{self, Contents, Position};
use super::evaluator::Evaluator;
use super::results::{Epoch, Run};
use super::trainer::{Checkpoints, LogPlace, Observer, Progress, Trainer};
use crate::Result;
use crate::data::Loader;
use crate::gpu::Gpu;
use crate::models::{Network, trained};
use crate::nn::{DeviceParams, Params};
use crate::optim::Schedule;
use crate::platform::Instant;
use crate::report::stats::median;
use crate::tape::{Cost, Step};
use crate::tasks::{Measured, Tally};
use crate::train::TrainStep;
use crate::train::doctor::Figures;
use crate::train::metrics::{MetricRecord, MetricsLog, Split};

/// Time between two calls of [`Observer::progress`]: each waits for the GPU.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(400);
/// Steps that the CPU may be ahead of the GPU: enough to keep it busy, few enough to keep memory flat.
const STEPS_AHEAD: usize = 3;

/// A run under way.
pub(super) struct Session<'a, 'n> {
    pub(super) trainer: Trainer<'a>,
    pub(super) network: &'n mut Network,
    pub(super) schedule: Schedule,
    pub(super) steps: u64,
    pub(super) params: DeviceParams,
    /// The network that learns beside it.
    pub(super) peer: Option<(&'a mut Network, DeviceParams)>,
    pub(super) step: TrainStep,
    /// What is measured where an average is kept: the average in a frozen network.
    pub(super) shadow: Option<DeviceParams>,
    pub(super) evaluator: Evaluator,
    pub(super) loader: Loader,
    pub(super) validation: Loader,
    pub(super) identity: BTreeMap<String, String>,
    pub(super) position: Position,
    /// The best epoch's weights, under early stop.
    pub(super) best: Params,
    pub(super) log: Option<MetricsLog>,
    pub(super) started: Instant,
    /// What the doctor measured, where it was asked for.
    pub(super) figures: Option<Result<Vec<Figures>>>,
}

impl<'a, 'n> Session<'a, 'n> {
    /// What the doctor measured, once.
    pub fn take_figures(&mut self) -> Option<Result<Vec<Figures>>> {
        self.figures.take()
    }

    /// The device.
    pub fn gpu(&self) -> &Gpu {
        self.trainer.gpu
    }

    pub async fn resume(&mut self) -> Result<()> {
        if let Some(checkpoints) = self.trainer.checkpoints.clone().filter(|c| c.resume) {
            self.read_checkpoint(&checkpoints).await?;
        }
        if let Some(LogPlace { store, name, run }) = self.trainer.log.clone() {
            self.log = Some(MetricsLog::resume(store, &name, &run, self.position.step).await?);
        }
        Ok(())
    }

    async fn read_checkpoint(&mut self, from: &Checkpoints) -> Result<()> {
        let (gpu, identity) = (self.trainer.gpu, self.identity.clone());
        let (store, name) = (&*from.store, &from.name);
        if let Some(position) = checkpoint::load(store, name, gpu, &identity, &mut self.contents()?).await? {
            self.position = position;
            self.params.upload(&self.network.params)?;
            if let Some((host, device)) = self.step.regressors() {
                device.upload(host)?;
            }
            if let Some((host, device)) = &self.peer {
                device.upload(&host.params)?;
            }
            log::info!("resuming {} after step {}", store.path(name).display(), self.position.step);
        }
        Ok(())
    }

    pub async fn run(mut self) -> Result<Run> {
        let (cost, steps) = (self.step.cost().clone(), self.steps);
        self.observe(|o| o.started(&cost, steps));
        let mut finished = true;
        // An epoch of which only the end is left, with no step of it, has still to be measured.
        while (self.position.step < self.steps || self.position.batch > 0) && !self.stale() {
            if !self.train_epoch().await? {
                finished = false;
                break;
            }
            self.save().await?;
        }
        self.keep(finished).await
    }

    /// What a step costs.
    pub fn cost(&self) -> &Cost {
        self.step.cost()
    }

    /// Trains to the end of the epoch, or of the steps, and measures. False where an observer stopped it.
    async fn train_epoch(&mut self) -> Result<bool> {
        let mut step = Step::new(self.position.step as u32, self.trainer.config.seed);
        step.epoch = self.position.epoch as u32;
        let batches = self.loader.batches();
        let (start, mut ran, mut shown) = (Instant::now(), 0u64, Instant::now());
        let mut rate = 0.0;
        for batch in self.loader.epoch_from(self.position.epoch, self.position.batch) {
            let batch = batch?;
            if self.position.step >= self.steps {
                break;
            }
            let number = self.position.step;
            let mut proceed = true;
            self.observe(|o| proceed = o.proceed(number));
            if !proceed {
                self.save().await?;
                return Ok(false);
            }
            rate = self.trainer.config.learning_rate * self.schedule.at(number);
            step.number = number as u32;
            self.step.run(&batch, &mut step, rate)?;
            self.trainer.gpu.throttle_async(STEPS_AHEAD).await?;
            self.position.step += 1;
            self.position.batch = batch.index + 1;
            ran += 1;
            if shown.elapsed() >= PROGRESS_INTERVAL {
                let counted = self.tally(&step).await?;
                let progress = Progress {
                    epoch: self.position.epoch + 1,
                    batch: self.position.batch,
                    batches,
                    loss: counted.mean_loss(),
                    metric: counted.primary,
                    loss_scale: self.step.loss_scale().await?,
                };
                self.observe(|o| o.progress(&progress));
                shown = Instant::now();
            }
            if self.wants_checkpoint() && self.position.batch < batches {
                self.save().await?;
            }
        }
        let counted = self.tally(&step).await?;
        let ms_per_step = start.elapsed().as_secs_f64() * 1e3 / ran.max(1) as f64;
        self.position.epoch += 1;
        self.position.batch = 0;
        let validation = self.measure().await?;
        let epoch = Epoch {
            epoch: self.position.epoch,
            step: self.position.step,
            loss: counted.mean_loss(),
            training: Measured { loss: None, primary: counted.primary, others: counted.others },
            validation,
            learning_rate: rate,
            ms_per_step,
            loss_scale: self.step.loss_scale().await?,
        };
        self.finish_epoch(epoch).await?;
        Ok(true)
    }

    /// What the epoch's steps counted, or an error where a loss, or the last gradient, was not finite.
    async fn tally(&self, step: &Step) -> Result<Tally> {
        let counted = self.step.tally_async().await?;
        if counted.loss.is_finite() && self.step.is_finite().await? {
            Ok(counted)
        } else {
            Err(self.step.non_finite(step).await)
        }
    }

    /// How well the network does on the validation set.
    async fn measure(&mut self) -> Result<Measured> {
        if let (Some(shadow), Some(ema)) = (&self.shadow, self.step.ema()) {
            let gpu = self.trainer.gpu;
            for average in ema.slices() {
                gpu.copy(&average, &shadow.weights())?;
            }
            gpu.copy(&self.params.states(), &shadow.states())?;
        }
        self.evaluator.measure_async(self.validation.epoch(0)).await
    }

    async fn finish_epoch(&mut self, epoch: Epoch) -> Result<()> {
        let terms = self.step.terms_async().await?;
        self.step.reset_counts()?;
        let best = self.position.best_epoch;
        let best = self.position.epochs.iter().find(|e| Some(e.epoch) == best).map(|e| e.validation.value());
        // The first epoch is the best so far unless it could not be measured.
        if best.map_or(!epoch.validation.value().is_nan(), |best| epoch.validation.primary.beats(best)) {
            self.position.best_epoch = Some(epoch.epoch);
            if self.trainer.config.patience.is_some() {
                let mut now = self.network.params.clone();
                self.shadow.as_ref().unwrap_or(&self.params).download_async(&mut now).await?;
                self.best = now;
            }
        }
        self.record(&epoch, &terms).await?;
        self.observe(|o| o.epoch(&epoch));
        self.position.epochs.push(epoch);
        Ok(())
    }

    async fn record(&mut self, epoch: &Epoch, terms: &[(String, f32)]) -> Result<()> {
        let seconds = self.position.seconds + self.started.elapsed().as_secs_f64();
        let Some(log) = &self.log else { return Ok(()) };
        let images_per_second = self.trainer.config.batch_size as f64 * 1e3 / epoch.ms_per_step;
        let training = MetricRecord {
            run: log.run().to_string(),
            epoch: epoch.epoch,
            step: epoch.step,
            split: Split::Train,
            loss: epoch.loss,
            metrics: named(&epoch.training),
            learning_rate: epoch.learning_rate,
            images_per_second,
            terms: terms.iter().map(|(name, value)| (name.clone(), f64::from(*value))).collect(),
            seconds,
            loss_scale: epoch.loss_scale.map(|state| state.scale),
            skipped_steps: epoch.loss_scale.map(|state| state.skipped_steps),
        };
        let validation = MetricRecord {
            split: self.trainer.split,
            loss: epoch.validation.loss.unwrap_or(f64::NAN),
            loss_scale: None,
            skipped_steps: None,
            metrics: named(&epoch.validation),
            terms: BTreeMap::new(),
            ..training.clone()
        };
        log.append(&training).await?;
        log.append(&validation).await
    }

    /// Whether early stop has waited long enough.
    fn stale(&self) -> bool {
        let best = self.position.best_epoch.unwrap_or(0);
        self.trainer.config.patience.is_some_and(|most| self.position.epoch - best >= most)
    }

    fn wants_checkpoint(&self) -> bool {
        let every = self.trainer.checkpoints.as_ref().and_then(|c| c.every_steps);
        every.is_some_and(|n| self.position.step.is_multiple_of(n.max(1)))
    }

    async fn save(&mut self) -> Result<()> {
        let Some(checkpoints) = self.trainer.checkpoints.clone() else { return Ok(()) };
        self.params.download_async(&mut self.network.params).await?;
        if let Some((host, device)) = self.step.regressors() {
            device.download_async(host).await?;
        }
        self.download_peer().await?;
        let mut position = self.position.clone();
        position.seconds += self.started.elapsed().as_secs_f64();
        let (gpu, identity) = (self.trainer.gpu, self.identity.clone());
        let (store, name) = (&*checkpoints.store, &checkpoints.name);
        checkpoint::save(store, name, gpu, &identity, &position, &self.contents()?).await
    }

    async fn download_peer(&mut self) -> Result<()> {
        match &mut self.peer {
            Some((host, device)) => device.download_async(&mut host.params).await,
            None => Ok(()),
        }
    }

    /// Everything that a step changes.
    fn contents(&mut self) -> Result<Contents<'_>> {
        let slices = self.step.state();
        let mut params = vec![("student", &mut self.network.params), ("best", &mut self.best)];
        params.extend(self.peer.as_mut().map(|(host, _)| ("peer", &mut host.params)));
        params.extend(self.step.regressors().map(|(host, _)| ("regressors", host)));
        Ok(Contents { params, slices })
    }

    /// Leaves the weights that count in the network.
    async fn keep(mut self, finished: bool) -> Result<Run> {
        self.download_peer().await?;
        // Of an epoch that was stopped in its middle nothing was measured.
        let mut kept_epoch = self.position.epoch + u64::from(self.position.batch > 0);
        match (self.trainer.config.patience, self.position.best_epoch) {
            (Some(_), Some(best)) => {
                kept_epoch = best;
                self.network.params = self.best;
            }
            _ => {
                let kept = self.shadow.as_ref().unwrap_or(&self.params);
                kept.download_async(&mut self.network.params).await?;
            }
        }
        if let Some(trained) = trained(self.network)? {
            *self.network = trained;
        }
        let times: Vec<f64> = self.position.epochs.iter().map(|e| e.ms_per_step).collect();
        let steady = if times.len() > 1 { &times[1..] } else { &times[..] };
        Ok(Run {
            ms_per_step: median(steady).unwrap_or(0.0),
            epochs: self.position.epochs,
            kept_epoch,
            finished,
            batch_size: self.trainer.config.batch_size,
            cost: self.step.cost().clone(),
            seconds_before: self.position.seconds,
        })
    }

    fn observe(&mut self, tell: impl FnOnce(&mut dyn Observer)) {
        if let Some(observer) = self.trainer.observer.as_deref_mut() {
            tell(observer);
        }
    }
}

/// Every metric by its name.
fn named(measured: &Measured) -> BTreeMap<String, f64> {
    measured.all().map(|metric| (metric.name.clone(), metric.value)).collect()
}
