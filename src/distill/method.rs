//! What a distillation method is: a [`Method`] is the user's choice, a [`Loss`] what it became in one step.

use std::fmt::Debug;

use super::{MethodContext, TapNeed, TermSchedule, Transfer};
use crate::Result;
use crate::nn::{Forward, ParamBuilder, Params};
use crate::tape::Tensor;

/// A distillation method with its settings. It never changes: each step that is recorded gets a [`Loss`] of its own.
///
/// A method of your own needs no entry in [`super::METHODS`]; [`super::Term::new`] makes a term of it:
///
/// ```
/// use limbeck::distill::{Loss, MethodContext, Objective, Parameterless, Term};
/// use limbeck::nn::Forward;
/// use limbeck::tape::Tensor;
///
/// /// Mean distance of logits.
/// #[derive(Debug, Clone)]
/// struct Distance;
///
/// impl Loss for Distance {
///     fn record(&self, seen: &MethodContext<'_>, _: &Forward<'_>) -> limbeck::Result<Tensor> {
///         let rows = seen.rows()?;
///         rows.mean(&rows.student.sub(&rows.teacher)?.abs()?.mean(&[1], false)?)
///     }
/// }
///
/// let objective = Objective::new(vec![Term::new("distance", 2.0, Parameterless(Distance))]);
/// assert_eq!(objective.terms[0].weight, 2.0);
/// ```
///
/// One with parameters makes them in [`Method::prepare`] and hands them to its loss:
///
/// ```
/// use limbeck::distill::{Loss, Method, MethodContext, TapNeed, Term, loss};
/// use limbeck::nn::{Linear, ParamBuilder};
///
/// /// Flat features of the student, through a linear layer, regress the teacher's.
/// #[derive(Debug)]
/// struct Hint;
///
/// impl Method for Hint {
///     fn prepare(&self, seen: &MethodContext<'_>, at: ParamBuilder<'_>) -> limbeck::Result<Box<dyn Loss>> {
///         let (teacher, student) = &seen.tapped()?[0];
///         let linear = Linear::new(at, student.dims()[1], teacher.dims()[1], true);
///         loss(move |seen, own| {
///             let (teacher, student) = &seen.tapped()?[0];
///             linear.forward(own, student)?.mse_loss(teacher)
///         })
///     }
/// }
///
/// let term = Term::new("hint", 1.0, Hint).with_taps(TapNeed::Embedding);
/// ```
pub trait Method: Debug + Send + Sync {
    /// Makes the method's own parameters (regressors), knowing all shapes, and what records its loss with them. They are
    /// trained with the student, and are not part of the exported student.
    fn prepare(&self, seen: &MethodContext<'_>, at: ParamBuilder<'_>) -> Result<Box<dyn Loss>>;

    /// The taps it uses where the user names none, where its settings make them others than its entry says.
    fn taps(&self) -> Option<TapNeed> {
        None
    }

    /// Whether the loss depends on a teacher: not where what teaches is made of the student or of the labels.
    fn needs_teacher(&self) -> bool {
        true
    }

    /// Whether it reads layers or weights of the teacher itself, besides its logits and taps: with outputs on disk it then
    /// needs the teacher's file, too.
    fn reads_teacher(&self) -> bool {
        false
    }

    /// Whether it learns from a pass of the frozen teacher whose batch norms normalise by the batch's statistics, not by
    /// the running ones.
    fn teacher_batch_stats(&self) -> bool {
        false
    }

    /// Whether [`Method::student`] may name another network than the student.
    fn changes_student(&self) -> bool {
        false
    }

    /// The name of the model that is trained in place of a student of this name, where the method changes its architecture;
    /// asked only where [`Method::changes_student`] says so. `seen` are both networks' inference passes on a batch of one,
    /// without labels that mean anything.
    fn student(&self, _name: &str, _seen: &MethodContext<'_>) -> Result<Option<String>> {
        Ok(None)
    }

    /// Changes the student's initial weights.
    fn start(&self, _student: &mut Params, _teacher: &Params) -> Result<()> {
        Ok(())
    }

    /// Strength of an L2 penalty on the distance of the student's weights from the teacher's (L2-SP, Li et al.
    /// 1802.01483), and which of them are whose.
    fn l2_sp(&self) -> Option<(f32, Transfer)> {
        None
    }

    /// Scalars of the step that the loss asks the tape for by name, each with its values over the training.
    fn scalars(&self) -> Vec<(&'static str, TermSchedule)> {
        Vec::new()
    }
}

/// Records a method's loss in one step, with the parameters that [`Method::prepare`] made for it.
pub trait Loss {
    /// The loss, a tensor of one element, unweighted. `own` is the pass of the method's parameters.
    fn record(&self, seen: &MethodContext<'_>, own: &Forward<'_>) -> Result<Tensor>;
}

impl<F> Loss for F
where
    F: Fn(&MethodContext<'_>, &Forward<'_>) -> Result<Tensor>,
{
    fn record(&self, seen: &MethodContext<'_>, own: &Forward<'_>) -> Result<Tensor> {
        self(seen, own)
    }
}

/// What [`Method::prepare`] returns, from a closure.
///
/// # Errors
/// None.
pub fn loss<F>(record: F) -> Result<Box<dyn Loss>>
where
    F: Fn(&MethodContext<'_>, &Forward<'_>) -> Result<Tensor> + 'static,
{
    Ok(Box::new(record))
}

/// The method that a loss without parameters of its own is.
#[derive(Debug, Clone)]
pub struct Parameterless<L>(pub L);

impl<L: Loss + Clone + Debug + Send + Sync + 'static> Method for Parameterless<L> {
    fn prepare(&self, _: &MethodContext<'_>, _: ParamBuilder<'_>) -> Result<Box<dyn Loss>> {
        Ok(Box::new(self.0.clone()))
    }
}

/// [`Parameterless`], as an entry of [`super::METHODS`] builds it.
pub(super) fn parameterless<L>(loss: L) -> Result<Box<dyn Method>>
where
    L: Loss + Clone + Debug + Send + Sync + 'static,
{
    Ok(Box::new(Parameterless(loss)))
}
