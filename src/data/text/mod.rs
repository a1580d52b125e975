//! Texts: what files of them look like, and the tokens that models read.
//!
//! [`read`] takes a file, of lines, a table or JSON lines, and gives [`Texts`]: one or two texts a sample, with classes or
//! scores where the file has them. With a `Tokenizer` (feature `text`), or with token numbers from a program's own, they
//! become a [`TextSet`], whose samples are as long as their texts are: a batch has them one behind the other.
//!
//! Whatever is wrong with a file is said with its line.

#[cfg(all(test, feature = "text"))]
mod damaged_tests;
mod json;
mod labels;
#[cfg(feature = "text")]
mod load;
mod masked;
mod options;
mod read;
mod records;
mod set;
mod table;
mod texts;
#[cfg(feature = "text")]
mod tokenizer;

#[cfg(feature = "text")]
pub use load::{TextParts, TextSets, load_plain_texts, load_texts, read_texts};
pub use masked::{MASKED, MaskedTexts, Masking};
pub use options::{Column, TextFormat, TextOptions};
pub use read::read;
pub use set::TextSet;
pub use texts::Texts;
#[cfg(feature = "text")]
pub use tokenizer::{Encoded, Tokenizer};

/// The field of a text's tokens by number, packed i32.
pub const TOKENS: &str = "tokens";
/// The field of a score, f32.
pub const SCORE: &str = "score";
