//! TinyBERT's layers (Jiao et al. 1909.10351): for each pair of layers the mean of (a_s - a_t)^2 over heads and all pairs of a
//! text's tokens, with scores a = q k^T / sqrt(d) before any softmax, and the mean over tokens and numbers of (W h_s - h_t)^2;
//! and the latter for what the first layers read. One W for all layers, with a bias as in the authors' code, also where widths
//! are equal. Means are over the tokens of the whole batch; fillers are in none.
//!
//! Each layer of the student is paired with that of the teacher as far along. The numbers of heads must be equal, or be made so
//! by `heads`, which groups the numbers of both networks' heads anew.
//!
//! The paper trains by this alone, and then by soft targets alone:
//! `tinybert,until=0.6+kd:1,temperature=1,from=0.6+ce:0`. It multiplies the training set by 20 with changed texts before,
//! without which its figures are not reached.

use crate::distill::regressor::Regressor;
use crate::distill::tokens::{EMBEDDINGS, KEY, QUERY, Tokens, heads, sum_over_layers, within};
use crate::distill::{
    Family, Knowledge, Loss, Method, MethodContext, MethodSpec, Need, Setting, TapNeed, sum_of,
};
use crate::nn::{Forward, ParamBuilder};
use crate::ops::relation::RelationForm;
use crate::tape::Tensor;
use crate::{Error, Result};

/// The list entry.
pub const SPEC: MethodSpec = MethodSpec {
    name: "tinybert",
    family: Family::Feature,
    knowledge: Knowledge::Feature,
    about: "scores of attention and states of all layers, by one learned projection; texts",
    formula: "sum over layers of attention * mean (a_s - a_t)^2 + hidden * mean (W h_s - h_t)^2, and the latter for \
              embeddings; a = q k^T / sqrt(d)",
    paper: "Jiao et al. 1909.10351",
    settings: &[
        Setting::from_zero("attention", 1.0, "weight of attention's scores"),
        Setting::from_zero("hidden", 1.0, "weight of the states"),
        Setting::choice("embeddings", &["on", "off"], "whether what the first layers read is compared"),
        Setting::count("heads", 0, [0, 1024], "into which both networks' attention is grouped; 0: as it is"),
    ],
    taps: TapNeed::Layers,
    reads: &[Need::Taps, Need::Tokens],
    weight: 1.0,
    ce_weight: 1.0,
    build: |values| {
        let [attention, hidden] = values.numbers(["attention", "hidden"])?;
        if attention == 0.0 && hidden == 0.0 {
            let message = "attention and hidden are both 0; give one of them a weight";
            return Err(Error::config("tinybert", message));
        }
        let embeddings = values.choice("embeddings")? == "on";
        Ok(Box::new(TinyBert { attention, hidden, embeddings, heads: values.count("heads")? }))
    },
};

#[derive(Debug, Clone, Copy)]
struct TinyBert {
    attention: f32,
    hidden: f32,
    embeddings: bool,
    heads: usize,
}

struct Layers {
    method: TinyBert,
    heads: usize,
    projection: Option<Regressor>,
}

impl TinyBert {
    /// The pairs of states, (teacher's, student's), with their taps' names.
    fn states(&self, seen: &MethodContext<'_>) -> Vec<(String, String)> {
        let embeddings = (EMBEDDINGS.to_string(), EMBEDDINGS.to_string());
        let first = (self.embeddings && !seen.taps.contains(&embeddings)).then_some(embeddings);
        first.into_iter().chain(seen.taps.iter().cloned()).collect()
    }
}

impl Method for TinyBert {
    fn prepare(&self, seen: &MethodContext<'_>, mut at: ParamBuilder<'_>) -> Result<Box<dyn Loss>> {
        let tokens = Tokens::of("tinybert", seen)?;
        let heads = if self.attention > 0.0 { heads("tinybert", self.heads, seen)? } else { 0 };
        let mut projection = None;
        if self.hidden > 0.0 {
            let mut widths = None;
            for (hint, guided) in self.states(seen) {
                let (teacher, student) = (seen.teacher.tap(&hint)?, seen.student.tap(&guided)?);
                tokens.expect_rows("tinybert", &hint, &teacher)?;
                tokens.expect_rows("tinybert", &guided, &student)?;
                let both = (student.dims()[1], teacher.dims()[1]);
                if *widths.get_or_insert(both) != both {
                    let expected = "layers of one width in each network, as one projection serves all";
                    let got = format!("{hint} {} and {guided} {}", teacher.shape(), student.shape());
                    return Err(Error::shape("tinybert", expected, got));
                }
                let at = at.sub("projection");
                projection.get_or_insert_with(|| Regressor::new(at, &student, both.0, both.1, true));
            }
        }
        Ok(Box::new(Layers { method: *self, heads, projection }))
    }
}

impl Loss for Layers {
    fn record(&self, seen: &MethodContext<'_>, own: &Forward<'_>) -> Result<Tensor> {
        let tokens = Tokens::of("tinybert", seen)?;
        let mut terms = Vec::new();
        if self.method.attention > 0.0 {
            let scores = sum_over_layers(seen, |pair| {
                let ((q_t, q_s), (k_t, k_s)) = (within(seen, pair, QUERY)?, within(seen, pair, KEY)?);
                let (ranges, form) = (&tokens.ranges, RelationForm::Mse);
                q_s.relation_loss(&k_s, &q_t, &k_t, ranges, self.heads, form)
            })?;
            terms.push(scores.scale(self.method.attention)?);
        }
        if let Some(projection) = &self.projection {
            let states = self.method.states(seen);
            let each = states.iter().map(|(hint, guided)| {
                let (teacher, student) = (seen.teacher.tap(hint)?, seen.student.tap(guided)?);
                let apart = projection.forward(own, &student)?.sub(&teacher)?.square()?;
                tokens.mean(&apart.mean(&[1], true)?)
            });
            terms.push(sum_of(each)?.scale(self.method.hidden)?);
        }
        sum_of(terms.into_iter().map(Ok))
    }
}
