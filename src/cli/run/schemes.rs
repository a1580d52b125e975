//! `--scheme`: who teaches whom, which settings go with it, and which trainings it takes.

use super::recipe::Recipe;
use super::subject::Kind;
use crate::distill::{self, Objective};
use crate::optim::EmaConfig;
use crate::{Error, Result};

/// What `--scheme` may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemeKind {
    /// One or several frozen teachers.
    Offline,
    /// Two peers.
    Mutual,
    /// Generations of one architecture.
    BornAgain,
    /// Assistants between teacher and student.
    Assistants,
    /// The student as its own teacher.
    TeacherFree,
    /// Exits of the student, taught by its deepest classifier.
    Exits,
    /// The average of the student's weights.
    MeanTeacher,
}

const NAMES: [(&str, SchemeKind); 7] = [
    ("offline", SchemeKind::Offline),
    ("dml", SchemeKind::Mutual),
    ("ban", SchemeKind::BornAgain),
    ("takd", SchemeKind::Assistants),
    ("byot", SchemeKind::Exits),
    ("tf-kd", SchemeKind::TeacherFree),
    ("ema", SchemeKind::MeanTeacher),
];

/// Generations of born-again networks where none are said.
const GENERATIONS: u64 = 3;
/// More than anyone has found a gain by.
const MOST_GENERATIONS: u64 = 1000;

impl SchemeKind {
    /// The scheme that the user named.
    pub fn named(name: Option<&str>) -> Result<Self> {
        let name = name.unwrap_or("offline");
        let found = NAMES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
        found.ok_or_else(|| {
            let known: Vec<&str> = NAMES.iter().map(|(known, _)| *known).collect();
            Error::config("scheme", format!("expected one of {}, got \"{name}\"", known.join(", ")))
        })
    }

    /// The scheme of these settings, which must go with it.
    pub fn of(recipe: &Recipe) -> Result<Self> {
        let kind = Self::named(recipe.scheme.as_deref())?;
        let given = [
            (
                "teacher",
                recipe.teacher.is_some(),
                &[SchemeKind::Offline, SchemeKind::BornAgain, SchemeKind::Assistants][..],
            ),
            ("teacher_weights", recipe.teacher_weights.is_some(), &[SchemeKind::Offline]),
            ("generations", recipe.generations.is_some(), &[SchemeKind::BornAgain]),
            ("assistant", recipe.assistant.is_some(), &[SchemeKind::Assistants]),
            ("peer", recipe.peer.is_some(), &[SchemeKind::Mutual]),
            ("baseline", recipe.baseline == Some(true), &[SchemeKind::Offline]),
            ("teacher_outputs", recipe.teacher_outputs.is_some(), &[SchemeKind::Offline]),
            ("teacher_decay", recipe.teacher_decay.is_some(), &[SchemeKind::MeanTeacher]),
            ("method", recipe.method.is_some() && kind == SchemeKind::Mutual, &[]),
        ];
        if let Some((setting, ..)) = given.iter().find(|(_, given, of)| *given && !of.contains(&kind)) {
            let name = recipe.scheme.as_deref().unwrap_or("offline");
            return Err(Error::config(*setting, format!("does not apply to --scheme {name}; leave it out")));
        }
        if recipe.generations == Some(0) {
            return Err(Error::config("generations", "expected at least 1, got 0"));
        }
        if let Some(decay) = recipe.teacher_decay {
            let checked = EmaConfig::warmed_up(decay).validate();
            checked.map_err(|_| Error::config("teacher_decay", format!("expected 0 to 1, got {decay}")))?;
        }
        Ok(kind)
    }
}

/// What is learned by: the method that the user named, or that of the scheme or of the data.
pub fn methods(recipe: &Recipe) -> Result<String> {
    let default = match recipe.scheme.as_deref() {
        Some("byot") => "byot",
        _ => Kind::of(recipe)?.method,
    };
    Ok(recipe.method.clone().unwrap_or_else(|| default.into()))
}

/// [`methods`], read: what is learned by them, with the user's weight of the cross-entropy where there is one.
pub fn objective(recipe: &Recipe) -> Result<Objective> {
    let objective = distill::parse(&methods(recipe)?, &recipe.method_config())?;
    let ce_weight = recipe.ce_weight.unwrap_or(objective.ce_weight);
    Ok(objective.with_ce_weight(ce_weight))
}

/// Whether nobody but the student itself teaches: neither a network nor outputs are given, and no method
/// needs them.
pub fn is_teacherless(recipe: &Recipe, kind: SchemeKind, objective: &Objective) -> Result<bool> {
    let given = recipe.teacher.is_some() || recipe.teacher_outputs.is_some();
    let teacherless = !given && objective.terms.iter().all(|t| !t.method.needs_teacher());
    if kind == SchemeKind::Exits && !teacherless {
        return Err(Error::config("method", "--scheme byot takes methods that need no teacher: byot, tf-kd"));
    }
    Ok(teacherless)
}

/// A training of a scheme that takes several, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// What it is called; its checkpoint and its file have this name.
    pub label: String,
    /// Its architecture where it is not the student's.
    pub model: Option<String>,
    /// Which of the seed's random weights it starts from.
    pub number: u64,
}

/// The trainings of a scheme, the student's last; none for a scheme of one training.
pub fn generations(recipe: &Recipe, kind: SchemeKind) -> Result<Vec<Generation>> {
    let generation = |label: &str, number| Generation { label: label.into(), model: None, number };
    match kind {
        SchemeKind::Assistants => {
            let assistants = recipe.need(&recipe.assistant, "assistant", "resnet32")?;
            let assistants = assistants.iter().zip(1..).map(|(name, number)| Generation {
                model: Some(name.clone()),
                ..generation(&format!("assistant-{number}"), number)
            });
            Ok(assistants.chain([generation("student", 0)]).collect())
        }
        SchemeKind::TeacherFree => Ok(vec![generation("alone", 0), generation("self-taught", 1)]),
        SchemeKind::BornAgain => {
            // Without a teacher the first one has labels alone, and counts as generation 0.
            let first = u64::from(recipe.teacher.is_some());
            let last = recipe.generations.unwrap_or(GENERATIONS).max(1);
            if last > MOST_GENERATIONS {
                let message = format!("expected 1 to {MOST_GENERATIONS}, got {last}");
                return Err(Error::config("generations", message));
            }
            Ok((first..=last).map(|g| generation(&format!("generation-{g}"), g)).collect())
        }
        SchemeKind::Offline | SchemeKind::Mutual | SchemeKind::Exits | SchemeKind::MeanTeacher => {
            Ok(Vec::new())
        }
    }
}
