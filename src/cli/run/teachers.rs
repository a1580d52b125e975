//! The teachers that settings name: networks in files, or what one of them wrote to disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::job::{Job, Supervision};
use super::recipe::Recipe;
use super::subject::Subject;
use crate::cli::flags::of_teacher;
use crate::distill::Objective;
use crate::models::saved::{self, Overrides, Saved};
use crate::models::{NameMap, Network};
use crate::nn::DeviceParams;
use crate::report::printable;
use crate::tasks::Task;
use crate::train::schemes::{Member, Scheme};
use crate::train::{StoredOutputs, StoredTeacher, Teacher, weights_hash};
use crate::{Error, Result};

/// Who teaches.
pub enum Teachers {
    /// At least one teacher, each with its share.
    Live(Vec<(Saved, f32)>),
    /// What one wrote to disk, and itself where a method reads its layers.
    Stored(Arc<StoredOutputs>, Option<Box<Saved>>),
}

impl Teachers {
    /// The teachers, or the outputs where there are some, with the teacher where a method reads it; the images are
    /// normalised as they need them.
    pub fn open(job: &mut Job, objective: Option<&Objective>) -> Result<Self> {
        let recipe = job.recipe.clone();
        Self::of(&recipe, job, objective)
    }

    /// [`Teachers::open`] by the teacher settings of another recipe than the job's.
    pub fn of(recipe: &Recipe, job: &mut Job, objective: Option<&Objective>) -> Result<Self> {
        let Some(path) = &recipe.teacher_outputs else {
            if recipe.teacher_hash.is_some() {
                let message = "tells of which teacher --teacher-outputs must be; give them, or leave it out";
                return Err(Error::config("--teacher-hash", message));
            }
            let teachers = open_teachers(recipe, job.subject.as_ref())?;
            let metadata = &teachers[0].0.metadata;
            job.normalise_as(&metadata.mean, &metadata.std)?;
            return Ok(Self::Live(teachers));
        };
        let outputs = StoredOutputs::open(path)?;
        if let Some(hash) = &recipe.teacher_hash {
            outputs.fits_teacher(hash)?;
        }
        let mut kept = None;
        if recipe.teacher.is_some() {
            // It is read to be told from others, and most often not kept.
            let teacher = open_teacher(recipe, job.subject.as_ref())?;
            outputs.fits_teacher(&weights_hash(&teacher.network.params))?;
            let reads = objective.is_some_and(|o| o.terms.iter().any(|term| term.method.reads_teacher()));
            kept = reads.then(|| Box::new(teacher));
        }
        if outputs.info().mean.len() == job.metadata().mean.len() {
            let info = outputs.info().clone();
            job.normalise_as(&info.mean, &info.std)?;
        }
        let task = job.task()?;
        outputs.fits(job.subject.training().as_ref(), task.model_config().head.width(), &task.views())?;
        Ok(Self::Stored(Arc::new(outputs), kept))
    }

    /// The networks that teach, each with its share; none where their outputs do.
    pub fn live(&self) -> &[(Saved, f32)] {
        match self {
            Self::Live(teachers) => teachers,
            Self::Stored(..) => &[],
        }
    }

    /// What a teacher wrote to disk, where that is what teaches.
    pub fn stored(&self) -> Option<&StoredOutputs> {
        match self {
            Self::Live(_) => None,
            Self::Stored(outputs, _) => Some(outputs),
        }
    }

    /// Their names, for people.
    pub fn name(&self) -> String {
        match self {
            Self::Live(teachers) => {
                let names: Vec<&str> = teachers.iter().map(|(t, _)| t.network.name.as_str()).collect();
                names.join(" and ")
            }
            Self::Stored(outputs, _) if outputs.info().teacher.is_empty() => "teacher outputs".into(),
            Self::Stored(outputs, _) => printable(&outputs.info().teacher).into_owned(),
        }
    }

    /// The live teachers' weights on the device.
    pub fn upload(&self, job: &Job) -> Result<Vec<DeviceParams>> {
        let teachers = self.live().iter();
        teachers.map(|(t, _)| DeviceParams::frozen(&job.gpu, "teacher", &t.network.params)).collect()
    }

