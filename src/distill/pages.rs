//! The methods' pages, made from [`METHODS`]: the list, one page, and all of them as Markdown, which is docs/methods.md.

use super::need::in_words;
use super::{METHODS, MethodSpec, Setting, TapNeed, find, tasks};
use crate::Result;
use crate::tasks::{TASKS, detect};

/// A line a method, with the tasks that it is for.
pub fn list() -> String {
    let widest = |text: fn(&MethodSpec) -> String| METHODS.iter().map(|m| text(m).len()).max().unwrap_or(0);
    let (name, task) = (widest(|m| m.name.to_string()), widest(short));
    let line = |m: &MethodSpec| format!("{:<name$}  {:<task$}  {}\n", m.name, short(m), m.about);
    METHODS.iter().map(line).collect()
}

/// The tasks that a method is for, in a column of little room.
fn short(spec: &MethodSpec) -> String {
    let tasks = tasks(spec);
    if tasks.len() == TASKS.len() { "all".into() } else { tasks.join(",") }
}

/// What there is to know about the method `name`, for a terminal.
///
/// # Errors
/// [`crate::Error::Config`] for a name that no method has.
pub fn page(name: &str) -> Result<String> {
    let spec = find(name)?;
    let mut text = format!("{}: {}\n\n", spec.name, spec.about);
    text += &format!("loss     {}\n", spec.formula);
    text += &format!("paper    {}\n", spec.paper);
    text += &format!("family   {}\n", family(spec));
    text += &format!("reads    {}\n", reads(spec));
    text += &format!("tasks    {}\n", tasks(spec).join(", "));
    text += &format!("taps     {}\n", taps(spec));
    text += &format!("weights  {}\n", weights(spec));
    let width = spec.settings.iter().map(|s| s.name.len()).max().unwrap_or(0);
    for setting in spec.settings {
        let Setting { name, about, .. } = setting;
        let (default, expected) = (setting.default_text(), setting.expected());
        text += &format!("\n{name:<width$}  {about}\n{:width$}  {expected}, default {default}\n", "");
    }
    Ok(text)
}

/// All methods as Markdown.
pub fn markdown() -> String {
    let mut text = String::from(HEAD);
    text += "\n| name | what it does | tasks | taps |\n|---|---|---|---|\n";
    for spec in METHODS {
        // GitHub's anchors keep letters, digits and hyphens.
        let (name, about, taps) = (spec.name, cell(spec.about), taps(spec));
        let tasks = tasks(spec).join(", ");
        text += &format!("| [`{name}`](#{name}) | {about} | {tasks} | {taps} |\n");
    }
    for spec in METHODS {
        text += &section(spec);
    }
    text
}

const HEAD: &str = "\
# Distillation methods

Made by `limbeck methods --markdown > docs/methods.md` from the methods' own declarations; a test fails where the two
differ. In formulas z are logits (N, C), one row a sample of a classifier, f features, s the student's and t the teacher's, T the
temperature. KL is summed over classes and averaged over the rows, by their weights where a task gives them some. Of a detector's
rows, one for each anchor of each cell, o is objectness, p the probabilities of classes and b the box. Of texts, h are the states of tokens
between layers, q, k and v what attention compares and adds up; e is a vector of a sample.

`limbeck distill --method kd:0.9+dkd:1,beta=6` adds terms by `+`. After a name come its weight, its settings and the schedule of
the weight: `from`, `until`, `warmup` (shares of the training) and `decay=cosine`. `ce` is the task's own loss: a classifier's
cross-entropy with the labels, what a detector learns of the boxes that are there.

A method on tokens takes pairs of layers as taps, such as `encoder.layer.5:encoder.layer.1`, and finds by their names what attention
computes in them.

Of detectors, taps that a method uses by itself are what their heads read, or what the activation before it reads: those of one
size go together, where there are some, and the last stage is that of every head.

A method fits a task that has all it reads. Families are those of limbeck; beside them stands what a survey calls the method
(Gou et al. 2006.05525).
";

fn section(spec: &MethodSpec) -> String {
    let mut text = format!("\n## {}\n\n{}.\n\n", spec.name, spec.about);
    text += &format!("- Loss: `{}`\n", spec.formula);
    text += &format!("- Paper: {}\n", spec.paper);
    text += &format!("- Family: {}\n", family(spec));
    text += &format!("- Reads: {}; for the tasks {}\n", reads(spec), tasks(spec).join(", "));
    text += &format!("- Taps: {}\n", taps(spec));
    text += &format!("- Default weights: {}\n", weights(spec));
    if spec.settings.is_empty() {
        return text;
    }
    text += "\n| setting | default | may be | |\n|---|---|---|---|\n";
    for setting in spec.settings {
        let (default, expected, about) = (setting.default_text(), setting.expected(), cell(setting.about));
        text += &format!("| `{}` | {default} | {expected} | {about} |\n", setting.name);
    }
    text
}

fn family(spec: &MethodSpec) -> String {
    format!("{} ({})", spec.family, spec.knowledge)
}

fn reads(spec: &MethodSpec) -> String {
    spec.reads.iter().map(|need| in_words(*need)).collect::<Vec<_>>().join(", ")
}

fn taps(spec: &MethodSpec) -> &'static str {
    match spec.taps {
        TapNeed::Stages if tasks(spec) == [detect::SPEC.name] => {
            "what every head of both networks reads, paired by the size of the maps"
        }
        TapNeed::None => "none",
        TapNeed::Last => "the last stage of both networks",
        TapNeed::Middle => "the stage in the middle of both networks",
        TapNeed::Stages => "all stages, paired from the last",
        TapNeed::PreActivations => "the values before each stage's last activation, paired from the last",
        TapNeed::Embedding => "what the classifiers see",
        TapNeed::Review => "the values before each stage's last activation, and what the classifiers see",
        TapNeed::Layers => "every layer of the student, with the teacher's that is as far along",
        TapNeed::LayersButLast => {
            "every layer of the student but its last, with the teacher's that is as far along"
        }
        TapNeed::StagesButLast => "every layer of the student but its last, with the teacher's top ones",
        TapNeed::Vectors => "vectors that both networks give, or what the classifiers see",
    }
}

fn weights(spec: &MethodSpec) -> String {
    format!("{} for the loss, {} for the task's own", spec.weight, spec.ce_weight)
}

/// Text in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_pages_are_those_of_the_registry() {
        let committed = include_str!("../../docs/methods.md").replace("\r\n", "\n");
        let differs = committed.lines().zip(markdown().lines().map(String::from)).find(|(a, b)| a != b);
        let what = "write it again: limbeck methods --markdown > docs/methods.md";
        assert!(committed == markdown(), "docs/methods.md is not the registry's; {what}\n{differs:?}");
    }

    #[test]
    fn methods_are_in_order_and_every_one_has_a_page() {
        assert!(METHODS.windows(2).all(|pair| pair[0].name < pair[1].name), "sort METHODS by name");
        for spec in METHODS {
            let page = page(spec.name).unwrap();
            assert!(page.contains(spec.formula) && page.contains(spec.paper), "{page}");
            assert!(spec.settings.iter().all(|s| page.contains(s.about)), "{page}");
        }
        // Heads of detectors are in no order.
        for name in ["crosskd", "fgd"] {
            let page = page(name).unwrap();
            assert!(page.contains("paired by the size") && !page.contains("from the last"), "{page}");
        }
    }
}
