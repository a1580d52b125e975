//! Texts in memory, with what is known of them.

use crate::{Error, Result};

/// Texts, one or two a sample, with a class or a score of each where that is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Texts {
    name: String,
    firsts: Vec<String>,
    seconds: Option<Vec<String>>,
    labels: Option<Vec<u32>>,
    class_names: Vec<String>,
    scores: Option<Vec<f32>>,
}

impl Texts {
    /// A text a sample; `name` is for people.
    pub fn new(name: impl Into<String>, texts: Vec<String>) -> Self {
        Self { name: name.into(), firsts: texts, ..Self::default() }
    }

    /// With a second text of each sample.
    ///
    /// # Errors
    /// [`Error::Config`] for another number of them than of first texts.
    pub fn with_seconds(self, texts: Vec<String>) -> Result<Self> {
        self.as_many("second texts", texts.len())?;
        Ok(Self { seconds: Some(texts), ..self })
    }

    /// With the class of each sample, below the number of names.
    ///
    /// # Errors
    /// [`Error::Config`] for another number of labels than of texts, and a label that has no name.
    pub fn with_labels(self, labels: Vec<u32>, class_names: Vec<String>) -> Result<Self> {
        self.as_many("labels", labels.len())?;
        named(&self.name, &labels, &class_names)?;
        Ok(Self { labels: Some(labels), class_names, ..self })
    }

    /// With the score of each sample.
    ///
    /// # Errors
    /// [`Error::Config`] for another number of scores than of texts, and one that is not finite.
    pub fn with_scores(self, scores: Vec<f32>) -> Result<Self> {
        self.as_many("scores", scores.len())?;
        finite(&self.name, &scores)?;
        Ok(Self { scores: Some(scores), ..self })
    }

    fn as_many(&self, what: &str, got: usize) -> Result<()> {
        as_many(&self.name, self.len(), what, got)
    }

    /// What people call them: of a file, its name without the ending.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Samples, N.
    pub fn len(&self) -> usize {
        self.firsts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.firsts.is_empty()
    }

    /// (N): the text of each sample, the first of two.
    pub fn firsts(&self) -> &[String] {
        &self.firsts
    }

    /// (N): the second text of each sample, where there are two.
    pub fn seconds(&self) -> Option<&[String]> {
        self.seconds.as_deref()
    }

    /// (N): class numbers, where there are classes.
    pub fn labels(&self) -> Option<&[u32]> {
        self.labels.as_deref()
    }

    /// Name of each class; none without labels.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// (N): scores, where there are some.
    pub fn scores(&self) -> Option<&[f32]> {
        self.scores.as_deref()
    }

    /// Texts, first and second ones, that hold nothing but blanks.
    pub fn empty_texts(&self) -> usize {
        let all = self.firsts.iter().chain(self.seconds.iter().flatten());
        all.filter(|text| text.trim().is_empty()).count()
    }

    /// Pairs as two samples each, 2 i and 2 i + 1, which both have the pair's label and score. Where there is one text a sample, all
    /// as it is.
    pub fn one_by_one(&self) -> Texts {
        let Some(seconds) = &self.seconds else { return self.clone() };
        let pairs = self.firsts.iter().zip(seconds);
        Texts {
            name: self.name.clone(),
            firsts: pairs.flat_map(|(first, second)| [first.clone(), second.clone()]).collect(),
            seconds: None,
            labels: self.labels.as_ref().map(|labels| labels.iter().flat_map(|&label| [label; 2]).collect()),
            class_names: self.class_names.clone(),
            scores: self.scores.as_ref().map(|scores| scores.iter().flat_map(|&score| [score; 2]).collect()),
        }
    }

    /// The first and the second texts, each as texts of their own without labels and scores: what two sides of pairs are embedded
    /// as. `None` where there is one text a sample.
    pub fn sides(&self) -> Option<[Texts; 2]> {
        let seconds = self.seconds.as_ref()?;
        Some([&self.firsts, seconds].map(|side| Texts::new(&*self.name, side.clone())))
    }
}

/// Refuses another number of things than of samples.
pub(super) fn as_many(name: &str, samples: usize, what: &str, got: usize) -> Result<()> {
    match got == samples {
        true => Ok(()),
        false => {
            let message = format!("expected as many {what} as texts, {samples}, got {got}");
            Err(Error::config(format!("texts {name}"), message))
        }
    }
}

/// Refuses labels without a name.
pub(super) fn named(name: &str, labels: &[u32], class_names: &[String]) -> Result<()> {
    match labels.iter().position(|&label| label as usize >= class_names.len()) {
        None => Ok(()),
        Some(at) => {
            let message =
                format!("sample {at} has label {}, but there are {} classes", labels[at], class_names.len());
            Err(Error::config(format!("texts {name}"), message))
        }
    }
}

/// Refuses scores that are not finite.
pub(super) fn finite(name: &str, scores: &[f32]) -> Result<()> {
    match scores.iter().position(|score| !score.is_finite()) {
        None => Ok(()),
        Some(at) => {
            let message = format!("sample {at} has the score {}; expected finite numbers", scores[at]);
            Err(Error::config(format!("texts {name}"), message))
        }
    }
}
