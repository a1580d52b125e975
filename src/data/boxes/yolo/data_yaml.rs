//! Ultralytics' description of a data set: `path`, `train`, `val`, `test`, `names`, `nc`.

use std::path::Path;

use super::super::names::distinct;
use super::super::parts::Format;
use super::super::text::{folder_of, short, small_text};
use super::super::traps::{Trap, Traps};
use super::super::yaml::{self, Node, Value};
use super::Spec;
use crate::{Error, Result};

/// A description has at most so many bytes.
const MAX_BYTES: u64 = 4 << 20;

pub(super) fn read(path: &Path, traps: &mut Traps) -> Result<Spec> {
    let place = path.file_name().unwrap_or_default().to_string_lossy();
    let text = small_text(path, "a description in YAML", MAX_BYTES, &place, traps)?;
    let node = yaml::parse(&text).map_err(|why| Error::file(path, why))?;
    let dir = folder_of(path).to_path_buf();
    if let Some(points) = node.get("kpt_shape") {
        let message = format!(
            "line {}: kpt_shape says that its labels hold points of a pose behind each box, which are not read; write label \
             files of boxes alone, and remove kpt_shape",
            points.line
        );
        return Err(Error::file(path, message));
    }
    let mut bases = Vec::new();
    if let Some(base) = node.get("path").and_then(Node::text) {
        // Relative to the file; ultralytics has it relative to a folder of data sets of its own.
        if !dir.join(base).is_dir() {
            traps.add(Trap::OtherPlace, || format!("{place}: path: {}", short(base)));
        }
        bases.push(dir.join(base));
    }
    bases.extend([dir.clone(), dir.join("..")]);
    let mut parts = [Vec::new(), Vec::new(), Vec::new()];
    for (part, keys) in parts.iter_mut().zip([["train", "train"], ["val", "valid"], ["test", "test"]]) {
        if let Some(node) = keys.iter().find_map(|key| node.get(key)) {
            *part = entries(path, keys[0], node)?;
        }
    }
    if parts[0].is_empty() {
        let message = "expected the key train, a folder of images or a list of them, found none";
        return Err(Error::file(path, message));
    }
    let classes = names(path, &node)?;
    Ok(Spec { format: Format::DataYaml, root: dir, bases, parts, classes })
}

/// A path, or a list of paths. Nothing where the value is empty.
fn entries(path: &Path, key: &str, node: &Node) -> Result<Vec<String>> {
    let bad =
        |line: usize| Error::file(path, format!("line {line}: {key} should be a path, or a list of paths"));
    let nodes = match &node.value {
        Value::Text(text) if matches!(text.trim(), "" | "null" | "~" | "None") => return Ok(Vec::new()),
        Value::Text(_) => std::slice::from_ref(node),
        Value::List(list) => list,
        Value::Map(_) => return Err(bad(node.line)),
    };
    let of = |node: &Node| node.text().map(|text| text.trim().to_string()).ok_or_else(|| bad(node.line));
    nodes.iter().map(of).collect()
}

fn names(path: &Path, root: &Node) -> Result<Vec<String>> {
    let nc = match root.get("nc") {
        Some(node) => {
            let text = node.text().unwrap_or_default().trim();
            let message = format!("line {}: nc should be a number of classes", node.line);
            Some(text.parse::<usize>().map_err(|_| Error::file(path, message))?)
        }
        None => None,
    };
    let Some(node) = root.get("names") else {
        return Err(Error::file(path, "expected the key names, the names of the classes, found none"));
    };
    let text = |node: &Node| {
        let bad = || Error::file(path, format!("line {}: a class name should be text", node.line));
        node.text().map(|text| text.trim().to_string()).ok_or_else(bad)
    };
    let names = match &node.value {
        Value::List(list) => list.iter().map(text).collect::<Result<Vec<_>>>()?,
        Value::Map(pairs) => {
            let mut numbered = Vec::new();
            for (key, name) in pairs {
                let number = key.text().and_then(|text| text.trim().parse::<usize>().ok());
                let message = format!("line {}: a key of names should be a class number", key.line);
                numbered.push((number.ok_or_else(|| Error::file(path, message))?, text(name)?));
            }
            numbered.sort();
            if let Some((k, (number, name))) =
                numbered.iter().enumerate().find(|(k, (number, _))| k != number)
            {
                let message = format!(
                    "names: expected a name for each number from 0, found {number} ({}) where {k} should be",
                    short(name)
                );
                return Err(Error::file(path, message));
            }
            numbered.into_iter().map(|(_, name)| name).collect()
        }
        Value::Text(_) => {
            let message = format!("line {}: names should be a list, or a map of numbers to names", node.line);
            return Err(Error::file(path, message));
        }
    };
    if nc.is_some_and(|nc| nc != names.len()) {
        let message =
            format!("nc says {} classes, but names has {}; correct one", nc.unwrap_or(0), names.len());
        return Err(Error::file(path, message));
    }
    distinct(path, &names)?;
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::testing::{Scratch, message};

    fn of(text: &str) -> Result<Spec> {
        let dir = Scratch::new();
        read(&dir.write("data.yaml", text), &mut Traps::default())
    }

    #[test]
    fn names_are_a_list_or_a_map() {
        for names in ["[a, 'b c']", "{1: b c, 0: a}", "\n  - a\n  - b c", "\n  0: a\n  1: \"b c\""] {
            let spec = of(&format!("train: x\nval: [y, z]\nnc: 2\nnames: {names}\n")).unwrap();
            assert_eq!(spec.classes, ["a", "b c"], "{names}");
            assert_eq!(spec.parts, [vec!["x".to_string()], vec!["y".into(), "z".into()], vec![]]);
        }
        let spec = of("path: ../sets/x\ntrain: x\nvalid: y\ntest:\nnames: [a]").unwrap();
        assert!(spec.bases[0].ends_with("../sets/x") && spec.bases[1].join("../sets/x") == spec.bases[0]);
        assert_eq!((spec.parts[1].len(), spec.parts[2].len()), (1, 0));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, says) in [
            ("train: x\nnames: [a, b]\nnc: 3", "nc says 3 classes, but names has 2"),
            ("train: x\nnames: {0: a, 2: b}", "found 2 (b) where 1 should be"),
            ("train: x\nnames: a", "line 2: names should be a list"),
            ("train: x\nnames: [[a]]", "line 2: a class name"),
            ("train: x\nnames: {a: 0}", "class number"),
            ("train: x\nnames: [a, a]", "both called"),
            ("train: x\nnc: many\nnames: [a]", "line 2: nc"),
            ("train: {a: b}\nnames: [a]", "line 1: train"),
            ("train: x", "the key names"),
            ("train: x\nnames: [a]\nkpt_shape: [17, 3]", "line 3: kpt_shape"),
            ("names: [a]", "the key train"),
            ("a: [", "line"),
            ("just text", "the key train"),
        ] {
            let text = message(of(text));
            assert!(text.contains(says) && text.contains("data.yaml"), "{says}: {text}");
        }
    }
}
