//! The teacher's weights as the student's starting point.
//!
//! Every tensor of the student takes that of the same name in the teacher ([`Layers`] says which block, where they have
//! different numbers of them). Where widths differ, one choice of channels ([`Select`]) is made for every pair of widths
//! (teacher's, student's), over all layers of that pair: one choice a width keeps layers aligned, across residual
//! connections too. Then w = share * w_t + (1 - share) * w_s.
//!
//! A wider student (Net2Wider, Chen et al. 1511.05641): channel k takes the teacher's floor(k n / w), so that its copies
//! also fit behind shortcuts that pad with zeros, and what reads m copies of a channel weighs them with shares that add
//! up to the teacher's weight. The shares differ, so that copies learn different things. A deeper one (Net2Deeper): the
//! blocks that the teacher does not have become identities. Both compute what the teacher computes.

mod blocks;
mod identity;

use std::collections::BTreeMap;
use std::fmt;

use self::blocks::{Origin, origins};
use crate::nn::{Param, Params};
use crate::rng::Stream;
use crate::{Error, Result};

/// Which channels, where widths differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Select {
    /// Those of the largest L1 norm of their filters (Li et al. 1608.08710).
    #[default]
    L1,
    /// Those of the largest BatchNorm scale (Liu et al. 1708.06519).
    BatchNorm,
    /// All, some of them several times: the student is the wider one.
    Wider,
}

/// Which blocks, where their numbers differ.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Layers {
    /// Those of the same name.
    #[default]
    Same,
    /// Evenly spaced ones, the first and the last included.
    Skip,
    /// These, by their numbers in the teacher.
    Listed(Vec<usize>),
    /// All, with identities between them: the student is the deeper one.
    Deeper,
}

/// How a student starts from a teacher's weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Transfer {
    /// Share of the teacher in the student's weights: 1 copies, 0 changes nothing.
    pub share: f32,
    /// Which channels.
    pub select: Select,
    /// Which blocks.
    pub layers: Layers,
}

impl Default for Transfer {
    fn default() -> Self {
        Self { share: 1.0, select: Select::default(), layers: Layers::default() }
    }
}

impl fmt::Display for Select {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::L1 => "select=l1",
            Self::BatchNorm => "select=bn",
            Self::Wider => "select=wider",
        })
    }
}

impl fmt::Display for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same => f.write_str("layers=same"),
            Self::Skip => f.write_str("layers=skip"),
            Self::Deeper => f.write_str("layers=deeper"),
            Self::Listed(numbers) => {
                let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
                write!(f, "blocks={}", numbers.join("/"))
            }
        }
    }
}

/// The teacher's channel for each of the student's, by (teacher's width, student's width).
type Channels = BTreeMap<(usize, usize), Vec<usize>>;

impl Transfer {
    /// Moves `student` toward the teacher's weights. Nothing changes on an error.
    ///
    /// # Errors
    /// [`Error::Shape`] where a tensor has no counterpart that fits the rule, naming both tensors, both shapes and the
    /// rule; [`Error::Config`] for a share outside 0 to 1, and for blocks that can't be matched.
    pub fn apply(&self, student: &mut Params, teacher: &Params) -> Result<()> {
        if !(0.0..=1.0).contains(&self.share) {
            return Err(Error::config("transfer", format!("expected 0 to 1, got {}", self.share)));
        }
        let origins = origins(student, teacher, &self.layers)?;
        let channels = self.channels(student, &origins)?;
        let mut moved = Vec::new();
        for (param, origin) in student.iter().zip(&origins) {
            moved.push(match origin {
                Origin::Teacher(source) => self.gather(param, source, &channels)?,
                Origin::Inserted { block } => identity::values(student, param, block)?,
            });
        }
        for (param, values) in student.iter_mut().zip(moved) {
            for (own, theirs) in param.values.iter_mut().zip(values) {
                *own = self.share * theirs + (1.0 - self.share) * *own;
            }
        }
        Ok(())
    }

