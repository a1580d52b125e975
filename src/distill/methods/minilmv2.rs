//! MiniLMv2 (Wang et al. 2012.15828): how queries go together with queries, keys with keys and values with values, in heads of
//! no network: the numbers of all heads, one behind the other, are grouped into `relations` ones, so that the networks' own
//! may differ, and widths and depths, too. For each text and head KL(softmax(q_t q_t^T / sqrt(d_t)) || softmax(q_s q_s^T /
//! sqrt(d_s))), d the width of a group; means over rows, heads and texts, summed over the three, where the paper takes a third of
//! each.
//!
//! The paper has 48 groups for teachers 768 wide, 64 for larger ones. Where nobody says otherwise it is the largest number up
//! to 48 that divides both widths and leaves 8 numbers a group. The last layers are compared; of large teachers the paper takes
//! the third last one, which a pair of taps says: `encoder.layer.20:encoder.layer.5`.

use super::minilm::{Regrouped, Relations};
use crate::distill::tokens::{KEY, QUERY, VALUE};
use crate::distill::{Family, Knowledge, MethodSpec, Need, Setting, TapNeed};

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "minilmv2",
    family: Family::Feature,
    knowledge: Knowledge::Relation,
    about: "relations of the last layer's queries, keys, values, in regrouped heads; any widths",
    formula: "sum over x of q, k, v of KL(att(x_t) || att(x_s)), means over rows, groups and texts; att(x) = softmax(x x^T / \
              sqrt(d))",
    paper: "Wang et al. 2012.15828",
    settings: &[Setting::count(
        "relations",
        0,
        [0, 1024],
        "groups, which divide both widths; 0: the most up to 48 of 8 numbers at least",
    )],
    taps: TapNeed::Last,
    reads: &[Need::Taps, Need::Tokens],
    weight: 1.0,
    ce_weight: 1.0,
    build: |values| {
        Ok(Box::new(Relations {
            method: "minilmv2",
            relations: &[(QUERY, QUERY), (KEY, KEY), (VALUE, VALUE)],
            heads: values.count("relations")?,
            most: Some(Regrouped { heads: 48, width: 8 }),
        }))
    },
};
