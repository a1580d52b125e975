//! Rows of numbers that methods on logits compare, each row with a weight where not all count alike. Losses over them are
//! here in both forms: one fused kernel where all rows count alike, and by rows where they do not.

use super::logits::at_least_two;
use crate::data::IGNORE_LABEL;
use crate::ops::cross_entropy::CrossEntropy;
use crate::ops::kl_div::KlReduction;
use crate::tape::Tensor;
use crate::{Error, Result};

/// Keeps a mean over rows of which none counts at 0; far too small to change any other.
const LEAST_WEIGHT: f32 = 1e-30;

/// Rows of logits that count. A classifier has one a sample; a model of tokens has those tokens that are no padding, a
/// detector its anchors.
#[derive(Clone)]
pub struct LogitRows {
    /// (R, C), the student's.
    pub student: Tensor,
    /// (R, C), the teacher's, before any softmax. It gets no gradient.
    pub teacher: Tensor,
    /// i32 (R), where the task has labels; [`IGNORE_LABEL`] for rows without one.
    pub labels: Option<Tensor>,
    /// (R), where not all rows count alike: 0 for one that does not count.
    pub weights: Option<Tensor>,
}

impl LogitRows {
    /// Rows that all count alike, without labels.
    pub fn new(student: Tensor, teacher: Tensor) -> Self {
        Self { student, teacher, labels: None, weights: None }
    }

    /// The rows themselves, where student, teacher, labels and weights go together.
    pub(super) fn checked(&self) -> Result<&Self> {
        let fits = |t: &Option<Tensor>| t.as_ref().is_none_or(|t| t.dims() == &self.student.dims()[..1]);
        let rows = self.student.dims().len() == 2 && self.student.dims() == self.teacher.dims();
        if rows && fits(&self.labels) && fits(&self.weights) {
            return Ok(self);
        }
        let shape = |t: &Option<Tensor>| t.as_ref().map_or("none".to_string(), |t| t.shape().to_string());
        let (labels, weights) = (shape(&self.labels), shape(&self.weights));
        let got = format!("{}, {}, {labels}, {weights}", self.student.shape(), self.teacher.shape());
        Err(Error::shape("rows", "student and teacher (R, C), labels (R), weights (R)", got))
    }

    /// The columns, of which `method` needs two at least.
    ///
    /// # Errors
    /// [`Error::Shape`] where there are fewer.
    pub fn classes(&self, method: &str) -> Result<usize> {
        at_least_two(method, &self.student)
    }

    /// The labels.
    ///
    /// # Errors
    /// [`Error::Config`] where the task has none.
    pub fn labels(&self) -> Result<&Tensor> {
        let message = "this method reads labels, and the task's rows have none";
        self.labels.as_ref().ok_or_else(|| Error::config("method", message))
    }

    /// These rows with other logits in place of the student's: an exit's.
    ///
    /// # Errors
    /// [`Error::Shape`] where there are not as many rows and columns.
    pub fn with_student(&self, method: &str, student: Tensor) -> Result<Self> {
        if student.dims() == self.student.dims() {
            return Ok(Self { student, ..self.clone() });
        }
        let expected = format!("logits shaped as the student's, {}: one row a sample", self.student.shape());
        Err(Error::shape(method, expected, student.shape().to_string()))
    }

    /// The mean (1) of a value a row (R): sum of w * value / sum of w, or the plain mean where all count alike.
    pub fn mean(&self, per_row: &Tensor) -> Result<Tensor> {
        match &self.weights {
            None => per_row.mean(&[0], false),
            Some(weights) => self.sum(per_row)?.div(&weights.sum(&[0], false)?.add_scalar(LEAST_WEIGHT)?),
        }
    }

    /// The sum (1) of a value a row (R), times its weight where it has one.
    pub fn sum(&self, per_row: &Tensor) -> Result<Tensor> {
        self.weighted(per_row)?.sum(&[0], false)
    }

    /// How much all rows weigh together, (1), and never 0; `None` where all count alike.
    pub(super) fn total(&self) -> Result<Option<Tensor>> {
        let total = |w: &Tensor| w.sum(&[0], false)?.add_scalar(LEAST_WEIGHT);
        self.weights.as_ref().map(total).transpose()
    }

    fn weighted(&self, per_row: &Tensor) -> Result<Tensor> {
        self.weights.as_ref().map_or_else(|| Ok(per_row.clone()), |weights| per_row.mul(weights))
    }

