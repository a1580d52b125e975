//! Linear algebra on the host, in f64: what is computed once, before a training or after it.

pub(crate) mod components;
mod symmetric;
