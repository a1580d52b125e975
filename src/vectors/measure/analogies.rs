//! Questions "a is to b as c is to what", and how many a table answers.

use std::io::BufReader;
use std::path::Path;

use super::super::WordVectors;
use super::super::lines::{Lines, shown};
use super::look_up;
use super::pairs::stem;
use super::scan::{Query, best_rows};
use crate::files::open_as;
use crate::{Error, Result};

/// A set of questions in sections, as Google's `questions-words.txt` is.
#[derive(Debug, Clone, PartialEq)]
pub struct Analogies {
    name: String,
    sections: Vec<(String, Vec<[String; 4]>)>,
}

/// How many questions were answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Answered {
    /// Questions whose four words are in the table and whose last word is the nearest.
    pub right: usize,
    /// Questions whose four words are in the table.
    pub asked: usize,
    /// Questions with a word that is not in the table: these are not asked.
    pub unknown: usize,
}

impl Answered {
    /// The share of right answers among what was asked; none where nothing was.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        (self.asked > 0).then(|| self.right as f64 / self.asked as f64)
    }

    fn add(&mut self, other: Answered) {
        self.right += other.right;
        self.asked += other.asked;
        self.unknown += other.unknown;
    }
}

/// What came of a set of questions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    /// All questions.
    pub whole: Answered,
    /// Those of each section, in the order of the file.
    pub sections: Vec<(String, Answered)>,
}

/// What messages call such a file.
const WHAT: &str = "a file of analogies";

impl Analogies {
    /// Reads a text of lines `a b c d`, separated by spaces or tabs, in sections that begin with a line `: name`. Questions
    /// before the first section are in one that is called as the file. Empty lines are passed over.
    ///
    /// # Errors
    /// [`Error::File`] for a file that can't be read or has no questions, and for a line of another number of words,
    /// which it names.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let mut lines = Lines::new(path, BufReader::new(open_as(path, WHAT)?.0));
        let name = stem(path);
        let mut sections: Vec<(String, Vec<[String; 4]>)> = Vec::new();
        while let Some((number, line)) = lines.next()? {
            if let Some(section) = line.strip_prefix(':') {
                sections.push((section.trim().to_string(), Vec::new()));
                continue;
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            match *words.as_slice() {
                [] => {}
                [a, b, c, d] => {
                    if sections.is_empty() {
                        sections.push((name.clone(), Vec::new()));
                    }
                    if let Some((_, questions)) = sections.last_mut() {
                        questions.push([a, b, c, d].map(str::to_string));
                    }
                }
                _ => {
                    let message = format!(
                        "line {number}: expected four words, or `: section`, found {} words, the first {}; mend the line",
                        words.len(),
                        shown(words.first().copied().unwrap_or_default())
                    );
                    return Err(Error::file(path, message));
                }
            }
        }
        if sections.iter().all(|(_, questions)| questions.is_empty()) {
            return Err(Error::file(path, "expected lines of four words, found none; get the file again"));
        }
        Ok(Self { name, sections })
    }

    /// What the set is called: its file's name without the extension.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of questions.
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // A file without questions is refused.
    pub fn len(&self) -> usize {
        self.sections.iter().map(|(_, questions)| questions.len()).sum()
    }

    /// Asks a table (3CosAdd, Mikolov et al. 2013): a question is answered where, of all words but a, b and c, d has the
    /// largest cosine with b - a + c over rows of length 1; of equal ones the lower row counts.
    ///
    /// A question is compared with every row, V * D multiplications: ask a table of the most frequent words
    /// ([`WordVectors::first`]) where that is too many. Google's own program takes the first 30,000.
    #[must_use]
    pub fn answer(&self, vectors: &WordVectors) -> Answers {
        let (unit, width) = (vectors.unit(), vectors.width());
        let mut answers = Answers { whole: Answered::default(), sections: Vec::new() };
        for (name, questions) in &self.sections {
            let known: Vec<[usize; 4]> = questions.iter().filter_map(|words| rows(vectors, words)).collect();
            let queries: Vec<Query> = known.iter().map(|rows| query(&unit, width, *rows)).collect();
            let found = best_rows(&unit, width, &queries, 1);
            let right = known.iter().zip(found).filter(|([.., d], best)| best.first() == Some(d)).count();
            let answered = Answered { right, asked: known.len(), unknown: questions.len() - known.len() };
            answers.whole.add(answered);
            answers.sections.push((name.clone(), answered));
        }
        answers
    }
}

/// The rows of a question's words.
fn rows(vectors: &WordVectors, words: &[String; 4]) -> Option<[usize; 4]> {
    let [a, b, c, d] = words;
    Some([look_up(vectors, a)?, look_up(vectors, b)?, look_up(vectors, c)?, look_up(vectors, d)?])
}

fn query(unit: &[f32], width: usize, [a, b, c, _]: [usize; 4]) -> Query {
    let row = |at: usize| unit.chunks_exact(width).nth(at).unwrap_or_default();
    let vector = row(a).iter().zip(row(b)).zip(row(c)).map(|((a, b), c)| b - a + c).collect();
    Query { vector, except: vec![a, b, c] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::scratch::Scratch;

    fn read(text: impl AsRef<[u8]>) -> Result<Analogies> {
        Analogies::read(Scratch::new().write("questions.txt", text))
    }

    #[test]
    fn answers_are_counted_by_section() {
        // Along the axes: royal, male, female, and one that is nearest to all of them.
        let words = ["king", "man", "woman", "queen", "duke", "zero"].into_iter().collect();
        let values = [
            [1.0, 1.0, 0.0],
            [0.0, 1.0, 0.0],
            [0.0, 0.0, 2.0],
            [3.0, 0.0, 3.0],
            [1.0, 1.1, 0.0],
            [0.0, 0.0, 0.0],
        ];
        let vectors = WordVectors::new(words, 3, values.concat()).unwrap();
        let text = "man king Woman queen\r\n: b c \nman\tKING woman  duke\nman king x queen\n\n: none\n";
        let questions = read(text).unwrap();
        assert_eq!((questions.name(), questions.len()), ("questions", 3));
        let answers = questions.answer(&vectors);
        let answered = |right, asked, unknown| Answered { right, asked, unknown };
        assert_eq!(answers.whole, answered(1, 2, 1));
        let sections = [("questions", (1, 1, 0)), ("b c", (0, 1, 1)), ("none", (0, 0, 0))];
        let sections = sections.map(|(name, (r, a, u))| (name.to_string(), answered(r, a, u)));
        assert_eq!(answers.sections, sections);
        assert_eq!((answers.whole.share(), answers.sections[2].1.share()), (Some(0.5), None));
    }

    #[test]
    fn what_is_no_question_is_named_by_its_line() {
        for (text, words) in [
            (
                "a b c d\na b c\n",
                "line 2: expected four words, or `: section`, found 3 words, the first \"a\"",
            ),
            ("a b c d e\n", "line 1: expected four words, or `: section`, found 5"),
            (": a\n: b\n", "found none"),
        ] {
            let message = read(text).unwrap_err().to_string();
            assert!(message.contains("questions.txt: ") && message.contains(words), "{message}");
        }
        assert!(read(b": a\nb \xff\n").unwrap_err().to_string().contains("line 2: expected UTF-8"));
    }
}
