//! Mean, sample standard deviation, median: what a report says about several seeds.

/// The arithmetic mean; `None` for no values.
pub fn mean(values: &[f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    // Dividing first cannot overflow for large values; for equal values the result is that value.
    let first = values[0];
    if values.iter().all(|&v| v == first) {
        return Some(first);
    }
    let n = values.len() as f64;
    Some(values.iter().map(|v| v / n).sum())
}

/// The sample standard deviation (divisor n - 1); `None` below two values, where a spread is unknown.
pub fn sample_sd(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let mean = mean(values)?;
    let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

/// The middle value, or the mean of the two middle values; `None` for no values. NaN sorts last.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    mean(&[sorted[sorted.len() / 2 - 1], upper])
}

/// The value that the share `q` (0 to 1) of all values lies below, between neighbours by a straight line; `None` for no
/// values. NaN sorts last.
pub fn quantile(values: &[f64], q: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = q.clamp(0.0, 1.0) * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (sorted.get(at.floor() as usize)?, sorted.get(at.ceil() as usize)?);
    let part = at.fract();
    Some(if part == 0.0 { *below } else { below + part * (above - below) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        let values = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
        assert_eq!(mean(&values), Some(5.0));
        assert!((sample_sd(&values).unwrap() - (32.0f64 / 7.0).sqrt()).abs() < 1e-12);
        assert_eq!(median(&values), Some(4.5));
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
    }

    /// As numpy.quantile has it.
    #[test]
    fn quantiles() {
        let values = [7.0, 1.0, 3.0, 10.0];
        let at = [0.0, 0.25, 0.5, 0.75, 1.0].map(|q| quantile(&values, q).unwrap());
        assert_eq!(at, [1.0, 2.5, 5.0, 7.75, 10.0]);
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn few_values() {
        assert_eq!((mean(&[]), sample_sd(&[]), median(&[])), (None, None, None));
        assert_eq!((mean(&[0.1]), sample_sd(&[0.1]), median(&[0.1])), (Some(0.1), None, Some(0.1)));
        assert_eq!(sample_sd(&[0.1, 0.1, 0.1]), Some(0.0));
    }

    #[test]
    fn nan_stays_visible() {
        assert!(mean(&[1.0, f64::NAN]).unwrap().is_nan());
        assert!(sample_sd(&[1.0, f64::NAN]).unwrap().is_nan());
        assert_eq!(median(&[1.0, 2.0, f64::NAN]), Some(2.0));
    }
}
