//! What methods for detectors share: which heads of two networks see the same cells ([`pairing`]), and their boxes row by row.

mod pairing;

pub use pairing::{HeadPair, Pairing, pairing};
