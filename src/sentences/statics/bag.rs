//! The matrix of sentences' means, and its transpose, as lists of numbers.

use crate::platform::parallel::{Cost, in_parallel};
use crate::sentences::Sentences;

/// Sentences that a core takes at once.
const SHARE: usize = 256;

/// Sentences that have tokens, and the tokens that are in a sentence, both renumbered from 0.
pub(super) struct Bag {
    /// Numbers of the sentences, and of the tokens, as the caller counts.
    sentences: Vec<usize>,
    tokens: Vec<u32>,
    /// Tokens of each sentence.
    of_sentences: Lists,
    /// Sentences of each token, once for each place.
    of_tokens: Lists,
    /// 1 / tokens of a sentence.
    shares: Vec<f64>,
}

/// Lists of numbers, the one behind the other.
#[derive(Default)]
struct Lists {
    numbers: Vec<u32>,
    ends: Vec<usize>,
}

impl Lists {
    fn iter(&self) -> impl Iterator<Item = &[u32]> {
        let firsts = std::iter::once(0).chain(self.ends.iter().copied());
        firsts.zip(&self.ends).map(|(first, end)| &self.numbers[first..*end])
    }
}

impl Bag {
    /// `counts`: how often each token is in the sentences.
    pub(super) fn new(sentences: &Sentences, counts: &[u64]) -> Self {
        let tokens: Vec<u32> = (0u32..).zip(counts).filter(|(_, n)| **n > 0).map(|(id, _)| id).collect();
        let mut numbers = vec![0u32; counts.len()];
        (0u32..).zip(&tokens).for_each(|(number, id)| numbers[*id as usize] = number);
        let (mut of_sentences, mut shares, mut seen) = (Lists::default(), Vec::new(), Vec::new());
        for (at, ids) in sentences.iter().enumerate().filter(|(_, ids)| !ids.is_empty()) {
            of_sentences.numbers.extend(ids.iter().map(|id| numbers[*id as usize]));
            of_sentences.ends.push(of_sentences.numbers.len());
            shares.push(1.0 / ids.len() as f64);
            seen.push(at);
        }
        let mut places: Vec<usize> = Vec::with_capacity(tokens.len());
        let mut first = 0;
        for id in &tokens {
            places.push(first);
            first += counts[*id as usize] as usize;
        }
        let mut of_tokens = Lists { numbers: vec![0; first], ends: Vec::new() };
        for (sentence, tokens) in (0u32..).zip(of_sentences.iter()) {
            for token in tokens {
                let place = &mut places[*token as usize];
                of_tokens.numbers[*place] = sentence;
                *place += 1;
            }
        }
        of_tokens.ends = places;
        Self { sentences: seen, tokens, of_sentences, of_tokens, shares }
    }

    /// Sentences that have tokens.
    pub(super) fn len(&self) -> usize {
        self.sentences.len()
    }

    /// Which ones of all sentences these are.
    pub(super) fn sentences(&self) -> &[usize] {
        &self.sentences
    }

    /// Tokens that are in a sentence.
    pub(super) fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// A x: means (sentences, columns) of rows (tokens of the bag, columns).
    pub(super) fn mean_of(&self, columns: usize, rows: &[f64], means: &mut [f64]) {
        let of = means.chunks_exact_mut(columns).zip(self.of_sentences.iter()).zip(&self.shares);
        for ((mean, tokens), share) in of {
            mean.fill(0.0);
            for token in tokens {
                let first = *token as usize * columns;
                mean.iter_mut().zip(&rows[first..first + columns]).for_each(|(sum, v)| *sum += v);
            }
            mean.iter_mut().for_each(|sum| *sum *= share);
        }
    }

    /// A^T y: sums (tokens of the bag, columns) of what sentences (sentences, columns) give to each of their tokens.
    pub(super) fn spread(&self, columns: usize, means: &[f64], rows: &mut [f64]) {
        for (row, sentences) in rows.chunks_exact_mut(columns).zip(self.of_tokens.iter()) {
            row.fill(0.0);
            for sentence in sentences {
                let (first, share) = (*sentence as usize * columns, self.shares[*sentence as usize]);
                row.iter_mut().zip(&means[first..first + columns]).for_each(|(sum, v)| *sum += share * v);
            }
        }
    }

    /// Means (sentences, width) of rows (all tokens, width).
    pub(super) fn means(&self, width: usize, rows: &[f32]) -> Vec<f32> {
        let lists: Vec<(&[u32], f64)> = self.of_sentences.iter().zip(self.shares.iter().copied()).collect();
        let shares: Vec<&[(&[u32], f64)]> = lists.chunks(SHARE).collect();
        let means = in_parallel(Cost::Large, &shares, |share| {
            let (mut means, mut sums) = (Vec::with_capacity(share.len() * width), vec![0.0; width]);
            for (tokens, share) in *share {
                sums.fill(0.0);
                for token in *tokens {
                    let first = self.tokens[*token as usize] as usize * width;
                    sums.iter_mut()
                        .zip(&rows[first..first + width])
                        .for_each(|(sum, v)| *sum += f64::from(*v));
                }
                means.extend(sums.iter().map(|sum| (sum * share) as f32));
            }
            means
        });
        means.concat()
    }
}
