//! The teacher's classifier reused (SimKD, Chen et al. 2203.14001): mean (p(f_s) - f_t)^2 of the last maps,
//! with a projector p: 1x1 convolution to C_t / factor, 3x3 convolution, 1x1 convolution to C_t, each without
//! bias and followed by batch norm and relu. A larger map is pooled to the smaller one's size.
//!
//! The student that is trained, measured and saved ends in p and the teacher's classifier
//! ([`crate::models::reuse`]): its logits are W mean_hw(p(f_s)) + b, W and b being the teacher's, which do
//! not change. The cross-entropy of these logits has the weight 0, as in the authors' code; `simkd+ce:1` is
//! its `-c 1`.
//!
//! f_t is the map whose mean the teacher's classifier reads, f_s the student's tap. f_t may lie on disk: of the
//! teacher's file, which is then given beside its outputs, only the classifier is used.

use crate::distill::{
    Family, Knowledge, Loss, Method, MethodContext, MethodSpec, Need, Setting, TapNeed, TeacherPass,
    features, loss,
};
use crate::models::base_of;
use crate::models::reuse::{CLASSIFIER, PROJECTED, ReusedHead};
use crate::nn::{Param, ParamBuilder, Params};
use crate::tape::Tensor;
use crate::{Error, Result};

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "simkd",
    family: Family::Feature,
    knowledge: Knowledge::Feature,
    about: "the student's last map, projected, regresses the teacher's, ends in its classifier",
    formula: "mean (p(f_s) - f_t)^2; the student's logits are W_t mean_hw(p(f_s)) + b_t",
    paper: "Chen et al. 2203.14001",
    settings: &[Setting::count(
        "factor",
        2,
        [1, 64],
        "by how much the projector is narrower than the teacher",
    )],
    taps: TapNeed::Last,
    reads: &[Need::Logits, Need::Taps, Need::Weights],
    weight: 1.0,
    ce_weight: 0.0,
    build: |values| Ok(Box::new(SimKd { factor: values.count("factor")? })),
};

#[derive(Debug)]
struct SimKd {
    factor: usize,
}

impl Method for SimKd {
    fn reads_teacher(&self) -> bool {
        true
    }

    fn changes_student(&self) -> bool {
        true
    }

    fn student(&self, name: &str, seen: &MethodContext<'_>) -> Result<Option<String>> {
        let Some((_, params)) = seen.teacher.network() else {
            let message = "the student ends in the teacher's classifier, which outputs on disk do not hold; give the \
                           teacher's file beside them (`teacher` and `teacher_outputs`)";
            return Err(Error::config("simkd", message));
        };
        let (teacher, tap) = (reused(seen)?, guided(seen)?);
        let student = seen.student.tap(tap)?;
        let (&[_, c_s, _, _], &[_, c_t, h, w]) = (student.dims(), teacher.dims()) else {
            let got = format!("{} and {}", teacher.shape(), student.shape());
            return Err(Error::shape("simkd", "maps (N, C, H, W) in both networks", got));
        };
        classifier(params, seen.rows()?.teacher.dims()[1], c_t)?;
        let inner = (c_t / self.factor).max(1);
        let head = ReusedHead { tap: tap.to_string(), widths: [c_s, inner, c_t], size: [h, w] };
        Ok(Some(head.name(base_of(name))))
    }

    fn start(&self, student: &mut Params, teacher: &Params) -> Result<()> {
        let refuse = || Error::config("simkd", "a student without a projector; train it by a Trainer");
        let shape = student.find(CLASSIFIER[0]).ok_or_else(refuse)?.shape.clone();
        let (weight, bias) = classifier(teacher, shape[0], shape[1])?;
        let zeros = vec![0.0; shape[0]];
        for (name, values) in CLASSIFIER.iter().zip([&weight.values, bias.map_or(&zeros, |b| &b.values)]) {
            student.find_mut(name).ok_or_else(refuse)?.values.clone_from(values);
        }
        Ok(())
    }

    fn prepare(&self, _: &MethodContext<'_>, _: ParamBuilder<'_>) -> Result<Box<dyn Loss>> {
        loss(|seen, _| {
            let (teacher, student) = features::same_size(&reused(seen)?, &seen.student.tap(PROJECTED)?)?;
            student.mse_loss(&teacher)
        })
    }
}

/// The student's tap: the deepest of those that there are.
fn guided<'a>(seen: &'a MethodContext<'_>) -> Result<&'a str> {
    let last = seen.taps.last().map(|(_, guided)| guided.as_str());
    last.ok_or_else(|| Error::config("taps", "simkd needs a pair of taps, teacher:student"))
}

/// The teacher's map (N, C, H, W) whose mean its classifier reads, or its tap where that can't be seen.
fn reused(seen: &MethodContext<'_>) -> Result<Tensor> {
    let taps = seen.teacher.network().map_or(Vec::new(), |(forward, _)| forward.taps());
    let map = taps.iter().rev().find_map(|tap| tap.tensor.pooled_from());
    if let (TeacherPass::Live { .. }, Some(map)) = (seen.teacher, &map) {
        return Ok(map.clone());
    }
    let (hint, guided) =
        seen.taps.last().ok_or_else(|| Error::config("taps", "simkd needs a pair of taps"))?;
    let named: Vec<_> =
        taps.iter().filter(|tap| map.as_ref().is_some_and(|map| map.id() == tap.tensor.id())).collect();
    match named.last() {
        Some(last) if named.iter().all(|tap| tap.name != *hint && tap.alias != *hint) => {
            let message = format!(
                "its classifier reads the mean of another map, {} {}; write the outputs with `taps = {0}`, and name it \
                 with `taps = {0}:{guided}` where they have more",
                last.name,
                last.tensor.shape()
            );
            Err(Error::config(format!("tap \"{hint}\" of the teacher outputs"), message))
        }
        _ => seen.teacher.tap(hint),
    }
}

/// The teacher's last linear layer, which must take the projected features as they are: weight (classes,
/// C_t), bias.
fn classifier(teacher: &Params, classes: usize, c_t: usize) -> Result<(&Param, Option<&Param>)> {
    let last = teacher.iter().filter(|p| p.shape.rank() == 2).last();
    let found = last.filter(|p| p.shape.dims() == [classes, c_t]).ok_or_else(|| {
        let expected = format!(
            "a teacher that ends in the mean of a map and a linear layer ({classes}, {c_t}) on its channels"
        );
        let got = last.map_or("none".to_string(), |p| format!("{} {}", p.name, p.shape));
        Error::shape("simkd", expected, got)
    })?;
    let bias = found.name.strip_suffix("weight").and_then(|path| teacher.find(&format!("{path}bias")));
    Ok((found, bias))
}
