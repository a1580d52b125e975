//! What the checks look at.

use super::answers::Agreement;
use crate::tasks::Metric;

/// Measured figures of one run before its first step. What could not be measured is absent, and checks skip
/// it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// Images that shares of right answers are of; 0 where none were measured.
    pub samples: usize,
    /// Class names of the data set.
    pub classes: Vec<String>,
    /// Mean and deviation by channel with which the images were normalised.
    pub normalisation: (Vec<f32>, Vec<f32>),
    /// Share of the images that the student has right before training.
    pub student_right: f64,
    /// One a teacher.
    pub teachers: Vec<TeacherFigure>,
    /// The loss's terms, the task's own first.
    pub terms: Vec<TermFigure>,
    /// The taps that the terms use.
    pub taps: Vec<TapFigure>,
    /// Mean cosine of the student's vectors of any two samples of the first batch, where it gives vectors: before training.
    pub student_alike: Option<f64>,
    /// What it is after training, of samples that follow each other.
    pub trained_alike: Option<f64>,
    /// How many training texts are not read to their end, where there are texts.
    pub cut: Option<CutFigure>,
    /// Tokens of the tokenizer, where there are texts.
    pub tokens: Option<usize>,
    /// The teacher is an average of the student's weights: at the start it knows what the student does, which is to say
    /// nothing, and will know more.
    pub starts_as_student: bool,
}

/// A teacher.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TeacherFigure {
    /// How it is called in messages.
    pub name: String,
    /// Names of its classes; empty where they are not known.
    pub classes: Vec<String>,
    /// Share of the images that it has right.
    pub right: f64,
    /// How its answers go with the labels, whichever they are.
    pub agreement: Option<Agreement>,
    /// Mean cosine of its vectors of any two samples of the first batch, where it gives vectors.
    pub alike: Option<f64>,
    /// Rows of its table of tokens, where it reads texts.
    pub rows: Option<usize>,
    /// What it is measured at before the student's training, where it was.
    pub measured: Option<Metric>,
}

/// Texts that have more tokens than a model is given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CutFigure {
    /// Those that have more.
    pub cut: usize,
    /// All.
    pub texts: usize,
    /// Most tokens of a text.
    pub longest: usize,
}

/// A term of the loss on the first batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TermFigure {
    /// The method, or the task's own name for it, such as `ce`.
    pub name: String,
    /// Whether it is of the task's own loss.
    pub of_task: bool,
    /// Its largest weight over the training; 0 for a term that never counts.
    pub weight: f64,
    /// Its value, unweighted.
    pub loss: f64,
    /// L2 norm of its gradient with respect to the student's weights, unweighted.
    pub gradient: Option<f64>,
    /// The temperature by which it softens the teacher's logits, and the mean entropy in nats of what comes
    /// out.
    pub softened: Option<(f64, f64)>,
}

/// A tap on the first batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TapFigure {
    /// `teacher` or `student`.
    pub owner: &'static str,
    /// The tap.
    pub name: String,
    /// Its channels.
    pub channels: usize,
    /// Those that are 0 everywhere.
    pub dead: usize,
}