    fn channels(&self, student: &Params, origins: &[Origin<'_>]) -> Result<Channels> {
        let mut scores: BTreeMap<(usize, usize), Vec<f64>> = BTreeMap::new();
        for (param, origin) in student.iter().zip(origins) {
            let Origin::Teacher(source) = origin else { continue };
            self.check(param, source)?;
            let scored = match self.select {
                Select::BatchNorm => is_norm_scale(student, param),
                _ => param.shape.rank() >= 2,
            };
            if !scored {
                continue;
            }
            let (theirs, ours) = (source.shape[0], param.shape[0]);
            let filter = (source.shape.len() / theirs.max(1)).max(1);
            let score = scores.entry((theirs, ours)).or_insert_with(|| vec![0.0; theirs]);
            for (total, weights) in score.iter_mut().zip(source.values.chunks(filter)) {
                *total += weights.iter().map(|w| f64::from(w.abs())).sum::<f64>() / filter as f64;
            }
        }
        let choose = |((theirs, ours), score): ((usize, usize), Vec<f64>)| {
            let kept = match self.select {
                Select::Wider => (0..ours).map(|k| k * theirs / ours).collect(),
                _ => strongest(&score, ours),
            };
            ((theirs, ours), kept)
        };
        Ok(scores.into_iter().map(choose).collect())
    }

    /// Fails unless `source` has the rank of `param`, and sizes that the rule can bring to its.
    fn check(&self, param: &Param, source: &Param) -> Result<()> {
        let fits = |(theirs, ours): (&usize, &usize)| match self.select {
            Select::Wider => theirs <= ours,
            _ => theirs >= ours,
        };
        let same_rank = source.shape.rank() == param.shape.rank();
        if same_rank && source.shape.dims().iter().zip(param.shape.dims()).all(fits) {
            return Ok(());
        }
        let found = format!("{} {}", source.name, source.shape);
        Err(mismatch(param, &found, &format!("{}, {}", self.select, self.layers)))
    }

    fn gather(&self, param: &Param, source: &Param, channels: &Channels) -> Result<Vec<f32>> {
        let sizes = source.shape.dims().iter().zip(param.shape.dims());
        let axes = sizes.map(|(&theirs, &ours)| indices(theirs, ours, channels)).collect::<Option<Vec<_>>>();
        let axes = axes.ok_or_else(|| {
            let found = format!("{} {}, whose widths no scored layer has", source.name, source.shape);
            mismatch(param, &found, &format!("{}, {}", self.select, self.layers))
        })?;
        let mut offsets = vec![0usize];
        for (kept, stride) in axes.iter().zip(&source.shape.strides()) {
            offsets = offsets.iter().flat_map(|o| kept.iter().map(move |i| o + i * stride)).collect();
        }
        let mut values: Vec<f32> = offsets.into_iter().map(|o| source.values[o]).collect();
        if let (Select::Wider, [_, inputs, ..]) = (self.select, &axes[..])
            && source.shape[1] < param.shape[1]
        {
            split(param, inputs, &mut values);
        }
        Ok(values)
    }
}

/// Where copies of one input are read, each gets a share of the weight; the shares of one output add up to 1.
fn split(param: &Param, inputs: &[usize], values: &mut [f32]) {
    let mut copies: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (place, from) in inputs.iter().enumerate() {
        copies.entry(*from).or_default().push(place);
    }
    let pixels: usize = param.shape.dims()[2..].iter().product();
    let mut random = Stream::new(0, &param.name);
    for filter in values.chunks_mut(inputs.len() * pixels) {
        for places in copies.values().filter(|places| places.len() > 1) {
            let drawn: Vec<f64> = places.iter().map(|_| random.unit()).collect();
            let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
            for (place, drawn) in places.iter().zip(drawn) {
                let share = (1.0 + SPREAD * (drawn - mean)) / places.len() as f64;
                for weight in &mut filter[place * pixels..(place + 1) * pixels] {
                    *weight = (f64::from(*weight) * share) as f32;
                }
            }
        }
    }
}

/// How far the shares of two copies may lie apart, relative to their mean.
const SPREAD: f64 = 0.2;

/// The places of the `count` largest scores, in order.
fn strongest(score: &[f64], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..score.len()).collect();
    order.sort_by(|&a, &b| score[b].total_cmp(&score[a]).then(a.cmp(&b)));
    order.truncate(count);
    order.sort_unstable();
    order
}

/// Whether `param` is the scale of a BatchNorm: the weight beside a running mean.
fn is_norm_scale(params: &Params, param: &Param) -> bool {
    let layer = param.name.strip_suffix(".weight");
    layer.is_some_and(|layer| params.id(&format!("{layer}.running_mean")).is_some())
}

/// What the student's indices of one axis take. A flattened axis (channels times pixels) keeps a channel's pixels.
fn indices(theirs: usize, ours: usize, channels: &Channels) -> Option<Vec<usize>> {
    if theirs == ours {
        return Some((0..theirs).collect());
    }
    if let Some(kept) = channels.get(&(theirs, ours)) {
        return Some(kept.clone());
    }
    channels.iter().find_map(|((t, s), kept)| {
        let pixels = theirs / t;
        (theirs == t * pixels && ours == s * pixels)
            .then(|| kept.iter().flat_map(|c| c * pixels..(c + 1) * pixels).collect())
    })
}

