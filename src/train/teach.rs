//! Writes a teacher's outputs for a data set, batch by batch, straight to disk.

#[cfg(not(target_arch = "wasm32"))]
use std::path::Path;
use std::sync::Arc;

use super::step::record::{BatchRecording, Pass};
use super::teacher::maps::{StoredMap, map_tensor};
use super::teacher::outputs::{self, OutputsInfo, output_tensors, tap_tensor};
use crate::data::{Loader, LoaderConfig, Source};
use crate::files::{Metadata, TensorSpec, TensorWriter};
use crate::gpu::Gpu;
use crate::models::Network;
use crate::nn::{DeviceParams, Mode};
#[cfg(not(target_arch = "wasm32"))]
use crate::platform::Folder;
use crate::platform::store::{Draft, Store};
use crate::tape::{Plan, Step, Tensor};
use crate::tasks::{Leaves, Need, Task};
use crate::train::weights_hash;
use crate::{Error, Result};

/// What of a teacher's outputs is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeachConfig {
    /// Samples a step.
    pub batch_size: usize,
    /// Logits to keep of each sample; all where absent.
    pub topk: Option<usize>,
    /// Layers whose outputs are written too.
    pub taps: Vec<String>,
    /// Keys the task's augmentation, as the student's training will.
    pub seed: u64,
    /// Epochs of views; 1 without augmentation, where one set serves all.
    pub epochs: u64,
}

/// Runs `teacher` over `data`, shown as `task` shows it in training, and writes its outputs to `path`, atomically. Blocks.
/// `progress` hears of the share that is done.
///
/// # Errors
/// [`Error::Config`] for a tap that is not there, numbers that make no sense, and outputs that are NaN or infinite;
/// [`Error::File`] where the file can't be written.
#[cfg(not(target_arch = "wasm32"))]
pub fn teach<S: Source + ?Sized + 'static>(
    gpu: &Gpu,
    task: &dyn Task,
    teacher: &Network,
    data: &Arc<S>,
    config: &TeachConfig,
    path: &Path,
    progress: impl FnMut(f64),
) -> Result<OutputsInfo> {
    let (folder, name) = Folder::of(path)?;
    gpu.block_on(teach_async(gpu, task, teacher, data, config, (&folder, &name), progress))
}

/// [`teach`] for callers that may not block, into a store under a name.
///
/// # Errors
/// Those of [`teach`].
pub async fn teach_async<S: Source + ?Sized + 'static>(
    gpu: &Gpu,
    task: &dyn Task,
    teacher: &Network,
    data: &Arc<S>,
    config: &TeachConfig,
    (store, name): (&dyn Store, &str),
    mut progress: impl FnMut(f64),
) -> Result<OutputsInfo> {
    let path = &store.path(name);
    let mut info = info(task, teacher, data, config)?;
    let order = LoaderConfig { seed: config.seed, ..LoaderConfig::in_order(config.batch_size) };
    let loader = Loader::new(Arc::new(data.clone()), order)?;
    let params = DeviceParams::frozen(gpu, "teacher", &teacher.params)?;
    let pass = TeacherOutputs::new(gpu, task, (teacher, &params), data, config).await?;
    info.maps = pass.maps();
    let text = serde_json::to_string(&info).map_err(|e| Error::file(path, e))?;
    let metadata = Metadata::from([(outputs::KEY.to_string(), text)]);
    let batches = (info.epochs * loader.batches() as u64) as f64;
    let mut file = TensorWriter::new(path, store.create(name).await?, &tensors(&info, &pass), &metadata)?;
    for epoch in 0..info.epochs {
        for batch in loader.epoch(epoch) {
            let batch = batch?;
            let mut step = Step::new(0, config.seed);
            step.epoch = epoch as u32;
            pass.leaves.write(&pass.plan, &batch)?;
            pass.plan.run(&step)?;
            pass.write(&mut file, &info, batch.len).await?;
            progress((epoch as f64 * loader.batches() as f64 + batch.index as f64 + 1.0) / batches);
        }
    }
    file.finish()?.keep().await?;
    Ok(info)
}

