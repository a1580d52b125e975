//! What methods for detectors share: which heads of two networks see the same cells ([`pairing`]), and their boxes row by row.

mod masks;
mod pairing;
mod rows;

pub(super) use masks::CellMask;
pub use pairing::{HeadPair, Pairing, pairing};
pub(super) use pairing::{heads, same_classes};
pub(super) use rows::{Chosen, HeadRows, RowWeights, truths};
