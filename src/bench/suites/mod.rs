//! What each suite measures.

mod kernels;
mod layers;
mod ops;
mod overhead;
mod train;

use super::benchmark::{Benchmark, Suite, Target};
use crate::Result;

/// The cases of a suite, small ones of a group first; fewer where a quick look is wanted.
pub fn cases(suite: Suite, target: &Target, quick: bool) -> Result<Vec<Benchmark>> {
    match suite {
        Suite::Kernels => kernels::cases(target, quick),
        Suite::Train => Ok(train::cases(quick)),
        Suite::Overhead => Ok(overhead::cases()),
    }
}
