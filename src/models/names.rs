//! Names of tensors in a file, mapped to the names of a network: a TOML table of `from = "to"`.
//!
//! ```toml
//! "backbone.*" = "*"                        # drops a prefix
//! "stages.*.block.*" = "layer*.*"           # a star takes any text, and gives it back in order
//! "aux_head.*" = ""                         # leaves these tensors out
//! ```
//!
//! A name that no line fits stays as it is. Of several lines that fit, the one with the most letters besides stars
//! counts, so the order in the file does not matter.

use std::collections::BTreeMap;
use std::path::Path;

use crate::files::{NamedTensor, read_text};
use crate::{Error, Result};

/// Rules that rename tensors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameMap {
    /// Pattern and what takes its place, the most specific first.
    rules: Vec<(String, String)>,
}

impl NameMap {
    /// Reads a TOML file.
    ///
    /// # Errors
    /// [`Error::File`] for a file that is no flat table of texts, or whose right side has more stars than its left.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let table: BTreeMap<String, String> = toml::from_str(&read_text(path)?)
            .map_err(|e| Error::file(path, format!("expected lines of \"from.*\" = \"to.*\": {e}")))?;
        Self::new(table).map_err(|message| Error::file(path, message))
    }

    fn new(table: BTreeMap<String, String>) -> Result<Self, String> {
        let stars = |text: &str| text.matches('*').count();
        if let Some((from, to)) = table.iter().find(|(from, to)| stars(to) > stars(from)) {
            return Err(format!(
                "\"{from}\" = \"{to}\": expected at most as many stars on the right as on the left"
            ));
        }
        let mut rules: Vec<(String, String)> = table.into_iter().collect();
        rules.sort_by_key(|(from, _)| std::cmp::Reverse(from.len() - stars(from)));
        Ok(Self { rules })
    }

    /// Renames `tensors`, and leaves out those that are mapped to nothing.
    pub fn apply(&self, tensors: &mut Vec<NamedTensor>) {
        for tensor in tensors.iter_mut() {
            tensor.name = self.rename(&tensor.name);
        }
        tensors.retain(|tensor| !tensor.name.is_empty());
    }

    fn rename(&self, name: &str) -> String {
        let fit = self.rules.iter().find_map(|(from, to)| Some((captures(from, name)?, to)));
        let Some((captured, to)) = fit else { return name.to_string() };
        let mut captured = captured.into_iter();
        let mut parts = to.split('*');
        let mut out = parts.next().unwrap_or("").to_string();
        for part in parts {
            out.push_str(captured.next().unwrap_or(""));
            out.push_str(part);
        }
        out
    }
}

/// What the stars of `pattern` stand for in `name`, each as short as it can be; `None` where it does not fit.
fn captures<'a>(pattern: &str, name: &'a str) -> Option<Vec<&'a str>> {
    let mut parts = pattern.split('*');
    let mut rest = name.strip_prefix(parts.next()?)?;
    let mut parts = parts.peekable();
    let mut found = Vec::new();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            found.push(rest.strip_suffix(part)?);
            return Some(found);
        }
        let at = rest.find(part)?;
        found.push(&rest[..at]);
        rest = &rest[at + part.len()..];
    }
    rest.is_empty().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(&str, &str)]) -> Result<NameMap, String> {
        NameMap::new(lines.iter().map(|(from, to)| (from.to_string(), to.to_string())).collect())
    }

    #[test]
    fn stars_take_text_and_give_it_back() {
        let map = map(&[("backbone.*", "*"), ("stages.*.b.*", "layer*.*"), ("head.*", ""), ("*", "net.*")])
            .unwrap();
        for (from, to) in [
            ("backbone.conv1.weight", "conv1.weight"),
            ("stages.2.b.conv.weight", "layer2.conv.weight"),
            ("head.bias", ""),
            ("fc.weight", "net.fc.weight"),
        ] {
            assert_eq!(map.rename(from), to);
        }
    }

    #[test]
    fn without_a_star_the_whole_name_must_fit() {
        let map = map(&[("fc.weight", "linear.weight"), ("a*b*c", "*-*")]).unwrap();
        assert_eq!(map.rename("fc.weight"), "linear.weight");
        assert_eq!(map.rename("fc.weight_g"), "fc.weight_g");
        assert_eq!(map.rename("axbyc"), "x-y");
        assert_eq!(map.rename("axc"), "axc");
    }

    #[test]
    fn more_stars_on_the_right_are_refused() {
        assert!(map(&[("a.*", "*.*")]).unwrap_err().contains("a.*"));
    }
}
