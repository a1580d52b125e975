//! What the repository has as text files, as pages of this documentation, and [one batch walked through](walk).
//!
//! The module exists in the documentation alone. A link to a type that is gone fails `cargo doc`, and an example that does not
//! compile fails the documentation tests.

pub mod walk;

/// [src/guide/walk.rs]: walk
///
#[doc = include_str!("../../ARCHITECTURE.md")]
pub mod architecture {}

#[doc = include_str!("../../CHANGELOG.md")]
pub mod changelog {}

#[doc = include_str!("../../docs/methods.md")]
pub mod methods {}

#[doc = include_str!("../../docs/performance.md")]
pub mod performance {}

/// [performance.md]: performance
///
#[doc = include_str!("../../docs/results.md")]
pub mod results {}

#[doc = include_str!("../../docs/runs.md")]
pub mod runs {}

/// [teacher-outputs.md]: teacher_outputs
///
#[doc = include_str!("../../docs/sweeps.md")]
pub mod sweeps {}

#[doc = include_str!("../../docs/teacher-outputs.md")]
pub mod teacher_outputs {}