    /// `frozen` are what [`Teachers::upload`] made.
    pub fn supervision<'a>(
        &'a self,
        job: &Job,
        objective: &Objective,
        frozen: &'a [DeviceParams],
    ) -> Result<Supervision<'a>> {
        if let Self::Stored(outputs, teacher) = self {
            let taps = job.recipe.tap_pairs()?.unwrap_or_default();
            let network = teacher.as_ref().map(|teacher| &teacher.network);
            let stored = StoredTeacher::new(outputs.clone(), objective.clone());
            let stored = stored.with_network(network).with_taps(taps);
            return Ok(Supervision { teaching: Some(stored.into()), ..Default::default() });
        }
        let mut all = self.live().iter().zip(frozen);
        let Some(((first, weight), params)) = all.next() else { return Ok(Supervision::default()) };
        let teacher = teach(job, objective, &first.network, params)?;
        let scheme = Scheme { first_weight: *weight, others: all.map(member).collect(), average: None };
        Ok(Supervision { teaching: Some(teacher.into()), scheme, peer: None })
    }
}

fn member<'a>(((teacher, weight), params): (&'a (Saved, f32), &'a DeviceParams)) -> Member<'a> {
    Member { network: &teacher.network, params, weight: *weight }
}

/// The files of all teachers, at least one, with their shares.
pub fn teachers_of(recipe: &Recipe) -> Result<Vec<(PathBuf, f32)>> {
    let text = recipe.need(&recipe.teacher, "teacher", "runs/teacher/model.safetensors")?;
    let paths: Vec<PathBuf> = match text.to_str() {
        Some(names) if !text.exists() => names.split(',').map(|name| name.trim().into()).collect(),
        _ => vec![text.clone()],
    };
    let weights = recipe.teacher_weights.clone().unwrap_or_else(|| vec![1.0; paths.len()]);
    if weights.len() != paths.len() {
        let message = format!("expected {}, one for each teacher, got {}", paths.len(), weights.len());
        return Err(Error::config("teacher_weights", message));
    }
    Ok(paths.into_iter().zip(weights).collect())
}

/// All teachers, at least one, with their shares.
fn open_teachers(recipe: &Recipe, data: &dyn Subject) -> Result<Vec<(Saved, f32)>> {
    let paths = teachers_of(recipe)?;
    let teachers = paths.iter().map(|(path, weight)| Ok((open(recipe, data, path)?, *weight)));
    let teachers = teachers.collect::<Result<Vec<_>>>()?;
    let normalisation = |saved: &Saved| (saved.metadata.mean.clone(), saved.metadata.std.clone());
    match teachers.iter().find(|(teacher, _)| normalisation(teacher) != normalisation(&teachers[0].0)) {
        None => Ok(teachers),
        Some((other, _)) => {
            let message = format!(
                "expected teachers of one normalisation, since all see the same images; {} has {:?}, {} has {:?}",
                teachers[0].0.network.name,
                normalisation(&teachers[0].0),
                other.network.name,
                normalisation(other)
            );
            Err(Error::config("teacher", message))
        }
    }
}

/// The only teacher, with what its file does not say taken from the flags and the data.
pub fn open_teacher(recipe: &Recipe, data: &dyn Subject) -> Result<Saved> {
    open(recipe, data, recipe.need(&recipe.teacher, "teacher", "runs/teacher/model.safetensors")?)
}

fn open(recipe: &Recipe, data: &dyn Subject, path: &Path) -> Result<Saved> {
    let overrides = Overrides {
        model: recipe.teacher_model.clone(),
        mean: recipe.data_mean.clone(),
        std: recipe.data_std.clone(),
        map: recipe.teacher_map.as_ref().map(NameMap::read).transpose()?,
        ..Default::default()
    };
    let teacher = saved::open_with(path, &overrides, &data.overrides()).map_err(of_teacher)?;
    data.teacher(teacher).map_err(of_teacher)
}

/// A network as the teacher of an objective.
pub fn teach<'a>(
    job: &Job,
    objective: &Objective,
    network: &'a Network,
    params: &'a DeviceParams,
) -> Result<Teacher<'a>> {
    let taps = job.recipe.tap_pairs()?.unwrap_or_default();
    Ok(Teacher::new(network, params, objective.clone()).with_taps(taps))
}
