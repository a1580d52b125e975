//! `--scheme`: who teaches whom, which settings go with it, and which trainings it takes.

use super::recipe::Recipe;
use crate::distill;
use crate::optim::EmaConfig;
use crate::{Error, Result};

/// What `--scheme` may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
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

const NAMES: [(&str, Who); 7] = [
    ("offline", Who::Offline),
    ("dml", Who::Mutual),
    ("ban", Who::BornAgain),
    ("takd", Who::Assistants),
    ("byot", Who::Exits),
    ("tf-kd", Who::TeacherFree),
    ("ema", Who::MeanTeacher),
];

impl Who {
    /// The scheme that the user named.
    pub fn named(name: Option<&str>) -> Result<Self> {
        let name = name.unwrap_or("offline");
        let found = NAMES.iter().find(|(known, _)| *known == name).map(|(_, who)| *who);
        found.ok_or_else(|| {
            let known: Vec<&str> = NAMES.iter().map(|(known, _)| *known).collect();
            Error::config("scheme", format!("expected one of {}, got \"{name}\"", known.join(", ")))
        })
    }

    /// The scheme of these settings, which must go with it.
    pub fn of(recipe: &Recipe) -> Result<Self> {
        let who = Self::named(recipe.scheme.as_deref())?;
        let given = [
            ("teacher", recipe.teacher.is_some(), &[Who::Offline, Who::BornAgain, Who::Assistants][..]),
            ("teacher_weights", recipe.teacher_weights.is_some(), &[Who::Offline]),
            ("generations", recipe.generations.is_some(), &[Who::BornAgain]),
            ("assistant", recipe.assistant.is_some(), &[Who::Assistants]),
            ("peer", recipe.peer.is_some(), &[Who::Mutual]),
            ("baseline", recipe.baseline == Some(true), &[Who::Offline]),
            ("teacher_outputs", recipe.teacher_outputs.is_some(), &[Who::Offline]),
            ("teacher_decay", recipe.teacher_decay.is_some(), &[Who::MeanTeacher]),
            ("method", recipe.method.is_some() && who == Who::Mutual, &[]),
        ];
        if let Some((setting, ..)) = given.iter().find(|(_, given, of)| *given && !of.contains(&who)) {
            let name = recipe.scheme.as_deref().unwrap_or("offline");
            return Err(Error::config(*setting, format!("is of no use for --scheme {name}; leave it out")));
        }
        if recipe.generations == Some(0) {
            return Err(Error::config("generations", "expected at least 1, got 0"));
        }
        if let Some(decay) = recipe.teacher_decay {
            let checked = EmaConfig { decay, warmup: true }.validate();
            checked.map_err(|_| Error::config("teacher_decay", format!("expected 0 to 1, got {decay}")))?;
        }
        Ok(who)
    }
}

/// What is learned by: the method that the user named, or that of the scheme.
pub fn methods(recipe: &Recipe) -> String {
    let default = if recipe.scheme.as_deref() == Some("byot") { "byot" } else { "kd" };
    recipe.method.clone().unwrap_or_else(|| default.into())
}

/// Whether nobody but the student itself teaches: neither a network nor outputs are given, and no method
/// needs them.
pub fn is_teacherless(recipe: &Recipe, who: Who, methods: &str) -> Result<bool> {
    let terms = distill::parse(methods, &recipe.method_config())?.terms;
    let given = recipe.teacher.is_some() || recipe.teacher_outputs.is_some();
    let teacherless = !given && terms.iter().all(|t| !t.method.needs_teacher());
    if who == Who::Exits && !teacherless {
        return Err(Error::config("method", "--scheme byot takes methods that need no teacher: byot, tf-kd"));
    }
    Ok(teacherless)
}

/// A training of a scheme that takes several, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// What it is called; its checkpoint and its file have this name.
    pub label: String,
    /// Its architecture where it is not the student's.
    pub model: Option<String>,
    /// Which of the seed's random weights it starts from.
    pub number: u64,
}

/// The trainings of a scheme, the student's last; none for a scheme of one training.
pub fn turns(recipe: &Recipe, who: Who) -> Result<Vec<Turn>> {
    let turn = |label: &str, number| Turn { label: label.into(), model: None, number };
    match who {
        Who::Assistants => {
            let assistants = recipe.need(&recipe.assistant, "assistant", "resnet32")?;
            let assistants = assistants.iter().zip(1..).map(|(name, number)| Turn {
                model: Some(name.clone()),
                ..turn(&format!("assistant-{number}"), number)
            });
            Ok(assistants.chain([turn("student", 0)]).collect())
        }
        Who::TeacherFree => Ok(vec![turn("alone", 0), turn("self-taught", 1)]),
        Who::BornAgain => {
            // Without a teacher the first one has labels alone, and counts as generation 0.
            let first = u64::from(recipe.teacher.is_some());
            let last = recipe.generations.unwrap_or(3).max(1);
            Ok((first..=last).map(|g| turn(&format!("generation-{g}"), g)).collect())
        }
        Who::Offline | Who::Mutual | Who::Exits | Who::MeanTeacher => Ok(Vec::new()),
    }
}
