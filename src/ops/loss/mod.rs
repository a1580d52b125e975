//! Losses, and what only they need.

pub mod bank_update;
pub mod contrast;
pub mod cosine;
pub mod cross_entropy;
pub mod distance;
pub mod kl_div;
pub mod regression;
