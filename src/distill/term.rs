//! One term of the objective: a method, its weight and its schedule.

use std::fmt;
use std::sync::Arc;

use super::logits::{LOGITS, STANDARDISED, Standardised};
use super::{Method, MethodConfig, MethodSpec, SettingValues, TapNeed, TermSchedule};
use crate::Result;

/// A method as a term of the loss. Clones share the method.
#[derive(Clone)]
pub struct Term {
    /// The method's name.
    pub name: &'static str,
    /// Its weight.
    pub weight: f32,
    /// How the weight changes over the training.
    pub schedule: TermSchedule,
    /// The method.
    pub method: Arc<dyn Method>,
    /// The taps it uses where the user names none.
    pub taps: TapNeed,
    /// Its settings.
    pub values: SettingValues,
    /// Whether `values` are all that it was built from, as for the entries of [`super::METHODS`].
    built: bool,
}

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} {:?} {:?}", self.name, self.weight, self.schedule, self.values)?;
        self.own_identity().map_or(Ok(()), |own| write!(f, " {own}"))
    }
}

impl Term {
    /// A method of your own as a term: `name` is what logs, checkpoints and the method's own parameters call it. It uses no
    /// taps unless [`Term::with_taps`] or the user names some.
    pub fn new(name: &'static str, weight: f32, method: impl Method + 'static) -> Self {
        Self {
            name,
            weight,
            schedule: TermSchedule::default(),
            method: Arc::new(method),
            taps: TapNeed::None,
            values: SettingValues::default(),
            built: false,
        }
    }

    /// What tells a method of one's own from another of its name, besides weight and schedule: none for those of
    /// [`super::METHODS`], whose settings do.
    pub(crate) fn own_identity(&self) -> Option<String> {
        (!self.built).then(|| format!("{:?} {:?}", self.taps, self.method))
    }

    /// The term with this schedule of its weight.
    pub fn with_schedule(self, schedule: TermSchedule) -> Self {
        Self { schedule, ..self }
    }

    /// The term with these taps where the user names none.
    pub fn with_taps(self, taps: TapNeed) -> Self {
        Self { taps, ..self }
    }
}

impl MethodSpec {
    /// This method as a term of its default weight.
    ///
    /// # Errors
    /// [`crate::Error::Config`] for a value in `shared` that it cannot take.
    pub fn term(&self, shared: &MethodConfig) -> Result<Term> {
        self.term_with(shared, &[])
    }

    pub(super) fn term_with(&self, shared: &MethodConfig, own: &[(&str, &str)]) -> Result<Term> {
        let values = SettingValues::new(self.name, self.settings, shared, own)?;
        let mut method = (self.build)(&values)?;
        let taps = method.taps().unwrap_or(self.taps);
        if self.settings.contains(&LOGITS) && values.choice(LOGITS.name)? == STANDARDISED {
            method = Box::new(Standardised(method));
        }
        Ok(Term {
            name: self.name,
            weight: self.weight,
            schedule: TermSchedule::default(),
            method: Arc::from(method),
            taps,
            values,
            built: true,
        })
    }
}
