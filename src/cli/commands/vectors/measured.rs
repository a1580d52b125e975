//! What is known of each table, in one table.

use serde::Serialize;

use super::QuestionFlags;
use crate::Result;
use crate::cli::out::{json, say};
use crate::cli::table::Table;
use crate::report::{bytes, count, printable};
use crate::vectors::WordVectors;
use crate::vectors::measure::{
    Analogies, NeighbourOptions, SimilarityOptions, WordPairs, neighbours_kept, similarity_error, spearman,
};

/// What tables are asked, read.
pub(in crate::cli::commands) struct Questions {
    pairs: Vec<WordPairs>,
    analogies: Vec<Analogies>,
    seed: u64,
    json: bool,
}

impl Questions {
    pub(super) fn read(flags: &QuestionFlags) -> Result<Self> {
        let pairs = flags.pairs.iter().map(WordPairs::read).collect::<Result<_>>()?;
        let analogies = flags.analogies.iter().map(Analogies::read).collect::<Result<_>>()?;
        Ok(Self { pairs, analogies, seed: flags.seed, json: flags.json })
    }

    /// None but what a smaller table keeps of the original.
    pub(in crate::cli::commands) fn of_neighbours() -> Self {
        Self { pairs: Vec::new(), analogies: Vec::new(), seed: 0, json: false }
    }

    /// Asks a table. Where it is a smaller one, also what it keeps of `original`.
    pub(in crate::cli::commands) fn ask(
        &self,
        name: String,
        bytes: u64,
        original: &WordVectors,
        small: Option<&WordVectors>,
    ) -> Result<Measured> {
        let vectors = small.unwrap_or(original);
        let [mut kept, mut error] = [None; 2];
        // A word alone has no neighbours.
        let shared =
            |small: &WordVectors| original.words().iter().filter(|word| small.find(word).is_some()).nth(1);
        if let Some(small) = small.filter(|small| shared(small).is_some()) {
            let neighbours = NeighbourOptions { seed: self.seed, ..Default::default() };
            kept = Some(neighbours_kept(original, small, &neighbours)?.share);
            let similarities = SimilarityOptions { seed: self.seed, ..Default::default() };
            error = Some(similarity_error(original, small, &similarities)?.error);
        }
        let pairs = self.pairs.iter().map(|pairs| {
            let found = spearman(vectors, pairs);
            let found = found.map(|found| (found.rho, found.found));
            Asked { of: pairs.name().to_string(), value: found.map(|f| f.0), known: found.map_or(0, |f| f.1) }
        });
        let analogies = self.analogies.iter().map(|analogies| {
            let whole = analogies.answer(vectors).whole;
            Asked { of: analogies.name().to_string(), value: whole.share(), known: whole.asked }
        });
        Ok(Measured {
            table: name,
            words: vectors.len(),
            width: vectors.width(),
            bytes,
            kept,
            error,
            questions: pairs.chain(analogies).collect(),
            seconds: None,
        })
    }

    /// Prints the table, or JSON.
    pub(in crate::cli::commands) fn print(&self, rows: &[Measured]) -> Result<()> {
        if self.json {
            return json(&rows);
        }
        let timed = rows.iter().any(|row| row.seconds.is_some());
        let Some(first) = rows.first() else { return Ok(()) };
        let mut columns: Vec<String> =
            ["table", ">words", ">width", ">bytes", ">kept", ">error"].map(String::from).into();
        columns.extend(first.questions.iter().map(|asked| format!(">{}", asked.of)));
        columns.extend(timed.then(|| ">seconds".to_string()));
        let mut table = Table::new(&columns.iter().map(String::as_str).collect::<Vec<_>>());
        let number = |value: Option<f64>| value.map_or("-".to_string(), |value| format!("{value:.3}"));
        for row in rows {
            let mut cells = vec![
                row.table.clone(),
                count(row.words as u64),
                row.width.to_string(),
                bytes(row.bytes),
                number(row.kept),
                number(row.error),
            ];
            cells.extend(row.questions.iter().map(|asked| number(asked.value)));
            cells.extend(timed.then(|| row.seconds.map_or("-".to_string(), |s| format!("{s:.1}"))));
            table.row(cells);
        }
        say!("{table}")?;
        say!(
            "kept: the share of a word's ten nearest that are still among its ten nearest; error: root mean square of what cosines"
        )?;
        say!("differ by; bytes: of the numbers, without the words.")?;
        for (at, asked) in first.questions.iter().enumerate() {
            let known = |row: &Measured| row.questions.get(at).map_or(0, |asked| asked.known);
            let fewer: Vec<String> = rows
                .iter()
                .filter(|row| known(row) != asked.known)
                .map(|row| format!(", {} of {}", known(row), printable(&row.table)))
                .collect();
            say!("{}: {} questions that can be asked{}", printable(&asked.of), asked.known, fewer.concat())?;
        }
        Ok(())
    }
}

/// What was measured of a table.
#[derive(Debug, Serialize)]
pub(in crate::cli::commands) struct Measured {
    table: String,
    words: usize,
    width: usize,
    /// Of the numbers.
    bytes: u64,
    /// Share of neighbours.
    kept: Option<f64>,
    /// Root mean square of the differences of cosines.
    error: Option<f64>,
    questions: Vec<Asked>,
    /// What it took to make.
    pub(in crate::cli::commands) seconds: Option<f64>,
}

/// What came of a file of questions: Spearman's correlation, or the share of right answers.
#[derive(Debug, Serialize)]
struct Asked {
    of: String,
    value: Option<f64>,
    /// Questions of which all words are known.
    known: usize,
}