fn mismatch(param: &Param, found: &str, rule: &str) -> Error {
    let what = format!("weight transfer ({rule}) to the student's {} {}", param.name, param.shape);
    let expected = "a tensor of the teacher with the same rank, and no smaller (select=wider: no larger)";
    Error::shape(what, expected, found.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{ModelConfig, build};

    /// With as many channels as the teacher, the student becomes the teacher.
    #[test]
    fn equal_widths_copy() {
        let config = ModelConfig::classifier([1, 8, 8], 10);
        let (mut student, mut teacher) =
            (build("cnn:4,6", &config).unwrap().params, build("cnn:4,6", &config).unwrap().params);
        student.initialise(1);
        teacher.initialise(2);
        Transfer::default().apply(&mut student, &teacher).unwrap();
        assert!(student.iter().zip(teacher.iter()).all(|(s, t)| s.values == t.values));
    }

    /// The channel with the largest filters is kept, and the next layer reads from it.
    #[test]
    fn the_strongest_channels_are_kept() {
        let config = ModelConfig::classifier([1, 4, 4], 2);
        let mut teacher = build("cnn:3", &config).unwrap().params;
        let mut student = build("cnn:1", &config).unwrap().params;
        teacher.initialise(1);
        let conv = teacher.find_mut("conv1.weight").unwrap();
        conv.values[9..18].fill(5.0);
        Transfer::default().apply(&mut student, &teacher).unwrap();
        assert!(student.find("conv1.weight").unwrap().values.iter().all(|w| *w == 5.0));
        let fc = &teacher.find("fc.weight").unwrap().values;
        assert_eq!(student.find("fc.weight").unwrap().values[..4], fc[4..8]);
    }

    #[test]
    fn a_larger_student_is_refused_by_name() {
        let config = ModelConfig::classifier([1, 8, 8], 10);
        let teacher = build("cnn:4", &config).unwrap().params;
        let mut student = build("cnn:8", &config).unwrap().params;
        let message = Transfer::default().apply(&mut student, &teacher).unwrap_err().to_string();
        for part in ["select=l1", "student's conv1.weight [8, 1, 3, 3]", "got conv1.weight [4, 1, 3, 3]"] {
            assert!(message.contains(part), "{part} in {message}");
        }
    }

    /// The largest scale wins, also where its filter is the smallest.
    #[test]
    fn batch_norm_scales_select() {
        let config = ModelConfig::classifier([1, 4, 4], 2);
        let mut teacher = build("cnn:3", &config).unwrap().params;
        let mut student = build("cnn:1", &config).unwrap().params;
        teacher.find_mut("conv1.weight").unwrap().values[18..].fill(1e-3);
        teacher.find_mut("bn1.weight").unwrap().values.copy_from_slice(&[0.1, -0.2, -0.9]);
        let by_scale = Transfer { select: Select::BatchNorm, ..Default::default() };
        by_scale.apply(&mut student, &teacher).unwrap();
        assert!(student.find("conv1.weight").unwrap().values.iter().all(|w| *w == 1e-3));
        assert_eq!(student.find("bn1.weight").unwrap().values, [-0.9]);
        let mut flat = build("mlp:4", &config).unwrap().params;
        let message = by_scale.apply(&mut flat, &build("mlp:8", &config).unwrap().params);
        assert!(message.unwrap_err().to_string().contains("no scored layer"));
    }

    #[test]
    fn blocks_are_skipped_evenly_or_as_listed() {
        let config = ModelConfig::classifier([3, 16, 16], 10);
        let teacher = build("resnet56", &config).unwrap().params;
        for (layers, blocks) in [(Layers::Skip, [0, 4, 8]), (Layers::Listed(vec![0, 1, 7]), [0, 1, 7])] {
            let mut student = build("resnet20", &config).unwrap().params;
            Transfer { layers, ..Default::default() }.apply(&mut student, &teacher).unwrap();
            for (own, block) in blocks.into_iter().enumerate() {
                let ours = &student.find(&format!("layer2.{own}.conv2.weight")).unwrap().values;
                assert_eq!(ours, &teacher.find(&format!("layer2.{block}.conv2.weight")).unwrap().values);
            }
        }
        let mut student = build("resnet20", &config).unwrap().params;
        for (layers, part) in [
            (Layers::Listed(vec![0, 1]), "blocks=0/1: layer1.: expected as many"),
            (Layers::Listed(vec![0, 1, 9]), "the teacher layer1.0"),
        ] {
            let message = Transfer { layers, ..Default::default() }.apply(&mut student, &teacher);
            let message = message.unwrap_err().to_string();
            assert!(message.contains(part), "{part} in {message}");
        }
        let mut teacher = teacher;
        let deeper = Transfer { layers: Layers::Skip, ..Default::default() };
        let message = deeper.apply(&mut teacher, &student).unwrap_err().to_string();
        assert!(message.contains("no more than the teacher has"), "{message}");
    }
}
