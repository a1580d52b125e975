//! What a number in a chart or a table is: its name, how it reads, and which end is the good one.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::format::{percent, significant};
use super::stats;

/// How a number is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// A share from 0 to 1, shown in percent.
    Share,
    /// A plain number.
    #[default]
    Number,
}

/// Something that is measured, whatever its value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quantity {
    /// What logs and tables call it.
    pub name: String,
    /// How it is shown.
    pub unit: Unit,
    /// Whether more is better.
    pub higher_is_better: bool,
}

/// Names of measures that are read letter by letter.
const ABBREVIATIONS: [&str; 5] = ["ap", "ar", "mae", "mse", "rmse"];

impl Quantity {
    /// A share from 0 to 1 of which more is better.
    pub fn share(name: impl Into<String>) -> Self {
        Self { name: name.into(), unit: Unit::Share, higher_is_better: true }
    }

    /// A number of which less is better.
    pub fn error(name: impl Into<String>) -> Self {
        Self { name: name.into(), unit: Unit::Number, higher_is_better: false }
    }

    /// A loss.
    pub fn loss() -> Self {
        Self::error("loss")
    }

    /// Its name at the beginning of a line: `Recall`, `RMSE`, `AP50`.
    pub fn title(&self) -> String {
        // COCO's measures end in numbers, or in the first letter of small, medium and large: `APs`.
        let stem = self.name.trim_end_matches(|c: char| c.is_ascii_digit() || "sml".contains(c));
        let first = self.name.chars().next().map_or(0, char::len_utf8);
        let (capital, rest) =
            self.name.split_at(if ABBREVIATIONS.contains(&stem) { stem.len() } else { first });
        capital.to_uppercase() + rest
    }

    /// Its name over a column, with its unit: `Recall, %`.
    pub fn heading(&self) -> String {
        match self.unit {
            Unit::Share => format!("{}, %", self.title()),
            Unit::Number => self.title(),
        }
    }

    /// The sign after a value.
    pub fn sign(&self) -> &'static str {
        match self.unit {
            Unit::Share => "%",
            Unit::Number => "",
        }
    }

    /// What a difference of two values is counted in.
    pub fn points(&self) -> &'static str {
        match self.unit {
            Unit::Share => "points",
            Unit::Number => "",
        }
    }

    /// A value, or a difference of values, as it is drawn and shown.
    pub fn scaled(&self, value: f64) -> f64 {
        match self.unit {
            Unit::Share => value * 100.0,
            Unit::Number => value,
        }
    }

    /// A value as text, without its sign.
    pub fn shown(&self, value: f64) -> String {
        match self.unit {
            Unit::Share => percent(value),
            Unit::Number => significant(value),
        }
    }

    /// A difference of values as text, without its sign.
    pub fn difference(&self, value: f64) -> String {
        match self.unit {
            Unit::Share => format!("{:.2}", self.scaled(value)),
            Unit::Number => significant(value),
        }
    }

    /// The mean of several seeds' values and their spread, as text; no spread for one seed, `None` for no finite mean.
    pub fn mean_and_spread(&self, seeds: &[f64]) -> Option<(String, Option<String>)> {
        let mean = stats::mean(seeds).filter(|v| v.is_finite())?;
        Some((self.shown(mean), stats::sample_sd(seeds).map(|sd| self.difference(sd))))
    }

    /// How much better `value` is than `other`: positive where it is.
    pub fn gain(&self, value: f64, other: f64) -> f64 {
        if self.higher_is_better { value - other } else { other - value }
    }

    /// [`Ordering::Greater`] where `a` is better than `b`.
    pub fn order(&self, a: f64, b: f64) -> Ordering {
        self.gain(a, b).partial_cmp(&0.0).unwrap_or(Ordering::Equal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_by_their_unit() {
        let (share, error) = (Quantity::share("recall"), Quantity::error("rmse"));
        assert_eq!([share.heading(), error.heading()], ["Recall, %", "RMSE"]);
        let titles = ["ap50", "aps", "ar100", "areas", "IoU", "österreich", "F1", ""];
        let titles = titles.map(|name| Quantity::share(name).title());
        assert_eq!(titles, ["AP50", "APs", "AR100", "Areas", "IoU", "Österreich", "F1", ""]);
        assert_eq!([share.shown(0.9125), error.shown(0.01234)], ["91.25", "0.0123"]);
        assert_eq!(share.mean_and_spread(&[0.5]), Some(("50.00".into(), None)));
        assert_eq!(share.mean_and_spread(&[0.5, f64::NAN]), None);
        assert_eq!(error.mean_and_spread(&[1.0, 3.0]), Some(("2.00".into(), Some("1.41".into()))));
    }

    #[test]
    fn better_depends_on_the_direction() {
        let (share, error) = (Quantity::share("recall"), Quantity::error("rmse"));
        assert!((share.gain(0.9, 0.8) - 0.1).abs() < 1e-12 && (error.gain(0.2, 0.3) - 0.1).abs() < 1e-12);
        assert_eq!((share.order(0.9, 0.8), error.order(0.9, 0.8)), (Ordering::Greater, Ordering::Less));
        assert_eq!(share.order(f64::NAN, 0.8), Ordering::Equal);
    }
}
