//! Static models as folders.

mod read;
mod write;

pub use write::{SaveOptions, Store};

/// The files of a folder.
const CONFIG: &str = "config.json";
const MODULES: &str = "modules.json";
const TENSORS: &str = "model.safetensors";
const TOKENIZER: &str = "tokenizer.json";
const README: &str = "README.md";
/// Where sentence-transformers puts what belongs to a module.
const NESTED: &str = "0_StaticEmbedding";

/// The table, as model2vec and as sentence-transformers call it.
const EMBEDDINGS: &str = "embeddings";
const WEIGHT: &str = "embedding.weight";
/// Of each token its row, and what that is multiplied by.
const MAPPING: &str = "mapping";
const WEIGHTS: &str = "weights";

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
