//! Names of tensors in folders, and in limbeck's encoders, which have BERT's without a prefix.

use crate::files::NamedTensor;

/// Who named the tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// BERT, MiniLM, TinyBERT.
    Bert,
    /// DistilBERT, which has no types.
    DistilBert,
    /// RoBERTa, XLM-RoBERTa.
    Roberta,
}

/// A layer's parts in BERT's names and DistilBERT's.
const PARTS: [(&str, &str); 8] = [
    ("attention.self.query", "attention.q_lin"),
    ("attention.self.key", "attention.k_lin"),
    ("attention.self.value", "attention.v_lin"),
    ("attention.output.dense", "attention.out_lin"),
    ("attention.output.LayerNorm", "sa_layer_norm"),
    ("intermediate.dense", "ffn.lin1"),
    ("output.dense", "ffn.lin2"),
    ("output.LayerNorm", "output_layer_norm"),
];

/// The head of a masked language model in BERT's names, DistilBERT's and RoBERTa's.
const WORDS: [(&str, [&str; 2]); 4] = [
    ("cls.predictions.transform.dense.", ["vocab_transform.", "lm_head.dense."]),
    ("cls.predictions.transform.LayerNorm.", ["vocab_layer_norm.", "lm_head.layer_norm."]),
    ("cls.predictions.bias", ["vocab_projector.bias", "lm_head.bias"]),
    (DECODER, ["vocab_projector.weight", "lm_head.decoder.weight"]),
];

/// What begins with one of these is for other tasks, or computed.
const OTHERS: [&str; 10] = [
    // A bias that is there twice is one.
    "cls.predictions.decoder.bias",
    "lm_head.decoder.bias",
    "cls.seq_relationship",
    "cls.pooler",
    "fit_dense",
    "qa_outputs.",
    "embeddings.position_ids",
    "embeddings.token_type_ids",
    "encoder.embed",
    "loss.",
];

/// What a masked language model's head begins with.
pub(super) const TRANSFORM: &str = "cls.predictions.transform.dense.weight";
/// The table of words again, in some files.
pub(super) const DECODER: &str = "cls.predictions.decoder.weight";
/// The table of words.
pub(in crate::models::encoder) const TABLE: &str = "embeddings.word_embeddings.weight";
pub(in crate::models::encoder) const POSITIONS: &str = "embeddings.position_embeddings.weight";
pub(super) const TYPES: &str = "embeddings.token_type_embeddings.weight";

impl Kind {
    /// What stands before the names of an encoder within a network with a head.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Bert => "bert.",
            Self::DistilBert => "distilbert.",
            Self::Roberta => "roberta.",
        }
    }

    /// The name in limbeck of a file's tensor; none for what is left out.
    fn own(self, name: &str) -> Option<String> {
        let name = name.strip_prefix("module.").unwrap_or(name);
        let name = name.strip_prefix(self.prefix()).unwrap_or(name);
        if OTHERS.iter().any(|other| name.starts_with(other)) {
            return None;
        }
        let of_head = WORDS.iter().find_map(|(bert, others)| {
            let rest = others.iter().find_map(|other| name.strip_prefix(other))?;
            Some(format!("{bert}{rest}"))
        });
        if of_head.is_some() {
            return of_head;
        }
        if let Some(rest) = name.strip_prefix("transformer.").filter(|_| self == Self::DistilBert) {
            return Some(
                part(rest, |(bert, distil)| (distil, bert))
                    .map_or(name.into(), |own| format!("encoder.{own}")),
            );
        }
        if let Some(rest) = name.strip_prefix("classifier.").filter(|_| self == Self::Roberta) {
            let (layer, value) = rest.split_once('.').unwrap_or(("", rest));
            return Some(match layer {
                "dense" => format!("pooler.dense.{value}"),
                "out_proj" => format!("classifier.{value}"),
                _ => name.to_string(),
            });
        }
        let norm = |old: &str, new: &str| Some(format!("{}LayerNorm.{new}", name.strip_suffix(old)?));
        norm("LayerNorm.gamma", "weight")
            .or_else(|| norm("LayerNorm.beta", "bias"))
            .or(Some(name.to_string()))
    }

    /// The name in DistilBERT's files of limbeck's parameter.
    pub fn distilled(name: &str) -> String {
        let of_head = WORDS
            .iter()
            .find_map(|(bert, others)| Some(format!("{}{}", others[0], name.strip_prefix(bert)?)));
        if let Some(own) = of_head {
            return own;
        }
        let renamed = name.strip_prefix("encoder.").and_then(|rest| part(rest, |names| names));
        renamed.map_or(name.to_string(), |part| format!("transformer.{part}"))
    }

    /// Gives a file's tensors limbeck's names, and leaves out those that no encoder reads.
    pub fn rename(self, tensors: Vec<NamedTensor>) -> Vec<NamedTensor> {
        let own = |tensor: NamedTensor| Some(NamedTensor { name: self.own(&tensor.name)?, ..tensor });
        tensors.into_iter().filter_map(own).collect()
    }
}

/// `layer.3.attention.self.query.weight` with the part's name replaced, as `way` says, from the first to the second.
fn part(
    name: &str,
    way: impl Fn((&'static str, &'static str)) -> (&'static str, &'static str),
) -> Option<String> {
    let (layer, rest) = name.strip_prefix("layer.")?.split_once('.')?;
    let (part, value) = rest.rsplit_once('.')?;
    let (_, to) = PARTS.into_iter().map(way).find(|(from, _)| *from == part)?;
    Some(format!("layer.{layer}.{to}.{value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_others_become_berts() {
        let own = |kind: Kind, name: &str| kind.own(name).unwrap_or_default();
        let layer = "encoder.layer.11.attention.output.LayerNorm.weight";
        assert_eq!(own(Kind::Bert, "bert.encoder.layer.11.attention.output.LayerNorm.gamma"), layer);
        assert_eq!(own(Kind::Bert, layer), layer);
        assert_eq!(own(Kind::DistilBert, "distilbert.transformer.layer.11.sa_layer_norm.weight"), layer);
        assert_eq!(Kind::distilled(layer), "transformer.layer.11.sa_layer_norm.weight");
        assert_eq!(Kind::distilled("pre_classifier.bias"), "pre_classifier.bias");
        assert_eq!(own(Kind::Roberta, "classifier.out_proj.bias"), "classifier.bias");
        assert_eq!(own(Kind::Roberta, "classifier.dense.weight"), "pooler.dense.weight");
        let head = "cls.predictions.transform.LayerNorm.weight";
        assert_eq!(own(Kind::Bert, "cls.predictions.transform.LayerNorm.gamma"), head);
        assert_eq!(own(Kind::DistilBert, "vocab_layer_norm.weight"), head);
        assert_eq!(own(Kind::Roberta, "lm_head.layer_norm.weight"), head);
        assert_eq!(own(Kind::DistilBert, "vocab_projector.bias"), "cls.predictions.bias");
        assert_eq!(Kind::distilled(head), "vocab_layer_norm.weight");
        assert_eq!(Kind::distilled("cls.predictions.bias"), "vocab_projector.bias");
        for (kind, other) in [
            (Kind::Bert, "cls.predictions.decoder.bias"),
            (Kind::Bert, "cls.seq_relationship.bias"),
            (Kind::Bert, "bert.embeddings.position_ids"),
            (Kind::Bert, "fit_dense.weight"),
            (Kind::Roberta, "lm_head.decoder.bias"),
        ] {
            assert_eq!(own(kind, other), "", "{other}");
        }
    }
}
