//! How a run begins: everything is checked, recorded, examined where that is asked for, and compiled.

use std::sync::Arc;

use super::checkpoint::Position;
use super::evaluator::Evaluator;
use super::extend::{extended, start};
use super::identity::{add_scheme, identity};
use super::session::Session;
use super::trainer::Trainer;
use crate::Result;
use crate::data::{Loader, Source};
use crate::gpu::Gpu;
use crate::models::Network;
use crate::nn::{DeviceParams, Params};
use crate::platform::Instant;
use crate::train::doctor::{self, Figures};
use crate::train::schemes::{Peer, Scheme};
use crate::train::step::record::BatchRecording;
use crate::train::step::train_step::record;
use crate::train::teacher::TeacherSource;
use crate::train::teacher::stored::StoredSource;
use crate::train::{StepConfig, TrainStep};

impl<'a, 'n> Session<'a, 'n> {
    /// Records and compiles the step; where asked for, has it examined in between.
    pub async fn new(mut trainer: Trainer<'a>, network: &'n mut Network) -> Result<Self> {
        let (gpu, config) = (trainer.gpu, trainer.config);
        config.validate()?;
        let task = trainer.task.clone();
        task.check(trainer.validation.as_ref())?;
        let batches = Loader::new(trainer.training.clone(), config.loader())?.batches();
        let steps = config.steps(batches);
        let schedule = config.schedule.clone().spanning(steps, batches as u64);
        schedule.validate()?;
        let teacher = trainer.teacher.take();
        let peer = trainer.peer.take();
        let stored = stored_source(&trainer, teacher.as_ref(), steps.div_ceil(batches as u64))?;
        let source = source_of(&stored, &trainer.training);
        let read = (task.as_ref(), source.as_ref());
        if let Some(teacher) = &teacher
            && let Some(extended) = extended(gpu, read, network, teacher, config.seed)?
        {
            *network = extended;
        }
        let mut identity = identity(config, read.0, network, read.1, teacher.as_ref());
        add_scheme(
            &mut identity,
            &trainer.scheme,
            peer.as_ref().map(|(network, weight)| (&**network, *weight)),
        );
        if let Some(teacher) = &teacher {
            for term in teacher.terms() {
                start(term, &mut network.params, teacher)?;
            }
        }
        let params = trainable(gpu, "student", network, read.1)?;
        let beside = match &peer {
            Some((peer, _)) => Some(trainable(gpu, "peer", peer, read.1)?),
            None => None,
        };
        let learner = peer.as_ref().zip(beside.as_ref());
        let learner = learner.map(|((peer, weight), params)| Peer { network: peer, params, weight: *weight });
        let (step, figures) =
            compile(&trainer, (network, &params), learner, (teacher.as_ref(), &source), steps).await?;
        // What no kernel reads is not read from disk either.
        let stored = stored.as_ref().map(|stored| Arc::new(stored.reduced(|field| step.reads(field))));
        let loader = Loader::new(source_of(&stored, &trainer.training), config.loader())?;
        let peer = peer.map(|(network, _)| network).zip(beside);
        let shadow = match config.ema {
            Some(_) => Some(DeviceParams::frozen(gpu, "average", &network.params)?),
            None => None,
        };
        let measured = shadow.as_ref().unwrap_or(&params);
        let evaluator = Evaluator::of_all(
            gpu,
            task.as_ref(),
            network,
            measured,
            config.batch_size,
            trainer.validation.as_ref(),
        )
        .await?;
        let validation = evaluator.loader(&trainer.validation)?;
        let best = if config.patience.is_some() { network.params.clone() } else { Params::default() };
        Ok(Self {
            trainer,
            network,
            schedule,
            steps,
            params,
            peer,
            step,
            shadow,
            evaluator,
            loader,
            validation,
            identity,
            position: Position::default(),
            best,
            log: None,
            started: Instant::now(),
            figures,
        })
    }
}

/// A network's parameters on the device, of its tables those rows in training that samples of `source` read.
fn trainable(gpu: &Gpu, name: &str, network: &Network, source: &dyn Source) -> Result<DeviceParams> {
    DeviceParams::trainable_in(
        gpu,
        name,
        &network.params,
        &network.rows_read(|field| source.occurring(field)),
    )
}

/// The compiled step, recorded once, and what the doctor measured of the recording where that is asked for.
async fn compile(
    trainer: &Trainer<'_>,
    (network, params): (&Network, &DeviceParams),
    peer: Option<Peer<'_>>,
    (teacher, source): (Option<&TeacherSource<'_>>, &Arc<dyn Source>),
    steps: u64,
) -> Result<(TrainStep, Option<Result<Vec<Figures>>>)> {
    let (gpu, scheme) = (trainer.gpu, &trainer.scheme);
    let of = StepConfig::new(trainer.task.as_ref(), source.as_ref(), trainer.config, steps);
    let recording = record(gpu, network, params, (teacher, peer), scheme, &of)?;
    let mut figures = None;
    if let Some(classes) = &trainer.examined {
        let loader = Loader::new(source.clone(), trainer.config.loader())?;
        figures = Some(examine(gpu, &recording, (teacher, scheme), &of, (&loader, classes)).await);
        // What was measured is dropped again.
        params.upload(&network.params)?;
        recording.upload_regressors()?;
        if let Some(peer) = peer {
            peer.params.upload(&peer.network.params)?;
        }
    }
    Ok((TrainStep::compile(gpu, recording, (teacher, scheme), &of).await?, figures))
}

/// The training set with the teacher's outputs beside it, where these lie on disk; checked against task and data.
fn stored_source(
    trainer: &Trainer<'_>,
    teacher: Option<&TeacherSource<'_>>,
    epochs: u64,
) -> Result<Option<Arc<StoredSource>>> {
    let Some(TeacherSource::Stored(stored)) = teacher else { return Ok(None) };
    let training = &trainer.training;
    stored.check(trainer.task.as_ref(), training.as_ref(), trainer.config.seed, epochs)?;
    StoredSource::new(training.clone(), stored.outputs.clone()).map(|source| Some(Arc::new(source)))
}

/// What batches are made of.
fn source_of(stored: &Option<Arc<StoredSource>>, training: &Arc<dyn Source>) -> Arc<dyn Source> {
    match stored {
        Some(stored) => stored.clone(),
        None => training.clone(),
    }
}

/// What the doctor measures of a step that is recorded: of the student, and of its peer where there is one.
async fn examine(
    gpu: &Gpu,
    recording: &BatchRecording<'_>,
    (teacher, scheme): (Option<&TeacherSource<'_>>, &Scheme<'_>),
    of: &StepConfig<'_>,
    (loader, classes): (&Loader, &[String]),
) -> Result<Vec<Figures>> {
    match teacher {
        Some(teacher) => {
            let found = doctor::figures(gpu, recording, (teacher, scheme), of, (loader, classes)).await?;
            Ok(vec![found])
        }
        None if recording.mutual.is_some() => {
            Ok(doctor::peer_figures(gpu, recording, of, loader).await?.to_vec())
        }
        None => Ok(Vec::new()),
    }
}
