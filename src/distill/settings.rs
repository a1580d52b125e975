//! A method's numbers and choices: what there is, what the papers use, and what the user gave instead.

use std::collections::BTreeMap;

use super::logits::{LOGITS, STANDARDISED};
use crate::{Error, Result};

/// One setting of a method.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting {
    /// What the user writes before the equals sign.
    pub name: &'static str,
    /// What it may be, and what it is where the user says nothing.
    pub kind: SettingKind,
    /// One line for lists.
    pub about: &'static str,
    /// Whether the method did without it at first. Checkpoints of then say nothing of it: it is part of what tells runs
    /// apart only where it is not the default.
    pub later: bool,
}

/// What a setting may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SettingKind {
    /// A number within the bounds, both included.
    Number {
        /// The paper's value.
        default: f32,
        /// Smallest value.
        least: f32,
        /// Largest value.
        most: f32,
    },
    /// A whole number within the bounds, both included.
    Count {
        /// The paper's value.
        default: u32,
        /// Smallest value.
        least: u32,
        /// Largest value.
        most: u32,
    },
    /// One of several names; the first is the default.
    Choice {
        /// The names.
        options: &'static [&'static str],
    },
    /// Whole numbers with / between them; none by default.
    List,
}

impl Setting {
    /// A number of `least` to `most`.
    pub const fn within(
        name: &'static str,
        default: f32,
        [least, most]: [f32; 2],
        about: &'static str,
    ) -> Self {
        Self { name, kind: SettingKind::Number { default, least, most }, about, later: false }
    }

    /// A number that divides: at least a millionth.
    pub const fn positive(name: &'static str, default: f32, about: &'static str) -> Self {
        Self::within(name, default, [1e-6, f32::MAX], about)
    }

    /// A number from 0.
    pub const fn from_zero(name: &'static str, default: f32, about: &'static str) -> Self {
        Self::within(name, default, [0.0, f32::MAX], about)
    }

    /// A share, 0 to 1.
    pub const fn share(name: &'static str, default: f32, about: &'static str) -> Self {
        Self::within(name, default, [0.0, 1.0], about)
    }

    /// A whole number of `least` to `most`.
    pub const fn count(
        name: &'static str,
        default: u32,
        [least, most]: [u32; 2],
        about: &'static str,
    ) -> Self {
        Self { name, kind: SettingKind::Count { default, least, most }, about, later: false }
    }

