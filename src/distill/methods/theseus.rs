//! BERT-of-Theseus (Xu et al. 2002.02925): the student's layers take the place of the teacher's, one module by one, and all that they
//! learn from is the task's own loss of the whole.
//!
//! The teacher's L_t layers are L_s modules of L_t / L_s; the student, of the teacher's width, heads and settings, has one layer for
//! each. In every step each module is the student's layer with the chance p, else the teacher's layers, and the gradient goes through
//! both. At step s of S
//!
//! p = first + (1 - first) min(1, (s + 1) / (ramp S)), or with `rate=constant` first until the share `ramp` of the training, then 1:
//!
//! the student then trains alone (the paper's fine-tuning). The authors' linear rate is .3 + .0006 s, and reaches 1 after 1,167 steps.
//! As in their code the student's layers start as the teacher's first ones, and embeddings and head are the teacher's and stay so. A
//! layer that is not drawn gets a gradient of 0; an optimizer with momentum moves it all the same.
//!
//! There is no loss of the method's own: its term is 0, and so is its weight. What is trained is
//! [`theseus`](crate::models::encoder::theseus), and what is left of it is the student.

use crate::distill::{
    Family, Knowledge, Loss, Method, MethodContext, MethodSpec, Need, Setting, TapNeed, TermSchedule, loss,
};
use crate::models::base_of;
use crate::models::encoder::theseus::{RISE, ROOT, name};
use crate::nn::{ParamBuilder, Params};
use crate::{Error, Result};

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "theseus",
    family: Family::Weight,
    knowledge: Knowledge::Weights,
    about: "the student's layers take the place of the teacher's by chance; the task's own loss",
    formula: "the task's loss of a pass whose module i is the student's layer with the chance p, else the teacher's layers; \
              p = first + (1 - first) * min(1, step / (ramp * steps))",
    paper: "Xu et al. 2002.02925",
    settings: &[
        Setting::share("first", 0.3, "chance of a student's layer at first"),
        Setting::share("ramp", 0.5, "share of the training after which the student trains alone"),
        Setting::choice(
            "rate",
            &["linear", "constant"],
            "how the chance gets there: rising, or staying until then",
        ),
        Setting::choice(
            "start",
            &["teacher", "own"],
            "the student's layers at first: the teacher's first ones, or its own",
        ),
    ],
    taps: TapNeed::None,
    reads: &[Need::Weights, Need::Tokens],
    weight: 0.0,
    ce_weight: 1.0,
    build: |values| {
        let [first, ramp] = values.numbers(["first", "ramp"])?;
        let linear = values.choice("rate")? == "linear";
        let own = values.choice("start")? == "own";
        Ok(Box::new(Theseus { first, ramp: f64::from(ramp), linear, own }))
    },
};

/// The path of layers.
const LAYER: &str = "encoder.layer.";

#[derive(Debug)]
struct Theseus {
    first: f32,
    ramp: f64,
    linear: bool,
    own: bool,
}

impl Method for Theseus {
    fn prepare(&self, _: &MethodContext<'_>, _: ParamBuilder<'_>) -> Result<Box<dyn Loss>> {
        loss(|seen, _| seen.student.tape().constant([1], &[0.0]))
    }

    fn reads_teacher(&self) -> bool {
        true
    }

    fn changes_student(&self) -> bool {
        true
    }

    fn student(&self, student: &str, seen: &MethodContext<'_>) -> Result<Option<String>> {
        let Some((forward, params)) = seen.teacher.network() else {
            let message = "the student's layers stand among the teacher's, which outputs on disk do not hold; give the \
                           teacher's file beside them (`teacher` and `teacher_outputs`)";
            return Err(Error::config("theseus", message));
        };
        let layers =
            (0..).take_while(|i| params.find(&format!("{LAYER}{i}.output.dense.weight")).is_some()).count();
        if layers == 0 {
            let message = "the teacher has no layers that a student's could stand among: it is for texts";
            return Err(Error::config("theseus", message));
        }
        let attention = format!("{LAYER}0.attention.self");
        let heads =
            [forward.tap(&attention)?, seen.student.tap(&attention)?].map(|tap| tap.attention_heads());
        if heads[0] != heads[1] {
            let [theirs, ours] = heads.map(Option::unwrap_or_default);
            let message =
                format!("the teacher has {theirs} heads and the student {ours}; choose a student of as many");
            return Err(Error::config("theseus", message));
        }
        Ok(Some(name(base_of(student), layers, self.first)))
    }

    fn start(&self, student: &mut Params, teacher: &Params) -> Result<()> {
        if !student.iter().any(|param| param.name.starts_with(ROOT)) {
            let message = "a student without the teacher's layers; train it by a Trainer";
            return Err(Error::config("theseus", message));
        }
        for param in student.iter_mut().filter(|param| !(self.own && param.name.starts_with(LAYER))) {
            let own = param.name.strip_prefix(ROOT).and_then(|rest| rest.strip_prefix('.'));
            let from = own.unwrap_or(&param.name);
            let found = teacher.find(from);
            let Some(found) = found.filter(|found| found.shape == param.shape) else {
                let got = found.map_or("none".into(), |found| found.shape.to_string());
                let message = format!(
                    "the student's {} is {}, the teacher's {got}; choose a student that is the teacher but for its layers",
                    from, param.shape
                );
                return Err(Error::config("theseus", message));
            };
            param.values.clone_from(&found.values);
        }
        Ok(())
    }

    fn scalars(&self) -> Vec<(&'static str, TermSchedule)> {
        let whole = TermSchedule::default();
        let schedule = match self.linear {
            true => TermSchedule { warmup: self.ramp, ..whole },
            false => TermSchedule { from: self.ramp, ..whole },
        };
        vec![(RISE, schedule)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chance_rises_as_the_authors_does_or_jumps() {
        let chances = |linear: bool| {
            let method = Theseus { first: 0.3, ramp: 7.0 / 60.0, linear, own: false };
            let [(_, rise)] = method.scalars()[..] else { panic!("one scalar") };
            [0u64, 1, 599, 1165, 1166, 1167, 5000].map(|step| 0.3 + 0.7 * rise.at(step, 10_000))
        };
        // .3 + .0006 (s + 1), up to 1.
        for (got, want) in chances(true).into_iter().zip([0.3006, 0.3012, 0.66, 0.9996, 1.0, 1.0, 1.0]) {
            assert!((got - want).abs() < 2.1e-4, "{got} {want}");
        }
        assert_eq!(chances(false), [0.3, 0.3, 0.3, 0.3, 0.3, 1.0, 1.0]);
    }
}
