//! How a file of texts is to be read.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::Error;

/// What a file of texts looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextFormat {
    /// A text a line; an empty line is an empty text.
    Lines,
    /// A table with commas between columns, and quotes around what holds commas, quotes or line ends (RFC 4180).
    Csv,
    /// A table with tabs between columns. Quotes are text.
    Tsv,
    /// An object a line, whose keys are columns.
    JsonLines,
    /// Questions of the TREC collection, `COARSE:fine question`: columns 0 and 1 are the classes, column 2 is the text. Where it
    /// is no UTF-8 it is read as Latin-1.
    Trec,
}

impl TextFormat {
    /// Every format.
    pub const ALL: [TextFormat; 5] = [Self::Lines, Self::Csv, Self::Tsv, Self::JsonLines, Self::Trec];

    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lines => "lines",
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::JsonLines => "jsonl",
            Self::Trec => "trec",
        }
    }

    /// What a file of this name and with this first line is taken for: `.tsv`, `.csv`, `.jsonl`, `.ndjson` and `.json` say it;
    /// a `.csv` whose first line has tabs, and more of them than commas, is a table of tabs. All else is lines.
    pub fn of(path: &Path, first_line: &str) -> Self {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        let count = |c: char| first_line.matches(c).count();
        match ending.as_deref() {
            Some("tsv") => Self::Tsv,
            Some("csv") if count('\t') > count(',') => Self::Tsv,
            Some("csv") => Self::Csv,
            Some("jsonl" | "ndjson" | "json") => Self::JsonLines,
            _ => Self::Lines,
        }
    }
}

impl fmt::Display for TextFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for TextFormat {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|format| format.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(TextFormat::name).join(", ");
            Error::config("format", format!("expected one of {names}, got {name}"))
        })
    }
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    /// By what stands in the first line, or by the key.
    Name(String),
    /// By its place, from 0.
    Number(usize),
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Column::Name(name) => write!(f, "\"{name}\""),
            Column::Number(number) => write!(f, "{number}"),
        }
    }
}

impl From<usize> for Column {
    fn from(number: usize) -> Self {
        Column::Number(number)
    }
}

/// Digits are a place, all else is a name.
impl From<&str> for Column {
    fn from(text: &str) -> Self {
        text.parse().map_or_else(|_| Column::Name(text.to_string()), Column::Number)
    }
}

/// Which parts of a file are read, and as what.
///
/// Where a column is not named, the first that is called `text`, `sentence` or `sentence1` is the text, `sentence2` the second
/// one, `label` the class and `score` the score. In tables without a header column 0 is the text, and, where there are two,
/// column 1 is the class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextOptions {
    /// What the file looks like. Absent: [`TextFormat::of`].
    pub format: Option<TextFormat>,
    /// Whether the first line of a table names its columns. Absent: it does where a column is asked for by name, or one of the
    /// names above stands in it.
    pub header: Option<bool>,
    /// The text.
    pub text: Option<Column>,
    /// A second text of each sample.
    pub second: Option<Column>,
    /// The class, by name or number.
    pub label: Option<Column>,
    /// The score, a number.
    pub score: Option<Column>,
    /// The classes in their order, such as those of the training data. A label is one of these names, or a number below theirs.
    /// Absent: the labels that occur, by number where all are whole numbers, by name otherwise.
    pub classes: Option<Vec<String>>,
    /// Where the file is no UTF-8 it is read as Latin-1.
    pub latin1: bool,
    /// Reads no more samples than this.
    pub limit: Option<usize>,
}
