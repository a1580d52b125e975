//! Taps many of whose channels are 0 for every image of the batch: ReLUs that died, or a layer that was
//! pruned.

use super::{Figures, Finding, joined};

/// Share of dead channels that a healthy layer may have.
const MOST: f64 = 0.25;

pub(super) fn dead_channels(figures: &Figures) -> Option<Finding> {
    let dead = figures.taps.iter().filter(|t| t.dead as f64 > MOST * t.channels as f64);
    let part = |t: &super::TapFigure| {
        let share = 100.0 * t.dead as f64 / t.channels as f64;
        format!(
            "{} of {} channels ({share:.0}%) of the {}'s tap {} are 0 for the whole batch",
            t.dead, t.channels, t.owner, t.name
        )
    };
    joined(dead.map(part).collect(), "there is little to learn there; name other layers with `taps`")
}

#[cfg(test)]
mod tests {
    use super::super::TapFigure;
    use super::*;

    #[test]
    fn dead_channels_are_counted() {
        let tap = |dead| TapFigure { owner: "teacher", name: "layer3".into(), channels: 64, dead };
        let found = |dead| dead_channels(&Figures { taps: vec![tap(dead)], ..Default::default() });
        let message = found(17).unwrap().message;
        assert!(message.contains("17 of 64 channels (27%) of the teacher's tap layer3"), "{message}");
        assert_eq!(found(16), None);
    }
}
