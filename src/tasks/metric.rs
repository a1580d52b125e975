//! How well a network does, as numbers that say what they are.

use serde::{Deserialize, Serialize};

use crate::files::nan_as_null;
use crate::report::Quantity;
pub use crate::report::Unit;

/// One measured number.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// What logs and tables call it.
    pub name: String,
    /// The number.
    #[serde(with = "nan_as_null")]
    pub value: f64,
    /// Whether more is better.
    pub higher_is_better: bool,
    /// How it is shown.
    pub unit: Unit,
}

impl Metric {
    /// A share from 0 to 1 of which more is better, such as a recall.
    pub fn share(name: impl Into<String>, value: f64) -> Self {
        Self { name: name.into(), value, higher_is_better: true, unit: Unit::Share }
    }

    /// A number of which less is better, such as an error.
    pub fn error(name: impl Into<String>, value: f64) -> Self {
        Self { name: name.into(), value, higher_is_better: false, unit: Unit::Number }
    }

    /// A correlation from -1 to 1, of which more is better.
    pub fn correlation(name: impl Into<String>, value: f64) -> Self {
        Self { name: name.into(), value, higher_is_better: true, unit: Unit::Number }
    }

    /// Whether it is better than `other`, a value of the same metric; never where either is NaN.
    pub fn beats(&self, other: f64) -> bool {
        if self.higher_is_better { self.value > other } else { self.value < other }
    }

    /// How much better than `other`, a value of the same metric: positive where it is.
    pub fn gain_over(&self, other: f64) -> f64 {
        if self.higher_is_better { self.value - other } else { other - self.value }
    }

    /// What it measures, without the value.
    pub fn quantity(&self) -> Quantity {
        let (name, unit, higher_is_better) = (self.name.clone(), self.unit, self.higher_is_better);
        Quantity { name, unit, higher_is_better }
    }

    /// The same metric with another value.
    pub fn with_value(&self, value: f64) -> Self {
        Self { value, ..self.clone() }
    }
}

/// What a network was measured at on a set of samples.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Mean loss of the task, without methods of distillation.
    #[serde(default)]
    pub loss: Option<f64>,
    /// What early stop, tables and charts go by.
    pub primary: Metric,
    /// What is logged besides.
    #[serde(default)]
    pub others: Vec<Metric>,
}

impl Measured {
    /// Every metric, the primary one first.
    pub fn all(&self) -> impl Iterator<Item = &Metric> {
        std::iter::once(&self.primary).chain(&self.others)
    }

    /// The primary metric's value.
    pub fn value(&self) -> f64 {
        self.primary.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn better_depends_on_the_direction() {
        let (share, error) = (Metric::share("recall", 0.9), Metric::error("rmse", 0.2));
        assert!(share.beats(0.8) && !share.beats(0.9) && !share.beats(0.95));
        assert!(error.beats(0.3) && !error.beats(0.2) && !error.beats(0.1));
        assert!((share.gain_over(0.8) - 0.1).abs() < 1e-12 && (error.gain_over(0.3) - 0.1).abs() < 1e-12);
        assert!(!share.with_value(f64::NAN).beats(0.0) && !error.with_value(f64::NAN).beats(1.0));
    }

    #[test]
    fn what_is_not_finite_is_stored_as_well() {
        let measured = Measured {
            loss: Some(f64::NAN),
            primary: Metric::error("rmse", f64::INFINITY),
            others: vec![Metric::share("recall", f64::NAN)],
        };
        let text = serde_json::to_string(&measured).unwrap();
        let read: Measured = serde_json::from_str(&text).unwrap();
        assert!(read.value().is_nan() && read.others[0].value.is_nan(), "{text}");
        assert_eq!((read.loss, read.primary.name.as_str()), (None, "rmse"));
    }
}
