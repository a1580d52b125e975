//! Ops on tokens: words, or parts of words, by number.

pub mod embedding;
