//! What every page and table is drawn with: axes, the area of a chart, numbers as text, the page around it all.
//!
//! It lies below everything that has something to show (`train`, `bench`, `cli`) and knows none of them. A page loads
//! nothing from anywhere: its style is inline and its charts are SVG drawn here. It follows the reader's light or dark
//! scheme, fits a phone, and uses colours that colour-blind readers can tell apart.

mod axis;
mod correlation;
pub mod draw;
mod facts;
mod font;
mod format;
mod names;
pub(crate) mod page;
mod palette;
mod plot;
mod quantity;
mod section;
pub mod stats;

pub use correlation::{cosine, mean_cosine, pearson, spearman};
pub use facts::{Environment, timestamp};
pub use quantity::{Quantity, Unit};
pub use section::Section;

pub(crate) use axis::Axis;
#[cfg(feature = "cli")]
pub(crate) use format::percent;
pub(crate) use format::{bytes, count, escape, grouped, printable, seeds, significant, three_digits, time};
pub(crate) use names::places;
pub(crate) use palette::{BASELINE, POOL, TEACHER};
pub(crate) use plot::Area;