/// What the file will say, checked.
fn info(task: &dyn Task, teacher: &Network, data: &dyn Source, config: &TeachConfig) -> Result<OutputsInfo> {
    let refuse = |name: &str, message: String| Err(Error::config(name, message));
    let (ours, head) = (teacher.head(), task.model_config().head);
    if ours != head {
        let message = format!(
            "has {} {}, and the data set has {} {}",
            ours.width(),
            ours.noun(),
            head.width(),
            head.noun()
        );
        return refuse("teacher", message);
    }
    let (classes, views) = (head.width(), task.views());
    if config.topk.is_some() && !task.spec().offers.contains(&Need::Logits) {
        let message = format!("the largest of {} {} mean nothing; leave it out", head.width(), head.noun());
        return refuse("topk", message);
    }
    if let Some(k) = config.topk.filter(|&k| k == 0 || k >= classes) {
        let message = format!("expected 1 to {}, got {k}; leave it out to keep every logit", classes - 1);
        return refuse("topk", message);
    }
    let info = OutputsInfo {
        version: outputs::VERSION,
        data: data.fingerprint(),
        samples: data.len(),
        classes,
        mean: views.mean,
        std: views.std,
        crop_padding: views.augmentation.crop_padding,
        flip: views.augmentation.flip,
        random: data.is_random(),
        seed: config.seed,
        epochs: config.epochs,
        topk: config.topk,
        teacher: teacher.name.clone(),
        teacher_hash: weights_hash(&teacher.params),
        taps: config.taps.clone(),
        boxes: views.boxes,
        maps: Vec::new(),
    };
    if info.boxes.mosaic > 0.0 {
        let message = "mosaics are made of a batch's images, and outputs are of one image each; leave it out";
        return refuse("mosaic", message.into());
    }
    if config.epochs == 0 || config.epochs > u64::from(u32::MAX) {
        return refuse("epochs", format!("expected 1 to {}, got {}", u32::MAX, config.epochs));
    }
    if !info.is_augmented() && config.epochs > 1 {
        let message =
            "without augmentation and random samples one set of outputs serves every epoch; leave it out";
        return refuse("epochs", message.into());
    }
    Ok(info)
}

/// What a network gives for a batch.
enum Given {
    /// (N, C).
    Rows(Tensor),
    /// Those off which boxes are read.
    Maps(Vec<(StoredMap, Tensor)>),
}

impl Given {
    fn of(task: &dyn Task, recording: &BatchRecording<'_>, batch_size: usize) -> Result<Self> {
        let maps = recording.outputs.iter().filter_map(|(name, map)| {
            let head = recording.outputs.head_of(name)?.as_ref().clone();
            let cells = [map.dims()[2], map.dims()[3]];
            Some((StoredMap { name: name.into(), cells, head }, map.clone()))
        });
        let maps: Vec<_> = maps.collect();
        if !maps.is_empty() {
            return Ok(Self::Maps(maps));
        }
        let rows = task.some_rows(&recording.outputs, &recording.leaves)?.values;
        if rows.dims()[0] == batch_size {
            return Ok(Self::Rows(rows));
        }
        let message = format!(
            "has {} rows a batch of {batch_size} samples; an outputs file has one a sample, so teach this student live",
            rows.dims()[0]
        );
        Err(Error::config("task", message))
    }

    fn tensors(&self) -> Vec<&Tensor> {
        match self {
            Self::Rows(rows) => vec![rows],
            Self::Maps(maps) => maps.iter().map(|(_, map)| map).collect(),
        }
    }
}

/// The teacher alone, compiled.
struct TeacherOutputs {
    plan: Plan,
    leaves: Leaves,
    given: Given,
    taps: Vec<(String, Tensor)>,
}

impl TeacherOutputs {
    async fn new(
        gpu: &Gpu,
        task: &dyn Task,
        (teacher, params): (&Network, &DeviceParams),
        data: &dyn Source,
        config: &TeachConfig,
    ) -> Result<Self> {
        let pass = Pass { views: Mode::Train, ..Pass::eval(teacher, params) };
        let recording = BatchRecording::new(task, data, config.batch_size, pass)?;
        let given = Given::of(task, &recording, config.batch_size)?;
        let tap = |name: &String| Ok((name.clone(), recording.forward.tap(name)?));
        let taps = config.taps.iter().map(tap).collect::<Result<Vec<_>>>()?;
        let kept: Vec<&Tensor> =
            given.tensors().into_iter().chain(taps.iter().map(|(_, tensor)| tensor)).collect();
        let plan = Plan::compile(gpu, recording.tape(), &kept).await?;
        Ok(Self { plan, leaves: recording.leaves, given, taps })
    }

