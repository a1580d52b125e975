//! What a student learns: a teacher brings the weight of the labels with it, and a user's own method is a term like any
//! other.

mod common;

use common::bits::Bits;
use common::digits::Digits;
use common::network::seeded;
use limbeck::Result;
use limbeck::distill::{
    self, Loss, Method, MethodConfig, MethodContext, Objective, Parameterless, TapNeed, Term, TermSchedule,
    loss,
};
use limbeck::nn::{DeviceParams, Forward, Linear, ParamBuilder};
use limbeck::optim::OptimizerConfig;
use limbeck::tape::Tensor;
use limbeck::train::{Teacher, TrainConfig, Trainer};

/// The student's bits after five steps.
fn learned(digits: &Digits, objective: &Objective, ce_weight: f32) -> Bits {
    let (teacher, mut student) = (seeded("mlp:12", 1), seeded("mlp:12", 2));
    let params = DeviceParams::frozen(&digits.gpu, "teacher", &teacher.params).unwrap();
    let config = TrainConfig {
        epochs: 1,
        batch_size: 32,
        learning_rate: 0.1,
        optimizer: OptimizerConfig::sgd(0.9),
        ce_weight,
        ..Default::default()
    };
    let task = common::classify(&digits.training);
    Trainer::new(&digits.gpu, task, &config, &digits.training, &digits.held_out)
        .teacher(Teacher::new(&teacher, &params, objective.clone()))
        .fit(&mut student)
        .unwrap();
    assert_eq!(
        student.params.len(),
        seeded("mlp:12", 2).params.len(),
        "a method's parameters are not the student's"
    );
    common::bits(&student)
}

/// With `kd` the labels have the weight 0.1 that was published with it, whatever the settings of the training say.
#[test]
fn a_teacher_brings_the_weight_of_the_labels() {
    let digits = Digits::new(160, 32);
    let kd = distill::parse("kd", &MethodConfig::default()).unwrap();
    assert_eq!(kd.ce_weight, 0.1);
    let published = learned(&digits, &kd, 1.0);
    assert_eq!(published, learned(&digits, &kd, 0.3));
    assert_eq!(published, learned(&digits, &kd.clone().with_ce_weight(0.1), 0.0));
    assert_ne!(published, learned(&digits, &kd.with_ce_weight(1.0), 1.0));
}

/// Regression of logits, as `logit-mse` has it.
#[derive(Debug, Clone)]
struct Regress;

impl Loss for Regress {
    fn record(&self, seen: &MethodContext<'_>, _: &Forward<'_>) -> Result<Tensor> {
        let rows = seen.rows()?;
        rows.student.mse_loss(&rows.teacher)
    }
}

/// The student's embedding through a linear layer regresses the teacher's.
#[derive(Debug)]
struct Hint;

impl Method for Hint {
    fn prepare(&self, seen: &MethodContext<'_>, mut at: ParamBuilder<'_>) -> Result<Box<dyn Loss>> {
        let (teacher, student) = &seen.tapped()?[0];
        let linear = Linear::new(at.sub("linear"), student.dims()[1], teacher.dims()[1], true);
        loss(move |seen, own| {
            let (teacher, student) = &seen.tapped()?[0];
            linear.forward(own, student)?.mse_loss(teacher)
        })
    }
}

#[test]
fn a_method_of_ones_own_needs_no_list() {
    let digits = Digits::new(160, 32);
    let term = Term::new("regress", 2.0, Parameterless(Regress));
    let own = Objective::new(vec![term.clone()]);
    let listed = distill::parse("logit-mse:2+ce:1", &MethodConfig::default()).unwrap();
    assert_eq!(learned(&digits, &own, 1.0), learned(&digits, &listed, 1.0));

    let never = TermSchedule { from: 0.9, ..Default::default() };
    let late = Objective::new(vec![term.with_schedule(never)]);
    assert_ne!(learned(&digits, &late, 1.0), learned(&digits, &own, 1.0));

    let hint = Term::new("hint", 1.0, Hint).with_taps(TapNeed::Embedding);
    let hinted = Objective::new(vec![hint]);
    assert_ne!(learned(&digits, &hinted, 1.0), learned(&digits, &own, 1.0));
}

/// Checkpoints tell terms apart by what is in them, also of methods that no list has.
#[test]
fn own_methods_are_told_apart_by_their_settings() {
    let text = |factor, weight| format!("{:?}", Term::new("own", weight, Parameterless(Scaled(factor))));
    assert_eq!(text(1.0, 1.0), text(1.0, 1.0));
    assert_ne!(text(1.0, 1.0), text(2.0, 1.0));
    assert_ne!(text(1.0, 1.0), text(1.0, 2.0));
}

#[derive(Debug, Clone)]
struct Scaled(f32);

impl Loss for Scaled {
    fn record(&self, seen: &MethodContext<'_>, _: &Forward<'_>) -> Result<Tensor> {
        seen.rows()?.mse()?.scale(self.0)
    }
}
