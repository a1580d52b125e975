//! Ops on tokens: words, or parts of words, by number, and what a packed batch of texts makes of their rows.

pub mod attention;
pub mod chosen;
pub mod embedding;
pub mod places;
pub mod relation;
pub mod segment;

mod heads;
