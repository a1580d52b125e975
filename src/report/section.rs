//! A part of a page that some task has to show beside its figures.

use serde::{Deserialize, Serialize};

/// A section of a report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// Its heading, plain text.
    pub title: String,
    /// A line beside the heading, plain text.
    pub about: String,
    /// What it shows, finished HTML: what comes from files and users is escaped in it.
    pub html: String,
}
