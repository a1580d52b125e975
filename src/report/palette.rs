//! The colours of charts, as CSS classes of `style.css`.
//!
//! They descend from Okabe and Ito's set for colour-blind readers, one tone for each scheme.

/// Classes for what has no fixed colour, in order of use.
pub const POOL: [&str; 6] = ["c-blue", "c-green", "c-pink", "c-sky", "c-ochre", "c-brown"];
/// The yardstick that others are held against.
pub const TEACHER: &str = "c-grey";
/// What is to be beaten.
pub const BASELINE: &str = "c-orange";
