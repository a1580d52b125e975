//! Progress bars in a terminal; one log line an epoch elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::optim::LossScaleState;
use crate::tape::Cost;
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
        let bar = ProgressBar::no_length();
        let template = "{prefix} {wide_bar} {pos}/{len} steps  {msg}  {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(label.to_string());
        Self { label: label.into(), batch_size: batch_size as u64, bar }
    }

    fn images_per_second(&self) -> f64 {
        self.bar.per_sec() * self.batch_size as f64
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
            "epoch {}  loss {:.3}  accuracy {:.1} %  {speed:.0} images/s{}",
            p.epoch,
            p.loss,
            100.0 * p.accuracy,
            after(p.loss_scale)
        ));
    }

    fn epoch(&mut self, e: &Epoch) {
        self.bar.set_position(e.step);
        let line = format!(
            "{}  epoch {}  loss {:.3}  training accuracy {:.2} %  held-out accuracy {:.2} %  {:.1} ms a step{}",
            self.label,
            e.epoch,
            e.loss,
            100.0 * e.training_accuracy,
            100.0 * e.accuracy,
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

/// What mixed precision adds to a line.
fn after(loss_scale: Option<LossScaleState>) -> String {
    loss_scale.map_or(String::new(), |state| format!("  {state}"))
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
