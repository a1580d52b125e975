//! Two runs against each other: ratio of medians, its confidence interval, and a verdict.
//!
//! The interval is the percentile bootstrap (Efron 1979) of the ratio of medians, 95 %, with a fixed seed. Below
//! [`FEWEST`] samples on a side resampling sees too little, and the interval is that of the extremes.

use serde::Serialize;

use super::ceilings::Ceilings;
use super::results::{AdapterResults, Results, Row};
use crate::report::stats::{median, quantile};
use crate::rng::Stream;

const RESAMPLES: usize = 2000;
/// Fewer samples are not resampled.
pub const FEWEST: usize = 6;
/// Ceilings that are further apart than this factor are worth a word.
const FAR: f64 = 1.1;
/// A difference below this share is not worth a verdict, however certain.
pub const MARGIN: f64 = 0.02;

/// How a case went against the earlier run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The whole interval lies above 1 and [`MARGIN`].
    Slower,
    /// The whole interval lies below 1 and [`MARGIN`].
    Faster,
    /// Neither.
    Same,
}

impl Verdict {
    /// The word.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Slower => "slower",
            Verdict::Faster => "faster",
            Verdict::Same => "same",
        }
    }
}

/// Time now over time then.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Ratio {
    /// Ratio of medians.
    pub ratio: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// What that means.
    pub verdict: Verdict,
}

/// A case that both runs have.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// `suite/group/name`
    pub case: String,
    /// Adapter now, and then.
    pub adapters: [String; 2],
    /// Median milliseconds now, and then.
    pub median_ms: [f64; 2],
    /// Multiply-adds and copies that the adapter reached now, and then: where they differ, the machine does.
    pub ceilings: [Ceilings; 2],
    /// The comparison.
    pub ratio: Ratio,
}

/// Why two runs say little about the kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubt {
    /// They don't: the ceilings are alike.
    None,
    /// The machine is one, but was in another state.
    Conditions,
    /// The machines are two.
    Machines,
}

impl Doubt {
    fn of(one: &Compared) -> Self {
        let ([now, then], [new, old]) = (&one.adapters, &one.ceilings);
        let alike = |new: f64, old: f64| (1.0 / FAR..=FAR).contains(&(new / old));
        match (alike(new.gflops, old.gflops) && alike(new.gbs, old.gbs), now == then) {
            (true, _) => Doubt::None,
            (false, true) => Doubt::Conditions,
            (false, false) => Doubt::Machines,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Doubt::None => "",
            Doubt::Conditions => ": other work, heat or power settings, not the kernels, explain as much",
            Doubt::Machines => ": these are different machines",
        }
    }
}

