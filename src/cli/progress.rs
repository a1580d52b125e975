//! Progress bars in a terminal; one log line an epoch elsewhere.

use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressState, ProgressStyle};

use crate::optim::LossScaleState;
use crate::tape::Cost;
use crate::tasks::{Metric, Unit};
use crate::train::{Epoch, Observer, Progress};

/// Shows how a run goes.
pub struct Bar {
    label: String,
    batch_size: u64,
    bar: ProgressBar,
}

impl Bar {
    /// For a run of this name. Draws on standard error, and only where that is a terminal.
    pub fn new(label: &str, batch_size: usize) -> Self {
        Self::on(ProgressBar::no_length(), label, batch_size)
    }

    /// The name of the run.
    pub fn label(&self) -> &str {
        &self.label
    }

    fn on(bar: ProgressBar, label: &str, batch_size: usize) -> Self {
        // A run that is only planned draws nothing: setters would.
        let bar = bar.with_prefix(label.to_string());
        let bar = match ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} steps  {msg}{left}") {
            Ok(style) => bar.with_style(style.with_key("left", left)),
            Err(_) => bar,
        };
        Self { label: label.into(), batch_size: batch_size as u64, bar }
    }

    fn images_per_second(&self) -> f64 {
        self.bar.per_sec() * self.batch_size as f64
    }
}

/// The time that is left, once there is a figure: nothing before the first step.
fn left(state: &ProgressState, out: &mut dyn std::fmt::Write) {
    let eta = state.eta();
    if !eta.is_zero() {
        // A writer of the bar does not fail.
        let _ = write!(out, "  {:#} left", HumanDuration(eta));
    }
}

impl Observer for Bar {
    fn started(&mut self, _: &Cost, steps: u64) {
        self.bar.set_length(steps);
        self.bar.enable_steady_tick(Duration::from_millis(500));
    }

    fn proceed(&mut self, step: u64) -> bool {
        if self.bar.position() == 0 && step > 0 {
            // A resumed run: what was done before must not count as speed.
            self.bar.set_position(step);
            self.bar.reset_eta();
        }
        self.bar.set_position(step);
        true
    }

    fn progress(&mut self, p: &Progress) {
        let speed = self.images_per_second();
        self.bar.set_message(format!(
            "epoch {}  loss {:.3}  {}  {speed:.0} samples/s{}",
            p.epoch,
            p.loss,
            shown(&p.metric),
            after(p.loss_scale)
        ));
    }

    fn epoch(&mut self, e: &Epoch) {
        self.bar.set_position(e.step);
        let line = format!(
            "{}  epoch {}  loss {:.3}  training {}  validation {}  {:.1} ms per step{}",
            self.label,
            e.epoch,
            e.loss,
            shown(&e.training.primary),
            shown(&e.validation.primary),
            e.ms_per_step,
            after(e.loss_scale)
        );
        if self.bar.is_hidden() {
            log::info!("{line}");
        } else {
            self.bar.println(line);
        }
    }
}

/// A metric by its name: `rmse 0.2198`.
fn shown(metric: &Metric) -> String {
    match metric.unit {
        Unit::Share => format!("{} {:.2} %", metric.name, 100.0 * metric.value),
        Unit::Number => format!("{} {:.4}", metric.name, metric.value),
    }
}

/// What mixed precision adds to a line.
fn after(loss_scale: Option<LossScaleState>) -> String {
    loss_scale.map_or(String::new(), |state| format!("  {state}"))
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::{ProgressDrawTarget, TermLike};
    use std::io::Result;
    use std::sync::{Arc, Mutex};

    /// A terminal that remembers all that was written.
    #[derive(Debug, Clone, Default)]
    struct Paper(Arc<Mutex<String>>);

    impl Paper {
        fn take(&self) -> String {
            std::mem::take(&mut self.0.lock().unwrap())
        }
    }

    impl TermLike for Paper {
        fn width(&self) -> u16 {
            120
        }
        fn move_cursor_up(&self, _: usize) -> Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> Result<()> {
            Ok(())
        }
        fn write_line(&self, line: &str) -> Result<()> {
            self.write_str(line)
        }
        fn write_str(&self, text: &str) -> Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> Result<()> {
            Ok(())
        }
        fn flush(&self) -> Result<()> {
            Ok(())
        }
    }

    /// The first frame has no figure yet, and shows none.
    #[test]
    fn time_left_is_shown_once_it_is_known() {
        let paper = Paper::default();
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(paper.clone()), 255);
        let mut bar = Bar::on(ProgressBar::with_draw_target(None, target), "kd", 32);
        bar.bar.set_length(4000);
        bar.bar.tick();
        let first = paper.take();
        assert!(first.contains("0/4000 steps") && !first.contains("left"), "{first}");
        for step in 1..40 {
            std::thread::sleep(Duration::from_millis(5));
            bar.proceed(step);
        }
        bar.bar.tick();
        let later = paper.take();
        assert!(later.contains("steps") && later.contains("s left"), "{later}");
    }
}
