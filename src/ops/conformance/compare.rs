//! How far from the reference a result may be.

/// What is allowed: tolerance * (|want| + rms of the whole tensor), and what storing as f16 costs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowed {
    /// Of f32 arithmetic.
    pub tolerance: f64,
    /// The result was rounded to f16.
    pub half: bool,
}

/// Half a unit in the last place of an f16, relative; and of the smallest ones, absolute.
const F16_ROUNDING: f64 = 1.0 / 2048.0;
const F16_SMALLEST: f64 = 1.0 / 33_554_432.0;

impl Allowed {
    /// Without f16.
    pub fn full(tolerance: f64) -> Self {
        Self { tolerance, half: false }
    }

    fn error(&self, want: f64, rms: f64) -> f64 {
        let full = self.tolerance * (want.abs() + rms) + 1e-30;
        // What is rounded is off already by as much as f32 may be.
        let rounding = F16_ROUNDING * (want.abs() + full) + F16_SMALLEST;
        full + if self.half { rounding } else { 0.0 }
    }
}

/// The largest error as a share of the allowed one, element by element; the first few failures in words.
pub(crate) fn compare(
    got: &[f64],
    want: &[f64],
    allowed: Allowed,
    place: &str,
    failures: &mut Vec<String>,
) -> f64 {
    const SHOWN: usize = 3;
    if got.len() != want.len() {
        failures.push(format!("{place}: {} elements, expected {}", got.len(), want.len()));
        return f64::INFINITY;
    }
    let rms = (want.iter().map(|w| w * w).sum::<f64>() / want.len().max(1) as f64).sqrt();
    let mut worst = 0.0f64;
    let mut shown = 0;
    for (i, (&g, &w)) in got.iter().zip(want).enumerate() {
        let allowed = allowed.error(w, rms);
        let diff = (g - w).abs();
        // The negation catches NaN, which compares false with everything.
        #[allow(clippy::neg_cmp_op_on_partial_ord)]
        let failed = !(diff <= allowed);
        worst = if diff.is_nan() { f64::INFINITY } else { worst.max(diff / allowed) };
        if failed && shown < SHOWN {
            failures.push(format!("{place}[{i}]: got {g:.8e}, expected {w:.8e} within {allowed:.1e}"));
            shown += 1;
        }
    }
    worst
}
