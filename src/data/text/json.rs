//! The texts of JSON lines.

use std::borrow::Cow;
use std::path::Path;

use serde_json::{Map, Value};

use super::labels::{short, some};
use super::read::{OTHERS, Row, TEXT};
use super::records::{at_line, objects};
use super::{Column, TextOptions};
use crate::Result;

pub(super) fn json_rows<'c>(
    path: &'c Path,
    content: &'c str,
    options: &TextOptions,
    limit: usize,
) -> Result<Vec<Row<'c>>> {
    let mut rows = Vec::new();
    let mut keys: Option<[Option<String>; 4]> = None;
    for object in objects(path, content).take(limit) {
        let (line, object) = object?;
        let [text, second, label, score] = match &keys {
            Some(keys) => keys,
            None => &*keys.insert(keys_of(path, line, &object, options)?),
        };
        let get = |key: &Option<String>| {
            key.as_ref().map(|key| value(path, line, &object, key).map(Cow::Owned)).transpose()
        };
        let (label, score, second) = (get(label)?, get(score)?, get(second)?);
        rows.push(Row { line, text: get(text)?.unwrap_or_default(), second, label, score });
    }
    Ok(rows)
}

/// Keys of text, second text, label and score, as the first object has them.
fn keys_of(
    path: &Path,
    line: usize,
    object: &Map<String, Value>,
    options: &TextOptions,
) -> Result<[Option<String>; 4]> {
    let there = |name: &str| object.contains_key(name).then(|| name.to_string());
    let key = |column: &Option<Column>, default: Option<String>| match column {
        None => Ok(default),
        Some(Column::Name(name)) => Ok(Some(name.clone())),
        Some(Column::Number(number)) => {
            Err(at_line(path, line, format!("columns of JSON lines have names, got the number {number}")))
        }
    };
    let text = key(&options.text, TEXT.iter().find_map(|name| there(name)))?;
    if text.is_none() {
        let names: Vec<String> = object.keys().cloned().collect();
        return Err(at_line(path, line, format!("which key is the text? There are {}", some(&names))));
    }
    let [second, label, score] = OTHERS.map(there);
    Ok([text, key(&options.second, second)?, key(&options.label, label)?, key(&options.score, score)?])
}

/// The value of a key as text.
fn value(path: &Path, line: usize, object: &Map<String, Value>, key: &str) -> Result<String> {
    match object.get(key) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Number(number)) => Ok(number.to_string()),
        Some(Value::Bool(value)) => Ok(value.to_string()),
        Some(other) => {
            let found = match other {
                Value::Null => "null",
                Value::Array(_) => "an array",
                _ => "an object",
            };
            Err(at_line(
                path,
                line,
                format!("expected a text or a number as \"{}\", found {found}", short(key)),
            ))
        }
        None => {
            let names: Vec<String> = object.keys().cloned().collect();
            let message = format!("no key \"{}\"; there are {}", short(key), some(&names));
            Err(at_line(path, line, message))
        }
    }
}
