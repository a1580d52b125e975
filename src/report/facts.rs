//! What is needed to repeat a run.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::platform::SystemTime;

/// Where and how a run was made. Empty fields are left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Environment {
    /// The adapter's name.
    pub adapter: String,
    /// Driver and its version.
    pub driver: String,
    /// Graphics API, such as `Vulkan`.
    pub backend: String,
    /// The command line.
    pub command: String,
    /// When, see [`timestamp`].
    pub date: String,
    /// limbeck's version.
    pub version: String,
    /// Further facts as `(name, value)`, shown after the others.
    pub extra: Vec<(String, String)>,
}

impl Environment {
    /// The facts that are known, as `(name, value)`.
    pub fn facts(&self) -> Vec<(&str, &str)> {
        let known = [
            ("Adapter", &self.adapter),
            ("Driver", &self.driver),
            ("Backend", &self.backend),
            ("Date", &self.date),
            ("limbeck", &self.version),
        ];
        let extra = self.extra.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let facts = known.into_iter().map(|(name, value)| (name, value.as_str())).chain(extra);
        facts
            .chain([("Command", self.command.as_str())])
            .filter(|(_, value)| !value.trim().is_empty())
            .collect()
    }
}

/// A time as `2025-01-31 23:59 UTC`.
pub fn timestamp(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let (year, month, day) = civil(seconds / 86_400);
    let minutes = seconds / 60;
    format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", minutes / 60 % 24, minutes % 60)
}

/// The Gregorian date of a day counted from 1970-01-01, after Howard Hinnant's `civil_from_days`: years begin in
/// March, so that a leap day is the last day of its year.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        let at = |seconds| timestamp(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01 00:00 UTC");
        assert_eq!(at(951_782_399), "2000-02-28 23:59 UTC");
        assert_eq!(at(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(at(1_735_689_599), "2024-12-31 23:59 UTC");
    }

    #[test]
    fn unknown_facts_are_left_out() {
        let mut environment = Environment { adapter: "llvmpipe".into(), ..Default::default() };
        environment.extra.push(("Data".into(), "CIFAR-10".into()));
        assert_eq!(environment.facts(), [("Adapter", "llvmpipe"), ("Data", "CIFAR-10")]);
    }
}
