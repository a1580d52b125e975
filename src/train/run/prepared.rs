//! A run between compiling and its first step.

use super::results::Run;
use super::session::Session;
use crate::Result;
use crate::tape::Cost;
use crate::train::doctor::{Figures, Finding, diagnose};

/// A run whose step is compiled and that has not begun.
pub struct Prepared<'a, 'n>(pub(super) Session<'a, 'n>);

impl Prepared<'_, '_> {
    /// What a step costs.
    pub fn cost(&self) -> &Cost {
        self.0.cost()
    }

    /// What the doctor measured, of the student and of a peer, where [`Trainer::examined`](crate::train::Trainer::examined) asked for it; once.
    ///
    /// # Errors
    /// What kept it from measuring, which does not keep the run from training.
    pub fn figures(&mut self) -> Result<Vec<Figures>> {
        self.0.take_figures().unwrap_or_else(|| Ok(Vec::new()))
    }

    /// What the doctor found, from [`Prepared::figures`].
    ///
    /// # Errors
    /// As [`Prepared::figures`].
    pub fn findings(&mut self) -> Result<Vec<Finding>> {
        Ok(self.figures()?.iter().flat_map(diagnose).collect())
    }

    /// Trains, as [`Trainer::fit`](crate::train::Trainer::fit). Blocks.
    ///
    /// # Errors
    /// Those of [`Trainer::fit`](crate::train::Trainer::fit).
    #[cfg(not(target_arch = "wasm32"))]
    pub fn fit(self) -> Result<Run> {
        let gpu = self.0.gpu().clone();
        gpu.block_on(self.fit_async())
    }

    /// [`Prepared::fit`] for callers that may not block.
    ///
    /// # Errors
    /// Those of [`Trainer::fit`](crate::train::Trainer::fit).
    pub async fn fit_async(mut self) -> Result<Run> {
        self.0.resume().await?;
        self.0.run().await
    }
}
