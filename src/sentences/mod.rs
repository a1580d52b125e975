//! Sentences as vectors: static models, which give every token one vector and a sentence their mean, and how well vectors
//! say which sentences are alike ([`similarity`]) or of which class ([`regression`]).
//!
//! A static model is made of what a sentence encoder says of single tokens ([`statics::build`]), and of sentences
//! ([`statics::fit`]). Static models know no encoder: they
//! are made of rows of numbers and of lists of token numbers, and [`encode_async`] gives an encoder's.

mod encode;
pub mod regression;
mod rows;
pub mod similarity;
pub mod statics;
mod texts;

#[cfg(not(target_arch = "wasm32"))]
pub use encode::{answers, encode};
pub use encode::{answers_async, encode_async, plain_means};
pub use rows::Rows;
pub use texts::Sentences;
