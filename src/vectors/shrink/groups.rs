//! Batches of words that have near words beside them.
//!
//! Of words drawn at random hardly any are near each other, and a batch of them says little of neighbours. A batch here is made
//! of groups, each a word drawn at random and its nearest ones. They are found when a batch is made, on the loader's
//! thread, so that a table of any size costs no more than the steps it is trained for.

use sha2::{Digest, Sha256};

use crate::Result;
use crate::data::{Field, Row, Source, View};
use crate::files::hex;
use crate::models::WORDS;
use crate::rng::Stream;
use crate::tasks::vectors::VECTORS;
use crate::vectors::WordVectors;
use crate::vectors::measure::{Query, best_rows};

/// Batches as a source, one a sample: the numbers of `batch` different words and their vectors at length 1.
pub(super) struct Groups {
    width: usize,
    /// (words, width).
    unit: Vec<f32>,
    settings: Grouping,
}

/// How words are put together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Grouping {
    /// How many batches there are.
    pub batches: usize,
    /// Words of a batch.
    pub batch: usize,
    /// Words of a group; 1 draws all at random.
    pub near: usize,
    /// Keys what is drawn.
    pub seed: u64,
}

impl Groups {
    /// Of all words of a table. A batch has all of them where there are fewer than it takes.
    pub(super) fn new(vectors: &WordVectors, settings: Grouping) -> Self {
        let batch = settings.batch.min(vectors.len());
        Self { width: vectors.width(), unit: vectors.unit(), settings: Grouping { batch, ..settings } }
    }

    fn words(&self) -> usize {
        self.unit.len() / self.width
    }

    fn row(&self, word: usize) -> &[f32] {
        self.unit.get(word * self.width..(word + 1) * self.width).unwrap_or_default()
    }

    /// Words in an order drawn at random, all of them before any comes again, from a place in it on.
    fn drawn(&self, place: usize) -> impl Iterator<Item = usize> {
        let (seed, words) = (self.settings.seed, self.words());
        let round = move |round: usize| Stream::new(seed, &format!("groups {round}")).permutation(words);
        (place / words..).flat_map(round).skip(place % words)
    }

    /// The words of a batch, all different.
    fn chosen(&self, at: usize) -> Vec<usize> {
        let Grouping { batch, near, .. } = self.settings;
        let groups = batch.div_ceil(near);
        let mut drawn = self.drawn(at * groups);
        let query = |word: usize| Query { vector: self.row(word).to_vec(), except: vec![word] };
        let queries: Vec<Query> = drawn.by_ref().take(groups).map(query).collect();
        // Some are in other groups already.
        let more = if near > 1 { 2 * near } else { 0 };
        let nearest = best_rows(&self.unit, self.width, &queries, more);
        let (mut chosen, mut seen) = (Vec::with_capacity(batch), vec![false; self.words()]);
        let mut add = |words: &mut dyn Iterator<Item = usize>, most: usize| {
            let before = chosen.len();
            while chosen.len() < batch.min(before + most) {
                let Some(word) = words.next() else { break };
                let known = seen.get_mut(word).is_none_or(|seen| std::mem::replace(seen, true));
                chosen.extend((!known).then_some(word));
            }
        };
        for (query, near_words) in queries.iter().zip(nearest) {
            add(&mut query.except.iter().copied().chain(near_words), near);
        }
        add(&mut drawn, batch);
        chosen
    }
}

impl Source for Groups {
    fn name(&self) -> &str {
        "word vectors"
    }

    fn len(&self) -> usize {
        self.settings.batches
    }

    fn fields(&self) -> Vec<Field> {
        let batch = self.settings.batch;
        let words = Field { shape: vec![batch], ..Field::label(WORDS) };
        vec![words, Field::f32(VECTORS, [batch, self.width])]
    }

    fn fill(&self, id: usize, _: View, row: &mut Row<'_>) -> Result<()> {
        let chosen = self.chosen(id);
        let numbers = row.i32(WORDS)?.iter_mut().zip(&chosen);
        numbers.for_each(|(to, word)| *to = *word as i32);
        let vectors = row.f32(VECTORS)?.chunks_exact_mut(self.width).zip(&chosen);
        vectors.for_each(|(to, word)| to.copy_from_slice(self.row(*word)));
        Ok(())
    }

    fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(format!("{:?}", self.settings));
        hash.update(bytemuck::cast_slice(&self.unit));
        hex(&hash.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words on a circle, so that the nearest of word n are n - 1 and n + 1.
    fn circle(words: usize) -> WordVectors {
        let names: Vec<String> = (0..words).map(|n| n.to_string()).collect();
        let angle = |i: usize| (i / 2) as f64 / words as f64 * std::f64::consts::TAU;
        let values = (0..2 * words).map(|i| if i % 2 == 0 { angle(i).cos() } else { angle(i).sin() } as f32);
        WordVectors::new(names.iter().map(String::as_str).collect(), 2, values.collect()).unwrap()
    }

    fn groups(words: usize, batch: usize, near: usize) -> Groups {
        Groups::new(&circle(words), Grouping { batches: 9, batch, near, seed: 4 })
    }

    #[test]
    fn a_group_is_a_word_and_its_nearest() {
        let all = groups(100, 12, 3);
        for at in 0..9 {
            let chosen = all.chosen(at);
            let mut sorted = chosen.clone();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!((chosen.len(), sorted.len()), (12, 12), "batch {at}: {chosen:?}");
            let apart = |a: usize, b: usize| (a.abs_diff(b)).min(100 - a.abs_diff(b));
            // Those in another group already are passed over: five words on at most.
            assert!(
                chosen.chunks(3).all(|group| group.iter().all(|w| apart(group[0], *w) <= 6)),
                "{chosen:?}"
            );
            assert_eq!(chosen, all.chosen(at));
        }
        assert_ne!(all.chosen(0), all.chosen(1));
        // All words are drawn before one comes again.
        let mut first: Vec<usize> = all.drawn(0).take(100).collect();
        assert_eq!(all.drawn(7).take(20).collect::<Vec<_>>(), first[7..27]);
        first.sort_unstable();
        assert_eq!(first, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn small_tables_and_words_at_random() {
        for (words, batch, near) in [(5, 9, 3), (5, 5, 32), (7, 4, 1), (1, 3, 2), (50, 20, 1)] {
            let mut chosen = groups(words, batch, near).chosen(3);
            assert_eq!(chosen.len(), batch.min(words));
            chosen.sort_unstable();
            chosen.dedup();
            assert_eq!(chosen.len(), batch.min(words));
        }
        assert_eq!(groups(50, 20, 1).chosen(1), groups(50, 20, 1).drawn(20).take(20).collect::<Vec<_>>());
        assert_ne!(groups(9, 4, 2).fingerprint(), groups(9, 4, 3).fingerprint());
    }
}
