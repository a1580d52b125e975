//! What users of distillation get wrong, said once, with the figure, before training begins.
//!
//! [`Trainer::examined`](crate::train::Trainer::examined) has a run's first batches measured before it begins, on a small
//! plan of its own that is made from the recording of the step (nothing of it is in the step). What comes out are
//! [`Figures`]; each entry of [`CHECKS`] is a pure function from these to a [`Finding`], or to none where all is well. A
//! teacher in train mode is no finding: teachers run with their running statistics, but where a method asks for the batch's.
//!
//! What is not there is not judged: outputs on disk are a teacher as any other, but for dead channels of layers that were
//! not written; methods that need no teacher have none; a teacher that follows the student
//! ([`Figures::starts_as_student`]) is not asked what it knows yet; a task without labels has no right answers. Peers have
//! terms of a loss, and nothing else that could be wrong before they are trained.

mod answers;
mod balance;
mod classes;
mod examine;
mod figures;
mod measured;
mod peers;
mod right;
mod saturation;
mod taps;
mod texts;

pub use answers::{Agreement, agreement};
pub use figures::{CutFigure, Figures, TapFigure, TeacherFigure, TermFigure};

pub(super) use examine::figures;
pub(super) use peers::peer_figures;

/// Something that is probably not meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was measured, and what to look at.
    pub message: String,
}

impl Finding {
    fn new(message: String) -> Option<Self> {
        Some(Self { message })
    }
}

/// Every check, in the order in which findings are told.
pub static CHECKS: &[fn(&Figures) -> Option<Finding>] = &[
    classes::counts,
    measured::knows_nothing,
    texts::cut,
    texts::other_tokenizer,
    right::at_chance,
    right::worse_than_student,
    saturation::sharp,
    saturation::flat,
    balance::unbalanced,
    balance::vanishing,
    taps::dead_channels,
    texts::collapsed,
];

/// What the checks find in `figures`.
pub fn diagnose(figures: &Figures) -> Vec<Finding> {
    CHECKS.iter().filter_map(|check| check(figures)).collect()
}

/// The parts of one message, or nothing where there are none.
fn joined(parts: Vec<String>, advice: &str) -> Option<Finding> {
    if parts.is_empty() { None } else { Finding::new(format!("{}: {advice}", parts.join("; "))) }
}
