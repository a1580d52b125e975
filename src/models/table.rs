//! A vector for each word, and nothing else: the rows of `vectors.weight` (V, K).

use super::{Arguments, Built, InputSpec, ModelConfig, ModelSpec, SingleModule};
use crate::nn::{Embedding, Forward, ParamBuilder, Params};
use crate::tape::Tensor;
use crate::{Error, Result};

/// The list entry.
pub const SPEC: ModelSpec = ModelSpec::new("table", "table: a vector for each word", build);

struct Table(Embedding);

fn build(config: &ModelConfig, arguments: &Arguments) -> Result<Built> {
    let InputSpec::Words(words) = config.input else {
        let message = format!("it takes words by number, not {} of {}", config.input.name(), config.input);
        return Err(Error::config("model", message));
    };
    if !arguments.numbers().is_empty() {
        return Err(Error::config(
            "model",
            "its vectors are as wide as the task wants them: it has no numbers",
        ));
    }
    let mut params = Params::outline();
    let table = Embedding::new(ParamBuilder::new(&mut params).sub("vectors"), words, config.head.row()?);
    let taps = vec!["vectors".to_string()];
    let module = config.single(Table(table));
    Ok(Built { params, module, stages: taps.clone(), preactivations: taps, embedding: "vectors".into() })
}

impl SingleModule for Table {
    fn forward(&self, fx: &Forward<'_>, words: &Tensor) -> Result<Tensor> {
        self.0.forward(fx, words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{Head, build};

    #[test]
    fn a_table_has_a_row_for_each_word() {
        let config = ModelConfig { input: InputSpec::Words(70_000), head: Head::Numbers(16) };
        let network = build("table", &config).unwrap();
        assert_eq!(network.params.trainable_elements(), 70_000 * 16);
        let message = |name: &str, config: &ModelConfig| {
            build(name, config).err().map(|e| e.to_string()).unwrap_or_default()
        };
        assert!(message("table:8", &config).contains("no numbers"));
        let images = message("table", &ModelConfig::classifier([1, 8, 8], 10));
        assert!(images.contains("words by number, not images of 1x8x8"), "{images}");
        assert!(message("cnn:8", &config).contains("not 70000 words"));
        assert!(message("mlp:8", &config).contains("not 70000 words"));
        let none = ModelConfig { input: InputSpec::Words(0), ..config };
        assert!(message("table", &none).contains("words"));
    }
}
