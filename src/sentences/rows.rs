//! Vectors of one width.

use crate::{Error, Result};

/// Rows of finite numbers, (rows, width), the one behind the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    width: usize,
    values: Vec<f32>,
}

impl Rows {
    /// Rows of `width` numbers; there may be none.
    ///
    /// # Errors
    /// [`Error::Shape`] for a width of 0 and values that are no whole rows, [`Error::Config`] for a number that is not finite.
    pub fn new(width: usize, values: Vec<f32>) -> Result<Self> {
        if width == 0 || !values.len().is_multiple_of(width) {
            let got = format!("{} values, width {width}", values.len());
            return Err(Error::shape("rows", "whole rows of 1 number at least", got));
        }
        if let Some((at, value)) = values.iter().enumerate().find(|(_, value)| !value.is_finite()) {
            let message = format!(
                "row {} has {value} at {}: expected finite numbers; look at what made it",
                at / width,
                at % width
            );
            return Err(Error::config("rows", message));
        }
        Ok(Self { width, values })
    }

    /// Numbers of a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len() / self.width
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// All numbers, row by row.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// A row.
    #[must_use]
    pub fn row(&self, at: usize) -> Option<&[f32]> {
        let first = at.checked_mul(self.width)?;
        self.values.get(first..first.checked_add(self.width)?)
    }

    /// The rows in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_whole_and_finite() {
        let rows = Rows::new(2, vec![1.0, 2.0, 3.0, 4.0]).unwrap();
        assert_eq!((rows.len(), rows.width(), rows.row(1)), (2, 2, Some(&[3.0, 4.0][..])));
        assert_eq!((rows.row(2), rows.row(usize::MAX), rows.iter().len()), (None, None, 2));
        assert!(Rows::new(3, Vec::new()).unwrap().is_empty());
        assert!(Rows::new(0, Vec::new()).is_err() && Rows::new(2, vec![1.0]).is_err());
        let message = Rows::new(2, vec![0.0, 1.0, 2.0, f32::NAN]).unwrap_err().to_string();
        assert!(message.contains("row 1 has NaN at 1"), "{message}");
    }
}
