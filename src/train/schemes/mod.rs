//! Who teaches whom, beside one frozen teacher and its student.
//!
//! - Several teachers ([`Member`]): their softened distributions are averaged.
//! - A teacher that is the average of the student's weights ([`Scheme::average`]): mean teacher, Tarvainen and Valpola
//!   1703.01780.
//! - A peer that learns beside the student ([`crate::train::Trainer::peer`]): deep mutual learning, Zhang et al.
//!   1706.00384.
//! - Chains of trainings ([`crate::train::chain`]): born-again networks (Furlanello et al. 1805.04770), teacher assistants (Mirzadeh et
//!   al. 1902.03393) and the self-teacher of teacher-free distillation (Yuan et al. 1909.11723).
//!
//! Chains are loops over the trainer; peers, averages and several teachers are parts of the step. `byot` and `tf-kd` are methods,
//! since they are plain losses on logits and taps.

mod mean_teacher;
mod mutual;
mod several;

pub use several::{Member, mean_logits, mean_values};

pub(super) use mean_teacher::MeanTeacher;
pub(super) use mutual::{Mutual, Peer, state as peer_state};

use crate::optim::EmaConfig;

/// What a teacher is beside its weights.
pub struct Scheme<'a> {
    /// The first teacher's share of the soft targets; any positive number, as the others'.
    pub first_weight: f32,
    /// More teachers. Features come from the first one alone.
    pub others: Vec<Member<'a>>,
    /// The first teacher starts as the student and follows it as an average of its weights. It must be of the student's
    /// architecture, and in parameters of its own.
    pub average: Option<EmaConfig>,
}

impl Default for Scheme<'_> {
    fn default() -> Self {
        Self { first_weight: 1.0, others: Vec::new(), average: None }
    }
}