    /// Those of a detector.
    fn maps(&self) -> Vec<StoredMap> {
        match &self.given {
            Given::Rows(_) => Vec::new(),
            Given::Maps(maps) => maps.iter().map(|(map, _)| map.clone()).collect(),
        }
    }

    /// Appends what the last run gave for its first `len` samples.
    async fn write(
        &self,
        file: &mut TensorWriter<Box<dyn Draft>>,
        info: &OutputsInfo,
        len: usize,
    ) -> Result<()> {
        match &self.given {
            Given::Rows(logits) => self.write_rows(file, info, logits, len).await?,
            Given::Maps(maps) => {
                for (map, tensor) in maps {
                    file.append(&map_tensor(&map.name), &self.finite(&map.name, tensor, len).await?)?;
                }
            }
        }
        for (name, tensor) in &self.taps {
            file.append(&tap_tensor(name), &self.finite(name, tensor, len).await?)?;
        }
        Ok(())
    }

    async fn write_rows(
        &self,
        file: &mut TensorWriter<Box<dyn Draft>>,
        info: &OutputsInfo,
        logits: &Tensor,
        len: usize,
    ) -> Result<()> {
        let logits = self.finite("logits", logits, len).await?;
        let Some(k) = info.topk else { return file.append(outputs::LOGITS, &logits) };
        for row in logits.chunks(info.classes) {
            let (kept, classes, rest) = largest(row, k);
            file.append(outputs::TOP_LOGITS, &kept)?;
            file.append(outputs::TOP_CLASSES, &classes)?;
            file.append(outputs::TOP_REST, &[rest])?;
        }
        Ok(())
    }

    /// The first `len` rows of a tensor.
    async fn finite(&self, name: &str, tensor: &Tensor, len: usize) -> Result<Vec<f32>> {
        let mut values = self.plan.read_f32_async(tensor).await?;
        values.truncate(len * tensor.dims()[1..].iter().product::<usize>());
        if values.iter().all(|v| v.is_finite()) {
            return Ok(values);
        }
        let message =
            format!("{name} is NaN or infinite; check its weights, and the normalisation of its images");
        Err(Error::config("teacher", message))
    }
}

fn tensors(info: &OutputsInfo, pass: &TeacherOutputs) -> Vec<TensorSpec> {
    let spec = |name: &str, shape: Vec<usize>| TensorSpec {
        name: name.into(),
        shape,
        integers: name == outputs::TOP_CLASSES,
    };
    let mut all: Vec<_> = output_tensors(info).into_iter().map(|(name, shape)| spec(&name, shape)).collect();
    for (name, tensor) in &pass.taps {
        let shape = [&[info.epochs as usize, info.samples], &tensor.dims()[1..]].concat();
        all.push(spec(&tap_tensor(name), shape));
    }
    all
}

/// The `k` largest logits, the first of equals first, their classes, and the log of the sum of the exponentials of all
/// others.
fn largest(row: &[f32], k: usize) -> (Vec<f32>, Vec<i32>, f32) {
    let mut order: Vec<usize> = (0..row.len()).collect();
    order.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
    let (kept, others) = order.split_at(k);
    // From the largest down no exponential overflows.
    let most = others.first().map_or(0.0, |&class| f64::from(row[class]));
    let sum: f64 = others.iter().map(|&class| (f64::from(row[class]) - most).exp()).sum();
    let logits = kept.iter().map(|&class| row[class]).collect();
    (logits, kept.iter().map(|&class| class as i32).collect(), (most + sum.ln()) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_keeps_its_mass() {
        let (kept, classes, rest) = largest(&[1.0, 3.0, -1.0, 3.0, 0.5], 2);
        assert_eq!((kept, classes), (vec![3.0, 3.0], vec![1, 3]));
        let want = (1f64.exp() + (-1f64).exp() + 0.5f64.exp()).ln();
        assert!((f64::from(rest) - want).abs() < 1e-6, "{rest} {want}");
        let (_, _, rest) = largest(&[1000.0, 999.0, 999.0], 1);
        assert!((rest - 999.0 - 2f32.ln()).abs() < 1e-3, "{rest}");
    }
}
