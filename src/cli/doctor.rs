//! What `distill` says of a run before it begins.

use super::job::{Job, Lesson};
use crate::models::Network;
use crate::models::saved::Saved;
use crate::train::TrainConfig;
use crate::train::doctor::{Figures, Finding, Subject, TeacherFigure, diagnose, examine};

/// Warns of teachers of another number of classes, before they are refused for it.
pub fn classes(job: &Job, teachers: &[(Saved, f32)]) {
    let figure = |(teacher, _): &(Saved, f32)| TeacherFigure {
        name: teacher.network.name.clone(),
        classes: teacher.facts.classes.clone(),
        ..Default::default()
    };
    let teachers = teachers.iter().map(figure).collect();
    warn(diagnose(&Figures { classes: job.training.class_names.clone(), teachers, ..Default::default() }));
}

/// Warns of what the first batches show, and returns it as notes for the report. A doctor that fails stops no run. One
/// that is resumed was examined when it began.
pub fn first_batches(job: &Job, student: &Network, config: &TrainConfig, lesson: Lesson<'_>) -> Vec<String> {
    let Some(teaching) = lesson.teaching.filter(|_| !job.goes_on()) else { return Vec::new() };
    let subject = Subject { gpu: &job.gpu, student, training: &job.training, config };
    match examine(&subject, teaching, &lesson.scheme) {
        Ok(findings) => warn(findings),
        Err(error) => {
            log::warn!("the run was not examined: {error}");
            Vec::new()
        }
    }
}

fn warn(findings: Vec<Finding>) -> Vec<String> {
    let messages: Vec<String> = findings.into_iter().map(|f| f.message).collect();
    messages.iter().for_each(|message| log::warn!("{message}"));
    messages
}
