//! The teacher's weights as the student's starting point.
//!
//! Student and teacher have the same layers, the student with fewer channels. For every pair of widths (teacher's,
//! student's) one set of channels is kept: those with the largest L1 norm of their filters, summed over all layers of
//! that width. One set a width keeps layers aligned, across residual connections too. Then
//! w = alpha * w_t + (1 - alpha) * w_s.

use std::collections::BTreeMap;

use crate::nn::{Param, Params};
use crate::{Error, Result};

/// Kept teacher channels for each (teacher width, student width).
type Selection = BTreeMap<(usize, usize), Vec<usize>>;

/// Moves `student` toward the teacher's selected weights: `alpha` 1 copies, 0 changes nothing. Every tensor of the
/// student must have one of the same name and rank, at least as large, in the teacher.
pub fn transfer(student: &mut Params, teacher: &Params, alpha: f32) -> Result<()> {
    if !(0.0..=1.0).contains(&alpha) {
        return Err(Error::config("alpha", format!("expected 0 to 1, got {alpha}")));
    }
    let selection = select(student, teacher)?;
    let mut moved = Vec::new();
    for param in student.iter() {
        let source = counterpart(param, teacher)?;
        moved.push(gather(param, source, &selection)?);
    }
    for (param, values) in student.iter_mut().zip(moved) {
        for (own, theirs) in param.values.iter_mut().zip(values) {
            *own = alpha * theirs + (1.0 - alpha) * *own;
        }
    }
    Ok(())
}

fn counterpart<'a>(param: &Param, teacher: &'a Params) -> Result<&'a Param> {
    let fail = |got: String| {
        let expected =
            format!("a teacher tensor of rank {} and at least {}", param.shape.rank(), param.shape);
        Error::shape(format!("weight transfer to {}", param.name), expected, got)
    };
    let source = teacher.find(&param.name).ok_or_else(|| fail("none of that name".into()))?;
    let fits = source.shape.rank() == param.shape.rank()
        && source.shape.dims().iter().zip(param.shape.dims()).all(|(t, s)| t >= s);
    if fits { Ok(source) } else { Err(fail(source.shape.to_string())) }
}

fn select(student: &Params, teacher: &Params) -> Result<Selection> {
    let mut scores: BTreeMap<(usize, usize), Vec<f64>> = BTreeMap::new();
    for param in student.iter().filter(|p| p.shape.rank() >= 2) {
        let source = counterpart(param, teacher)?;
        let (wide, narrow) = (source.shape[0], param.shape[0]);
        let filter = source.shape.len() / wide.max(1);
        let score = scores.entry((wide, narrow)).or_insert_with(|| vec![0.0; wide]);
        for (total, weights) in score.iter_mut().zip(source.values.chunks(filter.max(1))) {
            *total += weights.iter().map(|w| f64::from(w.abs())).sum::<f64>() / filter as f64;
        }
    }
    Ok(scores
        .into_iter()
        .map(|((wide, narrow), score)| {
            let mut order: Vec<usize> = (0..wide).collect();
            order.sort_by(|&a, &b| score[b].total_cmp(&score[a]).then(a.cmp(&b)));
            order.truncate(narrow);
            order.sort_unstable();
            ((wide, narrow), order)
        })
        .collect())
}

/// The indices to keep of one axis. A flattened axis (channels times pixels) keeps all pixels of the kept channels.
fn indices(wide: usize, narrow: usize, selection: &Selection) -> Option<Vec<usize>> {
    if wide == narrow {
        return Some((0..wide).collect());
    }
    if let Some(kept) = selection.get(&(wide, narrow)) {
        return Some(kept.clone());
    }
    selection.iter().find_map(|((w, n), kept)| {
        let pixels = wide / w;
        (wide == w * pixels && narrow == n * pixels)
            .then(|| kept.iter().flat_map(|c| c * pixels..(c + 1) * pixels).collect())
    })
}

fn gather(param: &Param, source: &Param, selection: &Selection) -> Result<Vec<f32>> {
    let axes = source
        .shape
        .dims()
        .iter()
        .zip(param.shape.dims())
        .map(|(&wide, &narrow)| indices(wide, narrow, selection))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| {
            let expected = format!("widths that occur as output channels of some layer, for {}", param.shape);
            Error::shape(format!("weight transfer to {}", param.name), expected, source.shape.to_string())
        })?;
    let strides = source.shape.strides();
    let mut offsets = vec![0usize];
    for (kept, stride) in axes.iter().zip(&strides) {
        offsets = offsets.iter().flat_map(|o| kept.iter().map(move |i| o + i * stride)).collect();
    }
    Ok(offsets.into_iter().map(|o| source.values[o]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{ModelConfig, build};

    /// With as many channels as the teacher, the student becomes the teacher.
    #[test]
    fn equal_widths_copy() {
        let config = ModelConfig { input: [1, 8, 8], classes: 10 };
        let (mut student, mut teacher) =
            (build("cnn:4,6", &config).unwrap().params, build("cnn:4,6", &config).unwrap().params);
        student.initialise(1);
        teacher.initialise(2);
        transfer(&mut student, &teacher, 1.0).unwrap();
        assert!(student.iter().zip(teacher.iter()).all(|(s, t)| s.values == t.values));
    }

    /// The channel with the largest filters is kept, and the next layer reads from it.
    #[test]
    fn the_strongest_channels_are_kept() {
        let config = ModelConfig { input: [1, 4, 4], classes: 2 };
        let mut teacher = build("cnn:3", &config).unwrap().params;
        let mut student = build("cnn:1", &config).unwrap().params;
        teacher.initialise(1);
        let conv = teacher.find_mut("conv1.weight").unwrap();
        conv.values[9..18].fill(5.0);
        transfer(&mut student, &teacher, 1.0).unwrap();
        assert!(student.find("conv1.weight").unwrap().values.iter().all(|w| *w == 5.0));
        let fc = &teacher.find("fc.weight").unwrap().values;
        assert_eq!(student.find("fc.weight").unwrap().values[..4], fc[4..8]);
    }

    #[test]
    fn a_larger_student_is_refused_by_name() {
        let config = ModelConfig { input: [1, 8, 8], classes: 10 };
        let teacher = build("cnn:4", &config).unwrap().params;
        let mut student = build("cnn:8", &config).unwrap().params;
        let message = transfer(&mut student, &teacher, 1.0).unwrap_err().to_string();
        assert!(message.contains("conv1.weight"), "{message}");
    }
}
