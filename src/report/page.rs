//! The page around any report: sections put into `template.html`, styled by `style.css`, both part of the binary.

use std::fmt::Write;

use super::Environment;
use super::format::escape;

const TEMPLATE: &str = include_str!("template.html");
const STYLE: &str = include_str!("style.css");

/// The whole page around finished HTML; `style` adds to the common one.
pub fn document(title: &str, subtitle: &str, style: &str, body: &str) -> String {
    fill_template(TEMPLATE, |name| match name {
        "style" => format!("{STYLE}{style}"),
        "title" => escape(title),
        "subtitle" => paragraph(subtitle),
        "body" => body.to_string(),
        _ => String::new(),
    })
}

/// Replaces each `{{name}}` once: what comes in by a value is never looked at again.
fn fill_template(template: &str, fill: impl Fn(&str) -> String) -> String {
    let mut parts = template.split("{{");
    let mut out = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let (name, rest) = part.split_once("}}").unwrap_or(("", part));
        out.push_str(&fill(name));
        out.push_str(rest);
    }
    out
}

/// A paragraph of plain text.
pub fn paragraph(text: &str) -> String {
    if text.trim().is_empty() { String::new() } else { format!("<p>{}</p>\n", escape(text)) }
}

/// A section of finished HTML with its heading; empty where its body is.
pub fn section(title: &str, about: &str, body: &str) -> String {
    if body.is_empty() {
        return String::new();
    }
    format!("<section>\n<header><h2>{title}</h2>{}</header>\n{body}</section>\n", paragraph(about))
}

/// A command line that wraps between its words, not after a hyphen.
fn command(line: &str) -> String {
    let words: Vec<_> =
        line.split_whitespace().map(|word| format!("<span>{}</span>", escape(word))).collect();
    format!("<code>{}</code>", words.join(" "))
}

/// What is needed to repeat a run.
pub fn environment(environment: &Environment) -> String {
    let facts = environment.facts();
    if facts.is_empty() {
        return String::new();
    }
    let mut html = String::from("<dl>\n");
    for (name, value) in facts {
        let value = if name == "Command" { command(value) } else { escape(value) };
        let _ = writeln!(html, "<dt>{}</dt><dd>{value}</dd>", escape(name));
    }
    html.push_str("</dl>\n");
    html
}
