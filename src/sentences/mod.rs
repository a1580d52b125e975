//! Sentences as vectors: static models, which give every token one vector and a sentence their mean, and how well vectors
//! say which sentences are alike.
//!
//! A static model is made of what a sentence encoder says of single tokens ([`statics::build`]), and of sentences
//! ([`statics::fit`]). Nothing here knows the encoder: it works from rows of numbers and from lists of token numbers.

mod rows;
pub mod similarity;
pub mod statics;
mod texts;

pub use rows::Rows;
pub use texts::Sentences;
