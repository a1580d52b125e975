//! Static models: a table of token vectors, and a tokenizer. A sentence is the mean of its tokens' rows, of length 1.
//!
//! ```text
//! tokenizer.json of an encoder --Vocabulary::trim--> tokens to ask it about
//!   --the encoder, [CLS] token [SEP], mean of the three--> token vectors (tokens, width)
//!   --build, or with sentences and its vectors of them fit--> rows (tokens, dims) --StaticModel::new--> a folder
//! ```
//!
//! [`build`] makes what model2vec 0.10 makes ([`Recipe::model2vec`]), or better ([`Recipe::new`]); [`fit`] trains rows on
//! sentences in closed form. A [`StaticModel`] is written as a folder that model2vec, its Rust reader and sentence-transformers
//! open, and opened from theirs.

mod bag;
mod build;
mod fit;
mod folder;
mod model;
mod recipe;
mod vocabulary;

pub use build::build;
pub use fit::{FitOptions, fit};
pub use folder::{SaveOptions, Store};
pub use model::StaticModel;
pub use recipe::{Recipe, Scaling, Weights};
pub use vocabulary::{Trimmed, Vocabulary};
