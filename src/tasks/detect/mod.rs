//! Detection: boxes of classes in an image.

mod found;

pub use found::{Found, Truth};
