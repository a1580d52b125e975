//! YAML as data sets are described in it: maps, lists and text, each with its line.

use saphyr_parser::{Event, Parser};

/// Nodes of one file; a list of classes has thousands at most.
const MOST_NODES: usize = 200_000;
/// Maps and lists in each other.
const DEEPEST: usize = 16;

/// A node and the line that it begins in, from 1.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub line: usize,
    pub value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

impl Node {
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    /// The value of a map's key.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(pairs) => {
                pairs.iter().find(|(name, _)| name.text() == Some(key)).map(|(_, node)| node)
            }
            Value::Text(_) | Value::List(_) => None,
        }
    }

    fn new(line: usize, value: Value) -> Self {
        Self { line, value }
    }
}

/// The first document of a file. Aliases are refused: no description needs one, and a short text of them can stand for a
/// very long one.
pub(super) fn parse(text: &str) -> Result<Node, String> {
    let mut open: Vec<(Node, Option<Node>)> = Vec::new();
    let mut nodes = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|e| format!("line {}: {}", e.marker().line(), e.info()))?;
        let line = span.start.line();
        nodes += 1;
        if nodes > MOST_NODES || open.len() > DEEPEST {
            return Err(format!(
                "line {line}: more, or more deeply nested, than a data set's description is"
            ));
        }
        let done = match event {
            Event::Scalar(text, ..) => Node::new(line, Value::Text(text.into_owned())),
            Event::SequenceStart(..) => {
                open.push((Node::new(line, Value::List(Vec::new())), None));
                continue;
            }
            Event::MappingStart(..) => {
                open.push((Node::new(line, Value::Map(Vec::new())), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some((node, _)) => node,
                None => return Err(format!("line {line}: a list ends that did not begin")),
            },
            Event::Alias(_) => {
                return Err(format!("line {line}: aliases (*name) are not read; write it out"));
            }
            Event::DocumentEnd | Event::StreamEnd => break,
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => continue,
        };
        match open.last_mut() {
            None => return Ok(done),
            Some((Node { value: Value::List(list), .. }, _)) => list.push(done),
            Some((Node { value: Value::Map(pairs), .. }, key)) => match key.take() {
                None => *key = Some(done),
                Some(key) => pairs.push((key, done)),
            },
            Some((Node { value: Value::Text(_), .. }, _)) => {}
        }
    }
    Err("expected keys and values, found nothing".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_and_lists_are_read_with_their_lines() {
        let text = "# comment\npath: ../x  # root\ntrain:\n  - a\n  - 'b c'\nnames: {0: one, 1: \"two\"}\nnc: 2\n\
                    download: |\n  some: code\n";
        let root = parse(text).unwrap();
        assert_eq!(root.get("path").unwrap().text(), Some("../x"));
        let train = root.get("train").unwrap();
        let Value::List(list) = &train.value else { panic!("{train:?}") };
        assert_eq!(list.iter().filter_map(Node::text).collect::<Vec<_>>(), ["a", "b c"]);
        assert_eq!((list[1].line, root.get("nc").unwrap().line), (5, 7));
        assert_eq!(root.get("names").unwrap().get("1").unwrap().text(), Some("two"));
        assert_eq!(root.get("download").unwrap().text(), Some("some: code\n"));
        assert!(root.get("val").is_none());
    }

    #[test]
    fn what_could_grow_is_refused() {
        assert!(parse("a: &x [1]\nb: [*x, *x]").unwrap_err().contains("line 2: aliases"));
        assert!(parse(&"[".repeat(100)).is_err());
        assert!(parse(&format!("{}{}", "[".repeat(40), "]".repeat(40))).unwrap_err().contains("nested"));
        assert!(parse(&"- a\n".repeat(MOST_NODES + 1)).unwrap_err().contains("more"));
        assert!(parse("").is_err() && parse("a: [1").is_err() && parse("\ta: b: c").is_err());
    }
}