/// What is to be known before the verdicts are believed: who is compared, and how far their ceilings are apart.
pub fn caution(compared: &[Compared]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for one in compared {
        let ([now, then], [new, old]) = (&one.adapters, &one.ceilings);
        let (flops, bytes) = (new.gflops / old.gflops, new.gbs / old.gbs);
        let doubt = Doubt::of(one).text();
        let line =
            format!("{now} now against {then} then; ceilings {flops:.2} and {bytes:.2} times as high{doubt}");
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

/// The ratio of the medians of `now` and `then`; `None` where a side has no positive median.
pub fn ratio(now: &[f64], then: &[f64]) -> Option<Ratio> {
    let positive = |samples: &[f64]| median(samples).filter(|m| *m > 0.0 && m.is_finite());
    let ratio = positive(now)? / positive(then)?;
    let (low, high) = if now.len().min(then.len()) < FEWEST {
        let ends = |s: &[f64]| (quantile(s, 0.0).unwrap_or(0.0), quantile(s, 1.0).unwrap_or(0.0));
        let ((now_low, now_high), (then_low, then_high)) = (ends(now), ends(then));
        (now_low / then_high, if then_low > 0.0 { now_high / then_low } else { f64::MAX })
    } else {
        interval(now, then)
    };
    let verdict = match () {
        () if low > 1.0 + MARGIN => Verdict::Slower,
        () if high < 1.0 - MARGIN => Verdict::Faster,
        () => Verdict::Same,
    };
    Some(Ratio { ratio, low, high, verdict })
}

fn interval(now: &[f64], then: &[f64]) -> (f64, f64) {
    let mut random = Stream::new(0, "bootstrap");
    let mut draw = |samples: &[f64]| {
        let drawn: Vec<f64> = (0..samples.len()).map(|_| samples[random.below(samples.len())]).collect();
        median(&drawn).unwrap_or(0.0)
    };
    let ratios: Vec<f64> =
        (0..RESAMPLES).map(|_| draw(now) / draw(then)).filter(|ratio| ratio.is_finite()).collect();
    (quantile(&ratios, 0.025).unwrap_or(0.0), quantile(&ratios, 0.975).unwrap_or(f64::MAX))
}

/// Every case that both runs have, for each adapter of `now` against the adapter of `then` that has its name and back
/// end, or else against the only one: another machine's.
pub fn compare(now: &Results, then: &Results) -> Vec<Compared> {
    let mut all = Vec::new();
    for adapter in &now.adapters {
        let same = then.adapters.iter().find(|other| other.label() == adapter.label());
        let only = then.adapters.first().filter(|_| then.adapters.len() == 1);
        if let Some(other) = same.or(only) {
            all.extend(adapter.rows.iter().filter_map(|row| compared(adapter, row, other)));
        }
    }
    all
}

fn compared(adapter: &AdapterResults, row: &Row, other: &AdapterResults) -> Option<Compared> {
    let old = other.rows.iter().find(|old| old.path() == row.path() && old.shape == row.shape)?;
    Some(Compared {
        case: row.path(),
        adapters: [adapter.label(), other.label()],
        median_ms: [row.median_ms, old.median_ms],
        ceilings: [adapter.ceilings, other.ceilings],
        ratio: ratio(&row.samples_ms, &old.samples_ms)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::TimedBy;

    /// Ten samples around `middle`, within 1 %.
    fn around(middle: f64) -> Vec<f64> {
        (0..10).map(|i| middle * (1.0 + 0.002 * f64::from(i - 5))).collect()
    }

    #[test]
    fn verdicts() {
        let verdict = |now: f64, then: f64| ratio(&around(now), &around(then)).unwrap().verdict;
        assert_eq!(verdict(1.3, 1.0), Verdict::Slower);
        assert_eq!(verdict(1.0, 1.3), Verdict::Faster);
        assert_eq!(verdict(1.0, 1.0), Verdict::Same);
        // Certain, but too small to matter.
        assert_eq!(verdict(1.012, 1.0), Verdict::Same);
    }

    /// A machine that was busy then is told from a kernel that became faster, whichever ceiling is another.
    #[test]
    fn other_ceilings_are_said() {
        let of = |adapter: &str, [now, then]: [[f64; 2]; 2]| Compared {
            case: "kernels/gemm/256".into(),
            adapters: [adapter.into(), "a".into()],
            median_ms: [1.0, 2.0],
            ceilings: [now, then].map(|[gflops, gbs]| Ceilings { gflops, gbs, clock: TimedBy::WallClock }),
            ratio: ratio(&[1.0], &[2.0]).unwrap(),
        };
        let doubt = |adapter, ceilings| Doubt::of(&of(adapter, ceilings));
        for far in
            [[[112.0, 10.0], [100.0, 10.0]], [[100.0, 10.0], [112.0, 10.0]], [[100.0, 20.0], [100.0, 10.0]]]
        {
            assert_eq!((doubt("a", far), doubt("b", far)), (Doubt::Conditions, Doubt::Machines));
        }
        let near = [[109.0, 10.0], [100.0, 10.9]];
        assert_eq!((doubt("a", near), doubt("b", near)), (Doubt::None, Doubt::None));
        // Each pair of adapters once, with its figures and its doubt.
        let lines = caution(&[of("a", near), of("a", near), of("b", [[200.0, 10.0], [100.0, 10.0]])]);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].ends_with("ceilings 1.09 and 0.92 times as high"), "{lines:?}");
        assert!(
            lines[1].contains("2.00 and 1.00") && lines[1].ends_with(Doubt::Machines.text()),
            "{lines:?}"
        );
    }

    #[test]
    fn noise_is_no_verdict() {
        let noisy = |shift: f64| (0..10).map(|i| 1.0 + shift + 0.1 * f64::from(i)).collect::<Vec<_>>();
        let got = ratio(&noisy(0.1), &noisy(0.0)).unwrap();
        assert!(got.low < 1.0 && got.high > 1.0 && got.verdict == Verdict::Same, "{got:?}");
    }

    #[test]
    fn few_samples_take_their_extremes() {
        let got = ratio(&[2.0, 3.0, 4.0], &[1.0, 1.0, 2.0]).unwrap();
        assert_eq!((got.ratio, got.low, got.high, got.verdict), (3.0, 1.0, 4.0, Verdict::Same));
        assert_eq!(ratio(&[2.0, 2.0], &[1.0, 1.1]).unwrap().verdict, Verdict::Slower);
        assert_eq!(ratio(&[], &[1.0]), None);
        assert_eq!(ratio(&[1.0], &[0.0]), None);
    }
}
