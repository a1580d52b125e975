//! What `distill` and `sweep` say of a run before it begins. It is kept in the run's folder, so that a run that is resumed is
//! not examined again, and has its notes all the same.

use std::collections::BTreeMap;
use std::path::Path;

use super::job::{Job, PreparedRun};
use crate::cli::flags::as_flags;
use crate::cli::shown;
use crate::files::{read_text, write_atomic};
use crate::models::InputSpec;
use crate::models::saved::Saved;
use crate::tasks::Metric;
use crate::tasks::embed::ALIKE;
use crate::train::Run;
use crate::train::doctor::{Figures, Finding, TeacherFigure, diagnose};
use crate::{Error, Result};

/// The findings of the runs in a folder, by label.
const FILE: &str = "findings.json";

/// Warns of what data and teachers show before anything runs, such as teachers of another number of classes before they are refused for it:
/// notes for the report. A run that goes on said it before.
pub fn before(job: &Job, label: &str, teachers: &[(Saved, f32)]) -> Vec<String> {
    let rows = |input: InputSpec| match input {
        InputSpec::Tokens { vocabulary, .. } => Some(vocabulary),
        _ => None,
    };
    let figure = |(teacher, _): &(Saved, f32)| TeacherFigure {
        name: teacher.network.name.clone(),
        classes: teacher.metadata.classes.clone(),
        rows: rows(teacher.network.input()),
        ..Default::default()
    };
    let teachers = teachers.iter().map(figure).collect();
    let messages = as_messages(diagnose(&Figures { teachers, ..job.subject.known() }));
    if !job.resumes(label) {
        messages.iter().for_each(|message| log::warn!("{label}: {message}"));
    }
    messages
}

/// Warns of a student whose vectors have become one: notes for the report.
pub fn trained(label: &str, run: &Run) -> Vec<String> {
    let alike = run.measured().and_then(|measured| measured.all().find(|metric| metric.name == ALIKE));
    let figures = Figures { trained_alike: alike.map(|metric| metric.value), ..Default::default() };
    let messages = as_messages(diagnose(&figures));
    messages.iter().for_each(|message| log::warn!("{label}: {message}"));
    messages
}

/// Says what a teacher is measured at before the student's training, and warns of one that knows nothing: notes for the
/// report. A run that goes on said it before.
pub fn teacher(job: &Job, label: &str, name: &str, metric: Metric) -> Vec<String> {
    let quantity = metric.quantity();
    let measured =
        format!("{} {} {} on the test samples", metric.name, quantity.shown(metric.value), quantity.sign());
    let teachers = vec![TeacherFigure { name: name.into(), measured: Some(metric), ..Default::default() }];
    let messages = as_messages(diagnose(&Figures { teachers, ..Default::default() }));
    if !job.resumes(label) {
        log::info!("{name}: {measured}");
        messages.iter().for_each(|message| log::warn!("{label}: {message}"));
    }
    messages
}

/// Warns of what the first batches show, and returns it as notes for the report: those of before, where a run goes on. A
/// doctor that fails stops no run.
pub fn first_batches(job: &Job, run: &mut PreparedRun<'_, '_>) -> Vec<String> {
    let label = run.label().to_string();
    if job.resumes(&label) {
        return kept(&job.out, &label).unwrap_or_default();
    }
    tell(job, &label, run.findings())
}

/// What was said of the run `label` whose folder this is; `None` where it was not examined. A file that can't be read says
/// nothing: only people read it.
pub fn kept(folder: &Path, label: &str) -> Option<Vec<String>> {
    read(&folder.join(FILE)).ok()?.remove(label)
}

/// Says it once, and keeps it.
fn tell(job: &Job, label: &str, findings: Result<Vec<Finding>>) -> Vec<String> {
    let found = findings.and_then(|findings| {
        let messages = as_messages(findings);
        messages.iter().for_each(|message| log::warn!("{label}: {message}"));
        keep(&job.out, label, &messages)?;
        Ok(messages)
    });
    found.unwrap_or_else(|error| {
        log::warn!("{label}: the run was not examined: {}", shown(&error));
        Vec::new()
    })
}

fn as_messages(findings: Vec<Finding>) -> Vec<String> {
    findings.into_iter().map(|finding| as_flags(&finding.message)).collect()
}

fn keep(folder: &Path, label: &str, messages: &[String]) -> Result<()> {
    let path = folder.join(FILE);
    let mut all = read(&path).unwrap_or_default();
    all.insert(label.to_string(), messages.to_vec());
    let text = serde_json::to_string_pretty(&all).map_err(|e| Error::file(&path, e))?;
    write_atomic(&path, |w| w.write_all(text.as_bytes()))
}

fn read(path: &Path) -> Result<BTreeMap<String, Vec<String>>> {
    serde_json::from_str(&read_text(path)?).map_err(|e| Error::file(path, e))
}
