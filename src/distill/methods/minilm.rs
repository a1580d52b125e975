//! MiniLM (Wang et al. 2002.10957): how the last layer's tokens go together. For each text and head KL(softmax(q_t k_t^T /
//! sqrt(d_t)) || softmax(q_s k_s^T / sqrt(d_s))), and the same with values in place of queries and keys; each is the mean over
//! the head's rows, a text's tokens, over heads and over texts. Widths and numbers of layers may differ.
//!
//! The numbers of heads must be equal, or be made so by `heads`, which groups the numbers of both networks' heads anew. A
//! teacher that is far larger teaches better by an assistant between both, says the paper.

use crate::distill::tokens::{KEY, QUERY, Tokens, VALUE, heads, sum_over_layers, within};
use crate::distill::{
    Family, Knowledge, Loss, Method, MethodContext, MethodSpec, Need, Setting, TapNeed, loss, sum_of,
};
use crate::nn::ParamBuilder;
use crate::ops::relation::RelationForm;
use crate::tape::Tensor;
use crate::{Error, Result};

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "minilm",
    family: Family::Feature,
    knowledge: Knowledge::Relation,
    about: "attention of the last layer, and how its values go together; texts, any widths",
    formula: "KL(att(q_t, k_t) || att(q_s, k_s)) + KL(att(v_t, v_t) || att(v_s, v_s)), means over rows, heads and texts; \
              att(a, b) = softmax(a b^T / sqrt(d))",
    paper: "Wang et al. 2002.10957",
    settings: &[
        Setting::choice("values", &["on", "off"], "whether values are compared, too"),
        Setting::count("heads", 0, [0, 1024], "into which both networks' attention is grouped; 0: as it is"),
    ],
    taps: TapNeed::Last,
    reads: &[Need::Taps, Need::Tokens],
    weight: 1.0,
    ce_weight: 1.0,
    build: |values| {
        let relations = if values.choice("values")? == "on" {
            &[(QUERY, KEY), (VALUE, VALUE)][..]
        } else {
            &[(QUERY, KEY)]
        };
        Ok(Box::new(Relations { method: "minilm", relations, heads: values.count("heads")?, most: None }))
    },
};

/// Pairs of taps whose products are compared.
type Compared = &'static [(&'static str, &'static str)];

/// The method; MiniLMv2 is it with other relations.
#[derive(Debug, Clone, Copy)]
pub(super) struct Relations {
    /// What errors call it.
    pub method: &'static str,
    pub relations: Compared,
    /// 0 for those that are there.
    pub heads: usize,
    /// Where heads are grouped anew in any case: the most of them, where `heads` is 0.
    pub most: Option<Regrouped>,
}

/// Heads of no network.
#[derive(Debug, Clone, Copy)]
pub(super) struct Regrouped {
    /// How many at most.
    pub heads: usize,
    /// Numbers that one has at least.
    pub width: usize,
}

impl Regrouped {
    /// The most heads that divide both networks' widths.
    fn of(self, seen: &MethodContext<'_>) -> Result<usize> {
        let mut widths = Vec::new();
        for pair in seen.taps {
            let (teacher, student) = within(seen, pair, QUERY)?;
            widths.extend([teacher, student].iter().filter_map(|q| q.dims().last().copied()));
        }
        let fits = |heads: &usize| widths.iter().all(|w| w.is_multiple_of(*heads) && w / heads >= self.width);
        (1..=self.heads).rev().find(fits).ok_or_else(|| {
            let message = format!("expected a number that divides the widths {widths:?}; give one");
            Error::config("relations", message)
        })
    }
}

impl Method for Relations {
    fn prepare(&self, seen: &MethodContext<'_>, _: ParamBuilder<'_>) -> Result<Box<dyn Loss>> {
        // Before anything is said of heads: where there are no tokens nothing else matters.
        Tokens::of(self.method, seen)?;
        let Self { method, relations, .. } = *self;
        let heads = match self.most.filter(|_| self.heads == 0) {
            Some(regrouped) => regrouped.of(seen)?,
            None => heads(method, self.heads, seen)?,
        };
        loss(move |seen, _| {
            let tokens = Tokens::of(method, seen)?;
            sum_over_layers(seen, |pair| {
                sum_of(relations.iter().map(|(a, b)| {
                    let ((a_t, a_s), (b_t, b_s)) = (within(seen, pair, a)?, within(seen, pair, b)?);
                    related(&tokens, [&a_s, &b_s], [&a_t, &b_t], heads)
                }))
            })
        })
    }
}

fn related(
    tokens: &Tokens<'_>,
    [a_s, b_s]: [&Tensor; 2],
    [a_t, b_t]: [&Tensor; 2],
    heads: usize,
) -> Result<Tensor> {
    a_s.relation_loss(b_s, a_t, b_t, &tokens.ranges, heads, RelationForm::Kl)
}
