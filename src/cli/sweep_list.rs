//! `limbeck sweep --dry-run`: what is done, and about how long the rest will take.

use std::time::Duration;

use indicatif::HumanDuration;

use super::out::say;
use super::sweep_file::{Lesson, PairFile};
use super::sweep_run::Place;
use crate::Result;
use crate::train::sweep::{Finished, left_ms};

/// Prints every run, and a sum.
pub fn list(place: Place<'_>) -> Result<()> {
    let (mut left, mut unknown, mut total) = (0, 0, 0.0);
    for pair in &place.file.pairs {
        let lessons = pair.lessons(place.file);
        let finished = finished(place, pair, &lessons);
        for (lesson, &seed) in lessons.iter().flat_map(|l| place.file.seeds.iter().map(move |s| (l, s))) {
            let run = format!("{}: {}, seed {seed}", pair.name(), lesson.label);
            if finished.iter().any(|f| f.label == lesson.label && f.seed == seed) {
                say!("{:<6} {run}", "done")?;
                continue;
            }
            left += 1;
            let cost = left_ms(&finished, &lesson.label);
            total += cost.unwrap_or(0.0);
            unknown += usize::from(cost.is_none());
            let about = cost.map_or(String::new(), |ms| format!(", about {}", human(ms)));
            say!("{:<6} {run}{about}", "to do")?;
        }
    }
    say!("\n{}", sum(left, unknown, total))
}

/// The pair's finished runs. A result that can't be read is run into when the sweep runs.
fn finished(place: Place<'_>, pair: &PairFile, lessons: &[Lesson]) -> Vec<Finished> {
    let all = lessons.iter().flat_map(|lesson| place.file.seeds.iter().map(move |seed| (lesson, *seed)));
    let one = |(lesson, seed): (&Lesson, u64)| {
        let outcome = place.result(pair, lesson, seed).ok().flatten()?;
        Some(Finished { label: lesson.label.clone(), seed, outcome })
    };
    all.filter_map(one).collect()
}

fn sum(left: usize, unknown: usize, total_ms: f64) -> String {
    let known = format!("about {} of training steps", human(total_ms));
    match (left, left - unknown) {
        (0, _) => "nothing is left".into(),
        (_, 0) => format!("{left} runs left; how long they take is known once a run of their pair is done"),
        (_, some) if unknown == 0 => format!("{some} runs left: {known}"),
        (_, some) => {
            format!(
                "{left} runs left: {known} for {some}, unknown for {unknown} of pairs without a finished run"
            )
        }
    }
}

fn human(ms: f64) -> HumanDuration {
    HumanDuration(Duration::from_secs_f64(ms.max(1e3) / 1e3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_says_what_is_not_known() {
        assert_eq!(sum(0, 0, 0.0), "nothing is left");
        assert_eq!(sum(3, 0, 120e3), "3 runs left: about 2 minutes of training steps");
        let some = "5 runs left: about 2 minutes of training steps for 3, unknown for 2";
        assert!(sum(5, 2, 120e3).starts_with(some));
        assert!(sum(5, 5, 0.0).starts_with("5 runs left; how long they take is known once"));
    }
}