    /// T^2 * the mean over rows of KL(softmax(teacher / T) || softmax(student / T)).
    pub fn kl_div(&self, temperature: f32, reduction: KlReduction) -> Result<Tensor> {
        if self.weights.is_none() {
            return self.student.kl_div(&self.teacher, temperature, reduction);
        }
        let log = |z: &Tensor| z.scale(1.0 / temperature)?.log_softmax(1);
        let (student, teacher) = (log(&self.student)?, log(&self.teacher.detach()?)?);
        let rows = teacher.exp()?.mul(&teacher.sub(&student)?)?.sum(&[1], false)?;
        let columns = match reduction {
            KlReduction::BatchMean => 1,
            KlReduction::LegacyMean => self.student.dims()[1],
        };
        self.mean(&rows)?.scale(temperature * temperature / columns as f32)
    }

    /// The mean over rows and columns of (student - teacher)^2.
    pub fn mse(&self) -> Result<Tensor> {
        match &self.weights {
            None => self.student.mse_loss(&self.teacher),
            Some(_) => self.mean(&self.student.sub(&self.teacher.detach()?)?.square()?.mean(&[1], false)?),
        }
    }

    /// T^2 * the mean over rows and columns of BCE(sigmoid(student / T), sigmoid(teacher / T)).
    pub fn binary_kl(&self, temperature: f32) -> Result<Tensor> {
        let targets = self.teacher.scale(1.0 / temperature)?.sigmoid()?;
        let student = self.student.scale(1.0 / temperature)?;
        let mean = match &self.weights {
            None => student.bce_with_logits(&targets)?,
            Some(_) => {
                let elements = student.softplus()?.sub(&student.mul(&targets.detach()?)?)?;
                self.mean(&elements.mean(&[1], false)?)?
            }
        };
        mean.scale(temperature.powi(2))
    }

    /// The mean over labelled rows of the student's cross-entropy with the labels, of which this share is spread over all
    /// classes.
    pub fn cross_entropy(&self, label_smoothing: f32) -> Result<Tensor> {
        let labels = self.labels()?;
        if self.weights.is_none() {
            let settings = CrossEntropy { ignore_label: IGNORE_LABEL, label_smoothing };
            return self.student.cross_entropy(labels, &settings);
        }
        let classes = self.student.dims()[1];
        let labels = Labels::of(self, classes)?;
        let log = self.student.log_softmax(1)?;
        let spread = log.sum(&[1], false)?.scale(label_smoothing / classes as f32)?;
        let rows = labels.pick(&log)?.scale(1.0 - label_smoothing)?.add(&spread)?;
        labels.mean(&rows)?.scale(-1.0)
    }
}

/// The labels of rows, of which some have none.
pub(super) struct Labels {
    /// (R, C), zeros for rows that do not count.
    pub hot: Tensor,
    /// (R), a row's weight, 1 where all count alike; 0 for a row without a label.
    counts: Tensor,
    /// (1), what the counts add up to, and never 0.
    number: Tensor,
}

impl Labels {
    pub fn of(rows: &LogitRows, classes: usize) -> Result<Self> {
        let hot = rows.labels()?.one_hot(classes)?;
        let counts = rows.weighted(&hot.sum(&[1], false)?)?;
        let sum = counts.sum(&[0], false)?;
        let number = match rows.weights {
            // max(n, 1): where no row counts the mean is 0.
            None => sum.add_scalar(-1.0)?.relu()?.add_scalar(1.0)?,
            Some(_) => sum.add_scalar(LEAST_WEIGHT)?,
        };
        Ok(Self { hot, counts, number })
    }

    /// Row by row the value (R) of `x` (R, C) at the label; 0 where there is none.
    pub fn pick(&self, x: &Tensor) -> Result<Tensor> {
        x.mul(&self.hot)?.sum(&[1], false)
    }

    /// 1 for all classes but the label, (R, C).
    pub fn others(&self) -> Result<Tensor> {
        self.hot.scale(-1.0)?.add_scalar(1.0)
    }

    /// The mean (1) of `rows` (R) over those that count.
    pub fn mean(&self, rows: &Tensor) -> Result<Tensor> {
        rows.mul(&self.counts)?.sum(&[0], false)?.div(&self.number)
    }
}