    /// One of several names, the first where the user says nothing.
    pub const fn choice(name: &'static str, options: &'static [&'static str], about: &'static str) -> Self {
        Self { name, kind: SettingKind::Choice { options }, about, later: false }
    }

    /// Whole numbers with / between them, none where the user says nothing.
    pub const fn list(name: &'static str, about: &'static str) -> Self {
        Self { name, kind: SettingKind::List, about, later: false }
    }

    /// This setting, of a method that did without it at first.
    pub const fn later(self) -> Self {
        Self { later: true, ..self }
    }

    /// The default as the user would write it.
    pub fn default_text(&self) -> String {
        match self.kind {
            SettingKind::Number { default, .. } => default.to_string(),
            SettingKind::Count { default, .. } => default.to_string(),
            SettingKind::Choice { options } => options.first().copied().unwrap_or_default().to_string(),
            SettingKind::List => String::new(),
        }
    }

    /// What it may be, in words.
    pub fn expected(&self) -> String {
        match self.kind {
            SettingKind::Number { least, most: f32::MAX, .. } if least > 0.0 => {
                "a number above 0".to_string()
            }
            SettingKind::Number { least, most: f32::MAX, .. } => format!("a number from {least}"),
            SettingKind::Number { least, most, .. } => format!("a number of {least} to {most}"),
            SettingKind::Count { least, most, .. } => format!("a whole number of {least} to {most}"),
            SettingKind::Choice { options } => format!("one of {}", options.join(", ")),
            SettingKind::List => "whole numbers with / between them".to_string(),
        }
    }

    fn read(&self, text: &str) -> Option<Value> {
        match self.kind {
            SettingKind::Number { least, most, .. } => {
                text.parse().ok().filter(|v: &f32| (least..=most).contains(v)).map(Value::Number)
            }
            SettingKind::Count { least, most, .. } => {
                text.parse().ok().filter(|v: &u32| (least..=most).contains(v)).map(Value::Count)
            }
            SettingKind::Choice { options } => options.iter().find(|o| **o == text).map(|o| Value::Choice(o)),
            SettingKind::List if text.is_empty() => Some(Value::List(Vec::new())),
            SettingKind::List => {
                text.split('/').map(|n| n.trim().parse().ok()).collect::<Option<_>>().map(Value::List)
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Number(f32),
    Count(u32),
    Choice(&'static str),
    List(Vec<usize>),
}

/// Settings that the user gave for whichever method has them: `--temperature 2` softens for every method that softens.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MethodConfig {
    given: BTreeMap<String, String>,
}

impl MethodConfig {
    /// This one with `name` set to `value`. What the value may be is checked where a method takes it.
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.given.insert(name.to_string(), value.to_string());
        self
    }
}

/// The values of one method's settings; none by default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SettingValues {
    values: Vec<(&'static str, Value)>,
    /// Names of later settings that are as they were before there were any.
    unlisted: Vec<&'static str>,
}

impl SettingValues {
    /// Settings with their values, in the form that checkpoints of all versions hold; without later ones at their defaults.
    pub(crate) fn listed(&self) -> String {
        let value = |value: &Value| match value {
            Value::Number(number) => format!("Number({number:?})"),
            Value::Count(count) => format!("Count({count})"),
            Value::Choice(choice) => format!("Choice({choice:?})"),
            Value::List(list) => format!("List({list:?})"),
        };
        let listed = self.values.iter().filter(|(name, _)| !self.unlisted.contains(name));
        let all = listed.map(|(name, of)| format!("({name:?}, {})", value(of)));
        all.collect::<Vec<_>>().join(", ")
    }

    /// The defaults of `settings`, `shared` over them, and `own`, which must all be settings of `method`, over those.
    ///
    /// # Errors
    /// [`Error::Config`] for a name that the method does not have, and for a value that is not what it may be.
    pub fn new(
        method: &str,
        settings: &'static [Setting],
        shared: &MethodConfig,
        own: &[(&str, &str)],
    ) -> Result<Self> {
        if let Some((name, _)) = own.iter().find(|(name, _)| settings.iter().all(|s| s.name != *name)) {
            let known: Vec<&str> = settings.iter().map(|s| s.name).chain(super::schedule::NAMES).collect();
            let message = format!("{method} has no setting \"{name}\"; there are {}", known.join(", "));
            return Err(Error::config("method", message));
        }
        let value = |setting: &'static Setting| {
            let own = own.iter().find(|(name, _)| *name == setting.name).map(|(_, text)| *text);
            let text = own.or_else(|| shared.given.get(setting.name).map(String::as_str));
            let text = text.map_or_else(|| setting.default_text(), |text| text.trim().to_string());
            let value = setting.read(&text).ok_or_else(|| {
                let message = format!("expected {} for {method}, got \"{text}\"", setting.expected());
                Error::config(setting.name, message)
            })?;
            Ok((setting.name, value))
        };
        let values = settings.iter().map(value).collect::<Result<Vec<_>>>()?;
        let as_before = |(setting, (_, value)): &(&Setting, &(&str, Value))| {
            setting.later && setting.read(&setting.default_text()).as_ref() == Some(value)
        };
        let unlisted = settings.iter().zip(&values).filter(as_before).map(|(setting, _)| setting.name);
        Ok(Self { unlisted: unlisted.collect(), values })
    }

    /// The number `name`.
    ///
    /// # Errors
    /// [`Error::Config`] where the method declared no number of that name.
    pub fn number(&self, name: &str) -> Result<f32> {
        match self.declared(name)? {
            Value::Number(number) => Ok(*number),
            Value::Count(count) => Ok(*count as f32),
            other => Err(other.is_no("number", name)),
        }
    }

    /// Several numbers, as [`SettingValues::number`] gives them.
    ///
    /// # Errors
    /// Those of [`SettingValues::number`].
    pub fn numbers<const N: usize>(&self, names: [&str; N]) -> Result<[f32; N]> {
        let mut numbers = [0.0; N];
        for (number, name) in numbers.iter_mut().zip(names) {
            *number = self.number(name)?;
        }
        Ok(numbers)
    }

    /// The temperature, or 1 for a method that has none.
    pub fn temperature(&self) -> f32 {
        match self.values.iter().find(|(name, _)| *name == "temperature") {
            Some((_, Value::Number(temperature))) => *temperature,
            _ => 1.0,
        }
    }

    /// The temperature by which a method softens logits as they are; `None` for one that has none, or that standardises
    /// them first.
    pub fn plain_temperature(&self) -> Option<f32> {
        let plain = self
            .values
            .iter()
            .any(|(name, value)| *name == LOGITS.name && *value != Value::Choice(STANDARDISED));
        let declared = self.values.iter().any(|(name, _)| *name == "temperature");
        (plain && declared).then(|| self.temperature())
    }

    /// The whole number `name`.
    ///
    /// # Errors
    /// [`Error::Config`] where the method declared no whole number of that name.
    pub fn count(&self, name: &str) -> Result<usize> {
        match self.declared(name)? {
            Value::Count(count) => Ok(*count as usize),
            other => Err(other.is_no("whole number", name)),
        }
    }

    /// The choice `name`.
    ///
    /// # Errors
    /// [`Error::Config`] where the method declared no choice of that name.
    pub fn choice(&self, name: &str) -> Result<&'static str> {
        match self.declared(name)? {
            Value::Choice(choice) => Ok(choice),
            other => Err(other.is_no("choice", name)),
        }
    }

    /// The whole numbers `name`.
    ///
    /// # Errors
    /// [`Error::Config`] where the method declared no list of that name.
    pub fn list(&self, name: &str) -> Result<Vec<usize>> {
        match self.declared(name)? {
            Value::List(numbers) => Ok(numbers.clone()),
            other => Err(other.is_no("list of whole numbers", name)),
        }
    }

    fn declared(&self, name: &str) -> Result<&Value> {
        let found = self.values.iter().find(|(known, _)| *known == name).map(|(_, value)| value);
        found.ok_or_else(|| {
            let names: Vec<&str> = self.values.iter().map(|(name, _)| *name).collect();
            let names = if names.is_empty() { "none".to_string() } else { names.join(", ") };
            let message = format!("the method reads this setting and does not declare it; declared: {names}");
            Error::config(name, message)
        })
    }
}

impl Value {
    /// The error for a setting that is read as what it is not.
    fn is_no(&self, wanted: &str, name: &str) -> Error {
        Error::config(name, format!("the method reads a {wanted} here and declares {self:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: &[Setting] = &[
        Setting::positive("temperature", 4.0, "softens"),
        Setting::count("dim", 128, [1, 4096], "elements"),
        Setting::choice("form", &["code", "paper"], "which"),
    ];

    /// Checkpoints that know nothing of a later setting are those of its default.
    #[test]
    fn later_settings_are_listed_where_they_are_set() {
        const LATER: &[Setting] = &[
            Setting::positive("temperature", 4.0, "softens"),
            Setting::choice("mask", &["none", "some"], "which").later(),
        ];
        let listed = |own: &[(&str, &str)]| {
            SettingValues::new("made-up", LATER, &MethodConfig::default(), own).unwrap().listed()
        };
        assert_eq!(listed(&[]), "(\"temperature\", Number(4.0))");
        assert_eq!(listed(&[("mask", "none")]), listed(&[]));
        assert_eq!(
            listed(&[("mask", "some")]),
            "(\"temperature\", Number(4.0)), (\"mask\", Choice(\"some\"))"
        );
    }

    /// A method that reads what it does not declare is told so, not given NaN, 0 or "".
    #[test]
    fn undeclared_settings_are_errors() {
        let values = SettingValues::new("made-up", SETTINGS, &MethodConfig::default(), &[]).unwrap();
        assert_eq!((values.number("temperature").unwrap(), values.number("dim").unwrap()), (4.0, 128.0));
        assert_eq!((values.count("dim").unwrap(), values.choice("form").unwrap()), (128, "code"));
        let undeclared = [
            values.number("beta").map(|_| ()),
            values.numbers(["temperature", "beta"]).map(|_| ()),
            values.count("beta").map(|_| ()),
            values.choice("beta").map(|_| ()),
            values.list("beta").map(|_| ()),
        ];
        for read in undeclared {
            let message = read.unwrap_err().to_string();
            assert!(message.contains("beta") && message.contains("temperature, dim, form"), "{message}");
        }
        let message = values.count("form").unwrap_err().to_string();
        assert!(message.contains("reads a whole number") && message.contains("code"), "{message}");
    }
}
