//! How much work one submit may hold. Drivers reset a GPU that stays busy for long (two seconds on Windows, ten on macOS,
//! and the screen stands still until then), so work is handed over in parts.
//!
//! How long work takes is not known before it runs. The estimate is a pessimistic one, so that it errs on the side of more
//! submits: a submit costs microseconds, a reset the whole run.

use super::caps::Caps;
use crate::{Error, Result};

/// What the weakest GPU that limbeck cares for does in a second.
const FLOPS: f64 = 50e9;
const BYTES: f64 = 10e9;
/// Seconds that a submit may take on it.
const SECONDS: f64 = 1.0;

/// The most work of a submit. What exceeds it is split at ops, and a dispatch that exceeds it alone into several.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum SubmitLimit {
    /// No limit on CPU adapters, which nobody resets; elsewhere one second.
    #[default]
    ByAdapter,
    /// So many seconds by the estimate: 50 GFLOP/s and 10 GB/s, one after the other. Infinity is no limit.
    Seconds(f64),
    /// Every dispatch in this many parts, each a submit of its own: for tests.
    Parts(usize),
}

impl SubmitLimit {
    /// Reads what `LIMBECK_SUBMIT_SECONDS` or a flag says: a number above zero, or `inf`.
    pub fn parse(text: &str) -> Result<Self> {
        match text.trim().parse() {
            Ok(seconds) if seconds > 0.0 => Ok(Self::Seconds(seconds)),
            _ => {
                let message = format!("expected seconds above zero, or inf, got \"{text}\"");
                Err(Error::config("submit_seconds", message))
            }
        }
    }

    /// The seconds of a submit on this device.
    pub(super) fn seconds(self, caps: &Caps) -> f64 {
        match self {
            Self::ByAdapter if !caps.is_cpu => SECONDS,
            Self::ByAdapter => f64::INFINITY,
            Self::Seconds(seconds) => seconds,
            Self::Parts(_) => 0.0,
        }
    }

    /// Into how many parts a dispatch of these estimated seconds is split.
    pub(super) fn parts(self, caps: &Caps, seconds: f64) -> usize {
        match self {
            Self::Parts(parts) => parts.max(1),
            _ => (seconds / self.seconds(caps)).ceil().max(1.0) as usize,
        }
    }
}

/// Seconds that work takes on a weak GPU.
pub fn estimate(flops: u64, bytes: u64) -> f64 {
    flops as f64 / FLOPS + bytes as f64 / BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_seconds_or_no_limit() {
        assert_eq!(SubmitLimit::parse("0.25").unwrap(), SubmitLimit::Seconds(0.25));
        assert_eq!(SubmitLimit::parse("inf").unwrap(), SubmitLimit::Seconds(f64::INFINITY));
        for wrong in ["0", "-1", "", "NaN", "soon"] {
            let error = SubmitLimit::parse(wrong).unwrap_err().to_string();
            assert!(error.contains("above zero") && error.contains(wrong), "{error}");
        }
    }
}
